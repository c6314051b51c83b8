"""Eyes and mouths of a batch, 2 x 2 samples per pixel: `synth.render.details` in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.render.details import SEAM
from synth.render.torch.deform import State
from synth.render.torch.eyeball import shade_eyes
from synth.render.torch.gaze import view_eyes
from synth.render.torch.lashes import draw_lashes
from synth.render.torch.lids import visible_edge
from synth.render.torch.mouth import shade_mouths
from synth.render.torch.ops import around, edge_rows, linspace
from synth.render.torch.raster import barycentric, decode, local_points, zbuffer
from synth.render.torch.rig import TorchCurves, TorchLid, TorchRig
from synth.render.torch.shade import Splines, colours, surfels

__all__ = ["Patch", "draw_details"]


@dataclass(frozen=True, eq=False)
class Patch:
    """Pixels of an eye or a mouth that are drawn with four samples each.

    Attributes
    ----------
    box : (B, 4) int64
        Left, top, width, height, pixels.
    item, row, column : (P,) int64
        Target, and pixel within its box.
    ids : (P, 4) int64
        Triangle of each sample, row by row, -1 where nothing is seen.
    near : (P, 4) float32
        Inverse depth of the samples.
    w1, w2 : (P, 4) float32
        Weights of their second and third corner; anything where nothing is seen.
    """

    box: Tensor
    item: Tensor
    row: Tensor
    column: Tensor
    ids: Tensor
    near: Tensor
    w1: Tensor
    w2: Tensor

    @property
    def place(self) -> tuple[Tensor, Tensor]:
        """Column and row of the pixels in the photo."""
        return self.box[self.item, 0] + self.column, self.box[self.item, 1] + self.row


def draw_details(rig: TorchRig, splines: Splines, state: State, out: Tensor, mask: Tensor) -> None:
    """Draw eyes and mouths over the skin, in place, so that lids and lips have soft edges.

    Parameters
    ----------
    rig : TorchRig
    splines : Splines
    state : State
    out : (B, H, W, 3) uint8
    mask : (B, H, W) bool
    """
    settings = rig.rig.settings
    if settings.eyes:
        for eye, curves in enumerate(rig.lid_curves):
            views = view_eyes(rig, state, eye)
            patch = _patch(rig, state, curves, views.still, eye)
            if patch is not None:
                samples = torch.zeros((*patch.ids.shape, 3), device=rig.device)
                shade_eyes(rig, views, eye, patch, samples)
                _finish(rig, splines, state, patch, samples, out, mask)
    if settings.mouth:
        moved = state.points[:, rig.lips.edge, :2] - rig.neutral[rig.lips.edge, :2]
        still = moved.abs().amax((1, 2)) < 1e-4 * rig.rig.inter_ocular
        patch = _patch(rig, state, rig.lips, still, -1)
        if patch is not None:
            samples = torch.zeros((*patch.ids.shape, 3), device=rig.device)
            shade_mouths(rig, state, patch, samples)
            _finish(rig, splines, state, patch, samples, out, mask)
    if settings.eyes:
        for eye in range(2):
            draw_lashes(rig, state, eye, out, mask)


def _patch(
    rig: TorchRig, state: State, curves: TorchCurves, still: Tensor, eye: int
) -> Patch | None:
    """The pixels to draw of an eye (0, 1) or the mouth (-1), None if there are none."""
    old = rig.neutral[curves.edge, :2].expand(len(state.points), -1, -1)
    both = torch.cat((old, state.points[:, curves.edge, :2]), 1)
    box = around(both, 0.02 * rig.rig.inter_ocular + 2, rig.size)
    box[:, 2:] *= (~still & (box[:, 2:] > 0).all(1))[:, None]
    width, height = box[:, 2:].amax(0).tolist()
    if not width or not height:
        return None
    local = local_points(state.points, box[:, :2], 2)
    keys = zbuffer(local, rig.faces, 2 * box[:, 2:], (2 * height, 2 * width))[:, 0]
    hits = decode(keys)
    wanted = (rig.mouth_faces if eye < 0 else rig.eye_faces)[hits.ids] & (hits.ids >= 0)
    drawn = wanted.reshape(-1, height, 2, width, 2).any(4).any(2)
    if eye < 0:
        upper, lower = (state.points[:, edge, :2] for edge in (curves.upper, curves.lower))
        drawn |= _seam(upper, lower, box, (height, width))
    else:
        blink = torch.tensor(state.weights[:, rig.lids[eye].blink] > 0, device=rig.device)
        line = _lid_line(rig.lids[eye].upper, state.points)
        drawn |= _seam(line, line, box, (height, width)) & blink[:, None, None]
    item, row, column = drawn.nonzero(as_tuple=True)
    if not len(item):
        return None
    four = torch.arange(4, device=rig.device)
    y, x = 2 * row[:, None] + four // 2, 2 * column[:, None] + four % 2
    at = (item[:, None], y, x)
    ids = hits.ids[at]
    w1, w2 = barycentric(
        local, rig.faces, item[:, None].expand_as(y).reshape(-1), ids.clamp(min=0).reshape(-1),
        x.reshape(-1), y.reshape(-1),
    )  # fmt: skip
    weights = w1.reshape(ids.shape), w2.reshape(ids.shape)
    return Patch(box, item, row, column, ids, hits.near[at], *weights)


def _seam(upper: Tensor, lower: Tensor, box: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, h, w) pixels of the boxes between two edges (B, n, 2) and next to them."""
    height, width = shape
    column = torch.arange(width, device=box.device)
    row = torch.arange(height, device=box.device)
    columns = (box[:, :1] + column).to(upper.dtype)
    rows = (box[:, 1:2] + row)[:, :, None]
    x = upper[..., 0]
    inside = (columns > x.amin(1, True)) & (columns < x.amax(1, True)) & (column < box[:, 2:3])
    top, bottom = edge_rows(upper, columns), edge_rows(lower, columns)
    low = (torch.minimum(top, bottom) - SEAM)[:, None]
    high = (torch.maximum(top, bottom) + SEAM)[:, None]
    fits = (row < box[:, 3:])[:, :, None]
    return (rows > low) & (rows < high) & inside[:, None] & fits


def _lid_line(lid: TorchLid, points: Tensor) -> Tensor:
    """(B, 40, 2) line at the edge of an upper lid, where it may lie on the lower one."""
    across = points[:, lid.edge, 0]
    columns = linspace(across.amin(1), across.amax(1), 40)
    return torch.stack((columns, visible_edge(lid, points, columns)), 2)


def _finish(
    rig: TorchRig, splines: Splines, state: State, patch: Patch, samples: Tensor,
    out: Tensor, mask: Tensor,
) -> None:  # fmt: skip
    """Add the samples of the skin (P, 4, 3), and write the means of the pixels."""
    skin = (patch.ids >= 0) & rig.carries[patch.ids]
    row, which = skin.nonzero(as_tuple=True)
    item = patch.item[row]
    found = surfels(
        rig, state, item, patch.ids[row, which], patch.w1[row, which], patch.w2[row, which]
    )
    samples[row, which] = colours(rig, splines, item, found)
    mean = 0.25 * (samples[:, 0] + samples[:, 1] + samples[:, 2] + samples[:, 3]).double()
    x, y = patch.place
    out[patch.item, y, x] = (mean + 0.5).clamp(0.0, 255.0).to(torch.uint8)
    mask[patch.item, y, x] = True
