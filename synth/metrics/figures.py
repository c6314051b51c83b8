"""Pictures of numbers: errors over the valence-arousal plane, confusion with margins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.errors import ShapeError
from synth.metrics.classes import Confusion

__all__ = ["draw_confusion", "draw_regions", "map_place"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER, INK, GREY = (255, 255, 255), (32, 36, 42), (120, 126, 134)
#: Of regions and rates without a picture.
EMPTY: Colour = (236, 236, 236)
#: From little to much: light to dark, so that it survives a grey print.
RAMP = np.array([[255, 247, 188], [254, 196, 79], [236, 112, 20], [153, 52, 4], [70, 14, 10]])
BLUES = np.array([[247, 251, 255], [158, 202, 225], [49, 130, 189], [8, 48, 107]])
LEFT, TOP, SIDE = 70, 50, 426
CELL, NAME = 58, 120
#: Letters of a class name that fit.
LETTERS = 14


def _colour(value: float, ramp: NDArray[np.int64]) -> Colour:
    """Of a value of 0 to 1; `EMPTY` of NaN."""
    if not np.isfinite(value):
        return EMPTY
    place = float(np.clip(value, 0, 1)) * (len(ramp) - 1)
    low = min(int(place), len(ramp) - 2)
    mixed = ramp[low] + (place - low) * (ramp[low + 1] - ramp[low])
    red, green, blue = (round(float(c)) for c in mixed)
    return red, green, blue


def map_place(regions: int) -> tuple[int, int, int]:
    """Left, top and side of the map in `draw_regions`, in pixels; whole pixels a region."""
    return LEFT, TOP, max(1, SIDE // regions) * regions


def draw_regions(
    values: ArrayLike, n: int, title: str = "normalised RMSE", highest: float | None = None
) -> UInt8:
    """A heat map over the valence-arousal plane, arousal upwards, with its scale.

    Parameters
    ----------
    values : (R, R) float
        A map of `synth.metrics.regions.RegionMap`: rows are arousal, ascending. NaN is
        drawn grey.
    n : int
        Pictures behind it, written above.
    title : str
    highest : float, optional
        Of the darkest colour; give one for maps that are to be compared. The largest
        value when not given.

    Returns
    -------
    (H, W, 3) uint8
        RGB.

    Raises
    ------
    ShapeError
        If `values` is not square.
    """
    errors = np.asarray(values, np.float64)
    if errors.ndim != 2 or errors.shape[0] != errors.shape[1] or not len(errors):
        raise ShapeError(f"values: expected (R, R), got {errors.shape}")
    known = errors[np.isfinite(errors)]
    top = highest if highest is not None else float(known.max()) if len(known) else 1.0
    top = top if top > 0 else 1.0
    left, upper, side = map_place(len(errors))
    colours = np.array([[_colour(v / top, RAMP) for v in row] for row in errors[::-1]], np.uint8)
    step = side // len(errors)
    large = colours.repeat(step, axis=0).repeat(step, axis=1)
    sheet = Image.new("RGB", (left + side + 110, upper + side + 60), PAPER)
    sheet.paste(Image.fromarray(large), (left, upper))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    right, lower = left + side, upper + side
    draw.rectangle((left - 1, upper - 1, right, lower), outline=GREY)
    draw.text((left, upper - 14), f"{title}, n = {n}", INK, font, anchor="ls")
    for number in (-1, 0, 1):
        along = round((number + 1) / 2 * side)
        draw.text((left + along, lower + 8), f"{number}", GREY, font, anchor="mt")
        draw.text((left - 8, lower - along), f"{number}", GREY, font, anchor="rm")
    draw.text((left + side // 2, lower + 30), "valence", INK, font, anchor="mt")
    _upright(sheet, "arousal", (12, upper + side // 2), font)
    scale = (right + 24, upper, right + 40, lower)
    for y in range(side):
        draw.line((scale[0], upper + y, scale[2], upper + y), _colour(1 - y / side, RAMP))
    for value, y in ((top, upper), (top / 2, upper + side // 2), (0.0, lower)):
        draw.text((scale[2] + 6, y), f"{value:.2g}", GREY, font, anchor="lm")
    return np.asarray(sheet)


def _upright(
    sheet: Image.Image,
    text: str,
    place: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Text read from below, centred at the height of `place`."""
    label = Image.new("RGB", (90, 20), PAPER)
    ImageDraw.Draw(label).text((45, 10), text, INK, font, anchor="mm")
    turned = label.transpose(Image.Transpose.ROTATE_90)
    sheet.paste(turned, (place[0], place[1] - turned.height // 2))


def draw_confusion(found: Confusion, title: str = "confusion") -> UInt8:
    """A confusion matrix: counts and shares of rows, TPR to the right, PPV below.

    Parameters
    ----------
    found : Confusion
        Of `synth.metrics.classes.confusion_margins`.
    title : str

    Returns
    -------
    (H, W, 3) uint8
        RGB; rows the targets, columns the estimates.
    """
    names = [_short(name) for name in found.classes]
    count = len(names)
    size = (NAME + (count + 1) * CELL + 50, NAME + (count + 1) * CELL + 30)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font, small = ImageFont.load_default(13), ImageFont.load_default(11)
    draw.text((10, 24), f"{title}, n = {found.n}", INK, font, anchor="ls")
    shares = found.shares
    for row in range(count):
        y = NAME + row * CELL
        draw.text((NAME - 8, y + CELL // 2), names[row], INK, font, anchor="rm")
        for column in range(count):
            share = float(shares[row, column])
            lines = [str(int(found.counts[row, column]))]
            lines += [f"{100 * share:.0f} %"] if np.isfinite(share) else []
            _box(draw, (NAME + column * CELL, y), share, lines, small)
    edge = NAME + count * CELL + 10
    for place in range(count):
        middle = NAME + place * CELL
        for value, corner in (
            (found.tpr[place], (edge, middle)),
            (found.ppv[place], (middle, edge)),
        ):
            text = f"{value:.2f}" if np.isfinite(value) else "-"
            _box(draw, corner, float(value), [text], small)
        label = Image.new("RGB", (90, 18), PAPER)
        ImageDraw.Draw(label).text((0, 9), names[place], INK, font, anchor="lm")
        turned = label.transpose(Image.Transpose.ROTATE_90)
        sheet.paste(turned, (middle + CELL // 2 - 9, NAME - 6 - turned.height))
    draw.text((edge + CELL // 2, NAME - 8), "TPR", INK, font, anchor="ms")
    draw.text((NAME - 8, edge + CELL // 2), "PPV", INK, font, anchor="rm")
    return np.asarray(sheet)


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "."


def _box(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    share: float,
    lines: list[str],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    x, y = corner
    fill = _colour(share, BLUES)
    draw.rectangle((x, y, x + CELL - 2, y + CELL - 2), fill=fill)
    ink = PAPER if sum(fill) < 450 else INK
    for number, line in enumerate(lines):
        height = y + CELL / 2 + (number - (len(lines) - 1) / 2) * 15
        draw.text((x + CELL / 2 - 1, height), line, ink, font, anchor="mm")
