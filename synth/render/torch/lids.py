"""Lids that meet, for a batch: `synth.render.lids` in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.render.lids import BEHIND, EYES_APART, LOWER_SHARE, OVERLAP
from synth.render.torch.camera import Cameras, project
from synth.render.torch.ops import edge_rows, weighted
from synth.render.torch.rig import TorchLid, TorchLids

__all__ = ["meet", "visible_edge"]


def visible_edge(lid: TorchLid, points: Tensor, columns: Tensor) -> Tensor:
    """(B, w) rows at which an upper lid ends in the picture; `points` (B, N, 2 or 3)."""
    rows = edge_rows(points[:, lid.edge, :2], columns)
    for ring in lid.rings:
        at = points[:, ring, :2]
        if len(ring) > 1:
            low, high = at[..., 0].amin(1, True), at[..., 0].amax(1, True)
            below = torch.maximum(rows, edge_rows(at, columns))
            rows = torch.where((columns > low) & (columns < high), below, rows)
    return rows


def meet(lids: TorchLids, seen: Tensor, vertices: Tensor, cameras: Cameras, blink: Tensor) -> None:
    """Move the lids of projected meshes to where their blinks have them, in place.

    Parameters
    ----------
    lids : TorchLids
    seen : (B, V, 3) float64
        Projection of `vertices`; y is changed around the lids.
    vertices : (B, V, 3) float64
        Model space, mm, the blink included.
    cameras : Cameras
    blink : (B,) float64
    """
    pair = (lids.upper, lids.lower)
    near = torch.cat([k.near for k in pair])
    offsets = torch.cat([k.offsets for k in pair])
    free = project(vertices[:, near] - blink[:, None, None] * offsets, cameras)[..., :2]
    free = torch.where((blink != 0)[:, None, None], free, seen[:, near, :2])
    bare = free.split([len(k.near) for k in pair], 1)
    edges = [at[:, k.rows] for k, at in zip(pair, bare, strict=True)]
    share = blink.clamp(0.0, 1.0)
    across = edges[0][..., 0].amax(1) - edges[0][..., 0].amin(1)
    cover = share**4 * OVERLAP * EYES_APART * across
    for row, k in enumerate(pair):
        top, bottom = (edge_rows(edge, edges[row][..., 0]) for edge in edges)
        gap = bottom - top - k.slack
        moved = (0.5, -0.5)[row] * gap.clamp(max=0)
        moved = moved + ((1 - LOWER_SHARE, -LOWER_SHARE)[row] * share)[:, None] * gap.clamp(min=0)
        if row == 0:
            moved = moved + cover[:, None]
        error = edges[row][..., 1] + moved - seen[:, k.edge, 1]
        before = seen[:, k.near, 1]
        rows = before + k.share * weighted(k.along, error)
        after = rows + k.rigid * (bare[row][..., 1] + weighted(k.along, moved) - rows)
        seen[:, k.near, 1] = torch.where(moved.any(1, True), after, before)
    seen[:, lids.inside, 2] += BEHIND
