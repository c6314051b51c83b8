"""Faces cut out at one place, turn and size, so that pictures can be compared.

An aligned face is a grey picture of 512 x 512 pixels in which the outer corners of
the eyes lie 128 pixels apart on one row. Every measure of the look of a face starts
from it: what differs then is the picture, not where the camera stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.color import to_grey, to_rgb
from synth.errors import ShapeError
from synth.landmarks import Detector, get_detector
from synth.types import FaceImage, Landmarks, inter_ocular

__all__ = [
    "EYE_DISTANCE",
    "SIZE",
    "AlignedFace",
    "align",
    "align_matrix",
    "cut",
    "detail",
    "find_face",
    "sharpness",
]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Side of an aligned face and distance of the outer eye corners in it, pixels.
SIZE, EYE_DISTANCE = 512, 128.0
#: Where the middle between them lies: in the middle, and this share from the top.
EYE_ROW = 0.42
#: Distance of the eyes' centres at which detail is measured, pixels.
DETAIL_SCALE = 96.0
#: The hull of the points is shrunk by this share of that distance: no outline in it.
SHRINK = 0.08


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A grey face at the common place and size.

    Attributes
    ----------
    pixels : (512, 512) uint8
    points : (68, 2) float64
        In its pixels.
    scale : float
        Pixels of the crop per pixel of the picture it was cut from; above 1 it was
        enlarged, and has less detail than it has pixels.
    """

    pixels: UInt8
    points: Float
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.pixels.shape != (SIZE, SIZE) or self.pixels.dtype != np.uint8:
            raise ShapeError(
                f"pixels: expected ({SIZE}, {SIZE}) uint8 grey, got {self.pixels.shape} "
                f"{self.pixels.dtype}; use synth.evaluation.faces.align"
            )
        if np.shape(self.points) != (68, 2) or not np.isfinite(self.points).all():
            raise ShapeError(f"points: expected (68, 2) finite pixels, got {np.shape(self.points)}")

    @cached_property
    def hull(self) -> Mask:
        """(512, 512) bool, the face without its outline: see `inner_hull`."""
        return inner_hull(self.points, (SIZE, SIZE))


def eye_centres(points: Float) -> tuple[Float, Float]:
    """Means of the six points of the eye to the left and to the right in the picture."""
    return points[36:42].mean(0), points[42:48].mean(0)


def align(pixels: UInt8, points: Float) -> AlignedFace:
    """The face at `points` in grey, turned upright and brought to the common size.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
        Colour becomes its luma.
    points : (68, 2) float
        iBUG points in its pixels.

    Raises
    ------
    ShapeError
        If an array has another shape, or the eyes lie in one place.
    """
    matrix, scale = align_matrix(points)
    turned = np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return AlignedFace(cut(to_grey(pixels), matrix, scale), turned, scale)


def align_matrix(points: Float) -> tuple[Float, float]:
    """(2, 3) matrix from the picture to the aligned face, and its scale.

    Raises
    ------
    ShapeError
        If `points` are not (68, 2), or the eyes lie in one place.
    """
    points = np.asarray(points, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ShapeError(f"points: expected (68, 2) finite pixels, got {points.shape}")
    distance = inter_ocular(points)
    if distance < 4:
        raise ShapeError(f"points: expected eyes at least 4 pixels apart, got {distance:.1f}")
    right, left = points[36], points[45]
    x, y = (left - right) / distance
    scale = EYE_DISTANCE / distance
    turn = scale * np.array([[x, y], [-y, x]])
    place = np.array([(SIZE - 1) / 2, EYE_ROW * SIZE])
    return np.column_stack([turn, place - turn @ ((right + left) / 2)]), scale


def cut(pixels: UInt8, matrix: Float, scale: float) -> UInt8:
    """(512, 512[, 3]) aligned crop; where it leaves the picture its border is repeated."""
    if scale < 1:  # blur to the new Nyquist before sampling
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(0.01, 0.45 / scale))
    return np.asarray(
        cv2.warpAffine(
            pixels, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    )


def inner_hull(points: Float, shape: tuple[int, int]) -> Mask:
    """(H, W) bool, the convex hull of the points, shrunk a little: skin and features."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    right, left = eye_centres(points)
    radius = max(1, round(SHRINK * float(np.linalg.norm(left - right))))
    return np.asarray(cv2.erode(mask, np.ones((2 * radius + 1,) * 2, np.uint8)) > 0)


def detail(pixels: UInt8, points: Float) -> float:
    """Variance of the Laplacian in the face, with 96 pixels between the eyes' centres.

    Larger pictures are reduced to that scale first; smaller ones are taken as they
    are and look duller than they would from nearer.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    points : (68, 2) float

    Returns
    -------
    float
        Squared grey levels; NaN where the face is too small to hold a pixel.
    """
    grey = to_grey(pixels).astype(np.float32)
    mask = inner_hull(np.asarray(points, np.float64), grey.shape[:2])
    right, left = eye_centres(np.asarray(points, np.float64))
    scale = DETAIL_SCALE / max(float(np.linalg.norm(left - right)), 1e-9)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        size = (grey.shape[1], grey.shape[0])
        mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    values = cv2.Laplacian(grey, cv2.CV_32F)[mask]
    return float(values.var()) if values.size else float("nan")


def sharpness(translated: UInt8, photo: UInt8, points: Float) -> float:
    """Detail of the translation as a multiple of the photo's; 1 where nothing was lost.

    Parameters
    ----------
    translated, photo : (H, W) or (H, W, 3) uint8
        Of one size.
    points : (68, 2) float
        Of the photo.

    Raises
    ------
    ShapeError
        If the two differ in size.
    """
    if translated.shape[:2] != photo.shape[:2]:
        raise ShapeError(
            f"translated: expected the photo's {photo.shape[:2]}, got {translated.shape[:2]}"
        )
    return detail(translated, points) / max(detail(photo, points), 1e-6)


def find_face(
    pixels: UInt8, detector: Detector | None = None, near: Float | None = None
) -> Landmarks | None:
    """The largest face of a picture in colour or grey; None where none is found.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    detector : Detector, optional
        dlib's when not given.
    near : (68, 2) float, optional
        Where the face should be: of several faces the nearest is taken.
    """
    image = FaceImage(np.ascontiguousarray(to_rgb(pixels)), "picture", "")
    found: Sequence[Landmarks] = (detector or get_detector()).detect(image)
    if not found:
        return None
    if near is None:
        return found[0]
    middle = np.asarray(near, np.float64).mean(0)
    return min(found, key=lambda face: float(np.linalg.norm(face.points.mean(0) - middle)))
