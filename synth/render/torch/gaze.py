"""Where the eyes of a batch look: `synth.render.gaze` in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synth.render.gaze import IRIS_MOVED, LID_MOVED, aim, carried
from synth.render.torch.deform import State
from synth.render.torch.ops import edge_rows, smooth
from synth.render.torch.rig import TorchRig

__all__ = ["EyeViews", "view_eyes"]


@dataclass(frozen=True, eq=False)
class EyeViews:
    """`synth.render.gaze.EyeView` of every target.

    Attributes
    ----------
    back : (B, 2, 3) float64
    shift, squeeze : (B, 2), (B, 2, 2) float64
        Of `synth.render.gaze.Gaze`.
    upper, lower : (B, w) float64
    moved, looks, shut : (B,) float64
    still : (B,) bool
    """

    back: Tensor
    shift: Tensor
    squeeze: Tensor
    upper: Tensor
    lower: Tensor
    moved: Tensor
    looks: Tensor
    shut: Tensor
    still: Tensor


def view_eyes(rig: TorchRig, state: State, eye: int) -> EyeViews:
    """How the subject's right (0) or left (1) eye is to be seen in every target."""
    source, iod = rig.rig, rig.rig.inter_ocular
    ball, curves = rig.eyes[eye], rig.lid_curves[eye]
    front = source.fronts[eye]
    depth = float(source.neutral[front, 2].mean())
    names, side, camera = source.model.blendshape_names, ("Right", "Left")[eye], source.fit.camera
    gazes = [aim(row, names, side, camera, depth) for row in state.weights]
    backs = [
        np.eye(2, 3) if one is camera else carried(source, front, one)
        for one in state.cameras.cameras
    ]

    def to(arrays: list[np.ndarray]) -> Tensor:
        return torch.tensor(np.stack(arrays), dtype=torch.float64, device=rig.device)

    back, shift = to(backs), to([gaze.shift for gaze in gazes])
    turned = state.cameras.turned
    points = state.points[:, curves.edge, :2]
    x, y = points[..., 0], points[..., 1]
    there = torch.stack(
        [x * back[:, k, 0:1] + y * back[:, k, 1:2] + back[:, k, 2:3] for k in range(2)], 2
    )
    new = torch.where(turned[:, None, None], there, points)
    lid = (new - rig.neutral[curves.edge, :2]).abs().amax((1, 2)) / iod
    iris = (shift[:, 0].square() + shift[:, 1].square()).sqrt() / iod
    looks = smooth(iris / IRIS_MOVED)
    width = ball.ball.shape[1]
    columns = (ball.left + torch.arange(width, device=rig.device, dtype=torch.float64))[None]
    columns = columns.expand(len(new), width)
    count = len(curves.upper)
    blink = torch.tensor(state.weights[:, rig.lids[eye].blink], device=rig.device)
    return EyeViews(
        back=back,
        shift=shift,
        squeeze=to([gaze.back for gaze in gazes]),
        upper=edge_rows(new[:, :count], columns),
        lower=edge_rows(new[:, count:], columns),
        moved=torch.maximum(smooth(lid / LID_MOVED), looks),
        looks=looks,
        shut=smooth((blink - 0.6) / 0.4),
        still=~turned & (torch.maximum(lid, iris) < 1e-4),
    )
