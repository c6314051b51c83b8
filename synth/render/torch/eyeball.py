"""Eyeballs behind moving lids, for a batch: `synth.render.eyeball` in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synth.render.eyeball import RAISED
from synth.render.eyes import BLACK, LIMBUS, LOWER_STRIP, UPPER_STRIP
from synth.render.torch.gaze import EyeViews
from synth.render.torch.ops import smooth, texel
from synth.render.torch.rig import TorchEye, TorchRig
from synth.render.torch.shade import sample

if TYPE_CHECKING:
    from synth.render.torch.details import Patch

__all__ = ["shade_eyes"]


def shade_eyes(rig: TorchRig, views: EyeViews, eye: int, patch: Patch, out: Tensor) -> None:
    """Colour the eye samples of a patch.

    All samples of a pixel take the colour at its centre: the samples soften the
    lid's edge, but must not blur the iris behind it.

    Parameters
    ----------
    rig : TorchRig
    views : EyeViews
    eye : int
        0 is the subject's right one.
    patch : Patch
    out : (P, 4, 3) float32
    """
    hit = (patch.ids >= 0) & rig.eye_faces[patch.ids]
    rows = hit.any(1).nonzero(as_tuple=True)[0]
    x, y = (place[rows].double() for place in patch.place)
    colour = _colour(rig, rig.eyes[eye], views, patch.item[rows], x, y).float()
    out[rows] = torch.where(hit[rows, :, None], colour[:, None], out[rows])


def _colour(
    rig: TorchRig, ball: TorchEye, views: EyeViews, item: Tensor, px: Tensor, py: Tensor
) -> Tensor:
    """(P, 3) float64 colours at pixels of the picture."""
    iod, back = rig.rig.inter_ocular, views.back[item]
    x = back[:, 0, 0] * px + back[:, 0, 1] * py + back[:, 0, 2]
    y = back[:, 1, 0] * px + back[:, 1, 1] * py + back[:, 1, 2]
    height, width = ball.ball.shape[:2]
    bx = (x - ball.left).clamp(0.0, width - 1.0)
    by = (y - ball.top).clamp(0.0, height - 1.0)
    c = bx.long().clamp(max=width - 2)
    f = bx - c
    upper, lower = _row(views.upper, item, c, f), _row(views.lower, item, c, f)
    rise_up = upper - ball.upper[c] - f * (ball.upper[c + 1] - ball.upper[c])
    rise_low = lower - ball.lower[c] - f * (ball.lower[c + 1] - ball.lower[c])
    a = smooth(1.5 - (y - upper) / (UPPER_STRIP * iod))
    b = smooth(1.5 - (lower - y) / (LOWER_STRIP * iod))
    both = (a + b).clamp(min=1.0)
    a, b = (a / both)[:, None], (b / both)[:, None]
    looks, moved, shut = (v[item][:, None] for v in (views.looks, views.moved, views.shut))
    # Lashes darken what is behind them. A lid that hardly moved shows them with what was
    # behind them in the photo; elsewhere that would be a second iris or catchlight.
    free = torch.maximum(looks, smooth(-rise_up / (RAISED * iod))[:, None])
    photo = rig.spline[None]
    still, lash_up, lash_low = (
        sample(photo, 0, x, row).double() for row in (y, y - rise_up, y - rise_low)
    )
    rest = texel(ball.ball, bx, by)
    eye = _looking(ball, views.shift[item], views.squeeze[item], bx, by)
    straight = torch.eye(2, dtype=bx.dtype, device=bx.device).expand(len(bx), 2, 2)
    ahead = _looking(ball, torch.zeros_like(views.shift[item]), straight, bx, by)
    eye = torch.where(looks > 0, eye + (1.0 - looks) * (rest - ahead), rest)
    clear = 1 - a - b
    value = clear * eye
    value = value + a * _lash(lash_up, ball.upper_lashes, bx, y - upper, rest, eye, free)
    value = value + b * _lash(lash_low, ball.lower_lashes, bx, lower - y, rest, eye, looks)
    # What the completed eyeball lacks of the photo fades as things move.
    value = value + (1.0 - moved) * clear * (still - rest)
    return value + shut * (ball.lash - value)


def _row(rows: Tensor, item: Tensor, c: Tensor, f: Tensor) -> Tensor:
    """Lid edges (B, w) between columns c and c + 1."""
    return rows[item, c] + f * (rows[item, c + 1] - rows[item, c])


def _looking(ball: TorchEye, shift: Tensor, squeeze: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(P, 3) eyeballs that look elsewhere, at (x, y) of their box."""
    cx, cy = ball.iris[0] - ball.left, ball.iris[1] - ball.top
    dx, dy = x - cx - shift[:, 0], y - cy - shift[:, 1]
    u = cx + squeeze[:, 0, 0] * dx + squeeze[:, 0, 1] * dy
    v = cy + squeeze[:, 1, 0] * dx + squeeze[:, 1, 1] * dy
    far = ((u - cx).square() + (v - cy).square()).sqrt() / ball.iris[2]
    disc = smooth((LIMBUS + 0.08 - far) / 0.12)[:, None]
    bare = texel(ball.white, x, y)
    return bare + disc * (texel(ball.ball, u, v) - bare)


def _lash(
    lash: Tensor, dark: Tensor, x: Tensor, away: Tensor, rest: Tensor, eye: Tensor, free: Tensor
) -> Tensor:
    """(P, 3) a strip of lashes, moved with its lid as far as it is not `free` of the photo."""
    ratio = texel(dark, x, away)
    own = lash - ((rest + BLACK) * ratio - BLACK)
    return torch.where(free > 0, (eye + BLACK) * ratio - BLACK + (1.0 - free) * own, lash)
