"""Videos written with the times and the sound of another one.

Sound is copied packet by packet where MP4 can hold its format, else encoded as AAC.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.optional import require
from synth.recognition.video import Film, opened, origin, sound_streams
from synth.video import BT709, CRF, LIMITED, whole_file

__all__ = ["FilmWriter", "Shown", "write_film"]

UInt8 = NDArray[np.uint8]

#: Seconds that sound is written ahead of the picture.
AHEAD = Fraction(1, 2)
#: Formats of sound that MP4 holds as they are.
COPIED = ("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac", "vorbis", "mp2")
AAC_RATE = 128_000


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture to be shown at a time: see `Frame`."""

    pts: int
    duration: int
    pixels: UInt8


def write_film(film: Film, pictures: Iterable[Shown], path: str | os.PathLike[str]) -> None:
    """Write pictures as an H.264 MP4 with the times given and the sound of `film`.

    Parameters
    ----------
    film : Film
        Whose sound is kept.
    pictures : iterable of Shown
        All of one size, in order; times in units of ``film.base``.
    path : path

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with opened(film.path, film.name) as source, FilmWriter(path, film.base, film.rate) as writer:
        writer.sound = _Sound(source, film.base)
        for shown in pictures:
            writer.add(shown)


class FilmWriter:
    """An H.264 MP4 that takes one picture after another; use as a context manager.

    Odd sides get their last row or column twice, as H.264 with 4:2:0 needs. The file
    appears when it is whole, and not at all where there is no picture.

    Parameters
    ----------
    path : path
    base : Fraction
        Seconds of a unit of the times.
    rate : Fraction
        Frames a second, about.
    """

    def __init__(self, path: str | os.PathLike[str], base: Fraction, rate: Fraction) -> None:
        self.path, self.base, self.rate = Path(path), base, rate
        self.sound: _Sound | None = None
        self._stack = ExitStack()
        self._output: Any = None
        self._stream: Any = None
        self._durations: dict[int, int] = {}

    def add(self, shown: Shown) -> None:
        """Write the next picture; its size is that of the first."""
        if self._output is None:
            self._open(shown.pixels)
        frame = _yuv(shown.pixels)
        frame.pts, frame.time_base = shown.pts, self.base
        self._durations[shown.pts] = shown.duration
        self._mux(self._stream.encode(frame))
        if self.sound is not None:
            self.sound.copy(shown.pts * self.base + AHEAD)

    def _open(self, first: UInt8) -> None:
        temporary = self._stack.enter_context(whole_file(self.path))
        options = {"movflags": "faststart", "fflags": "+bitexact"}
        self._output = require("av").open(str(temporary), "w", format="mp4", options=options)
        self._stack.enter_context(self._output)
        self._stream = _h264(self._output, first, self.base, self.rate)
        if self.sound is not None:
            self.sound.add_to(self._output)

    def _mux(self, packets: Any) -> None:
        """Write packets with the durations of their pictures, which the last one needs."""
        for packet in packets:
            at = round(packet.pts * packet.time_base / self.base)
            if at in self._durations:
                length = self._durations.pop(at) * self.base
                packet.duration = round(length / packet.time_base)
            self._output.mux(packet)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and self._output is not None:
            self._mux(self._stream.encode(None))
            if self.sound is not None:
                self.sound.copy(None)
        self._stack.__exit__(kind, error, trace)


class _Sound:
    """The sound of one file on its way to another."""

    def __init__(self, source: Any, base: Fraction) -> None:
        self.source = source
        self.output: Any = None
        self.streams = sound_streams(source)
        self.origin = origin(source, base) * base
        self.copies: dict[int, Any] = {}
        self.encoded: dict[int, Any] = {}
        self.packets: Iterator[Any] = iter(())
        self.waiting: Any = None

    def add_to(self, output: Any) -> None:
        """Make the streams of the output; before its first packet is written."""
        self.output = output
        for stream in self.streams:
            name = stream.codec_context.name
            if name in COPIED:
                self.copies[stream.index] = self.output.add_stream_from_template(stream)
            else:
                made = self.output.add_stream("aac", rate=stream.codec_context.sample_rate)
                made.bit_rate = AAC_RATE
                # A layout without names ("1 channels", of PCM in Matroska) is refused.
                count = int(stream.codec_context.channels)
                made.layout = "mono" if count == 1 else "stereo"
                self.encoded[stream.index] = made
        if self.streams:
            self.packets = self.source.demux(self.streams)

    def copy(self, until: Fraction | None) -> None:
        """Write packets up to this time in seconds; None: all that are left."""
        av = require("av")
        try:
            while (packet := self.waiting or next(self.packets, None)) is not None:
                self.waiting = None
                if packet.dts is not None and until is not None:
                    if packet.dts * packet.time_base - self.origin > until:
                        self.waiting = packet
                        return
                self._pass(packet)
        except av.FFmpegError:  # sound that breaks off: what there was is kept
            self.packets = iter(())
        if until is None:
            for stream in self.encoded.values():
                self.output.mux(stream.encode(None))

    def _pass(self, packet: Any) -> None:
        shift = round(self.origin / packet.time_base)
        if (stream := self.copies.get(packet.stream.index)) is not None:
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                self.output.mux(packet)
            return
        for frame in packet.decode():
            if frame.pts is not None:
                frame.pts -= round(self.origin / frame.time_base)
            self.output.mux(self.encoded[packet.stream.index].encode(frame))


def _h264(output: Any, first: UInt8, base: Fraction, rate: Fraction) -> Any:
    stream = output.add_stream("libx264", rate=rate)
    stream.height, stream.width = (side + side % 2 for side in first.shape[:2])
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = stream.time_base = base
    context.thread_count = 1
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = LIMITED
    # Without B frames pictures are written in the order of their times, so that MP4 keeps them.
    context.options = {"crf": str(CRF), "preset": "veryfast", "bf": "0", "threads": "1"}
    return stream


def _yuv(pixels: UInt8) -> Any:
    """The picture as swscale converts it: one level at most from what `synth.video` writes.

    Ten times as fast as its own conversion, which keeps the same bytes everywhere.
    """
    from av.video.reformatter import ColorRange, Colorspace

    height, width = pixels.shape[:2]
    even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    frame = require("av").VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
