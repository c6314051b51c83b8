"""Person styles taken from a gallery's own samples.

A style is a vector of ranks: how strongly, compared with the other samples of
its class, one member uses each blendshape. Read in its own class, the ranks give
that member back, with its asymmetry and its odd acts; read in the classes along
a path they give one continuous style, because every class answers with what its
own members at those ranks do. Works for every gallery that stores samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.expressions.arkit import NAMES, mirror_order, stem_columns

__all__ = ["Quantiles", "Variation", "draw_variation", "pooled_members", "quantiles_of"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

#: A class with fewer samples borrows those of the nearest classes.
ENOUGH = 24


@dataclass(frozen=True, eq=False)
class Variation:
    """One person style; the same for the same gallery and arguments of `Gallery.draw`.

    Attributes
    ----------
    ranks : (52,) float64
        Share of the members of a class that use a blendshape less, 0 to 1.
    mirror : bool
        Whether the face is turned left to right.
    seed : int
        What it was drawn with.
    sample : int
        Position of the sample it was taken from, among the gallery's samples or
        those of `expression`.
    expression : str
        The basic expression whose samples it comes from, if any.
    """

    ranks: Float
    mirror: bool
    seed: int
    sample: int
    expression: str = ""

    def turn(self, weights: Float) -> Float:
        """(..., 52) weights of this style's face, turned left to right if it is."""
        return weights[..., mirror_order()] if self.mirror else weights


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Sorted samples of each of G groups: their quantile functions.

    Attributes
    ----------
    ordered : (M, 52) uint8
        Weight * 255; the samples of each group together, every blendshape sorted.
    start, count : (G,) int64
        Where each group begins, and its size (at least 1).
    """

    ordered: UInt8
    start: Int
    count: Int

    def at(self, ranks: Float, group: int | None = None) -> Float:
        """(G, 52) weights at `ranks` (52,) in every group, or (52,) in one of them."""
        chosen = slice(None) if group is None else slice(group, group + 1)
        start, count = self.start[chosen, None], self.count[chosen, None]
        place = np.clip(ranks * count - 0.5, 0, count - 1)
        lower = np.minimum(place.astype(np.int64), np.maximum(count - 2, 0))
        upper = np.minimum(lower + 1, count - 1)
        columns = np.arange(self.ordered.shape[1])
        low = self.ordered[start + lower, columns].astype(np.float64)
        high = self.ordered[start + upper, columns].astype(np.float64)
        weights: Float = (low + (place - lower) * (high - low)) / 255
        return weights if group is None else weights[0]

    def ranks_of(self, face: UInt8, group: int, jitter: Float) -> Float:
        """(52,) ranks of a member of a group; `jitter` (52,), 0 to 1, breaks ties.

        ``at`` gives the member back: among equal samples the rank stays at their value.
        """
        rows = self.ordered[self.start[group] : self.start[group] + self.count[group]]
        first, last = (rows < face).sum(0), (rows <= face).sum(0) - 1
        place = np.clip(first - 0.5 + jitter * (last + 1 - first), first, last)
        ranks: Float = (place + 0.5) / self.count[group]
        return ranks


def quantiles_of(weights: UInt8, members: Sequence[Int], both_sides: bool) -> Quantiles:
    """Quantile functions of groups of samples.

    Parameters
    ----------
    weights : (N, 52) uint8
    members : sequence of (n,) int64
        Samples of each group, at least one.
    both_sides : bool
        A sample and its mirror image count alike, as they do in the mean faces.
    """
    parts = []
    for rows in members:
        own = weights[rows]
        if both_sides:
            own = np.concatenate([own, own[:, mirror_order()]])
        parts.append(np.sort(own, axis=0))
    count = np.array([len(part) for part in parts])
    return Quantiles(np.concatenate(parts), np.cumsum(count) - count, count)


def pooled_members(class_index: Int, class_va: Float) -> list[Int]:
    """Samples of each class; a small class borrows the samples of its nearest classes.

    The neutral class (row 0) keeps its own and lends none.
    """
    order = np.argsort(class_index, kind="stable")
    own = np.split(order, np.cumsum(np.bincount(class_index, minlength=len(class_va)))[:-1])
    pooled = [own[0]]
    for k in range(1, len(own)):
        rows = own[k]
        if len(rows) < ENOUGH:
            near = 1 + np.argsort(((class_va[1:] - class_va[k]) ** 2).sum(1), kind="stable")
            until = int(np.searchsorted(np.cumsum([len(own[i]) for i in near]), ENOUGH)) + 1
            rows = np.concatenate([own[i] for i in near[:until]])
        pooled.append(rows)
    return pooled


def draw_variation(
    quantiles: Quantiles,
    weights: UInt8,
    choices: Int,
    groups: Int,
    seed: int,
    expression: str = "",
) -> Variation:
    """The style of one of the samples `choices`.

    Parameters
    ----------
    quantiles : Quantiles
    weights : (N, 52) uint8
        Samples the quantiles were made from.
    choices : (n,) int64
        Samples to choose from.
    groups : (n,) int64
        The group of each in `quantiles`.
    seed : int
    expression : str
        Noted in the style.
    """
    rng = np.random.default_rng([seed, 3])
    pick = int(rng.integers(len(choices)))
    jitter = rng.random(len(NAMES))
    for name in NAMES:  # equal on both sides: whoever shows an act elsewhere shows it on both
        if name.endswith("Left"):
            left, right = stem_columns(name[:-4])
            jitter[right] = jitter[left]
    mirror = bool(rng.random() < 0.5)
    sample = int(choices[pick])
    ranks = quantiles.ranks_of(weights[sample], int(groups[pick]), jitter)
    ranks.flags.writeable = False
    return Variation(ranks, mirror, seed, sample, expression)
