"""The preview of one face: the circumplex as a grid of pictures, and a strip of expressions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synth.errors import ShapeError
from synth.preview.canvas import (
    GREY,
    LINE,
    PAPER,
    Box,
    Label,
    UInt8,
    label_at,
    paper,
    paste,
    segment,
    title_labels,
    write,
)
from synth.preview.rim import axis_labels, draw_axes, rim_labels
from synth.types import VA

__all__ = ["SheetLayout", "circumplex_sheet", "sheet_layout"]


@dataclass(frozen=True)
class SheetLayout:
    """Where everything of a sheet stands, in pixels.

    Attributes
    ----------
    width, height : int
    center : (float, float)
        Of neutral.
    radius, reach : float
        Of the unit circle, and of the larger circle that holds all faces.
    faces : tuple of Box
        One a point, in the order given.
    strip : tuple of Box
    captions, strip_names, names, axes, titles : tuple of Label
        Under each face, under each picture of the strip, on the rim, at the axes, on top.
    rule : int
        y of the line above the strip; 0 without a strip.
    """

    width: int
    height: int
    center: tuple[float, float]
    radius: float
    reach: float
    faces: tuple[Box, ...]
    strip: tuple[Box, ...]
    captions: tuple[Label, ...]
    strip_names: tuple[Label, ...]
    names: tuple[Label, ...]
    axes: tuple[Label, ...]
    titles: tuple[Label, ...]
    rule: int

    @property
    def labels(self) -> list[Label]:
        """Every text of the sheet."""
        groups = (self.titles, self.axes, self.names, self.captions, self.strip_names)
        return [label for group in groups for label in group]


def sheet_layout(
    points: Sequence[VA],
    strip: Sequence[str] = (),
    face: int = 160,
    title: str = "",
    subtitle: str = "",
) -> SheetLayout:
    """Where a sheet shows faces of `face` pixels at `points` and a strip with these names.

    The unit circle is as small as it can be without faces touching. Names of states
    that find no room on the rim are left out, long titles are shortened.

    Raises
    ------
    ShapeError
        If there are no points, two are the same, or `face` is below 24 pixels.
    """
    if face < 24 or not points or len(set(points)) < len(points):
        raise ShapeError(
            "sheet: expected distinct points and faces of at least 24 pixels, got "
            f"{len(points)} points, {len(set(points))} distinct, and {face} pixels"
        )
    gap, margin, size = max(12, round(0.16 * face)), max(20, face // 5), max(12, round(0.11 * face))
    radius = (face + gap) / _spacing(points)
    faces = [_square(radius * va.valence, -radius * va.arousal, face) for va in points]
    captions = [_caption(va, box, gap) for va, box in zip(points, faces, strict=True)]
    blocks = [*faces, *(caption.box for caption in captions)]
    reach = max([radius, *(_farthest(box) for box in blocks)]) + 0.3 * gap
    axes = axis_labels(reach + 12, size)
    names = rim_labels(reach + 6, size, [label.box for label in axes])
    bounds = _bounds([*blocks, *(label.box for label in [*axes, *names])], reach + 8)

    row = len(strip) * face + max(len(strip) - 1, 0) * gap
    # The centre of the circle, not of the circle with its labels, is put in the middle.
    half = max(bounds.right, -bounds.left, math.ceil(row / 2))
    width = 2 * (half + margin)
    titles = title_labels(title, subtitle, margin, width - 2 * margin, size)
    top = titles[-1].box.bottom + gap if titles else margin
    x, y = width // 2, top - bounds.top
    bottom = y + bounds.bottom
    rule = bottom + gap if strip else 0
    left, start = (width - row) // 2, rule + gap
    boxes = [
        Box(left + i * (face + gap), start, left + i * (face + gap) + face, start + face)
        for i in range(len(strip))
    ]
    below = [
        label_at(name, (box.left + box.right) / 2, box.bottom + 4, size, (0.5, 0.0))
        for name, box in zip(strip, boxes, strict=True)
    ]
    end = max([bottom, *(label.box.bottom for label in below)])
    return SheetLayout(
        width=width,
        height=end + margin,
        center=(float(x), float(y)),
        radius=radius,
        reach=reach,
        faces=tuple(box.moved(x, y) for box in faces),
        strip=tuple(boxes),
        captions=tuple(label.moved(x, y) for label in captions),
        strip_names=tuple(below),
        names=tuple(label.moved(x, y) for label in names),
        axes=tuple(label.moved(x, y) for label in axes),
        titles=tuple(titles),
        rule=rule,
    )


def circumplex_sheet(
    faces: Mapping[VA, UInt8],
    strip: Sequence[tuple[str, UInt8]] = (),
    title: str = "",
    subtitle: str = "",
) -> UInt8:
    """(H, W, 3) sheet with each face at its valence (to the right) and arousal (up).

    Parameters
    ----------
    faces : mapping of VA to (h, h, 3) uint8
        RGB, all of one size.
    strip : sequence of (name, (h, h, 3) uint8)
        Shown in a row below.
    title, subtitle : str

    Raises
    ------
    ShapeError
        If there is no face, or the pictures are not squares of one size.
    """
    pictures = [*faces.values(), *(picture for _, picture in strip)]
    shapes = {picture.shape for picture in pictures}
    side = next(iter(shapes))[0] if shapes else 0
    if shapes != {(side, side, 3)}:
        raise ShapeError(f"faces: expected squares (h, h, 3) of one size, got {sorted(shapes)}")
    plan = sheet_layout(list(faces), [name for name, _ in strip], side, title, subtitle)
    image = paper(plan.width, plan.height)
    draw_axes(image, *plan.center, plan.radius, plan.reach, plan.names)
    if plan.rule:
        x0, x1 = plan.strip[0].left, plan.strip[-1].right
        segment(image, (x0, plan.rule), (x1, plan.rule), 1.0, LINE)
    for label in plan.captions:  # the axes do not run through text
        x0, y0, x1, y1 = label.box
        image[y0:y1, x0 - 2 : x1 + 2] = PAPER
    for picture, box in zip(pictures, [*plan.faces, *plan.strip], strict=True):
        paste(image, picture, box)
    write(image, plan.labels)
    return image


# ------------------------------------------------------------------------- measures
def _spacing(points: Sequence[VA]) -> float:
    """Smallest distance of two points along the axis in which they are farther apart."""
    at = np.array([[va.valence, va.arousal] for va in points])
    apart = np.abs(at[:, None] - at[None]).max(-1)
    apart[np.diag_indices(len(at))] = np.inf
    return float(min(apart.min(), 1.0))


def _square(x: float, y: float, side: int) -> Box:
    left, top = round(x - side / 2), round(y - side / 2)
    return Box(left, top, left + side, top + side)


def _caption(va: VA, box: Box, gap: int) -> Label:
    # + 0.0 turns a rounded -0.0 into 0.0; the built-in font has no minus sign but the hyphen.
    numbers = (f"{round(x, 2) + 0.0:+.2f}" for x in (va.valence, va.arousal))
    text = "photo" if va.radius == 0 else "  ".join(numbers).replace("+0.00", "0.00")
    size = max(8, round(0.55 * gap))
    return label_at(text, (box.left + box.right) / 2, box.bottom + 2, size, (0.5, 0.0), GREY)


def _farthest(box: Box) -> float:
    """Distance from (0, 0) to the farthest corner of a box."""
    return math.hypot(max(-box.left, box.right), max(-box.top, box.bottom))


def _bounds(boxes: Sequence[Box], radius: float) -> Box:
    """The box around boxes and the circle of `radius`."""
    r = math.ceil(radius)
    return Box(
        min(-r, *(box.left for box in boxes)),
        min(-r, *(box.top for box in boxes)),
        max(r, *(box.right for box in boxes)),
        max(r, *(box.bottom for box in boxes)),
    )
