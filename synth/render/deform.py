"""The mesh of one expression and head pose, as the renderer draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.camera import FLIP, project, rotation_matrix
from synth.render.folds import fold_ratio, fold_strengths
from synth.render.lids import meet
from synth.render.light import relight
from synth.render.mouth_shape import mouth_shape, shape_mouth
from synth.render.rig import FaceRig
from synth.render.shade import GAIN, vertex_normals
from synth.types import Camera

__all__ = ["Deformed", "deform"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Deformed:
    """Positions, and what shading needs of them.

    Attributes
    ----------
    points : (V + S, 3) float64
        Mesh and skirt: pixels and depth in mm.
    normals : (V, 3) float64
        Model space.
    values : (V + S, 6) float32
        See `synth.render.shade.shade_warp`.
    folds : (M, M, 3) float32
        Ratio map.
    camera : Camera
        The fit's own unless the head was turned.
    weights : (52,) float64
    """

    points: Float
    normals: Float
    values: NDArray[np.float32]
    folds: NDArray[np.float32]
    camera: Camera
    weights: Float


_NO_FOLDS = np.ones((2, 2, 3), np.float32)


def deform(rig: FaceRig, weights: Float, camera: Camera) -> Deformed:
    """Mesh and skirt of an expression seen by `camera`, relit and with its folds."""
    vertices = rig.fit.vertices + rig.model.offsets(weights)
    for lid in rig.lids:
        if weights[lid.blink]:
            vertices[lid.index] -= weights[lid.blink] * lid.excess
    mouth = mouth_shape(rig.model)
    shape_mouth(mouth, rig.fit.vertices, vertices, rig.fit.camera)
    seen = project(vertices, camera)
    seen[:, 2] += mouth.inset
    for lid in rig.lids:
        meet(lid, seen, vertices, camera, weights[lid.blink])
    surface = rig.surface
    motion = seen[surface.outline, :2] - rig.neutral[surface.outline, :2]
    skirt = np.empty((len(surface.skirt), 3))
    skirt[:, :2] = surface.skirt + surface.follow @ motion
    skirt[:, 2] = seen[:, 2].max() + 50.0  # behind everything
    normals = np.empty_like(vertices)
    vertex_normals(vertices, rig.model.faces, rig.topology.corner_faces, normals)
    values = rig.values.copy()
    if rig.settings.relight:
        lit = normals
        if camera is not rig.fit.camera:  # the light stays with the camera
            back = rotation_matrix(rig.fit.camera).T @ rotation_matrix(camera)
            lit = (normals * FLIP) @ back.T * FLIP
        values[: len(vertices), GAIN] = relight(rig.light, rig.normals, lit, rig.guard)
    values[-len(surface.outline) :, GAIN] = values[surface.outline, GAIN]  # no seam
    folds = _folds(rig, weights, vertices)
    return Deformed(np.concatenate((seen, skirt)), normals, values, folds, camera, weights)


def _folds(rig: FaceRig, weights: Float, vertices: Float) -> NDArray[np.float32]:
    """(M, M, 3) ratio of the folds of an expression."""
    if rig.folds is None:
        return _NO_FOLDS
    model = rig.model
    before, after = model.landmarks(rig.fit.vertices), model.landmarks(vertices)
    strengths = fold_strengths(weights, model.blendshape_names, rig.folds, before, after)
    return fold_ratio(rig.folds, strengths, rig.settings.fold_strength)
