"""Drawing on an RGB array: boxes, text, circles, arrows and pictures with rounded corners.

Everything that is not text is antialiased by its exact distance to each pixel,
since Pillow's own lines and circles have hard edges.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "GREY",
    "INK",
    "LINE",
    "PAPER",
    "Box",
    "Label",
    "disc",
    "fitting_text",
    "label_at",
    "paper",
    "paste",
    "polygon",
    "ring",
    "rounded_mask",
    "segment",
    "text_size",
    "title_labels",
    "write",
]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
Colour = tuple[int, int, int]

PAPER: Colour = (255, 255, 255)
INK: Colour = (32, 36, 42)
GREY: Colour = (120, 126, 134)
LINE: Colour = (208, 212, 217)


class Box(NamedTuple):
    """Pixels ``[top:bottom, left:right]``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def overlaps(self, other: Box, gap: int = 0) -> bool:
        """Whether the two share a pixel, or come nearer than `gap` pixels."""
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def moved(self, x: int, y: int) -> Box:
        """The box shifted by (x, y) pixels."""
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)


class Label(NamedTuple):
    """A line of text and where it stands."""

    text: str
    box: Box
    size: int
    colour: Colour = INK

    def moved(self, x: int, y: int) -> Label:
        """The label shifted by (x, y) pixels."""
        return self._replace(box=self.box.moved(x, y))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # scalable, and part of Pillow


def text_size(text: str, size: int) -> tuple[int, int]:
    """Width and line height of a text in pixels."""
    font = _font(size)
    if isinstance(font, ImageFont.FreeTypeFont):
        ascent, descent = font.getmetrics()
        return math.ceil(font.getlength(text)), ascent + descent
    left, top, right, bottom = font.getbbox(text)  # Pillow without FreeType: a bitmap font
    return math.ceil(right - left), math.ceil(bottom - top)


def fitting_text(text: str, size: int, width: int) -> str:
    """`text`, shortened in its middle where it is wider than `width` pixels."""
    if text_size(text, size)[0] <= width:
        return text
    for kept in range(len(text) - 1, 0, -1):
        short = f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"
        if text_size(short, size)[0] <= width:
            return short
    return ""


def label_at(
    text: str,
    x: float,
    y: float,
    size: int,
    anchor: tuple[float, float] = (0.5, 0.5),
    colour: Colour = INK,
) -> Label:
    """A label whose box has the point (x, y) at the share `anchor` of its width and height."""
    width, height = text_size(text, size)
    left, top = round(x - anchor[0] * width), round(y - anchor[1] * height)
    return Label(text, Box(left, top, left + width, top + height), size, colour)


def title_labels(title: str, subtitle: str, margin: int, width: int, size: int) -> list[Label]:
    """The lines on top of a sheet, shortened to `width` pixels; those that are not empty."""
    labels: list[Label] = []
    y = margin
    for text, height, colour in ((title, round(1.5 * size), INK), (subtitle, size, GREY)):
        if text:
            text = fitting_text(text, height, width)
            labels.append(label_at(text, margin, y, height, (0.0, 0.0), colour))
            y = labels[-1].box.bottom + 2
    return labels


def paper(width: int, height: int) -> UInt8:
    """(height, width, 3) empty sheet."""
    return np.full((height, width, 3), PAPER, np.uint8)


def write(image: UInt8, labels: list[Label]) -> None:
    """Draw labels onto `image` in place."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for label in labels:
        draw.text(label.box[:2], label.text, label.colour, _font(label.size))
    image[:] = np.asarray(picture)


# ------------------------------------------------------------------------ shapes
def _grid(
    image: UInt8, box: tuple[float, float, float, float]
) -> tuple[slice, slice, Float, Float]:
    """The window of `image` around a box, and x and y of its pixels."""
    height, width = image.shape[:2]
    x0, x1 = max(0, math.floor(box[0]) - 2), min(width, math.ceil(box[2]) + 3)
    y0, y1 = max(0, math.floor(box[1]) - 2), min(height, math.ceil(box[3]) + 3)
    x, y = np.arange(x0, max(x0, x1), dtype=float), np.arange(y0, max(y0, y1), dtype=float)
    return slice(y0, max(y0, y1)), slice(x0, max(x0, x1)), x[None, :], y[:, None]


def _blend(image: UInt8, rows: slice, columns: slice, cover: Float, colour: Colour) -> None:
    part = image[rows, columns].astype(float)
    cover = np.clip(cover, 0, 1)[..., None]
    image[rows, columns] = np.rint(part + cover * (np.array(colour, float) - part)).astype(np.uint8)


def disc(image: UInt8, x: float, y: float, radius: float, colour: Colour) -> None:
    """A filled circle, in place."""
    rows, columns, px, py = _grid(image, (x - radius, y - radius, x + radius, y + radius))
    _blend(image, rows, columns, radius + 0.5 - np.hypot(px - x, py - y), colour)


def ring(image: UInt8, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
    """A circle line `width` pixels wide, in place."""
    rows, columns, px, py = _grid(image, (x - radius, y - radius, x + radius, y + radius))
    cover = width / 2 + 0.5 - np.abs(np.hypot(px - x, py - y) - radius)
    _blend(image, rows, columns, cover, colour)


def segment(
    image: UInt8,
    start: tuple[float, float],
    end: tuple[float, float],
    width: float,
    colour: Colour,
) -> None:
    """A straight line with round ends, in place."""
    (ax, ay), (bx, by) = start, end
    rows, columns, px, py = _grid(image, (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))
    dx, dy = bx - ax, by - ay
    along = ((px - ax) * dx + (py - ay) * dy) / max(dx * dx + dy * dy, 1e-12)
    along = np.clip(along, 0, 1)
    distance = np.hypot(px - ax - along * dx, py - ay - along * dy)
    _blend(image, rows, columns, width / 2 + 0.5 - distance, colour)


def polygon(image: UInt8, corners: list[tuple[float, float]], colour: Colour) -> None:
    """A filled convex polygon, its corners clockwise in the picture, in place."""
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    rows, columns, px, py = _grid(image, (min(xs), min(ys), max(xs), max(ys)))
    cover = np.full((py.shape[0], px.shape[1]), np.inf)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = math.hypot(bx - ax, by - ay)
        inside = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) / length
        cover = np.minimum(cover, inside + 0.5)
    _blend(image, rows, columns, cover, colour)


# ---------------------------------------------------------------------- pictures
@cache
def rounded_mask(width: int, height: int, radius: float) -> Float:
    """(height, width) cover of a rectangle with rounded corners; 1 inside."""
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    dx = np.maximum(np.abs(x - width / 2) - width / 2 + radius, 0)
    dy = np.maximum(np.abs(y - height / 2) - height / 2 + radius, 0)
    mask = np.asarray(np.clip(radius + 0.5 - np.hypot(dx, dy), 0, 1))
    mask.flags.writeable = False
    return mask


def paste(image: UInt8, pixels: UInt8, box: Box, alpha: Float | None = None) -> None:
    """Lay `pixels` into `box`, in place; where `alpha` (h, w) is 1 they stay as they are."""
    if alpha is None:
        alpha = rounded_mask(box.width, box.height, 0.06 * min(box.width, box.height))
    below = image[box.top : box.bottom, box.left : box.right].astype(float)
    mixed = below + alpha[..., None] * (pixels.astype(float) - below)
    image[box.top : box.bottom, box.left : box.right] = np.rint(mixed).astype(np.uint8)
