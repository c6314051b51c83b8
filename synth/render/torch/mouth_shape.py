"""Rounded lips and a tongue that lies down, for a batch: `synth.render.mouth_shape` in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.render.mouth_shape import (
    LAID_AT,
    LOWER_DEPTH,
    LOWER_ROUND,
    LOWER_SHARE,
    ROUNDED_AT,
    STEEPEST,
    TONGUE_HEIGHT,
    UPPER_ROUND,
    UPPER_SHARE,
)
from synth.render.torch.camera import Cameras, project
from synth.render.torch.ops import smooth, total, weighted
from synth.render.torch.rig import TorchMouth

__all__ = ["shape_mouths"]


def shape_mouths(shape: TorchMouth, neutral: Tensor, moved: Tensor, fit: Cameras) -> None:
    """Round the openings and lay the tongues down, in place.

    Parameters
    ----------
    shape : TorchMouth
    neutral, moved : (V, 3), (B, V, 3) float64
        Vertices without and with the expressions, mm; `moved` is changed.
    fit : Cameras
        The one camera of the photo.
    """
    upper, lower = moved[:, shape.upper], moved[:, shape.lower]
    closed = _middle(neutral[None, shape.upper]) - _middle(neutral[None, shape.lower])
    opening = _middle(upper) - _middle(lower) - closed.clamp(min=0)
    share, laid = smooth(opening / ROUNDED_AT), smooth(opening / LAID_AT)
    _lay_tongues(shape, moved, laid, _slope(moved[:, shape.jaw], fit))
    edges = (
        (upper, shape.skin[0], UPPER_ROUND, UPPER_SHARE, 1.0),
        (lower, shape.skin[1], LOWER_ROUND, LOWER_SHARE, LOWER_DEPTH),
    )
    for edge, (index, weights), power, part, depth in edges:
        change = (share * part)[:, None] * (_rounded(edge, power, depth) - edge[..., 1])
        moved[:, index, 1] += weighted(weights, change)


def _lay_tongues(shape: TorchMouth, moved: Tensor, share: Tensor, slope: Tensor) -> None:
    """Move the tongues' backs to their height between lower teeth and upper lip, in place."""
    tooth, lip = moved[:, shape.jaw], moved[:, shape.upper]
    ceiling = _middle(lip) + slope * (tooth[:, 2] - lip[..., 2].amax(1))
    wanted = tooth[:, 1] + TONGUE_HEIGHT * (ceiling - tooth[:, 1]).clamp(min=0)
    high = moved[:, shape.tongue[shape.back > 0.65]]
    seen = high[..., 1] + slope[:, None] * (tooth[:, None, 2] - high[..., 2])
    down = share * (seen.amax(1) - wanted)
    moved[:, shape.tongue, 1] -= down[:, None] * shape.back


def _slope(at: Tensor, fit: Cameras) -> Tensor:
    """(B,) how much higher a point seems per mm farther back, as seen at points (B, 3)."""
    steps = [[0, 0, 0], [0, 0, -30.0], [0, 30.0, 0]]
    offsets = torch.tensor(steps, dtype=at.dtype, device=at.device)
    rows = project(at[:, None] + offsets, fit)[..., 1]
    rise = (rows[:, 0] - rows[:, 1]) / (rows[:, 0] - rows[:, 2]).clamp(min=1e-6)
    return rise.clamp(-STEEPEST, STEEPEST)


def _middle(edge: Tensor) -> Tensor:
    """(B,) height of the middle third of lip edges (B, n, 3), mm."""
    first, last = edge[:, 0, 0], edge[:, -1, 0]
    half = 0.5 * (last - first).abs()
    near = (edge[..., 0] - 0.5 * (first + last)[:, None]).abs() < half[:, None] / 3
    mean = total(edge[..., 1] * near) / near.sum(1).clamp(min=1)
    return torch.where(near.any(1), mean, edge[:, edge.shape[1] // 2, 1])


def _rounded(edge: Tensor, power: float, depth: float) -> Tensor:
    """(B, n) heights of smooth curves through the corners and the middle of lip edges."""
    first, last = edge[:, :1], edge[:, -1:]
    run = (edge[..., 0] - first[..., 0]) / (last[..., 0] - first[..., 0])
    line = first[..., 1] + run * (last[..., 1] - first[..., 1])
    s = (2 * run - 1).clamp(-1.0, 1.0)
    middle = edge.shape[1] // 2
    height = (edge[:, middle, 1] - line[:, middle])[:, None]
    return line + (1 - s * s) ** power * depth * height
