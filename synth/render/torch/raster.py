"""The z-buffer of `synth.render.raster` for a batch of meshes, in plain torch.

Every triangle is spread over the samples of its bounding box; a sample keeps the
largest of 64-bit keys that hold the inverse depth (float32, as the z-buffer of the
CPU path does) above a number that settles ties as that loop settles them. The
largest key is the same in whatever order triangles arrive: no tiles, no races.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Hits", "barycentric", "decode", "local_points", "zbuffer"]

#: Candidates (triangle, sample) that are looked at together.
TOGETHER = {"cpu": 1 << 18, "cuda": 1 << 22}
#: Middle of the tie numbers: later triangles win above it, earlier ones below.
LATER = 1 << 30
LOW = (1 << 32) - 1


@dataclass(frozen=True)
class Hits:
    """What samples see.

    Attributes
    ----------
    ids : (...) int64
        Row of the faces, -1 where nothing is seen.
    near : (...) float32
        Inverse depth, 1/mm.
    """

    ids: Tensor
    near: Tensor


def local_points(points: Tensor, corner: Tensor, scale: int) -> Tensor:
    """(B, N, 3) points in samples of boxes with top left pixels `corner` (B, 2)."""
    place = (points[..., :2] - corner[:, None].to(points.dtype) + 0.5) * scale - 0.5
    return torch.cat((place, points[..., 2:]), 2)


def zbuffer(
    points: Tensor, faces: Tensor, size: Tensor, shape: tuple[int, int], layer: Tensor | None = None
) -> Tensor:
    """Keys of the nearest triangle of every sample.

    Parameters
    ----------
    points : (B, N, 3) float64
        x, y in samples, depth in mm.
    faces : (F, 3) int64
    size : (B, 2) int64
        Width and height of each box in samples; nothing is drawn beyond.
    shape : (h, w)
        Of the largest box.
    layer : (F,) bool, optional
        Triangles that are drawn in a buffer of their own.

    Returns
    -------
    (B, L, h, w) int64
        For `decode`; 0 where nothing is seen. L is 2 with `layer` (false, true), else 1.
    """
    layers = 1 if layer is None else 2
    keys = torch.zeros((len(points), layers, *shape), dtype=torch.int64, device=points.device)
    rows, spans, item, face = _set_up(points, faces, size)
    if not len(item):
        return keys
    base = item * layers
    if layer is not None:
        base = base + layer[face]
    ends = torch.cumsum(spans, 0)
    limit = TOGETHER.get(points.device.type, 1 << 20)
    bounds = [*range(limit, int(ends[-1]), limit)]
    cuts = torch.tensor(bounds, dtype=torch.int64, device=ends.device)
    cut = [0, *torch.searchsorted(ends, cuts).tolist(), len(ends)]
    for first, last in zip(cut[:-1], cut[1:], strict=True):
        if last > first:
            some = slice(first, last)
            _draw(keys, rows[:, some], spans[some], base[some], face[some], shape)
    return keys


def _set_up(points: Tensor, faces: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the samples of a triangle share, of the triangles that may be seen.

    Returns
    -------
    rows : (12, K) float64
        First column and row, columns, corner a, slopes of the weights of b and c, inverse
        depths.
    spans : (K,) int64
        Samples in the bounding box.
    item, face : (K,) int64
    """
    a, b, c = (points[:, faces[:, k]] for k in range(3))
    ab, ac = b[..., :2] - a[..., :2], c[..., :2] - a[..., :2]
    area = ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0]
    low = torch.minimum(torch.minimum(a, b), c)[..., :2]
    high = torch.maximum(torch.maximum(a, b), c)[..., :2]
    low = torch.ceil(low - 1e-6).clamp(min=0)
    high = torch.minimum(torch.floor(high + 1e-6), (size[:, None] - 1).to(high.dtype))
    wanted = (area.abs() >= 1e-9) & (low <= high).all(2)
    item, face = wanted.nonzero(as_tuple=True)
    at = (item, face)
    inverse = 1.0 / area[at]
    ab, ac, low, across = ab[at], ac[at], low[at], high[at] - low[at] + 1
    rows = torch.stack(
        (
            low[:, 0], low[:, 1], across[:, 0], a[at][:, 0], a[at][:, 1],
            ac[:, 1] * inverse, -ab[:, 1] * inverse, -ac[:, 0] * inverse, ab[:, 0] * inverse,
            1.0 / a[at][:, 2], 1.0 / b[at][:, 2], 1.0 / c[at][:, 2],
        )
    )  # fmt: skip
    return rows, (across[:, 0] * across[:, 1]).long(), item, face


def _draw(
    keys: Tensor, rows: Tensor, spans: Tensor, base: Tensor, face: Tensor, shape: tuple[int, int]
) -> None:
    """Draw some triangles into the keys."""
    total = int(spans.sum())
    which = torch.repeat_interleave(
        torch.arange(len(spans), device=spans.device), spans, output_size=total
    )
    number = torch.arange(total, device=spans.device) - (torch.cumsum(spans, 0) - spans)[which]
    low_x, low_y, across, ax, ay, w1_dx, w2_dx, w1_dy, w2_dy = rows[:9].unbind(0)
    wide = across.long()[which]
    down = torch.div(number, wide, rounding_mode="floor")
    x, y = low_x[which] + (number - down * wide), low_y[which] + down
    dx, dy = x - ax[which], y - ay[which]
    w1 = dx * w1_dx[which] + dy * w1_dy[which]
    w2 = dx * w2_dx[which] + dy * w2_dy[which]
    w0 = 1.0 - w1 - w2
    inside = ((w0 >= -1e-7) & (w1 >= -1e-7) & (w2 >= -1e-7)).nonzero(as_tuple=True)[0]
    which, x, y = which[inside], x[inside].long(), y[inside].long()
    za, zb, zc = (row[which] for row in rows[9:].unbind(0))
    inverse = w0[inside] * za + w1[inside] * zb + w2[inside] * zc
    at = (base[which] * shape[0] + y) * shape[1] + x
    near = inverse.float()
    # The loop keeps float32 but compares float64: of triangles with equal float32 depth the last
    # one that was rounded down wins, without such a one the first.
    triangle = face[which]
    tie = torch.where(inverse > near.double(), LATER + triangle, LATER - 1 - triangle)
    key = (near.view(torch.int32).long() << 32) | tie
    key = torch.where(inverse > 0, key, 0)  # not what is behind the camera
    keys.view(-1).scatter_reduce_(0, at, key, "amax")


def decode(keys: Tensor) -> Hits:
    """Triangles and inverse depths of keys."""
    tie = keys & LOW
    ids = torch.where(tie >= LATER, tie - LATER, LATER - 1 - tie)
    near = (keys >> 32).int().view(torch.float32)
    return Hits(torch.where(keys > 0, ids, -1), near)


def barycentric(
    points: Tensor, faces: Tensor, item: Tensor, ids: Tensor, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """(P,) float32 weights, in the picture, of the second and third corner of triangles `ids`.

    Parameters
    ----------
    points : (B, N, 3) float64
        As for `zbuffer`.
    faces : (F, 3) int64
    item, ids, x, y : (P,) int64
        Row of `points`, triangle, and sample.
    """
    corners = faces[ids]
    a, b, c = (points[item, corners[:, k], :2] for k in range(3))
    ab, ac = b - a, c - a
    inverse = 1.0 / (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    dx, dy = x - a[:, 0], y - a[:, 1]
    w1 = dx * (ac[:, 1] * inverse) + dy * (-ac[:, 0] * inverse)
    w2 = dx * (-ab[:, 1] * inverse) + dy * (ab[:, 0] * inverse)
    return w1.float(), w2.float()
