"""Colours of teeth in dental coordinates, for many samples: `synth.render.teeth` in torch."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.render.teeth import EDGE
from synth.render.torch.ops import smooth
from synth.render.torch.rig import TorchMouth

__all__ = ["tooth_colours"]


def tooth_colours(
    mouth: TorchMouth, row: Tensor, arc: Tensor, height: Tensor, dark: Tensor
) -> Tensor:
    """(P, 3) colours of points of the dental bands.

    Parameters
    ----------
    mouth : TorchMouth
    row : (P,) int64
        0 for the upper band, 1 for the lower one.
    arc, height : (P,) float64
        Arc length from the midline and height above the band's edge, mm.
    dark : (P, 3) float64
        What shows past the biting edge.
    """
    s, edges = arc.abs(), mouth.edges[row]
    n = (s[:, None] > edges[:, :-1]).sum(1)
    inner = torch.where(n > 0, mouth.edges[row, (n - 1).clamp(min=0)], 0.0)
    half = 0.5 * (mouth.edges[row, n] - inner)
    u = (s - inner - half) / half
    # Canines are pointed.
    pointed = 0.9 * (u + 0.1).abs() ** 1.5
    level = (0.5 + 0.4 * (row == 0).to(u.dtype)) * u.abs() ** 4
    rim = mouth.steps[row, n] + torch.where(n == 2, pointed, level)
    collar = mouth.crowns[row, n] - 1.5 * u * u
    to_gap = (1.0 - u.abs()) * half
    gap, soft = torch.exp(-((to_gap / 0.30) ** 2)), torch.exp(-((to_gap / 1.1) ** 2))
    shade = (1.0 - 0.15 * gap - 0.09 * soft) * (1.0 - 0.05 * u * u)
    up = ((height - rim) / (collar - rim).clamp(min=1.0)).clamp(0.0, 1.0)
    shade = shade * (0.95 + 0.07 * smooth(up / 0.35) - 0.06 * smooth((up - 0.55) / 0.45))
    # A broad and a narrow highlight on the bulge of the crown.
    shade = shade + 0.05 * torch.exp(-((u / 0.45) ** 2) - ((up - 0.55) / 0.22) ** 2)
    shade = shade + 0.05 * torch.exp(-(((u + 0.12) / 0.16) ** 2) - ((up - 0.62) / 0.13) ** 2)
    away = torch.exp(-(s - 7.0).clamp(min=0.0) / 24.0)
    shade = shade * away * mouth.shades[row, n]
    gum_share = smooth((height - collar) / 0.9 + 0.5)[:, None]
    # Towards the gum and back in the mouth, where red tissue lights them, teeth are warmer.
    warm = (0.04 * smooth(up) + 0.16 * (1.0 - away))[:, None]
    missing = (1.0 - smooth((height - rim) / (2 * EDGE) + 0.5))[:, None]
    pink = ((1.0 - 0.06 * gap) * away)[:, None]
    redder = torch.tensor([0.2, 0.5, 1.3], dtype=arc.dtype, device=arc.device)
    value = mouth.colours[0] * shade[:, None] * (1.0 - warm * redder)
    value = value + gum_share * (mouth.colours[1] * pink - value)
    return value + missing * (dark - value)
