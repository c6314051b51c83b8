"""Skin and surroundings of a batch, one sample per pixel: the warp of `synth.render.face`."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.render.torch.deform import State
from synth.render.torch.ops import around
from synth.render.torch.raster import barycentric, decode, local_points, zbuffer
from synth.render.torch.rig import TorchRig
from synth.render.torch.shade import Splines, colours, moved, surfels, to_bytes

__all__ = ["Seen", "rasterise_box", "shade_skin"]

#: Pixels that are shaded together.
TOGETHER = {"cpu": 1 << 15, "cuda": 1 << 21}
#: Pixels around lips and lids within which the inside of mouth and eyes may show.
MARGIN = 2.0

#: Rows (target, row, column) of the pixels that see the photo's skin, and their triangles.
Seen = tuple[Tensor, Tensor, Tensor, Tensor]


def rasterise_box(rig: TorchRig, state: State) -> tuple[Tensor, Seen]:
    """Points (B, N, 3) in pixels of the rig's box, and the pixels that see the photo's skin.

    The inside of mouth and eyes is looked past outside the lips and lids: a lifted chin
    would show the floor of the mouth below it.
    """
    left, top, width, height = rig.rig.surface.box
    count = len(state.points)
    corner = torch.tensor([[left, top]], device=rig.device).expand(count, 2)
    size = torch.tensor([[width, height]], device=rig.device).expand(count, 2)
    local = local_points(state.points, corner, 1)
    keys = zbuffer(local, rig.faces, size, (height, width), rig.carries)
    inside, skin = keys[:, 0], keys[:, 1]
    shown = skin > inside
    openings = torch.zeros_like(shown)
    rows = torch.arange(height, device=rig.device)[None, :, None]
    columns = torch.arange(width, device=rig.device)[None, None]
    for curves in (rig.lips, *rig.lid_curves):
        box = around(local[:, curves.edge, :2], MARGIN, (height, width))[:, :, None, None]
        openings |= (
            (columns >= box[:, 0]) & (columns < box[:, 0] + box[:, 2])
            & (rows >= box[:, 1]) & (rows < box[:, 1] + box[:, 3])
        )  # fmt: skip
    shown |= ~openings & (skin > 0)
    item, y, x = shown.nonzero(as_tuple=True)
    return local, (item, y, x, decode(skin[item, y, x]).ids)


def shade_skin(
    rig: TorchRig, splines: Splines, state: State, raster: tuple[Tensor, Seen],
    out: Tensor, mask: Tensor,
) -> None:  # fmt: skip
    """Draw every pixel that moved or changed; leave the others bit-identical.

    Parameters
    ----------
    rig : TorchRig
    splines : Splines
    state : State
    raster
        From `rasterise_box`.
    out : (B, H, W, 3) uint8
        Starts as copies of the photo.
    mask : (B, H, W) bool
        Set where `out` was written.
    """
    local, (items, ys, xs, triangles) = raster
    left, top = rig.rig.surface.box[:2]
    step = TOGETHER.get(rig.device.type, 1 << 18)
    for first in range(0, len(items), step):
        some = slice(first, first + step)
        item, y, x, ids = items[some], ys[some], xs[some], triangles[some]
        w1, w2 = barycentric(local, rig.faces, item, ids, x, y)
        found = surfels(rig, state, item, ids, w1, w2)
        x, y = x + left, y + top
        rows = moved(found, x, y).nonzero(as_tuple=True)[0]
        item, x, y = item[rows], x[rows], y[rows]
        out[item, y, x] = to_bytes(colours(rig, splines, item, found.only(rows)))
        mask[item, y, x] = True
