"""Your own photos: ``vis/`` and ``nir/`` below one folder, paired or not.

Layout::

    ROOT/vis/ANNA/01.jpg      nir/ANNA/01.png     a pair: same place and stem
    ROOT/vis/bob.png          nir/bob.bmp         a pair
    ROOT/labels.csv           optional: file_name, subject, expression, valence, arousal

Names of folders and extensions in any letter case, subfolders of any depth. Two images are
a pair where their paths below vis/ and nir/ agree without the extension (exact letter case).
One spectrum alone is read, too.

``labels.csv`` has the column ``file_name`` and any of the others; further columns are not
read. A file name is ``vis/ANNA/01.jpg`` for one image, or ``ANNA/01.jpg`` or ``ANNA/01`` for
both spectra. Its cells come before what the folders say; images without a row are kept.

Options: ``subject``: ``parent`` (default: the folder below vis/ or nir/ the image lies in;
an image directly in vis/ or nir/ is a person of its own, named by its stem), ``each`` (every
image or pair another person), ``stem:REGEX`` (what the expression finds in the stem, its
first group where it has one). ``labels``: another table, relative to ROOT.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from synth.corpora.image import SPECTRA, CorpusImage, expression_of, in_order, number_in
from synth.corpora.tree import Row, child, compiled, photos, table, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = (
    "vis/ and nir/ (or one of them) with photos, for example vis/ANNA/01.jpg and nir/ANNA/01.jpg"
)


def read(root: Path, subject: str = "parent", labels: str = "") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there are no photos in vis/ or nir/, two images of a spectrum share their stem, a
        person is not told, or the table names images that are not there.
    """
    found = [
        (spectrum, path, path.relative_to(folder))
        for spectrum in SPECTRA
        if (folder := child(root, spectrum))
        for path in photos(folder)
    ]
    if not found:
        raise wrong("folders", LAYOUT, root)
    rows = _rows(root, labels)
    used: set[str] = set()
    images = []
    for spectrum, path, below in found:
        place = PurePosixPath(below.as_posix())
        names = (f"{spectrum}/{place}", str(place), str(place.with_suffix("")))
        name = next((n for n in names if n in rows), "")
        used.add(name)
        cells, where = rows.get(name, ({}, ""))
        images.append(
            CorpusImage(
                path,
                path.relative_to(root).as_posix(),
                subject=cells.get("subject", "") or _subject(place, subject),
                spectrum=spectrum,
                expression=expression_of(cells.get("expression", ""), f"labels: {where}"),
                valence=number_in(cells.get("valence", ""), f"labels: {where}", "valence"),
                arousal=number_in(cells.get("arousal", ""), f"labels: {where}", "arousal"),
                pair=str(place.with_suffix("")),
            )
        )
    if missing := sorted(set(rows) - used):
        raise UsageError(
            f"labels: expected images of vis/ and nir/ in {rows[missing[0]][1]}, got {missing[0]} "
            f"({len(missing)} of {len(rows)} rows have no image); write vis/ANNA/01.jpg or ANNA/01"
        )
    return in_order(images)


def _rows(root: Path, labels: str) -> dict[str, Row]:
    path = root / (labels or "labels.csv")
    if not labels and not path.exists():
        return {}
    rows: dict[str, Row] = {}
    for cells, place in table(path, ("file_name",)):
        # The folders in lower case, whatever theirs is, as `read` asks for them.
        first, slash, rest = cells["file_name"].replace("\\", "/").partition("/")
        name = (
            f"{first.lower()}/{rest}"
            if slash and first.lower() in SPECTRA
            else first + slash + rest
        )
        if name in rows:
            raise UsageError(f"labels: {place}: expected {name} once, got it twice")
        rows[name] = (cells, place)
    return rows


def _subject(place: PurePosixPath, how: str) -> str:
    """Who is on the image at `place` below its spectrum's folder."""
    if how == "each":
        return str(place.with_suffix(""))
    if how == "parent":
        return str(place.parent) if place.parent.parts else place.stem
    if not how.startswith("stem:"):
        raise UsageError(f"subject: expected parent, each or stem:REGEX, got {how!r}")
    pattern = compiled("subject", how.removeprefix("stem:"))
    hit = pattern.search(place.stem)
    who = (hit[1 if pattern.groups else 0] or "") if hit else ""
    if not who:
        raise UsageError(
            f"subject: expected a person in the stem of {place} by {how}, got none; "
            "change the expression, or use the table's column subject"
        )
    return who
