"""Motions of points in correspondence: the rotation, or similarity, that fits best.

References
----------
.. [1] Umeyama, "Least-squares estimation of transformation parameters between two point
   patterns", PAMI 13, 1991.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["rotations", "similarity"]

Float = NDArray[np.float64]


def rotations(cross: Float) -> Float:
    """(..., 3, 3) proper rotations ``r`` with the largest ``sum(cross * r)``.

    For ``cross = source.T @ target`` of centred points, ``source @ r`` is nearest to target.
    """
    u, _, vt = np.linalg.svd(cross)
    sign = np.ones(cross.shape[:-1])
    sign[..., 2] = np.sign(np.linalg.det(u @ vt))
    return np.asarray((u * sign[..., None, :]) @ vt)


def similarity(
    source: Float, target: Float, weights: Float | None = None, scaled: bool = True
) -> tuple[float, Float, Float]:
    """Scale, rotation (3, 3) and shift (3,) that take points (n, 3) nearest to others [1]_.

    ``target ~ scale * source @ rotation.T + shift``.

    Parameters
    ----------
    source, target : (n, 3) float64
    weights : (n,) float64, optional
        Of the squared distances.
    scaled : bool
        Without, the scale is 1: a rigid motion.
    """
    w = np.ones(len(source)) if weights is None else weights
    w = w / w.sum()
    at, there = w @ source, w @ target
    centred = source - at
    cross = (centred * w[:, None]).T @ (target - there)
    turn = rotations(cross)
    scale = float((cross * turn).sum() / (w @ (centred**2).sum(1))) if scaled else 1.0
    return scale, turn.T, there - scale * turn.T @ at
