"""Where in the valence-arousal plane estimates go wrong: error and weights by region.

The square [-1, 1] x [-1, 1] is cut into 71 x 71 equal regions; 71 is odd, so that neutral
(0, 0) lies in the middle of a region. A map's first axis is arousal and its second valence,
both ascending: turn it upside down (``map[::-1]``) to draw it with arousal upwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError

__all__ = ["REGIONS", "RegionMap", "region_index", "region_rmse", "region_weights"]

Float = NDArray[np.float64]
#: Regions a side.
REGIONS = 71
#: What errors are divided by: the length of an axis, from -1 to 1.
RANGE = 2.0


def _points(name: str, va: ArrayLike) -> Float:
    points = np.asarray(va, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ShapeError(f"{name}: expected (N, 2) valence and arousal, got {points.shape}")
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points).all(1)).sum())
        raise ShapeError(
            f"{name}: expected finite numbers, got {bad} of {len(points)} points that are not; "
            "leave those pictures out and say so"
        )
    return points


def region_index(va: ArrayLike, regions: int = REGIONS) -> tuple[NDArray[np.int64], ...]:
    """Row (arousal) and column (valence) of the region each point lies in.

    Parameters
    ----------
    va : (N, 2) float
        Valence and arousal, -1 to 1. A region holds its lower edges; the last row and
        column hold 1 as well.
    regions : int
        A side.

    Returns
    -------
    rows, columns : (N,) int64

    Raises
    ------
    ShapeError
        If a point is not finite or outside the square, or `regions` is less than 1.
    """
    points = _points("va", va)
    if regions < 1:
        raise ShapeError(f"regions: expected at least 1, got {regions}")
    if len(points) and np.abs(points).max() > 1:
        raise ShapeError(
            f"va: expected values in [-1, 1], got {points.flat[np.abs(points).argmax()]:g}; "
            "scale the annotations"
        )
    edges = np.linspace(-1, 1, regions + 1)[1:-1]
    columns, rows = (np.searchsorted(edges, axis, side="right") for axis in points.T)
    return rows.astype(np.int64), columns.astype(np.int64)


def _summed(cells: NDArray[np.int64], regions: int, weights: Float | None = None) -> Float:
    flat = np.bincount(cells, weights, minlength=regions * regions)
    return flat.reshape(regions, regions).astype(np.float64)


@dataclass(frozen=True, eq=False)
class RegionMap:
    """Normalised RMSE by region of the target; NaN where no target lies.

    Attributes
    ----------
    valence, arousal, both : (R, R) float64
        RMSE of valence, of arousal, and of the two together (the root of the mean of
        their two mean squares), divided by the length of an axis, 2: 0 is perfect, 1 the
        wrong end of the axis. Above 1 only where estimates leave the square.
    count : (R, R) int64
        Targets in the region.
    """

    valence: Float
    arousal: Float
    both: Float
    count: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Pictures counted."""
        return int(self.count.sum())

    @property
    def occupied(self) -> int:
        """Regions with at least one target."""
        return int((self.count > 0).sum())

    @property
    def centres(self) -> Float:
        """(R,) centres of the regions along either axis."""
        side = len(self.count)
        return (2 * np.arange(side) + 1) / side - 1

    def mean(self) -> dict[str, float]:
        """Means of the maps over the occupied regions; NaN where there is none.

        Every region counts the same, so that rare affect weighs as much as neutral.
        """
        filled = self.count > 0
        return {
            name: float(getattr(self, name)[filled].mean()) if filled.any() else float("nan")
            for name in ("valence", "arousal", "both")
        }


def region_rmse(target: ArrayLike, estimate: ArrayLike, regions: int = REGIONS) -> RegionMap:
    """Normalised RMSE in each region of the valence-arousal plane.

    A picture belongs to the region of its target. The normalisation is by the length
    of an axis, 2: papers that print such maps do not all say theirs, so that only maps made
    here should be compared with each other.

    Parameters
    ----------
    target : (N, 2) float
        Valence and arousal, -1 to 1. N may be 0: a map of NaN.
    estimate : (N, 2) float
        Any finite values.
    regions : int
        A side.

    Raises
    ------
    ShapeError
        If shapes differ, a value is not finite, or a target is outside the square.
    """
    t, e = _points("target", target), _points("estimate", estimate)
    if len(t) != len(e):
        raise ShapeError(f"estimate: expected {len(t)} points as in target, got {len(e)}")
    rows, columns = region_index(t, regions)
    cells = rows * regions + columns
    count = _summed(cells, regions)
    squares = []
    for axis in range(2):
        mean = np.full_like(count, np.nan)
        total = _summed(cells, regions, (t[:, axis] - e[:, axis]) ** 2)
        np.divide(total, count, out=mean, where=count > 0)
        squares.append(mean)
    valence, arousal = squares
    return RegionMap(
        np.sqrt(valence) / RANGE,
        np.sqrt(arousal) / RANGE,
        np.sqrt((valence + arousal) / 2) / RANGE,
        count.astype(np.int64),
    )


def region_weights(target: ArrayLike, regions: int = REGIONS, power: float = 1.0) -> Float:
    """A weight for each picture, the larger the emptier its region; of mean 1.

    Parameters
    ----------
    target : (N, 2) float
        Valence and arousal, -1 to 1.
    regions : int
        A side.
    power : float
        Weights are ``count ** -power`` before scaling: with 1 all occupied regions weigh
        the same in total, with 0 all pictures do.

    Returns
    -------
    (N,) float64

    Raises
    ------
    ShapeError
        If a target is not finite or outside the square.
    """
    rows, columns = region_index(target, regions)
    if not len(rows):
        return np.zeros(0)
    cells = rows * regions + columns
    weights = _summed(cells, regions).ravel()[cells] ** -power
    return weights / weights.mean()
