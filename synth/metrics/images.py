"""How alike two pictures of the same moment are: MAE, PSNR and SSIM.

For uint8 pictures of one shape, grey (H, W) or RGB (H, W, 3); the data range is 255
throughout, so that the numbers can be compared with those of papers. LPIPS, which
needs a network, is in `synth.models.lpips`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError

__all__ = ["DATA_RANGE", "mae", "psnr", "ssim"]

UInt8 = NDArray[np.uint8]

#: Difference between the brightest and the darkest grey level.
DATA_RANGE = 255
#: Side of the window of SSIM in effect: 2 * round(3.5 * 1.5) + 1.
SSIM_WINDOW = 11


def _check(first: UInt8, second: UInt8, least: int = 1) -> None:
    for name, pixels in (("first", first), ("second", second)):
        grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
        if pixels.dtype != np.uint8 or not grey:
            raise ShapeError(
                f"{name}: expected (H, W) or (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}"
            )
    if first.ndim != second.ndim:
        raise ShapeError(
            f"second: expected {_channels(first)} as the first, got {_channels(second)}; "
            "convert one of the two"
        )
    if first.shape != second.shape:
        raise ShapeError(
            f"second: expected the size of the first, {_size(first)}, got {_size(second)}; "
            "only pictures that show the same pixels can be compared"
        )
    if min(first.shape[:2]) < least:
        raise ShapeError(f"first: expected at least {least} pixels a side, got {_size(first)}")


def _channels(pixels: UInt8) -> str:
    return "a grey picture" if pixels.ndim == 2 else "a colour picture"


def _size(pixels: UInt8) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"


def mae(first: UInt8, second: UInt8) -> float:
    """Mean absolute difference in grey levels, 0 to 255.

    Parameters
    ----------
    first, second : (H, W) or (H, W, 3) uint8

    Raises
    ------
    ShapeError
        If the two differ in shape, or are no pictures.
    """
    _check(first, second)
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean())


def psnr(first: UInt8, second: UInt8) -> float:
    """Peak signal-to-noise ratio in decibels, ``10 log10(255^2 / MSE)``; inf for equal ones.

    Parameters
    ----------
    first, second : (H, W) or (H, W, 3) uint8

    Raises
    ------
    ShapeError
        If the two differ in shape, or are no pictures.
    """
    from skimage.metrics import peak_signal_noise_ratio

    _check(first, second)
    if np.array_equal(first, second):
        return float("inf")
    return float(peak_signal_noise_ratio(first, second, data_range=DATA_RANGE))


def ssim(first: UInt8, second: UInt8) -> float:
    """Mean structural similarity, -1 to 1; 1 for equal pictures.

    As published [1]_: Gaussian weights with a standard deviation of 1.5 in a window of
    11 pixels, population covariances, K1 = 0.01, K2 = 0.03; of colour pictures the mean
    over the channels.

    Parameters
    ----------
    first, second : (H, W) or (H, W, 3) uint8
        At least 11 pixels a side.

    Raises
    ------
    ShapeError
        If the two differ in shape, are too small, or are no pictures.

    References
    ----------
    .. [1] Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error
       visibility to structural similarity", IEEE Trans. Image Processing 2004.
    """
    from skimage.metrics import structural_similarity

    _check(first, second, SSIM_WINDOW)
    return float(
        structural_similarity(
            first,
            second,
            data_range=DATA_RANGE,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=None if first.ndim == 2 else -1,
        )
    )
