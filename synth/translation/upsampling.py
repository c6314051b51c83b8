"""A small picture's translation carried to the photo's own resolution.

The translated crop is explained, place by place, as a linear function of the photo's
colours (a guided filter [1]_ with a colour guide); the coefficients, which are smooth,
are enlarged and applied to the photo itself [2]_. Edges and pores are then the photo's
own, scaled as the network scaled their surroundings, and nothing is painted twice.

References
----------
.. [1] He, Sun & Tang, "Guided Image Filtering", PAMI 2013, Eq. 14-16.
.. [2] He & Sun, "Fast Guided Filter", arXiv 1505.00996, 2015.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["apply_model", "linear_model"]

Float32 = NDArray[np.float32]


def linear_model(guide: Float32, target: Float32, radius: int, epsilon: float) -> Float32:
    """Coefficients that make `target` of `guide`, place by place.

    Parameters
    ----------
    guide : (h, w, c) float32
        About [0, 1].
    target : (h, w) float32
    radius : int
        Of the square window, pixels.
    epsilon : float
        Ridge on the coefficients: a variance; channels that vary less count little.

    Returns
    -------
    (h, w, c + 1) float32
        Factors of the channels, and the offset.
    """
    channels = guide.shape[2]
    mean_guide, mean_target = _box(guide, radius), _box(target, radius)
    products = _box(guide[..., :, None] * guide[..., None, :], radius)
    covariance = products - mean_guide[..., :, None] * mean_guide[..., None, :]
    covariance += epsilon * np.eye(channels, dtype=np.float32)
    against = _box(guide * target[..., None], radius) - mean_guide * mean_target[..., None]
    factors = np.linalg.solve(covariance, against[..., None])[..., 0]
    offset = mean_target - (factors * mean_guide).sum(-1)
    return _box(np.concatenate([factors, offset[..., None]], -1).astype(np.float32), radius)


def apply_model(model: Float32, guide: Float32) -> Float32:
    """(h, w) float32: the model's picture of a guide of the same size."""
    return np.asarray((model[..., :-1] * guide).sum(-1) + model[..., -1], np.float32)


def _box(values: Float32, radius: int) -> Float32:
    side = 2 * radius + 1
    flat = np.ascontiguousarray(values.reshape(*values.shape[:2], -1))
    mean = cv2.blur(flat, (side, side), borderType=cv2.BORDER_REFLECT)
    return np.asarray(mean, np.float32).reshape(values.shape)
