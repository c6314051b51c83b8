"""RECOLA, its videos and ratings.

Ringeval, Sonderegger, Sauer & Lalanne, "Introducing the RECOLA multimodal corpus of remote
collaborative and affective interactions", FG Workshops 2013. French speakers at work over video,
five minutes each with valence and arousal of six raters at 25 Hz: 23 people in the set as handed
out, 27 in the AVEC challenges of 2015 and 2016. After an agreement, for research.

Layout::

    ROOT/RECOLA-Annotation/emotional_behaviour/valence/P16.csv
    ROOT/RECOLA-Annotation/emotional_behaviour/arousal/P16.csv
    ROOT/frames/P16/00001.jpg

The tables are separated by semicolons: ``time;FM1;FM2;FM3;FF1;FF2;FF3`` in seconds, 0 to 300 in
steps of .04, with spaces in some headers. Any folder with ``valence/`` and ``arousal/`` in it is
taken for that of the ratings; AVEC's names (``train_1.csv``, ``dev_1.csv``, ``test_1.csv``) give
the parts. The label is the mean of the raters (AVEC's own gold standard weighs them by agreement;
its files in ARFF are not read).

The frames have to be taken out of the videos first, at the ratings' rate, into a folder named like
the table::

    mkdir -p frames/P16
    ffmpeg -i RECOLA-Video-recordings/P16.mp4 -r 25 frames/P16/%05d.jpg

Frame n, counted from 1, is of the time (n - 1) / 25 s and gets the nearest rating; frames further
than a step behind the last one are left out. Each recording shows one person, the subject.

Options: ``frames``: the folder of the frames (``frames``). ``fps``: their rate (25). ``every``:
each k-th frame (1). ``raters``: ``all`` (default) or some, such as ``FM1,FF2``. ``delay``: seconds
by which raters lag behind the face, taken off their time (0).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.corpora.columns import column_cells, floats_of
from synth.corpora.frames import every_of, numbered_frames
from synth.corpora.image import CorpusImage, in_order
from synth.corpora.tree import child, descend, wrong
from synth.errors import UsageError

__all__ = ["RATERS", "read"]

LAYOUT = "emotional_behaviour/valence/P16.csv, arousal/P16.csv and frames/P16/00001.jpg"
RATERS = ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
PARTS = {"train": "train", "dev": "val", "test": "test"}
AXES = ("valence", "arousal")
#: Seconds between ratings.
STEP = 0.04

Float = NDArray[np.float64]


def read(
    root: Path,
    frames: str = "frames",
    fps: str = "25",
    every: str = "1",
    raters: str = "all",
    delay: str = "0",
) -> list[CorpusImage]:
    """The frames of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no such layout, frames were not taken out, the two tables of a recording
        have different times, or a cell is out of range.
    """
    step, rate = every_of(every), _above("fps", fps, 1e-3)
    lag = _above("delay", delay, 0)
    chosen = RATERS if raters.strip().lower() == "all" else _raters(raters)
    sets = descend(root, lambda folder: all(child(folder, axis) for axis in AXES), depth=3)
    tables = [child(sets[0], axis) for axis in AXES] if len(sets) == 1 else [None]
    pictures = root / frames
    if tables[0] is None or tables[1] is None or not pictures.is_dir():
        raise wrong("recola", LAYOUT, root)
    images: list[CorpusImage] = []
    for path in sorted(tables[0].glob("*.csv")):
        folder = pictures / path.stem
        if not folder.is_dir():
            raise UsageError(
                f"recola: expected the frames of {path.stem} in {folder}, got no such folder; "
                "take them out of the video (see docs/corpora.md), or move its tables away"
            )
        times, valence = _ratings(path, "valence", chosen)
        other, arousal = _ratings(tables[1] / path.name, "arousal", chosen)
        if len(times) != len(other) or np.abs(times - other).max() > STEP / 4:
            raise UsageError(
                f"recola: expected equal times for valence and arousal of {path.stem}, got "
                f"{len(times)} and {len(other)} rows with different ones"
            )
        va = np.stack([valence, arousal])
        images += _recording(root, folder, times - lag, va, rate, step)
    if not images:
        raise wrong("recola", f"rated frames as {LAYOUT}", root)
    return in_order(images)


def _above(option: str, text: str, least: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise UsageError(f"{option}: expected a number of at least {least:g}, got {text!r}")
    return value


def _raters(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().upper() for name in text.split(","))
    if not set(names) <= set(RATERS) or len(set(names)) != len(names):
        raise UsageError(f"raters: expected all, or some of {', '.join(RATERS)}, got {text!r}")
    return names


def _ratings(path: Path, axis: str, raters: tuple[str, ...]) -> tuple[Float, Float]:
    """Seconds and the raters' mean."""
    cells, lines = column_cells(path, ("time", *raters), delimiter=";")
    times = floats_of(cells["time"], lines, path, "time", (0, math.inf))
    if np.isnan(times).any() or (np.diff(times) <= 0).any():
        raise UsageError(f"recola: expected rising times in {path}, got others")
    each = np.stack([floats_of(cells[rater], lines, path, axis, (-1, 1)) for rater in raters])
    if np.isnan(each).any():
        line = lines[int(np.flatnonzero(np.isnan(each).any(0))[0])]
        raise UsageError(f"recola: {path} line {line}: expected {axis} of each rater, got none")
    return times, each.mean(0)


def _recording(
    root: Path, folder: Path, times: Float, va: Float, fps: float, step: int
) -> Iterator[CorpusImage]:
    part = PARTS.get(folder.name.lower().partition("_")[0], "")
    for number, path in numbered_frames(folder, step):
        at = (number - 1) / fps
        i = int(np.clip(np.searchsorted(times, at), 1, len(times) - 1)) if len(times) > 1 else 0
        i -= int(i > 0 and at - times[i - 1] <= times[i] - at)
        if number >= 1 and abs(times[i] - at) < 1.01 * STEP:
            yield CorpusImage(
                path,
                path.relative_to(root).as_posix(),
                subject=folder.name,
                spectrum="vis",
                valence=float(va[0, i]),
                arousal=float(va[1, i]),
                sequence=folder.name,
                frame=number,
                split=part,
            )
