"""How sure a number is: bootstrap intervals in which whole persons are drawn.

Pictures of one person are alike, so that drawing pictures would make intervals too narrow:
persons are drawn with replacement, each with all their pictures [1]_. Every measure that
is a function of sums over pictures is found for all draws by one matrix product.

What the functions do with awkward input: NaN and empty arrays are errors, as in
`synth.metrics.agreement`; a draw in which the measure is undefined is left out and counted;
with one person, or where the measure itself is undefined, the ends are NaN.

.. [1] Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.metrics.classes import FROM_COUNTS
from synth.metrics.sums import FROM_SUMS, cell_terms, number_terms

__all__ = [
    "MEASURES",
    "Difference",
    "Interval",
    "difference",
    "interval_ends",
    "intervals",
    "paired_difference",
    "person_numbers",
    "times_drawn",
]

Float = NDArray[np.float64]
#: A measure by name (`MEASURES`), or any function of target and estimate.
Measure = str | Callable[[Any, Any], float]

FOLDS = 2000
LEVEL = 0.95
#: Measures with a fast way: of numbers (N,), then of class names.
MEASURES: tuple[str, ...] = (*FROM_SUMS, *FROM_COUNTS)
#: Numbers held at once while drawing.
HELD = 4_000_000


# --------------------------------------------------------------------------------- draws
def person_numbers(
    subjects: Sequence[Hashable] | None, count: int
) -> tuple[NDArray[np.int64], int]:
    """Number of the person of each picture, and how many there are."""
    if subjects is None:
        return np.arange(count), count
    names = list(subjects)
    if len(names) != count:
        raise ShapeError(f"subjects: expected {count}, one for every picture, got {len(names)}")
    if any(name is None or name == "" or name != name for name in names):
        raise ShapeError("subjects: expected a person for every picture, got none for some")
    place: dict[Hashable, int] = {}
    index = np.array([place.setdefault(name, len(place)) for name in names], np.int64)
    return index, len(place)


def _draws(people: int, folds: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """(b, people) numbers of the persons drawn; the same whatever b is."""
    rng = np.random.default_rng(seed)
    step = max(1, HELD // people)
    for start in range(0, folds, step):
        yield rng.integers(0, people, (min(step, folds - start), people))


def times_drawn(people: int, folds: int, seed: int) -> Iterator[Float]:
    """(b, people) how often each person is in each draw; the draws of `intervals`."""
    for chosen in _draws(people, folds, seed):
        rows = np.arange(len(chosen))[:, None] * people
        times = np.bincount((rows + chosen).ravel(), minlength=chosen.size)
        yield times.reshape(chosen.shape).astype(np.float64)


def _drawn_sums(by_person: Float, folds: int, seed: int) -> Float:
    """(folds, M) sums of the terms over the persons of each draw."""
    people = len(by_person)
    return np.concatenate([times @ by_person for times in times_drawn(people, folds, seed)])


def _summed(terms: Float, index: NDArray[np.int64], people: int) -> Float:
    """Sums of the terms over the pictures of each person."""
    out = np.zeros((people, terms.shape[1]))
    np.add.at(out, index, terms)
    return out


def _take(values: Any, chosen: NDArray[np.int64]) -> Any:
    return values[chosen] if isinstance(values, np.ndarray) else [values[i] for i in chosen]


def _slow(
    measure: Callable[[Any, Any], float], target: Any, estimates: Sequence[Any],
    index: NDArray[np.int64], people: int, folds: int, seed: int,
) -> list[Float]:  # fmt: skip
    pictures = [np.flatnonzero(index == person) for person in range(people)]
    values = []
    for draws in _draws(people, folds, seed):
        for persons in draws:
            chosen = np.concatenate([pictures[p] for p in persons])
            part = _take(target, chosen)
            values.append([measure(part, _take(e, chosen)) for e in estimates])
    return list(np.array(values, np.float64).T)


def _values(
    measures: Sequence[Measure], target: Any, estimates: Sequence[Any],
    subjects: Sequence[Hashable] | None, folds: int, seed: int,
) -> tuple[dict[Measure, list[tuple[float, Float]]], int]:  # fmt: skip
    """Of each measure and estimate: the value, and (folds,) those of the draws."""
    if folds < 1:
        raise ShapeError(f"folds: expected at least 1, got {folds}")
    if unknown := [m for m in measures if isinstance(m, str) and m not in MEASURES]:
        raise ShapeError(f"measure: expected one of {', '.join(MEASURES)}, got {unknown[0]!r}")
    if not len(target):
        raise ShapeError("target: expected at least one picture, got none")
    index, people = person_numbers(subjects, len(target))
    out: dict[Measure, list[tuple[float, Float]]] = {m: [] for m in measures}
    for estimate in estimates:
        if len(estimate) != len(target):
            raise ShapeError(
                f"estimate: expected {len(target)} values as in target, got {len(estimate)}"
            )
        if numbers := [m for m in measures if isinstance(m, str) and m in FROM_SUMS]:
            by_person = _summed(number_terms(target, estimate), index, people)
            whole, drawn = by_person.sum(0)[None], _drawn_sums(by_person, folds, seed)
            for m in numbers:
                find = FROM_SUMS[m]
                out[m].append((float(find(whole)[0]), find(drawn)))
        if names := [m for m in measures if isinstance(m, str) and m in FROM_COUNTS]:
            terms, side = cell_terms(target, estimate)
            by_person = _summed(terms, index, people)
            tables = _drawn_sums(by_person, folds, seed).reshape(-1, side, side)
            table = by_person.sum(0).reshape(side, side)
            for m in names:
                find = FROM_COUNTS[m]
                out[m].append((float(find(table)), find(tables)))
    for own in (m for m in measures if not isinstance(m, str)):
        drawn_each = _slow(own, target, estimates, index, people, folds, seed)
        whole_each = [float(own(target, e)) for e in estimates]
        out[own] = list(zip(whole_each, drawn_each, strict=True))
    return out, people


# ------------------------------------------------------------------------------ intervals
@dataclass(frozen=True)
class Interval:
    """A measure with its bootstrap interval.

    Attributes
    ----------
    value : float
        Of all pictures.
    low, high : float
        Percentiles of the draws; NaN with one person or where `value` is undefined.
    n, subjects : int
        Pictures and persons.
    undefined : int
        Draws left out because the measure was undefined in them.
    """

    value: float
    low: float
    high: float
    n: int
    subjects: int
    undefined: int = 0


@dataclass(frozen=True)
class Difference(Interval):
    """A measure of the second condition less that of the first, on the same draws.

    Attributes
    ----------
    p : float
        Two-sided: twice the smaller share of draws on either side of 0, a draw at 0 on
        both and one draw added to each; 1 at most. NaN where the ends are.
    """

    p: float = float("nan")


def interval_ends(
    value: float, drawn: Float, people: int, level: float
) -> tuple[float, float, int]:
    """Percentiles of the draws, and in how many the measure was undefined."""
    if not 0 < level < 1:
        raise ShapeError(f"level: expected a share between 0 and 1, got {level:g}")
    known = drawn[np.isfinite(drawn)]
    missing = len(drawn) - len(known)
    if people < 2 or not len(known) or not np.isfinite(value):
        return float("nan"), float("nan"), missing
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), missing


def intervals(
    measures: Sequence[Measure],
    target: Any,
    estimate: Any,
    subjects: Sequence[Hashable] | None = None,
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[Measure, Interval]:
    """Measures with percentile intervals, persons drawn with replacement.

    Parameters
    ----------
    measures : sequence
        Names in `MEASURES`, or functions of target and estimate that give a number (one
        call for each draw: slow; pass arrays).
    target, estimate : (N,) float, or N class names
        As the measures want them; for functions anything indexed by picture.
    subjects : N persons, optional
        Without them every picture counts as a person of its own, which makes the
        intervals too narrow where persons occur more than once.
    folds, level, seed
        Draws, share of them between the ends, and the seed of the draws.

    Raises
    ------
    ShapeError
        If sizes differ, nothing is given, a value is not finite, a class or person is
        missing, or a measure is unknown.
    """
    found, people = _values(measures, target, [estimate], subjects, folds, seed)
    out: dict[Measure, Interval] = {}
    for measure, [(value, drawn)] in found.items():
        low, high, missing = interval_ends(value, drawn, people, level)
        out[measure] = Interval(value, low, high, len(target), people, missing)
    return out


def paired_difference(
    measure: Measure,
    target: Any,
    first: Any,
    second: Any,
    subjects: Sequence[Hashable] | None = None,
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """How much better (or worse) `second` is than `first` on the same pictures.

    Both are measured on the same draws of persons, so that what makes some persons
    harder than others cancels.

    Parameters
    ----------
    measure : str or function
    target, first, second : (N,) float, or N class names
        The truth and the estimates of two conditions.
    subjects, folds, level, seed
        As `intervals`.

    Raises
    ------
    ShapeError
        As `intervals`.
    """
    found, people = _values([measure], target, [first, second], subjects, folds, seed)
    (value_1, drawn_1), (value_2, drawn_2) = found[measure]
    value, drawn = value_2 - value_1, drawn_2 - drawn_1
    return difference(value, drawn, len(target), people, level)


def difference(value: float, drawn: Float, n: int, people: int, level: float) -> Difference:
    """The record of a difference from its values in the draws (folds,)."""
    low, high, missing = interval_ends(value, drawn, people, level)
    known = drawn[np.isfinite(drawn)]
    p = float("nan")
    if np.isfinite(low):
        least = min(int((known <= 0).sum()), int((known >= 0).sum()))
        p = min(1.0, 2 * (least + 1) / (len(known) + 1))
    return Difference(value, low, high, n, people, missing, p)
