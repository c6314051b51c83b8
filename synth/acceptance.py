"""Which photos are fit for use: size, pose, sharpness and a neutral mouth.

Each check raises `SkipPhoto` with a reason code and the measured value. The
limits were set on 61 frontal neutral studio photos (all pass, as they are and as
256-px crops of the face) and 41 photos of the same people smiling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import SkipPhoto
from synth.images import resize
from synth.types import FaceImage, Landmarks, inter_ocular

__all__ = [
    "Limits",
    "check_photo",
    "check_pose",
    "landmark_pose",
    "mouth_opening",
    "sharpness",
    "smile",
]

Float = NDArray[np.float64]

#: Mean heads (morphable model, perspective at 60 cm): sideways shift of the nose
#: tip per half eye distance and tangent of yaw; its height between eyes and mouth
#: at zero pitch, and the change of that per tangent of pitch.
NOSE_REACH = 1.17
NOSE_HEIGHT = 0.50
NOSE_RISE = 0.50
#: Sharpness is measured at this inter-ocular distance in pixels, or below.
SHARPNESS_SCALE = 96.0
SHARPNESS_POWER = 1.8
#: Largest mouth opening and smile that can be taken off a face, seen on 41 smiling people.
NEUTRALISED_OPENING, NEUTRALISED_SMILE = 0.07, 0.80
LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


@dataclass(frozen=True)
class Limits:
    """What a photo must satisfy; None switches a check off.

    Attributes
    ----------
    eye_distance : float
        Least inter-ocular distance (36-45), pixels.
    yaw, pitch : float
        Largest head turn of the fitted model, degrees. Roll is free, but
        the default detector was seen to find faces only up to 30 degrees of it.
    yaw_slack, pitch_slack : float
        Added before the fit, when the landmarks alone must tell: a person's nose
        shifts that estimate by 3 degrees of yaw and 7 of pitch (sd).
    sharpness : float
        Least `sharpness`. Sharp photos measure 0.06 to 0.5, a blur of 5 % of the
        inter-ocular distance at most 0.014, one of 2 % 0.003 to 0.03.
    mouth_opening : float
        Largest `mouth_opening`; neutral photos reach 0.035.
    smile : float
        Largest `smile`; neutral photos reach 0.66, half of real smiles pass 0.69.
    """

    eye_distance: float | None = 24.0
    yaw: float | None = 30.0
    pitch: float | None = 25.0
    yaw_slack: float = 5.0
    pitch_slack: float = 15.0
    sharpness: float | None = 0.016
    mouth_opening: float | None = 0.05
    smile: float | None = 0.69

    @classmethod
    def asked(cls, any_expression: bool, neutralise: bool) -> Limits:
        """The limits of a run with ``--allow-non-neutral``, ``--neutralise``, or neither."""
        if any_expression:
            return cls.any_expression()
        return cls.neutralised() if neutralise else cls()

    @classmethod
    def neutralised(cls) -> Limits:
        """Limits for photos whose expression is taken off: closed smiles, lips barely parted."""
        return cls(mouth_opening=NEUTRALISED_OPENING, smile=NEUTRALISED_SMILE)

    @classmethod
    def any_expression(cls) -> Limits:
        """Limits that let photos through that are not neutral."""
        return cls(mouth_opening=None, smile=None)


def check_photo(image: FaceImage, landmarks: Landmarks, limits: Limits | None = None) -> None:
    """Pass silently, or say why the photo cannot be used.

    Checked in this order: size, pose, sharpness, mouth.

    Raises
    ------
    SkipPhoto
        ``FACE_TOO_SMALL`` (pixels), ``POSE`` (degrees), ``BLUR`` (`sharpness`) or
        ``NOT_NEUTRAL`` (share of the inter-ocular distance).
    """
    limits = limits or Limits()
    points = landmarks.points
    distance = landmarks.inter_ocular
    if limits.eye_distance is not None and not distance >= limits.eye_distance:
        raise SkipPhoto(
            "FACE_TOO_SMALL",
            f"face: expected at least {limits.eye_distance:g} px between the outer eye corners, "
            f"got {distance:.1f}; use a larger photo",
            distance,
        )
    _check_turn(landmark_pose(points), limits, limits.yaw_slack, limits.pitch_slack)
    if limits.sharpness is not None:
        measured = sharpness(image.pixels, points)
        if not measured >= limits.sharpness:
            raise SkipPhoto(
                "BLUR",
                f"face: expected a sharpness of at least {limits.sharpness:g}, got "
                f"{measured:.4f}; use a sharper photo",
                measured,
            )
    _check_mouth(points, limits)


def check_pose(pose: ArrayLike, limits: Limits | None = None) -> None:
    """The same for the fitted model's pose.

    Parameters
    ----------
    pose : (3,) float
        Yaw, pitch, roll in degrees, as in `synth.types.Fit`.

    Raises
    ------
    SkipPhoto
        ``POSE`` with the angle beyond its limit.
    """
    _check_turn(np.asarray(pose, np.float64), limits or Limits(), 0.0, 0.0)


def _check_turn(pose: Float, limits: Limits, yaw_slack: float, pitch_slack: float) -> None:
    for name, angle, limit, slack in (
        ("yaw", float(pose[0]), limits.yaw, yaw_slack),
        ("pitch", float(pose[1]), limits.pitch, pitch_slack),
    ):
        if limit is not None and not abs(angle) <= limit + slack:
            raise SkipPhoto(
                "POSE",
                f"face: expected a {name} within {limit:g} degrees, got {angle:.0f}; "
                "use a photo that looks at the camera",
                angle,
            )


def _check_mouth(points: Float, limits: Limits) -> None:
    for name, measured, limit in (
        ("mouth opening", mouth_opening(points), limits.mouth_opening),
        ("smile", smile(points), limits.smile),
    ):
        if limit is not None and not measured <= limit:
            raise SkipPhoto(
                "NOT_NEUTRAL",
                f"face: expected a neutral face with a {name} of at most {limit:g} "
                f"inter-ocular distances, got {measured:.3f}; use a photo with a relaxed, closed "
                "mouth, or allow any expression",
                measured,
            )


def _upright(points: Float) -> Float:
    """Points with the eyes level: origin between the outer eye corners, unit their distance."""
    distance = max(inter_ocular(points), 1e-9)
    right = (points[45] - points[36]) / distance
    axes = np.array([right, (-right[1], right[0])])
    upright: Float = (points - (points[36] + points[45]) / 2) @ axes.T / distance
    return upright


def landmark_pose(points: Float) -> Float:
    """Yaw, pitch and roll in degrees from the 68 points alone.

    The nose tip stands out of the plane of eyes and mouth, so that a turned head
    shifts it. On heads of the morphable model yaw is right within 5 degrees to
    40, pitch within 10; the fit knows better.

    Returns
    -------
    (3,) float64
        Yaw to the subject's left, pitch up, roll clockwise in the picture.
    """
    face = _upright(points)
    mouth = (face[62, 1] + face[66, 1]) / 2
    yaw = np.arctan2(face[30, 0] * 2, NOSE_REACH)
    pitch = np.arctan2(NOSE_HEIGHT - face[30, 1] / max(mouth, 1e-9), NOSE_RISE)
    eyes = points[45] - points[36]
    return np.degrees(np.array([yaw, pitch, np.arctan2(eyes[1], eyes[0])]))


def mouth_opening(points: Float) -> float:
    """Mean gap between the inner lips (61-67, 62-66, 63-65) per inter-ocular distance."""
    gaps = np.linalg.norm(points[[67, 66, 65]] - points[[61, 62, 63]], axis=1)
    return float(gaps.mean() / max(inter_ocular(points), 1e-9))


def smile(points: Float) -> float:
    """Mouth width plus how far its corners lie above the lip line, per inter-ocular distance.

    A neutral mouth measures 0.49 to 0.66; smiles widen it and lift its corners.
    """
    face = _upright(points)
    lip_line = (face[62, 1] + face[66, 1]) / 2
    lift = lip_line - (face[48, 1] + face[54, 1]) / 2
    return float(np.linalg.norm(face[54] - face[48]) + lift)


def sharpness(pixels: NDArray[np.uint8], points: Float) -> float:
    """Fine detail of the face as a share of its contrast, 0 (flat) to about 1.

    Variance of the Laplacian over variance of the luma, on the face shrunk to
    96 px between the outer eye corners; smaller faces are not enlarged, and the
    ratio is multiplied by ``(distance / 96) ** 1.8``, which makes one limit serve
    faces from 24 px on.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    points : (68, 2) float64
    """
    distance = max(inter_ocular(points), 1e-9)
    scale = min(1.0, SHARPNESS_SCALE / distance)
    limits = np.array([pixels.shape[1], pixels.shape[0]])
    low = np.clip(np.floor(points[17:].min(axis=0) - 0.1 * distance), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(points[17:].max(axis=0) + 0.1 * distance), low + 1, limits).astype(int)
    crop = np.ascontiguousarray(pixels[low[1] : high[1], low[0] : high[0]])
    width, height = np.maximum(np.rint((high - low) * scale), 1).astype(int)
    luma = resize(crop, int(width), int(height)).astype(np.float64) @ LUMA
    if min(luma.shape) < 5 or luma.var() < 1e-9:
        return 0.0
    inner = luma[1:-1, 1:-1]
    neighbours = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    ratio = (neighbours - 4 * inner).var() / luma.var()
    return float(ratio * (distance * scale / SHARPNESS_SCALE) ** SHARPNESS_POWER)
