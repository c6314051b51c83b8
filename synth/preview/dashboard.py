"""A face beside the circumplex with its point and trail, and the classes as bars."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.color import to_rgb
from synth.images import resize
from synth.preview.canvas import (
    GREY,
    INK,
    LINE,
    PAPER,
    Box,
    Label,
    UInt8,
    disc,
    fitting_text,
    label_at,
    paper,
    paste,
    ring,
    rounded_mask,
    segment,
    title_labels,
    write,
)
from synth.preview.overlay import colour_of, va_text
from synth.preview.rim import axis_labels, draw_axes, rim_labels
from synth.recognition.face_reading import FaceReading

__all__ = ["SIZE", "draw_dashboard"]

#: Width and height of a dashboard, pixels.
SIZE = (1280, 720)
FACE = Box(40, 96, 480, 536)
CENTRE, RADIUS, REACH = (880.0, 250.0), 165.0, 172.0
BARS = Box(560, 494, 1240, 690)
TEXT = 20
#: Half the side of the part of the photo that is shown, in sides of the landmarks' box.
AROUND = 0.85
#: Points of the trail that are drawn at most.
TRAIL = 90

Float = NDArray[np.float64]


def draw_dashboard(
    pixels: UInt8,
    reading: FaceReading | None,
    trail: Sequence[tuple[float, float]] = (),
    title: str = "",
    subtitle: str = "",
    classes: Sequence[str] = (),
) -> UInt8:
    """(720, 1280, 3) dashboard of one face.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        The picture.
    reading : FaceReading or None
        Of the face that is shown; None where the frame does not show it: the whole
        picture then.
    trail : sequence of (valence, arousal)
        Where the point came from, oldest first.
    title, subtitle : str
    classes : sequence of str
        Of the bars, where there is no reading.
    """
    image = _background(tuple(classes) or tuple(reading.probabilities if reading else ())).copy()
    titles = title_labels(title, subtitle, 20, FACE.width, TEXT)
    labels = [label.moved(FACE.left - 20, 0) for label in titles]
    _face(image, pixels, reading)
    if reading is not None:
        labels += _numbers(reading)
        _point(image, reading, trail)
        labels += _shares(image, reading)
    elif pixels.size:
        middle = (FACE.left + FACE.right) / 2
        labels.append(label_at("no face", middle, FACE.bottom + 36, TEXT, colour=GREY))
    write(image, labels)
    return image


@cache
def _background(classes: tuple[str, ...]) -> UInt8:
    """What all dashboards have in common."""
    image = paper(*SIZE)
    x, y = CENTRE
    axes = axis_labels(REACH + 12, TEXT - 4)
    names = rim_labels(REACH + 6, TEXT - 5, [label.box for label in axes])
    draw_axes(image, x, y, RADIUS, REACH, names)
    labels = [label.moved(round(x), round(y)) for label in [*axes, *names]]
    for name, bar in _bars(classes):
        alpha = rounded_mask(bar.width, bar.height, bar.height / 4)
        paste(image, _block(bar, LINE), bar, 0.5 * alpha)
        end = bar.left - 12
        labels.append(label_at(name, end, (bar.top + bar.bottom) / 2, TEXT - 4, (1.0, 0.5)))
    write(image, labels)
    image.flags.writeable = False
    return image


def _bars(classes: Sequence[str]) -> list[tuple[str, Box]]:
    """Name and full length of each bar."""
    count = max(len(classes), 1)
    row = min(26.0, BARS.height / count)
    found = []
    for number, name in enumerate(classes):
        top = round(BARS.top + number * row)
        box = Box(BARS.left + 130, top, BARS.right - 70, top + max(4, round(0.76 * row)))
        found.append((fitting_text(name, TEXT - 4, 118), box))
    return found


def _block(box: Box, colour: tuple[int, int, int]) -> UInt8:
    return np.broadcast_to(np.array(colour, np.uint8), (box.height, box.width, 3)).copy()


def _face(image: UInt8, pixels: UInt8, reading: FaceReading | None) -> None:
    """The face, or all of the picture, fitted into `FACE`."""
    pixels = to_rgb(pixels) if pixels.ndim == 2 else pixels
    shown = pixels if reading is None else _square(pixels, reading)
    scale = min(FACE.width / shown.shape[1], FACE.height / shown.shape[0])
    width, height = (max(1, round(side * scale)) for side in (shown.shape[1], shown.shape[0]))
    left = FACE.left + (FACE.width - width) // 2
    top = FACE.top + (FACE.height - height) // 2
    paste(image, resize(np.ascontiguousarray(shown), width, height),
          Box(left, top, left + width, top + height))  # fmt: skip


def _square(pixels: UInt8, reading: FaceReading) -> UInt8:
    """A square around the face; where it leaves the picture its border is repeated."""
    low, high = reading.points.min(0), reading.points.max(0)
    half = AROUND * float((high - low).max())
    middle = (low + high) / 2 - (0.0, 0.12 * half)
    start = np.floor(middle - half).astype(int)
    side = max(2, int(round(2 * half)))
    rows = np.clip(np.arange(start[1], start[1] + side), 0, pixels.shape[0] - 1)
    columns = np.clip(np.arange(start[0], start[0] + side), 0, pixels.shape[1] - 1)
    return pixels[rows[:, None], columns[None]]


def _numbers(reading: FaceReading) -> list[Label]:
    """Under the face: what it shows in words and numbers."""
    y, labels = FACE.bottom + 34, []
    middle = (FACE.left + FACE.right) / 2
    if reading.expression and reading.confidence is not None:
        text = f"{reading.expression}  {100 * reading.confidence:.0f}%"
        labels.append(label_at(text, middle, y, TEXT + 10))
        y += 46
    if reading.valence is not None and reading.arousal is not None:
        valence, arousal = va_text(reading.valence, reading.arousal)
        text = f"{valence.replace('V', 'valence')}    {arousal.replace('A', 'arousal')}"
        labels.append(label_at(text, middle, y, TEXT + 4, colour=GREY))
    return labels


def _point(image: UInt8, reading: FaceReading, trail: Sequence[tuple[float, float]]) -> None:
    """The point on the circumplex, and where it came from, fading."""
    colour = colour_of(reading)
    kept = [_place(v, a) for v, a in trail][-TRAIL:]
    if reading.valence is not None and reading.arousal is not None:
        kept.append(_place(reading.valence, reading.arousal))
    for number, (start, end) in enumerate(zip(kept, kept[1:], strict=False), 1):
        fresh = number / len(kept)
        faded = tuple(round(p + fresh * (c - p)) for p, c in zip(PAPER, colour, strict=True))
        segment(image, start, end, 1.0 + 2.5 * fresh, faded)  # type: ignore[arg-type]
    if reading.valence is not None and kept:
        disc(image, *kept[-1], 9.0, colour)
        ring(image, *kept[-1], 9.0, 2.0, INK)


def _place(valence: float, arousal: float) -> tuple[float, float]:
    """Pixels of a point; what a network says beyond the unit circle stays where it is."""
    return CENTRE[0] + RADIUS * valence, CENTRE[1] - RADIUS * arousal


def _shares(image: UInt8, reading: FaceReading) -> list[Label]:
    """Fill the bars; the numbers behind them."""
    labels = []
    shares = reading.probabilities
    for share, (_, bar) in zip(shares.values(), _bars(tuple(shares)), strict=True):
        filled = bar._replace(right=bar.left + max(1, round(share * bar.width)))
        radius = min(filled.width / 2, bar.height / 4)
        alpha = rounded_mask(filled.width, filled.height, radius)
        paste(image, _block(filled, colour_of(reading)), filled, alpha)
        y = (bar.top + bar.bottom) / 2
        text = f"{100 * share:.0f}%"
        labels.append(label_at(text, bar.right + 12, y, TEXT - 4, (0.0, 0.5), GREY))
    return labels
