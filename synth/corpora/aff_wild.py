"""Aff-Wild, the set of the First Affect-in-the-Wild Challenge.

Zafeiriou, Kollias, Nicolaou, Papaioannou, Zhao & Kotsia, "Aff-Wild: Valence and Arousal
'in-the-wild' Challenge", CVPR Workshops 2017. 298 videos with valence and arousal, frame by frame;
the labels of 252 were given out. On request from the authors, for research.

Layout, as handed out::

    ROOT/videos/train/105.avi                      298 files, .avi or .mp4
    ROOT/annotations/train/valence/105.txt         one number a line, a line a frame
    ROOT/annotations/train/arousal/105.txt
    ROOT/bboxes/train/105/...                      not read

The frames have to be taken out of the videos first, all of them in order, into a folder a video::

    mkdir -p frames/train/105
    ffmpeg -i videos/train/105.avi -fps_mode passthrough frames/train/105/%05d.jpg

(every frame once, numbered from 1). The video is the subject. A frame with a value outside of
[-1, 1] is an error.

Options: ``frames``: the folder of the frames, relative to ROOT (``frames/train``). ``first``: the
number of the first frame (1). ``every``: each k-th frame (1). ``length``: as for ``aff-wild2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from synth.corpora.columns import floats_of
from synth.corpora.frames import every_of, numbered_frames
from synth.corpora.image import CorpusImage, in_order, word_of
from synth.corpora.tree import child, listed, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = (
    "annotations/train/valence/105.txt, annotations/train/arousal/105.txt and frames taken out of "
    "the videos, frames/train/105/00001.jpg"
)
#: Frames behind the last line that are left out silently: decoders differ by a few.
SLACK = 5


def read(
    root: Path,
    frames: str = "frames/train",
    first: str = "1",
    every: str = "1",
    length: str = "strict",
) -> list[CorpusImage]:
    """The labelled frames of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there is no such layout, frames were not taken out, the two lists of a video have
        different lengths, or they are shorter than the video.
    """
    step = every_of(every)
    start = int(word_of("first", first, ("0", "1")))
    strict = word_of("length", length, ("strict", "any")) == "strict"
    notes = child(root, "annotations")
    train = child(notes, "train") if notes else None
    axes = [child(train, axis) if train else None for axis in ("valence", "arousal")]
    if axes[0] is None or axes[1] is None or not (root / frames).is_dir():
        raise wrong("aff-wild", LAYOUT, root)
    images: list[CorpusImage] = []
    for path in sorted(axes[0].glob("*.txt")):
        folder = root / frames / path.stem
        if not folder.is_dir():
            raise UsageError(
                f"aff-wild: expected the frames of video {path.stem} in {folder}, got no such "
                "folder; take them out of the video (see docs/corpora.md)"
            )
        values = [_values(path, "valence"), _values(axes[1] / path.name, "arousal")]
        if len(values[0]) != len(values[1]):
            raise UsageError(
                f"aff-wild: expected as many lines for valence as for arousal of {path.stem}, got "
                f"{len(values[0])} and {len(values[1])}"
            )
        images += _video(root, folder, values, start, step, strict)
    if not images:
        raise wrong("aff-wild", f"labelled frames as {LAYOUT}", root)
    return in_order(images)


def _values(path: Path, axis: str) -> list[float]:
    rows = listed(path)
    if not rows:
        raise UsageError(f"aff-wild: expected a number a line in {path}, got nothing")
    cells = [line for line, _ in rows]
    return [float(x) for x in floats_of(cells, range(1, len(rows) + 1), path, axis, (-1, 1))]


def _video(
    root: Path, folder: Path, values: list[list[float]], start: int, step: int, strict: bool
) -> Iterator[CorpusImage]:
    found = numbered_frames(folder, step)
    count = len(values[0])
    last = max((number - start + 1 for number, _ in found), default=0)
    if strict and last > count + SLACK:
        raise UsageError(
            f"aff-wild: expected a line for each frame of {folder.name}, got {count} for {last}; "
            "compare them, or give length=any to leave the frames behind out"
        )
    for number, path in found:
        i = number - start
        if 0 <= i < count:
            yield CorpusImage(
                path,
                path.relative_to(root).as_posix(),
                subject=folder.name,
                spectrum="vis",
                valence=values[0][i],
                arousal=values[1][i],
                sequence=folder.name,
                frame=number,
                split="train",
            )
