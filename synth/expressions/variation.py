"""Person styles taken from a gallery's own samples.

A style is a vector of ranks: how strongly, compared with the other samples of
its class, one member uses each blendshape. Read in its own class, the ranks give
that member back, with its asymmetry and its odd acts; read in the classes along
a path they give one continuous style, because every class answers with what its
own members at those ranks do. Works for every gallery that stores samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.expressions.antagonists import antagonise
from synth.expressions.arkit import NAMES, mirror_order
from synth.expressions.faces import BasicExpression, Samples
from synth.types import VA

__all__ = ["Quantiles", "Styles", "Variation", "pooled_members", "quantiles_of"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

#: A class with fewer samples borrows those of the nearest classes.
ENOUGH = 24
#: Radius from which samples are strong enough to take a style from anywhere.
STRONG = 0.5


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

    def face(self, weights: Float) -> Float:
        """(..., 52) weights found at `ranks`, as a face.

        Acts that one member never combines may meet in another class: of two
        that exclude each other the stronger wins. Then turned, if `mirror`.
        """
        possible = antagonise(weights, hard_only=True)
        return possible[..., mirror_order()] if self.mirror else possible


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


@dataclass(frozen=True, eq=False)
class Styles:
    """What a gallery's styles are drawn from and read in.

    Attributes
    ----------
    samples : Samples
    class_va : (K, 2) float64
    members : tuple of K (n,) int64
        Samples behind each class's quantiles.
    classes : Quantiles
        One group a class; a sample and its mirror image count alike.
    expressions : mapping of str to Quantiles
        One group each, as stored.
    faces : mapping of str to (N, 52) uint8
        The samples of each expression.
    """

    samples: Samples
    class_va: Float
    members: tuple[Int, ...]
    classes: Quantiles
    expressions: Mapping[str, Quantiles]
    faces: Mapping[str, UInt8]

    @classmethod
    def build(
        cls, samples: Samples, class_va: Float, expressions: Mapping[str, BasicExpression]
    ) -> Styles:
        """Tables for a gallery with `samples`, in about 0.05 s for 25000 of them."""
        members = pooled_members(samples.class_index, class_va)
        faces = {k: own.samples for k, own in expressions.items() if own.samples is not None}
        return cls(
            samples=samples,
            class_va=class_va,
            members=tuple(members),
            classes=quantiles_of(samples.weights, members, both_sides=True),
            expressions={k: quantiles_of(f, [np.arange(len(f))], False) for k, f in faces.items()},
            faces=faces,
        )

    def draw(self, seed: int, va: VA | None, expression: str) -> Variation:
        """A style, as `Gallery.draw` describes it; `expression` by its proper name."""
        rng = np.random.default_rng([seed, 3])
        if expression in self.faces:
            faces, quantiles = self.faces[expression], self.expressions[expression]
            sample, group = int(rng.integers(len(faces))), 0
        else:
            faces, quantiles, expression = self.samples.weights, self.classes, ""
            sample, group = self._choose(rng, va)
        mirror = bool(rng.random() < 0.5)
        ranks = quantiles.ranks_of(faces[sample], group, _jitter(rng))
        ranks.flags.writeable = False
        return Variation(ranks, mirror, seed, sample, expression)

    def _choose(self, rng: np.random.Generator, va: VA | None) -> tuple[int, int]:
        """A sample and the class in whose quantiles it is found."""
        if va is not None and va.radius > 0:
            offset = self.class_va[1:] - (va.valence, va.arousal)
            group = 1 + int((offset**2).sum(1).argmin())
            return int(rng.choice(self.members[group])), group
        kind, radius = self.samples.class_index, np.hypot(*self.samples.va.T)
        strong = np.flatnonzero((kind > 0) & (radius >= STRONG))
        sample = int(rng.choice(strong if len(strong) else np.flatnonzero(kind > 0)))
        return sample, int(kind[sample])


def _jitter(rng: np.random.Generator) -> Float:
    """(52,) what breaks ties, equal left and right: an act used elsewhere shows on both sides."""
    jitter = rng.random(len(NAMES))
    order = mirror_order()
    paired: Float = np.where(np.arange(len(NAMES)) < order, jitter, jitter[order])
    return paired
