"""What a near-infrared surveillance camera does to a picture: lens, denoising, sharpening, noise.

Such cameras work in the dark: they smooth what hardly varies (skin) and sharpen edges
again, and the lens is not perfectly focused at 850 nm. All lengths go with the size of
the face, so that a picture looks the same at every resolution. The numbers were fitted
to band energies of the skin of the six training people of `docs/model_cards/nir.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CameraSettings", "camera"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class CameraSettings:
    """How strong each stage is.

    Attributes
    ----------
    window : float
        Radius of the smoothing window, shares of the outer eye corners' distance.
    flat : float
        Standard deviation below which a window counts as flat, [0, 1]; 0 smooths nothing.
    lens : float
        Standard deviation of the blur, the same share.
    halo, sharpen : float
        Standard deviation of the unsharp mask, the same share, and its strength.
    noise : float
        Standard deviation of the noise, grey levels of 255; 0 for none.
    """

    window: float = 0.015
    flat: float = 0.02
    lens: float = 0.004
    halo: float = 0.012
    sharpen: float = 1.1
    noise: float = 0.5


def camera(light: Float32, unit: float, seed: int, settings: CameraSettings) -> Float32:
    """The picture such a camera gives, before it is rounded.

    Parameters
    ----------
    light : (H, W) float32
        [0, 1].
    unit : float
        Distance of the outer eye corners, pixels.
    seed : int
        Of the noise.
    settings : CameraSettings

    Returns
    -------
    (H, W) float32
        In grey levels, 0 to 255, not rounded.
    """
    out = _denoise(light, max(1, round(settings.window * unit)), settings.flat)
    out = _blur(out, settings.lens * unit)
    if settings.sharpen:
        out = out + settings.sharpen * (out - _blur(out, settings.halo * unit))
    levels = 255 * np.clip(out, 0, 1)
    if settings.noise:
        noise = np.random.default_rng(seed).standard_normal(out.shape, np.float32)
        levels += np.float32(settings.noise) * noise
    return np.asarray(np.clip(levels, 0, 255), np.float32)


def _denoise(picture: Float32, radius: int, flat: float) -> Float32:
    """A guided filter with the picture as its own guide: edges stay, what is flat is averaged."""
    if not flat:
        return picture
    mean = _mean(picture, radius)
    variance = np.maximum(_mean(np.square(picture), radius) - mean * mean, 0)
    kept = np.asarray(variance / (variance + np.float32(flat * flat)), np.float32)
    return np.asarray(_mean(kept, radius) * picture + _mean(mean - kept * mean, radius), np.float32)


def _mean(values: Float32, radius: int) -> Float32:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _blur(values: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma, 0.05)), np.float32)
