"""What was read of each face, beside it on the picture: box, best classes, valence and arousal."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np

from synth.preview.canvas import (
    INK,
    Box,
    Colour,
    Label,
    UInt8,
    label_at,
    paste,
    rounded_mask,
    segment,
    text_size,
    write,
)
from synth.recognition.face_reading import FaceReading

__all__ = ["COLOURS", "colour_of", "draw_overlay", "face_box", "va_text"]

#: One a track; told apart by most eyes (after Okabe & Ito, "Color Universal Design", 2008).
COLOURS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
)
WHITE: Colour = (255, 255, 255)
#: Height of the text as a share of the face, and of the picture at most; pixels at least.
TEXT, TEXT_MOST, TEXT_LEAST = 0.085, 0.024, 10
#: In videos as a share of the picture alone, so that it does not change with the face.
TEXT_FILM = 0.016
#: How much the panel hides of what is below it.
COVER = 0.72
#: A panel that had a good place in the last frame moves only where it gains this much of
#: its own area.
STAY = 0.15
CLASSES = 3


@dataclass(frozen=True)
class _Panel:
    """The rows beside a face, around (0, 0)."""

    bars: tuple[tuple[str, float], ...]
    lines: tuple[str, ...]
    size: int
    width: int
    row: int
    pad: int

    @property
    def height(self) -> int:
        return self.row * (len(self.bars) + len(self.lines)) + 2 * self.pad


def colour_of(reading: FaceReading) -> Colour:
    """The colour of a face's track, or of its place among the faces of a photo."""
    number = reading.face if reading.track is None else reading.track - 1
    return COLOURS[number % len(COLOURS)]


def va_text(valence: float, arousal: float) -> tuple[str, str]:
    """Both as they are written on pictures."""
    # + 0.0 turns a rounded -0.0 into 0.0; the built-in font has no minus sign but the hyphen.
    return f"V {round(valence, 2) + 0.0:+.2f}", f"A {round(arousal, 2) + 0.0:+.2f}"


def face_box(reading: FaceReading, height: int, width: int, margin: float = 0.14) -> Box:
    """The landmarks with a margin, of their larger side; inside a picture of this size."""
    low, high = reading.points.min(0), reading.points.max(0)
    pad = margin * float((high - low).max())
    low, high = np.floor(low - (pad, 1.6 * pad)), np.ceil(high + pad)
    left, top = (int(np.clip(v, 0, side - 2)) for v, side in zip(low, (width, height), strict=True))
    right = int(np.clip(high[0], left + 2, width))
    return Box(left, top, right, int(np.clip(high[1], top + 2, height)))


def draw_overlay(
    pixels: UInt8,
    readings: Sequence[FaceReading],
    places: MutableMapping[int, int] | None = None,
) -> UInt8:
    """(H, W, 3) picture with a box around each face and a panel beside it.

    Panels stand where they hide as little of faces as can be.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    readings : sequence of FaceReading
        Of this picture.
    places : dict, optional
        Of a video: keep one and hand it on from frame to frame, so that panels do not jump.
    """
    image = np.array(pixels)
    height, width = image.shape[:2]
    boxes = [face_box(reading, height, width) for reading in readings]
    labels: list[Label] = []
    taken: list[Box] = []
    for reading, box in zip(readings, boxes, strict=True):
        colour = colour_of(reading)
        panel = _panel(reading, box, height, width)
        _outline(image, box, max(1.5, panel.size / 9), colour)
        number = -1 if places is None or reading.track is None else places.get(reading.track, -1)
        place, number = _place(panel, box, boxes, taken, (height, width), number)
        if places is not None and reading.track is not None:
            places[reading.track] = number
        taken.append(place)
        labels += _draw_panel(image, panel, place, colour)
    write(image, labels)
    return image


def _panel(reading: FaceReading, box: Box, height: int, width: int) -> _Panel:
    wanted = min(TEXT * box.height, TEXT_MOST * max(height, width))
    if reading.track is not None:
        wanted = TEXT_FILM * max(height, width)
    bars = tuple(reading.top(CLASSES))
    lines: list[str] = []
    if reading.valence is not None and reading.arousal is not None:
        lines.append("  ".join(va_text(reading.valence, reading.arousal)))
    if reading.track is not None:
        lines.append(f"face {reading.track}")
    for size in range(max(TEXT_LEAST, round(wanted)), 5, -1):
        widest = max(
            [text_size(line, size)[0] for line in lines]
            + [text_size(f"{name}  100%", size)[0] for name in reading.probabilities]
            + [size]
        )
        row, pad = text_size("A", size)[1] + max(1, size // 6), max(2, size // 3)
        panel = _Panel(bars, tuple(lines), size, widest + 4 * pad, row, pad)
        if panel.width <= 0.6 * width and panel.height <= 0.6 * height:
            break
    return panel


def _outline(image: UInt8, box: Box, line: float, colour: Colour) -> None:
    left, top, right, bottom = box.left, box.top, box.right - 1, box.bottom - 1
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        segment(image, start, end, line + 1.2, INK)
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        segment(image, start, end, line, colour)


def _place(
    panel: _Panel,
    box: Box,
    faces: Sequence[Box],
    taken: Sequence[Box],
    size: tuple[int, int],
    before: int,
) -> tuple[Box, int]:
    """Where the panel hides least, and the number of that place; `before` if it is as good."""
    height, width = size
    wide, high = min(panel.width, width), min(panel.height, height)
    gap = max(2, panel.pad)
    spots = [
        (box.right + gap, box.top),
        (box.left - gap - wide, box.top),
        (box.left, box.bottom + gap),
        (box.left, box.top - gap - high),
        (box.right + gap, box.bottom - high),
        (box.left - gap - wide, box.bottom - high),
        (width - wide, height - high),
        (0, height - high),
        (width - wide, 0),
        (0, 0),
    ]
    found = []
    for number, (x, y) in enumerate(spots):
        left, top = int(np.clip(x, 0, width - wide)), int(np.clip(y, 0, height - high))
        place = Box(left, top, left + wide, top + high)
        hidden = sum(_shared(place, face) for face in faces)
        hidden += 3 * sum(_shared(place, other) for other in taken)
        cost = hidden / (wide * high) + 0.01 * number - (STAY if number == before else 0.0)
        found.append((cost, number, place))
    _, number, place = min(found)
    return place, number


def _shared(a: Box, b: Box) -> int:
    """Pixels in both."""
    wide = min(a.right, b.right) - max(a.left, b.left)
    high = min(a.bottom, b.bottom) - max(a.top, b.top)
    return max(wide, 0) * max(high, 0)


def _draw_panel(image: UInt8, panel: _Panel, place: Box, colour: Colour) -> list[Label]:
    """Draw the panel without its text, in place; its labels."""
    _fill(image, place, INK, COVER, panel.pad)
    labels = []
    left, right, y = place.left + panel.pad, place.right - panel.pad, place.top + panel.pad
    for name, share in panel.bars:
        bar = Box(left, y + 1, right, y + panel.row - 1)
        _fill(image, bar, WHITE, 0.12, panel.pad)
        filled = bar._replace(right=left + max(1, round(share * bar.width)))
        _fill(image, filled, colour, 0.6, panel.pad)
        middle = (bar.top + bar.bottom) / 2
        labels.append(label_at(name, left + panel.pad, middle, panel.size, (0.0, 0.5), WHITE))
        percent = f"{100 * share:.0f}%"
        labels.append(label_at(percent, right - panel.pad, middle, panel.size, (1.0, 0.5), WHITE))
        y += panel.row
    for line in panel.lines:
        at = left + panel.pad, y + panel.row / 2
        labels.append(label_at(line, *at, panel.size, (0.0, 0.5), WHITE))
        y += panel.row
    return labels


def _fill(image: UInt8, box: Box, colour: Colour, cover: float, radius: float) -> None:
    """A rectangle with round corners, `cover` opaque, in place."""
    if box.width > 0 and box.height > 0:
        round_ = min(radius, box.width / 2, box.height / 2)
        block = np.broadcast_to(np.array(colour, np.uint8), (box.height, box.width, 3))
        paste(image, np.asarray(block), box, cover * rounded_mask(box.width, box.height, round_))
