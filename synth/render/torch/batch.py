"""Draw many expressions of one prepared photo at once, on a CPU or a CUDA device.

The pictures are those of `synth.render.face.render` within two grey levels
(``tests/test_render_torch.py``), and do not depend on the batch they are drawn in.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from time import perf_counter

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from synth.camera import turned
from synth.errors import ShapeError, UsageError
from synth.render.face import NECK, Rendered, render
from synth.render.lashes import skin_share
from synth.render.rig import FaceRig
from synth.render.torch.camera import stack_cameras
from synth.render.torch.deform import deform_batch
from synth.render.torch.details import draw_details
from synth.render.torch.move import torch_rig
from synth.render.torch.rig import TorchRig
from synth.render.torch.shade import bare_lids
from synth.render.torch.warp import rasterise_box, shade_skin

__all__ = ["render_batch"]

Float = NDArray[np.float64]


class _Timer:
    """Adds up seconds per stage into a caller's dictionary, waiting for the device."""

    def __init__(self, profile: MutableMapping[str, float] | None, device: torch.device) -> None:
        self.profile, self.device, self.last = profile, device, perf_counter()

    def __call__(self, stage: str) -> None:
        if self.profile is None:
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = perf_counter()
        self.profile[stage] = self.profile.get(stage, 0.0) + now - self.last
        self.last = now


def render_batch(
    rig: FaceRig,
    weights: ArrayLike,
    poses: ArrayLike | None = None,
    device: str = "cpu",
    chunk: int = 64,
    profile: MutableMapping[str, float] | None = None,
) -> list[Rendered]:
    """The photo of `rig` with every one of many expressions.

    Parameters
    ----------
    rig : FaceRig
        Composed by ``warp``.
    weights : (B, 52) float
        ARKit blendshape weights.
    poses : (B, 3) float, optional
        Yaw, pitch and roll in degrees, added to the head's own; none turns no head.
    device : str
        ``cpu``, ``cuda`` or ``cuda:N``.
    chunk : int
        Targets that are drawn together, at least 1: bounds the memory of the device.
    profile : dict, optional
        Seconds per stage are added to it.

    Returns
    -------
    list of B Rendered
        With all weights and angles zero, the photo unchanged.

    Raises
    ------
    ShapeError
        If `weights` or `poses` has another shape or is not finite.
    UsageError
        If the device is not there, `chunk` is below 1, or the rig is composed by Poisson
        blending.
    """
    wanted = len(rig.fit.expression)
    rows = np.asarray(weights, np.float64)
    if rows.ndim != 2 or rows.shape[1] != wanted or not np.isfinite(rows).all():
        raise ShapeError(f"weights: expected (B, {wanted}) finite, got {rows.shape}")
    turns = np.zeros((len(rows), 3)) if poses is None else np.asarray(poses, np.float64)
    if turns.shape != (len(rows), 3) or not np.isfinite(turns).all():
        raise ShapeError(f"poses: expected ({len(rows)}, 3) finite degrees, got {turns.shape}")
    if chunk < 1:
        raise UsageError(f"chunk: expected at least 1, got {chunk}")
    moved = torch_rig(rig, device)
    still = np.asarray(~(rows.any(axis=1) | turns.any(axis=1)))
    todo = np.flatnonzero(~still)
    drawn: dict[int, Rendered] = {}
    with torch.inference_mode():
        for first in range(0, len(todo), chunk):
            some = todo[first : first + chunk]
            found = _render(moved, rows[some], turns[some], profile)
            drawn.update(zip(some.tolist(), found, strict=True))
    return [render(rig, rows[i]) if still[i] else drawn[i] for i in range(len(rows))]


def _render(
    rig: TorchRig, weights: Float, turns: Float, profile: MutableMapping[str, float] | None
) -> list[Rendered]:
    """One chunk, nothing in it still."""
    timer = _Timer(profile, rig.device)
    fit = rig.rig.fit.camera
    cameras = [turned(fit, turn, NECK) if turn.any() else fit for turn in turns]
    state = deform_batch(rig, weights, stack_cameras(cameras, fit, rig.device))
    right, left = rig.lids
    eyes = rig.rig.settings.eyes
    shares = [
        (skin_share(row[right.blink]), skin_share(row[left.blink])) if eyes else (0.0, 0.0)
        for row in weights
    ]
    splines = bare_lids(rig, shares)
    out = rig.photo.expand(len(weights), -1, -1, -1).clone()
    mask = torch.zeros(out.shape[:3], dtype=torch.bool, device=rig.device)
    timer("deform")
    raster = rasterise_box(rig, state)
    timer("rasterise")
    shade_skin(rig, splines, state, raster, out, mask)
    timer("shade")
    draw_details(rig, splines, state, out, mask)
    timer("eyes and mouth")
    pixels, masks, landmarks = out.cpu().numpy(), mask.cpu().numpy(), state.landmarks.cpu().numpy()
    found = [Rendered(*parts) for parts in zip(pixels, masks, landmarks, strict=True)]
    timer("to the host")
    return found
