"""The face as the SDE networks see it: eyes and mouth at the same places, square, small."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.crops import similarity
from synth.types import inter_ocular

__all__ = ["TEMPLATE", "aligned_crop", "aligned_matrix", "face_weight"]

Float = NDArray[np.float64]

#: Centres of the eyes and of the mouth as shares of the side, edges at 0 and 1: the face
#: from the hairline to the chin.
TEMPLATE = ((0.34, 0.38), (0.66, 0.38), (0.5, 0.715))
PARTS = (slice(36, 42), slice(42, 48), slice(48, 60))
#: Share of the crop's side over which its result fades out at its border.
FADE = 0.08


def aligned_matrix(points: Float, size: int) -> Float:
    """(2, 3) matrix from photo pixels to the crop of side `size`: turned, scaled, shifted.

    Parameters
    ----------
    points : (68, 2) float64
    size : int
    """
    found = np.array([points[part].mean(0) for part in PARTS])
    return similarity(found, np.array(TEMPLATE) * size - 0.5)


def aligned_crop(
    pixels: NDArray[np.uint8], points: Float, size: int
) -> tuple[NDArray[np.uint8], Float, Float]:
    """The aligned face.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    points : (68, 2) float64
    size : int

    Returns
    -------
    crop : (size, size) or (size, size, 3) uint8
        Where it leaves the photo, the border is repeated.
    points : (68, 2) float64
        In crop pixels.
    matrix : (2, 3) float64
        Photo pixels to crop pixels.
    """
    matrix = aligned_matrix(points, size)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    source: Any = pixels
    if scale < 1:  # blur to the new Nyquist before sampling
        source = cv2.GaussianBlur(pixels, (0, 0), max(0.01, 0.45 / scale))
    crop = cv2.warpAffine(
        source, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8), points @ matrix[:, :2].T + matrix[:, 2], matrix


def face_weight(points: Float, matrix: Float, size: int, shape: tuple[int, int]) -> Float:
    """(H, W) float64: 1 on the face, 0 away from it and outside the crop, soft between.

    Parameters
    ----------
    points : (68, 2) float64
        Photo pixels.
    matrix : (2, 3) float64
        Of the crop, see `aligned_matrix`.
    size : int
        Side of the crop.
    shape : (height, width)
        Of the photo.
    """
    unit = inter_ocular(points)
    up = points[27] - points[8]
    brows = points[17:27] + 0.35 * unit * up / np.linalg.norm(up)
    hull = cv2.convexHull(np.concatenate([points[:17], brows]).astype(np.float32))
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask.astype(np.float64) / 255, (0, 0), 0.06 * unit)
    y, x = np.mgrid[: shape[0], : shape[1]]
    at = matrix[:, :2] @ np.stack([x.ravel(), y.ravel()]) + matrix[:, 2:]
    inside = np.minimum(at, size - 1 - at).min(0) / (FADE * size)
    return np.asarray(soft * np.clip(inside, 0, 1).reshape(shape), np.float64)
