"""NIR photos in one folder with a table of human labels, as CustomDB.

CustomDB: T. Kalabis, "Facial expression analysis from NIR image", diploma thesis, CTU
Prague 2024; published with its code under the MIT licence. Surveillance camera with active
illumination, posed expressions, 1080p.

Layout::

    ROOT/labels.csv      file_name, person, gender, expression_code, valence, arousal
    ROOT/11-5-anger.jpg  person - number - word asked for

Read: every row; the label, judged from the image, is the truth, not the word in the file
name. ``expression_code``: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust,
6 anger, 7 contempt; 8 or empty: none. ``gender`` is a group; further columns are not read.
Without ``person``, the person is what stands before the first hyphen of the file name.

Options: ``spectrum``: ``nir`` (default) or ``vis``.
"""

from __future__ import annotations

from pathlib import Path

from synth.affect import CLASSES
from synth.corpora.image import SPECTRA, CorpusImage, in_order, number_in, word_of
from synth.corpora.tree import photos, table, wrong
from synth.errors import UsageError

__all__ = ["CODES", "read"]

LAYOUT = "labels.csv (file_name, person, gender, expression_code, valence, arousal) and its photos"

#: Expression of each code; AffectNet's order, 8 being none of them.
CODES = (*CLASSES, "")


def read(root: Path, spectrum: str = "nir") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no table, a photo of it is missing or listed twice, a photo has no row,
        or a cell is out of range.
    """
    word_of("spectrum", spectrum, SPECTRA)
    if not (root / "labels.csv").is_file():
        raise wrong("custom-nir", LAYOUT, root)
    left = {path.relative_to(root).as_posix(): path for path in photos(root)}
    images = []
    for cells, place in table(root / "labels.csv", ("file_name", "expression_code")):
        name = cells["file_name"].replace("\\", "/")
        if name not in left:
            raise UsageError(f"labels: {place}: expected a photo not listed before, got {name!r}")
        images.append(
            CorpusImage(
                left.pop(name),
                name,
                subject=cells.get("person", "") or Path(name).name.split("-")[0],
                spectrum=spectrum,
                expression=_expression(cells["expression_code"], place),
                valence=number_in(cells.get("valence", ""), f"labels: {place}", "valence"),
                arousal=number_in(cells.get("arousal", ""), f"labels: {place}", "arousal"),
                groups=(("gender", cells["gender"]),) if cells.get("gender") else (),
            )
        )
    if left:
        raise UsageError(
            f"labels: expected a row for each photo in {root}, got none for {len(left)}, "
            f"{min(left)} first; add rows, or move these photos away"
        )
    return in_order(images)


def _expression(text: str, place: str) -> str:
    """Expression of a code as text; the published table writes them as ``2.0``."""
    if not text:
        return ""
    try:
        code = float(text)
    except ValueError:
        code = -1.0
    if code not in range(len(CODES)):
        raise UsageError(
            f"labels: {place}: expected an expression_code from 0 to {len(CODES) - 1}, got {text!r}"
        )
    return CODES[int(code)]
