"""What a set of faces may be, and the rows it holds.

=======================  ==================================================================
a folder                 made by ``synth augment``: any format, one split or all
                         made by ``synth generate``, ``sequence``, ``edit``, ``morph`` or
                         ``translate``: ``metadata.csv`` and its pictures
                         photos with ``labels.csv`` (or ``metadata.csv``)
                         photos alone, or in folders named by expression
a ``.csv`` file          the columns of `TABLE`, files relative to it
``CORPUS:FOLDER``        a published set in its own layout, see `synth.corpora`; options
                         behind it, ``custom-nir:DIR,spectrum=nir``
=======================  ==================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from synth.affect import expression_name
from synth.corpora import CORPORA, read_corpus
from synth.dataset.layout import split_order
from synth.dataset.manifest import read_manifests
from synth.dataset.provenance import read_provenance
from synth.errors import TargetError, UsageError
from synth.face_sets.rows import FaceRow, class_index, number, plain_subject, word
from synth.image_files import EXTENSIONS, find_images
from synth.plans.csv_rows import CsvRows, check_columns, read_rows
from synth.recognition.faces import ORIGINS, UNLABELLED
from synth.runfile import RUN_FILE, read_run_file

__all__ = ["GROUPS", "TABLE", "WAYS", "Source", "open_source"]

WAYS = "a folder made by synth, a folder or CSV of labelled photos, or CORPUS:FOLDER"
#: Columns of a table of photos; only the first must be there.
TABLE = ("file_name", "valence", "arousal", "expression", "subject", "spectrum", "origin")
#: Columns that divide the people: results are given for each.
GROUPS = ("age", "gender", "ethnicity")
TABLES = ("labels.csv", "metadata.csv")
_SET = ("key", "file", "offset", "bytes", "valence", "arousal", "expression", "subject",
        "spectrum")  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A set that was found.

    Attributes
    ----------
    rows : tuple of FaceRow
    crop : str
        Profile that its pictures were cut out by; "" where that is not known.
    """

    rows: tuple[FaceRow, ...]
    crop: str = ""


def open_source(text: str, split: str | None = None) -> Source:
    """The rows of a set; see the head of the module.

    Parameters
    ----------
    text : str
    split : str, optional
        The part of a set that has parts; all of it when not given.

    Raises
    ------
    UsageError
        If there is no such set or part, a table is not as expected, or it is empty.
    SynthError
        If a set of ``synth augment`` is damaged.
    """
    name, _, rest = text.partition(":")
    if name in CORPORA and rest:
        found = _corpus(name, rest, split)
    else:
        found = _files(Path(text).expanduser(), text, split)
    if not found.rows:
        part = f" in the part {split}" if split else ""
        raise UsageError(f"data: expected pictures{part} of {text}, got none; name another")
    return found


def _files(path: Path, text: str, split: str | None) -> Source:
    if path.is_file() and path.suffix.lower() == ".csv":
        return _without_parts(Source(_table(path)), split, text)
    if not path.is_dir():
        kinds = f"; sets of others: {', '.join(CORPORA)}" if ":" in text else ""
        raise UsageError(f"data: expected {WAYS}, got {text}, which does not exist{kinds}")
    crop = _crop(path)
    if (path / "shards").is_dir() and read_manifests(path):
        return Source(_augmented(path, split), crop)
    if split is not None and (path / split).is_dir():
        return Source(_folder(path / split), crop)
    if (path / RUN_FILE).is_file() and (path / "metadata.csv").is_file():
        return _without_parts(Source(_run(path), crop), split, text)
    return _without_parts(Source(_folder(path)), split, text)


def _without_parts(found: Source, split: str | None, text: str) -> Source:
    if split is not None:
        raise UsageError(f"split: expected none, since {text} has no parts, got {split!r}")
    return found


def _crop(root: Path) -> str:
    """The crop that a set's own run file names; "" for none."""
    if not (root / RUN_FILE).is_file():
        return ""
    settings = read_run_file(root / RUN_FILE).get("settings", {})
    return str(settings.get("crop", ""))


# ------------------------------------------------------------------- made by synth
def _augmented(root: Path, split: str | None) -> tuple[FaceRow, ...]:
    manifests = read_manifests(root)
    parts = split_order(manifest.split for manifest in manifests)
    if split is not None and split not in parts:
        raise UsageError(f"split: expected one of {', '.join(parts)} in {root}, got {split!r}")
    rows = []
    for manifest in manifests:
        if split in (None, manifest.split):
            table = read_provenance(root, manifest.split, manifest.number, _SET)
            rows += [_augmented_row(root, manifest.split, cells) for cells in table.to_pylist()]
    return tuple(rows)


def _augmented_row(root: Path, split: str, cells: dict[str, Any]) -> FaceRow:
    va = cells["valence"], cells["arousal"]
    return FaceRow(
        f"{split}/{cells['key']}",
        partial(_piece, root / cells["file"], cells["offset"], cells["bytes"]),
        *va,
        label=_made_label(cells["expression"], va),
        subject=plain_subject(cells["subject"]),
        origin="synthetic",
        spectrum=cells["spectrum"],
    )


def _piece(path: Path, offset: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def _made_label(text: str, va: tuple[float, float]) -> int:
    """Of what ``synth`` wrote: words for places on the circumplex are no class."""
    try:
        return class_index(text, "expression", va)
    except UsageError:
        return UNLABELLED


def _run(root: Path) -> tuple[FaceRow, ...]:
    table = read_rows(root / "metadata.csv", "metadata")
    check_columns(table, "metadata", ("file_name", "source", "valence", "arousal", "expression"))
    rows = []
    for line, cells in table.rows:
        va = _va(cells, table.place(line))
        rows.append(
            FaceRow(
                cells["file_name"],
                root / cells["file_name"],
                *va,
                label=_made_label(cells["expression"], va),
                subject=plain_subject(cells.get("subject", "")) or _stem(cells["source"]),
                origin="synthetic",
                spectrum=word(cells.get("spectrum", ""), table.place(line), "spectrum"),
            )
        )
    return tuple(rows)


def _stem(source: str) -> str:
    """The person on a photo that nobody has named: what ``synth augment`` calls it, too."""
    return str(PurePosixPath(source).with_suffix("")).replace("/", "_")


def _va(cells: dict[str, str], place: str) -> tuple[float, float]:
    valence, arousal = (number(cells.get(n, ""), place, n) for n in ("valence", "arousal"))
    if math.isnan(valence) != math.isnan(arousal):
        raise UsageError(f"{place}: expected valence and arousal, or neither, got one of them")
    return valence, arousal


# ------------------------------------------------------------------- made by others
def _folder(root: Path) -> tuple[FaceRow, ...]:
    for name in TABLES:
        if (root / name).is_file():
            return _table(root / name)
    photos = find_images(root, recursive=True)
    return tuple(FaceRow(p.name, p.path, label=_folder_label(p.name)) for p in photos)


def _folder_label(name: str) -> int:
    """The class that a photo's folder is named by, if any."""
    for folder in reversed(PurePosixPath(name).parts[:-1]):
        try:
            return class_index(expression_name(folder), name)
        except TargetError:
            continue
    return UNLABELLED


def _table(path: Path) -> tuple[FaceRow, ...]:
    table = read_rows(path, "labels")
    check_columns(table, "labels", TABLE[:1])
    return tuple(_table_row(path.parent, table, line, cells) for line, cells in table.rows)


def _table_row(root: Path, table: CsvRows, line: int, cells: dict[str, str]) -> FaceRow:
    place = table.place(line)
    name = cells["file_name"].replace("\\", "/")
    if not name:
        raise UsageError(f"{place}: expected a file_name, got an empty cell")
    va = _va(cells, place)
    return FaceRow(
        name,
        _beside(root, name),
        *va,
        label=class_index(cells.get("expression", ""), place),
        subject=plain_subject(cells.get("subject", cells.get("person", ""))),
        origin=word(cells.get("origin", ""), place, "origin", ORIGINS[::-1]),
        spectrum=word(cells.get("spectrum", ""), place, "spectrum"),
        groups=tuple((g, cells[g]) for g in GROUPS if g in cells),
    )


def _beside(root: Path, name: str) -> Path:
    """The file, also where a table leaves the extension out."""
    path = root / name
    if path.suffix.lower() in EXTENSIONS or path.is_file():
        return path
    return next((p for e in EXTENSIONS if (p := Path(f"{path}{e}")).is_file()), path)


def _corpus(name: str, rest: str, split: str | None) -> Source:
    folder, *options = rest.split(",")
    pairs = dict(option.partition("=")[::2] for option in options)
    images = read_corpus(name, folder, **pairs)
    if split is not None:
        parts = sorted({image.split for image in images if image.split})
        if split not in parts:
            raise UsageError(
                f"split: expected one of {', '.join(parts) or 'none'} in {name}, got {split!r}"
            )
        images = [image for image in images if image.split == split]
    return Source(
        tuple(
            FaceRow(
                image.name,
                image.path,
                math.nan if image.valence is None else image.valence,
                math.nan if image.arousal is None else image.arousal,
                label=class_index(image.expression, image.name),
                subject=image.subject,
                spectrum=image.spectrum,
                groups=image.groups,
            )
            for image in images
        )
    )
