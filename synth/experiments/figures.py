"""Figures of an experiment's tables: dots with intervals, and scores while training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["Dot", "draw_dots", "draw_lines"]

UInt8 = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]

PAPER, INK, GREY, FAINT = "white", "#20242a", "#787e86", "#e6e9ec"
#: Told apart by colour-blind readers, too (Okabe & Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
#: Drawn larger and brought down, for smooth lines.
FINE = 2
ROW, WIDTH, HEAD, FOOT, PAD = 24, 420, 36, 30, 14
LINE_WIDTH, LINE_HEIGHT, MARGIN = 400, 200, 48


class Dot(NamedTuple):
    """A row of `draw_dots`; ends may be NaN; `seeds` are the values of single seeds."""

    name: str
    value: float
    low: float
    high: float
    seeds: tuple[float, ...] = ()


def draw_dots(title: str, dots: Sequence[Dot], reference: str = "") -> UInt8:
    """A row a condition: the mean over seeds with its interval, and small the seeds.

    Parameters
    ----------
    title : str
    dots : sequence of Dot
    reference : str
        Condition whose value is drawn as a line through all rows.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    font, small = (ImageFont.load_default(size * FINE) for size in (13, 11))
    left = PAD + max((int(font.getlength(dot.name)) for dot in dots), default=0) // FINE + 10
    size = (left + WIDTH + 70, HEAD + ROW * len(dots) + FOOT)
    sheet = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    low, high, step = _axis([v for d in dots for v in (d.value, d.low, d.high, *d.seeds)])

    def across(value: float) -> float:
        return (left + (value - low) / (high - low) * WIDTH) * FINE

    bottom = (HEAD + ROW * len(dots)) * FINE
    draw.text((PAD * FINE, 18 * FINE), title, INK, font, anchor="lm")
    for tick in np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step:
        draw.line([(across(tick), HEAD * FINE), (across(tick), bottom)], FAINT, FINE)
        draw.text((across(tick), bottom + 6 * FINE), f"{tick:.3g}", GREY, small, anchor="mt")
    for dot in dots:
        if dot.name == reference and math.isfinite(dot.value):
            draw.line([(across(dot.value), HEAD * FINE), (across(dot.value), bottom)],
                      GREY, FINE)  # fmt: skip
    for number, dot in enumerate(dots):
        y = (HEAD + ROW * number + ROW // 2) * FINE
        draw.text(((left - 8) * FINE, y), dot.name, INK, font, anchor="rm")
        if not math.isfinite(dot.value):
            draw.text((left * FINE, y), "undefined", GREY, small, anchor="lm")
            continue
        if math.isfinite(dot.low):
            draw.line([(across(dot.low), y), (across(dot.high), y)], COLOURS[0], 2 * FINE)
        for seed in dot.seeds:
            _disc(draw, across(seed), y, 2 * FINE, GREY)
        _disc(draw, across(dot.value), y, 5 * FINE, COLOURS[0])
        draw.text(((left + WIDTH + 10) * FINE, y), f"{dot.value:.3f}", INK, small, anchor="lm")
    return np.asarray(sheet.resize(size, Image.Resampling.BOX))


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: str) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _axis(values: Sequence[float]) -> tuple[float, float, float]:
    """Ends and step of an axis that holds the values."""
    known = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(known), max(known)
    span = max(high - low, 1e-3)
    step = 10 ** math.floor(math.log10(span / 2))
    step *= next(f for f in (1, 2, 5, 10) if span / (f * step) <= 6)
    return math.floor(low / step) * step, math.ceil(high / step + 1e-9) * step, step


def draw_lines(curves: Mapping[str, Mapping[str, Points]], across: str = "step") -> UInt8:
    """A panel a measure, a line a seed.

    Parameters
    ----------
    curves : mapping of str to mapping of str to points
        Measure -> line -> (x, y).
    across : str
        What x is.

    Returns
    -------
    (H, W, 3) uint8
        RGB, two panels a row.
    """
    columns = min(2, max(1, len(curves)))
    rows = math.ceil(len(curves) / columns) or 1
    size = (columns * (LINE_WIDTH + 20) + 20, rows * (LINE_HEIGHT + 20) + 10)
    sheet = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, lines) in enumerate(curves.items()):
        left = 10 + number % columns * (LINE_WIDTH + 20)
        top = 10 + number // columns * (LINE_HEIGHT + 20)
        _panel(draw, left, top, name, lines, across)
    return np.asarray(sheet.resize(size, Image.Resampling.BOX))


def _panel(
    draw: ImageDraw.ImageDraw, left: int, top: int, name: str, lines: Mapping[str, Points],
    across: str,
) -> None:  # fmt: skip
    font, small = (ImageFont.load_default(size * FINE) for size in (13, 11))
    box = (left + MARGIN, top + 22, left + LINE_WIDTH, top + LINE_HEIGHT - 22)
    draw.text((box[0] * FINE, (top + 8) * FINE), name, INK, font, anchor="lm")
    low, high, step = _axis([y for line in lines.values() for _, y in line])
    first = min((x for line in lines.values() for x, _ in line), default=0.0)
    last = max((x for line in lines.values() for x, _ in line), default=1.0)
    width, height = box[2] - box[0], box[3] - box[1]

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            (box[0] + (x - first) / max(last - first, 1e-9) * width) * FINE,
            (box[3] - (y - low) / (high - low) * height) * FINE,
        )

    for tick in np.arange(round(low / step), round(high / step) + 1) * step:
        draw.line([place(first, tick), place(last, tick)], FAINT, FINE)
        draw.text((place(first, tick)[0] - 6 * FINE, place(first, tick)[1]), f"{tick:.3g}", GREY,
                  small, anchor="rm")  # fmt: skip
    draw.text((box[2] * FINE, (box[3] + 6) * FINE), f"{across} {last:,.0f}", GREY, small,
              anchor="rt")  # fmt: skip
    for number, (key, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        draw.line([place(x, y) for x, y in line], colour, 2 * FINE, joint="curve")
        at = ((box[2] - 4) * FINE, (top + 8) * FINE)
        draw.text((at[0] - 60 * FINE * (len(lines) - 1 - number), at[1]), key, colour, small,
                  anchor="rm")  # fmt: skip
