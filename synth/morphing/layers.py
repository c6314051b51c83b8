"""Photos as a morph takes them, sampled at any place of the common frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FINE", "Layer", "Residual", "grid", "make_layer", "sample", "shared"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Int = NDArray[np.int64]

#: Bits behind the binary point that OpenCV draws polygons with.
FINE = 6
#: Photos larger than this multiple of the result are smoothed first.
SHRINK = 1.2


@dataclass(frozen=True)
class Residual:
    """How far a photo's detail lies from the neutral photo's, see `synth.morphing.refine`.

    Attributes
    ----------
    corner : (int, int)
        x and y of the first pixel.
    moves : (h, w, 2) float32
        Pixels, on the neutral photo's pixels.
    """

    corner: tuple[int, int]
    moves: Float32


@dataclass(frozen=True)
class Layer:
    """A photo to be mixed.

    Attributes
    ----------
    pixels : (h, w, 3) or (h, w) uint8
    points : (68, 2) float64
        Landmarks in the common frame.
    matrix : (2, 3) float64 or None
        Common frame to the photo's pixels; None where it is the same.
    residual : Residual, optional
    """

    pixels: UInt8
    points: Float
    matrix: Float | None = None
    residual: Residual | None = None


def make_layer(pixels: UInt8, points: Float, matrix: Float | None = None) -> Layer:
    """A photo to be mixed, smoothed to what the result can show where it is larger."""
    scale = 1.0 if matrix is None else math.hypot(*matrix[:, 0])
    if scale > SHRINK:  # area filter: blur to the new Nyquist before sampling
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.45 * scale))
    return Layer(pixels, points, matrix)


def sample(layer: Layer, x: Float32, y: Float32) -> UInt8:
    """The photo at places of the common frame."""
    if layer.matrix is not None:
        m = layer.matrix.astype(np.float32)
        x, y = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
    found = cv2.remap(layer.pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found)


def shared(pixels: UInt8, share: Float32 | float) -> Float32:
    """The pixels times a share, one for all or one a pixel."""
    if not isinstance(share, np.ndarray):
        return pixels * np.float32(share)
    return np.asarray(pixels * (share[..., None] if pixels.ndim == 3 else share))


def grid(low: Int, high: Int) -> tuple[Float32, Float32]:
    """x and y of the pixels of a box from `low` to `high`, half open."""
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return x, y
