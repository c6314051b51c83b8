"""How well classes are told apart: top-k, confusion with margins, balanced accuracy.

`synth.metrics.agreement` has accuracy, kappa and F1 of two lists of names. Here is what
needs the scores of a network, or the table of counts (rows targets, columns estimates).

What every function does with awkward input: missing names and scores that are not finite
are errors; a class without a target has no rate (NaN) and does not enter a mean; a class
that is never the estimate has no PPV (NaN).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError
from synth.metrics.agreement import confusion

__all__ = [
    "FOLDS",
    "FROM_COUNTS",
    "Confusion",
    "DownSampled",
    "confusion_margins",
    "down_sampled",
    "mean_diagonal",
    "target_ranks",
    "top_k_accuracy",
]

Float = NDArray[np.float64]
#: Repetitions of the down-sampling.
FOLDS = 200


def target_ranks(
    target: Sequence[Any], scores: ArrayLike, classes: Sequence[Any]
) -> NDArray[np.int64]:
    """How many classes are ahead of the target in each row of scores, 0 to C - 1.

    Parameters
    ----------
    target : N class names or numbers
    scores : (N, C) float
        Of any scale, higher is likelier. Of equal scores the class listed first goes
        first, as with ``argmax``.
    classes : C class names or numbers
        The columns of `scores`.

    Returns
    -------
    (N,) int64

    Raises
    ------
    ShapeError
        If sizes differ, nothing is given, a class is unknown, or a score is not finite.
    """
    values, names, known = np.asarray(scores, np.float64), list(target), list(classes)
    if values.shape != (len(names), len(known)) or not names:
        raise ShapeError(
            f"scores: expected ({len(names)}, {len(known)}), a row for every target and a column "
            f"for every class, N > 0, got {values.shape}"
        )
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values).all(1)).sum())
        raise ShapeError(
            f"scores: expected finite numbers, got {bad} of {len(names)} rows with others; "
            "leave those pictures out and say so"
        )
    place = {name: i for i, name in enumerate(known)}
    if unknown := [name for name in names if name not in place]:
        raise ShapeError(f"target: expected one of {known}, got {unknown[0]!r}")
    wanted = np.array([place[name] for name in names])
    own = values[np.arange(len(names)), wanted][:, None]
    earlier = np.arange(len(known)) < wanted[:, None]
    return ((values > own) | ((values == own) & earlier)).sum(1).astype(np.int64)


def top_k_accuracy(
    target: Sequence[Any], scores: ArrayLike, classes: Sequence[Any], k: int = 1
) -> float:
    """Share of targets among the `k` classes with the highest scores, 0 to 1.

    Ties are broken as in `target_ranks`: top 1 is the accuracy of the ``argmax``, and with
    constant scores it is the share of the first class.

    Parameters
    ----------
    target, scores, classes
        As `target_ranks`.
    k : int
        1 to C; with C the share is 1.

    Raises
    ------
    ShapeError
        As `target_ranks`, or if `k` is out of range.
    """
    known = list(classes)
    if not 1 <= k <= len(known):
        raise ShapeError(f"k: expected 1 to {len(known)}, the number of classes, got {k}")
    return float((target_ranks(target, scores, known) < k).mean())


# ------------------------------------------------------------------------------- counts
def _counts(counts: ArrayLike) -> Float:
    table = np.asarray(counts, np.float64)
    if table.ndim < 2 or table.shape[-1] != table.shape[-2]:
        raise ShapeError(f"counts: expected (..., C, C), got {table.shape}")
    return table


def _diagonal(table: Float) -> Float:
    return np.diagonal(table, axis1=-2, axis2=-1)


def _share(part: Float, whole: Float) -> Float:
    """`part / whole`, NaN where the whole is nothing."""
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _mean_known(values: Float) -> Float:
    """Means over the last axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    return _share(np.where(known, values, 0).sum(-1), known.sum(-1).astype(np.float64))


def _accuracy(table: Float) -> Float:
    return _share(_diagonal(table).sum(-1), table.sum((-2, -1)))


def _mean_recall(table: Float) -> Float:
    return _mean_known(_share(_diagonal(table), table.sum(-1)))


def _macro_f1(table: Float) -> Float:
    return _mean_known(_share(2 * _diagonal(table), table.sum(-1) + table.sum(-2)))


def _kappa(table: Float) -> Float:
    total = table.sum((-2, -1))
    chance = _share((table.sum(-1) * table.sum(-2)).sum(-1), total**2)
    left = np.where(chance > 1 - 1e-12, 0.0, 1 - chance)
    return _share(_accuracy(table) - chance, left)


#: Measures of tables of counts, (..., C, C) -> (...): one table, or many at once. They
#: equal `synth.metrics.agreement` on the names that were counted.
FROM_COUNTS: dict[str, Callable[[Float], Float]] = {
    "accuracy": _accuracy,
    "mean_diagonal": _mean_recall,
    "macro_f1": _macro_f1,
    "kappa": _kappa,
}


def mean_diagonal(counts: ArrayLike) -> float:
    """Mean of the diagonal of the confusion matrix whose rows sum to 1, 0 to 1.

    The mean recall, also called balanced accuracy: every class that has targets counts
    the same, however rare.

    Parameters
    ----------
    counts : (C, C)
        Rows the targets, columns the estimates.

    Returns
    -------
    float
        NaN where no class has a target.
    """
    return float(_mean_recall(_counts(counts)))


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion matrix with its margins.

    Attributes
    ----------
    classes : tuple
    counts : (C, C) int64
        Rows the targets, columns the estimates.
    tpr : (C,) float64
        Right-hand margin: share of the targets of a class that were found (recall).
        NaN for a class without targets.
    ppv : (C,) float64
        Lower margin: share of the estimates of a class that were right (precision). NaN
        for a class that was never estimated.
    f1 : (C,) float64
        NaN for a class that occurs on neither side.
    """

    classes: tuple[Any, ...]
    counts: NDArray[np.int64]
    tpr: Float
    ppv: Float
    f1: Float

    @property
    def n(self) -> int:
        """Pictures counted."""
        return int(self.counts.sum())

    @property
    def shares(self) -> Float:
        """(C, C): the rows as shares of their sum; NaN for a class without targets."""
        return _share(self.counts.astype(np.float64), self.counts.sum(1, keepdims=True))


def confusion_margins(
    target: Sequence[Any], estimate: Sequence[Any], classes: Sequence[Any] | None = None
) -> Confusion:
    """The confusion matrix with TPR (rows) and PPV (columns) as margins.

    Parameters
    ----------
    target, estimate : N class names or numbers
    classes : sequence, optional
        Their order; all that occur, sorted, when not given.

    Raises
    ------
    ShapeError
        As `synth.metrics.agreement.confusion`.
    """
    counts, known = confusion(target, estimate, classes)
    hits, rows, columns = (
        a.astype(np.float64) for a in (np.diag(counts), counts.sum(1), counts.sum(0))
    )
    return Confusion(
        tuple(known),
        counts,
        tpr=_share(hits, rows),
        ppv=_share(hits, columns),
        f1=_share(2 * hits, rows + columns),
    )


@dataclass(frozen=True, eq=False)
class DownSampled:
    """Measures over repeated draws with equally many pictures of every class.

    Attributes
    ----------
    each : int
        Pictures drawn of every class: as many as the rarest has.
    classes : int
        Classes drawn from: those with targets.
    folds : int
    mean, deviation : dict of str to float
        Of each measure in `FROM_COUNTS` over the folds; the deviation is the
        population form.
    """

    each: int
    classes: int
    folds: int
    mean: dict[str, float]
    deviation: dict[str, float]


def down_sampled(counts: ArrayLike, folds: int = FOLDS, seed: int = 0) -> DownSampled:
    """Measures of a test set made balanced by leaving out, 200 times over.

    In every fold as many pictures of every class are drawn, without replacement, as the
    rarest class has, and the measures are taken of those; this is the skew
    normalisation of [1]_, after [2]_. Classes without targets are left out of the draw.
    Which pictures are drawn only matters through the counts, so that the counts are
    drawn themselves (a multivariate hypergeometric distribution for each row): the same
    distribution, at no cost in memory. The mean accuracy estimates `mean_diagonal`.

    Parameters
    ----------
    counts : (C, C) int
        Rows the targets, columns the estimates.
    folds, seed : int

    Raises
    ------
    ShapeError
        If `counts` is not square, has no target, or `folds` is less than 1.

    References
    ----------
    .. [1] Mollahosseini, Hasani & Mahoor, "AffectNet: A database for facial expression,
       valence, and arousal computing in the wild", IEEE Trans. Affective Computing 2017.
    .. [2] Jeni, Cohn & De la Torre, "Facing imbalanced data: recommendations for the use
       of performance metrics", ACII 2013.
    """
    table = _counts(counts).astype(np.int64)
    if table.ndim != 2 or (table < 0).any() or not table.sum():
        raise ShapeError(f"counts: expected (C, C) with at least one target, got {table.shape}")
    if folds < 1:
        raise ShapeError(f"folds: expected at least 1, got {folds}")
    rows = table.sum(1)
    filled = np.flatnonzero(rows)
    each = int(rows[filled].min())
    rng = np.random.default_rng(seed)
    drawn = np.zeros((folds, *table.shape))
    for row in filled:
        drawn[:, row] = rng.multivariate_hypergeometric(table[row], each, size=folds)
    values = {name: measure(drawn) for name, measure in FROM_COUNTS.items()}
    return DownSampled(
        each,
        len(filled),
        folds,
        mean={name: float(v.mean()) for name, v in values.items()},
        deviation={name: float(v.std()) for name, v in values.items()},
    )
