"""AffectNet, in both of its releases.

Mollahosseini, Hasani & Mahoor, "AffectNet: A Database for Facial Expression, Valence, and
Arousal Computing in the Wild", IEEE Transactions on Affective Computing 10(1), 2019. About
420,000 photos from the web with an expression and valence-arousal given by one annotator. On
request from the authors, for research.

Layout of the whole set (2017)::

    ROOT/Manually_Annotated_file_lists/training.csv   validation.csv
    ROOT/Manually_Annotated_Images/689/737db2...jpg   also below Manually_Annotated/

with the columns ``subDirectory_filePath, face_x, face_y, face_width, face_height,
facial_landmarks, expression, valence, arousal``; ``validation.csv`` may lack the header. The
photos are whole: faces have to be found in them. The automatically annotated half
(``Automatically_Annotated_file_lists/automatically_annotated.csv``) is read with
``annotated=automatically``.

Layout of the smaller release (2021; faces of 224 x 224 px, 287,651 + 3,999)::

    ROOT/train_set/images/N.jpg   annotations/N_exp.npy  N_val.npy  N_aro.npy  N_lnd.npy
    ROOT/val_set/images/...

Expressions: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger,
7 contempt; 8 none of them, 9 uncertain, 10 no face. Valence and arousal are -2 where there is
none. Nobody knows who is shown: every photo counts as a person of its own, so that splits by
person cannot be had. Landmarks and face boxes are not read.

Options: ``split``: ``train``, ``val`` or ``all`` (default). ``keep``: ``faces`` (default: without
9 and 10), ``eight`` (0 to 7) or ``all``. ``annotated``: ``manually`` (default) or
``automatically``. ``missing``: rows of the whole set whose photo is not there: ``unchecked``
(default: no file is looked for), ``refuse`` or ``leave-out``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synth.affect import CLASSES
from synth.corpora.columns import column_cells, floats_of, whole_numbers_of
from synth.corpora.image import CorpusImage, in_order, word_of
from synth.corpora.npy import scalar_of
from synth.corpora.tree import child, descend, photos, wrong
from synth.errors import UsageError

__all__ = ["CODES", "read"]

LAYOUT = (
    "Manually_Annotated_file_lists/training.csv and Manually_Annotated_Images/, or "
    "train_set/images/ and train_set/annotations/"
)
#: Expression of each code; "" where there is none of them.
CODES = (*CLASSES, "", "", "")
#: Codes below these are kept.
KEPT = {"eight": 8, "faces": 9, "all": 11}
COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
#: Lists of each half, and the part each holds.
LISTS = {
    "manually": {"training.csv": "train", "validation.csv": "val"},
    "automatically": {"automatically_annotated.csv": "train"},
}
SETS = {"train_set": "train", "val_set": "val", "test_set": "test"}
#: Written for valence and arousal where there is neither.
NO_VA = -2


def read(
    root: Path,
    split: str = "all",
    keep: str = "faces",
    annotated: str = "manually",
    missing: str = "unchecked",
) -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is neither layout, a list or annotation is missing or damaged, an expression
        or value is out of range, or photos are missing and asked for.
    """
    split = word_of("split", split, ("train", "val", "all"))
    limit = KEPT[word_of("keep", keep, KEPT)]
    annotated = word_of("annotated", annotated, LISTS)
    word_of("missing", missing, ("unchecked", "refuse", "leave-out"))
    lists = descend(root, lambda folder: _lists_in(folder, annotated) is not None, depth=1)
    if lists:
        images = list(_whole_set(root, lists[0], annotated, split, limit, missing))
    else:
        sets = descend(root, lambda folder: child(folder, "train_set") is not None, depth=1) or [
            root
        ]
        images = list(_small_set(root, sets[0], split, limit))
    if not images:
        raise wrong("affectnet", f"photos of split {split} as {LAYOUT}", root)
    return in_order(images)


def _lists_in(folder: Path, annotated: str) -> Path | None:
    return child(folder, f"{annotated}_annotated_file_lists")


def _whole_set(
    root: Path, top: Path, annotated: str, split: str, limit: int, missing: str
) -> Iterator[CorpusImage]:
    lists = _lists_in(top, annotated)
    name = f"{annotated}_annotated_images"
    folders = descend(top, lambda folder: child(folder, name) is not None, depth=1)
    if lists is None or not folders:
        raise wrong("affectnet", LAYOUT, top)
    pictures = child(folders[0], name) or top
    for file, part in LISTS[annotated].items():
        if split in ("all", part):
            if not (lists / file).is_file():
                raise wrong("affectnet", f"{file} in {lists.name}/", lists)
            yield from _rows(root, lists / file, pictures, part, limit, missing)


def _rows(
    root: Path, table: Path, pictures: Path, part: str, limit: int, missing: str
) -> Iterator[CorpusImage]:
    """The photos of one list; whole columns are checked at once, as there are 400,000 rows."""
    wanted = ("subDirectory_filePath", "expression", "valence", "arousal")
    cells, lines = column_cells(table, wanted, names=COLUMNS)
    codes = whole_numbers_of(cells["expression"], lines, table, "expression", (0, 10))
    v, a = (
        floats_of(cells[axis], lines, table, axis, (-1, 1), absent=NO_VA)
        for axis in ("valence", "arousal")
    )
    known = ~(np.isnan(v) | np.isnan(a))
    base = pictures.relative_to(root).as_posix()
    kept = np.flatnonzero(codes < limit)
    gone = _gone(pictures, [cells[wanted[0]][i] for i in kept]) if missing != "unchecked" else set()
    if gone and missing == "refuse":
        raise UsageError(
            f"affectnet: expected the {len(kept)} photos of {table.name}, got "
            f"{len(kept) - len(gone)}; {min(gone)} is not there; complete the set, or give "
            "missing=leave-out"
        )
    for i in kept:
        place = cells[wanted[0]][i].replace("\\", "/")
        if place in gone:
            continue
        yield CorpusImage(
            pictures / place,
            f"{base}/{place}",
            subject=place,
            spectrum="vis",
            expression=CODES[codes[i]],
            valence=float(v[i]) if known[i] else None,
            arousal=float(a[i]) if known[i] else None,
            split=part,
        )


def _gone(pictures: Path, places: list[str]) -> set[str]:
    """Photos that are not there; folders are listed once instead of asking for each file."""
    there: dict[str, set[str]] = {}
    gone = set()
    for place in places:
        folder, _, name = place.replace("\\", "/").rpartition("/")
        if folder not in there:
            path = pictures / folder
            there[folder] = set(os.listdir(path)) if path.is_dir() else set()
        if name not in there[folder]:
            gone.add(place.replace("\\", "/"))
    return gone


def _small_set(root: Path, top: Path, split: str, limit: int) -> Iterator[CorpusImage]:
    for name, part in SETS.items():
        folder = child(top, name)
        if folder is None or split not in ("all", part):
            continue
        pictures, notes = child(folder, "images"), child(folder, "annotations")
        if pictures is None or notes is None:
            raise wrong("affectnet", "images/ and annotations/", folder)
        for path in photos(pictures, recursive=False):
            code = scalar_of(notes / f"{path.stem}_exp.npy", "expression", (0, 10), whole=True)
            if code is None or code >= limit:
                continue
            va = [
                scalar_of(notes / f"{path.stem}_{axis[:3]}.npy", axis, (-1, 1), absent=NO_VA)
                for axis in ("valence", "arousal")
            ]
            place = path.relative_to(root).as_posix()
            yield CorpusImage(
                path,
                place,
                subject=place,
                spectrum="vis",
                expression=CODES[int(code)],
                valence=va[0] if None not in va else None,
                arousal=va[1] if None not in va else None,
                split=part,
            )
