"""Drawing person styles: which samples of a gallery a style is taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.expressions.arkit import mirror_order
from synth.expressions.faces import BasicExpression, Samples
from synth.expressions.variation import Faces, Quantiles, Variation, quantiles_of
from synth.types import VA

__all__ = ["Styles", "with_enough"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: A class with fewer samples borrows the quantiles of the nearest classes.
ENOUGH = 24
#: A style is chosen from at least this many samples, those of the nearest classes.
CHOICES = 96
#: Radius from which samples are strong enough to take a style from anywhere.
STRONG = 0.5
#: Directions for which a style has ranks of its own; samples compared in each.
DIRECTIONS, CANDIDATES = 8, 2


@dataclass(frozen=True, eq=False)
class Styles:
    """What a gallery's styles are drawn from and read in.

    Attributes
    ----------
    samples : Samples
    class_va : (K, 2) float64
    own : tuple of K (n,) int64
        Samples of each class.
    classes : Quantiles
        One group a class; a sample and its mirror image count alike, if `samples.mirrored`.
    expressions : mapping of str to (VA, (N, E) faces, Quantiles)
        Those with samples: place, samples, and their one group.
    strong : (n,) int64
        Samples far from neutral, in the order of `angles`.
    angles : (n,) float64
        Their directions, radians, ascending.
    """

    samples: Samples
    class_va: Float
    own: tuple[Int, ...]
    classes: Quantiles
    expressions: Mapping[str, tuple[VA, Faces, Quantiles]]
    strong: Int
    angles: Float

    @classmethod
    def build(
        cls, samples: Samples, class_va: Float, expressions: Mapping[str, BasicExpression]
    ) -> Styles:
        """Tables for a gallery with `samples`, in about 0.05 s for 25000 of them."""
        order = np.argsort(samples.class_index, kind="stable")
        count = np.bincount(samples.class_index, minlength=len(class_va))
        split = tuple(np.split(order, np.cumsum(count)[:-1]))
        members = [
            rows if len(rows) >= ENOUGH else with_enough(split, class_va, class_va[k], ENOUGH)
            for k, rows in enumerate(split[1:], start=1)
        ]
        expressive = np.flatnonzero(samples.class_index > 0)
        radius, angle = np.hypot(*samples.va.T), np.arctan2(*samples.va.T[::-1])
        strong = expressive[radius[expressive] >= STRONG]
        strong = strong if len(strong) else expressive
        strong = strong[np.argsort(angle[strong], kind="stable")]
        return cls(
            samples=samples,
            class_va=class_va,
            own=split,
            classes=quantiles_of(samples.weights, [members[0], *members], samples.mirrored),
            expressions={
                name: (own.va, faces, quantiles_of(faces, [np.arange(len(faces))], False))
                for name, own in expressions.items()
                if (faces := own.samples) is not None
            },
            strong=strong,
            angles=angle[strong],
        )

    def draw(self, seed: int, va: VA | None, expression: str) -> Variation:
        """A style, as `Gallery.draw` describes it; `expression` by its proper name."""
        rng = np.random.default_rng([seed, 3])
        jitter = _jitter(rng, self.samples.weights.shape[1])
        mirror = bool(rng.random() < 0.5) and self.samples.mirrored
        if expression in self.expressions:
            place, faces, quantiles = self.expressions[expression]
            sample, angle = int(rng.integers(len(faces))), place.angle
            own, person = quantiles.ranks_of(faces[sample], 0, jitter), -1
        else:
            sample = self._choose(rng, EXPRESSIONS[expression] if expression else va)
            expression, angle = "", float(np.arctan2(*self.samples.va[sample, ::-1]))
            group = int(self.samples.class_index[sample])
            own = self.classes.ranks_of(self.samples.weights[sample], group, jitter)
            person = int(self.samples.style[sample])
        ranks = np.concatenate([own[None], self._companions(own, person, angle, jitter, rng)])
        ranks.flags.writeable = False
        return Variation(ranks, angle, mirror, seed, sample, expression)

    def _choose(self, rng: np.random.Generator, va: VA | None) -> int:
        """A sample of the classes nearest to `va`, or any strong one."""
        if va is None or va.radius == 0:
            return int(rng.choice(self.strong))
        point = np.array([va.valence, va.arousal])
        return int(rng.choice(with_enough(self.own, self.class_va, point, CHOICES)))

    def _companions(
        self, own: Float, person: int, angle: float, jitter: Float, rng: np.random.Generator
    ) -> Float:
        """Ranks in the other directions: of samples, or mirror images, most like this person.

        In galleries of meshes, whose people are few and known: of this person's own samples
        where there are any.
        """
        steps = angle + 2 * np.pi / DIRECTIONS * np.arange(1, DIRECTIONS)
        near = [self._in_direction(float(step)) for step in steps]
        if not self.samples.mirrored:
            style = self.samples.style
            near = [same if len(same := n[style[n] == person]) else n for n in near]
        rows = np.array([rng.choice(n, CANDIDATES, replace=len(n) < CANDIDATES) for n in near])
        faces = self.samples.weights[rows]
        groups = self.samples.class_index[rows]
        if self.samples.mirrored:
            faces = np.concatenate([faces, faces[..., mirror_order()]], axis=1)
            groups = np.tile(groups, 2)
        ranks = self.classes.ranks_of(faces, groups, jitter)
        best = np.abs(ranks - own).sum(2).argmin(1)
        chosen: Float = ranks[np.arange(len(ranks)), best]
        return chosen

    def _in_direction(self, angle: float) -> Int:
        """Strong samples within half a step of a direction, or the few nearest to it."""
        n = len(self.strong)
        half, few = np.pi / DIRECTIONS, min(CANDIDATES, n)
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        first, last = np.searchsorted(self.angles, [angle - half, angle + half])
        if angle - half < -np.pi:
            first = int(np.searchsorted(self.angles, angle - half + 2 * np.pi)) - n
        elif angle + half > np.pi:
            last = int(np.searchsorted(self.angles, angle + half - 2 * np.pi)) + n
        if last - first < few:
            first = int(np.searchsorted(self.angles, angle)) - few // 2
            last = first + few
        inside: Int = self.strong[np.arange(first, last) % n]
        return inside


def with_enough(own: tuple[Int, ...], class_va: Float, point: Float, enough: int) -> Int:
    """(n,) samples of the classes nearest to `point`, as many classes as hold `enough`.

    The neutral class lends none.
    """
    near = 1 + np.argsort(((class_va[1:] - point) ** 2).sum(1), kind="stable")
    until = np.searchsorted(np.cumsum([len(own[k]) for k in near]), enough) + 1
    return np.concatenate([own[k] for k in near[:until]])


def _jitter(rng: np.random.Generator, count: int) -> Float:
    """(count,) breaks ties, equal left and right: an act used elsewhere shows on both sides."""
    jitter, order = rng.random(count), mirror_order(count)
    return jitter[np.minimum(np.arange(count), order)]
