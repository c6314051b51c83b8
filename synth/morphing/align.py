"""The photos of one person brought together, and which of them do not go together.

Each photo is laid on the neutral one by the similarity (rotation, one scale, shift)
that fits the places expressions hardly move best: corners of the eyes, bridge and base
of the nose. What is left between those places then is pose, lens, or another person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.acceptance import landmark_pose
from synth.color import COLOURED, chroma
from synth.crops import similarity
from synth.errors import SkipPhoto
from synth.morphing.mesh import least_area, make_mesh, untangled
from synth.types import FaceImage, Landmarks, inter_ocular

__all__ = [
    "STABLE",
    "Aligned",
    "MorphLimits",
    "align",
    "chained",
    "check_folds",
    "coloured",
    "inverse",
    "neutral_face",
    "reject",
]

Float = NDArray[np.float64]

#: Corners of the eyes, bridge and base of the nose.
STABLE = (36, 39, 42, 45, 27, 28, 29, 33)


@dataclass(frozen=True)
class MorphLimits:
    """How alike two photos of a person must be; None switches a check off.

    Attributes
    ----------
    residual : float
        Largest root mean square distance of the `STABLE` points after the similarity, in
        inter-ocular distances. Neutral and smiling studio photos of 41 people: 0.003 to 0.021.
    scale : float
        Largest ratio of the two faces' sizes, either way round.
    roll : float
        Largest turn in the picture between the two, degrees.
    yaw, pitch : float
        Largest turn of the head between the two, degrees, as `landmark_pose` tells it:
        an expression by itself changes that pitch by up to 12.
    area : float
        Least area of a triangle anywhere on the way, as a share of the squared
        inter-ocular distance.
    """

    residual: float | None = 0.04
    scale: float | None = 2.0
    roll: float | None = 30.0
    yaw: float | None = 12.0
    pitch: float | None = 20.0
    area: float | None = 1e-6


@dataclass(frozen=True)
class Aligned:
    """A photo, laid on the neutral one.

    Attributes
    ----------
    image : FaceImage
        As it is.
    landmarks : Landmarks
        In its own pixels.
    matrix : (2, 3) float64
        Pixels of the neutral photo to its own.
    points : (68, 2) float64
        Landmarks in pixels of the neutral photo, `untangled`.
    residual : float
        Of the stable points, inter-ocular distances.
    """

    image: FaceImage
    landmarks: Landmarks
    matrix: Float
    points: Float
    residual: float = 0.0


def reject(reason: str, message: str, value: float | None = None) -> SkipPhoto:
    """The error for a photo that cannot be morphed."""
    return SkipPhoto(reason, message, None if value is None else round(value, 4))


def coloured(image: FaceImage) -> bool:
    """Whether a photo is coloured, and not grey or near infrared."""
    return chroma(image.pixels) > COLOURED


def neutral_face(image: FaceImage, landmarks: Landmarks) -> Aligned:
    """The neutral photo itself, whose pixels are the common frame."""
    return Aligned(image, landmarks, np.eye(2, 3), untangled(landmarks.points))


def align(neutral: Aligned, image: FaceImage, landmarks: Landmarks, limits: MorphLimits) -> Aligned:
    """A photo laid on the neutral one.

    Raises
    ------
    SkipPhoto
        ``MISALIGNED`` if size, turn or pose differ too much, or only one is coloured.
    """
    here, there = neutral.landmarks.points, landmarks.points
    matrix = similarity(here[list(STABLE)], there[list(STABLE)])
    back = inverse(matrix)
    points = there @ back[:, :2].T + back[:, 2]
    off = points[list(STABLE)] - here[list(STABLE)]
    residual = float(np.sqrt((off**2).sum(1).mean())) / inter_ocular(here)
    found = Aligned(image, landmarks, matrix, untangled(points), residual)
    _check(neutral, found, limits)
    return found


def chained(first: Float, second: Float) -> Float:
    """(2, 3) the affine map that does `first` and then `second`."""
    return np.column_stack(
        [second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]]
    )


def inverse(matrix: Float) -> Float:
    """(2, 3) the way back of an affine map (2, 3)."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def _check(neutral: Aligned, photo: Aligned, limits: MorphLimits) -> None:
    if coloured(neutral.image) != coloured(photo.image):
        raise reject(
            "MISALIGNED",
            f"{photo.image.name}: expected a {'colour' if coloured(neutral.image) else 'grey'} "
            f"photo like {neutral.image.name}, got another kind; use photos of one camera",
        )
    scale = math.hypot(*photo.matrix[:, 0])
    turned = landmark_pose(photo.landmarks.points) - landmark_pose(neutral.landmarks.points)
    roll = math.degrees(math.atan2(photo.matrix[1, 0], photo.matrix[0, 0]))
    for name, value, limit, unit in (
        ("size of the face, as a ratio,", max(scale, 1 / max(scale, 1e-9)), limits.scale, ""),
        ("turn in the picture", abs(roll), limits.roll, " degrees"),
        ("turn of the head", abs(float(turned[0])), limits.yaw, " degrees"),
        ("nod of the head", abs(float(turned[1])), limits.pitch, " degrees"),
        ("place of eyes and nose", photo.residual, limits.residual, " inter-ocular distances"),
    ):
        if limit is not None and not value <= limit:
            raise reject(
                "MISALIGNED",
                f"{photo.image.name}: expected the {name} within {limit:g}{unit} of "
                f"{neutral.image.name}, got {value:.3g}; use photos taken alike",
                value,
            )


def check_folds(first: Aligned, second: Aligned, limits: MorphLimits) -> None:
    """Pass silently if no triangle of the two photos' mesh folds on the way between them.

    Raises
    ------
    SkipPhoto
        ``FOLDED``, with the area as a share of the squared inter-ocular distance.
    """
    size = first.image.height, first.image.width
    mesh = make_mesh([first.points, second.points], size)
    area = least_area(mesh, first.points, second.points) / inter_ocular(first.points) ** 2
    if limits.area is not None and not area >= limits.area:
        raise reject(
            "FOLDED",
            f"{second.image.name}: expected landmarks that move over to those of "
            f"{first.image.name} without a fold, got a triangle of {area:.2g} squared inter-ocular "
            "distances; check the landmarks",
            area,
        )
