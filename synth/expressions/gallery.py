"""From a valence-arousal target to a face: the records and the two lookups.

``class``
    The rule of the paper: the mean face of the class whose centre is nearest
    to the target (Kollias et al. 2020, section 4).
``smooth``
    Interpolation between neighbouring classes. At a target of radius ``r`` the
    ray model ``c(r) = t * r**exponent`` is fitted to the neighbouring mean
    faces by least squares, weighted with a Gaussian of the distance times the
    class size, and evaluated at ``r``: continuous in the target, exactly zero
    at neutral, and at full strength at the edge of the disc although all class
    centres lie inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import ShapeError, TargetError, UsageError
from synth.expressions.arkit import NAMES
from synth.expressions.drawing import Styles
from synth.expressions.faces import BasicExpression, Expression, Samples
from synth.expressions.reading import Reader
from synth.expressions.stored_samples import CEILING
from synth.expressions.variation import Variation
from synth.types import VA

__all__ = ["CEILING", "LOOKUPS", "BasicExpression", "Expression", "Gallery", "Samples"]

Float = NDArray[np.float64]
Lookup = Literal["smooth", "class"]

#: The lookups, the default first.
LOOKUPS: tuple[Lookup, ...] = ("smooth", "class")
#: Share of the nearest class's weight below which a class does not change a styled face.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Gallery:
    """Classes of the valence-arousal plane with their mean faces.

    Attributes
    ----------
    names : tuple of E str
        Blendshape names: the 52 of ARKit, then the gallery's own; the order of all weights.
    class_va : (K, 2) float64
        Class centres; row 0 is (0, 0), the neutral class.
    class_weights, class_sd : (K, E) float64
        Mean face and spread of each class; own blendshapes have weights of either sign.
    class_count : (K,) int64
    exponent : (E,) float64
        Growth of each weight along a ray, at least 1 so that the field is
        smooth at neutral.
    limit : (E,) float64
        Largest weight the smooth lookup gives; of either sign for own blendshapes.
    bandwidth : float
        Standard deviation of the smoothing kernel, in units of VA.
    components : (P, E) float64
        Directions in which people of one class differ.
    component_sd : (K, P) float64
    expressions : mapping of str to BasicExpression
    samples : Samples or None
    own_blendshapes : (E - 52, V, 3) float32
        The gallery's own, mm per unit weight on the mesh that the renderer draws.
    own_topology : str
        Digest of that mesh's triangles, "" without own blendshapes.
    """

    names: tuple[str, ...]
    class_va: Float
    class_weights: Float
    class_sd: Float
    class_count: NDArray[np.int64]
    exponent: Float
    limit: Float
    bandwidth: float
    components: Float
    component_sd: Float
    expressions: Mapping[str, BasicExpression] = field(default_factory=lambda: MappingProxyType({}))
    samples: Samples | None = None
    own_blendshapes: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros((0, 0, 3), np.float32)
    )
    own_topology: str = ""
    _low: Float = field(init=False, repr=False, compare=False)
    _high: Float = field(init=False, repr=False, compare=False)
    _power: Float = field(init=False, repr=False, compare=False)
    _numerator: Float = field(init=False, repr=False, compare=False)
    _denominator: Float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = self.own_names
        if self.names[: len(NAMES)] != NAMES or len(set(self.names)) != len(self.names):
            raise ShapeError("names: expected the 52 ARKit names in gallery order; reorder them")
        if len(self.own_blendshapes) != len(own):
            raise ShapeError(
                f"own_blendshapes: expected one for each of {len(own)} own names, got "
                f"{len(self.own_blendshapes)}; store them together"
            )
        free = np.arange(len(self.names)) >= len(NAMES)
        object.__setattr__(self, "_low", np.where(free, -np.inf, 0.0))
        object.__setattr__(self, "_high", np.where(free, np.inf, CEILING))
        radius = np.hypot(self.class_va[1:, 0], self.class_va[1:, 1])[:, None]
        power = radius**self.exponent
        size = self.class_count[1:, None]
        object.__setattr__(self, "_power", power)
        object.__setattr__(self, "_numerator", size * power * self.class_weights[1:])
        object.__setattr__(self, "_denominator", size * power**2)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the gallery's own blendshapes, which follow ARKit's."""
        return self.names[len(NAMES) :]

    def complete(self, weights: ArrayLike) -> Float:
        """(..., E) weights of ARKit's 52, the gallery's own blendshapes at rest."""
        given = np.asarray(weights, np.float64)
        rest = np.zeros((*given.shape[:-1], len(self.names) - given.shape[-1]))
        return np.concatenate((given, rest), axis=-1)

    def lookup(
        self, va: VA, method: Lookup = "smooth", variation: Variation | None = None
    ) -> Expression:
        """The face for a target; (0, 0) gives exactly zero weights.

        With a `variation` the face of that person style instead of the mean face.

        Raises
        ------
        TargetError
            If `method` is unknown.
        UsageError
            If a variation is asked of a gallery without samples.
        """
        if method not in LOOKUPS:
            raise TargetError(f"lookup: expected one of {list(LOOKUPS)}, got {method!r}")
        index = self.class_of(va)
        if method == "smooth":
            weights = self.smooth_weights([va.valence, va.arousal], variation)
        elif variation is None or index == 0:
            weights = np.clip(self.class_weights[index], self._low, self._high)
        else:
            weights = variation.face(
                self._styles.classes.at(variation.toward(self.class_va[index]), index)
            )
        return Expression(weights, va, index, self._center(index), method)

    def expression(
        self, name: str, intensity: float = 1.0, variation: Variation | None = None
    ) -> Expression:
        """The mean face of a basic expression, at `intensity` along its ray.

        The target is `intensity` times the expression's published VA and the
        weights shrink with the gallery's radial exponents. A gallery without
        a face of its own for the expression answers with the smooth lookup there.

        Parameters
        ----------
        name : str
            One of `synth.affect.EXPRESSIONS` or an adjective ("happy").
        intensity : float
            0 neutral, 1 the full expression; up to where the ray leaves the disc.
        variation : Variation or None
            A person style; None gives the mean face.

        Raises
        ------
        TargetError
            If the name is unknown or the intensity leaves the disc.
        """
        key = expression_name(name)
        own = self.expressions.get(key)
        full = own.va if own is not None else EXPRESSIONS[key]
        top = 1 / full.radius if full.radius else 1.0
        if not 0 <= intensity <= top + 1e-9:
            raise TargetError(
                f"intensity: expected 0 to {top:.3g} for {key}, got {intensity!r}; "
                "at more it leaves the unit disc"
            )
        va = VA(full.valence * intensity, full.arousal * intensity)
        index = self.class_of(va)
        if own is None or (variation is not None and own.samples is None):
            weights = self.smooth_weights([va.valence, va.arousal], variation)
        else:
            full_face = own.weights
            if variation is not None:
                ranks = variation.toward([full.valence, full.arousal])
                full_face = variation.face(self._styles.expressions[key][2].at(ranks, 0))
            weights = np.clip(full_face * intensity**self.exponent, self._low, self._high)
        return Expression(weights, va, index, self._center(index), "expression", key)

    def class_of(self, va: VA) -> int:
        """Index of the class whose centre is nearest to `va`."""
        offset = self.class_va - (va.valence, va.arousal)
        return int((offset**2).sum(1).argmin())

    def smooth_weights(self, va: ArrayLike, variation: Variation | None = None) -> Float:
        """(..., E) weights of the smooth lookup at the points `va` (..., 2).

        For paths: the same values as `lookup`, many at once. With a `variation`
        the same interpolation runs between what every class shows at the
        style's ranks, instead of between the mean faces.
        """
        points = np.asarray(va, np.float64)
        flat = points.reshape(-1, 2)
        squared = ((flat[:, None] - self.class_va[1:]) ** 2).sum(-1)
        # a common factor of the kernel cancels; taking it out avoids 0 / 0 far from all centres
        kernel = np.exp(-(squared - squared.min(1, keepdims=True)) / (2 * self.bandwidth**2))
        radius = np.minimum(np.hypot(flat[:, 0], flat[:, 1]), 1.0)[:, None]
        if variation is None:
            slope = (kernel @ self._numerator) / (kernel @ self._denominator)
        else:  # the faces of all classes at the style's ranks are costly: of those that count
            near = np.flatnonzero(kernel.max(0) > NEGLIGIBLE)
            ranks = variation.toward(self.class_va[1 + near])
            faces = self._styles.classes.at(ranks, 1 + near)
            size = self._power[near] * self.class_count[1 + near, None]
            slope = (kernel[:, near] @ (size * faces)) / (kernel[:, near] @ self._denominator[near])
        weights = slope * radius**self.exponent
        limit = self.limit
        if variation is not None:
            weights = variation.face(weights)
            if self.samples is not None and self.samples.limit is not None:
                limit = self.samples.limit
        low = np.maximum(-limit, self._low) + 0.0
        weights = np.clip(weights, low, np.minimum(limit, self._high))
        return weights.reshape(*points.shape[:-1], len(self.names))

    def draw(self, seed: int, va: VA | None = None, expression: str = "") -> Variation:
        """A person style, taken from one stored sample chosen at random.

        Parameters
        ----------
        seed : int
            Any non-negative integer; the same gives the same style.
        va : VA or None
            Choose among the samples of the nearest classes, a hundred or so.
        expression : str
            Choose among the samples of this basic expression, or those around its
            place in a gallery without. With neither `va` nor `expression`, among
            all samples at radius 0.5 and more.

        Raises
        ------
        TargetError
            If the expression is unknown.
        UsageError
            If the gallery stores no samples.
        """
        return self._styles.draw(seed, va, expression_name(expression) if expression else "")

    def read_va(self, weights: ArrayLike) -> VA:
        """The point whose mean face is most like the face with these weights.

        The least distance of the smooth lookup over the disc, the face and its
        mirror image counting alike; every blendshape is measured against how
        much people of one class differ in it. Zero weights give exactly (0, 0).

        Parameters
        ----------
        weights : (52,) or (E,) float
            Of ARKit's 52 alone, which are then compared alone, or of all.

        Raises
        ------
        ShapeError
            If `weights` is of another shape.
        """
        return self._reader.read(weights)

    @cached_property
    def _styles(self) -> Styles:
        if self.samples is None or not (self.samples.class_index > 0).any():
            raise UsageError(
                "variation: expected a gallery that stores samples, got one of mean faces only; "
                "ask for the mean face, or use a gallery with sample_weights or a CSV of samples"
            )
        return Styles.build(self.samples, self.class_va, self.expressions)

    @cached_property
    def _reader(self) -> Reader:
        share = self.class_count / self.class_count.sum()
        return Reader.build(self.smooth_weights, np.sqrt(share @ self.class_sd**2))

    def _center(self, index: int) -> VA:
        return VA(float(self.class_va[index, 0]), float(self.class_va[index, 1]))
