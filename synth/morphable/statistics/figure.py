"""The curves of a model as a picture."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.morphable.statistics.curves import Curve, Curves

__all__ = ["draw_curves"]

Float = NDArray[np.float64]

PAPER, INK, GREY, FAINT = "#ffffff", "#20242a", "#787e86", "#e6e9ec"
#: Line and band; blue and vermilion of Okabe & Ito.
BLUE, BLUE_BAND = "#0072b2", "#cfe3f0"
RED = "#d55e00"
#: Drawn larger and brought down, for smooth lines.
FINE = 3
WIDTH, HEIGHT, LEFT, TOP, GAP = 330, 230, 56, 64, 24


class _Line(NamedTuple):
    name: str
    values: Float
    colour: str


def draw_curves(curves: Curves, title: str) -> NDArray[np.uint8]:
    """Three panels over the number of modes: compactness, generalisation, specificity.

    Parameters
    ----------
    curves : Curves
    title : str
        Above all panels.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    step = LEFT + WIDTH + GAP
    size = (3 * step, TOP + HEIGHT + 52)
    sheet = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((14 * FINE, 16 * FINE), title, INK, ImageFont.load_default(15 * FINE), anchor="lm")
    held = curves.held_out
    own = _Line("of the meshes it is built from", 100 * curves.compactness, RED)
    left_out = _Line("of subjects left out", 100 * held.value, BLUE)
    share = Curve(100 * held.value, 100 * held.low, 100 * held.high)
    panels: tuple[tuple[str, Curve, list[_Line], float | None], ...] = (
        ("compactness, % of variance", share, [own, left_out], 100.0),
        ("generalisation, mm", curves.generalisation, [], None),
        ("specificity, mm", curves.specificity, [], None),
    )
    for number, (name, curve, lines, top) in enumerate(panels):
        lines = lines or [_Line("", curve.value, BLUE)]
        _panel(draw, number * step + LEFT, name, curves.modes, curve, lines, top)
    return np.asarray(sheet.resize(size, Image.Resampling.BOX))


def _panel(
    draw: ImageDraw.ImageDraw, left: int, name: str, modes: NDArray[np.int64], band: Curve,
    lines: list[_Line], top: float | None,
) -> None:  # fmt: skip
    font, small = (ImageFont.load_default(size * FINE) for size in (13, 11))
    draw.text((left * FINE, (TOP - 18) * FINE), name, INK, font, anchor="lm")
    values = np.concatenate([band.low, band.high, *(line.values for line in lines)])
    low, high, step = _axis(0.0 if top is None else float(values.min()), top or float(values.max()))
    # Numbers of modes on a logarithmic axis: the first ones matter most.
    span = math.log(max(int(modes[-1]), 2))

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log(x) / span if len(modes) > 1 else 0.5
        up = min(max((y - low) / (high - low), 0.0), 1.0)
        return (left + across * WIDTH) * FINE, (TOP + (1 - up) * HEIGHT) * FINE

    edge = (left * FINE, (left + WIDTH) * FINE)
    for tick in np.arange(round(low / step), round(high / step) + 1) * step:
        y = place(1, float(tick))[1]
        draw.line([(edge[0], y), (edge[1], y)], FAINT, FINE)
        draw.text((edge[0] - 6 * FINE, y), f"{tick:.4g}", GREY, small, anchor="rm")
    for count in _ticks(int(modes[-1])):
        x, y = place(count, low)
        draw.line([(x, TOP * FINE), (x, y)], FAINT, FINE)
        draw.text((x, y + 6 * FINE), f"{count}", GREY, small, anchor="mt")
    middle = ((edge[0] + edge[1]) / 2, (TOP + HEIGHT + 30) * FINE)
    draw.text(middle, "modes", GREY, small, anchor="mt")
    upper = [place(int(m), float(v)) for m, v in zip(modes, band.high, strict=True)]
    lower = [place(int(m), float(v)) for m, v in zip(modes, band.low, strict=True)]
    if len(modes) > 1:
        draw.polygon(upper + lower[::-1], BLUE_BAND)
    for number, line in enumerate(lines):
        points = [place(int(m), float(v)) for m, v in zip(modes, line.values, strict=True)]
        draw.line(points, line.colour, 2 * FINE, joint="curve")
        for x, y in points:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), line.colour)
        if line.name:
            at = (edge[1] - 8 * FINE, (TOP + HEIGHT - 34 + 18 * number) * FINE)
            draw.text(at, line.name, line.colour, small, anchor="rm")


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """Ends and step of an axis that holds both numbers, at most seven steps."""
    span = max(high - low, 1e-6)
    step = 10 ** math.floor(math.log10(span / 2))
    step *= next(f for f in (1, 2, 5, 10) if span / (f * step) <= 6)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _ticks(most: int) -> list[int]:
    """1, 2, 5, 10, ... and the last, unless it crowds the one before."""
    ticks = [f * 10**p for p in range(6) for f in (1, 2, 5) if f * 10**p <= most]
    if most > 1.25 * ticks[-1]:
        ticks.append(most)
    return ticks
