"""Whose mesh is whose, and how much each counts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.metrics.intervals import person_numbers

__all__ = ["People"]


@dataclass(frozen=True, eq=False)
class People:
    """The subject of each mesh; every subject counts alike, however many meshes there are.

    Attributes
    ----------
    index : (N,) int64
        Number of the subject of each mesh.
    count : int
        Subjects S.
    """

    index: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, subjects: Sequence[Hashable] | None, meshes: int) -> People:
        """Of one name a mesh; of None every mesh is a subject of its own."""
        return cls(*person_numbers(subjects, meshes))

    @property
    def weights(self) -> NDArray[np.float64]:
        """(N,) of sum 1: one over S and over the meshes of the subject."""
        return np.asarray(1.0 / (self.count * np.bincount(self.index)[self.index]))

    @property
    def unbiased(self) -> float:
        """Factor from the mean square about the mean to the variance: S / (S - 1)."""
        return self.count / (self.count - 1)

    def part(self, chosen: NDArray[np.bool_]) -> People:
        """Of some of the meshes."""
        names, index = np.unique(self.index[chosen], return_inverse=True)
        return People(index, len(names))

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(S, ...) mean of values (N, ...) over the meshes of each subject."""
        flat = values.reshape(len(values), -1)
        sums = np.stack([np.bincount(self.index, v, self.count) for v in flat.T], 1)
        counts = np.bincount(self.index, minlength=self.count)[:, None]
        return np.asarray((sums / counts).reshape(self.count, *values.shape[1:]))
