"""sRGB, linear light, CIE XYZ and CIELAB; colour transfer by mean and spread; colour difference.

All of it is plain arithmetic on arrays whose last axis is colour. White is D65, 2 degrees;
matrix and white point are those of ITU-R BT.709 as scikit-image writes them, so that the
two agree to the last digits.

Colour transfer: Reinhard, Ashikhmin, Gooch & Shirley, "Color Transfer between Images",
IEEE CG&A 2001, here in CIELAB instead of their l-alpha-beta, over the region of the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from synth.errors import ShapeError

__all__ = [
    "COLOURED",
    "REC601",
    "REC709",
    "WHITE",
    "LabStatistics",
    "chroma",
    "delta_e_2000",
    "from_linear",
    "from_uint8",
    "lab_statistics",
    "lab_to_srgb",
    "lab_to_xyz",
    "match_lab",
    "srgb_to_lab",
    "to_grey",
    "to_linear",
    "to_rgb",
    "to_uint8",
    "transfer_lab",
    "xyz_to_lab",
]

Floats = NDArray[Any]
UInt8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

#: Luma of gamma-coded RGB (Rec. 601), and luminance of linear RGB (Rec. 709).
REC601 = (0.299, 0.587, 0.114)
REC709 = (0.2126, 0.7152, 0.0722)
#: Linear RGB to XYZ, rows X, Y, Z.
TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
TO_RGB = np.linalg.inv(TO_XYZ)
#: XYZ of D65, 2 degrees.
WHITE = np.array([0.95047, 1.0, 1.08883])
#: Where the cube root of CIELAB gives way to a line: value, slope and offset.
_KNEE, _SLOPE, _OFFSET = 0.008856, 7.787, 16 / 116
#: A region whose spread is below this (L, a or b units) has none to scale.
FLAT = 1e-3
#: Pixels worked on at a time: what fits a processor's cache takes half the time.
BAND = 16_384


def from_uint8(pixels: UInt8, dtype: DTypeLike = np.float64) -> Floats:
    """Levels 0 to 255 as numbers 0 to 1."""
    return pixels.astype(dtype) / np.asarray(255, dtype)


def to_uint8(values: Floats) -> UInt8:
    """Numbers 0 to 1 as levels, rounded; what lies outside is clipped."""
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)


def to_linear(srgb: Floats) -> Floats:
    """Linear light of gamma-coded sRGB, 0 to 1 each; negative numbers stay on the line at 0.

    IEC 61966-2-1:1999. The floating-point type is kept.
    """
    bent = ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(srgb > 0.04045, bent, srgb / 12.92).astype(srgb.dtype, copy=False)


def from_linear(linear: Floats) -> Floats:
    """Gamma-coded sRGB of linear light; inverse of `to_linear`."""
    bent = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, bent, linear * 12.92).astype(linear.dtype, copy=False)


def xyz_to_lab(xyz: Floats) -> Floats:
    """(..., 3) CIELAB, L in 0 to 100, of (..., 3) XYZ with Y of white 1 (CIE 15:2004)."""
    t = xyz / WHITE.astype(xyz.dtype)
    f = np.where(t > _KNEE, np.cbrt(t), _SLOPE * t + _OFFSET).astype(xyz.dtype, copy=False)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_xyz(lab: Floats) -> Floats:
    """(..., 3) XYZ of (..., 3) CIELAB; inverse of `xyz_to_lab`."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    t = np.where(f > np.cbrt(_KNEE), f * f * f, (f - _OFFSET) / _SLOPE)
    return (t * WHITE).astype(lab.dtype, copy=False)


def srgb_to_lab(pixels: UInt8 | Floats, dtype: DTypeLike = np.float64) -> Floats:
    """(..., 3) CIELAB of sRGB: uint8, or numbers with 0 to 1 in gamut.

    Parameters
    ----------
    pixels : (..., 3) uint8 or float
    dtype : float32 or float64
        Of the result, where `pixels` are uint8; otherwise theirs is kept.
    """
    if pixels.shape[-1:] != (3,):
        raise ShapeError(f"pixels: expected (..., 3), got {pixels.shape}")
    if pixels.dtype == np.uint8:  # 256 levels need no power each
        linear = to_linear(np.arange(256, dtype=dtype) / np.asarray(255, dtype))[pixels]
    else:
        linear = to_linear(pixels)
    return xyz_to_lab(linear @ TO_XYZ.T.astype(linear.dtype))


def lab_to_srgb(lab: Floats) -> Floats:
    """(..., 3) sRGB of CIELAB, not clipped: colours out of gamut lie outside 0 to 1."""
    return from_linear(lab_to_xyz(lab) @ TO_RGB.T.astype(lab.dtype))


#: Mean distance of red, green and blue from their mean, grey levels, from which a
#: picture counts as coloured: grey JPEGs stay below 0.5, photos of faces above 2.8.
COLOURED = 1.5


@dataclass(frozen=True)
class LabStatistics:
    """Mean and standard deviation of L, a and b over a region.

    Attributes
    ----------
    mean, std : (3,) float64
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def lab_statistics(lab: Floats, mask: Mask | None = None) -> LabStatistics:
    """Statistics of (H, W, 3) CIELAB over the pixels of `mask`, all of them by default.

    Raises
    ------
    ShapeError
        If the mask is not of the picture's size, or empty.
    """
    values = _region(lab, mask).astype(np.float64, copy=False)
    # As products: numpy's own mean and std along three columns take ten times as long.
    mean = np.ones(len(values)) @ values / len(values)
    off = values - mean
    return LabStatistics(mean, np.sqrt(np.einsum("ij,ij->j", off, off) / len(values)))


def _region(pixels: Floats, mask: Mask | None) -> Floats:
    """(N, 3) the pixels of the mask, at least one."""
    if mask is not None and (mask.shape != pixels.shape[:-1] or mask.dtype != np.bool_):
        raise ShapeError(
            f"mask: expected {pixels.shape[:-1]} bool, got {mask.shape} {mask.dtype}; "
            "give one of the picture's size"
        )
    values = pixels.reshape(-1, 3) if mask is None else pixels[mask]
    if not len(values):
        raise ShapeError("mask: expected at least one pixel, got none; give another region")
    return values


def match_lab(lab: Floats, own: LabStatistics, wanted: LabStatistics) -> Floats:
    """CIELAB shifted and scaled, channel by channel, from statistics `own` to `wanted`.

    ``(lab - mean) * std_wanted / std + mean_wanted``: equations 10 and 11 of Reinhard et
    al. 2001. A channel of no spread (`FLAT`) is only shifted.
    """
    flat = own.std < FLAT
    scale = np.where(flat, 1.0, wanted.std / np.where(flat, 1.0, own.std))
    shift = wanted.mean - own.mean * scale
    return lab * scale.astype(lab.dtype) + shift.astype(lab.dtype)


def transfer_lab(
    pixels: UInt8,
    reference: UInt8,
    mask: Mask | None = None,
    reference_mask: Mask | None = None,
    dtype: DTypeLike = np.float64,
) -> UInt8:
    """`pixels` with the mean colour and the spread of `reference`, in CIELAB.

    Statistics are those of the two regions; every pixel is changed alike, also outside.
    A picture of the reference's own statistics comes back as it is.

    Parameters
    ----------
    pixels, reference : (H, W, 3) uint8
        sRGB; they may differ in size.
    mask, reference_mask : (H, W) bool, optional
        Regions the statistics are taken over; the whole picture by default.
    dtype : float32 or float64
        To reckon in.

    Returns
    -------
    (H, W, 3) uint8
        Clipped to the gamut.

    Raises
    ------
    ShapeError
        If an array is no RGB picture, or a mask is empty or of another size.
    """
    for name, value in (("pixels", pixels), ("reference", reference)):
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
            raise ShapeError(f"{name}: expected (H, W, 3) uint8, got {value.shape} {value.dtype}")
    own, wanted = (
        lab_statistics(srgb_to_lab(_region(values, region), dtype))
        for values, region in ((pixels, mask), (reference, reference_mask))
    )
    out = np.empty_like(pixels)
    rows = max(1, BAND // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        lab = srgb_to_lab(pixels[top : top + rows], dtype)
        out[top : top + rows] = to_uint8(lab_to_srgb(match_lab(lab, own, wanted)))
    return out


def chroma(pixels: UInt8) -> float:
    """How coloured a picture (H, W, 3) is: mean distance of its channels from their mean."""
    values = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    values = values.astype(np.float32)
    return float(np.abs(values - values.mean(2, keepdims=True)).mean())


def to_grey(pixels: UInt8) -> UInt8:
    """(H, W) luma of an RGB picture (Rec. 601 weights); a grey one stays as it is.

    Raises
    ------
    ShapeError
        If the array is no picture.
    """
    if pixels.dtype == np.uint8 and pixels.ndim == 2:
        return pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(
            f"pixels: expected (H, W) or (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}"
        )
    import cv2

    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def to_rgb(pixels: UInt8) -> UInt8:
    """(H, W, 3) of a picture with one or three channels."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def delta_e_2000(first: UInt8, second: UInt8) -> NDArray[np.float64]:
    """(...) CIEDE2000 colour difference of two (..., 3) uint8 sRGB arrays; 1 is just visible.

    Luo, Cui & Rigg, "The development of the CIE 2000 colour-difference formula", Color
    Research & Application 2001; scikit-image's.
    """
    from skimage.color import deltaE_ciede2000

    if first.shape != second.shape:
        raise ShapeError(f"second: expected {first.shape}, got {second.shape}")
    return np.asarray(deltaE_ciede2000(srgb_to_lab(first), srgb_to_lab(second)), np.float64)
