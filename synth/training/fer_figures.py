"""Line plots of a few curves in one panel: scores by epoch, scores by amount of data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_panels"]

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]

PAPER, INK, GREY, FAINT = "white", "#20242a", "#787e86", "#e4e8ec"
COLOURS = ("#2171aa", "#c8552b", "#2e8b57", "#8a4fa8", "#b8860b", "#4d4d4d", "#d6498f", "#1c9c9c")
#: Drawn larger and brought down, for smooth lines.
FINE = 2
WIDTH, HEIGHT = 460, 250
LEFT, TOP, RIGHT, BOTTOM = 52, 34, 122, 34


def draw_panels(
    panels: Mapping[str, Curves], axis: str, logarithmic: bool = False
) -> NDArray[np.uint8]:
    """A panel for each group of curves, side by side.

    Parameters
    ----------
    panels : mapping of str to curves
        By title; curves are x and y by name, in any order of x.
    axis : str
        What x is.
    logarithmic : bool
        Distances along x by ratio.

    Returns
    -------
    (H, W, 3) uint8
    """
    size = (max(1, len(panels)) * WIDTH * FINE, HEIGHT * FINE)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (title, curves) in enumerate(panels.items()):
        _panel(draw, number * WIDTH, title, curves, axis, logarithmic)
    return np.asarray(sheet.resize((size[0] // FINE, size[1] // FINE), Image.Resampling.BOX))


def _panel(
    draw: ImageDraw.ImageDraw, left: int, title: str, curves: Curves, axis: str, logarithmic: bool
) -> None:
    box = (left + LEFT, TOP, left + WIDTH - RIGHT, HEIGHT - BOTTOM)
    font, small = (ImageFont.load_default(size * FINE) for size in (13, 11))
    draw.text((box[0] * FINE, (TOP - 10) * FINE), title, INK, font, anchor="ls")
    xs = [x for across, _ in curves.values() for x in across]
    ys = [y for _, up in curves.values() for y in up]
    low, high = _range(ys)
    first, last = (min(xs), max(xs)) if xs else (0.0, 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        if logarithmic and first > 0:
            share = math.log(x / first) / max(math.log(last / first), 1e-9)
        else:
            share = (x - first) / max(last - first, 1e-9)
        up = (y - low) / (high - low)
        return (
            (box[0] + share * (box[2] - box[0])) * FINE,
            (box[3] - up * (box[3] - box[1])) * FINE,
        )

    for value in _ticks(low, high):
        height = place(first, value)[1]
        draw.line([(box[0] * FINE, height), (box[2] * FINE, height)], FAINT, FINE)
        draw.text(((box[0] - 5) * FINE, height), f"{value:.3g}", GREY, small, anchor="rm")
    for value in sorted({first, last}):
        at = (place(value, low)[0], (box[3] + 5) * FINE)
        draw.text(at, f"{value:,.5g}", GREY, small, anchor="mt")
    middle = ((box[0] + box[2]) / 2 * FINE, (box[3] + 5) * FINE)
    draw.text(middle, axis, GREY, small, anchor="mt")
    for number, (name, (across, up)) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        dots = [place(x, y) for x, y in sorted(zip(across, up, strict=True))]
        if len(dots) > 1:
            draw.line(dots, colour, 2 * FINE, joint="curve")
        for x, y in dots if len(dots) < 40 else dots[-1:]:
            draw.ellipse((x - 2 * FINE, y - 2 * FINE, x + 2 * FINE, y + 2 * FINE), colour)
        at = ((box[2] + 10) * FINE, (TOP + 8 + 17 * number) * FINE)
        draw.text(at, name, colour, small, anchor="lm")


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, three to seven of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / 2.5))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if (high - low) / (power * m) <= 6)
    return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper end of the axis, a little beyond the values."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room
