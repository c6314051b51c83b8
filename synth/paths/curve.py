"""Smooth curves through waypoints of the circumplex that never leave the disc.

Between two waypoints runs a cubic in time whose end velocities are Steffen's [1]_:
valence and arousal are each monotone between neighbouring waypoints, so that nothing
overshoots and a dwell stays where it is. The curve is at rest at both ends. Where it
would leave the disc its velocities at the neighbouring waypoints are first turned
along the rim, then shortened; at zero they leave the straight line, which is inside.

References
----------
.. [1] Steffen, "A simple method for monotonic interpolation in one dimension",
   Astron. Astrophys. 239, 1990, eqs. 8 and 11.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import TargetError
from synth.types import VA

__all__ = ["Curve", "waypoint_curve"]

Float = NDArray[np.float64]

#: Two waypoints are at least this far apart, in seconds.
SHORTEST = 1e-6
#: More waypoints than frames in the longest track.
MOST_WAYPOINTS = 20_000
#: `VA` takes points up to this far outside the disc (rounding).
ROUNDING = 1e-9
#: Where a segment is checked against the rim, 0 to 1.
_CHECKED = np.linspace(0, 1, 33)


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve through the circumplex in its own time.

    Attributes
    ----------
    name : str
        Safe in file names: letters, digits, ``+``, ``-``, ``.`` and ``_``.
    duration : float
        Seconds.
    shape : callable
        (n,) seconds from 0 to `duration` -> (n, 2) valence and arousal.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when the curve runs along its ray.
    knots : (m,) float64
        Seconds, from 0 to `duration`: where waypoints lie or the speed changes.
    timed : bool
        The times are those the user gave (waypoints), not a default to be scaled.
    """

    name: str
    duration: float
    shape: Callable[[Float], Float]
    expression: str = ""
    knots: Float = field(default_factory=lambda: np.zeros(0))
    timed: bool = False

    def at(self, times: ArrayLike) -> Float:
        """(n, 2) valence and arousal at `times` (n,) in seconds.

        Before 0 and after `duration` the curve stays at its ends.
        """
        seconds = np.clip(np.atleast_1d(np.asarray(times, np.float64)), 0, self.duration)
        points = self.shape(seconds)
        radius = np.hypot(points[:, 0], points[:, 1])[:, None]
        # + 0.0 turns -0.0 into 0.0
        return np.where(radius > 1 + ROUNDING, points / np.maximum(radius, 1), points) + 0.0


def waypoint_curve(
    times: ArrayLike, points: ArrayLike, name: str = "path", places: Sequence[str] | None = None
) -> Curve:
    """The smooth curve through waypoints.

    Parameters
    ----------
    times : (n,) float, n >= 2
        Seconds, increasing; the curve starts at the first, which becomes 0.
    points : (n, 2) float
        Valence and arousal in the unit disc.
    name : str
        Of the curve; see `Curve`.
    places : n str, optional
        What messages call each waypoint; ``waypoint 1`` and so on by default.

    Raises
    ------
    TargetError
        If there are fewer than 2 waypoints (or more than 20,000), a value is not
        finite, a point lies outside the disc, or the times do not increase.
    """
    t, va = _checked_waypoints(times, points, places)
    t = t - t[0]
    shape = partial(_through, t, va, _inside(t, va, _steffen(t, va)))
    return Curve(name, float(t[-1]), shape, knots=t, timed=True)


def _checked_waypoints(
    times: ArrayLike, points: ArrayLike, places: Sequence[str] | None
) -> tuple[Float, Float]:
    try:
        t, va = np.asarray(times, np.float64), np.asarray(points, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TargetError("path: expected numbers for t, valence and arousal") from None
    if t.ndim != 1 or va.shape != (len(t), 2):
        raise TargetError(
            f"path: expected (n,) times and (n, 2) points, got {t.shape} and {va.shape}"
        )
    if not 2 <= len(t) <= MOST_WAYPOINTS:
        more = "add waypoints" if len(t) < 2 else "leave some out"
        raise TargetError(f"path: expected 2 to {MOST_WAYPOINTS} waypoints, got {len(t)}; {more}")
    names = places or [f"waypoint {i + 1}" for i in range(len(t))]
    for i, place in enumerate(names):
        if not np.isfinite(t[i]):
            raise TargetError(f"path: {place}: expected a finite time t, got {t[i]:g}")
        try:
            VA(float(va[i, 0]), float(va[i, 1]))
        except TargetError as error:
            raise TargetError(f"path: {place}: {error}") from None
        if i and not t[i] - t[i - 1] >= SHORTEST:
            raise TargetError(
                f"path: {place}: expected t above {t[i - 1]:.10g}, got {t[i]:.10g}; "
                "times must increase"
            )
    if not np.isfinite(t[-1] - t[0]):
        raise TargetError(f"path: expected times in seconds, got {t[0]:g} to {t[-1]:g}")
    return t, va


def _slopes(times: Float, points: Float) -> tuple[Float, Float]:
    """Velocities (n - 2, 2) of the straight lines before and after each inner waypoint."""
    slopes = np.diff(points, axis=0) / np.diff(times)[:, None]
    return slopes[:-1], slopes[1:]


def _steffen(times: Float, points: Float) -> Float:
    """Velocities (n, 2) at the waypoints; 0 at the ends, at turning points and dwells."""
    before, after = _slopes(times, points)
    length = np.diff(times)[:, None]
    share = length[:-1] / (length[:-1] + length[1:])
    parabola = before * (1 - share) + after * share
    smallest = np.minimum(np.minimum(np.abs(before), np.abs(after)), np.abs(parabola) / 2)
    velocity = np.zeros_like(points)
    velocity[1:-1] = (np.sign(before) + np.sign(after)) * smallest
    return velocity


def _along_rim(times: Float, points: Float, velocity: Float) -> Float:
    """`velocity` without its radial part, as far as both components stay monotone."""
    before, after = _slopes(times, points)
    out = points[1:-1] / np.maximum(np.hypot(*points[1:-1].T), 1e-9)[:, None]
    turned = velocity[1:-1] - (velocity[1:-1] * out).sum(1, keepdims=True) * out
    # three times the smaller slope: the box of monotone cubics (de Boor & Swartz 1977)
    most = 1.5 * (np.sign(before) + np.sign(after)) * np.minimum(np.abs(before), np.abs(after))
    result = velocity.copy()
    result[1:-1] = np.clip(turned, np.minimum(most, 0), np.maximum(most, 0))
    return result


def _inside(times: Float, points: Float, velocity: Float) -> Float:
    """`velocity`, changed at the ends of those segments that would leave the disc."""
    turned = _along_rim(times, points, velocity)
    result, check = velocity.copy(), np.arange(len(times) - 1)
    for attempt in range(64):
        curve = _segments(times, points, result, check[:, None], _CHECKED[None])
        leaving = check[(np.hypot(curve[..., 0], curve[..., 1]) > 1 + ROUNDING).any(1)]
        if not len(leaving):
            break
        ends = np.unique(np.concatenate([leaving, leaving + 1]))
        if attempt == 0:
            result[ends] = turned[ends]
        else:
            result[ends] *= 0.8 if attempt < 62 else 0.0
        check = np.unique(np.clip(np.concatenate([ends - 1, ends]), 0, len(times) - 2))
    return result


def _segments(
    times: Float, points: Float, velocity: Float, index: NDArray[np.int64], share: Float
) -> Float:
    """(..., 2) points at `share` (0 to 1) of the segments `index`.

    Computed from the nearer end in differences, so that waypoints are hit and dwells
    held to the last bit.
    """
    length = (times[index + 1] - times[index])[..., None]
    late = share[..., None] > 0.5
    u = np.where(late, 1 - share[..., None], share[..., None])
    step = points[index + 1] - points[index]
    first, second = length * velocity[index], length * velocity[index + 1]
    start = np.where(late, points[index + 1], points[index])
    step = np.where(late, -step, step)
    first, second = np.where(late, -second, first), np.where(late, -first, second)
    bend, twist = 3 * step - 2 * first - second, first + second - 2 * step
    curve: Float = start + u * (first + u * (bend + u * twist))
    return curve


def _through(times: Float, points: Float, velocity: Float, seconds: Float) -> Float:
    index = np.clip(np.searchsorted(times, seconds, "right") - 1, 0, len(times) - 2)
    share = (seconds - times[index]) / (times[index + 1] - times[index])
    return _segments(times, points, velocity, index, share)
