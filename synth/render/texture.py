"""A photo in texture space, and where it shows bare skin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.render.raster import rasterise

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["sample_texture", "skin_weight"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: (model, vertices (M, M, 3), -1 outside; barycentric weights (M, M, 3)) per model and size.
_TEXELS: dict[tuple[int, int], tuple[Any, NDArray[np.int32], Float32]] = {}


def sample_texture(
    photo: NDArray[np.uint8], position: Float, model: MorphableModel, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The photo in texture space, and where the skin and lips of the model lie.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    position : (V, 2) float64
        Pixel position of each vertex.
    size : int
        Side of the texture.

    Returns
    -------
    texture : (size, size, 3) uint8
        0 where the model has no skin.
    covered : (size, size) bool
    """
    key = (id(model), size)
    if key not in _TEXELS or _TEXELS[key][0] is not model:
        faces = model.faces[np.isin(model.parts, (0, 1))]  # skin and lips
        flat = np.column_stack((model.uv * (size - 1), np.ones(len(model.uv))))
        ids, bary, _ = rasterise(flat, faces, (0, 0, size, size))
        w = np.dstack((1 - bary.sum(2), bary)).astype(np.float32)
        _TEXELS[key] = (model, np.where((ids >= 0)[..., None], faces[ids], -1), w)
    _, corners, w = _TEXELS[key]
    covered = corners[..., 0] >= 0
    x, y = ((w * line.astype(np.float32)[corners]).sum(2) for line in position.T)
    texture = cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    texture[~covered] = 0
    return texture, covered


def skin_weight(texture: NDArray[np.uint8], skin: Float, size: int) -> Float32:
    """(size, size) 1 where a texture shows bare skin, 0 on hair, glasses or beard.

    Hair over the forehead would show drawn folds. A texel counts as skin unless it
    is much darker than the typical skin or of another colour; single dark spots
    (pores, thin brows) are closed, the edge is soft.

    Parameters
    ----------
    texture : (M, M, 3) uint8
        From `sample_texture`; black texels hold nothing.
    skin : (3,) float
        Median RGB of the lit skin.
    """
    odd = 2 * (texture.shape[0] // 100) + 1  # about 1/50 of the texture
    kernel = np.ones((odd, odd), np.uint8)
    log_ratio = np.log(texture.astype(np.float32) + 10) - np.log(skin + 10).astype(np.float32)
    log_ratio[~texture.any(2)] = 0  # eyes and surroundings: unknown, not covered
    log_ratio = cv2.blur(log_ratio, (odd, odd))
    light = log_ratio @ np.array([0.299, 0.587, 0.114], np.float32)
    # Shade darkens skin and reddens it a little; hair and frames go further.
    dark = np.clip((light + 0.95) / 0.35, 0, 1)
    hue = np.abs(log_ratio[..., 0] - log_ratio[..., 2] - 0.25 * np.clip(-light, 0, 1))
    strange = np.clip((0.55 - hue) / 0.25, 0, 1)
    weight = cv2.erode(cv2.morphologyEx(dark * strange, cv2.MORPH_CLOSE, kernel), kernel)
    if weight.shape[0] != size:
        weight = cv2.resize(weight, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(weight, (0, 0), 0.012 * size), np.float32)
