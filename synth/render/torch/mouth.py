"""The inside of mouths, for a batch: `synth.render.mouth` in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from synth.render.mouth import EYES_APART
from synth.render.mouth_shape import INSET
from synth.render.topology import LOWER_TEETH, TONGUE, UPPER_TEETH
from synth.render.torch.deform import State
from synth.render.torch.ops import dot, edge_rows, interp, smooth, texel
from synth.render.torch.rig import TorchRig
from synth.render.torch.teeth import tooth_colours

if TYPE_CHECKING:
    from synth.render.torch.details import Patch

__all__ = ["shade_mouths"]


@dataclass(frozen=True, eq=False)
class _Columns:
    """Per column of samples (B, 2 w), as in `synth.render.mouth.shade_mouth`."""

    upper: Tensor
    lower: Tensor
    opening: Tensor
    still: Tensor
    seam: Tensor
    corners: Tensor
    widest: Tensor


@dataclass(frozen=True, eq=False)
class _Samples:
    """What mouth samples (P,) have in common; lengths in mm, seen from the lips' edges."""

    item: Tensor
    part: Tensor
    weights: tuple[Tensor, Tensor, Tensor]
    corners: Tensor
    under: Tensor
    over: Tensor
    fall: Tensor
    behind: Tensor


def shade_mouths(rig: TorchRig, state: State, patch: Patch, out: Tensor) -> None:
    """Colour the mouth samples of a patch.

    Parameters
    ----------
    rig : TorchRig
    state : State
    patch : Patch
    out : (P, 4, 3) float32
    """
    columns = _columns(rig, state, patch.box)
    hit = (patch.ids >= 0) & rig.mouth_faces[patch.ids]
    row, which = hit.nonzero(as_tuple=True)
    item, iod = patch.item[row], rig.rig.inter_ocular
    column = 2 * patch.column[row] + which % 2
    x = patch.box[item, 0] + (column + 0.5) / 2 - 0.5
    y = patch.box[item, 1] + (2 * patch.row[row] + which // 2 + 0.5) / 2 - 0.5
    x, y = x.double(), y.double()
    upper, lower = columns.upper[item, column], columns.lower[item, column]
    scale = EYES_APART / iod
    under, over = scale * (y - upper).clamp(min=0), scale * (lower - y).clamp(min=0)
    gape = scale * (lower - upper).clamp(min=0)
    ends = columns.corners[item]
    corner = scale * torch.minimum(x - ends[:, 0], ends[:, 1] - x).clamp(min=0)
    depth = (1.0 / patch.near[row, which]).double()
    behind = (depth - _middle(state.points[:, rig.lips.upper, 2])[item] - INSET).clamp(min=0)
    # Light reaches about as deep as the mouth is open.
    reach = 9.0 + 1.0 * EYES_APART * columns.widest[item]
    fall = (1.0 + (behind / reach) ** 2) ** -0.6  # of display values, not of light
    w1, w2 = patch.w1[row, which].double(), patch.w2[row, which].double()
    ids = patch.ids[row, which]
    samples = _Samples(
        item, rig.labels[ids], (1.0 - w1 - w2, w1, w2), rig.faces[ids], under, over, fall, behind
    )
    colour, shadow = _lit(rig, state, samples)
    # Both lips shade what lies just behind them, the upper one more.
    shadow = shadow * (1.0 - 0.34 * torch.exp(-under / 1.2) - 0.14 * torch.exp(-over / 0.9))
    # A slit lets no light in, nor do the corners.
    shadow = shadow * (0.40 + 0.60 * smooth(gape / 3.4)) * (0.50 + 0.50 * smooth(corner / 8.0))
    share = smooth((columns.opening[item, column] - 0.004) / 0.014)[:, None]
    still = texel(rig.photo, columns.still[item, column], y + columns.seam[item, column])
    kept = 1.0 - rig.mouth.lift / rig.mouth.colours[0, 1].clamp(min=1.0)
    value = rig.mouth.lift + kept * colour * shadow.clamp(min=0)[:, None]
    out[row, which] = (still + share * (value - still)).float()


def _columns(rig: TorchRig, state: State, box: Tensor) -> _Columns:
    lips, points, count = rig.lips, state.points, len(state.points)
    number = torch.arange(2 * int(box[:, 2].amax()), device=rig.device)
    at = (box[:, :1] + (number + 0.5) / 2 - 0.5).double()
    upper = edge_rows(points[:, lips.upper, :2], at)
    lower = edge_rows(points[:, lips.lower, :2], at)
    # The neutral seam, carried sideways with the corners of the mouth.
    ends = lips.upper[[0, -1]]
    corners = points[:, ends, 0]
    back = interp(at, corners, rig.neutral[ends, 0].expand(count, 2))
    old = [
        edge_rows(rig.neutral[edge, :2].expand(count, -1, -1), back)
        for edge in (lips.upper, lips.lower)
    ]
    opening = ((lower - upper) - (old[1] - old[0]).clamp(min=0)) / rig.rig.inter_ocular
    own = number < 2 * box[:, 2:3]
    return _Columns(
        upper=upper,
        lower=lower,
        opening=opening,
        still=back,
        seam=(old[0] + old[1]) / 2 - (upper + lower) / 2,
        corners=corners,
        widest=torch.where(own, opening, 0.0).amax(1).clamp(min=0),
    )


def _middle(values: Tensor) -> Tensor:
    """(B,) median of every row."""
    ordered, n = values.sort(1).values, values.shape[1]
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def _lit(rig: TorchRig, state: State, s: _Samples) -> tuple[Tensor, Tensor]:
    """(P, 3) colours of teeth, tongue and cavity, and (P,) the shade that each lies in."""
    mouth = rig.mouth
    deep = (0.10 + 0.90 * s.fall) * (0.8 + 0.5 * s.under / (s.under + s.over + 1.0))
    dark = mouth.colours[3] * deep[:, None]
    rest = _mixed(rig.rest[s.corners], s.weights).unbind(1)
    teeth = (s.part == UPPER_TEETH) | (s.part == LOWER_TEETH)
    is_tongue = s.part == TONGUE
    enamel = tooth_colours(mouth, (s.part == LOWER_TEETH).long(), rest[0], rest[1], dark)
    normal = _mixed(state.normals[s.item[:, None], s.corners], s.weights)
    length = dot(normal, normal).sqrt().clamp(min=1e-6)
    normal = normal * (torch.where(normal[:, 2] >= 0, 1.0, -1.0) / length)[:, None]
    flesh = _tongue(rest[0], rest[2], normal, mouth.colours[2], 0.38 * mouth.colours[0, 1])
    soft = torch.where(is_tongue[:, None], flesh * s.fall[:, None], dark)
    # Just inside the lips is moist lip, shading into the dark.
    wet = (0.60 * torch.exp(-s.under / 0.9) + 0.85 * torch.exp(-s.over / 1.3)).clamp(max=1.0)
    wet = (wet * smooth(s.behind / 6.0))[:, None]
    soft = soft + wet * (0.55 * mouth.colours[1] - soft)
    lip_shade = torch.where(is_tongue, 1.0 - 0.45 * torch.exp(-s.under / 5.0), 1.0)
    shade = torch.where(teeth, 0.45 + 0.55 * s.fall, lip_shade)
    return torch.where(teeth[:, None], enamel, soft), shade


def _mixed(values: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(P, 3) means of values (P, 3 corners, 3)."""
    w0, w1, w2 = (w[:, None] for w in weights)
    return w0 * values[:, 0] + w1 * values[:, 1] + w2 * values[:, 2]


def _tongue(x: Tensor, z: Tensor, normal: Tensor, tongue: Tensor, shine: Tensor) -> Tensor:
    """(P, 3) colours of the tongue at rest positions x, z (mm); `normal` (P, 3) is unit."""
    side, ny, nz = x.abs(), normal[:, 1], normal[:, 2]
    rough = 0.6 * _grain(x / 1.1, z / 1.1) + 0.4 * _grain(x / 2.7 + 31.0, z / 2.7)
    lit = 0.46 + 0.64 * (0.45 * ny + 0.89 * nz).clamp(min=0)
    back = smooth((-z - 1.0) / 10.0)
    lit = lit * (1.0 - 0.16 * back * torch.exp(-((x / 2.2) ** 2)))  # the groove
    lit = lit * (1.0 + 0.05 * torch.exp(-(((side - 6.5) / 3.5) ** 2)))  # and its swelling sides
    lit = lit * (1.0 - 0.40 * smooth((side - 10.0) / 11.0))
    lit = lit * (1.0 + 0.07 * rough)
    # Wet: half-way vector between the viewer and a light high in front.
    gloss = (0.50 * ny + 0.866 * nz).clamp(min=0) ** 16
    gloss = gloss * (0.5 + 0.5 * rough) * torch.exp(-(((side - 5.0) / 4.5) ** 2))
    return tongue * lit[:, None] + shine * gloss[:, None]


def _grain(x: Tensor, y: Tensor) -> Tensor:
    """Smooth noise with cells of size 1, -1..1; the same for x and -x."""
    x = x.abs()
    ix, iy = torch.floor(x).long(), torch.floor(y).long()
    fx, fy = smooth(x - ix), smooth(y - iy)
    top = _lattice(ix, iy) * (1 - fx) + _lattice(ix + 1, iy) * fx
    low = _lattice(ix, iy + 1) * (1 - fx) + _lattice(ix + 1, iy + 1) * fx
    return 2.0 * (top * (1 - fy) + low * fy) - 1.0


def _lattice(i: Tensor, j: Tensor) -> Tensor:
    """Hash of integer lattice points, 0..1, float64."""
    n = (i * 374761393 + j * 668265263) & 0x7FFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF).double() / 65535.0
