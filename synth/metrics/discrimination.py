"""Does a reader tell smiling from neutral faces: AUC, pairs of one person, minus own neutral.

What every function does with awkward input: NaN is an error, except where a column says
that it may hold it; with one kind of picture only the AUC is NaN; persons without both
kinds form no pair, and without any pair the accuracy is NaN; a person without a neutral
picture has no reading minus their own neutral (NaN).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

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
    index, people = person_numbers(subjects, len(scores))
    return float(_pairs_of_draws(scores, positive, index, np.ones((1, people)))[0])


def _pairs_of_draws(
    scores: Float, positive: NDArray[np.bool_], index: NDArray[np.int64], times: Float
) -> Float:
    """(b,) pair accuracy where person p counts ``times[:, p]`` times."""
    share = np.full(times.shape[1], np.nan)
    for person in range(len(share)):
        own = index == person
        high, low = scores[own & positive][:, None], scores[own & ~positive][None]
        if high.size and low.size:
            share[person] = float(((high > low) + (high == low) / 2).mean())
    both = np.isfinite(share)
    count = times[:, both].sum(1)
    out = np.full(len(times), np.nan)
    np.divide(times[:, both] @ share[both], count, out=out, where=count > 0)
    return out


# ------------------------------------------------------------------------------- intervals
def _drawn(
    scores: Float, positive: NDArray[np.bool_], index: NDArray[np.int64], draws: Iterator[Float]
) -> tuple[Float, Float]:
    parts = [
        (_auc_of_draws(scores, positive, times[:, index]),
         _pairs_of_draws(scores, positive, index, times))
        for times in draws
    ]  # fmt: skip
    first, second = zip(*parts, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _in_parts(people: int, pictures: int, folds: int, seed: int) -> Iterator[Float]:
    """The draws in parts of at most about 4 million numbers of pictures."""
    step = max(1, 4_000_000 // pictures)
    for times in times_drawn(people, folds, seed):
        for start in range(0, len(times), step):
            yield times[start : start + step]


def _values(
    values: ArrayLike, is_positive: ArrayLike, subjects: Sequence[Hashable], folds: int, seed: int
) -> tuple[list[float], tuple[Float, Float], int, int]:
    """Both measures, their values in the draws, how many pictures and people."""
    if folds < 1:
        raise ShapeError(f"folds: expected at least 1, got {folds}")
    scores, positive = _checked(values, is_positive)
    index, people = person_numbers(subjects, len(scores))
    whole = [auc(scores, positive), pair_accuracy(scores, positive, subjects)]
    drawn = _drawn(scores, positive, index, _in_parts(people, len(scores), folds, seed))
    return whole, drawn, len(scores), people


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
        With the keys `DISCRIMINATION`; ``subjects`` are all persons, of whom only
        those with both kinds form pairs.

    Raises
    ------
    ShapeError
        If sizes differ, nothing is given, a reading is not finite or a person missing.
    """
    whole, drawn, n, people = _values(valence, is_positive, subjects, folds, seed)
    found = {}
    for name, value, values in zip(DISCRIMINATION, whole, drawn, strict=True):
        low, high, missing = interval_ends(value, values, people, level)
        found[name] = Interval(value, low, high, n, people, missing)
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
    whole_1, drawn_1, n, people = _values(first, is_positive, subjects, folds, seed)
    whole_2, drawn_2, _, _ = _values(second, is_positive, subjects, folds, seed)
    return {
        name: difference(whole_2[i] - whole_1[i], drawn_2[i] - drawn_1[i], n, people, level)
        for i, name in enumerate(DISCRIMINATION)
    }


# ----------------------------------------------------------------------- minus own neutral
def minus_own(values: ArrayLike, is_neutral: ArrayLike, subjects: Sequence[Hashable]) -> Float:
    """Readings less the mean reading of the same person's neutral pictures.

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
        NaN for persons without a neutral picture that has a reading. A neutral picture
        that is the only one of its person becomes 0: leave it out of a score, since
        nothing was read there.

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
    rest = np.full_like(total, np.nan)
    np.divide(total, count[:, None], out=rest, where=count[:, None] > 0)
    return (table - rest[index]).reshape(readings.shape)
