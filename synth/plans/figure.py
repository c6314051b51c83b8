"""A picture of where a set lies in the disc, before and after."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.plans.density import bin_areas, kl_to_uniform

__all__ = ["histogram_figure"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

PAPER, INK, GREY = (255, 255, 255), (32, 36, 42), (120, 126, 134)
#: Density relative to uniform -> colour: white at none, dark at the top of the scale.
RAMP = np.array([[247, 250, 252], [199, 222, 236], [107, 174, 208], [33, 113, 170], [8, 40, 90]])
#: Drawn larger and brought down, for smooth edges.
FINE = 3
SIDE, MARGIN, TEXT = 300, 40, 14


def histogram_figure(
    before: ArrayLike | None,
    after: ArrayLike,
    edges: ArrayLike | None = None,
    titles: tuple[str, str] = ("before", "after"),
) -> UInt8:
    """The density of a set on the disc, or of two sets side by side on one scale.

    Colour is the number of pictures per area, relative to a flat set of the same size:
    1 is flat. Valence runs to the right, arousal up. Below each disc stand the number of
    pictures and the divergence from uniform in bits.

    Parameters
    ----------
    before, after : (B, B) float
        Counts, valence first; `before` may be None.
    edges : (B + 1,) float, optional
        Of the bins on both axes; even ones by default.
    titles : (str, str)
        Of the two discs; the second alone is drawn when `before` is None.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    last = np.asarray(after, np.float64)
    lines = np.linspace(-1, 1, len(last) + 1) if edges is None else np.asarray(edges, np.float64)
    areas = bin_areas(lines)
    panels = [(titles[1], last)]
    if before is not None:
        panels.insert(0, (titles[0], np.asarray(before, np.float64)))
    relative = [_relative(counts, areas) for _, counts in panels]
    top = max(2.0, math.ceil(max(float(r.max()) for r in relative)))
    step = SIDE + 2 * MARGIN
    width, height = step * len(panels) + 88, SIDE + 2 * MARGIN + 3 * TEXT
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    for i, density in enumerate(relative):
        x, y = i * step + MARGIN, MARGIN + TEXT
        sheet[y : y + SIDE, x : x + SIDE] = _panel(density, lines, top)
    bar = width - 64, MARGIN + TEXT + 20
    ramp = _colours(np.linspace(1, 0, SIDE - 40))[:, None]
    sheet[bar[1] : bar[1] + len(ramp), bar[0] : bar[0] + 14] = ramp
    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    for i, (title, counts) in enumerate(panels):
        _label_panel(draw, i * step + MARGIN, MARGIN + TEXT, title, counts, areas)
    _label_scale(draw, *bar, len(ramp), top)
    return np.asarray(picture)


def _relative(counts: Float, areas: Float) -> Float:
    """Density over that of a flat set; NaN-free, 0 outside and for an empty set."""
    total = counts.sum()
    flat = np.where(areas > 0, areas, 1) * (total if total > 0 else 1)
    return np.where(areas > 0, counts / flat, 0.0)


def _colours(level: Float) -> UInt8:
    """(..., 3) colours of levels 0 to 1; square-rooted, so that small densities differ."""
    place = np.sqrt(np.clip(level, 0, 1)) * (len(RAMP) - 1)
    channels = [np.interp(place, np.arange(len(RAMP)), RAMP[:, c]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def _panel(density: Float, edges: Float, top: float) -> UInt8:
    """(SIDE, SIDE, 3) a disc with its bins."""
    size = SIDE * FINE
    axis = (np.arange(size) + 0.5) / size * 2.06 - 1.03
    place = np.clip(np.searchsorted(edges, axis, side="right") - 1, 0, len(edges) - 2)
    valence, arousal = place, place[::-1]  # arousal up
    pixels = _colours(density[valence[None, :], arousal[:, None]] / top)
    radius = np.hypot(axis[None, :], axis[:, None])
    line = 2.06 / size * FINE
    pixels[radius > 1] = PAPER
    pixels[np.abs(radius - 1) < line * 0.6] = GREY
    cross = (np.abs(axis) < line / 4)[None, :] | (np.abs(axis) < line / 4)[:, None]
    pixels[cross & (radius < 1)] = GREY
    small = pixels.reshape(SIDE, FINE, SIDE, FINE, 3).astype(np.float64).mean(axis=(1, 3))
    return np.rint(small).astype(np.uint8)


def _label_panel(
    draw: ImageDraw.ImageDraw, x: int, y: int, title: str, counts: Float, areas: Float
) -> None:
    font = ImageFont.load_default(TEXT)
    small = ImageFont.load_default(TEXT - 2)
    flat = f", {kl_to_uniform(counts, areas):.3f} bits from uniform" if counts.sum() > 0 else ""
    draw.text((x + SIDE / 2, y - 24), title, INK, font, anchor="ms")
    draw.text((x + SIDE / 2, y - 5), "arousal +1", GREY, small, anchor="ms")
    draw.text((x + SIDE / 2, y + SIDE + 14), "-1", GREY, small, anchor="ms")
    draw.text((x - 4, y + SIDE / 2 + 4), "-1", GREY, small, anchor="rs")
    draw.text((x + SIDE + 2, y + SIDE / 2 + 4), "valence", GREY, small, anchor="ls")
    draw.text((x + SIDE + 2, y + SIDE / 2 + 18), "+1", GREY, small, anchor="ls")
    text = f"{counts.sum():,.0f} pictures{flat}"
    draw.text((x + SIDE / 2, y + SIDE + 36), text, INK, small, anchor="ms")


def _label_scale(draw: ImageDraw.ImageDraw, x: int, y: int, length: int, top: float) -> None:
    small = ImageFont.load_default(TEXT - 2)
    for value in sorted({0.0, 1.0, top}):
        height = y + (1 - value / top) * (length - 1)
        draw.line([(x + 14, height), (x + 18, height)], GREY)
        draw.text((x + 21, height), f"{value:g}", GREY, small, anchor="lm")
    draw.text((x - 4, y - 10), "x uniform", GREY, small, anchor="ls")
