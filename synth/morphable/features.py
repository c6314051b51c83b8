"""Dense features of a picture, for texture models and dense fitting.

Raw intensities differ with light and skin more than with the place on the face, so that
in-the-wild models are built on dense descriptors instead [1]_. Each kind here is light to
compute and smooth enough to be followed by its gradient over a few percent of the
inter-ocular distance, when the face has about 100 to 150 pixels between the eye corners.

References
----------
.. [1] Booth et al., "3D Face Morphable Models 'In-the-Wild'", CVPR 2017, sec. 3.2.
.. [2] Tola, Lepetit & Fua, "DAISY: An Efficient Dense Descriptor Applied to Wide-Baseline
   Stereo", TPAMI 2010, sec. 3 (orientation maps: half-rectified directional derivatives).
.. [3] Tzimiropoulos, Zafeiriou & Pantic, "Subspace Learning from Image Gradient
   Orientations", TPAMI 2012.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, UsageError

__all__ = [
    "FEATURES",
    "channels",
    "dense_features",
    "face_matrix",
    "resampled",
    "sample_features",
]

Float32 = NDArray[np.float32]

#: Side of the resampled picture and height of its middle below the eyes, inter-ocular distances.
SIDE, DROP = 3.0, 0.4
#: Directions of the orientation maps.
DIRECTIONS = 8
#: Smoothing before the derivative, of the maps, and of the light they are divided by, pixels.
BEFORE, WITHIN, AROUND = 1.2, 3.5, 9.0
#: Contrast (of 0..1) below which a gradient is taken for noise.
FLOOR = 0.004
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def _blur(values: Float32, sigma: float) -> Float32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _luma(pixels: NDArray[np.uint8]) -> Float32:
    return np.asarray(pixels.astype(np.float32) @ (LUMA / 255), np.float32)


def _gradient(pixels: NDArray[np.uint8]) -> tuple[Float32, Float32]:
    """Derivatives of the smoothed luma along x and y, per pixel."""
    grey = _blur(_luma(pixels), BEFORE)
    return (
        np.asarray(cv2.Scharr(grey, cv2.CV_32F, 1, 0, scale=1 / 32)),
        np.asarray(cv2.Scharr(grey, cv2.CV_32F, 0, 1, scale=1 / 32)),
    )


def _normalised(values: Float32) -> Float32:
    """Less the local mean, over the local standard deviation."""
    smooth = _blur(values, BEFORE)
    middle = np.atleast_3d(_blur(smooth, 4 * AROUND))
    centred = np.atleast_3d(smooth) - middle
    power = _blur(np.asarray((centred**2).mean(2)), 4 * AROUND)
    return np.asarray(centred / np.sqrt(power + 0.02**2)[..., None], np.float32)


def _grey(pixels: NDArray[np.uint8]) -> Float32:
    return _normalised(_luma(pixels))


def _rgb(pixels: NDArray[np.uint8]) -> Float32:
    return _normalised(np.asarray(pixels / np.float32(255)))


def _igo(pixels: NDArray[np.uint8]) -> Float32:
    """Cosine and sine of the gradient's direction, fading out where there is none [3]_."""
    x, y = _gradient(pixels)
    size = np.sqrt(x**2 + y**2 + FLOOR**2)
    return _blur(np.stack((x / size, y / size), axis=2), WITHIN / 2)


def _orientations(pixels: NDArray[np.uint8]) -> Float32:
    """Half-rectified derivatives in eight directions, smoothed, over the local contrast [2]_."""
    x, y = _gradient(pixels)
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    maps = x[..., None] * np.cos(angle).astype(np.float32)
    maps += y[..., None] * np.sin(angle).astype(np.float32)
    np.maximum(maps, 0, out=maps)
    maps = _blur(maps, WITHIN)
    power = _blur(np.einsum("hwc,hwc->hw", maps, maps), AROUND)
    return np.asarray(maps / np.sqrt(power + FLOOR**2)[..., None])


#: Kinds of features: function and number of channels.
FEATURES: dict[str, tuple[Callable[[NDArray[np.uint8]], Float32], int]] = {
    "grey": (_grey, 1),
    "rgb": (_rgb, 3),
    "igo": (_igo, 2),
    "orientations": (_orientations, DIRECTIONS),
}


def _known(feature: str) -> tuple[Callable[[NDArray[np.uint8]], Float32], int]:
    if feature not in FEATURES:
        raise UsageError(f"feature: expected one of {', '.join(FEATURES)}, got {feature!r}")
    return FEATURES[feature]


def channels(feature: str) -> int:
    """How many channels a kind of features has."""
    return _known(feature)[1]


def dense_features(pixels: NDArray[np.uint8], feature: str) -> Float32:
    """Features of every pixel.

    Their smoothing is counted in pixels: resample the face to the model's size first
    (`synth.morphable.texture.feature_image`).

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        sRGB.
    feature : str
        A key of `FEATURES`.

    Returns
    -------
    (H, W, C) float32
        Without unit; of the order of 1.

    Raises
    ------
    UsageError
        If there is no such kind.
    ShapeError
        If `pixels` is no picture.
    """
    compute, _ = _known(feature)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ShapeError(f"pixels: expected (H, W, 3) uint8 RGB, got {pixels.shape} {pixels.dtype}")
    return np.ascontiguousarray(compute(pixels))


def face_matrix(points: ArrayLike, scale: float) -> NDArray[np.float64]:
    """The similarity from a photo to the picture that features are taken of.

    Parameters
    ----------
    points : (68, 2) float
        iBUG landmarks, photo pixels.
    scale : float
        Pixels between the outer eye corners afterwards.

    Returns
    -------
    (2, 3) float64
        ``x_out = A x_photo + b``: the eyes level, the face in the middle of a square of
        ``round(3 * scale)`` pixels.
    """
    p = np.asarray(points, np.float64)
    eyes = p[45] - p[36]
    unit = eyes / (eyes @ eyes) * scale
    turn = np.array([unit, (-unit[1], unit[0])])
    side = round(SIDE * scale)
    middle = np.array([(side - 1) / 2, (side - 1) / 2 - DROP * scale])
    return np.column_stack((turn, middle - turn @ (p[36] + p[45]) / 2))


def resampled(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], side: int
) -> NDArray[np.uint8]:
    """(side, side, 3) uint8 the photo under a similarity, without aliasing.

    Outside the photo its edge is repeated.
    """
    shrink = 1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    corners = np.array([(-1, -1), (side, -1), (-1, side), (side, side)], float)
    back = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    reach = 3 * max(shrink, 1)
    size = np.array([pixels.shape[1], pixels.shape[0]])
    low = np.clip(np.floor(back.min(0) - reach), 0, size - 1).astype(int)
    high = np.clip(np.ceil(back.max(0) + reach), low + 1, size).astype(int)
    part = np.ascontiguousarray(pixels[low[1] : high[1], low[0] : high[0]])
    if shrink > 1:  # what bilinear sampling would skip over is averaged first
        part = cv2.GaussianBlur(part, (0, 0), 0.5 * np.sqrt(shrink**2 - 0.75))
    moved = np.column_stack((matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ low))
    return np.asarray(
        cv2.warpAffine(
            part, moved, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def sample_features(features: Float32, points: ArrayLike) -> tuple[Float32, NDArray[np.bool_]]:
    """Features at points between pixels, bilinear.

    Parameters
    ----------
    features : (H, W, C) float32
    points : (n, 2) float
        x, y in pixels of `features`.

    Returns
    -------
    values : (n, C) float32
        At points outside, those of the nearest edge.
    inside : (n,) bool
        Whether the point lies in the picture.
    """
    p = np.asarray(points, np.float64)
    height, width = features.shape[:2]
    limit = np.array([width - 1, height - 1])
    inside = ((p >= 0) & (p <= limit)).all(1)
    at = np.clip(np.nan_to_num(p), 0, limit)
    base = np.minimum(at.astype(np.intp), np.maximum(limit - 1, 0))
    share = (at - base).astype(np.float32)
    x, y = base.T
    right, below = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
    u, v = share[:, :1], share[:, 1:]
    upper = features[y, x] * (1 - u) + features[y, right] * u
    lower = features[below, x] * (1 - u) + features[below, right] * u
    return np.asarray(upper * (1 - v) + lower * v), np.asarray(inside)
