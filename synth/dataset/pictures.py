"""Pictures of a set: its labels on the circumplex, and some of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.affect import EXPRESSIONS

__all__ = ["contact_sheet", "va_histogram"]

UInt8 = NDArray[np.uint8]

INK, FAINT, PAPER = (34, 38, 46), (168, 174, 184), (255, 255, 255)
#: Few and many pictures in a cell: light to dark blue, even steps of lightness.
RAMP = np.array([(222, 235, 247), (158, 202, 225), (66, 146, 198), (8, 81, 156), (8, 36, 92)])
PLOT, MARGIN, LEGEND = 480, 64, 96


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def va_histogram(counts: NDArray[np.int64], title: str) -> UInt8:
    """Where the labels lie: (H, W, 3) uint8.

    Parameters
    ----------
    counts : (n, n) int
        As `synth.dataset.summary.va_counts` gives them.
    title : str
    """
    width, height = PLOT + 2 * MARGIN + LEGEND, PLOT + 2 * MARGIN
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, 16), title, INK, _font(18))
    most = int(counts.max(initial=0))
    cells = len(counts)
    edges = [round(i * PLOT / cells) for i in range(cells + 1)]
    for row, column in np.argwhere(counts > 0):
        left, right = MARGIN + edges[column], MARGIN + edges[column + 1] - 1
        bottom, top = MARGIN + PLOT - edges[row] - 1, MARGIN + PLOT - edges[row + 1]
        draw.rectangle((left, top, right, bottom), _shade(int(counts[row, column]) / most))
    _axes(draw)
    _legend(draw, most)
    return np.asarray(image)


def _shade(share: float) -> tuple[int, int, int]:
    """Colour for a count, as a share of the largest: by its square root, as areas are seen."""
    at = share**0.5 * (len(RAMP) - 1)
    red, green, blue = (np.interp(at, range(len(RAMP)), RAMP[:, i]) for i in range(3))
    return round(red), round(green), round(blue)


def _place(valence: float, arousal: float) -> tuple[float, float]:
    return MARGIN + (valence + 1) / 2 * PLOT, MARGIN + (1 - arousal) / 2 * PLOT


def _axes(draw: ImageDraw.ImageDraw) -> None:
    left, top = _place(-1, 1)
    right, bottom = _place(1, -1)
    draw.ellipse((left, top, right, bottom), outline=FAINT, width=2)
    draw.line((*_place(-1, 0), *_place(1, 0)), FAINT)
    draw.line((*_place(0, -1), *_place(0, 1)), FAINT)
    small = _font(14)
    for name, va in EXPRESSIONS.items():
        x, y = _place(va.valence, va.arousal)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(200, 80, 20))
        draw.text((x, y - 5), name, INK, small, anchor="ms", stroke_width=2, stroke_fill=PAPER)
    for value in (-1, -0.5, 0, 0.5, 1):
        draw.text((_place(value, -1)[0], bottom + 8), f"{value:g}", INK, small, anchor="mt")
        draw.text((left - 8, _place(-1, value)[1]), f"{value:g}", INK, small, anchor="rm")
    draw.text((_place(0, -1)[0], bottom + 30), "valence", INK, _font(16), anchor="mt")
    draw.text((left, top - 10), "arousal", INK, _font(16), anchor="ms")


def _legend(draw: ImageDraw.ImageDraw, most: int) -> None:
    left, top = MARGIN + PLOT + 40, MARGIN + 140
    for step in range(200):
        y = top + 200 - step
        draw.line((left, y, left + 18, y), _shade(step / 199))
    for count in sorted({1, most // 4, most // 2, most} - {0}):
        if count > most:
            continue  # an empty set
        y = top + 200 - round(199 * count / most)
        draw.text((left + 24, y), f"{count}", INK, _font(14), anchor="lm")
    draw.text((left - 12, top - 14), "pictures a cell", INK, _font(14), anchor="ls")


def contact_sheet(
    splits: Sequence[tuple[str, Sequence[tuple[UInt8, str]]]], tile: int = 128, columns: int = 8
) -> UInt8:
    """Pictures with a line of text below each, split by split: (H, W, 3) uint8.

    Parameters
    ----------
    splits : sequence of (title, sequence of ((H, W, 3) uint8, caption))
    tile : int
        Longer side of a picture on the sheet, pixels.
    columns : int
    """
    gap, line, head = 6, 18, 34
    rows = [-(-len(pictures) // columns) for _, pictures in splits]
    height = sum(head + count * (tile + line + gap) for count in rows) + gap
    image = Image.new("RGB", (columns * (tile + gap) + gap, max(height, head)), PAPER)
    draw = ImageDraw.Draw(image)
    top = 0
    for (title, pictures), count in zip(splits, rows, strict=True):
        draw.text((gap, top + head // 2), title, INK, _font(16), anchor="lm")
        for i, (pixels, caption) in enumerate(pictures):
            left = gap + i % columns * (tile + gap)
            y = top + head + i // columns * (tile + line + gap)
            small = Image.fromarray(pixels)
            small.thumbnail((tile, tile), Image.Resampling.LANCZOS)
            image.paste(small, (left + (tile - small.width) // 2, y + (tile - small.height) // 2))
            draw.text((left + tile // 2, y + tile + 3), caption, INK, _font(12), anchor="mt")
        top += head + count * (tile + line + gap)
    return np.asarray(image)
