"""The drawn head in space: what light falls on, and what glasses and masks sit on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.camera import FLIP, project, rotation_matrix, turned
from synth.render.face import NECK
from synth.render.rig import FaceRig
from synth.render.shade import vertex_normals
from synth.types import Camera

__all__ = ["Posed", "pose_head"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Posed:
    """One face with its expression and head pose.

    Attributes
    ----------
    vertices : (V, 3) float64
        Model space, mm.
    landmarks : (68, 3) float64
        Model space, mm.
    seen : (V, 3) float64
        Pixels and depth in mm.
    normals : (V, 3) float64
        Unit, of the viewer: x to the picture's right, y up, z to the viewer.
    camera : Camera
    """

    vertices: Float
    landmarks: Float
    seen: Float
    normals: Float
    camera: Camera

    @property
    def scale(self) -> float:
        """Pixels per mm at the depth of the eyes."""
        return self.camera.focal / float(
            project(self.landmarks[[36, 45]], self.camera)[:, 2].mean()
        )


def pose_head(rig: FaceRig, weights: Float, pose: ArrayLike) -> Posed:
    """The mesh that `synth.render.face.render` draws, but for the finish of lids and lips.

    Parameters
    ----------
    rig : FaceRig
    weights : (52,) float
        In the model's order.
    pose : (3,) float
        Yaw, pitch and roll in degrees, added to the head's own.
    """
    camera = turned(rig.fit.camera, pose, NECK) if np.any(pose) else rig.fit.camera
    vertices = rig.fit.vertices + rig.model.offsets(weights)
    normals = np.empty_like(vertices)
    vertex_normals(vertices, rig.model.faces, rig.topology.corner_faces, normals)
    return Posed(
        vertices=vertices,
        landmarks=rig.model.landmarks(vertices),
        seen=project(vertices, camera),
        normals=to_viewer(normals, camera),
        camera=camera,
    )


def to_viewer(directions: Float, camera: Camera) -> Float:
    """(N, 3) model directions as the viewer sees them: x right, y up, z to the viewer."""
    return np.asarray(((directions * FLIP) @ rotation_matrix(camera).T) * FLIP)
