"""Videos read frame by frame.

A frame keeps the time that its file gives it, also where the rate varies; a file without
usable times gets them from its frame rate. Turned videos (a telephone held upright) come
upright. `synth.recognition.remux` writes them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import SkipPhoto
from synth.optional import require
from synth.video import BT709

__all__ = ["Film", "Frame", "open_film", "opened", "origin", "read_frames", "sound_streams"]

UInt8 = NDArray[np.uint8]

#: Where neither the stream nor the file says how many frames a second there are.
RATE = Fraction(25)
#: Pictures of this many rows and more have the colours of BT.709, where nothing is said.
HD = 720
#: The family of formats that count their frames; AVI counts empty places too.
INDEXED = "mp4"
#: A file that shows fewer than this share of the frames it speaks of breaks off; edits may
#: leave out some.
KEPT = 0.95


@dataclass(frozen=True)
class Film:
    """What a video file holds.

    Attributes
    ----------
    path : Path
    name : str
    rate : Fraction
        Frames a second: the mean, where it varies.
    base : Fraction
        Seconds of one unit of `Frame.pts`.
    frames : int
        As the file says; 0 where it does not. Only reading it tells for sure.
    sound : tuple of str
        Format of each stream of sound.
    """

    path: Path
    name: str
    rate: Fraction
    base: Fraction
    frames: int
    sound: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Attributes
    ----------
    index : int
        From 0.
    time : float
        Seconds since the first frame.
    pts, duration : int
        When it is shown and how long, in units of `Film.base`, counted from the start of the
        file's streams.
    pixels : (H, W, 3) uint8
        sRGB, upright.
    """

    index: int
    time: float
    pts: int
    duration: int
    pixels: UInt8


def open_film(path: str | os.PathLike[str], name: str | None = None) -> Film:
    """What a video file holds.

    Raises
    ------
    SkipPhoto
        ``DECODE`` if it is not a readable file with a video stream.
    """
    path = Path(path)
    name = name or path.name
    with opened(path, name) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate or RATE
        sound = tuple(str(s.codec_context.name) for s in sound_streams(container))
        base = stream.time_base or 1 / Fraction(rate)
        counted = INDEXED in container.format.name.split(",")
        frames = int(stream.frames or 0) if counted else 0
        return Film(path, name, Fraction(rate), Fraction(base), frames, sound)


def read_frames(film: Film) -> Iterator[Frame]:
    """The frames of a video, in the order in which they are shown.

    Raises
    ------
    SkipPhoto
        ``DECODE``, with the number of frames before it, where the file breaks off or is
        damaged.
    """
    av = require("av")
    step = max(1, round(1 / (film.rate * film.base)))
    with opened(film.path, film.name) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        start = origin(container, film.base)
        first: int | None = None
        last, count = -1, 0
        decoded = container.decode(stream)
        while True:
            try:
                picture = next(decoded, None)
            except av.FFmpegError as error:
                raise _undecodable(film.name, count, error) from None
            if picture is None:
                break
            told = picture.pts is not None
            pts = int(picture.pts) - start if told else last + step
            pts = pts if pts > last else last + 1 if told and last >= 0 else max(pts, 0)
            first, last = pts if first is None else first, pts
            time = float((pts - first) * film.base)
            yield Frame(count, time, pts, int(picture.duration or step), _upright(picture))
            count += 1
    if count == 0:
        raise SkipPhoto("DECODE", f"{film.name}: expected a video with frames, got none", 0)
    if count < KEPT * film.frames - 2:
        raise _undecodable(
            film.name, count, EOFError(), f"the end after {count} of {film.frames} frames"
        )


def opened(path: Path, name: str) -> Any:
    """The open container, known to have a video stream."""
    av = require("av")
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise _undecodable(name, 0, error) from None
    if not container.streams.video:
        kinds = sorted({stream.type for stream in container.streams})
        container.close()
        raise SkipPhoto(
            "DECODE",
            f"{name}: expected a video stream, got only {', '.join(kinds) or 'nothing'}; "
            "give a file with pictures",
        )
    return container


def _undecodable(name: str, count: int, error: Exception, got: str = "") -> SkipPhoto:
    reason = got or getattr(error, "strerror", None) or type(error).__name__
    where = f", after {count} frames" if count and not got else ""
    return SkipPhoto(
        "DECODE",
        f"{name}: expected a whole, readable video, got {reason!r}{where}; open it in a player "
        "and convert it to MP4 again",
        count or None,
    )


def sound_streams(container: Any) -> list[Any]:
    """The streams of sound that can be decoded."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def origin(container: Any, base: Fraction) -> int:
    """Where the file's times begin, in units of `base`; never later than its first frame."""
    stream = container.streams.video[0]
    start = 0
    if container.start_time:
        start = round(Fraction(container.start_time, 1_000_000) / base)
    return min(start, int(stream.start_time)) if stream.start_time is not None else start


def _upright(picture: Any) -> UInt8:
    """(H, W, 3) sRGB of a decoded frame, turned as the file says."""
    from av.video.reformatter import Colorspace

    space = int(picture.colorspace)
    unsaid = space == 2 and picture.height >= HD
    source = Colorspace.ITU709 if space == BT709 or unsaid else None
    pixels = picture.reformat(format="rgb24", src_colorspace=source).to_ndarray()
    quarters = round(float(picture.rotation) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters))
