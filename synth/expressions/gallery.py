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
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import ShapeError, TargetError
from synth.expressions.arkit import NAMES
from synth.types import VA

__all__ = ["LOOKUPS", "BasicExpression", "Expression", "Gallery", "Samples"]

Float = NDArray[np.float64]
Lookup = Literal["smooth", "class"]

#: The lookups, the default first.
LOOKUPS: tuple[Lookup, ...] = ("smooth", "class")
#: No weight ever exceeds this, whatever the asset says.
CEILING = 1.1


@dataclass(frozen=True)
class Expression:
    """The weights found for one target.

    Attributes
    ----------
    weights : (52,) float64
        In the order of the gallery's `names`; 0 to 1.1.
    va : VA
        What was asked for.
    class_index : int
        Class with the nearest centre; 0 is neutral.
    class_va : VA
        Its centre.
    lookup : str
        ``smooth``, ``class`` or ``expression``.
    name : str
        The basic expression, when it was asked for by name.
    """

    weights: Float
    va: VA
    class_index: int
    class_va: VA
    lookup: str
    name: str = ""


@dataclass(frozen=True)
class BasicExpression:
    """The gallery's own samples of one basic expression, at its own VA.

    Attributes
    ----------
    va : VA
    weights, sd : (52,) float64
        Mean face (one-sided actions on the subject's left) and spread.
    count : int
        Samples behind it.
    samples : (count, 52) uint8 or None
        The samples, weight * 255.
    """

    va: VA
    weights: Float
    sd: Float
    count: int
    samples: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Samples:
    """The annotated samples the classes were made from.

    Attributes
    ----------
    weights : (N, 52) uint8
        Weight * 255.
    va : (N, 2) float64
    class_index, style : (N,) int64
        Class and person of each sample.
    """

    weights: NDArray[np.uint8]
    va: Float
    class_index: NDArray[np.int64]
    style: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class Gallery:
    """Classes of the valence-arousal plane with their mean faces.

    Attributes
    ----------
    names : tuple of 52 str
        Blendshape names, ARKit's; the order of all weights.
    class_va : (K, 2) float64
        Class centres; row 0 is (0, 0), the neutral class.
    class_weights, class_sd : (K, 52) float64
        Mean face and spread of each class.
    class_count : (K,) int64
    exponent : (52,) float64
        Growth of each weight along a ray, at least 1 so that the field is
        smooth at neutral.
    limit : (52,) float64
        Largest weight the smooth lookup gives.
    bandwidth : float
        Standard deviation of the smoothing kernel, in units of VA.
    components : (P, 52) float64
        Directions in which people of one class differ.
    component_sd : (K, P) float64
    expressions : mapping of str to BasicExpression
    samples : Samples or None
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
    _numerator: Float = field(init=False, repr=False, compare=False)
    _denominator: Float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.names != NAMES:
            raise ShapeError("names: expected the 52 ARKit names in gallery order; reorder them")
        radius = np.hypot(self.class_va[1:, 0], self.class_va[1:, 1])[:, None]
        power = radius**self.exponent
        size = self.class_count[1:, None]
        object.__setattr__(self, "_numerator", size * power * self.class_weights[1:])
        object.__setattr__(self, "_denominator", size * power**2)

    def lookup(self, va: VA, method: Lookup = "smooth") -> Expression:
        """The face for a target; (0, 0) gives exactly zero weights.

        Raises
        ------
        TargetError
            If `method` is unknown.
        """
        if method not in LOOKUPS:
            raise TargetError(f"lookup: expected one of {list(LOOKUPS)}, got {method!r}")
        index = self.class_of(va)
        if method == "class":
            weights = np.clip(self.class_weights[index], 0, CEILING)
        else:
            weights = self.smooth_weights([va.valence, va.arousal])
        return Expression(weights, va, index, self._center(index), method)

    def expression(self, name: str, intensity: float = 1.0) -> Expression:
        """The mean face of a basic expression, at `intensity` along its ray.

        The target is `intensity` times the expression's published VA and the
        weights shrink with the gallery's radial exponents. A gallery without
        own samples of the expression answers with the smooth lookup there.

        Parameters
        ----------
        name : str
            One of `synth.affect.EXPRESSIONS` or an adjective ("happy").
        intensity : float
            0 neutral, 1 the full expression; up to where the ray leaves the disc.

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
        if own is None:
            weights = self.smooth_weights([va.valence, va.arousal])
        else:
            weights = np.clip(own.weights * intensity**self.exponent, 0, CEILING)
        return Expression(weights, va, index, self._center(index), "expression", key)

    def class_of(self, va: VA) -> int:
        """Index of the class whose centre is nearest to `va`."""
        offset = self.class_va - (va.valence, va.arousal)
        return int((offset**2).sum(1).argmin())

    def smooth_weights(self, va: ArrayLike) -> Float:
        """(..., 52) weights of the smooth lookup at the points `va` (..., 2).

        For paths: the same values as `lookup`, many at once.
        """
        points = np.asarray(va, np.float64)
        flat = points.reshape(-1, 2)
        squared = ((flat[:, None] - self.class_va[1:]) ** 2).sum(-1)
        # a common factor of the kernel cancels; taking it out avoids 0 / 0 far from all centres
        kernel = np.exp(-(squared - squared.min(1, keepdims=True)) / (2 * self.bandwidth**2))
        radius = np.minimum(np.hypot(flat[:, 0], flat[:, 1]), 1.0)[:, None]
        slope = (kernel @ self._numerator) / (kernel @ self._denominator)
        weights = np.clip(slope * radius**self.exponent, 0, np.minimum(self.limit, CEILING))
        faces: Float = weights.reshape(*points.shape[:-1], len(self.names))
        return faces

    def _center(self, index: int) -> VA:
        return VA(float(self.class_va[index, 0]), float(self.class_va[index, 1]))
