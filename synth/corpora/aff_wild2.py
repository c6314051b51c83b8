"""Aff-Wild2, as handed out for the ABAW competitions.

Kollias & Zafeiriou, "Aff-Wild2: Extending the Aff-Wild Database for Affect Recognition",
arXiv:1811.07770, 2018. 558 videos, 2.8 million frames, valence and arousal, seven expressions,
frame by frame. On request from the authors, for research.

Layout::

    ROOT/cropped_aligned/VIDEO/00001.jpg          112 x 112 px; undetected frames are missing
    ROOT/annotations/VA_Estimation_Challenge/Train_Set/VIDEO.txt   also Validation_Set
    ROOT/annotations/EXPR_Classification_Challenge/Train_Set/VIDEO.txt

The folder of the annotations has any name, and its challenges any name that starts with ``VA``
or ``EXPR`` (``VA_Set`` and ``EXPR_Set`` in 2020). The first line of a file names its columns:
``valence,arousal``, or the expressions in the order of their codes (``Neutral,Anger,Disgust,
Fear,Happiness,Sadness,Surprise,Other``; ``Other`` is no expression here). Line k after it is of
frame k, counted from 1. Valence or arousal of -5 and an expression of -1 are invalid; such frames
are left out, as are those of ``Other`` with ``task=expr``.

The video is the subject. ``VIDEO_left`` and ``VIDEO_right`` are two people of one video, each a
subject of its own. Whether one person is in two videos the set does not tell. The parts are
those of the task's folders; they differ between the tasks, so that one is read at a time.

Options: ``task``: ``va`` (default) or ``expr``. ``split``: ``train``, ``val`` or ``all``
(default). ``every``: each k-th frame (1). ``frames``: the folder of the frames
(``cropped_aligned``). ``length``: ``strict`` (default) refuses a video that has frames behind the
last line, more than five; ``any`` leaves those frames out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synth.affect import EXPRESSIONS
from synth.corpora.columns import column_cells, floats_of, whole_numbers_of
from synth.corpora.frames import every_of, numbered_frames
from synth.corpora.image import CorpusImage, expression_of, in_order, word_of
from synth.corpora.tree import child, descend, folders, listed, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = (
    "cropped_aligned/VIDEO/00001.jpg and annotations/VA_Estimation_Challenge/Train_Set/VIDEO.txt"
)
PARTS = {"Train_Set": "train", "Validation_Set": "val"}
#: Written where a rater's value is invalid.
NO_VA = -5
#: Frames behind the last line that are left out silently: decoders differ by a few.
SLACK = 5

#: Label of a frame: expression, valence, arousal.
Label = tuple[str, float | None, float | None]


def read(
    root: Path,
    task: str = "va",
    split: str = "all",
    every: str = "1",
    frames: str = "cropped_aligned",
    length: str = "strict",
) -> list[CorpusImage]:
    """The labelled frames of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no such layout, a file is no list of labels, or it is shorter than its video.
    """
    task = word_of("task", task, ("va", "expr"))
    split = word_of("split", split, (*PARTS.values(), "all"))
    strict = word_of("length", length, ("strict", "any")) == "strict"
    step = every_of(every)
    pictures = child(root, frames)
    places = [root] if _challenge(root, task) else [f for f in folders(root) if f != pictures]
    sets = [
        found
        for place in places
        for found in descend(place, lambda folder: _challenge(folder, task) is not None, depth=1)
    ]
    if pictures is None or len(sets) != 1:
        raise wrong("aff-wild2", LAYOUT, root)
    challenge = _challenge(sets[0], task) or root
    images: list[CorpusImage] = []
    for name, part in PARTS.items():
        lists = child(challenge, name)
        for path in sorted(lists.glob("*.txt")) if lists and split in ("all", part) else ():
            if not (pictures / path.stem).is_dir():
                raise UsageError(
                    f"aff-wild2: expected the frames of {path.name} in {pictures / path.stem}, got "
                    "no such folder; complete the set, or move the list away"
                )
            labels = _expressions(path) if task == "expr" else _affect(path)
            images += _video(root, pictures / path.stem, labels, part, step, strict)
    if not images:
        raise wrong("aff-wild2", f"labelled frames (task {task}, split {split}) as {LAYOUT}", root)
    return in_order(images)


def _challenge(folder: Path, task: str) -> Path | None:
    """The folder of a task's lists."""
    return next(
        (
            below
            for below in folders(folder)
            if below.name.lower().startswith(task) and any(child(below, name) for name in PARTS)
        ),
        None,
    )


def _affect(path: Path) -> list[Label | None]:
    axes = ("valence", "arousal")
    cells, lines = column_cells(path, axes)
    v, a = (floats_of(cells[axis], lines, path, axis, (-1, 1), absent=NO_VA) for axis in axes)
    known = ~(np.isnan(v) | np.isnan(a))
    return [("", float(v[i]), float(a[i])) if known[i] else None for i in range(len(lines))]


def _expressions(path: Path) -> list[Label | None]:
    rows = listed(path)
    if not rows:
        raise UsageError(f"aff-wild2: expected the names of expressions in {path}, got nothing")
    words = [word.strip() for word in rows[0][0].split(",")]
    names = ["" if w.lower() == "other" else expression_of(w, rows[0][1]) for w in words]
    if len(set(names)) != len(names) or not set(names) - {""} <= set(EXPRESSIONS):
        raise UsageError(f"aff-wild2: {rows[0][1]}: expected names of expressions, got {words}")
    lines = list(range(2, len(rows) + 1))
    codes = whole_numbers_of(
        [line for line, _ in rows[1:]], lines, path, "label", (-1, len(names) - 1)
    )
    return [(names[code], None, None) if code >= 0 and names[code] else None for code in codes]


def _video(
    root: Path, folder: Path, labels: list[Label | None], part: str, step: int, strict: bool
) -> Iterator[CorpusImage]:
    found = numbered_frames(folder, step)
    last = max((number for number, _ in found), default=0)
    if strict and last > len(labels) + SLACK:
        raise UsageError(
            f"aff-wild2: expected a line for each frame of {folder.name}, got {len(labels)} for "
            f"{last}; compare them, or give length=any to leave the frames behind out"
        )
    base = folder.relative_to(root).as_posix()
    for number, path in found:
        label = labels[number - 1] if 1 <= number <= len(labels) else None
        if label is not None:
            yield CorpusImage(
                path,
                f"{base}/{path.name}",
                subject=folder.name,
                spectrum="vis",
                expression=label[0],
                valence=label[1],
                arousal=label[2],
                sequence=folder.name,
                frame=number,
                split=part,
            )
