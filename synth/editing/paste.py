"""Cutting a square face out of a photo, and pasting it back.

A box is ``(left, top, right, bottom)`` in whole pixels, half open, and may reach beyond
the photo: what is missing there is mirrored, and cut off again when it is pasted.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError, UsageError

__all__ = [
    "BORDER",
    "MARGIN",
    "RISE",
    "Box",
    "alpha_ramp",
    "cut_square",
    "face_region",
    "inside",
    "paste",
    "square_crop",
]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
Box = tuple[int, int, int, int]

#: Side of the square, in larger sides of the landmarks' bounding box, and how far its
#: centre lies above theirs, as a share of the side: the crop ``affectnet224`` of
#: `synth.crops`, forehead to chin, which is what GANmut was trained on.
MARGIN, RISE = 1.25, 0.09
#: Width of the blended border, as a share of the side.
BORDER = 0.12
#: Landmarks around what an edit may open or move far: the mouth, and the chin below it.
MOUTH_AND_CHIN = (*range(48, 60), *range(6, 11))


def square_crop(points: NDArray[np.floating], margin: float = MARGIN) -> Box:
    """The square around a face, upright.

    Parameters
    ----------
    points : (68, 2) float
        Landmarks, pixels.
    margin : float
        Side in larger sides of the landmarks' bounding box, at least 1.

    Returns
    -------
    (left, top, right, bottom)
        Half open; may lie partly outside the photo.

    Raises
    ------
    UsageError
        If the margin is below 1.
    ShapeError
        If the points are no landmarks, or all in one place.
    """
    if not margin >= 1:
        raise UsageError(f"margin: expected 1 or more, got {margin:g}")
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ShapeError(f"points: expected finite (68, 2) pixels, got {points.shape}")
    low, high = points.min(0), points.max(0)
    side = int(round(float((high - low).max()) * margin))
    if side < 2:
        raise ShapeError(f"points: expected a face some pixels wide, got {side} px; use another")
    # Centres of pixels are whole numbers: a box of side S spans S pixel centres.
    x, y = (low + high) / 2 - (0.0, RISE * side) - (side - 1) / 2
    left, top = int(round(float(x))), int(round(float(y)))
    return left, top, left + side, top + side


def cut_square(photo: UInt8, box: Box) -> UInt8:
    """(S, S, 3) the part of (H, W, 3) `photo` in the box; beyond its edges it is mirrored.

    Mirrored without repeating the edge pixel, as often as needed.
    """
    left, top, right, bottom = box
    if inside(box, photo.shape) == box:
        return photo[top:bottom, left:right].copy()
    rows = _mirrored(top, bottom, photo.shape[0])
    columns = _mirrored(left, right, photo.shape[1])
    return np.ascontiguousarray(photo[rows[:, None], columns[None, :]])


def _mirrored(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Indices into ``range(length)`` for those from `start` to `stop`."""
    if length == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (length - 1)
    at = np.arange(start, stop) % period
    return np.minimum(at, period - at)


def inside(box: Box, shape: tuple[int, ...]) -> Box:
    """The part of the box that lies in a picture of the shape (H, W, ...)."""
    left, top, right, bottom = box
    height, width = shape[:2]
    left, right = (min(max(x, 0), width) for x in (left, right))
    top, bottom = (min(max(y, 0), height) for y in (top, bottom))
    return left, top, right, bottom


def alpha_ramp(size: int, border: float = BORDER) -> Float:
    """(S, S) how much of the pasted square shows: 0 on its edge, 1 in its middle.

    Grows in a straight line with the distance to the nearest edge, and reaches 1 at
    ``border * (size - 1)`` pixels from it: the outermost pixels, corners included, are
    exactly 0, those half a border inside 0.5.

    Parameters
    ----------
    size : int
        Pixels, at least 2.
    border : float
        Width of the ramp as a share of the side, above 0 and at most 0.5.

    Raises
    ------
    UsageError
        If one of them is out of range.
    """
    if size < 2:
        raise UsageError(f"size: expected 2 pixels or more, got {size}")
    if not 0 < border <= 0.5:
        raise UsageError(
            f"border: expected more than 0 and at most 0.5 of the side, got {border:g}; to paste "
            "without a ramp, switch the blending off"
        )
    at = np.arange(size)
    distance = np.minimum(at, size - 1 - at)
    ramp = np.minimum(distance / (border * (size - 1)), 1.0)
    return np.minimum(ramp[:, None], ramp[None, :])


def paste(photo: UInt8, crop: UInt8, box: Box, alpha: Float | None = None) -> UInt8:
    """A copy of the photo with the square in the box.

    Pixels outside the box, and where alpha is 0, are bit-identical to the photo's; where
    it is 1 they are the crop's.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    crop : (S, S, 3) uint8
    box : (left, top, right, bottom)
        Of side S.
    alpha : (S, S) float, optional
        0 to 1; 1 everywhere by default.

    Raises
    ------
    ShapeError
        If crop, box and alpha are not of one size.
    """
    left, top, right, bottom = box
    expected = (bottom - top, right - left)
    if crop.shape != (*expected, 3):
        raise ShapeError(f"crop: expected {(*expected, 3)} as the box, got {crop.shape}")
    if alpha is not None and alpha.shape != expected:
        raise ShapeError(f"alpha: expected {expected} as the box, got {alpha.shape}")
    x0, y0, x1, y1 = inside(box, photo.shape)
    part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    out = photo.copy()
    if alpha is None:
        out[y0:y1, x0:x1] = crop[part]
    elif y1 > y0 and x1 > x0:
        below = photo[y0:y1, x0:x1].astype(np.float32)
        share = alpha[part].astype(np.float32)[..., None]
        out[y0:y1, x0:x1] = np.rint(below + share * (crop[part] - below)).astype(np.uint8)
    return out


def face_region(points: NDArray[np.floating], box: Box) -> NDArray[np.bool_]:
    """(S, S) pixels of the box whose colour is the face's own.

    The hull of the landmarks, without mouth and chin: what an edit opens there would
    otherwise darken the mean, and colour transfer would whiten the skin for it.
    """
    left, top, right, bottom = box
    at = np.round(np.asarray(points) - (left, top)).astype(np.int32)
    region = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillConvexPoly(region, cv2.convexHull(at), 1)
    cv2.fillConvexPoly(region, cv2.convexHull(at[list(MOUTH_AND_CHIN)]), 0)
    return region.astype(bool)
