"""A polar space of expressions, and its map to and from valence and arousal.

In the space of an editor the angle theta says which emotion and the radius rho how much
of it; neutral is the origin (d'Apolito et al., "GANmut", CVPR 2021). Where each class
lies a network learns or its maker decides; valence and arousal have places of their own
for the same classes (`synth.affect.EXPRESSIONS`). Between the two stands a map fitted
to the classes, the *anchors*:

- angles: the piecewise-linear, periodic, strictly monotone function through the
  anchors, so exact there, without jumps or folds in between, and invertible;
- radii: rho 1 is as far out as full-strength expressions lie on the plane, their
  radii interpolated linearly over the angle.

A learned space may hold its classes in another order around the circle than the plane
does. No monotone map runs through all of them then: the anchors are the largest subset
in a common order (either way around), and the others keep their direction, which
`PolarSpace.of_expression` gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import TargetError
from synth.types import VA

__all__ = ["PolarSpace"]

Float = NDArray[np.float64]
#: Degrees that two anchors lie apart at least, for a map that can be inverted.
APART = 0.1


@dataclass(frozen=True)
class PolarSpace:
    """What the angles of an editor mean.

    Attributes
    ----------
    directions : mapping of str to float
        Expressions of `synth.affect.EXPRESSIONS`, neutral left out, and the angle theta
        of each, in degrees; kept in [0, 360).

    Raises
    ------
    TargetError
        If there is no direction, a name is unknown or neutral, or an angle not finite.
    """

    directions: Mapping[str, float] = field(hash=False)

    def __post_init__(self) -> None:
        if not self.directions:
            raise TargetError("directions: expected an expression at least, got none")
        for name, theta in self.directions.items():
            if name not in EXPRESSIONS or name == "neutral":
                known = ", ".join(e for e in EXPRESSIONS if e != "neutral")
                raise TargetError(f"directions: expected some of {known}, got {name!r}")
            if not math.isfinite(theta):
                raise TargetError(f"directions: expected degrees for {name}, got {theta}")
        kept = {name: float(theta) % 360.0 for name, theta in self.directions.items()}
        object.__setattr__(self, "directions", MappingProxyType(kept))

    def __reduce__(self) -> tuple[type[PolarSpace], tuple[dict[str, float]]]:
        return PolarSpace, (dict(self.directions),)  # a read-only mapping cannot be pickled

    # ------------------------------------------------------------------------ codes
    def code(self, theta: float, rho: float) -> Float:
        """(2,) the point of the plane: ``rho cos theta, rho sin theta``.

        Parameters
        ----------
        theta : float
            Degrees.
        rho : float
            0 to 1.
        """
        turn = math.radians(theta)
        return np.array([rho * math.cos(turn), rho * math.sin(turn)])

    def of_expression(self, name: str, rho: float = 1.0) -> tuple[float, float]:
        """Theta and rho of an expression; rho 0 for neutral.

        Raises
        ------
        TargetError
            If the space has no such expression.
        """
        key = expression_name(name)
        if key == "neutral":
            return 0.0, 0.0
        if key not in self.directions:
            raise TargetError(
                f"expression: expected one of {', '.join(self.directions)}, which these weights "
                f"know, got {name!r}; ask for its valence and arousal"
            )
        return self.directions[key], float(rho)

    def expression_at(self, theta: float) -> str:
        """The expression whose direction is nearest; ties go to the first."""
        return min(self.directions, key=lambda name: _apart(self.directions[name], theta))

    # --------------------------------------------------------- valence and arousal
    def of_va(self, va: VA) -> tuple[float, float]:
        """Theta in [0, 360) degrees and rho in [0, 1] of a point of the circumplex.

        Points further out than full-strength expressions lie get rho 1. (0, 0) gives
        theta 0, rho 0.
        """
        if va.radius == 0:
            return 0.0, 0.0
        angle = math.degrees(va.angle) % 360.0
        theta = _wrapped(angle, self._angles, self._thetas)
        return theta, min(va.radius / self._full(angle), 1.0)

    def to_va(self, theta: float, rho: float) -> VA:
        """The point of the circumplex; undoes `of_va` up to full strength.

        Raises
        ------
        TargetError
            If rho is so large that the point leaves the unit disc.
        """
        if rho == 0:
            return VA(0.0, 0.0)
        angle = _wrapped(theta % 360.0, self._thetas, self._angles)
        radius = rho * self._full(angle)
        turn = math.radians(angle)
        return VA(radius * math.cos(turn), radius * math.sin(turn))

    @cached_property
    def anchors(self) -> tuple[str, ...]:
        """The expressions that the map runs through, by their angle on the circumplex."""
        order = sorted(self.directions, key=_va_angle)
        for size in range(len(order), 0, -1):
            for turn in (1.0, -1.0):
                for names in combinations(order, size):
                    if self._in_order(names, turn):
                        return names
        return (order[0],)

    def _in_order(self, names: tuple[str, ...], turn: float) -> bool:
        """Whether one turn around the circumplex is one turn through their directions."""
        for angles in ([turn * self.directions[n] for n in names], [_va_angle(n) for n in names]):
            steps = np.diff([*angles, angles[0]]) % 360.0
            if len(names) > 1 and (steps.min() < APART or abs(steps.sum() - 360.0) > 1e-6):
                return False
        return True

    @cached_property
    def _angles(self) -> Float:
        """(n + 1,) degrees of the anchors on the circumplex, ascending; one turn, closed."""
        angles = [_va_angle(name) for name in self.anchors]
        return np.array([*angles, angles[0] + 360.0])

    @cached_property
    def _thetas(self) -> Float:
        """(n + 1,) degrees of the anchors' directions, without jumps, over the same turn."""
        thetas = [self.directions[name] for name in self.anchors]
        forward = np.diff([*thetas, thetas[0]]) % 360.0
        if len(thetas) == 1:
            steps = np.array([360.0])
        elif abs(forward.sum() - 360.0) < 1e-6:
            steps = forward
        else:  # the other way round
            steps = -((-np.diff([*thetas, thetas[0]])) % 360.0)
        return thetas[0] + np.concatenate([[0.0], np.cumsum(steps)])

    def _full(self, angle: float) -> float:
        """Radius on the circumplex of full strength, at an angle in degrees."""
        names = sorted((n for n in EXPRESSIONS if n != "neutral"), key=_va_angle)
        radii = [EXPRESSIONS[n].radius for n in names]
        return float(np.interp(angle, [_va_angle(n) for n in names], radii, period=360.0))


def _va_angle(name: str) -> float:
    return math.degrees(EXPRESSIONS[name].angle) % 360.0


def _apart(a: float, b: float) -> float:
    """Degrees between two directions, 0 to 180."""
    return abs((a - b + 180.0) % 360.0 - 180.0)


def _wrapped(at: float, x: Float, y: Float) -> float:
    """The periodic piecewise-linear function through (x, y) at an angle, in [0, 360).

    `x` and `y` cover one turn, the last being the first moved by 360 degrees; `x` may
    run down.
    """
    if x[-1] < x[0]:
        x, y = x[::-1], y[::-1]
    at = x[0] + (at - x[0]) % 360.0
    return float(np.interp(at, x, y)) % 360.0 % 360.0
