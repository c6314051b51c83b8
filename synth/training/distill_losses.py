"""What a distilled editor is trained towards: motion, shading, mouth, and the picture.

All terms are means over a batch. Motion and shading are only compared where the teacher
knows them (`synth.training.distill_pairs.Pairs.known`); around the eyes the picture itself
teaches the motion, since a warp can only come close to what the teacher draws there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.nn import functional

from synth.models.editor import EditorConfig, Prediction, sample_flow

__all__ = ["Batch", "compose", "distill_losses"]

Tensor = Any
#: Inter-ocular distance (36-45) of the mean face in its plane, for a loss in its unit.
EYES_APART = 0.46
#: Motion from here on counts fully, in sides of the view.
MOVING = 0.01


@dataclass(frozen=True)
class Batch:
    """Pairs as tensors.

    Attributes
    ----------
    source, target : (B, 3, s, s) float32 in [-1, 1]
    flow : (B, 2, s/2, s/2) float32
    known : (B, 1, s/2, s/2) float32
        0 or 1.
    gain : (B, 1, s, s) float32
    mouth : (B, 3, h, w) float32 in [-1, 1]
    share : (B, 1, h, w) float32
        Of the inside of the mouth, 0 to 1.
    theta, rho : (B,) float32
        Radians, 0 to 1.
    """

    source: Tensor
    target: Tensor
    flow: Tensor
    known: Tensor
    gain: Tensor
    mouth: Tensor
    share: Tensor
    theta: Tensor
    rho: Tensor

    def on(self, device: str) -> Batch:
        """The same on a device."""
        return Batch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def compose(view: Tensor, made: Prediction, config: EditorConfig) -> Tensor:
    """(B, 3, s, s) the edited views, at the network's own size."""
    flow = functional.interpolate(made.flow, scale_factor=2, mode="bilinear", align_corners=False)
    out = (sample_flow(view, flow) + 1) * made.gain.exp() - 1
    left, top, right, bottom = config.mouth_box(config.size)
    mask, mouth = (functional.avg_pool2d(x, config.detail) for x in (made.mask, made.mouth))
    inner = out[:, :, top:bottom, left:right]
    mixed = inner + mask * (mouth - inner)
    edges = (left, config.size - right, top, config.size - bottom)
    inside = functional.pad(torch.ones_like(mask), edges)
    return out * (1 - inside) + functional.pad(mixed, edges)


def distill_losses(made: Prediction, batch: Batch, config: EditorConfig) -> dict[str, Tensor]:
    """The terms by name; their sum, weighted by `synth.training.distill`, is descended.

    ``flow``
        Mean distance, in inter-ocular distances; what moves counts four times.
    ``gain``
        Of log brightness.
    ``mask``
        Binary cross entropy and Dice [1]_ of the mouth's inside.
    ``mouth``, ``edges``
        Colour of the mouth's inside, and its differences between neighbours: teeth.
    ``picture``
        Of the whole edited view, four times in what the teacher's motion does not know.

    References
    ----------
    .. [1] Milletari, Navab & Ahmadi, "V-Net", 3DV 2016.
    """
    whole = functional.interpolate(batch.known, scale_factor=2, mode="nearest")
    length = batch.flow.square().sum(1, keepdim=True).sqrt()
    weight = batch.known * (1 + 3 * (length / MOVING).clamp(max=1))
    away = (made.flow - batch.flow).square().sum(1, keepdim=True).add(1e-8).sqrt()
    losses = {
        "flow": (weight * away).sum() / weight.sum() / EYES_APART,
        "gain": (whole * (made.gain - batch.gain).abs()).sum() / whole.sum(),
        "mask": _mask_loss(made.mask, batch.share),
    }
    inside = functional.max_pool2d(batch.share, 5, 1, 2)
    total = inside.sum().clamp(min=1.0)
    losses["mouth"] = (inside * (made.mouth - batch.mouth).abs()).sum() / (3 * total)
    losses["edges"] = sum(
        (inside.narrow(axis, 1, inside.shape[axis] - 1)
         * (made.mouth.diff(dim=axis) - batch.mouth.diff(dim=axis)).abs()).sum() / (3 * total)
        for axis in (2, 3)
    )  # fmt: skip
    picture = (compose(batch.source, made, config) - batch.target).abs()
    losses["picture"] = ((4 - 3 * whole) * picture).mean()
    return losses


def _mask_loss(mask: Tensor, share: Tensor) -> Tensor:
    sure = mask.clamp(1e-5, 1 - 1e-5)
    entropy = -(share * sure.log() + (1 - share) * (1 - sure).log()).mean()
    both, size = (mask * share).sum((1, 2, 3)), (mask + share).sum((1, 2, 3))
    # A mouth that stays shut has nothing to overlap: 50 px keep its term small.
    return 10 * entropy + (1 - (2 * both + 50) / (size + 50)).mean()
