"""Where the pixels of a drawn face came from: the renderer's geometry, asked directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.render.deform import Deformed
from synth.render.details import around
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.topology import INTERIOR, LIPS

__all__ = ["mouth_share", "true_flow"]

Float32 = NDArray[np.float32]
#: Column of a drawn vertex's values where the photo shows it, see `synth.render.shade`.
SEEN = 3


def true_flow(rig: FaceRig, state: Deformed) -> tuple[Float32, NDArray[np.bool_]]:
    """Where every pixel of a drawn face came from, and where that is known.

    Returns
    -------
    origin : (H, W, 2) float32
        Pixels of the photo; the pixel itself where nothing moves.
    known : (H, W) bool
        Not in the mouth, on eyeballs, or on skin that the photo hides.
    """
    height, width = rig.image.height, rig.image.width
    grid = np.meshgrid(np.arange(width), np.arange(height))
    origin = np.stack(grid, -1).astype(np.float32)
    known = np.ones((height, width), bool)
    surface = rig.surface
    left, top, across, down = surface.box
    ids, bary, _ = rasterise(state.points, surface.faces, surface.box, 1, perspective=False)
    values = _interpolated(surface.faces, state.values[:, : SEEN + 1], ids, bary)
    window = np.s_[top : top + down, left : left + across]
    drawn = ids >= 0
    shown = drawn & rig.carries[ids] & (values[..., SEEN] > 0.5)
    origin[window][shown] = values[shown][:, :2]
    known[window] = shown | ~drawn
    return origin, known


def _interpolated(
    faces: NDArray[np.int32], values: Float32, ids: NDArray[np.int32], bary: Float32
) -> Float32:
    """(h, w, k) values of vertices at the pixels of a raster; of no meaning where it is empty."""
    corners = values[faces[ids]]
    b, c = bary[..., :1], bary[..., 1:]
    return np.asarray((1 - b - c) * corners[..., 0, :] + b * corners[..., 1, :]
                      + c * corners[..., 2, :], np.float32)  # fmt: skip


def mouth_share(rig: FaceRig, state: Deformed) -> Float32:
    """(H, W) share of each pixel that shows the inside of the mouth, or lips from inside.

    Inner lips count: the photo's closed mouth hides them.
    """
    share = np.zeros((rig.image.height, rig.image.width), np.float32)
    lips = np.concatenate((rig.topology.lips.upper, rig.topology.lips.lower))
    box = around(state.points[lips, :2], 0.12 * rig.inter_ocular, share.shape)
    left, top, across, down = box
    ids, bary, _ = rasterise(state.points, rig.surface.faces, box, 2, perspective=False)
    labels = rig.surface.labels[ids]
    seen = _interpolated(rig.surface.faces, state.values[:, SEEN : SEEN + 1], ids, bary)[..., 0]
    inside = np.isin(labels, INTERIOR) | ((labels == LIPS) & (seen < 0.5))
    inside &= ids >= 0
    found = inside.reshape(down, 2, across, 2).mean((1, 3))
    share[top : top + down, left : left + across] = found
    return share
