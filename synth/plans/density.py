"""How points lie in the disc: bins, their areas, flatness, and filling what is missing.

A histogram is (B, B) with **valence first**: ``counts[i, j]`` is the number of points
with valence in bin i and arousal in bin j of the same `edges`. Bins that the circle
cuts have less room; everything here counts in area of the disc.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, UsageError

__all__ = [
    "BINS",
    "apportion",
    "bin_areas",
    "kl_to_uniform",
    "sample_bins",
    "sample_disc",
    "va_histogram",
    "water_fill",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Bins along each axis; odd, so that neutral lies in the middle of one.
BINS = 9
#: Decimals of planned points: a table that people read and edit.
DECIMALS = 6
#: Bins with a smaller area of the disc hold nothing.
_LEAST_AREA = 1e-8


def _edges(bins: int | ArrayLike) -> Float:
    edges = np.asarray(bins, np.float64)
    if edges.ndim == 0:
        if edges != int(edges) or not 1 <= edges <= 200:
            raise ShapeError(f"bins: expected 1 to 200 along each axis, got {edges:g}")
        return np.linspace(-1, 1, int(edges) + 1)
    rising = edges.ndim == 1 and len(edges) > 1 and bool((np.diff(edges) > 0).all())
    if not rising or abs(edges[0] + 1) > 1e-9 or abs(edges[-1] - 1) > 1e-9:
        raise ShapeError(f"bins: expected edges rising from -1 to 1, got {edges.tolist()}")
    return edges


def bin_areas(bins: int | ArrayLike = BINS) -> Float:
    """(B, B) share of the unit disc's area in each bin; the sum is 1.

    Exact, from the circle's integral; 0 where a bin lies outside.

    Parameters
    ----------
    bins : int or (B + 1,) float
        Number of even bins along each axis, or their edges, rising from -1 to 1.
    """
    edges = _edges(bins)
    x, y = np.meshgrid(edges, edges, indexing="ij")
    corner = np.sign(x) * np.sign(y) * _quadrant(np.abs(x), np.abs(y))
    areas = np.diff(np.diff(corner, axis=0), axis=1)
    areas = np.where(areas > _LEAST_AREA, areas, 0.0)
    return np.asarray(areas / areas.sum())


def _quadrant(x: Float, y: Float) -> Float:
    """Area of the disc over [0, x] x [0, y]."""
    x, y = np.minimum(x, 1), np.minimum(y, 1)
    flat = np.minimum(np.sqrt(1 - y**2), x)  # up to here the rectangle is inside
    return np.asarray(flat * y + _under_arc(x) - _under_arc(flat))


def _under_arc(x: Float) -> Float:
    """Integral of sqrt(1 - t^2) from 0 to `x`."""
    return np.asarray((x * np.sqrt(1 - x**2) + np.arcsin(x)) / 2)


def va_histogram(points: ArrayLike, bins: int | ArrayLike = BINS) -> tuple[Int, Float, Float]:
    """How many points lie in each bin.

    Parameters
    ----------
    points : (n, 2) float
        Valence and arousal, inside the unit disc.
    bins : int or (B + 1,) float
        Number of even bins along each axis, or their edges, rising from -1 to 1.
        A bin holds its lower edge, the last one both.

    Returns
    -------
    counts : (B, B) int64
        Valence first.
    edges : (B + 1,) float64
    inside : (B, B) float64
        Share of the disc's area in each bin: above 0 for the bins inside.

    Raises
    ------
    ShapeError
        If `points` is not (n, 2), finite and inside the disc.
    """
    edges, inside = _edges(bins), bin_areas(bins)
    found = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(found).all() or (np.hypot(*found.T) > 1 + 1e-6).any():
        raise ShapeError("points: expected finite points inside the unit disc")
    index = _bin_of(found, edges)
    # A point of the rim may stand on the edge of a bin outside.
    lost = inside[index[:, 0], index[:, 1]] == 0
    index[lost] = _bin_of(found[lost] * (1 - 1e-5), edges)
    counts = np.zeros(inside.shape, np.int64)
    np.add.at(counts, (index[:, 0], index[:, 1]), 1)
    return counts, edges, inside


def _bin_of(points: Float, edges: Float) -> Int:
    index = np.searchsorted(edges, points, side="right") - 1
    return np.asarray(np.clip(index, 0, len(edges) - 2), np.int64)


def kl_to_uniform(counts: ArrayLike, inside: ArrayLike) -> float:
    """Kullback-Leibler divergence from the uniform density on the disc, in bits.

    ``sum p log2(p / u)`` over the bins, with `p` the shares of `counts` and `u` those of
    `inside`: 0 for a perfectly flat set, ``log2(1 / area share)`` for one in a single bin.

    Parameters
    ----------
    counts : (B, B) float
        Of anything, 0 or more.
    inside : (B, B) float or bool
        Area of each bin in the disc, in any unit; a mask takes all bins as equal.

    Raises
    ------
    ShapeError
        If nothing is counted, or something where `inside` is 0.
    """
    found, room = np.asarray(counts, np.float64), np.asarray(inside, np.float64)
    if found.shape != room.shape or (found < 0).any() or not found.sum() > 0:
        raise ShapeError(f"counts: expected some of 0 or more as {room.shape}, got {found.shape}")
    if found[room <= 0].any():
        raise ShapeError("counts: expected none in bins outside the disc")
    used = found > 0
    p, u = found[used] / found.sum(), room[used] / room.sum()
    return max(0.0, float((p * np.log2(p / u)).sum()))


def apportion(
    weights: ArrayLike,
    count: int,
    rng: np.random.Generator,
    most: float | ArrayLike = np.inf,
) -> Int:
    """Whole numbers in the proportions of `weights`, with the sum `count`.

    Largest remainders [1]_: each differs from its exact share by less than 1; `rng`
    decides between equal remainders.

    Parameters
    ----------
    weights : (n,) float
        0 or more, not all 0.
    count : int
    rng : numpy Generator
    most : float or (n,) float
        Whole number that none may exceed; exact shares must not exceed it either.

    References
    ----------
    .. [1] Hamilton's method, as in Balinski & Young, "Fair Representation", 1982.
    """
    share = np.asarray(weights, np.float64)
    exact = share / share.sum() * count
    whole = np.floor(exact + 1e-9).astype(np.int64)
    remainder = np.where(whole < most, exact - whole, -np.inf)
    remainder[share == 0] = -np.inf
    order = np.lexsort((rng.random(len(share)), -np.round(remainder, 9)))
    whole[order[: count - whole.sum()]] += 1
    return np.asarray(whole)


def water_fill(existing: ArrayLike, inside: ArrayLike, count: float, most: float = np.inf) -> Float:
    """What to add to each bin so that the sum is as flat as `count` additions allow.

    Water poured over the existing density finds one level: every bin below it is filled
    to it, those above get nothing. Of all ways to add `count`, this has the smallest
    divergence from uniform (with `most`, among those that keep it).

    Parameters
    ----------
    existing : (B, B) float
        0 or more in each bin.
    inside : (B, B) float
        Area of each bin in the disc; bins with 0 get nothing.
    count : float
        How many to add, above 0.
    most : float
        To one bin.

    Returns
    -------
    (B, B) float64
        Not rounded; the sum is `count`.

    Raises
    ------
    UsageError
        If `most` leaves no room for `count`.
    """
    before, room = np.asarray(existing, np.float64), np.asarray(inside, np.float64)
    added, used = np.zeros_like(before), room > 0
    if count > most * used.sum():
        raise UsageError(
            f"max-per-bin: expected at least {int(np.ceil(count / used.sum()))} for {count:g} "
            f"pictures in {used.sum()} bins, got {most:g}; raise it or lower count"
        )
    e, u = before[used], room[used]
    # The amount taken is piecewise linear in the level: find the piece, then the level.
    knots = np.unique(np.concatenate([e / u, (e + most) / u]))
    knots = knots[np.isfinite(knots)]
    taken = np.array([np.clip(level * u - e, 0, most).sum() for level in knots])
    piece = max(int(np.searchsorted(taken, count)) - 1, 0)
    rising = (e / u <= knots[piece]) & ((e + most) / u > knots[piece])
    level = knots[piece] + (count - taken[piece]) / u[rising].sum() if rising.any() else knots[-1]
    added[used] = np.clip(level * u - e, 0, most)
    return added


# ----------------------------------------------------------------------- drawing
def sample_disc(count: int, radii: tuple[float, float], rng: np.random.Generator) -> Float:
    """(count, 2) points, uniform in area between two radii of the disc."""
    low, high = radii
    radius = np.sqrt(rng.uniform(low**2, high**2, count))
    angle = rng.uniform(-np.pi, np.pi, count)
    return cut(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))


def cut(points: Float) -> Float:
    """Points with `DECIMALS` decimals, cut towards neutral so that none leaves the disc."""
    # Dividing by a power of ten gives the double nearest to the decimal number.
    return np.asarray(np.trunc(points * 10**DECIMALS) / 10**DECIMALS + 0.0)


def sample_bins(counts: ArrayLike, edges: ArrayLike, rng: np.random.Generator) -> Float:
    """(sum of counts, 2) points, uniform in each bin's part of the disc, bin after bin.

    Parameters
    ----------
    counts : (B, B) int
        How many in each bin, valence first; 0 where `bin_areas` is 0.
    edges : (B + 1,) float
    rng : numpy Generator
    """
    wanted, lines = np.asarray(counts, np.int64), _edges(edges)
    parts = [np.zeros((0, 2))]
    for i, j in np.argwhere(wanted):
        low, high = lines[[i, j]], lines[[i + 1, j + 1]]
        parts.append(_sample_bin(low, high, int(wanted[i, j]), rng))
    return np.concatenate(parts)


def _sample_bin(low: Float, high: Float, count: int, rng: np.random.Generator) -> Float:
    # Only as far out as the circle reaches past the bin's nearest point to neutral.
    near = np.where(low * high <= 0, 0.0, np.minimum(np.abs(low), np.abs(high)))
    reach = np.sqrt(np.maximum(1 - near[::-1] ** 2, 0))
    box = np.maximum(low, -reach), np.minimum(high, reach)
    points = np.zeros((0, 2))
    while len(points) < count:
        more = cut(rng.uniform(*box, (2 * (count - len(points)) + 8, 2)))
        kept = (np.hypot(*more.T) <= 1) & (more >= low).all(1) & (more < high).all(1)
        points = np.concatenate([points, more[kept]])
    return points[:count]
