"""Scores of the drawn mesh: lips, lids, irises, the inside of the mouth, folds.

All lengths are in inter-ocular distances of the photo, along the axes of the
face in the picture, so that a tilted head is judged like an upright one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.camera import project
from synth.quality.loops import folded
from synth.render.details import around
from synth.render.eyes import edge_rows
from synth.render.gaze import aim
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.topology import INTERIOR, OUTSIDE, SKIN, Curves
from synth.types import Camera

__all__ = ["fold_share", "iris_outside", "lids_crossed", "lips_crossed", "mouth_outside"]

Float = NDArray[np.float64]

#: Columns in which two edges are compared.
COLUMNS = 24
#: An eye is open from this opening on, in inter-ocular distances.
OPEN = 0.04
#: Around the lips what is inside them is searched this far, as the renderer draws it:
#: in inter-ocular distances, and pixels.
PAD = (0.02, 2.0)


def face_axes(points: Float) -> Float:
    """(2, 2) unit vectors to the picture's right and down along the face (68, 2 points)."""
    across = (points[45] - points[36]) / max(float(np.linalg.norm(points[45] - points[36])), 1e-9)
    return np.array([across, (-across[1], across[0])])


def _overlap(points: Float, curves: Curves, axes: Float) -> float:
    """Largest height by which the lower edge lies above the upper one; negative when open."""
    upper, lower = points[curves.upper, :2] @ axes.T, points[curves.lower, :2] @ axes.T
    first = max(upper[:, 0].min(), lower[:, 0].min())
    last = min(upper[:, 0].max(), lower[:, 0].max())
    columns = np.linspace(first, last, COLUMNS + 2)[1:-1]
    return float((edge_rows(upper, columns) - edge_rows(lower, columns)).max())


def lips_crossed(rig: FaceRig, points: Float, axes: Float) -> float:
    """How far the lower lip lies above the upper one, beyond what it does in the photo.

    Parameters
    ----------
    rig : FaceRig
    points : (V + S, 2+) float64
        Drawn mesh, pixels.
    axes : (2, 2) float64
        See `face_axes`.
    """
    before = _overlap(rig.neutral, rig.topology.lips, face_axes(rig.landmarks.points))
    now = _overlap(points, rig.topology.lips, axes)
    return (now - max(before, 0.0)) / rig.inter_ocular


def lids_crossed(rig: FaceRig, points: Float, axes: Float) -> float:
    """How far a lower lid lies above its upper one; parameters as in `lips_crossed`."""
    return max(_overlap(points, lids, axes) for lids in rig.topology.lids) / rig.inter_ocular


def iris_outside(rig: FaceRig, points: Float, axes: Float, weights: Float, camera: Camera) -> float:
    """How far the centre of an iris lies outside the lids of an eye that is open.

    0 where both lie inside, or behind a lid that is all but shut.

    Parameters
    ----------
    rig, points, axes
        As in `lips_crossed`.
    weights : (52,) float64
        In the model's order.
    camera : Camera
        That sees the picture.
    """
    worst = 0.0
    for eye, lids in enumerate(rig.topology.lids):
        front, side = rig.fronts[eye], ("Right", "Left")[eye]
        depth = float(rig.neutral[front, 2].mean())
        gaze = aim(weights, rig.model.blendshape_names, side, rig.fit.camera, depth)
        centre = rig.eyes[eye].iris[:2] + gaze.shift
        if camera is not rig.fit.camera:
            moved = project(rig.fit.vertices[front], camera)[:, :2] - rig.neutral[front, :2]
            centre = centre + moved.mean(0)
        x, y = axes @ centre
        upper, lower = points[lids.upper, :2] @ axes.T, points[lids.lower, :2] @ axes.T
        top, bottom = float(edge_rows(upper, x)), float(edge_rows(lower, x))
        beside = max(upper[:, 0].min() - x, x - upper[:, 0].max())
        if np.max(edge_rows(lower, upper[:, 0]) - upper[:, 1]) > OPEN * rig.inter_ocular:
            worst = max(worst, top - y, y - bottom, float(beside))
    return worst / rig.inter_ocular


def mouth_outside(rig: FaceRig, points: Float) -> float:
    """Area of teeth, tongue and cavity seen outside the lips, in squared inter-ocular distances.

    Parameters
    ----------
    rig : FaceRig
    points : (V + S, 3) float64
        Drawn mesh: pixels and depth.
    """
    surface, lips, iod = rig.surface, rig.topology.lips, rig.inter_ocular
    loop = points[np.concatenate((lips.upper, lips.lower[::-1])), :2]
    left, top, width, height = around(
        loop, PAD[0] * iod + PAD[1], (rig.image.height, rig.image.width)
    )
    if width < 1 or height < 1:
        return 0.0
    ids, _, _ = rasterise(points, surface.faces, (left, top, width, height), 1, perspective=False)
    inside = _inside(surface.labels)[ids] & (ids >= 0)
    if not inside.any():
        return 0.0
    lips_filled = np.zeros(ids.shape, np.uint8)
    corners = np.rint((loop - (left, top)) * 16).astype(np.int32)  # 4 binary digits
    cv2.fillPoly(lips_filled, [corners], 1, shift=4)
    lips_filled = cv2.dilate(lips_filled, np.ones((3, 3), np.uint8))
    return float(np.count_nonzero(inside & (lips_filled == 0))) / iod**2


def _inside(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(F,) triangles inside the mouth."""
    table = np.zeros(256, bool)
    table[list(INTERIOR)] = True
    return np.asarray(table[labels])


def _groups(labels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """(F,) 0 for the skin, 1 for its surroundings, -1 for the rest."""
    table = np.full(256, -1, np.int8)
    table[SKIN], table[OUTSIDE] = 0, 1
    return np.asarray(table[labels])


def fold_share(rig: FaceRig, points: Float, camera: Camera) -> float:
    """Share of the area of the visible skin, or of its surroundings, that turned over.

    Skin that a turn of the head alone hides is no fold.

    Parameters
    ----------
    rig : FaceRig
    points : (V + S, 3) float64
        Drawn mesh.
    camera : Camera
        That sees the picture.
    """
    surface = rig.surface
    still = camera is rig.fit.camera
    skin = rig.neutral if still else project(rig.fit.vertices, camera)
    before = np.empty((len(points), 2))
    before[: len(skin)], before[len(skin) :] = skin[:, :2], surface.skirt
    area = folded(before, points, surface.faces, _groups(surface.labels), 2)
    front = area[0, area[0, :, 0].argmax()]  # what is seen of the skin
    around_it = area[1].sum(0)
    return float(max(front[1] / max(front[0], 1e-9), around_it[1] / max(around_it[0], 1e-9)))
