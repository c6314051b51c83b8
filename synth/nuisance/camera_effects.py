"""What a camera does to a picture: defocus, motion, sensor noise, tone curve, JPEG.

In the order of a camera: light is blurred before it is counted, counted before it
is mapped to grey levels, and compressed last.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.nuisance.draw import Nuisance

__all__ = ["apply_camera", "compress", "defocus", "move", "noisy", "tone_curve"]

UInt8 = NDArray[np.uint8]
MID = 128.0


def apply_camera(nuisance: Nuisance, pixels: UInt8) -> UInt8:
    """`pixels` as the drawn camera would have taken them; the same array if it does nothing."""
    out = defocus(pixels, nuisance.blur)
    out = move(out, nuisance.motion, nuisance.motion_angle)
    if nuisance.noise > 0:
        out = noisy(out, nuisance.noise, nuisance.shot, nuisance.noise_seed)
    if (nuisance.gamma, nuisance.contrast, nuisance.brightness) != (1.0, 1.0, 0.0):
        curve = tone_curve(nuisance.gamma, nuisance.contrast, nuisance.brightness)
        out = np.asarray(cv2.LUT(out, curve), np.uint8)
    return compress(out, nuisance.jpeg) if nuisance.jpeg else out


def defocus(pixels: UInt8, sigma: float) -> UInt8:
    """`pixels` blurred by a Gaussian of `sigma` pixels."""
    if sigma <= 0:
        return pixels
    blurred = cv2.GaussianBlur(pixels, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.uint8)


def move(pixels: UInt8, length: float, angle: float) -> UInt8:
    """`pixels` smeared along a line.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    length : float
        Pixels.
    angle : float
        Degrees from the x axis, clockwise in the picture.
    """
    if length <= 0:
        return pixels
    kernel = _streak(length, angle)
    out = cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(out, np.uint8)


@lru_cache(maxsize=8)
def _streak(length: float, angle: float) -> NDArray[np.float32]:
    """(n, n) float32 kernel: a straight line of `length` pixels, bilinearly spread, sum 1."""
    half = math.ceil(length / 2) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1))
    along = (np.arange(64) + 0.5) / 64 * length - length / 2
    x = half + along * math.cos(math.radians(angle))
    y = half + along * math.sin(math.radians(angle))
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - column, y - row
    for dy, dx, w in ((0, 0, (1 - fy) * (1 - fx)), (0, 1, (1 - fy) * fx),
                      (1, 0, fy * (1 - fx)), (1, 1, fy * fx)):  # fmt: skip
        np.add.at(kernel, (row + dy, column + dx), w)
    return np.asarray(kernel / kernel.sum(), np.float32)


def noisy(pixels: UInt8, sigma: float, shot: float, seed: int) -> UInt8:
    """`pixels` with sensor noise.

    The variance at grey level I is ``sigma^2 (1 - shot + shot I / 128)``: read noise,
    and shot noise in proportion to the light. The draw of every value depends on the
    seed and its place alone, so it is the same on every machine.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    sigma : float
        Standard deviation at mid grey (128), grey levels.
    shot : float
        Share of the variance at mid grey that is shot noise.
    seed : int
        Below 2**64.
    """
    level = np.arange(256) / MID
    spread = sigma * np.sqrt(1 - shot + shot * level)
    out = np.empty_like(pixels)
    _add_noise(pixels.reshape(-1), spread.astype(np.float32), np.uint64(seed), out.reshape(-1))
    return out


#: Four 16-bit uniform numbers have this standard deviation together.
_UNIT = np.float32(1 / math.sqrt(4 * (65536.0**2 - 1) / 12))
_MEAN = np.float32(4 * 65535 / 2)


@njit(cache=True, nogil=True)
def _add_noise(values: Any, spread: Any, seed: Any, out: Any) -> None:
    """Add to each value the sum of four uniform numbers, close to normal, from SplitMix64."""
    low = np.uint64(0xFFFF)
    start = seed * np.uint64(0x9E3779B97F4A7C15)
    for i in range(values.shape[0]):
        z = start + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        total = np.float32(
            np.int64(z & low)
            + np.int64((z >> np.uint64(16)) & low)
            + np.int64((z >> np.uint64(32)) & low)
            + np.int64(z >> np.uint64(48))
        )
        v = np.float32(values[i]) + (total - _MEAN) * _UNIT * spread[values[i]] + np.float32(0.5)
        out[i] = np.uint8(min(max(v, np.float32(0)), np.float32(255)))


def tone_curve(gamma: float, contrast: float, brightness: float) -> UInt8:
    """(256,) uint8 curve: gamma, then contrast about mid grey, then brightness.

    Parameters
    ----------
    gamma : float
        Exponent of the grey level; above 1 is darker.
    contrast : float
        Slope about 128.
    brightness : float
        Grey levels added.
    """
    level = 255 * (np.arange(256) / 255) ** gamma
    level = MID + contrast * (level - MID) + brightness
    return np.asarray(np.clip(np.floor(level + 0.5), 0, 255), np.uint8)


def compress(pixels: UInt8, quality: int) -> UInt8:
    """`pixels` after JPEG compression as cameras and messengers do it (4:2:0)."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
