"""A line drawn by hand becomes waypoints: few, smooth, with the pen's own timing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from synth.errors import UsageError

__all__ = ["MAX_POINTS", "waypoints"]

Float = NDArray[np.float64]

MAX_POINTS = 5000
#: Samples per second in between, and standard deviation of the smoothing in seconds:
#: a hand trembles at 8 to 12 Hz, and draws on purpose at less than 3 [1]_.
#:
#: .. [1] Elble & Koller, "Tremor", 1990.
RATE, SMOOTHING = 120.0, 0.04
#: How far the waypoints' polyline may stray from the line, in units of VA at equal times.
TOLERANCE = 0.008
#: Between two waypoints a moving pen has at most this many seconds: the curve through
#: them is flat where it turns, and few waypoints would show it.
SPAN, MOVES = 0.25, 0.02


def waypoints(points: ArrayLike) -> Float:
    """(n, 3) waypoints ``t, valence, arousal`` of a drawn line, from time 0.

    Points at one time (pens report faster than clocks tick) are merged, the hand's
    tremor is smoothed away with both ends kept, and points between which the line
    is straight and evenly fast are left out. Times have 3 decimals, values 4; a mean of
    points of the disc lies in the disc.

    Parameters
    ----------
    points : (n, 3) float
        Seconds, valence, arousal; n from 2 to `MAX_POINTS`.

    Raises
    ------
    UsageError
        If they are not finite, too many, outside the disc, or all at one time.
    """
    raw = np.asarray(points, np.float64)
    if raw.ndim != 2 or raw.shape[1] != 3 or not np.isfinite(raw).all():
        raise UsageError(f"points: expected finite (n, 3) t, valence, arousal, got {raw.shape}")
    if len(raw) > MAX_POINTS:
        raise UsageError(f"points: expected at most {MAX_POINTS}, got {len(raw)}; draw less")
    if (np.diff(raw[:, 0]) < 0).any():
        raise UsageError("points: expected times that do not decrease, got some that do")
    if (radius := float(np.hypot(raw[:, 1], raw[:, 2]).max())) > 1 + 1e-6:
        raise UsageError(f"points: expected them inside the unit disc, got radius {radius:.3g}")
    times, first = np.unique(raw[:, 0] - raw[:1, 0], return_index=True)
    if len(times) < 2 or times[-1] < 0.05:
        raise UsageError("points: expected a line of 0.05 seconds or more, got a dot; draw longer")
    if times[-1] > 600:
        raise UsageError(f"points: expected at most 600 seconds, got {times[-1]:.0f}; draw faster")
    values = np.stack([np.add.reduceat(raw[:, k], first) for k in (1, 2)], axis=1)
    values /= np.diff(np.append(first, len(raw)))[:, None]
    count = max(int(np.ceil(times[-1] * RATE)) + 1, 3)
    grid = np.linspace(0.0, times[-1], count)
    even = np.stack([np.interp(grid, times, column) for column in values.T], axis=1)
    smooth = _smoothed(even, SMOOTHING / (grid[1] - grid[0]))
    kept = _corners(grid, smooth)
    return np.column_stack((grid[kept].round(3), _inside(smooth[kept].round(4))))


def _smoothed(values: Float, sigma: float) -> Float:
    """A Gaussian mean whose width shrinks to 0 at both ends, so that they stay."""
    mean = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
    place = np.arange(len(values))
    near = np.minimum(place, place[::-1]) / (2 * sigma)
    share = np.clip(near, 0, 1)[:, None]
    return np.asarray(share * mean + (1 - share) * values)


def _inside(values: Float) -> Float:
    """Rounding may leave the disc by a ten-thousandth: pull it back."""
    radius = np.hypot(values[:, 0], values[:, 1])[:, None]
    return np.where(radius > 1, np.trunc(values / np.maximum(radius, 1) * 1e4) / 1e4, values)


def _corners(times: Float, values: Float) -> NDArray[np.int64]:
    """Indices to keep: Douglas and Peucker's choice, distances taken at equal times."""
    kept = np.zeros(len(times), bool)
    kept[[0, -1]] = True
    spans = [(0, len(times) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        share = (times[start : end + 1] - times[start]) / (times[end] - times[start])
        chord = values[start] + share[:, None] * (values[end] - values[start])
        off = np.linalg.norm(values[start : end + 1] - chord, axis=1)
        worst = int(off.argmax())
        moved = float(np.abs(values[end] - values[start]).max())
        if off[worst] <= TOLERANCE and moved > MOVES and times[end] - times[start] > SPAN:
            worst = (end - start) // 2
        elif off[worst] <= TOLERANCE:
            continue
        kept[start + worst] = True
        spans += [(start, start + worst), (start + worst, end)]
    return np.flatnonzero(kept)
