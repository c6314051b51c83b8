"""Who stands before what: a soft mask of the person, so that light leaves the background alone.

Found once per photo, with GrabCut (Rother et al., SIGGRAPH 2004) on a small copy,
and refined to the photo's own edges with a guided filter (He et al., TPAMI 2013).
"""

from __future__ import annotations

import weakref

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.render.rig import FaceRig

__all__ = ["person_matte"]

Float32 = NDArray[np.float32]
#: Pixels between the outer eye corners of the small copy.
SMALL = 32.0
#: Radius of the guided filter in inter-ocular distances, and its smallest contrast.
RADIUS, CONTRAST = 0.05, 8.0

_CACHE: dict[int, Float32] = {}


def person_matte(rig: FaceRig) -> Float32:
    """(h, w) float32 over ``rig.surface.box``: 1 on the person, 0 on the background.

    Computed at first use and kept as long as the rig.
    """
    found = _CACHE.get(id(rig))
    if found is None:
        found = _CACHE[id(rig)] = _matte(rig)
        weakref.finalize(rig, _CACHE.pop, id(rig), None)
    return found


def _matte(rig: FaceRig) -> Float32:
    left, top, width, height = rig.surface.box
    photo = np.ascontiguousarray(rig.image.pixels[top : top + height, left : left + width])
    scale = min(SMALL / rig.inter_ocular, 1.0)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    points = (rig.landmarks.points - (left, top) + 0.5) * (size[0] / width, size[1] / height) - 0.5
    label = _first_guess(points, small.shape[:2])
    if (label == cv2.GC_PR_BGD).sum() < 20:
        return np.ones((height, width), np.float32)
    cv2.setRNGSeed(0)  # GrabCut's clusters start from OpenCV's own random numbers
    cv2.grabCut(small, label, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    person = ((label == cv2.GC_FGD) | (label == cv2.GC_PR_FGD)).astype(np.float32)
    person = cv2.GaussianBlur(person, (0, 0), 0.7)
    rough = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR)
    return _refined(photo, rough, max(2, round(RADIUS * rig.inter_ocular)))


def _first_guess(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """GrabCut's labels: surely the face, probably the head and what is below it."""
    label = np.full(shape, cv2.GC_PR_BGD, np.uint8)
    iod = float(np.linalg.norm(points[45] - points[36]))
    middle, chin = points[27], points[8]
    across = points[45] - points[36]
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    head = (middle + (points[8] - middle) * 0.15).round().astype(int).tolist()
    axes = (round(1.0 * iod), round(1.55 * iod))
    cv2.ellipse(label, head, axes, tilt, 0, 360, cv2.GC_PR_FGD, -1)
    low, reach = int(round(chin[1])), round(0.7 * iod)
    middle_x = int(round(chin[0]))
    if low < shape[0]:
        label[max(low, 0) :, max(middle_x - reach, 0) : middle_x + reach + 1] = cv2.GC_PR_FGD
    up = np.array([across[1], -across[0]]) * 0.35
    face = np.vstack((points[:27], points[17:27] + up)).astype(np.float32)
    hull = cv2.convexHull(face).astype(np.int32)
    cv2.fillConvexPoly(label, hull, cv2.GC_FGD)
    return label


def _refined(photo: NDArray[np.uint8], rough: Float32, radius: int) -> Float32:
    """`rough` drawn to the edges of the photo's luminance."""
    guide = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Float32) -> Float32:
        return np.asarray(cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_REFLECT))

    m, p = mean(guide), mean(rough)
    variance = mean(guide * guide) - m * m + np.float32(CONTRAST**2)
    slope = np.asarray((mean(guide * rough) - m * p) / variance, np.float32)
    matte = mean(slope) * guide + mean(np.asarray(p - slope * m, np.float32))
    return np.asarray(np.clip((matte - 0.1) / 0.8, 0, 1), np.float32)
