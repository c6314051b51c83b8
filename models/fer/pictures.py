"""From face crops of any side to what a reader takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from synth.color import to_grey, to_rgb
from synth.errors import ShapeError
from synth.models.fer.config import FERConfig

__all__ = ["scale_points", "scale_pixels", "to_input"]

Tensor = Any
UInt8 = NDArray[np.uint8]


def to_input(pixels: Sequence[UInt8] | UInt8, config: FERConfig) -> Tensor:
    """A batch for a network of `config`.

    Parameters
    ----------
    pixels : sequence of (S, S, 3) or (S, S) uint8
        sRGB or grey crops of the profile ``aligned``, see `synth.crops`; S may differ.
    config : FERConfig

    Returns
    -------
    (N, channels, size, size) float32 tensor in [-1, 1]

    Raises
    ------
    ShapeError
        If a crop is not square or not 8-bit.
    """
    return scale_pixels(np.stack([_fitting(picture, config) for picture in pixels]))


def scale_pixels(pixels: UInt8) -> Tensor:
    """(N, S, S) or (N, S, S, 3) uint8 as (N, channels, S, S) float32 in [-1, 1]."""
    batch = torch.from_numpy(np.ascontiguousarray(pixels))
    batch = batch[:, None] if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    return batch.float().div_(127.5).sub_(1)


def scale_points(points: ArrayLike, side: int, config: FERConfig) -> Tensor:
    """(N, 68, 2) landmarks in crops of `side` pixels, in pixels of the network's input.

    Pixel centres are integers: the left edge is at -0.5 in both.
    """
    scaled = (np.asarray(points, np.float64) + 0.5) * (config.size / side) - 0.5
    return torch.from_numpy(scaled.astype(np.float32))


def _fitting(picture: UInt8, config: FERConfig) -> UInt8:
    square = picture.ndim in (2, 3) and picture.shape[0] == picture.shape[1]
    if not square or picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)):
        raise ShapeError(
            f"pixels: expected (S, S, 3) or (S, S) uint8, got {picture.shape} {picture.dtype}; "
            'cut faces out with crop_by_profile(..., "aligned", size)'
        )
    if config.channels == 1:
        picture = picture if picture.ndim == 2 else to_grey(picture)
    elif picture.ndim == 2:
        picture = to_rgb(picture)
    if len(picture) == config.size:
        return picture
    # Area means where it shrinks; they are blocks where it grows.
    how = cv2.INTER_AREA if len(picture) > config.size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (config.size, config.size), interpolation=how))
