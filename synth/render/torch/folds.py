"""Folds of a batch of expressions: `synth.render.folds` in torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.render.folds import (
    BRIGHTEST,
    DARKEST,
    LARGEST_SMILE,
    SMILE_UNIT,
    driven_strengths,
)
from synth.render.torch.ops import smooth, total
from synth.render.torch.rig import TorchRig

__all__ = ["fold_ratios", "smile_strengths"]


def smile_strengths(before: Tensor, after: Tensor) -> Tensor:
    """(B, 2) how strongly each side of the mouth smiles, left and right, not capped.

    `before` (68, 3) and `after` (B, 68, 3) are landmarks in model space, mm.
    """
    eyes = [total(before[rows].T) / 6 for rows in (slice(36, 42), slice(42, 48))]
    iod = (eyes[0] - eyes[1]).square().sum().sqrt().clamp(min=1e-9)
    move = (after - before) / iod
    middle = (move[:, 51] + move[:, 57]) / 2
    sides = []
    for corner, outwards in ((54, 1.0), (48, -1.0)):
        wider = 2 * outwards * (move[:, corner, 0] - middle[:, 0])
        over_lips = move[:, corner, 1] - middle[:, 1]
        rise = move[:, corner, 1] - move[:, 33, 1]
        strength = (wider + over_lips + rise).clamp(min=0) / SMILE_UNIT
        sides.append(strength * smooth(rise / 0.06))
    return torch.stack(sides, 1)


def fold_ratios(rig: TorchRig, weights: NDArray[np.float64], vertices: Tensor) -> Tensor | None:
    """(B, M, M, 3) float32 ratio of the folds of expressions; None without fold maps.

    Parameters
    ----------
    rig : TorchRig
    weights : (B, 52) float64
    vertices : (B, V, 3) float64
        Model space, mm.
    """
    maps = rig.rig.folds
    if maps is None or rig.fold_maps is None:
        return None
    names = rig.rig.model.blendshape_names
    driven = np.stack([driven_strengths(row, names, maps) for row in weights])
    strengths = torch.tensor(driven, device=rig.device)
    smile = smile_strengths(_landmarks(rig, rig.vertices[None])[0], _landmarks(rig, vertices))
    smile = smile / (1 + (smile / LARGEST_SMILE) ** 6) ** (1 / 6)
    for n, name in enumerate(maps.names):
        if name == "smile":
            strengths[:, n] = smile
        elif name == "nasolabial":  # the smile map holds this fold already
            strengths[:, n] *= 1 - 0.8 * smile.clamp(max=1.0)
    return _ratio(rig, (rig.rig.settings.fold_strength * strengths.float()).float())


def _landmarks(rig: TorchRig, vertices: Tensor) -> Tensor:
    """(B, 68, 3) landmarks of meshes."""
    corners = vertices[:, rig.landmark_corners]
    weighted = rig.landmark_bary[:, :, None] * corners
    return weighted[:, :, 0] + weighted[:, :, 1] + weighted[:, :, 2]


def _ratio(rig: TorchRig, strengths: Tensor) -> Tensor:
    """``exp(channels * weight * sum)``, limited."""
    assert rig.rig.folds is not None and rig.fold_maps is not None
    size = rig.fold_maps.shape[1]
    used = torch.where(strengths >= 1e-3, strengths, 0.0)[..., None, None]
    summed = torch.zeros((len(strengths), size, size), device=rig.device)
    for n, (top, bottom, left, right) in enumerate(rig.rig.folds.boxes.tolist()):
        found = rig.fold_maps[n, top:bottom, left:right]
        summed[:, top:bottom, left:right] += used[:, n, 0] * found
        summed[:, top:bottom, size - right : size - left] += used[:, n, 1] * found.flip(1)
    value = (summed * rig.fold_weight).clamp(DARKEST, BRIGHTEST)
    v = value[..., None] * rig.fold_channels  # the series of exp to x^5, as on the CPU path
    series = 0.5 + v * (1 / 6 + v * (1 / 24 + v * (1 / 120)))
    return 1 + v * (1 + v * series)
