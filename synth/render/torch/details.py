"""Eyes and mouths of a batch, drawn on the host by the loops of `synth.render.details`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from synth.render import details
from synth.render.deform import Deformed
from synth.render.torch.deform import State
from synth.render.torch.rig import TorchRig
from synth.render.torch.shade import Splines

__all__ = ["draw_details"]


def draw_details(rig: TorchRig, splines: Splines, state: State, out: Tensor, mask: Tensor) -> None:
    """Draw eyes and mouths over the skin, in place."""
    pixels, masks = out.cpu().numpy(), mask.cpu().numpy()
    points, normals = state.points.cpu().numpy(), state.normals.cpu().numpy()
    for i, camera in enumerate(state.cameras.cameras):
        values = rig.rig.values.copy()
        values[:, 2] = state.gain[i].cpu().numpy()
        folds = (
            np.ones((2, 2, 3), np.float32) if state.folds is None else state.folds[i].cpu().numpy()
        )
        one = Deformed(points[i], normals[i], values, folds, camera, state.weights[i])
        spline = splines.values[splines.slot[i]].cpu().numpy()
        details.draw_details(rig.rig, spline, one, pixels[i], masks[i])
    if rig.device.type != "cpu":
        out.copy_(torch.from_numpy(pixels))
        mask.copy_(torch.from_numpy(masks))
