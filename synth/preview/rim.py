"""The circumplex around pictures: unit circle, axes, and the names of states on the rim."""

from __future__ import annotations

import math
from collections.abc import Sequence

from synth.affect import STATES
from synth.preview.canvas import (
    GREY,
    INK,
    LINE,
    Box,
    Label,
    UInt8,
    label_at,
    polygon,
    ring,
    segment,
    text_size,
)
from synth.types import VA

__all__ = ["NAMES", "axis_labels", "draw_axes", "rim_labels"]

#: Word drawn -> its point, those that must not be missing first.
NAMES: dict[str, VA] = {
    word: STATES[state]
    for word, state in {
        "happy": "happiness",
        "sad": "sadness",
        "angry": "anger",
        "afraid": "fear",
        "surprised": "surprise",
        "calm": "calm",
        "tired": "tired",
        "excited": "excited",
        "disgusted": "disgust",
        "bored": "bored",
        "relaxed": "relaxed",
        "sleepy": "sleepy",
        "delighted": "delighted",
        "miserable": "miserable",
        "distressed": "distressed",
        "fatigued": "fatigued",
        "interested": "interested",
        "tranquil": "tranquil",
        "glad": "glad",
    }.items()
}


def _outside(
    text: str, angle: float, radius: float, size: int, colour: tuple[int, int, int]
) -> Label:
    """A label that touches the circle of `radius` around (0, 0) from outside at `angle`."""
    width, height = text_size(text, size)
    x, y = math.cos(angle), -math.sin(angle)
    reach = radius + abs(x) * width / 2 + abs(y) * height / 2
    return label_at(text, x * reach, y * reach, size, colour=colour)


def axis_labels(radius: float, size: int) -> list[Label]:
    """ "valence" and "arousal" beyond the arrows that end at `radius`, relative to the centre."""
    pad = 0.4 * size
    return [
        label_at("valence", radius + pad, 0, size, (0.0, 0.5), INK),
        label_at("arousal", 0, -radius - pad, size, (0.5, 1.0), INK),
    ]


def rim_labels(radius: float, size: int, taken: Sequence[Box]) -> list[Label]:
    """The state names that fit outside `radius`, at their angles, relative to the centre.

    Names that would come too near to another one or to a box of `taken` are left out,
    the later ones of `NAMES` first.
    """
    labels: list[Label] = []
    for text, va in NAMES.items():
        label = _outside(text, va.angle, radius + 0.35 * size, size, GREY)
        boxes = [*taken, *(other.box for other in labels)]
        if not any(label.box.overlaps(box, size // 3) for box in boxes):
            labels.append(label)
    return labels


def draw_axes(
    image: UInt8, x: float, y: float, radius: float, reach: float, names: Sequence[Label]
) -> None:
    """The unit circle of `radius` px, both axes out to `reach` px, a tick for each name."""
    ring(image, x, y, radius, 1.6, LINE)
    ring(image, x, y, reach, 1.0, (232, 234, 237))
    for label in names:
        angle = NAMES[label.text].angle
        u, v = math.cos(angle), -math.sin(angle)
        start, end = (x + reach * u, y + reach * v), (x + (reach + 6) * u, y + (reach + 6) * v)
        segment(image, start, end, 1.4, GREY)
    segment(image, (x - reach, y), (x + reach, y), 1.2, LINE)
    segment(image, (x, y + reach), (x, y - reach), 1.2, LINE)
    tip = 5.0
    right, top = x + reach + 2 * tip, y - reach - 2 * tip
    segment(image, (x + reach, y), (right - tip, y), 1.2, GREY)
    segment(image, (x, y - reach), (x, top + tip), 1.2, GREY)
    polygon(image, [(right, y), (right - 2 * tip, y + tip), (right - 2 * tip, y - tip)], GREY)
    polygon(image, [(x, top), (x + tip, top + 2 * tip), (x - tip, top + 2 * tip)], GREY)
