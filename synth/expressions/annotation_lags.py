"""By how much annotators are later than each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from synth.expressions.annotations import Ratings

__all__ = ["estimate_lags"]

Float = NDArray[np.float64]

#: Numbers per second on which delays are looked for.
LAG_RATE = 20.0


def estimate_lags(
    ratings: Sequence[Ratings], annotators: Sequence[str], longest: float = 2.0
) -> dict[str, float]:
    """By how much each annotator is later than the middle one.

    For every two annotators the shift with the highest correlation of their tracks is
    sought, valence and arousal of all sequences together; the delays are the weighted least
    squares solution of all these differences, with the squared correlations for weights,
    so that somebody who agrees with nobody moves nobody. Only differences can be known: the
    median is taken for 0.

    Parameters
    ----------
    ratings : sequence of Ratings
    annotators : sequence of str
    longest : float
        Largest shift tried, in the unit of the times.

    Returns
    -------
    dict of str to float
        In the unit of the times, positive when late. NaN for who shares no sequence, or no
        change of the ratings, with any other.
    """
    step = 1 / LAG_RATE if ratings and ratings[0].unit == "s" else 1.0
    shifts = np.arange(-round(longest / step), round(longest / step) + 1)
    place = {name: i for i, name in enumerate(annotators)}
    grids = [_even(part, step) for part in ratings if len(part.times) > 2]
    rows, sought, weights = [], [], []
    for first, second in combinations(annotators, 2):
        sums = np.zeros((len(shifts), 6))
        for names, values in grids:
            if first in names and second in names:
                for dimension in range(2):
                    a = values[names.index(first), :, dimension]
                    b = values[names.index(second), :, dimension]
                    sums += _shifted_sums(a, b, shifts)
        peak = _peak(_correlations(sums), np.asarray(shifts * step, np.float64))
        if peak is not None:
            row = np.zeros(len(annotators))
            row[place[first]], row[place[second]] = 1, -1
            rows.append(row)
            sought.append(peak[0])
            weights.append(max(peak[1], 0.0) ** 2)
    if not rows:
        return dict.fromkeys(annotators, float("nan"))
    root = np.sqrt(np.asarray(weights))
    matrix = np.asarray(rows)
    lags: Float = np.linalg.lstsq(matrix * root[:, None], np.asarray(sought) * root, rcond=None)[0]
    known = np.abs(matrix).sum(0) > 0
    lags = np.where(known, lags - np.median(lags[known]), np.nan)
    return dict(zip(annotators, lags.tolist(), strict=True))


def _even(ratings: Ratings, step: float) -> tuple[tuple[str, ...], Float]:
    """Ratings at even steps, each track minus its mean."""
    times = np.arange(ratings.times[0], ratings.times[-1] + 1e-9, step)
    out = np.full((len(ratings.annotators), len(times), 2), np.nan)
    for i, values in enumerate(ratings.values):
        seen = np.isfinite(values).all(1)
        if seen.sum() < 2:
            continue
        inside = (times >= ratings.times[seen][0]) & (times <= ratings.times[seen][-1])
        for d in range(2):
            line = np.interp(times[inside], ratings.times[seen], values[seen, d])
            out[i, inside, d] = line - line.mean()
    return ratings.annotators, out


def _shifted_sums(a: Float, b: Float, shifts: NDArray[np.int64]) -> Float:
    """(S, 6) n, sums of a, b, aa, bb, ab, with a taken `shift` steps later than b."""
    first, second = _powers(a), _powers(b)
    rows = np.zeros((len(shifts), 6))
    for i, shift in enumerate(shifts.tolist()):
        if abs(shift) >= len(a):
            continue
        start, end = max(shift, 0), len(a) + min(shift, 0)
        # All sums at once: row of a's powers, column of b's.
        sums = first[:, start:end] @ second[:, start - shift : end - shift].T
        rows[i] = sums[0, 0], sums[1, 0], sums[0, 1], sums[2, 0], sums[0, 2], sums[1, 1]
    return rows


def _powers(values: Float) -> Float:
    """(3, T) powers 0, 1 and 2 of what is known, 0 of what is not."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    return np.stack([known.astype(np.float64), filled, filled**2])


def _correlations(sums: Float) -> Float:
    n, a, b, aa, bb, ab = sums.T
    n = np.maximum(n, 1)
    spread = np.maximum(aa - a * a / n, 0) * np.maximum(bb - b * b / n, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Float = np.where(spread > 1e-18, (ab - a * b / n) / np.sqrt(spread), np.nan)
    return found


def _peak(values: Float, shifts: Float) -> tuple[float, float] | None:
    """Shift and height of the highest value, by a parabola through its neighbours."""
    if not np.isfinite(values).any():
        return None
    top = int(np.nanargmax(values))
    if not 0 < top < len(values) - 1 or not np.isfinite(values[[top - 1, top + 1]]).all():
        return float(shifts[top]), float(values[top])
    before, here, after = values[top - 1 : top + 2]
    bend = before - 2 * here + after
    move = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(shifts[top] + move * (shifts[1] - shifts[0])), float(here)
