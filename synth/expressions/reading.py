"""Which valence and arousal a face shows, under a gallery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError
from synth.expressions.arkit import NAMES, mirror_order
from synth.types import VA

__all__ = ["Reader"]

Float = NDArray[np.float64]

#: Grid points across the disc, and how often its spacing is halved around the best one.
GRID, HALVINGS = 61, 6
#: Added to the spread between people: smaller differences say little about a face.
LEAST_SPREAD = 0.05


@dataclass(frozen=True, eq=False)
class Reader:
    """Finds the point of the disc whose mean face is nearest to a face.

    Attributes
    ----------
    field : callable, (n, 2) -> (n, E)
        The mean face at each point; symmetric in ARKit's 52, zero at (0, 0).
    scale : (E,) float64
        What a difference in each blendshape counts.
    points : (n, 2) float64
        A grid over the disc; (0, 0) is one of them.
    faces : (n, E) float64
        The field there, scaled.
    """

    field: Callable[[Float], Float]
    scale: Float
    points: Float
    faces: Float

    @classmethod
    def build(cls, field: Callable[[Float], Float], spread: Float) -> Reader:
        """A reader of `field`; people of one class differ by `spread` (E,)."""
        axis = np.linspace(-1, 1, GRID)
        points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        points = points[np.hypot(points[:, 0], points[:, 1]) <= 1]
        scale = 1 / (spread + LEAST_SPREAD)
        return cls(field, scale, points, field(points) * scale)

    def read(self, weights: ArrayLike) -> VA:
        """The nearest point, to about 0.001; (0, 0) for zero weights."""
        face = np.asarray(weights, np.float64)
        if face.shape not in ((len(NAMES),), self.scale.shape):
            raise ShapeError(f"weights: expected ({len(NAMES)},), got {face.shape}")
        if not face.any():
            return VA(0, 0)
        n = len(face)  # of a face of ARKit's 52 nothing is said about a gallery's own blendshapes
        scale = self.scale[:n]
        seen = (face + face[mirror_order(n)]) / 2 * scale
        best = self.points[((self.faces[:, :n] - seen) ** 2).sum(1).argmin()]
        step = 2 / (GRID - 1)
        around = np.stack(np.meshgrid([0, -2, -1, 1, 2], [0, -2, -1, 1, 2]), axis=-1).reshape(-1, 2)
        for _ in range(HALVINGS):
            step /= 2
            near = best + step * around  # the first is `best` itself
            near /= np.maximum(np.hypot(near[:, 0], near[:, 1]), 1)[:, None]
            misfit = ((self.field(near)[:, :n] * scale - seen) ** 2).sum(1)
            best = near[misfit.argmin()]
        valence, arousal = np.trunc(best * 1e4) / 1e4 + 0.0
        return VA(float(valence), float(arousal))
