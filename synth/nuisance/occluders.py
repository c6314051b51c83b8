"""What is worn over the face: a mask, and glasses over the mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.nuisance.draw import Nuisance
from synth.nuisance.face_mask import wear_mask
from synth.nuisance.glasses import wear_glasses
from synth.nuisance.layers import lighting
from synth.nuisance.posed import Posed
from synth.render.rig import FaceRig

__all__ = ["wear"]


def wear(
    nuisance: Nuisance,
    rig: FaceRig,
    head: Posed,
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Copies of `pixels` and `mask` with mask and glasses on the posed head."""
    pixels, mask = pixels.copy(), mask.copy()
    light = lighting(rig, nuisance)
    if nuisance.mask is not None:
        wear_mask(nuisance.mask, head, light, pixels, mask)
    if nuisance.glasses is not None:
        wear_glasses(nuisance.glasses, head, light, pixels, mask)
    return pixels, mask
