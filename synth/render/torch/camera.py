"""Cameras of a batch of targets: `synth.camera` in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth.camera import FLIP, rotation_matrix
from synth.render.torch.ops import dot
from synth.types import Camera

__all__ = ["Cameras", "project", "rotated", "stack_cameras"]


@dataclass(frozen=True, eq=False)
class Cameras:
    """Cameras that share the lens of a fit.

    Attributes
    ----------
    cameras : tuple of Camera
        The fit's own where a head was not turned.
    rotation, translation : (B, 3, 3), (B, 3) float64
        Of model points with y and z reversed.
    back : (B, 3, 3) float64
        Turns normals to where the light of the photo finds them; model space.
    focal : float
    center : (x, y)
        Pixels.
    turned : (B,) bool
        Whether a head does not face as in the photo.
    """

    cameras: tuple[Camera, ...]
    rotation: Tensor
    translation: Tensor
    back: Tensor
    focal: float
    center: tuple[float, float]
    turned: Tensor


def stack_cameras(cameras: Sequence[Camera], fit: Camera, device: torch.device) -> Cameras:
    """`cameras` for a device; the one that is `fit` itself is not turned."""
    own = rotation_matrix(fit)
    rotations = np.stack([rotation_matrix(camera) for camera in cameras])
    turned = np.array([camera is not fit for camera in cameras])
    back = np.where(turned[:, None, None], own.T @ rotations, np.eye(3))
    back = FLIP[:, None] * back * FLIP

    def to(array: np.ndarray) -> Tensor:
        return torch.tensor(array, device=device)

    return Cameras(
        cameras=tuple(cameras),
        rotation=to(rotations),
        translation=to(np.stack([camera.translation for camera in cameras])),
        back=to(back),
        focal=float(fit.focal),
        center=(float(fit.center[0]), float(fit.center[1])),
        turned=to(turned),
    )


def rotated(points: Tensor, matrix: Tensor) -> Tensor:
    """(B, N, 3) ``matrix @ point`` of every point, with matrices (B, 3, 3)."""
    return torch.stack([dot(points, matrix[:, None, k]) for k in range(3)], 2)


def project(vertices: Tensor, cameras: Cameras) -> Tensor:
    """(B, N, 3) pixel positions and depths (mm) of model points (B, N, 3)."""
    flip = torch.tensor(FLIP, device=vertices.device)
    seen = rotated(vertices * flip, cameras.rotation) + cameras.translation[:, None]
    scale = cameras.focal / seen[..., 2]
    return torch.stack(
        (
            seen[..., 0] * scale + cameras.center[0],
            seen[..., 1] * scale + cameras.center[1],
            seen[..., 2],
        ),
        2,
    )
