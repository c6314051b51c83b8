"""RAF-DB, its single-label (basic) part.

Li, Deng & Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression
Recognition in the Wild", CVPR 2017. 15,339 photos from the web (12,271 for training, 3,068 for
testing), each labelled by about 40 people. On request from the authors, for research.

Layout::

    ROOT/EmoLabel/list_patition_label.txt        lines "train_00001.jpg 5" (so spelled)
    ROOT/Image/aligned/train_00001_aligned.jpg   100 x 100 px
    ROOT/Image/original/train_00001.jpg          the whole photo
    ROOT/Annotation/manual/train_00001_manu_attri.txt   optional: gender, race and age

also below a folder ``basic``; ``compound`` beside it is not read. Labels: 1 surprise, 2 fear,
3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral. The lines of the last file are five points,
then gender (0 male, 1 female, 2 unsure), race (0 Caucasian, 1 African-American, 2 Asian) and age
(0: 0-3, 1: 4-19, 2: 20-39, 3: 40-69, 4: 70+); they become the groups gender, ethnicity and age.
Nobody knows who is shown: every photo counts as a person of its own. There is no validation set.

Options: ``images``: ``aligned`` or ``original``; "" (default) takes aligned photos where there are
some. ``split``: ``train``, ``test`` or ``all`` (default).
"""

from __future__ import annotations

import os
from pathlib import Path

from synth.corpora.image import CorpusImage, in_order, word_of
from synth.corpora.tree import child, descend, listed, wrong
from synth.errors import UsageError

__all__ = ["CODES", "read"]

LAYOUT = "EmoLabel/list_patition_label.txt and Image/aligned/ (or Image/original/)"
LIST = "list_patition_label.txt"
#: Expressions of the labels, counted from 1.
CODES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
#: What the last lines of an attribute file say; "" is not told.
ATTRIBUTES = {
    "gender": ("male", "female", ""),
    "ethnicity": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
POINTS = 5


def read(root: Path, images: str = "", split: str = "all") -> list[CorpusImage]:
    """The photos of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no such layout, a line is no name and label, or photos are missing.
    """
    split = word_of("split", split, ("train", "test", "all"))
    found = descend(root, lambda folder: _list_in(folder) is not None, depth=2)
    found = [folder for folder in found if folder == root or folder.name.lower() != "compound"]
    pictures = _pictures(found[0], images) if len(found) == 1 else None
    if pictures is None:
        raise wrong("raf-db", LAYOUT, root)
    top, suffix = found[0], "_aligned" if pictures.name.lower() == "aligned" else ""
    there = set(os.listdir(pictures))
    notes = _attributes_in(top)
    chosen, gone = [], []
    for name, expression, part in _labels(_list_in(top) or top):
        if split not in ("all", part):
            continue
        stem, dot, extension = name.rpartition(".")
        file = f"{stem}{suffix}{dot}{extension}"
        if file not in there:
            gone.append(file)
            continue
        path = pictures / file
        place = path.relative_to(root).as_posix()
        chosen.append(
            CorpusImage(
                path,
                place,
                subject=stem,
                spectrum="vis",
                expression=expression,
                split=part,
                groups=_groups(notes / f"{stem}_manu_attri.txt") if notes else (),
            )
        )
    if gone:
        raise UsageError(
            f"raf-db: expected {len(gone) + len(chosen)} photos in {pictures}, got {len(chosen)}; "
            f"{gone[0]} is not there; complete the set"
        )
    if not chosen:
        raise wrong("raf-db", f"photos of split {split}", root, f"none in {LIST}")
    return in_order(chosen)


def _list_in(folder: Path) -> Path | None:
    labels = child(folder, "EmoLabel")
    return labels / LIST if labels and (labels / LIST).is_file() else None


def _pictures(top: Path, images: str) -> Path | None:
    """The folder of the photos asked for, of aligned ones where nothing was asked."""
    words = ("aligned", "original")
    image = child(top, "Image")
    if image is None:
        return None
    if images:
        return child(image, word_of("images", images, words))
    return next((folder for word in words if (folder := child(image, word))), None)


def _labels(path: Path) -> list[tuple[str, str, str]]:
    """File name, expression and part of each line."""
    rows = []
    for line, place in listed(path):
        name, _, label = line.rpartition(" ")
        part = name.partition("_")[0]
        if not label.isdecimal() or part not in ("train", "test"):
            raise UsageError(
                f"raf-db: {place}: expected a line such as train_00001.jpg 5, got {line!r}"
            )
        if not 1 <= int(label) <= len(CODES):
            raise UsageError(
                f"raf-db: {place}: expected a label from 1 to {len(CODES)}, got {label}; the "
                "compound part of the set is not read"
            )
        rows.append((name.strip(), CODES[int(label) - 1], part))
    return rows


def _attributes_in(top: Path) -> Path | None:
    notes = child(top, "Annotation")
    return child(notes, "manual") if notes else None


def _groups(path: Path) -> tuple[tuple[str, str], ...]:
    """Gender, ethnicity and age of one photo; none where it has no file."""
    if not path.is_file():
        return ()
    lines = path.read_text("utf-8", errors="replace").split("\n")
    groups = []
    for (name, words), line in zip(ATTRIBUTES.items(), lines[POINTS:], strict=False):
        code = line.strip()
        if not code.isdecimal() or int(code) >= len(words):
            raise UsageError(
                f"raf-db: {path}: expected a {name} from 0 to {len(words) - 1}, got {code!r}"
            )
        if words[int(code)]:
            groups.append((name, words[int(code)]))
    return tuple(sorted(groups))
