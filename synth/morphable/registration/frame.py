"""Scans brought to the template's place and size by their landmarks, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.meshes.rigid import similarity

__all__ = ["Similarity", "fit_similarity", "scan_unit"]

Float = NDArray[np.float64]

#: Millimetres of the units that scans come in.
UNITS = (1.0, 10.0, 1000.0)
#: How much larger or smaller than the template a face may be.
TOLERANCE = 1.8


@dataclass(frozen=True, eq=False)
class Similarity:
    """``x -> scale * rotation @ x + shift``."""

    scale: float
    rotation: Float
    shift: Float

    def __call__(self, points: Float) -> Float:
        return np.asarray(self.scale * points @ self.rotation.T + self.shift)

    def inverse(self) -> Similarity:
        """The way back."""
        back = self.rotation.T
        return Similarity(1 / self.scale, back, -back @ self.shift / self.scale)


def fit_similarity(source: Float, target: Float) -> Similarity:
    """The rotation, scale and shift nearest in least squares, without reflection.

    Parameters
    ----------
    source, target : (n, 3) float64
        At least three points that are not on one line.
    """
    return Similarity(*similarity(source, target))


def scan_unit(scale: float) -> float:
    """Millimetres of a scan's unit, from its size relative to a template in mm; 1 if unclear."""
    for unit in UNITS:
        if 1 / TOLERANCE < scale * unit < TOLERANCE:
            return unit
    return 1.0
