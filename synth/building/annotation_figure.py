"""A picture of what annotators said of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.expressions.annotation_agreement import mean_label
from synth.expressions.annotations import Ratings

__all__ = ["draw_tracks"]

UInt8 = NDArray[np.uint8]

PAPER, INK, GREY, FAINT = "white", "#20242a", "#787e86", "#e6e9ec"
#: Told apart by colour-blind readers, too (Okabe & Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
#: Drawn larger and brought down, for smooth lines.
FINE = 2
WIDTH, HEIGHT, LEFT, HEAD, GAP, KEY = 620, 150, 44, 34, 34, 150


def draw_tracks(ratings: Ratings, kept: Sequence[str]) -> UInt8:
    """Valence and arousal of all annotators over time, and the mean label in black.

    Parameters
    ----------
    ratings : Ratings
    kept : sequence of str
        Annotators in the mean; the others are marked so.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    size = (LEFT + WIDTH + KEY, HEAD + 2 * (HEIGHT + GAP))
    sheet = Image.new("RGB", (size[0] * FINE, size[1] * FINE), PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = (ImageFont.load_default(n * FINE) for n in (13, 11))
    draw.text((LEFT * FINE, 20 * FINE), ratings.sequence, INK, font, anchor="ls")
    mean = mean_label(ratings, kept)[0]
    start, end = float(ratings.times[0]), float(ratings.times[-1])
    across = (LEFT + (ratings.times - start) / max(end - start, 1e-9) * WIDTH) * FINE
    for d, name in enumerate(("valence", "arousal")):
        top = HEAD + d * (HEIGHT + GAP)
        for value in (-1, 0, 1):
            y = int((top + (1 - value) / 2 * HEIGHT) * FINE)
            draw.line((LEFT * FINE, y, (LEFT + WIDTH) * FINE, y), FAINT, FINE)
            draw.text(((LEFT - 6) * FINE, y), f"{value}", GREY, small, anchor="rm")
        lines = [*ratings.values[:, :, d], mean[:, d]]
        for i, values in enumerate(lines):
            last = i == len(lines) - 1
            heights = (top + (1 - np.clip(values, -1, 1)) / 2 * HEIGHT) * FINE
            colour = INK if last else COLOURS[i % len(COLOURS)]
            _line(draw, across, heights, colour, (2 if last else 1) * FINE)
        place = ((LEFT + 6) * FINE, (top + 4) * FINE)
        draw.text(place, name, INK, small, anchor="lt")
    unit = "s" if ratings.unit == "s" else "frame"
    bottom = (HEAD + 2 * HEIGHT + GAP + 6) * FINE
    for x, instant, anchor in ((LEFT, start, "lt"), (LEFT + WIDTH, end, "rt")):
        draw.text((x * FINE, bottom), f"{instant:.4g} {unit}", GREY, small, anchor=anchor)
    _key(draw, ratings.annotators, kept)
    return np.asarray(sheet.resize(size, Image.Resampling.BOX))


def _line(
    draw: ImageDraw.ImageDraw, x: NDArray[np.float64], y: NDArray[np.float64], colour: str,
    width: int,
) -> None:  # fmt: skip
    """A line through known points, broken where there are none."""
    known = np.isfinite(y)
    for part in np.split(np.arange(len(y)), np.flatnonzero(np.diff(known)) + 1):
        if known[part[0]] and len(part) > 1:
            draw.line(list(zip(x[part], y[part], strict=True)), colour, width, joint="curve")


def _key(draw: ImageDraw.ImageDraw, names: Sequence[str], kept: Sequence[str]) -> None:
    font = ImageFont.load_default(11 * FINE)
    rows = [(name if name in kept else f"{name} (left out)") for name in names]
    for i, name in enumerate([*rows, "mean label"]):
        colour = INK if i == len(rows) else COLOURS[i % len(COLOURS)]
        y, x = (HEAD + 8 + 18 * i) * FINE, (LEFT + WIDTH + 12) * FINE
        draw.line((x, y, x + 16 * FINE, y), colour, 2 * FINE)
        short = name if len(name) <= 18 else name[:17] + "."
        draw.text((x + 22 * FINE, y), short, INK, font, anchor="lm")
