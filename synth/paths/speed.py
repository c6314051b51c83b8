"""Walking along a curve frame by frame, no faster than faces move.

Two speeds are bounded. The point itself: a full onset takes at least half a second
with a cosine ramp, so that radius 1 is never left behind faster than pi per second.
The face: no blendshape weight changes by more than 0.08 per frame of 1/60 s, 4.8 per
second. Where the curve asks for more, its own time runs slower. The rate of a stretch
that is too fast is the lowest it needs within a quarter of a second, so that a ramp is
slowed as a whole and keeps its shape; around it the rate recovers no faster than from 0
to 1 in half a second, and is averaged over some frames, so that no speed jumps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, maximum_filter1d

from synth.errors import TargetError
from synth.paths.curve import Curve
from synth.types import Track

__all__ = ["FRAME_LIMIT", "VA_SPEED", "WEIGHT_SPEED", "sample_path"]

Float = NDArray[np.float64]
#: (n, 2) valence and arousal -> (n, 52) weights.
Faces = Callable[[Float], Float]

#: Largest speed in the disc, per second: the middle of a cosine ramp of 0.5 s.
VA_SPEED = math.pi
#: Largest change of a weight per second.
WEIGHT_SPEED = 4.8
#: Longest track.
FRAME_LIMIT = 20_000
#: Largest frame rate.
MOST_FPS = 240.0

#: Seconds on each side for which a factor is held where the curve is too fast.
_HOLD = 0.25
#: Seconds in which the rate of the curve's time may go from 0 to 1.
_RECOVERY = 0.5
#: Seconds on each side over which the rate is averaged in the end.
_FADE = 0.06
#: Rounds of measuring the speed where the one before found that time is spent.
_ROUNDS = 3
#: Steps of the speed measure per frame: before and after it is known where it is slow.
_COARSE, _FINE = 4, 8
#: Points given to `faces` at once.
_CHUNK = 2048
#: Below this a bound counts as held: rounding.
_SLACK = 1e-9


def sample_path(
    curve: Curve, fps: float = 30.0, seconds: float | None = None, faces: Faces | None = None
) -> Track:
    """The curve at a constant frame rate; the first and last frame are exactly its ends.

    A curve with its own times (waypoints) keeps them: ``round(duration * fps) + 1``
    frames, waypoints at multiples of 1/fps fall on frames. A named one, or any with
    `seconds` given, has ``round(seconds * fps)`` frames. Where that is faster than
    faces move, it gets longer and `Track.slowed` says how many times.

    Parameters
    ----------
    curve : Curve
    fps : float
        Frames per second, above 0 and at most 240.
    seconds : float, optional
        Length asked for; by default the curve's own.
    faces : callable, optional
        (n, 2) points -> (n, 52) weights whose speed is limited too. Must be
        continuous: a jump cannot be slowed down.

    Raises
    ------
    TargetError
        If `fps` or `seconds` is out of range, or there would be fewer than 2 or more
        than 20,000 frames.
    """
    steps = _steps(curve, fps, seconds)
    span = steps / fps
    nodes = _coarse_nodes(curve, steps)
    needed = _needed(curve, nodes, faces)
    asked = np.diff(nodes) / curve.duration * span
    if (needed <= asked * (1 + _SLACK)).all():
        return _track(curve, fps, curve.at(_even(curve.duration, steps)), 1.0)
    clock = np.concatenate([[0], np.cumsum(np.maximum(asked, needed))])
    for _ in range(_ROUNDS):
        nodes = _fine_nodes(curve, nodes, clock, fps)
        asked = np.diff(nodes) / curve.duration * span
        factors = _factors(asked, _needed(curve, nodes, faces), fps)
        clock = np.concatenate([[0], np.cumsum(asked * factors)])
    more = _frames_at(clock[-1], fps)
    # The steps between nodes are fine but not the frames themselves: look, and lengthen.
    for _ in range(20):
        va = curve.at(_retimed(curve, clock, nodes, more))
        excess = _frame_excess(va, fps, faces)
        if excess <= 1 + _SLACK:
            break
        more = _checked_count(math.ceil(more * min(excess, 2.0)) + 1)
    return _track(curve, fps, va, (len(va) - 1) / steps)


def _steps(curve: Curve, fps: float, seconds: float | None) -> int:
    """Frames asked for, less one."""
    if not 0 < fps <= MOST_FPS:
        raise TargetError(f"fps: expected a frame rate above 0, at most {MOST_FPS:g}, got {fps:g}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise TargetError(f"seconds: expected a length above 0, got {seconds:g}")
    length = curve.duration if seconds is None else seconds
    frames = length * fps + (1 if seconds is None and curve.timed else 0)
    if frames > FRAME_LIMIT + 0.5:
        raise TargetError(
            f"seconds: expected at most {FRAME_LIMIT} frames, got {length:g} s at {fps:g} fps; "
            "take a shorter path or a lower frame rate"
        )
    # the shortest of waypoint files still has a first and a last frame
    count = max(round(frames), 2) if seconds is None and curve.timed else round(frames)
    if count < 2:
        raise TargetError(
            f"seconds: expected at least 2 frames, got {length:g} s at {fps:g} fps; "
            "take a longer path or a higher frame rate"
        )
    return count - 1


def _even(duration: float, steps: int) -> Float:
    """(steps + 1,) times from 0 to exactly `duration`."""
    return np.arange(steps + 1) / steps * duration


def _track(curve: Curve, fps: float, va: Float, slowed: float) -> Track:
    return Track(curve.name, float(fps), va, curve.expression, slowed)


def _coarse_nodes(curve: Curve, steps: int) -> Float:
    """Times where the speed is first measured: between frames and between knots."""
    knots = curve.knots if len(curve.knots) else np.array([0, curve.duration])
    parts = np.linspace(0, 1, _FINE, endpoint=False)
    between = (knots[:-1, None] + np.diff(knots)[:, None] * parts).ravel()
    return np.unique(np.concatenate([_even(curve.duration, _COARSE * steps), between]))


def _needed(curve: Curve, nodes: Float, faces: Faces | None) -> Float:
    """(n - 1,) seconds that a face takes at least between neighbouring nodes."""
    va = curve.at(nodes)
    return np.maximum(_seconds_of(va), _seconds_of_faces(va, faces))


def _seconds_of(va: Float) -> Float:
    return np.hypot(*np.diff(va, axis=0).T) / VA_SPEED


def _seconds_of_faces(va: Float, faces: Faces | None) -> Float:
    seconds = np.zeros(len(va) - 1)
    if faces is None:
        return seconds
    for start in range(0, len(va) - 1, _CHUNK):
        weights = faces(va[start : start + _CHUNK + 1])
        change = np.abs(np.diff(weights, axis=0)).max(1)
        seconds[start : start + _CHUNK] = change / WEIGHT_SPEED
    return seconds


def _fine_nodes(curve: Curve, nodes: Float, clock: Float, fps: float) -> Float:
    """Nodes that are evenly spaced in the time it takes rather than in the curve's."""
    count = _FINE * _frames_at(clock[-1], fps)
    fine = np.interp(np.linspace(0, clock[-1], count + 1), clock, nodes)
    fine[-1] = curve.duration
    return np.unique(fine)


def _factors(asked: Float, needed: Float, fps: float) -> Float:
    """(n - 1,) stretching factors, at least 1 and nowhere below what is needed."""
    factor = np.maximum(needed / asked, 1.0)
    held = _windowed(factor, asked, fps, _HOLD, faded=False)
    # An acceleration bound on the rate v reads |d(v^2)/dx| <= 2 / recovery over asked time x.
    square = np.where(factor > 1, held, 1.0) ** -2.0
    slope = 2 / _RECOVERY * (np.cumsum(asked) - asked / 2)
    ahead = np.minimum.accumulate(square - slope) + slope
    behind = np.minimum.accumulate((square + slope)[::-1])[::-1] - slope
    bounded = np.maximum(np.minimum(ahead, behind), 1e-30) ** -0.5
    return np.maximum(_windowed(bounded, asked, fps, _FADE, faded=True), factor)


def _windowed(factor: Float, asked: Float, fps: float, seconds: float, faded: bool) -> Float:
    """Largest factor within `seconds` of the time it takes, if `faded` then averaged there."""
    ends = np.cumsum(factor * asked)
    step = 1 / (_FINE * fps)
    even = (np.arange(math.ceil(ends[-1] / step)) + 0.5) * step
    held = factor[np.minimum(np.searchsorted(ends, even), len(factor) - 1)]
    half = round(seconds / step)
    held = maximum_filter1d(held, 2 * half + 1, mode="nearest")
    if faded:
        window = np.hanning(2 * half + 3)[1:-1]
        held = convolve1d(held, window / window.sum(), mode="nearest")
    return np.maximum(np.interp(ends - factor * asked / 2, even, held), factor)


def _frames_at(seconds: float, fps: float) -> int:
    return _checked_count(math.ceil(seconds * fps - 1e-6))


def _checked_count(steps: int) -> int:
    if steps + 1 > FRAME_LIMIT:
        raise TargetError(
            f"path: expected at most {FRAME_LIMIT} frames, got {steps + 1} once slowed down to "
            "what faces do; take a shorter path or a lower frame rate"
        )
    return max(steps, 1)


def _retimed(curve: Curve, clock: Float, nodes: Float, steps: int) -> Float:
    times = np.interp(np.arange(steps + 1) / steps * clock[-1], clock, nodes)
    times[0], times[-1] = 0.0, curve.duration
    return times


def _frame_excess(va: Float, fps: float, faces: Faces | None) -> float:
    """Largest step between frames over the largest allowed."""
    needed = np.maximum(_seconds_of(va), _seconds_of_faces(va, faces))
    return float(needed.max() * fps)
