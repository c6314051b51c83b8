"""Boxes around faces: overlap, matching, and where true ones come from.

A box is left, top, right, bottom in pixels, (0, 0) the centre of the top-left pixel. What
belongs to a face is a convention, and every detector has its own. Boxes from points are
those of iBUG's 68: from the brows to the chin, from ear to ear; the 189-point templates of
the Face Research Lab's photos [1]_ have points of the same places.

References
----------
.. [1] DeBruine & Jones, "Face Research Lab London Set", 2017,
   doi:10.6084/m9.figshare.5047666.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, UsageError
from synth.evaluation.concordance import name_key

__all__ = [
    "Convention",
    "boxes_beside",
    "fit_convention",
    "iou",
    "match_boxes",
    "moved",
    "read_boxes",
    "tem_box",
]

Float = NDArray[np.float64]
#: Points of the 189 on the brows, along the jaw, and before the ears.
TEMPLATE = (*range(71, 87), *range(125, 134), 110, 113)
POINTS = 189
SIDES = ("left", "top", "right", "bottom")
#: Shift of the centre in box sizes (x, y), and factors on width and height.
Convention = tuple[float, float, float, float]


def _boxes(name: str, boxes: ArrayLike) -> Float:
    array = np.asarray(boxes, np.float64)
    array = array.reshape(-1, 4) if not array.size else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise ShapeError(f"{name}: expected (N, 4) finite pixels, got {array.shape}")
    if (array[:, 2:] <= array[:, :2]).any():
        raise ShapeError(f"{name}: expected left < right and top < bottom, got others")
    return array


def iou(first: ArrayLike, second: ArrayLike) -> Float:
    """(N, M) intersection over union of boxes (N, 4) and (M, 4), 0 to 1."""
    a, b = _boxes("first", first)[:, None], _boxes("second", second)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    both = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a, b)]
    overlap: Float = both / (areas[0] + areas[1] - both)
    return overlap


def match_boxes(truth: ArrayLike, found: ArrayLike) -> list[tuple[int, int, float]]:
    """Pairs of true and found boxes that overlap, each box once, best overlap first.

    Returns
    -------
    list of (position in `truth`, position in `found`, IOU)
    """
    overlap = iou(truth, found)
    pairs = []
    while overlap.size and overlap.max() > 0:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        pairs.append((int(row), int(column), float(overlap[row, column])))
        overlap[row, :] = overlap[:, column] = 0
    return pairs


# ------------------------------------------------------------------------------ convention
def fit_convention(truth: ArrayLike, found: ArrayLike) -> Convention:
    """The shift and scale, the same for all, that bring `found` closest to `truth`.

    Medians of the shifts and of the ratios over pairs of boxes (N, 4), N > 0: how a
    detector's idea of a face differs from that of the truth, not how well it finds faces.
    """
    t, f = _boxes("truth", truth), _boxes("found", found)
    if len(t) != len(f) or not len(t):
        raise ShapeError(f"found: expected {len(t)} boxes as in truth, more than 0, got {len(f)}")
    size, wanted = f[:, 2:] - f[:, :2], t[:, 2:] - t[:, :2]
    shift = np.median(((t[:, 2:] + t[:, :2]) - (f[:, 2:] + f[:, :2])) / 2 / size, axis=0)
    scale = np.median(wanted / size, axis=0)
    return float(shift[0]), float(shift[1]), float(scale[0]), float(scale[1])


def moved(boxes: ArrayLike, convention: Convention) -> Float:
    """The boxes (N, 4) after a `Convention`."""
    array = _boxes("boxes", boxes)
    size = array[:, 2:] - array[:, :2]
    centre = (array[:, 2:] + array[:, :2]) / 2 + np.array(convention[:2]) * size
    half = size * np.array(convention[2:]) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


# ----------------------------------------------------------------------------------- truth
def tem_box(file: Path) -> Float:
    """(4,) box of a 189-point template: brows, jaw, and before the ears.

    Raises
    ------
    UsageError
        If the file does not hold 189 points.
    """
    try:
        lines = file.read_text("ascii").split("\n")
        points = np.array([line.split() for line in lines[1 : int(lines[0]) + 1]], np.float64)
    except (OSError, ValueError, UnicodeDecodeError):
        points = np.empty(0)
    if points.shape != (POINTS, 2) or not np.isfinite(points).all():
        raise UsageError(f"{file.name}: expected {POINTS} points x y, got {points.shape}")
    part = points[list(TEMPLATE)]
    return np.concatenate([part.min(0), part.max(0)])


def read_boxes(file: Path) -> dict[str, Float]:
    """True boxes (K, 4) by `synth.evaluation.concordance.name_key` from a CSV file.

    Parameters
    ----------
    file : Path
        Columns ``file_name, left, top, right, bottom``, a row a face; a row without
        numbers says that there is none in the picture.

    Raises
    ------
    UsageError
        If the file or a column is missing, or a box is unreadable or empty.
    """
    if not file.is_file():
        raise UsageError(f"boxes: expected a CSV file, got none at {file}")
    found: dict[str, list[list[float]]] = {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if missing := {"file_name", *SIDES} - set(reader.fieldnames or []):
            raise UsageError(
                f"boxes: expected columns file_name, {', '.join(SIDES)} in {file.name}, got none "
                f"of {', '.join(sorted(missing))}"
            )
        for row in reader:
            boxes = found.setdefault(name_key(row["file_name"] or ""), [])
            if any((row[side] or "").strip() for side in SIDES):
                boxes.append(_row(row, f"{file.name}, line {reader.line_num}"))
    if not found:
        raise UsageError(f"boxes: expected at least one row in {file.name}, got none")
    return {key: np.array(boxes).reshape(-1, 4) for key, boxes in found.items()}


def _row(row: dict[str, str], where: str) -> list[float]:
    try:
        box = [float(row[side]) for side in SIDES]
    except (TypeError, ValueError):
        box = [math.nan]
    if not np.isfinite(box).all() or box[2] <= box[0] or box[3] <= box[1]:
        raise UsageError(
            f"{where}: expected a box with left < right and top < bottom, got "
            f"{', '.join(str(row[side]) for side in SIDES)}"
        )
    return box


def boxes_beside(photos: Sequence[tuple[str, Path]]) -> dict[str, Float]:
    """True boxes of photos from the ``.tem`` or ``.pts`` file beside each, by name.

    Raises
    ------
    UsageError
        If a file holds no such points, or no photo has one.
    DependencyError
        If a ``.pts`` file is to be read and menpo is missing.
    """
    found: dict[str, Float] = {}
    for key, path in photos:
        if (template := path.with_suffix(".tem")).is_file():
            found[key] = tem_box(template)[None]
        elif (file := path.with_suffix(".pts")).is_file():
            from synth.landmarks.files import read_points

            points = read_points(file)
            found[key] = np.concatenate([points.min(0), points.max(0)])[None]
    if not found:
        raise UsageError("boxes: expected .tem or .pts files beside the photos, got none")
    return found
