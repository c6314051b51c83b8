"""Photos with a table of labels beside them: the simplest layout for a set of your own.

Layout::

    ROOT/labels.csv      file_name, subject, valence, arousal, expression, age, gender,
                         ethnicity, split
    ROOT/anna/01.jpg     wherever the table says

Only ``file_name`` is needed; further columns are not read, nor are photos without a row. Cells may
be empty. ``subject``: who is shown; without one a photo is a person of its own. ``valence`` and
``arousal`` from -1 to 1, both or neither; ``expression``: a word of `synth.affect.EXPRESSIONS`;
``age``, ``gender`` and ``ethnicity`` are words of your own (results are reported by group);
``split``: ``train``, ``val`` or ``test``; ``spectrum``: ``vis`` or ``nir``.

Options: ``labels``: another table, relative to ROOT (``labels.csv``). ``spectrum``: of rows that do
not tell: ``vis`` (default) or ``nir``.
"""

from __future__ import annotations

from pathlib import Path

from synth.corpora.image import (
    SPECTRA,
    CorpusImage,
    expression_of,
    in_order,
    number_in,
    split_of,
    word_of,
)
from synth.corpora.tree import photos, table, wrong
from synth.errors import UsageError

__all__ = ["GROUPS", "read"]

LAYOUT = "labels.csv (file_name, subject, valence, arousal, expression, ...) and its photos"
#: Columns that tell a group of people.
GROUPS = ("age", "ethnicity", "gender")


def read(root: Path, labels: str = "labels.csv", spectrum: str = "vis") -> list[CorpusImage]:
    """The photos of the table; see the head of the module.

    Raises
    ------
    UsageError
        If there is no table, a photo of it is missing or listed twice, or a cell is out of range.
    """
    other = word_of("spectrum", spectrum, SPECTRA)
    if not (root / labels).is_file():
        raise wrong("labels", LAYOUT.replace("labels.csv", labels), root)
    left = {path.relative_to(root).as_posix(): path for path in photos(root)}
    images = []
    for cells, place in table(root / labels, ("file_name",)):
        name = cells["file_name"].replace("\\", "/").removeprefix("./")
        if name not in left:
            raise UsageError(
                f"labels: {place}: expected a photo below {root} not listed before, got {name!r}"
            )
        at = f"labels: {place}"
        own = cells.get("spectrum", "")
        images.append(
            CorpusImage(
                left.pop(name),
                name,
                subject=cells.get("subject", "") or name,
                spectrum=word_of(f"{at}: spectrum", own, SPECTRA) if own else other,
                expression=expression_of(cells.get("expression", ""), at),
                valence=number_in(cells.get("valence", ""), at, "valence"),
                arousal=number_in(cells.get("arousal", ""), at, "arousal"),
                split=split_of(cells.get("split", ""), at),
                groups=tuple((group, cells[group]) for group in GROUPS if cells.get(group)),
            )
        )
    return in_order(images)
