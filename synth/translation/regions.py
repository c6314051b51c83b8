"""Soft masks of the parts of a face, and its rough relief, from 68 landmarks and colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.types import inter_ocular

__all__ = ["Frame", "Regions", "blurred", "face_frame", "face_relief", "find_regions"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

#: Bits of a pixel that polygon corners are given in.
_SHIFT = 4
_EYES = (slice(36, 42), slice(42, 48))
_BROWS = (slice(17, 22), slice(22, 27))
#: Radius of the iris (11.7 mm across) and of a pupil in the dark, in outer eye distances.
_IRIS, _PUPIL = 0.062, 0.02


@dataclass(frozen=True)
class Frame:
    """The face's own axes in the picture.

    Attributes
    ----------
    u, v : (H, W) float32
        Inter-ocular distances from the bridge of the nose: to the picture's right and
        down, along and across the line of the eyes.
    unit : float
        Inter-ocular distance (points 36 and 45) in pixels.
    points : (68, 2) float64
        The landmarks in these axes.
    """

    u: Float32
    v: Float32
    unit: float
    points: Float


@dataclass(frozen=True)
class Regions:
    """Soft masks (H, W) float32 in [0, 1]; later ones lie over earlier ones.

    Attributes
    ----------
    background : what has the colour of the picture's upper corners, beside the head.
    skin : face, ears and neck, by colour.
    lips, mouth : the red of the lips; what shows between them.
    eyes, iris, pupil, glint : the open eyes, and in them; the glint is a point.
    """

    background: Float32
    skin: Float32
    lips: Float32
    mouth: Float32
    eyes: Float32
    iris: Float32
    pupil: Float32
    glint: Float32


def blurred(values: Float32, sigma: float) -> Float32:
    """Gaussian blur, `sigma` in pixels; the same array where that is next to nothing."""
    if sigma < 0.2:
        return values
    return np.asarray(
        cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
    )


def face_frame(points: Float, shape: tuple[int, int]) -> Frame:
    """The face's axes on a picture of `shape` (height, width)."""
    unit = inter_ocular(points)
    across = (points[45] - points[36]) / unit
    down = np.array([-across[1], across[0]])
    origin = (points[36] + points[45]) / 2
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    dx, dy = (x - origin[0]) / unit, (y - origin[1]) / unit
    u, v = dx * across[0] + dy * across[1], dx * down[0] + dy * down[1]
    own = (points - origin) / unit @ np.column_stack([across, down])
    return Frame(u.astype(np.float32), v.astype(np.float32), unit, own)


def face_relief(frame: Frame) -> Float32:
    """Rough height of the head towards the camera, in inter-ocular distances.

    An ellipsoid through the jaw's points, a nose, sockets and lips as bumps; the bridge
    of the nose is about 0. Beyond the ellipsoid it stays at the height of the ears. It is
    shifted with the tip of the nose, so that a head turned a little has its lit side
    turned too.
    """
    own = frame.points
    half = max(0.5, float(own[16, 0] - own[0, 0]) / 2) * 1.08
    middle = float(own[[0, 16], 0].mean() + 0.6 * (own[30, 0] - own[[0, 16], 0].mean()))
    chin = float(own[8, 1])
    centre, tall = 0.42 * chin, 0.85 * chin + 0.25
    r2 = ((frame.u - middle) / half) ** 2 + ((frame.v - centre) / tall) ** 2
    # Soft below 0: a true ellipsoid's slope is infinite at its rim.
    height = 0.75 * half * np.sqrt(0.5 * (1 - r2 + np.sqrt((1 - r2) ** 2 + 0.05)))
    for (x, y), wide, high, tall_ in _bumps(own):
        height = height + tall_ * np.exp(
            -0.5 * (((frame.u - x) / wide) ** 2 + ((frame.v - y) / high) ** 2)
        )
    return np.asarray(height - 0.75 * half, np.float32)


def _bumps(own: Float) -> list[tuple[tuple[float, float], float, float, float]]:
    """Centre, width, height and rise of nose, sockets and lips."""
    tip, bridge, lips = own[30], own[28], own[48:60].mean(0)
    bumps = [
        ((float(tip[0]), float(tip[1])), 0.11, 0.12, 0.16),
        ((float(bridge[0]), float(bridge[1])), 0.07, 0.2, 0.07),
        ((float(lips[0]), float(lips[1])), 0.22, 0.14, 0.05),
    ]
    for eye in _EYES:
        x, y = own[eye].mean(0)
        bumps.append(((float(x), float(y)), 0.17, 0.11, -0.05))
    return bumps


def find_regions(linear: Float32, points: Float, frame: Frame) -> Regions:
    """Where skin, lips, eyes, mouth and background are.

    Parameters
    ----------
    linear : (H, W, 3) float32
        The photo in linear light, 0 to 1.
    points : (68, 2) float64
    frame : Frame
        Of the same face.
    """
    unit = frame.unit
    face = _polygon(frame.u.shape, _outline(points, unit), 0.03 * unit)
    lips = np.maximum(
        _polygon(frame.u.shape, points[[48, 49, 50, 51, 52, 53, 54, 64, 63, 62, 61, 60]], 0.0),
        _polygon(frame.u.shape, points[[48, 60, 67, 66, 65, 64, 54, 55, 56, 57, 58, 59]], 0.0),
    )
    mouth = _polygon(frame.u.shape, points[60:68], 0.0)
    eyes, iris, pupil, glint = _eyes(linear, points, unit)
    skin = _skin(linear, points, unit, face)
    return Regions(
        background=_background(linear, frame, face),
        skin=skin,
        lips=blurred(lips, 0.02 * unit),
        mouth=blurred(mouth, 0.012 * unit),
        eyes=eyes,
        iris=iris,
        pupil=pupil,
        glint=glint,
    )


def _polygon(shape: tuple[int, ...], corners: Float, soft: float) -> Float32:
    mask = np.zeros(shape[:2], np.uint8)
    fixed = np.round(corners * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
    return blurred(np.asarray(mask / 255, np.float32), soft)


def _outline(points: Float, unit: float) -> Float:
    """Jaw and forehead: the brows, raised by what a forehead is high."""
    up = points[[27]].mean(0) - points[8]
    up = up / np.linalg.norm(up)
    brows = points[26:16:-1] + 0.38 * unit * up
    return np.concatenate([points[:17], brows])


def _skin(linear: Float32, points: Float, unit: float, face: Float32) -> Float32:
    """How much each pixel has the colour of the cheeks and the nose.

    Hue decides, and how much darker it is; lighter is still skin (a highlight).
    """
    core = _polygon(face.shape, points[[1, 3, 5, 11, 13, 15, 28]], 0.0) > 0.5
    if not core.any():
        return face
    density = -np.log(np.maximum(linear, 0.004))
    hue = density[..., 1:] - density[..., :2]
    tone = np.median(hue[core], 0)
    dark = density[..., 0] - np.median(density[..., 0][core])
    away = ((hue - tone) ** 2).sum(-1) / 0.35**2 + np.maximum(dark - 0.25, 0) ** 2 / 0.45**2
    like = np.exp(-0.5 * away).astype(np.float32)
    near = blurred(_polygon(face.shape, _whole_head(points, unit), 0.0), 0.15 * unit)
    like = blurred(np.asarray(like * near, np.float32), 0.012 * unit)
    # Between brows and jaw, shaded or made-up skin is skin too, whatever its colour.
    inner = _polygon(face.shape, points[np.r_[1:16, 45, 42, 28, 39, 36]], 0.06 * unit)
    return np.maximum(like, 0.75 * inner)


def _whole_head(points: Float, unit: float) -> Float:
    """The head with its ears and the neck, generously."""
    centre = points[[27, 33]].mean(0)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    tall = np.where(np.sin(angle) > 0, 2.0, 1.2)
    return centre + unit * np.column_stack([1.05 * np.cos(angle), tall * np.sin(angle)])


def _eyes(linear: Float32, points: Float, unit: float) -> tuple[Float32, Float32, Float32, Float32]:
    shape = linear.shape[:2]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    soft = max(0.012 * unit, 0.35)
    eyes, iris, pupil, glint = (np.zeros(shape, np.float32) for _ in range(4))
    for part in _EYES:
        eye = _polygon(shape, points[part], 0.0)
        cx, cy = _iris_centre(linear, eye, points[part], unit)
        away = np.hypot(x - cx, y - cy)
        eyes = np.maximum(eyes, eye)
        iris = np.maximum(iris, _step(_IRIS * unit - away, soft))
        pupil = np.maximum(pupil, _step(_PUPIL * unit - away, soft))
        glint = np.maximum(glint, np.exp(-0.5 * (away / max(0.008 * unit, 0.45)) ** 2))
    eyes = blurred(eyes, 0.012 * unit)
    return eyes, iris * eyes, pupil * eyes, glint * eyes


def _step(inside: Float32, soft: float) -> Float32:
    """1 inside, 0 outside; `inside` is the distance from the edge in pixels."""
    return np.asarray(1 / (1 + np.exp(-np.clip(inside / (0.6 * soft), -30, 30))), np.float32)


def _iris_centre(linear: Float32, eye: Float32, corners: Float, unit: float) -> tuple[float, float]:
    """Where the eye is darkest, pulled to its middle: the lids hide half of the iris."""
    middle = corners.mean(0)
    grey = linear.mean(-1)
    inside = eye > 0.5
    if inside.sum() < 9:  # a few pixels tell nothing
        return float(middle[0]), float(middle[1])
    dark = np.maximum(np.median(grey[inside]) * 1.1 - blurred(grey, 0.02 * unit), 0) * inside
    total = float(dark.sum())
    if total <= 0:
        return float(middle[0]), float(middle[1])
    rows, columns = np.nonzero(inside)
    x = float((dark[inside] * columns).sum()) / total
    y = float((dark[inside] * rows).sum()) / total
    return 0.75 * x + 0.25 * float(middle[0]), 0.5 * y + 0.5 * float(middle[1])


def _background(linear: Float32, frame: Frame, head: Float32) -> Float32:
    """What has the colour of the upper corners, away from the face."""
    height, width = head.shape
    h, w = max(1, height // 12), max(1, width // 12)
    away = np.full(head.shape, np.inf, np.float32)
    log = np.log(np.maximum(linear, 0.01))
    for corner in (log[:h, :w], log[:h, -w:]):
        colour = np.median(corner.reshape(-1, 3), 0)
        away = np.minimum(away, ((log - colour) ** 2).sum(-1))
    like = np.exp(-0.5 * np.maximum(np.sqrt(away) - 0.15, 0) ** 2 / 0.3**2).astype(np.float32)
    oval = np.hypot(frame.u / 0.6, (frame.v - 0.2) / 1.15)
    throat = np.abs(frame.u) / 0.4 + 3 * np.maximum(0.5 - frame.v, 0)
    like *= np.clip((np.minimum(oval, throat) - 0.95) / 0.15, 0, 1)
    # Pixels that hair and wall share are as bright as the wall: its dark reaches over them.
    reach = 2 * max(1, round(0.012 * frame.unit)) + 1
    like = cv2.dilate(like * (1 - head), np.ones((reach, reach), np.uint8))
    return blurred(like, 0.008 * frame.unit)
