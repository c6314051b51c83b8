"""The pinhole camera: model millimetres to photo pixels, and back at a known depth.

Model axes: x to the subject's left, y up, z out of the face. Camera axes: x to
the right, y down, z away from the viewer. See ``docs/axes.md``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from synth.types import Camera

__all__ = [
    "FLIP",
    "camera_offset",
    "crop_camera",
    "pose_degrees",
    "project",
    "rotation_matrix",
    "turned",
    "view_directions",
]

#: Model axes to camera axes before the rotation: y and z change sign.
FLIP = np.array([1.0, -1.0, -1.0])


def rotation_matrix(camera: Camera) -> NDArray[np.float64]:
    """(3, 3) rotation of the camera's quaternion (scalar last)."""
    # Written out: a Rotation object costs ten times as much, several times a picture.
    x, y, z, w = (camera.quaternion / np.sqrt(camera.quaternion @ camera.quaternion)).tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def project(vertices: ArrayLike, camera: Camera) -> NDArray[np.float64]:
    """Pixel position and depth of model points.

    Parameters
    ----------
    vertices : (N, 3) float
        Model space, mm.
    camera : Camera

    Returns
    -------
    (N, 3) float64
        x and y in pixels, depth in mm (larger is farther).
    """
    points = np.asarray(vertices, np.float64) * FLIP
    seen = points @ rotation_matrix(camera).T + camera.translation
    scale = camera.focal / seen[:, 2]
    return np.column_stack(
        (seen[:, 0] * scale + camera.center[0], seen[:, 1] * scale + camera.center[1], seen[:, 2])
    )


def camera_offset(pixels: ArrayLike, depth: ArrayLike, camera: Camera) -> NDArray[np.float64]:
    """Model-space offset (N, 3) in mm that moves points at `depth` by `pixels` (N, 2)."""
    d = np.asarray(pixels, np.float64) * (np.asarray(depth, np.float64) / camera.focal)[:, None]
    return np.column_stack((d, np.zeros(len(d)))) @ rotation_matrix(camera) * FLIP


def view_directions(vertices: ArrayLike, camera: Camera) -> NDArray[np.float64]:
    """(N, 3) unit vectors from model points to the camera, in model space."""
    rotation = rotation_matrix(camera)
    position = (-camera.translation @ rotation) * FLIP
    to_camera = position - np.asarray(vertices, np.float64)
    return np.asarray(to_camera / np.linalg.norm(to_camera, axis=1, keepdims=True))


def pose_degrees(camera: Camera) -> NDArray[np.float64]:
    """Yaw, pitch and roll of the head in degrees.

    Positive yaw turns the face to the subject's left (image right), positive
    pitch lifts it, positive roll tips it clockwise as the viewer sees it.
    """
    # Columns of M are the head's axes in a viewer frame with y up, z towards the viewer.
    matrix = FLIP[:, None] * rotation_matrix(camera) * FLIP[None, :]
    yaw = np.arctan2(matrix[0, 2], matrix[2, 2])
    pitch = np.arcsin(np.clip(matrix[1, 2], -1, 1))
    roll = np.arctan2(-matrix[1, 0], matrix[1, 1])
    return np.degrees(np.array([yaw, pitch, roll]))


def turned(camera: Camera, pose: ArrayLike, pivot: ArrayLike) -> Camera:
    """The camera as a head that turns by `pose` about `pivot` would see it.

    Parameters
    ----------
    camera : Camera
    pose : (3,) float
        Yaw, pitch and roll in degrees, added to those of `pose_degrees`.
    pivot : (3,) float
        Model point that stays where it is, mm.

    Returns
    -------
    Camera
        With ``pose_degrees(turned) == pose_degrees(camera) + pose``.
    """
    yaw, pitch, roll = pose_degrees(camera) + np.asarray(pose, np.float64)
    head = Rotation.from_euler("YXZ", [yaw, -pitch, -roll], degrees=True).as_matrix()
    rotation = FLIP[:, None] * head * FLIP[None, :]
    point = np.asarray(pivot, np.float64) * FLIP
    return Camera(
        quaternion=np.asarray(Rotation.from_matrix(rotation).as_quat()),
        translation=camera.translation + (rotation_matrix(camera) - rotation) @ point,
        focal=camera.focal,
        center=camera.center,
    )


def crop_camera(camera: Camera, matrix: ArrayLike) -> Camera:
    """The camera seen through a crop: `matrix` (2, 3) is a uniform scale and shift of pixels."""
    m = np.asarray(matrix, np.float64)
    return Camera(
        quaternion=camera.quaternion,
        translation=camera.translation,
        focal=camera.focal * m[0, 0],
        center=m[:, :2] @ camera.center + m[:, 2],
    )
