"""Pictures of readings in the valence-arousal plane: against labels, and by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.errors import ShapeError
from synth.metrics.agreement import ccc

__all__ = ["COLOURS", "draw_circumplex", "draw_scatter"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Colour = tuple[int, int, int]

PAPER, INK, GREY, LINE = (255, 255, 255), (32, 36, 42), (120, 126, 134), (214, 218, 223)
#: Of Okabe & Ito, "Color universal design", 2008, told apart by colour-blind readers too;
#: the first is darker than theirs.
COLOURS: tuple[Colour, ...] = (
    (90, 90, 90), (230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (0, 114, 178),
    (213, 94, 0), (190, 180, 20),
)  # fmt: skip
POINT: Colour = (0, 84, 140)
#: Drawn larger and brought down, for smooth edges.
FINE = 3
SIDE, MARGIN, TEXT = 300, 46, 13


def _pair(target: ArrayLike, estimate: ArrayLike) -> tuple[Float, Float]:
    pair = np.asarray(target, np.float64), np.asarray(estimate, np.float64)
    for name, points in zip(("target", "estimate"), pair, strict=True):
        if points.ndim != 2 or points.shape[1] != 2 or len(points) != len(pair[0]):
            raise ShapeError(f"{name}: expected ({len(pair[0])}, 2), got {points.shape}")
    return pair


def _layer(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width * FINE, height * FINE), PAPER)
    return sheet, ImageDraw.Draw(sheet, "RGBA")


def _dot(
    draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, ...] | None,
    outline: Colour | None = None,
) -> None:  # fmt: skip
    box = ((x - radius) * FINE, (y - radius) * FINE, (x + radius) * FINE, (y + radius) * FINE)
    draw.ellipse(box, fill, outline, width=FINE)


def _strength(count: int) -> int:
    """Opacity of a dot: the more, the fainter, so that crowds show."""
    return int(np.clip(30000 / max(count, 1), 30, 170))


# --------------------------------------------------------------------------------- scatter
def draw_scatter(
    target: ArrayLike,
    estimate: ArrayLike,
    title: str = "read against label",
    sides: tuple[str, str] = ("labelled", "read"),
) -> UInt8:
    """Readings over labels, a panel for valence and one for arousal, with CCC and n.

    Parameters
    ----------
    target, estimate : (N, 2) float
        Labels and readings; pictures with a NaN on either side are left out. Readings
        beyond -1 to 1 are drawn at the rim.
    title : str
    sides : (str, str)
        Words before the names of the axes: of `target`, of `estimate`.

    Returns
    -------
    (H, W, 3) uint8
        RGB.

    Raises
    ------
    ShapeError
        If the two are not (N, 2) alike.
    """
    t, e = _pair(target, estimate)
    known = np.isfinite(t + e).all(1)
    t, e = t[known], e[known]
    step = SIDE + 2 * MARGIN
    sheet, draw = _layer(2 * step, step + 30)
    corners = [(MARGIN + i * step, MARGIN + 22) for i in range(2)]
    for axis, (left, top) in enumerate(corners):
        _frame(draw, left, top)
        colour = (*POINT, _strength(len(t)))
        for x, y in np.clip(np.stack([t[:, axis], e[:, axis]], 1), -1, 1):
            _dot(draw, left + (x + 1) / 2 * SIDE, top + (1 - y) / 2 * SIDE, 2.2, colour)
    small = sheet.resize((2 * step, step + 30), Image.Resampling.BOX)
    pen, font = ImageDraw.Draw(small), ImageFont.load_default(TEXT)
    pen.text((MARGIN, 18), title, INK, ImageFont.load_default(TEXT + 2), anchor="ls")
    for axis, (name, (left, top)) in enumerate(zip(("valence", "arousal"), corners, strict=True)):
        value = ccc(t[:, axis], e[:, axis]) if len(t) else float("nan")
        shown = "-" if np.isnan(value) else f"{value:.3f}"
        pen.text((left, top - 8), f"{name}: CCC {shown}, n = {len(t)}", INK, font, anchor="ls")
        _ticks(pen, left, top, f"{sides[0]} {name}")
        _sideways(small, f"{sides[1]} {name}", (left - 40, top + SIDE // 2))
    return np.asarray(small)


def _frame(draw: ImageDraw.ImageDraw, left: int, top: int) -> None:
    """A square with its axes and the line on which readings equal labels."""
    x0, y0, x1, y1 = (v * FINE for v in (left, top, left + SIDE, top + SIDE))
    middle_x, middle_y = (x0 + x1) // 2, (y0 + y1) // 2
    draw.line((middle_x, y0, middle_x, y1), LINE, FINE)
    draw.line((x0, middle_y, x1, middle_y), LINE, FINE)
    draw.line((x0, y1, x1, y0), GREY, FINE)
    draw.rectangle((x0, y0, x1, y1), outline=GREY, width=FINE)


def _ticks(pen: ImageDraw.ImageDraw, left: int, top: int, below: str) -> None:
    font = ImageFont.load_default(TEXT - 1)
    for number in (-1, 0, 1):
        along = round((number + 1) / 2 * SIDE)
        pen.text((left + along, top + SIDE + 6), f"{number}", GREY, font, anchor="mt")
        pen.text((left - 6, top + SIDE - along), f"{number}", GREY, font, anchor="rm")
    pen.text((left + SIDE // 2, top + SIDE + 24), below, INK, font, anchor="mt")


def _sideways(sheet: Image.Image, text: str, middle: tuple[int, int]) -> None:
    """Text read from below, about `middle`."""
    label = Image.new("RGB", (120, 18), PAPER)
    ImageDraw.Draw(label).text((60, 9), text, INK, ImageFont.load_default(TEXT - 1), anchor="mm")
    turned = label.transpose(Image.Transpose.ROTATE_90)
    sheet.paste(turned, (max(0, middle[0]), middle[1] - turned.height // 2))


# ------------------------------------------------------------------------------ circumplex
def draw_circumplex(
    va: ArrayLike,
    names: Sequence[str | None],
    classes: Sequence[str],
    target: ArrayLike | None = None,
    title: str = "read valence and arousal by labelled class",
) -> UInt8:
    """Where the pictures of each class are read: dots, mean, and one standard deviation.

    Parameters
    ----------
    va : (N, 2) float
        Readings; NaN is left out.
    names : N class names
        Of the labels; pictures without one are left out.
    classes : names in their order
        At most as many as there are `COLOURS`.
    target : (N, 2) float, optional
        Labels: their mean by class is a ring, joined with that of the readings.
    title : str

    Returns
    -------
    (H, W, 3) uint8
        RGB; valence to the right, arousal up.

    Raises
    ------
    ShapeError
        If lengths differ or there are more classes than colours.
    """
    read = np.asarray(va, np.float64)
    wanted = read if target is None else np.asarray(target, np.float64)
    read, wanted = _pair(read, wanted)
    if len(names) != len(read):
        raise ShapeError(f"names: expected {len(read)}, one for every reading, got {len(names)}")
    if len(classes) > len(COLOURS):
        raise ShapeError(f"classes: expected at most {len(COLOURS)}, got {len(classes)}")
    known = np.isfinite(read).all(1)
    members = [known & np.array([name == one for name in names], bool) for one in classes]
    total = sum(int(m.sum()) for m in members)
    left, top, side = MARGIN, MARGIN + 8, SIDE + 60
    width, height = side + 2 * MARGIN + 170, side + 2 * MARGIN + 10
    sheet, draw = _layer(width, height)

    def place(point: Float) -> tuple[float, float]:
        x, y = np.clip(point, -1, 1)
        return left + (x + 1) / 2 * side, top + (1 - y) / 2 * side

    x0, y0, x1, y1 = (v * FINE for v in (left, top, left + side, top + side))
    draw.line(((x0 + x1) // 2, y0, (x0 + x1) // 2, y1), LINE, FINE)
    draw.line((x0, (y0 + y1) // 2, x1, (y0 + y1) // 2), LINE, FINE)
    draw.ellipse((x0, y0, x1, y1), outline=GREY, width=FINE)
    for colour, member in zip(COLOURS, members, strict=False):
        for point in read[member]:
            _dot(draw, *place(point), 1.8, (*colour, _strength(total)))
    for colour, member in zip(COLOURS, members, strict=False):
        if member.any():
            _summary(draw, read[member], wanted[member], colour, place, target is not None)
    small = sheet.resize((width, height), Image.Resampling.BOX)
    _legend(small, title, classes, members, (left, top, side), target is not None)
    return np.asarray(small)


def _summary(
    draw: ImageDraw.ImageDraw, read: Float, wanted: Float, colour: Colour,
    place: Callable[[Float], tuple[float, float]],
    labelled: bool,
) -> None:  # fmt: skip
    """Mean and ellipse of one standard deviation; the labels' mean as a ring."""
    mean = read.mean(0)
    if len(read) > 2:
        values, axes = np.linalg.eigh(np.cov(read.T))
        angle = np.linspace(0, 2 * np.pi, 73)
        rim = np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(np.maximum(values, 0))
        points = [tuple(v * FINE for v in place(mean + p)) for p in rim @ axes.T]
        draw.line(points, colour, 2 * FINE, joint="curve")
    x, y = place(mean)
    known = np.isfinite(wanted).all(1)
    if labelled and known.any():
        u, v = place(wanted[known].mean(0))
        draw.line((x * FINE, y * FINE, u * FINE, v * FINE), colour, FINE)
        _dot(draw, u, v, 5.5, PAPER, colour)
        _dot(draw, u, v, 4.5, None, colour)
    _dot(draw, x, y, 6, colour, PAPER)


def _legend(
    sheet: Image.Image, title: str, classes: Sequence[str], members: Sequence[NDArray[np.bool_]],
    place: tuple[int, int, int], labelled: bool,
) -> None:  # fmt: skip
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    left, top, side = place
    total = sum(int(m.sum()) for m in members)
    pen.text((10, 20), f"{title}, n = {total}", INK, ImageFont.load_default(TEXT + 1), anchor="ls")
    pen.text((left + side // 2, top + side + 20), "valence", INK, font, anchor="mm")
    _sideways(sheet, "arousal", (left - 42, top + side // 2))
    for text, x, y in (("-1", left - 9, top + side // 2), ("1", left + side + 8, top + side // 2)):
        pen.text((x, y), text, GREY, font, anchor="mm")
    x, y = left + side + 30, top + 14
    for colour, name, member in zip(COLOURS, classes, members, strict=False):
        pen.ellipse((x, y - 5, x + 10, y + 5), colour)
        pen.text((x + 18, y), f"{name}, {int(member.sum())}", INK, font, anchor="lm")
        y += 20
    for line in ("dot: mean reading", "line: one s.d.", *(["ring: mean label"] * labelled)):
        y += 18
        pen.text((x, y), line, GREY, ImageFont.load_default(TEXT - 1), anchor="lm")
