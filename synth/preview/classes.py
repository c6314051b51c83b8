"""The VA classes as a map: which class each point of the disc belongs to, how full it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from synth.preview.canvas import (
    GREY,
    INK,
    PAPER,
    Box,
    Label,
    UInt8,
    disc,
    label_at,
    rounded_mask,
)

__all__ = ["ClassMap", "ColourScale", "class_map", "colour_scale", "draw_bar", "draw_classes"]

Float = NDArray[np.float64]

#: From few to many: pale yellow, green, blue, navy (after ColorBrewer's YlGnBu).
SCALE = ((255, 255, 217), (199, 233, 180), (65, 182, 196), (34, 94, 168), (8, 29, 88))


@dataclass(frozen=True)
class ClassMap:
    """The disc, `2 r + 1` pixels wide, cut into the cells nearest to each centre.

    Attributes
    ----------
    index : (n, n) int64
        Class of each pixel; -1 outside the disc.
    border : (n, n) float64
        Pixels to the border with the next class.
    cover : (n, n) float64
        How much of the pixel lies in the disc, 0 to 1.
    """

    index: NDArray[np.int64]
    border: Float
    cover: Float


def class_map(centres: ArrayLike, radius: int) -> ClassMap:
    """The Voronoi cells of class `centres` (K, 2), valence to the right and arousal up.

    Parameters
    ----------
    centres : (K, 2) float
    radius : int
        Of the unit circle, pixels; its centre is the middle pixel's.
    """
    points = np.asarray(centres, np.float64) * (radius, -radius)
    axis = np.arange(-radius, radius + 1, dtype=np.float64)
    x, y = np.meshgrid(axis, axis)
    cover = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    inside = cover > 0
    index = np.full(x.shape, -1, np.int64)
    border = np.full(x.shape, np.inf)
    distance, nearest = cKDTree(points).query(
        np.column_stack([x[inside], y[inside]]), k=min(2, len(points))
    )
    if len(points) == 1:
        index[inside] = nearest
        return ClassMap(index, border, cover)
    index[inside] = nearest[:, 0]
    apart = np.linalg.norm(points[nearest[:, 0]] - points[nearest[:, 1]], axis=1)
    # distance to the line halfway between the two nearest centres
    border[inside] = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * np.maximum(apart, 1e-9))
    return ClassMap(index, border, cover)


@dataclass(frozen=True)
class ColourScale:
    """Colours for counts from `low` to `high`; what is beyond gets the last colour."""

    low: float
    high: float
    beyond: bool

    def __call__(self, counts: ArrayLike) -> Float:
        """(..., 3) RGB, 0 to 255."""
        values = np.asarray(counts, np.float64)
        share = np.clip((values - self.low) / max(self.high - self.low, 1e-9), 0, 1)
        at = np.linspace(0, 1, len(SCALE))
        return np.stack(
            [np.interp(share, at, [colour[k] for colour in SCALE]) for k in range(3)], axis=-1
        )


def colour_scale(counts: ArrayLike) -> ColourScale:
    """A scale for these counts that a few very full classes do not stretch."""
    values = np.asarray(counts, np.float64)
    high = float(np.ceil(np.percentile(values, 98)))
    return ColourScale(float(values.min()), high, bool(values.max() > high))


def draw_classes(
    image: UInt8, centre: tuple[float, float], radius: int, centres: Float, counts: ArrayLike
) -> int:
    """Draw the cells, coloured by count, and a dot at each class centre; how many cells.

    In place, around the pixel `centre`.
    """
    cells, scale = class_map(centres, radius), colour_scale(counts)
    colours = scale(counts)[np.maximum(cells.index, 0)]
    line = np.clip(1.1 - cells.border, 0, 1)[..., None] * 0.55  # soft white borders
    colours = colours + line * (np.array(PAPER) - colours)
    left, top = round(centre[0]) - radius, round(centre[1]) - radius
    size = 2 * radius + 1
    below = image[top : top + size, left : left + size]
    mixed = below + cells.cover[..., None] * (colours - below)
    image[top : top + size, left : left + size] = np.rint(mixed).astype(np.uint8)
    dot = max(0.9, radius / 420)
    for (valence, arousal), count in zip(centres, np.asarray(counts), strict=True):
        dark = scale(count).mean() > 140
        x, y = left + radius * (1 + valence), top + radius * (1 - arousal)
        disc(image, x, y, dot, INK if dark else PAPER)
    return len(np.unique(cells.index[cells.index >= 0]))


def draw_bar(image: UInt8, box: Box, scale: ColourScale, size: int) -> list[Label]:
    """Draw the colours of `scale` from left to right into `box`, in place; their labels."""
    counts = np.linspace(scale.low, scale.high, box.width)
    strip = np.broadcast_to(scale(counts), (box.height, box.width, 3))
    alpha = rounded_mask(box.width, box.height, box.height / 4)[..., None]
    below = image[box.top : box.bottom, box.left : box.right]
    image[box.top : box.bottom, box.left : box.right] = np.rint(
        below + alpha * (strip - below)
    ).astype(np.uint8)
    y = box.bottom + 3
    high = f"{scale.high:.0f}" + (" or more" if scale.beyond else "")
    return [
        label_at(f"{scale.low:.0f}", box.left, y, size, (0.0, 0.0), GREY),
        label_at(high, box.right, y, size, (1.0, 0.0), GREY),
        label_at("samples in the class", box.left, box.top - 4, size, (0.0, 1.0), GREY),
    ]
