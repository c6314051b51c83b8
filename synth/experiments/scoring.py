"""Scores of a condition: of each seed, of the mean over seeds, and against another one.

The people of a test are drawn, all seeds are measured on the same draws, and the mean over
seeds is taken within a draw: the interval says how sure the mean is for other people. How
much one training differs from the next is told beside it, as the deviation over seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.experiments.measures import OfDraws
from synth.metrics.intervals import FOLDS, LEVEL, difference, interval_ends, times_drawn

__all__ = ["ALL_SEEDS", "Compared", "Score", "compare", "scores_of_seeds"]

Float = NDArray[np.float64]
#: In place of a seed's number: the mean over all of them.
ALL_SEEDS = "mean"


@dataclass(frozen=True)
class Score:
    """A row of ``results.csv``.

    Attributes
    ----------
    condition, test, measure : str
    seed : str
        A number, or `ALL_SEEDS`.
    value, low, high : float
        Ends are percentiles over draws of people.
    deviation : float
        Sample standard deviation over seeds; NaN of a single one.
    n, people : int
        Faces and persons that are counted.
    """

    condition: str
    seed: str
    test: str
    measure: str
    value: float
    low: float
    high: float
    deviation: float
    n: int
    people: int


@dataclass(frozen=True)
class Compared:
    """A row of ``differences.csv``: `condition` less `reference`, of the mean over seeds."""

    condition: str
    reference: str
    test: str
    measure: str
    value: float
    low: float
    high: float
    p: float
    n: int
    people: int


def _drawn(found: Sequence[OfDraws], folds: int) -> Float:
    """(seeds, folds) of the measure; all seeds have the same people."""
    people = len(found[0].people)
    parts = [[one.of(times) for one in found] for times in times_drawn(people, folds, 0)]
    return np.concatenate([np.stack(part) for part in parts], axis=1)


def _mean(values: Float) -> Float:
    """Mean over seeds; undefined where it is for one of them."""
    mean: Float = values.mean(axis=0)
    return mean


def scores_of_seeds(
    condition: str, test: str, name: str, found: Sequence[OfDraws], folds: int = FOLDS
) -> Iterator[Score]:
    """The rows of each seed, and of their mean.

    Parameters
    ----------
    condition, test, name : str
    found : sequence of OfDraws
        The measure for each seed.
    folds : int
        Draws of people.
    """
    drawn = _drawn(found, folds)
    values = np.array([one.value for one in found])
    n, people = found[0].n, len(found[0].people)
    for seed, (value, draws) in enumerate(zip(values.tolist(), drawn, strict=True)):
        low, high, _ = interval_ends(value, draws, people, LEVEL)
        yield Score(condition, str(seed), test, name, value, low, high, np.nan, n, people)
    mean = float(values.mean())
    low, high, _ = interval_ends(mean, _mean(drawn), people, LEVEL)
    spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    yield Score(condition, ALL_SEEDS, test, name, mean, low, high, spread, n, people)


def compare(
    condition: str, reference: str, test: str, name: str,
    found: Sequence[OfDraws], other: Sequence[OfDraws], folds: int = FOLDS,
) -> Compared | None:  # fmt: skip
    """`found` less `other`, on the same draws of people; None where these differ."""
    people = found[0].people
    if people != other[0].people:
        return None
    value = float(np.mean([one.value for one in found]) - np.mean([one.value for one in other]))
    drawn = _mean(_drawn(found, folds)) - _mean(_drawn(other, folds))
    told = difference(value, drawn, found[0].n, len(people), LEVEL)
    return Compared(condition, reference, test, name, value, told.low, told.high, told.p,
                    found[0].n, len(people))  # fmt: skip
