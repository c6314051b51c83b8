"""Scores of the drawn pixels: seams and sharpness, against the photo's own."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.quality.loops import border_jumps, capped_detail
from synth.render.face import Rendered
from synth.render.rig import FaceRig

__all__ = ["outline_jump", "seam_jump", "sharpness_ratio"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: Directions from the middle of the face in which a seam is looked for.
SECTORS = 16
#: A direction with less border than this counts as if it had it, so that specks of a few
#: pixels weigh little; inter-ocular distances.
LEAST_BORDER = 0.8
#: Around mouth and eyes, whose edges are drawn, borders do not count; inter-ocular distances.
SPARED = 0.08
#: Pixels from the outline of the face at which its two sides are compared.
ASIDE = 1.5
#: Detail of a pixel is capped here, and this much is added to either picture's: grey levels.
CAP, FLOOR = 10.0, 0.25


def seam_jump(rig: FaceRig, drawn: Rendered) -> float:
    """Jump between drawn and kept pixels beyond the photo's own, in the worst direction.

    Parameters
    ----------
    rig : FaceRig
    drawn : Rendered

    Returns
    -------
    float
        Mean grey levels; 0 when everything or nothing was drawn.
    """
    spared = np.stack(
        [_box(drawn.landmarks[part], SPARED * rig.inter_ocular) for part in
         (slice(36, 42), slice(42, 48), slice(48, 68))]
    )  # fmt: skip
    found = border_jumps(
        drawn.pixels, rig.image.pixels, drawn.mask, spared, drawn.landmarks.mean(0), SECTORS
    )
    return float((found[:, 0] / np.maximum(found[:, 1], LEAST_BORDER * rig.inter_ocular)).max())


def _box(points: Float, pad: float) -> NDArray[np.int64]:
    """Left, top, right, bottom (half open) around points (n, 2)."""
    low, high = np.floor(points.min(0) - pad), np.ceil(points.max(0) + pad) + 1
    return np.concatenate((low, high)).astype(np.int64)


def outline_jump(rig: FaceRig, drawn: Rendered, points: Float) -> float:
    """Mean excess of the contrast across the face's outline over that in the photo, grey levels.

    Parameters
    ----------
    rig : FaceRig
    drawn : Rendered
        Without a turn of the head, which shows the outline against something else.
    points : (V + S, 2+) float64
        Drawn mesh, pixels.
    """
    nodes = rig.surface.outline
    before, after = rig.neutral[nodes, :2], points[nodes, :2]
    size = np.array([rig.image.width, rig.image.height])
    inside = ((after > 2 * ASIDE) & (after < size - 1 - 2 * ASIDE)).all(1)
    if not inside.any():
        return 0.0
    now = _contrast(drawn.pixels, after[inside], after.mean(0))
    then = _contrast(rig.image.pixels, before[inside], before.mean(0))
    return float(np.maximum(now - then, 0.0).mean())


def _contrast(pixels: UInt8, points: Float, centre: Float) -> Float:
    """(n,) difference of the pixels beyond and before `points` (n, 2), seen from `centre`."""
    away = points - centre
    away *= ASIDE / np.maximum(np.linalg.norm(away, axis=1), 1e-9)[:, None]
    at = np.concatenate((points + away, points - away)).astype(np.float32)
    found = cv2.remap(
        pixels, at[:, None, :], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )[:, 0].astype(np.float64)
    outer, inner = np.split(found, 2)
    return np.asarray(np.abs(outer - inner).mean(1))


def sharpness_ratio(rig: FaceRig, drawn: Rendered) -> float:
    """Fine detail of the drawn face as a share of the photo's; 1 is as sharp as the photo.

    Parameters
    ----------
    rig : FaceRig
    drawn : Rendered
    """
    now = _detail(drawn.pixels, drawn.landmarks)
    return (now + FLOOR) / (_detail(rig.image.pixels, rig.landmarks.points) + FLOOR)


def _detail(pixels: UInt8, landmarks: Float) -> float:
    """Mean capped Laplacian inside the hull of the landmarks, grey levels."""
    size = np.array([pixels.shape[1], pixels.shape[0]])
    hull = cv2.convexHull(np.rint(np.clip(landmarks, 0, size - 1)).astype(np.int32))
    left, top, width, height = cv2.boundingRect(hull)
    region = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(region, hull - np.array([left, top]), 1)
    return float(capped_detail(pixels, region, left, top, CAP))
