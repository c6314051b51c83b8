"""Person styles taken from a gallery's own samples.

A style is a vector of ranks: how strongly, compared with the other samples of
its class, one member uses each blendshape. Read in its own class, the ranks give
that member back, with its asymmetry and its odd acts; read in the classes along
a path they give one continuous style, because every class answers with what its
own members at those ranks do. Acts that a class does not use say nothing about
how this person smiles elsewhere, so a style also takes the ranks of similar
members in other directions of the circumplex. Works for every gallery that
stores samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from synth.expressions.antagonists import antagonise
from synth.expressions.arkit import mirror_order

__all__ = ["Quantiles", "Variation", "quantiles_of"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
#: Weights * 255 as they are stored: uint8, or float32 where own blendshapes are among them.
Faces = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Variation:
    """One person style; the same for the same gallery and arguments of `Gallery.draw`.

    Attributes
    ----------
    ranks : (D, E) float64
        Share of the members of a class that use a blendshape less, between 0 and
        1. Row 0: of the sample the style was taken from; the others: of similar
        samples in other directions of the circumplex.
    angle : float
        Direction of row 0, radians; the others follow evenly, counter-clockwise.
    mirror : bool
        Whether the face is turned left to right; never in galleries of measured people.
    seed : int
        What it was drawn with.
    sample : int
        Position of the sample of row 0, among the gallery's samples or those of
        `expression`.
    expression : str
        The basic expression whose samples it was taken from, if any.
    """

    ranks: Float
    angle: float
    mirror: bool
    seed: int
    sample: int
    expression: str = ""

    def toward(self, va: ArrayLike) -> Float:
        """(..., E) ranks in the direction of the points `va` (..., 2).

        Between two rows their normal scores are mixed and brought back to unit
        variance, so that the ranks of many styles stay uniform.
        """
        point, n = np.asarray(va, np.float64), len(self.ranks)
        turn = np.arctan2(point[..., 1], point[..., 0])[..., None] - self.angle
        away = turn * n / (2 * np.pi) - np.arange(n)  # in steps from one row to the next
        away -= n * np.round(away / n)
        share = np.maximum(1 - np.abs(away), 0) ** 2
        share /= np.sqrt((share**2).sum(-1, keepdims=True))
        ranks: Float = ndtr(share @ ndtri(self.ranks))
        return ranks

    def face(self, weights: Float) -> Float:
        """(..., E) weights found at the style's ranks, as a face.

        Acts that one member never combines may meet in another class: of two
        that exclude each other the stronger wins. Then turned, if `mirror`.
        """
        possible = antagonise(weights, hard_only=True)
        return possible[..., mirror_order(possible.shape[-1])] if self.mirror else possible


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Sorted samples of each of G groups: their quantile functions.

    Attributes
    ----------
    ordered : (M, E) uint8 or float32
        Weight * 255; the samples of each group together, every blendshape sorted.
    start, count : (G,) int64
        Where each group begins, and its size (at least 1).
    """

    ordered: Faces
    start: Int
    count: Int

    def at(self, ranks: Float, group: int | Int) -> Float:
        """(..., E) weights at `ranks` (..., E) in the groups `group` (...)."""
        groups = np.asarray(group)
        start, count = self.start[groups, None], self.count[groups, None]
        place = np.clip(ranks * count - 0.5, 0, count - 1)
        lower = np.minimum(place.astype(np.int64), np.maximum(count - 2, 0))
        upper = np.minimum(lower + 1, count - 1)
        columns = np.arange(self.ordered.shape[1])
        low = self.ordered[start + lower, columns].astype(np.float64)
        high = self.ordered[start + upper, columns].astype(np.float64)
        weights: Float = (low + (place - lower) * (high - low)) / 255
        return weights

    def ranks_of(self, faces: Faces, groups: int | Int, jitter: Float) -> Float:
        """(..., E) ranks of members `faces` (..., E) of `groups` (...).

        ``at`` gives a member back: among equal samples the rank stays at their value;
        `jitter` (E,), 0 to 1, says where.
        """
        flat = np.ascontiguousarray(faces.reshape(-1, faces.shape[-1]))
        group = np.broadcast_to(np.asarray(groups), faces.shape[:-1]).reshape(-1)
        first, last = _equal_ones(self.ordered, self.start[group], self.count[group], flat)
        place = np.clip(first - 0.5 + jitter * (last + 1 - first), first, last)
        ranks: Float = (place + 0.5) / self.count[group, None]
        return ranks.reshape(faces.shape)


@njit(cache=True, nogil=True)
def _equal_ones(ordered: Faces, start: Int, count: Int, faces: Faces) -> tuple[Int, Int]:
    """(n, E) positions in their group of the first and last sample equal to each face's."""
    first = np.zeros(faces.shape, np.int64)
    last = np.zeros(faces.shape, np.int64)
    for i in range(faces.shape[0]):
        for k in range(faces.shape[1]):
            column = ordered[start[i] : start[i] + count[i], k]
            first[i, k] = np.searchsorted(column, faces[i, k], side="left")
            last[i, k] = np.searchsorted(column, faces[i, k], side="right") - 1
    return first, last


def quantiles_of(weights: Faces, members: Iterable[Int], both_sides: bool) -> Quantiles:
    """Quantile functions of groups of samples.

    Parameters
    ----------
    weights : (N, E) uint8 or float32
        Weight * 255.
    members : iterable of (n,) int64
        Samples of each group, at least one.
    both_sides : bool
        A sample and its mirror image count alike, as they do in the mean faces.
    """
    parts = []
    for rows in members:
        own = weights[rows]
        if both_sides:
            own = np.concatenate([own, own[:, mirror_order(own.shape[1])]])
        parts.append(np.sort(own, axis=0))
    count = np.array([len(part) for part in parts])
    return Quantiles(np.concatenate(parts), np.cumsum(count) - count, count)
