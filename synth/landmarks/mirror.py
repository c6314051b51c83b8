"""Left and right of the iBUG-68 markup."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIRROR", "mirror_points"]

#: Index of each point's mirror partner; its own inverse.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)


def mirror_points(points: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The 68 points of the photo flipped left to right.

    Parameters
    ----------
    points : (68, 2) float64
        Pixels.
    width : int
        Of the photo in pixels.
    """
    flipped = points[MIRROR]
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped
