"""Apply what was drawn to a drawn face: light, then what is worn, then the camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.nuisance.camera_effects import apply_camera
from synth.nuisance.draw import Nuisance
from synth.nuisance.light import apply_gain, exposure, gain_map, light_field
from synth.nuisance.occluders import wear
from synth.nuisance.posed import Posed, pose_head
from synth.render.face import Rendered
from synth.render.rig import FaceRig

__all__ = ["apply_nuisance"]

UInt8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
NO_RATIO = np.ones((0, 0), np.float32)


def apply_nuisance(
    nuisance: Nuisance,
    rig: FaceRig,
    drawn: Rendered,
    weights: NDArray[np.float64],
    pose: ArrayLike | None = None,
) -> tuple[UInt8, Mask]:
    """The drawn face under another light, with what it wears, by another camera.

    Parameters
    ----------
    nuisance : Nuisance
    rig : FaceRig
    drawn : Rendered
        By `render(rig, weights, pose)`.
    weights : (52,) float
        In the model's order.
    pose : (3,) float, optional
        Yaw, pitch and roll that `drawn` was rendered with, where they are not just the
        nuisance's: light and what is worn go by the head as it is drawn.

    Returns
    -------
    pixels : (H, W, 3) uint8
        The very array of `drawn` where nothing was to be done.
    mask : (H, W) bool
        Pixels that may differ from the photo; all of them after a camera effect.
    """
    if not nuisance.changes_pixels:
        return drawn.pixels, drawn.mask
    pixels, mask = drawn.pixels, drawn.mask
    if any(nuisance.light) or nuisance.glasses or nuisance.mask:
        head = pose_head(
            rig, np.asarray(weights, np.float64), nuisance.pose if pose is None else pose
        )
    else:
        head = None
    pixels, mask = _light(nuisance, rig, head, pixels, mask)
    if head is not None and (nuisance.glasses or nuisance.mask):
        pixels, mask = wear(nuisance, rig, head, pixels, mask)
    taken = apply_camera(nuisance, pixels)
    if taken is not pixels:
        mask = np.ones(mask.shape, bool)
    return taken, mask


def _light(
    nuisance: Nuisance, rig: FaceRig, head: Posed | None, pixels: UInt8, mask: Mask
) -> tuple[UInt8, Mask]:
    """The added light and the exposure."""
    ratio = NO_RATIO
    if head is not None and any(nuisance.light):
        ratio = gain_map(light_field(rig, head, nuisance.light))
    elif nuisance.gain == 1 and nuisance.warmth == 0:
        return pixels, mask
    left, top, _, _ = rig.surface.box
    out, changed = np.empty_like(pixels), mask.copy()
    factors = exposure(nuisance.gain, nuisance.warmth)
    apply_gain(pixels, ratio, left, top, factors, out, changed)
    return out, changed
