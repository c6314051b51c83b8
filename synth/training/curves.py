"""Line plots of losses: small panels, one a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_curves"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

PAPER, INK, GREY, FAINT, BLUE = "white", "#20242a", "#787e86", "#c9dcea", "#2171aa"
#: Drawn larger and brought down, for smooth lines.
FINE = 2
WIDTH, HEIGHT, MARGIN, COLUMNS = 300, 170, 46, 3
#: The strong line is a running mean over this share of the points.
SMOOTH = 0.05


def draw_curves(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> UInt8:
    """Every curve in a panel of its own; faint the values, strong their running mean.

    Parameters
    ----------
    curves : mapping of str to two (n,) arrays
        Iterations and values by name.

    Returns
    -------
    (H, W, 3) uint8
        RGB, three panels a row.
    """
    columns = max(1, min(COLUMNS, len(curves)))
    rows = max(1, math.ceil(len(curves) / columns))
    size = (columns * WIDTH + 20, rows * HEIGHT + 20)
    sheet = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, (x, y)) in enumerate(curves.items()):
        left, top = (number % columns) * WIDTH, (number // columns) * HEIGHT
        _panel(draw, left, top, name, np.asarray(x, np.float64), np.asarray(y, np.float64))
    return np.asarray(sheet.resize(size, Image.Resampling.BOX))


def _panel(draw: ImageDraw.ImageDraw, left: int, top: int, name: str, x: Float, y: Float) -> None:
    box = (left + MARGIN + 10, top + 30, left + WIDTH, top + HEIGHT - 14)
    low, high = _range(y)
    font, small = (ImageFont.load_default(size * FINE) for size in (13, 11))
    draw.rectangle([v * FINE for v in box], outline=GREY, width=1)
    draw.text((box[0] * FINE, (box[1] - 5) * FINE), name, INK, font, anchor="ls")
    for value, height in ((high, box[1]), (low, box[3])):
        place = ((box[0] - 4) * FINE, height * FINE)
        draw.text(place, f"{value:.3g}", GREY, small, anchor="rm")
    if not len(x):
        return
    last = (box[2] * FINE, (box[3] + 3) * FINE)
    draw.text(last, f"iteration {x[-1]:,.0f}", GREY, small, anchor="rt")
    across = (x - x[0]) / max(float(x[-1] - x[0]), 1.0)
    for values, colour, width in ((y, FAINT, 1), (_running_mean(y), BLUE, 2)):
        places = np.column_stack([
            (box[0] + across * (box[2] - box[0])) * FINE,
            (box[3] - (values - low) / (high - low) * (box[3] - box[1])) * FINE,
        ])  # fmt: skip
        draw.line([tuple(p) for p in places], colour, width * FINE, joint="curve")


def _range(y: Float) -> tuple[float, float]:
    """Lower and upper end of the axis, 0 included where the values come near it."""
    if not len(y):
        return 0.0, 1.0
    low, high = float(y.min()), float(y.max())
    if 0 < low < 0.5 * high:
        low = 0.0
    if high - low < 1e-12:
        low, high = low - 0.5, high + 0.5
    return low, high


def _running_mean(y: Float) -> Float:
    """Means over a centred window; at the ends over what there is of it."""
    half = int(len(y) * SMOOTH / 2)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    at = np.arange(len(y))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(y))
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float64)
