"""Batched counterparts of small array functions: sums in a fixed order, interpolation, lookup.

Sums are written out: a reduction or matrix product of a library adds in an order
that depends on the size of the batch, and a picture must not.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "around",
    "dot",
    "edge_rows",
    "interp",
    "linspace",
    "smooth",
    "texel",
    "total",
    "weighted",
]


def smooth(x: Tensor) -> Tensor:
    """Cubic step: 0 up to 0, 1 from 1 on."""
    x = x.clamp(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def total(x: Tensor) -> Tensor:
    """Sum over the last axis, first to last; for short axes."""
    out = x[..., 0]
    for k in range(1, x.shape[-1]):
        out = out + x[..., k]
    return out


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the last axis."""
    return total(a * b)


def weighted(matrix: Tensor, x: Tensor) -> Tensor:
    """``matrix @ x`` for a batch: (m, n) and (B, n) or (B, n, d) give (B, m) or (B, m, d)."""
    tail = (1,) * (x.dim() - 2)
    out = torch.zeros((len(x), len(matrix), *x.shape[2:]), dtype=x.dtype, device=x.device)
    for k in range(matrix.shape[1]):
        out += matrix[:, k].reshape(-1, *tail) * x[:, k : k + 1]
    return out


def interp(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``np.interp`` of every row: `at` (B, w), knots `x` (B, n) ascending, values `y` (B, n)."""
    x, y = x.contiguous(), y.contiguous()
    left = torch.searchsorted(x, at.contiguous(), right=True).sub_(1).clamp_(0, x.shape[1] - 2)
    x0, y0 = x.gather(1, left), y.gather(1, left)
    x1, y1 = x.gather(1, left + 1), y.gather(1, left + 1)
    value = (y1 - y0) / (x1 - x0) * (at - x0) + y0
    value = torch.where(at < x[:, :1], y[:, :1], value)
    return torch.where(at >= x[:, -1:], y[:, -1:], value)


def edge_rows(curve: Tensor, columns: Tensor) -> Tensor:
    """(B, w) row of a lid or lip edge (B, n, 2) in each of its `columns` (B, w)."""
    order = torch.argsort(curve[..., 0], dim=1, stable=True)
    return interp(columns, curve[..., 0].gather(1, order), curve[..., 1].gather(1, order))


def around(points: Tensor, pad: float, size: tuple[int, int]) -> Tensor:
    """(B, 4) left, top, width, height of the whole pixels around (B, n, 2), clipped to `size`."""
    low = torch.floor(points.amin(1) - pad).clamp(min=0).long()
    high = torch.ceil(points.amax(1) + pad).long() + 1
    limit = torch.tensor([size[1], size[0]], device=points.device)
    return torch.cat((low, (torch.minimum(high, limit) - low).clamp(min=0)), 1)


def texel(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(P, 3) float64 bilinear values of an image (h, w, 3), border repeated."""
    height, width = image.shape[:2]
    x, y = x.clamp(0.0, width - 1.0), y.clamp(0.0, height - 1.0)
    ix, iy = x.long().clamp(max=width - 2), y.long().clamp(max=height - 2)
    fx, fy = (x - ix)[:, None], (y - iy)[:, None]
    flat, at = image.reshape(-1, 3), iy * width + ix
    top = flat[at].double() * (1 - fx) + flat[at + 1].double() * fx
    low = flat[at + width].double() * (1 - fx) + flat[at + width + 1].double() * fx
    return top * (1 - fy) + low * fy


def linspace(start: Tensor, end: Tensor, count: int) -> Tensor:
    """(B, count) ``np.linspace`` of every row."""
    step = (end - start) / (count - 1)
    at = start[:, None] + torch.arange(count, device=start.device) * step[:, None]
    at[:, -1] = end
    return at
