"""Lashes of closing eyes, for a batch: `synth.render.lashes` in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.render.lashes import HAIRS, LENGTH, LINE, OUTWARDS, lash_share
from synth.render.torch.deform import State
from synth.render.torch.lids import visible_edge
from synth.render.torch.rig import TorchRig

__all__ = ["draw_lashes"]


def draw_lashes(rig: TorchRig, state: State, eye: int, out: Tensor, mask: Tensor) -> None:
    """Draw the lash line and the lashes of closing right (0) or left (1) eyes, in place.

    Parameters
    ----------
    rig : TorchRig
    state : State
    eye : int
    out : (B, H, W, 3) uint8
    mask : (B, H, W) bool
    """
    lids = rig.lids[eye]
    shares = [lash_share(row[lids.blink]) for row in state.weights]
    closing = [i for i, share in enumerate(shares) if share > 0]
    if not closing:
        return
    item = torch.tensor(closing, device=rig.device)
    share = torch.tensor(shares, dtype=torch.float64, device=rig.device)[item]
    iod, (height, width) = rig.rig.inter_ocular, rig.size
    points = state.points[item]
    across = points[:, lids.upper.edge, 0]
    start, end = across.amin(1), across.amax(1)
    beyond = int(0.05 * iod) + 1
    first, last = start.long() - beyond, end.long() + beyond
    count = int((last - first).amax()) + 1
    columns = first[:, None] + torch.arange(count, device=rig.device)
    line = visible_edge(lids.upper, points, columns.double())
    long = LENGTH * iod
    thick = max(LINE * iod, 0.7)
    low = (torch.floor(line - 3.0 * thick)).clamp(min=0)
    reach = torch.ceil(line + max(long, 3.0 * thick)) + 1
    top = int(low.amin())
    bottom = min(int(reach.amax()), height)
    if bottom <= top:
        return
    rows = torch.arange(top, bottom, device=rig.device)
    dark = _darkness(columns, line, rows, start, end, 1 if eye else -1, iod)
    dark = dark * share[:, None, None]
    fits = (columns >= 0) & (columns < width) & (columns <= last[:, None])
    drawn = (dark >= 0.004) & fits[:, None]
    k, j, i = drawn.nonzero(as_tuple=True)
    target, y, x = item[k], rows[j], columns[k, i]
    before = out[target, y, x].double()
    value = before + dark[k, j, i][:, None] * (rig.eyes[eye].lash - before)
    value = torch.where(value < before, torch.floor(value + 0.5), before)
    out[target, y, x] = value.clamp(0, 255).to(torch.uint8)
    mask[target, y, x] = True


def _darkness(
    columns: Tensor, line: Tensor, rows: Tensor, start: Tensor, end: Tensor, outer: int, iod: float
) -> Tensor:
    """(K, h, w) opacity of the lashes at whole pixels, 0 where there are none."""
    thick = max(LINE * iod, 0.7)
    span = (end - start).clamp(min=1.0)[:, None]
    s = (columns - start[:, None]) / span
    t = s if outer > 0 else 1.0 - s  # 0 at the inner corner, 1 at the outer one
    taper = torch.minimum(t / 0.25, (OUTWARDS - t) / 0.16).clamp(max=1.0)[:, None]
    long = LENGTH * iod * ((t - 0.12) / 0.5).clamp(0.0, 1.0) * (0.55 + 0.45 * t)
    lowest = torch.floor(line - 3.0 * thick)
    highest = torch.ceil(line + long.clamp(min=3.0 * thick))
    valid = ((t > 0.0) & (t < OUTWARDS))[:, None]
    y = rows[None, :, None]
    valid = valid & (y >= lowest[:, None]) & (y <= highest[:, None])
    d = y - line[:, None]
    dark = 0.85 * torch.exp(-((d / thick) ** 2)) * (0.35 + 0.65 * taper)
    # Hairs lean towards the outer corner, and end at different lengths.
    along = t[:, None]
    hair = (along - (0.25 + 0.5 * along) * d / span[:, None]) * HAIRS
    reach = 1.0 - d / (long[:, None] * (0.45 + 0.55 * _noise(0.7 * hair + 50.0)))
    strand = (0.15 + 0.6 * _noise(hair)) * (reach * 1.5).clamp(max=1.0) * taper
    standing = (d > 0.0) & (d < long[:, None]) & (reach > 0.0)
    dark = torch.where(standing, torch.maximum(dark, strand), dark)
    return torch.where(valid, dark, 0.0)


def _noise(x: Tensor) -> Tensor:
    """Smooth noise in 0..1 with knots at the integers."""
    n = torch.floor(x)
    f = x - n
    f = f * f * (3.0 - 2.0 * f)
    a, b = (torch.sin(k * 127.1 + 11.7) * 43758.5453 for k in (n, n + 1.0))
    a, b = a - torch.floor(a), b - torch.floor(b)
    return a + f * (b - a)
