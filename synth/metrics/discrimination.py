"""Does a reader tell smiling from neutral faces: AUC, pairs of one person, minus own neutral.

What every function does with awkward input: NaN is an error, except where a column says
that it may hold it; with one kind of picture only the AUC is NaN; persons without both
kinds form no pair, and without any pair the accuracy is NaN; without a (further) neutral
picture of the person there is no reading minus their own neutral (NaN).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError
from synth.metrics.intervals import (
    FOLDS,
    LEVEL,
    Difference,
    Interval,
    difference,
    interval_ends,
    person_numbers,
    times_drawn,
)

__all__ = [
    "DISCRIMINATION",
    "auc",
    "discrimination",
    "minus_own",
    "pair_accuracy",
    "paired_discrimination",
]

Float = NDArray[np.float64]
#: What `discrimination` measures.
DISCRIMINATION = ("auc", "pair_accuracy")


def _checked(values: ArrayLike, is_positive: ArrayLike) -> tuple[Float, NDArray[np.bool_]]:
    scores, positive = np.asarray(values, np.float64), np.asarray(is_positive)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ShapeError(
            f"valence: expected (N,) finite numbers, N > 0, got {scores.shape}; "
            "leave pictures without a number out and say so"
        )
    if positive.shape != scores.shape or not np.isin(positive, (0, 1)).all():
        raise ShapeError(
            f"is_positive: expected {len(scores)} of true or false, got {positive.shape}"
        )
    return scores, positive.astype(bool)


# ------------------------------------------------------------------------------------ AUC
def auc(values: ArrayLike, is_positive: ArrayLike) -> float:
    """Area under the ROC curve, 0 to 1: how often a positive picture reads higher.

    The Mann-Whitney form [1]_: the share of all pairs of a positive and another picture in
    which the positive one has the higher value; equal values count one half.

    Parameters
    ----------
    values : (N,) float
        Readings, such as valence.
    is_positive : (N,) bool
        Which pictures should read higher.

    Returns
    -------
    float
        NaN where only one kind is there.

    References
    ----------
    .. [1] Hanley & McNeil, "The meaning and use of the area under a receiver operating
       characteristic (ROC) curve", Radiology 1982.
    """
    scores, positive = _checked(values, is_positive)
    return float(_auc_of_draws(scores, positive, np.ones((1, len(scores))))[0])


def _auc_of_draws(scores: Float, positive: NDArray[np.bool_], times: Float) -> Float:
    """(b,) AUC where picture i counts ``times[:, i]`` times; NaN with one kind only."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0)
    ordered = times[:, order]
    above, below = (
        np.add.reduceat(ordered * kind[order], starts, axis=1) for kind in (positive, ~positive)
    )
    lower = below.cumsum(axis=1) - below / 2  # equal values: one half
    pairs = above.sum(1) * below.sum(1)
    out = np.full(len(times), np.nan)
    np.divide((above * lower).sum(1), pairs, out=out, where=pairs > 0)
    return out


# ----------------------------------------------------------------------------------- pairs
def pair_accuracy(values: ArrayLike, is_positive: ArrayLike, subjects: Sequence[Hashable]) -> float:
    """Share of people whose positive picture reads higher than their other one, 0 to 1.

    Of a person with several pictures, the share of their own pairs of a positive and
    another picture in the right order; equal values count one half. Every person with
    both kinds counts the same.

    Parameters
    ----------
    values, is_positive
        As `auc`.
    subjects : N persons

    Returns
    -------
    float
        NaN where nobody has both kinds.
    """
    scores, positive = _checked(values, is_positive)
    shares, _ = _pair_shares(scores, positive, *person_numbers(subjects, len(scores)))
    return float(shares.mean()) if len(shares) else float("nan")


def _pair_shares(
    scores: Float, positive: NDArray[np.bool_], index: NDArray[np.int64], people: int
) -> tuple[Float, int]:
    """Share of their own pairs in the right order of persons with any, and their pictures."""
    shares, pictures = [], 0
    for person in range(people):
        own = index == person
        high, low = scores[own & positive][:, None], scores[own & ~positive][None]
        if high.size and low.size:
            shares.append(float(((high > low) + (high == low) / 2).mean()))
            pictures += high.size + low.size
    return np.array(shares, np.float64), pictures


# ------------------------------------------------------------------------------- intervals
@dataclass(frozen=True, eq=False)
class _Drawn:
    """A measure, its values in the draws (folds,), and of how many it is."""

    value: float
    drawn: Float
    n: int
    people: int


def _in_parts(people: int, pictures: int, folds: int, seed: int) -> Iterator[Float]:
    """The draws in parts of at most about 4 million numbers of pictures."""
    step = max(1, 4_000_000 // pictures)
    for times in times_drawn(people, folds, seed):
        for start in range(0, len(times), step):
            yield times[start : start + step]


def _values(
    values: ArrayLike, is_positive: ArrayLike, subjects: Sequence[Hashable], folds: int, seed: int
) -> dict[str, _Drawn]:
    """Both measures with their values in the draws."""
    if folds < 1:
        raise ShapeError(f"folds: expected at least 1, got {folds}")
    scores, positive = _checked(values, is_positive)
    index, people = person_numbers(subjects, len(scores))
    areas = [
        _auc_of_draws(scores, positive, times[:, index])
        for times in _in_parts(people, len(scores), folds, seed)
    ]
    shares, pictures = _pair_shares(scores, positive, index, people)
    pairs = len(shares)
    of_pairs = np.full(folds, np.nan)
    if pairs:
        draws = np.concatenate(list(times_drawn(pairs, folds, seed)))
        of_pairs = draws @ shares / pairs
    share = float(shares.mean()) if pairs else float("nan")
    return {
        "auc": _Drawn(auc(scores, positive), np.concatenate(areas), len(scores), people),
        "pair_accuracy": _Drawn(share, of_pairs, pictures, pairs),
    }


def discrimination(
    valence: ArrayLike,
    is_positive: ArrayLike,
    subjects: Sequence[Hashable],
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """`auc` and `pair_accuracy` with percentile intervals, persons drawn whole.

    Parameters
    ----------
    valence : (N,) float
        Readings.
    is_positive : (N,) bool
        Which pictures smile; the others are neutral.
    subjects : N persons
    folds, level, seed
        As `synth.metrics.intervals.intervals`, and the same draws.

    Returns
    -------
    dict of str to Interval
        With the keys `DISCRIMINATION`. The pictures and persons of the pair accuracy are
        those of persons with both kinds.

    Raises
    ------
    ShapeError
        If sizes differ, nothing is given, a reading is not finite or a person missing.
    """
    found = {}
    for name, one in _values(valence, is_positive, subjects, folds, seed).items():
        low, high, missing = interval_ends(one.value, one.drawn, one.people, level)
        found[name] = Interval(one.value, low, high, one.n, one.people, missing)
    return found


def paired_discrimination(
    first: ArrayLike,
    second: ArrayLike,
    is_positive: ArrayLike,
    subjects: Sequence[Hashable],
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Difference]:
    """How much better (or worse) the readings `second` tell apart than `first`.

    Both are measured on the same draws of persons; see
    `synth.metrics.intervals.paired_difference` and `discrimination`.
    """
    one = _values(first, is_positive, subjects, folds, seed)
    two = _values(second, is_positive, subjects, folds, seed)
    return {
        name: difference(two[name].value - one[name].value, two[name].drawn - one[name].drawn,
                         one[name].n, one[name].people, level)
        for name in DISCRIMINATION
    }  # fmt: skip


# ----------------------------------------------------------------------- minus own neutral
def minus_own(values: ArrayLike, is_neutral: ArrayLike, subjects: Sequence[Hashable]) -> Float:
    """Readings less the mean reading of the same person's (other) neutral pictures.

    What remains is how the face differs from itself at rest; what a person's features
    make a reader say of every picture of them cancels.

    Parameters
    ----------
    values : (N,) or (N, K) float
        Readings; NaN for none.
    is_neutral : (N,) bool
        The pictures that persons are compared with.
    subjects : N persons

    Returns
    -------
    of the shape of `values`, float64
        A neutral picture is compared with the person's other neutral ones, never with
        itself. NaN where there is nothing to compare with: for persons without a neutral
        picture that has a reading, and for a person's only one.

    Raises
    ------
    ShapeError
        If sizes differ, a value is infinite or a person missing.
    """
    readings = np.asarray(values, np.float64)
    neutral = np.asarray(is_neutral)
    if readings.ndim not in (1, 2) or np.isinf(readings).any():
        got = "infinity" if np.isinf(readings).any() else f"{readings.shape}"
        raise ShapeError(f"values: expected (N,) or (N, K) numbers, or NaN for none, got {got}")
    if neutral.shape != readings.shape[:1] or not np.isin(neutral, (0, 1)).all():
        raise ShapeError(
            f"is_neutral: expected {len(readings)} of true or false, got {neutral.shape}"
        )
    index, people = person_numbers(subjects, len(readings))
    table = readings.reshape(len(readings), -1)
    usable = neutral.astype(bool) & np.isfinite(table).all(axis=1)
    count = np.bincount(index[usable], minlength=people).astype(np.float64)
    total = np.zeros((people, table.shape[1]))
    np.add.at(total, index[usable], table[usable])
    count, total = count[index] - usable, total[index] - np.where(usable[:, None], table, 0)
    rest = np.full_like(table, np.nan)
    np.divide(total, count[:, None], out=rest, where=count[:, None] > 0)
    return (table - rest).reshape(readings.shape)
