"""Videos of sequences: H.264 in MP4, and animated WebP as a preview.

The same frames give the same bytes: one thread, no times, no tool names.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError, UsageError
from synth.optional import require

__all__ = ["frame_rate", "whole_file", "write_mp4", "write_webp"]

UInt8 = NDArray[np.uint8]

#: Constant quality of x264: hardly told from the original.
CRF = 16
#: Seconds between frames that a player can jump to.
KEYFRAME_SECONDS = 1.0
#: An animated WebP shows at most this many frames a second (browsers slow down those
#: with more), and holds at most so many.
WEBP_FPS, WEBP_FRAMES = 50.0, 600
#: ITU-T H.273 codes of ITU-R BT.709, and of the range 16 to 235.
BT709, LIMITED = 1, 1
#: Luma weights of BT.709 for red and blue.
RED, BLUE = 0.2126, 0.0722


def frame_rate(fps: float) -> Fraction:
    """The exact rate meant: 30, 2997/100, or 30000/1001 for 29.97002997.

    Raises
    ------
    UsageError
        If it is not above 0 or not finite.
    """
    if not 0 < fps < math.inf:
        raise UsageError(f"fps: expected a frame rate above 0, got {fps:g}")
    rate = Fraction(fps).limit_denominator(1001)
    return rate if rate else Fraction(fps).limit_denominator(10**6)


def write_mp4(frames: Iterable[UInt8], path: str | os.PathLike[str], fps: float) -> None:
    """Write frames as an H.264 MP4 of constant frame rate, 4:2:0, BT.709.

    The colours are read as sRGB, which shares the primaries of BT.709, and tagged as
    BT.709 of limited range, as players expect. H.264 with 4:2:0 needs even sides: an
    odd one gets its last row or column twice. The file appears when it is whole.

    Parameters
    ----------
    frames : iterable of (H, W, 3) uint8
        RGB, all of one size; read one at a time.
    path : path
    fps : float

    Raises
    ------
    UsageError
        If `fps` is not above 0.
    ShapeError
        If there is no frame, or one is not (H, W, 3) uint8 or differs in size from the first.
    OSError
        If the file cannot be written.
    """
    rate = frame_rate(fps)
    av = require("av")
    pictures = _checked(frames)
    first = next(pictures, None)
    if first is None:
        raise ShapeError("frames: expected at least one, got none")
    with whole_file(path) as temporary:
        # bitexact: neither the muxer's version nor a time of creation in the file
        options = {"movflags": "faststart", "fflags": "+bitexact"}
        with av.open(str(temporary), "w", format="mp4", options=options) as container:
            stream = _h264(container, first, rate)
            for number, picture in enumerate(_chain(first, pictures)):
                frame = av.VideoFrame.from_ndarray(_yuv420(picture), format="yuv420p")
                frame.pts, frame.time_base = number, 1 / rate
                frame.colorspace, frame.color_range = BT709, LIMITED
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def _h264(container: Any, first: UInt8, rate: Fraction) -> Any:
    """A stream for pictures like `first`."""
    stream = container.add_stream("libx264", rate=rate)
    stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.thread_count = 1
    context.gop_size = max(1, round(rate * Fraction(KEYFRAME_SECONDS)))
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = LIMITED
    context.options = {"crf": str(CRF), "preset": "medium", "threads": "1"}
    return stream


def _yuv420(picture: UInt8) -> UInt8:
    """(3 H / 2, W) planes Y, Cb, Cr for (H, W, 3) RGB; sides made even.

    BT.709, limited range. Colour samples lie on the left of each pair of columns and
    between the rows, where H.264 has them unless told otherwise.
    """
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    red, green, blue = np.moveaxis(even.astype(np.float32) / np.float32(255), 2, 0)
    luma = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    planes = [16 + 219 * luma]
    for difference, weight in ((blue - luma, BLUE), (red - luma, RED)):
        rows = (difference[::2] + difference[1::2]) / 2
        wide = np.pad(rows, ((0, 0), (1, 0)), mode="edge")
        columns = (wide[:, :-1:2] + 2 * wide[:, 1::2] + wide[:, 2::2]) / 4
        planes.append(128 + 224 * columns / (2 * (1 - weight)))
    flat = np.concatenate([plane.ravel() for plane in planes])
    codes: UInt8 = np.rint(flat).astype(np.uint8).reshape(-1, even.shape[1])
    return codes


def write_webp(
    frames: Iterable[UInt8], path: str | os.PathLike[str], fps: float, side: int = 320
) -> None:
    """Write frames as a small animated WebP that repeats for ever.

    For looking at: frames are left out above 50 per second, and from long sequences
    so that at most 600 remain; the playing time stays. Equal neighbours may be stored
    as one frame of twice the length.

    Parameters
    ----------
    frames : iterable of (H, W, 3) uint8
        RGB, all of one size; read one at a time.
    path : path
    fps : float
    side : int
        The longer side is shrunk to this many pixels; smaller frames stay as they are.

    Raises
    ------
    UsageError
        If `fps` or `side` is not above 0.
    ShapeError
        If there is no frame, or one is not (H, W, 3) uint8 or differs in size from the first.
    OSError
        If the file cannot be written.
    """
    rate = frame_rate(fps)
    if side < 1:
        raise UsageError(f"side: expected at least 1 pixel, got {side}")
    from PIL import Image

    every = max(1, math.ceil(rate / Fraction(WEBP_FPS)))
    kept: list[Image.Image] = []
    count = 0
    for count, picture in enumerate(_checked(frames), 1):
        if (count - 1) % every == 0:
            kept.append(_shrunk(Image.fromarray(picture), side))
        if len(kept) > WEBP_FRAMES:
            kept, every = kept[::2], 2 * every
    if not kept:
        raise ShapeError("frames: expected at least one, got none")
    starts = [*range(0, count, every), count]
    stamps = [round(1000 * start / rate) for start in starts]
    durations = [after - before for before, after in zip(stamps, stamps[1:], strict=False)]
    with whole_file(path) as temporary:
        kept[0].save(
            temporary,
            format="WEBP",
            save_all=True,
            append_images=kept[1:],
            duration=durations,
            loop=0,
            quality=80,
            method=4,
        )


def _shrunk(image: Any, side: int) -> Any:
    """`image` with no side longer than `side`."""
    longest = max(image.size)
    if longest <= side:
        return image
    size = tuple(max(1, round(length * side / longest)) for length in image.size)
    return image.resize(size, resample=1, reducing_gap=3.0)  # 1 is Lanczos


def _checked(frames: Iterable[UInt8]) -> Iterator[UInt8]:
    """The frames, each of them uint8 RGB of the first one's size."""
    shape: tuple[int, ...] = ()
    for number, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ShapeError(
                f"frames: expected (H, W, 3) uint8 RGB, got {frame.shape} {frame.dtype} "
                f"in frame {number}"
            )
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ShapeError(
                f"frames: expected one size, got {frame.shape} in frame {number} after {shape}"
            )
        yield frame


def _chain(first: UInt8, rest: Iterator[UInt8]) -> Iterator[UInt8]:
    yield first
    yield from rest


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary name beside `path`, moved there when all went well, else removed."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
