"""The meshes of a batch of expressions and head poses: `synth.render.deform` in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.render.light import BRIGHTEST, DARKEST
from synth.render.shade import GAIN
from synth.render.torch.camera import Cameras, project, rotated, stack_cameras
from synth.render.torch.folds import fold_ratios
from synth.render.torch.lids import meet
from synth.render.torch.mouth_shape import shape_mouths
from synth.render.torch.ops import dot, weighted
from synth.render.torch.rig import TorchRig

__all__ = ["State", "deform_batch"]

#: Depth of the skirt behind everything else, mm.
BEHIND_ALL = 50.0


@dataclass(frozen=True, eq=False)
class State:
    """Positions, and what shading needs of them.

    Attributes
    ----------
    points : (B, V + S, 3) float64
        Meshes and skirts: pixels and depth in mm.
    normals : (B, V, 3) float64
        Model space.
    gain : (B, V + S) float32
        Relighting ratio; the other per-vertex values are the rig's.
    folds : (B, M, M, 3) float32 or None
        Ratio maps.
    cameras : Cameras
    weights : (B, 52) float64
        On the host.
    landmarks : (B, 68, 2) float64
        Pixels.
    """

    points: Tensor
    normals: Tensor
    gain: Tensor
    folds: Tensor | None
    cameras: Cameras
    weights: NDArray[np.float64]
    landmarks: Tensor


def deform_batch(rig: TorchRig, weights: NDArray[np.float64], cameras: Cameras) -> State:
    """Meshes and skirts of expressions (B, 52) seen by `cameras`, relit and with their folds."""
    vertices = _vertices(rig, weights)
    on_device = torch.tensor(weights, device=rig.device)
    for lids in rig.lids:
        vertices[:, lids.index] -= on_device[:, lids.blink, None, None] * lids.excess
    fit = rig.rig.fit.camera
    shape_mouths(rig.mouth, rig.vertices, vertices, stack_cameras([fit], fit, rig.device))
    seen = project(vertices, cameras)
    seen[..., 2] += rig.mouth.inset
    for lids in rig.lids:
        meet(lids, seen, vertices, cameras, on_device[:, lids.blink])
    motion = seen[:, rig.outline, :2] - rig.neutral[rig.outline, :2]
    skirt = torch.empty((len(seen), *rig.skirt.shape[:1], 3), dtype=seen.dtype, device=rig.device)
    skirt[..., :2] = rig.skirt + weighted(rig.follow, motion)
    skirt[..., 2] = seen[..., 2].amax(1, True) + BEHIND_ALL
    points = torch.cat((seen, skirt), 1)
    normals = _normals(rig, vertices)
    corners = points[:, rig.landmark_corners, :2] * rig.landmark_bary[:, :, None]
    return State(
        points=points,
        normals=normals,
        gain=_gain(rig, normals, cameras),
        folds=fold_ratios(rig, weights, vertices),
        cameras=cameras,
        weights=weights,
        landmarks=corners[:, :, 0] + corners[:, :, 1] + corners[:, :, 2],
    )


def _vertices(rig: TorchRig, weights: NDArray[np.float64]) -> Tensor:
    """(B, V, 3) vertices of the expressions, model space."""
    # Weights count as float32, as in `MorphableModel.offsets`; their sum is float64.
    rounded = torch.tensor(weights.astype(np.float32), device=rig.device).double()
    offsets = torch.zeros(
        (len(weights), *rig.vertices.shape), dtype=torch.float64, device=rig.device
    )
    for row in np.flatnonzero(weights.any(0)).tolist():
        offsets += rounded[:, row, None, None] * rig.blendshapes[row].double()
    return rig.vertices + offsets


def _normals(rig: TorchRig, vertices: Tensor) -> Tensor:
    """(B, V, 3) area-weighted unit normals."""
    a, b, c = (vertices[:, rig.model_faces[:, k]] for k in range(3))
    u, v = b - a, c - a
    normal = torch.stack(
        (
            u[..., 1] * v[..., 2] - u[..., 2] * v[..., 1],
            u[..., 2] * v[..., 0] - u[..., 0] * v[..., 2],
            u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0],
        ),
        2,
    )
    normal = torch.cat((normal, torch.zeros_like(normal[:, :1])), 1)  # row -1: no face
    summed = normal[:, rig.corner_faces[:, 0]]
    for k in range(1, rig.corner_faces.shape[1]):
        summed = summed + normal[:, rig.corner_faces[:, k]]
    return summed / dot(summed, summed).sqrt().clamp(min=1e-12)[..., None]


def _gain(rig: TorchRig, normals: Tensor, cameras: Cameras) -> Tensor:
    """(B, V + S) float32 relighting ratio; the skirt takes that of the outline: no seam."""
    gain = rig.values[:, GAIN].expand(len(normals), -1).clone()
    count, light = normals.shape[1], rig.rig.light
    if rig.rig.settings.relight:
        towards = torch.tensor(light.direction, device=rig.device)
        floor = 0.15 * max(light.level, 1.0)
        old = (light.ambient + dot(rig.normals, towards)).clamp(min=floor)
        # The light stays with the camera.
        new = (light.ambient + dot(rotated(normals, cameras.back), towards)).clamp(min=floor)
        ratio = (new / old).clamp(DARKEST, BRIGHTEST)
        gain[:, :count] = (1 + rig.guard * (ratio - 1)).float()
    gain[:, -len(rig.outline) :] = gain[:, rig.outline]
    return gain
