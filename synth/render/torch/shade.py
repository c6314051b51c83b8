"""Skin samples: the photo at the neutral projections, relit and folded.

`synth.render.shade` in torch: the arithmetic of its loops on lists of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.render.shade import SAME, SEEN, STILL, U, V, X, Y
from synth.render.torch.deform import State
from synth.render.torch.rig import TorchRig

__all__ = ["Splines", "Surfels", "bare_lids", "colours", "moved", "sample", "surfels", "to_bytes"]

#: Share of the photo below which lip skin counts as hidden.
SHOWN = 5 / 8


@dataclass(frozen=True, eq=False)
class Splines:
    """Spline coefficients of the photo, once as it is and once for every closing pair of lids.

    Attributes
    ----------
    values : (K, H, W, 3) float32
    slot : (B,) int64
        Which of them a target takes.
    """

    values: Tensor
    slot: Tensor


@dataclass(frozen=True, eq=False)
class Surfels:
    """Samples of the surface that carries the photo.

    Attributes
    ----------
    x, y, light, seen : (P,) float32
        Place in the photo, relighting ratio, share that the photo shows.
    fold : (P, 3) float32
        Ratio of the folds.
    """

    x: Tensor
    y: Tensor
    light: Tensor
    seen: Tensor
    fold: Tensor

    def only(self, rows: Tensor) -> Surfels:
        """Some of the samples."""
        return Surfels(
            self.x[rows], self.y[rows], self.light[rows], self.seen[rows], self.fold[rows]
        )


def bare_lids(rig: TorchRig, shares: list[tuple[float, float]]) -> Splines:
    """Splines of targets whose lids, right and left, have lost this much of their lashes."""
    values, slots = [rig.spline], []
    for pair in shares:
        if not any(pair):
            slots.append(0)
            continue
        spline = rig.spline.clone()
        for share, skin in zip(pair, rig.rig.skins, strict=True):
            if share > 0:
                change = torch.tensor(skin.change, device=rig.device)
                rows = slice(skin.top, skin.top + change.shape[0])
                spline[rows, skin.left : skin.left + change.shape[1]] += share * change
        slots.append(len(values))
        values.append(spline)
    return Splines(torch.stack(values), torch.tensor(slots, device=rig.device))


def sample(spline: Tensor, slot: Tensor | int, x: Tensor, y: Tensor) -> Tensor:
    """(P, 3) float32 colours at pixel positions of splines (K, H, W, 3), mirrored at the border."""
    height, width = spline.shape[1:3]
    x, y = x.float().clamp(0, width - 1), y.float().clamp(0, height - 1)
    ix, iy = x.long(), y.long()
    wx, wy = _basis(x - ix.float()), _basis(y - iy.float())
    columns, rows = [], []
    for k in range(4):
        at = (ix - 1 + k).abs()
        columns.append(torch.where(at < width, at, 2 * width - 2 - at))
        at = (iy - 1 + k).abs()
        rows.append((torch.where(at < height, at, 2 * height - 2 - at) + slot * height) * width)
    flat = spline.reshape(-1, 3)
    out = torch.zeros((len(x), 3), device=x.device)
    for j in range(4):
        line = wx[0][:, None] * flat.index_select(0, rows[j] + columns[0])
        for i in range(1, 4):
            line = line + wx[i][:, None] * flat.index_select(0, rows[j] + columns[i])
        out = out + wy[j][:, None] * line
    return out


def _basis(t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Four values of the cubic B-spline at t + 1, t, 1 - t, 2 - t."""
    s = 1 - t
    w0 = s * s * s * (1 / 6)
    w3 = t * t * t * (1 / 6)
    w1 = 2 / 3 - 0.5 * t * t * (2 - t)
    return w0, w1, 1 - w0 - w1 - w3, w3


def surfels(
    rig: TorchRig, state: State, item: Tensor, ids: Tensor, w1: Tensor, w2: Tensor
) -> Surfels:
    """What samples of triangles `ids` (P,) of targets `item` see of the photo."""
    corners = rig.faces[ids]
    a, b, c = (rig.values[corners[:, k]] for k in range(3))
    mixed = a + w1[:, None] * (b - a) + w2[:, None] * (c - a)
    gain = state.gain.reshape(-1)
    base = item * state.gain.shape[1]
    ga, gb, gc = (gain[base + corners[:, k]] for k in range(3))
    light = ga + w1 * (gb - ga) + w2 * (gc - ga)
    textured = torch.minimum(torch.minimum(a, b), c)[:, U] >= 0
    fold = _fold(state.folds, item, mixed[:, U], mixed[:, V], textured)
    return Surfels(mixed[:, X], mixed[:, Y], light, mixed[:, SEEN], fold)


def _fold(folds: Tensor | None, item: Tensor, u: Tensor, v: Tensor, textured: Tensor) -> Tensor:
    """(P, 3) fold ratios at texture coordinates, bilinear; 1 outside."""
    if folds is None:
        return torch.ones((len(u), 3), device=u.device)
    size = folds.shape[1]
    x, y = u * (size - 1), v * (size - 1)
    inside = textured & (x >= 0) & (y >= 0) & (x <= size - 1) & (y <= size - 1)
    ix, iy = x.long().clamp(0, size - 2), y.long().clamp(0, size - 2)
    fx, fy = (x - ix.float())[:, None], (y - iy.float())[:, None]
    flat, at = folds.reshape(-1, 3), (item * size + iy) * size + ix
    value = (1 - fx) * (1 - fy) * flat[at] + fx * (1 - fy) * flat[at + 1]
    value = value + (1 - fx) * fy * flat[at + size] + fx * fy * flat[at + size + 1]
    return torch.where(inside[:, None], value, 1.0)


def moved(found: Surfels, x: Tensor, y: Tensor) -> Tensor:
    """(P,) whether samples at pixels x, y differ from the photo."""
    return (
        ((found.x - x).abs() >= float(STILL))
        | ((found.y - y).abs() >= float(STILL))
        | ((found.light - 1).abs() >= float(SAME))
        | ((found.fold - 1).abs().amax(1) >= float(SAME))
    )


def colours(rig: TorchRig, splines: Splines, item: Tensor, found: Surfels) -> Tensor:
    """(P, 3) float32 skin: the photo, relit and folded; lip colour where it was hidden."""
    value = sample(splines.values, splines.slot[item], found.x, found.y)
    # Ten grey levels of black: dark skin folds less than a pure ratio would have it.
    value = (value * found.light[:, None] + 10) * found.fold - 10
    hidden = (1 - found.seen / SHOWN).clamp(min=0)[:, None]
    return value + hidden * (rig.lip - value)


def to_bytes(value: Tensor) -> Tensor:
    """Rounded to grey levels, uint8."""
    return (value + 0.5).clamp(0, 255).to(torch.uint8)
