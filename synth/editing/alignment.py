"""A face laid over the mean face by its landmarks, and back: thin-plate splines.

Expressions move faces alike once brows, eyes and mouths lie in the same places. The
*plane* is the mean face's: its points have coordinates from 0 to 1 over the view that
the network sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from synth.crops import similarity

__all__ = ["CONTROLS", "Alignment", "mean_shape"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Landmarks that the spline runs by: outline, brows, eye corners, nose, mouth.
CONTROLS = (0, 2, 4, 6, 8, 10, 12, 14, 16, 17, 19, 21, 22, 24, 26, 27, 31, 33, 35, 36, 39, 42,
            45, 48, 51, 54, 57)  # fmt: skip
#: Landmark -> its mirror image.
MIRROR = (*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
          45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, *range(54, 47, -1),
          *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1))  # fmt: skip
#: Where the mean face lies in its plane: its brows, its chin, in shares of the side.
BROWS, CHIN = 0.13, 0.86
#: How stiff the spline is: landmarks are not exact.
STIFF = 3e-3
#: Points a side at which the spline is evaluated; in between it is interpolated.
GRID = 96
#: Rounds of the search for where a pixel lies in the plane.
ROUNDS = 6


def mean_shape(faces: NDArray[np.floating]) -> Float:
    """(68, 2) the symmetric mean of faces (n, 68, 2), upright, placed in the plane."""
    mean = np.asarray(faces[0], np.float64)
    for _ in range(3):
        moved = []
        for face in faces:
            matrix = similarity(face, mean)
            moved.append(face @ matrix[:, :2].T + matrix[:, 2])
        mean = np.mean(moved, axis=0)
        mirrored = mean[list(MIRROR)] * (-1, 1)
        matrix = similarity(mirrored, mean)
        both = (mean + mirrored @ matrix[:, :2].T + matrix[:, 2]) / 2
        eyes = both[42:48].mean(0) - both[36:42].mean(0)
        turn = np.array([[eyes[0], eyes[1]], [-eyes[1], eyes[0]]]) / np.hypot(*eyes)
        mean = both @ turn.T
    top, bottom = mean[17:27, 1].min(), mean[8, 1]
    scale = (CHIN - BROWS) / (bottom - top)
    x = mean[27:31, 0].mean()
    return np.asarray((mean - (x, top)) * scale + (0.5, BROWS))


@dataclass(frozen=True, eq=False)
class Alignment:
    """From the mean face's plane to a photo.

    Attributes
    ----------
    shape : (68, 2) float64
        The mean face, see `mean_shape`.
    points : (68, 2) float64
        Landmarks of the face, pixels of the photo.
    """

    shape: Float
    points: Float

    @cached_property
    def affine(self) -> Float:
        """(2, 3) the similarity part: plane to pixels."""
        controls = list(CONTROLS)
        return similarity(self.shape[controls], self.points[controls])

    @cached_property
    def _bend(self) -> Float:
        """(n, 2) the spline of what is left of the landmarks after the similarity."""
        at = self.shape[list(CONTROLS)]
        back = self._inverse
        found = self.points[list(CONTROLS)] @ back[:, :2].T + back[:, 2]
        count = len(at)
        ones = np.column_stack([np.ones(count), at])
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _kernel(at, at) + STIFF * np.eye(count)
        system[:count, count:], system[count:, :count] = ones, ones.T
        return np.asarray(np.linalg.solve(system, np.vstack([found - at, np.zeros((3, 2))])))

    @cached_property
    def _inverse(self) -> Float:
        linear = np.linalg.inv(self.affine[:, :2])
        return np.column_stack([linear, -linear @ self.affine[:, 2]])

    def to_photo(self, plane: NDArray[np.floating]) -> Float:
        """(..., 2) pixels of points of the plane."""
        at = np.asarray(plane, np.float64).reshape(-1, 2)
        kernel = _kernel(at, self.shape[list(CONTROLS)])
        bent = at + kernel @ self._bend[:-3] + self._bend[-3] + at @ self._bend[-2:]
        out = bent @ self.affine[:, :2].T + self.affine[:, 2]
        return np.asarray(out.reshape(np.shape(plane)))

    def to_plane(self, pixels: NDArray[np.floating]) -> Float:
        """(..., 2) points of the plane that lie at pixels: `to_photo` undone by iteration."""
        back = self._inverse
        goal = np.asarray(pixels, np.float64).reshape(-1, 2)
        found = goal @ back[:, :2].T + back[:, 2]
        for _ in range(ROUNDS):
            found = found + (goal - self.to_photo(found)) @ back[:, :2].T
        return np.asarray(found.reshape(np.shape(pixels)))

    def view_map(self, size: int) -> Float32:
        """(size, size, 2) pixel of the photo at every pixel centre of a view of the plane."""
        return _spread(self.to_photo, 0.5 / size, 1.0 / size, (size, size))

    def plane_map(self, height: int, width: int) -> Float32:
        """(height, width, 2) point of the plane at every pixel of a photo."""
        return _spread(self.to_plane, 0.0, 1.0, (height, width))


def _kernel(a: Float, b: Float) -> Float:
    """(n, m) the thin plate's kernel r^2 log r of the distances between points."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(np.maximum(squared, 1e-12)))


def _spread(
    function: Callable[[Float], Float], first: float, step: float, shape: tuple[int, int]
) -> Float32:
    """A smooth function of points on the pixels of a grid, evaluated at few of them.

    The centre of pixel i lies at ``first + i * step``.
    """
    ways = [_cubic(size, min(GRID, size)) for size in shape]
    y, x = (first + step * at for at, _ in ways)
    coarse = function(np.stack(np.meshgrid(x, y), -1)).astype(np.float32)
    rows, columns = (weights.astype(np.float32) for _, weights in ways)
    planes = [rows @ coarse[..., k] @ columns.T for k in range(coarse.shape[-1])]
    return np.stack(planes, -1)


@lru_cache(maxsize=8)
def _cubic(size: int, count: int) -> tuple[Float, Float]:
    """Places (k,) over ``range(size)``, `count` and two more, and (size, k) cubic weights."""
    gap = size / count
    places = (np.arange(-2, count + 2) + 0.5) * gap - 0.5
    at = (np.arange(size) - places[0]) / gap
    low = np.clip(np.floor(at).astype(int), 1, count + 1)
    t = at - low
    weights = np.zeros((size, count + 4))
    for k, w in enumerate((
        (-t + 2 * t**2 - t**3) / 2, (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2, (-(t**2) + t**3) / 2,
    )):  # fmt: skip
        weights[np.arange(size), low - 1 + k] = w
    return np.asarray(places, np.float64), weights
