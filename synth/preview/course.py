"""Valence, arousal and expression over the time of a video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.preview.canvas import (
    GREY,
    INK,
    LINE,
    Box,
    Colour,
    Label,
    UInt8,
    disc,
    fitting_text,
    label_at,
    paper,
    segment,
    text_size,
    title_labels,
    write,
)
from synth.preview.overlay import COLOURS, colour_of
from synth.recognition.face_reading import FaceReading

__all__ = ["draw_course"]

Float = NDArray[np.float64]

WIDTH, LEFT, RIGHT, PANEL, GAP, TEXT = 1200, 96, 1160, 220, 34, 16
#: Seconds between ticks, the first that gives at most `TICKS` of them.
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
TICKS = 14
#: A line is broken where a face is missing for this many frames of the usual distance.
BROKEN = 3.5
#: Faces with a line; more are too many to be told apart.
SHOWN = len(COLOURS)


def draw_course(readings: Sequence[FaceReading], title: str = "") -> UInt8:
    """(H, 1200, 3) plot: valence and arousal of each track, and its expressions as a strip.

    The tracks seen most often are shown, with the colours of `synth.preview.overlay`.

    Parameters
    ----------
    readings : sequence of FaceReading
        Of one video.
    title : str
    """
    tracks: dict[int, list[FaceReading]] = {}
    for reading in readings:
        tracks.setdefault(reading.track or 0, []).append(reading)
    most = sorted(tracks, key=lambda number: -len(tracks[number]))[:SHOWN]
    shown = {number: tracks[number] for number in sorted(most)}
    end = max([reading.time or 0.0 for reading in readings], default=0.0) or 1.0
    has_va = any(reading.valence is not None for reading in readings)
    names = list(dict.fromkeys(n for r in readings for n in r.probabilities))
    row = text_size("A", TEXT - 3)[1] + 4

    labels = title_labels(title, _legend(tracks, shown), 24, WIDTH - 48, TEXT)
    top = labels[-1].box.bottom + GAP if labels else GAP
    boxes = []
    for _ in range(2 if has_va else 0):
        boxes.append(Box(LEFT, top, RIGHT, top + PANEL))
        top += PANEL + GAP
    strip = Box(LEFT, top, RIGHT, top + row * len(names)) if names else None
    image = paper(WIDTH, (strip.bottom if strip else top - GAP) + 2 * GAP)
    for name, box in zip(("valence", "arousal"), boxes, strict=False):
        labels += _frame(image, box, name)
        for own in shown.values():
            _line(image, box, own, [getattr(r, name) for r in own], end)
    if strip is not None:
        labels += _classes(image, strip, names, shown, end, row)
    labels += _ticks(image, [*boxes, *([strip] if strip else [])], end)
    write(image, labels)
    return image


def _legend(tracks: dict[int, list[FaceReading]], shown: dict[int, list[FaceReading]]) -> str:
    parts = [f"face {number}: {len(own)} frames" for number, own in shown.items()]
    more = len(tracks) - len(shown)
    return ", ".join(parts) + (f", and {more} more faces" if more else "")


def _frame(image: UInt8, box: Box, name: str) -> list[Label]:
    """The axes of one panel; its labels."""
    labels = [label_at(name, box.left, box.top - 5, TEXT, (0.0, 1.0), INK)]
    for value in (-1.0, -0.5, 0.0, 0.5, 1.0):
        y = _height(box, value)
        width = 1.4 if value == 0 else 0.8
        segment(image, (box.left, y), (box.right, y), width, LINE)
        text = "0" if value == 0 else f"{value:+.1f}"
        labels.append(label_at(text, box.left - 10, y, TEXT - 2, (1.0, 0.5), GREY))
    return labels


def _height(box: Box, value: float) -> float:
    return box.bottom - (float(np.clip(value, -1, 1)) + 1) / 2 * box.height


def _across(time: float | None, end: float) -> float:
    return LEFT + (time or 0.0) / end * (RIGHT - LEFT)


def _line(
    image: UInt8, box: Box, own: Sequence[FaceReading], values: Sequence[float | None], end: float
) -> None:
    """The line of one face, broken where it is missing."""
    colour = colour_of(own[0])
    times = np.array([reading.time or 0.0 for reading in own])
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    before: tuple[float, float] | None = None
    last = -np.inf
    for time, value in zip(times, values, strict=True):
        if value is None:
            continue
        at = (_across(time, end), _height(box, value))
        if before is not None and time - last <= BROKEN * usual:
            segment(image, before, at, 2.0, colour)
        else:
            disc(image, *at, 1.6, colour)
        before, last = at, time


def _classes(
    image: UInt8,
    box: Box,
    names: Sequence[str],
    shown: dict[int, list[FaceReading]],
    end: float,
    row: int,
) -> list[Label]:
    """A row a class, marked where it is the most probable one; its labels."""
    labels = []
    share = 1 / max(len(shown), 1)
    for number, name in enumerate(names):
        y = box.top + number * row
        segment(image, (box.left, y + row), (box.right, y + row), 0.6, LINE)
        text = fitting_text(name, TEXT - 3, LEFT - 16)
        labels.append(label_at(text, box.left - 10, y + row / 2, TEXT - 3, (1.0, 0.5), GREY))
    for place, own in enumerate(shown.values()):
        times = [reading.time or 0.0 for reading in own]
        usual = float(np.median(np.diff(times))) if len(times) > 1 else end / 50
        for reading, time in zip(own, times, strict=True):
            if reading.expression in names:
                top = box.top + (names.index(reading.expression) + place * share) * row
                left, right = _across(time, end), min(_across(time + usual, end), RIGHT)
                _mark(image, left, right, top + 1, top + share * row - 1, colour_of(reading))
    return labels


def _mark(
    image: UInt8, left: float, right: float, top: float, bottom: float, colour: Colour
) -> None:
    rows = slice(round(top), max(round(top) + 1, round(bottom)))
    image[rows, round(left) : max(round(left) + 1, round(right))] = colour


def _ticks(image: UInt8, boxes: Sequence[Box], end: float) -> list[Label]:
    """Seconds below the last panel."""
    if not boxes:
        return []
    step = next((s for s in STEPS if end / s <= TICKS), STEPS[-1])
    bottom, labels = boxes[-1].bottom, []
    for number in range(int(end / step + 1e-9) + 1):
        x = _across(number * step, end)
        segment(image, (x, bottom), (x, bottom + 6), 1.0, GREY)
        text = f"{number * step:g} s"
        labels.append(label_at(text, x, bottom + 10, TEXT - 2, (0.5, 0.0), GREY))
    return labels
