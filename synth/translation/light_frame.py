"""The aligned crop that the light networks see: where it lies, and what in it is the face."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.types import inter_ocular

__all__ = [
    "CROP_PX",
    "FACE_PX",
    "crop_matrix",
    "cut_crop",
    "face_window",
    "hold_lips",
    "moved",
    "reach",
    "smooth_step",
]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Side of the aligned crop, the outer eye corners' distance in it, their height in it.
CROP_PX, FACE_PX, EYE_ROW = 160, 48.0, 0.42
#: How far the forehead reaches above the brows; the network's result fades out between
#: these distances from the face (all in outer eye distances), and over this many pixels
#: of the crop's border.
FOREHEAD, NEAR, FADE = 0.42, (0.15, 0.85), 12
#: Lips are at most this bright, as a share of the cheeks: real ones have 0.89 +- 0.04.
LIPS = 0.94


def crop_matrix(points: Float) -> Float:
    """(2, 3) matrix from picture pixels to the aligned crop.

    The eyes' centres lie on one row, the outer eye corners `FACE_PX` apart.
    """
    right, left = points[36:42].mean(0), points[42:48].mean(0)
    along = (left - right) / max(float(np.linalg.norm(left - right)), 1e-9)
    turn = FACE_PX / inter_ocular(points) * np.array([[along[0], along[1]], [-along[1], along[0]]])
    place = np.array([(CROP_PX - 1) / 2, EYE_ROW * CROP_PX])
    return np.column_stack([turn, place - turn @ ((right + left) / 2)])


def moved(points: Float, matrix: Float) -> Float:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def cut_crop(picture: Float32, matrix: Float) -> Float32:
    """The aligned crop (160, 160[, C]); the picture's border is repeated outside it."""
    scale = float(np.hypot(*matrix[0, :2]))
    if scale < 1:  # blur to the new Nyquist before sampling
        picture = cv2.GaussianBlur(picture, (0, 0), max(0.05, 0.45 * (1 / scale**2 - 1) ** 0.5))
    crop = cv2.warpAffine(
        picture, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.clip(np.asarray(crop, np.float32), 0, 1)


def reach(matrix: Float, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of the crop in the picture; None where they do not meet."""
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64) * (CROP_PX - 1)
    inverse = cv2.invertAffineTransform(matrix)
    placed = corners @ inverse[:, :2].T + inverse[:, 2]
    low = np.clip(np.floor(placed.min(0)), 0, (shape[1], shape[0])).astype(int)
    high = np.clip(np.ceil(placed.max(0)) + 1, 0, (shape[1], shape[0])).astype(int)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def face_window(points: Float, near: tuple[float, float] = NEAR) -> Float32:
    """(160, 160) 1 on the face, falling smoothly to 0 around it and at the crop's border.

    `points` (68, 2) are in pixels of the crop; `near` says where it begins to fall and
    ends, in outer eye distances from the face.
    """
    up = points[27] - points[8]
    forehead = points[17:27] + FOREHEAD * FACE_PX * up / max(float(np.linalg.norm(up)), 1e-9)
    hull = cv2.convexHull(np.rint(np.vstack([points, forehead])).astype(np.int32))
    outside = np.full((CROP_PX, CROP_PX), 255, np.uint8)
    cv2.fillConvexPoly(outside, hull, 0)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / FACE_PX
    border = np.minimum(np.arange(CROP_PX), np.arange(CROP_PX)[::-1]) / FADE
    fading = 1 - (distance - near[0]) / (near[1] - near[0])
    return smooth_step(fading) * np.outer(smooth_step(border), smooth_step(border))


def hold_lips(target: Float32, points: Float) -> Float32:
    """The crop's result with lips that are darker than the cheeks.

    In photos whose red is saturated, lips are as red as skin, and the network, which knows
    that red things get paler, makes them brighter than it.

    Parameters
    ----------
    target : (160, 160) float32
        [0, 1].
    points : (68, 2) float64
        In pixels of the crop.
    """
    mask = np.zeros((CROP_PX, CROP_PX), np.uint8)
    cv2.fillPoly(mask, [np.rint(points[48:60]).astype(np.int32)], 255)
    cv2.fillPoly(mask, [np.rint(points[60:68]).astype(np.int32)], 0)
    cheeks = np.zeros_like(mask)
    for part in ((2, 31, 41, 48), (14, 35, 46, 54)):
        centre = np.rint(points[list(part)].mean(0)).astype(int)
        cv2.circle(cheeks, (int(centre[0]), int(centre[1])), 5, 1, -1)
    if not (mask > 0).any() or not cheeks.any():
        return target
    level = float(np.median(target[cheeks > 0]))
    ratio = float(target[mask > 0].mean()) / max(level, 1e-3)
    soft = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 0.8)
    return np.asarray(target * (1 - soft * max(0.0, 1 - LIPS / max(ratio, 1e-3))), np.float32)


def smooth_step(x: NDArray[np.floating]) -> Float32:
    """0 below 0, 1 above 1, without a corner in between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)
