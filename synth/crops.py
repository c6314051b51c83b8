"""Square face crops, with the matrix that made them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.types import FaceImage, Landmarks

__all__ = ["face_crop", "face_crop_matrix", "transform_landmarks"]


def face_crop_matrix(landmarks: Landmarks, size: int) -> NDArray[np.float64]:
    """(2, 3) matrix from photo pixels to a `size` x `size` crop with the whole head.

    The crop is centred on the landmarks, a little above their mean, and is
    2.2 times as high as the distance from nose bridge (27) to chin (8).
    """
    points = landmarks.points
    half = 1.1 * float(np.linalg.norm(points[8] - points[27]))
    center = points.mean(0) - (0.0, 0.1 * half)
    scale = size / (2 * half)
    # Pixel centres are integers: the crop's own centre is (size - 1) / 2.
    shift = (size - 1) / 2 - scale * center
    return np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])


def transform_landmarks(landmarks: Landmarks, matrix: NDArray[np.float64]) -> Landmarks:
    """The same landmarks after the pixels moved by `matrix` (2, 3)."""
    box = np.asarray(landmarks.box, np.float64).reshape(2, 2) @ matrix[:, :2].T + matrix[:, 2]
    return Landmarks(
        points=landmarks.points @ matrix[:, :2].T + matrix[:, 2],
        detector=landmarks.detector,
        box=box.ravel(),
        confidence=landmarks.confidence,
        faces_found=landmarks.faces_found,
    )


def face_crop(
    image: FaceImage, landmarks: Landmarks, size: int
) -> tuple[FaceImage, Landmarks, NDArray[np.float64]]:
    """The face cut out to `size` x `size` pixels.

    Returns
    -------
    image : FaceImage
        Cropped; where the crop leaves the photo its border is repeated.
    landmarks : Landmarks
        In crop pixels.
    matrix : (2, 3) float64
        Photo pixels to crop pixels.
    """
    if size < 32:
        raise UsageError(f"size: expected at least 32 pixels, got {size}; use --size 256 or more")
    matrix = face_crop_matrix(landmarks, size)
    scale = matrix[0, 0]
    pixels = image.pixels
    if scale < 1:  # area filter: blur to the new Nyquist before sampling
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(0.01, 0.45 / scale))
    cropped = cv2.warpAffine(
        pixels, matrix, (size, size), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    out = FaceImage(
        pixels=np.ascontiguousarray(cropped),
        name=image.name,
        sha256=image.sha256,
        notes=(*image.notes, f"cropped to {size} px"),
    )
    return out, transform_landmarks(landmarks, matrix), matrix
