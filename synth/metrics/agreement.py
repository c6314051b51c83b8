"""How well estimates agree with targets: CCC, PCC, RMSE, SAGR; kappa, accuracy, F1.

What every function does with awkward input:

- a NaN or infinite value is an error, never left out silently;
- an empty pair of arrays is an error;
- where the number is undefined (no spread to correlate, nothing to agree about), it is
  NaN; `ccc` of equal constants is NaN too, since agreement by being stuck proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError

__all__ = [
    "accuracy",
    "ccc",
    "confusion",
    "f1_scores",
    "kappa",
    "macro_f1",
    "mae",
    "mean_distance",
    "pcc",
    "rmse",
    "sagr",
]

Float = NDArray[np.float64]
#: Variances below this share of the squared largest value are rounding, not spread.
ROUNDING = 1e-24


def _pair(target: ArrayLike, estimate: ArrayLike, columns: int | None = None) -> tuple[Float, ...]:
    arrays = np.asarray(target, np.float64), np.asarray(estimate, np.float64)
    shape = "(N,)" if columns is None else f"(N, {columns})"
    for name, values in zip(("target", "estimate"), arrays, strict=True):
        wanted = values.ndim == 1 if columns is None else values.shape[1:] == (columns,)
        if not wanted or not len(values):
            raise ShapeError(f"{name}: expected {shape} numbers, N > 0, got {values.shape}")
        if not np.isfinite(values).all():
            bad = int(len(values) - np.isfinite(values.reshape(len(values), -1)).all(1).sum())
            raise ShapeError(
                f"{name}: expected finite numbers, got {bad} of {len(values)} that are not; "
                "leave those pictures out and say so"
            )
    if len(arrays[0]) != len(arrays[1]):
        raise ShapeError(
            f"estimate: expected {len(arrays[0])} values as in target, got {len(arrays[1])}"
        )
    return arrays


def _has_spread(values: Float) -> bool:
    return bool(values.var() > ROUNDING * max(1.0, float(np.abs(values).max()) ** 2))


def ccc(target: ArrayLike, estimate: ArrayLike, sample: bool = False) -> float:
    """Concordance correlation coefficient [1]_, -1 to 1.

    ``2 cov / (var_t + var_e + (mean_t - mean_e)^2)``. The population form divides
    variances and covariance by N, as Lin defines the estimate and as the challenges
    of the field count; the sample form divides by N - 1.

    Parameters
    ----------
    target, estimate : (N,) float
    sample : bool
        The sample form instead of the population form.

    Returns
    -------
    float
        NaN where neither has any spread (one value included). 0 where only one has.

    References
    ----------
    .. [1] Lin, "A concordance correlation coefficient to evaluate reproducibility",
       Biometrics 1989.
    """
    t, e = _pair(target, estimate)
    if len(t) < 2 or not (_has_spread(t) or _has_spread(e)):
        return float("nan")
    ddof = int(sample)
    covariance = float(((t - t.mean()) * (e - e.mean())).sum()) / (len(t) - ddof)
    spread = float(t.var(ddof=ddof) + e.var(ddof=ddof))
    return 2 * covariance / (spread + float(t.mean() - e.mean()) ** 2)


def pcc(target: ArrayLike, estimate: ArrayLike) -> float:
    """Pearson's correlation coefficient, -1 to 1; NaN where either has no spread."""
    t, e = _pair(target, estimate)
    if len(t) < 2 or not (_has_spread(t) and _has_spread(e)):
        return float("nan")
    covariance = float(((t - t.mean()) * (e - e.mean())).mean())
    return float(np.clip(covariance / (t.std() * e.std()), -1, 1))


def rmse(target: ArrayLike, estimate: ArrayLike) -> float:
    """Root of the mean squared difference, in the unit of the values."""
    t, e = _pair(target, estimate)
    return float(np.sqrt(((t - e) ** 2).mean()))


def mae(target: ArrayLike, estimate: ArrayLike) -> float:
    """Mean absolute difference, in the unit of the values."""
    t, e = _pair(target, estimate)
    return float(np.abs(t - e).mean())


def sagr(target: ArrayLike, estimate: ArrayLike, dead: float = 0.0) -> float:
    """Share of values whose sign is right [1]_.

    Parameters
    ----------
    target, estimate : (N,) float
        A sign is -1, 0 or 1: 0 only agrees with 0.
    dead : float
        Targets of at most this magnitude are not counted. With 0 all count.

    Returns
    -------
    float
        0 to 1; NaN where none is counted.

    References
    ----------
    .. [1] Nicolaou, Gunes & Pantic, "Continuous prediction of spontaneous affect from
       multiple cues and modalities", IEEE Trans. Affective Computing 2011.
    """
    t, e = _pair(target, estimate)
    counted = np.abs(t) > dead if dead > 0 else np.ones(len(t), bool)
    if not counted.any():
        return float("nan")
    return float((np.sign(t) == np.sign(e))[counted].mean())


def mean_distance(target: ArrayLike, estimate: ArrayLike) -> float:
    """Mean Euclidean distance of points (N, 2) in the valence-arousal plane."""
    t, e = _pair(target, estimate, 2)
    return float(np.linalg.norm(t - e, axis=1).mean())


# ------------------------------------------------------------------------------ classes
def confusion(
    target: Sequence[Any], estimate: Sequence[Any], classes: Sequence[Any] | None = None
) -> tuple[NDArray[np.int64], list[Any]]:
    """Counts (C, C), rows the targets and columns the estimates, and the classes.

    Parameters
    ----------
    target, estimate : N class names or numbers
    classes : sequence, optional
        Their order; all that occur, sorted, when not given.

    Raises
    ------
    ShapeError
        If the two differ in length or are empty, or a class is unknown or missing
        (None, NaN).
    """
    t, e = list(target), list(estimate)
    if len(t) != len(e) or not t:
        raise ShapeError(f"estimate: expected as many classes as targets, got {len(e)} of {len(t)}")
    if any(name is None or name != name for name in (*t, *e)):
        raise ShapeError("classes: expected one for every picture, got none for some")
    known = sorted(set(t) | set(e)) if classes is None else list(classes)
    place = {name: i for i, name in enumerate(known)}
    if unknown := [name for name in (*t, *e) if name not in place]:
        raise ShapeError(f"classes: expected one of {known}, got {unknown[0]!r}")
    counts = np.zeros((len(known), len(known)), np.int64)
    np.add.at(counts, ([place[name] for name in t], [place[name] for name in e]), 1)
    return counts, known


def accuracy(target: Sequence[Any], estimate: Sequence[Any]) -> float:
    """Share of equal classes, 0 to 1."""
    counts, _ = confusion(target, estimate)
    return float(np.trace(counts) / counts.sum())


def kappa(target: Sequence[Any], estimate: Sequence[Any]) -> float:
    """Cohen's kappa [1]_: agreement beyond what the class frequencies give by chance.

    Returns
    -------
    float
        At most 1; NaN where both sides only know one and the same class.

    References
    ----------
    .. [1] Cohen, "A coefficient of agreement for nominal scales", Educational and
       Psychological Measurement 1960.
    """
    counts, _ = confusion(target, estimate)
    total = counts.sum()
    observed = np.trace(counts) / total
    chance = float((counts.sum(0) / total) @ (counts.sum(1) / total))
    if chance > 1 - 1e-12:
        return float("nan")
    return float((observed - chance) / (1 - chance))


def f1_scores(target: Sequence[Any], estimate: Sequence[Any]) -> dict[Any, float]:
    """F1 by class, ``2 TP / (2 TP + FP + FN)``; of classes that occur on either side."""
    counts, classes = confusion(target, estimate)
    hits = np.diag(counts)
    return dict(zip(classes, (2 * hits / (counts.sum(0) + counts.sum(1))).tolist(), strict=True))


def macro_f1(target: Sequence[Any], estimate: Sequence[Any]) -> float:
    """Mean of `f1_scores`: every class that occurs counts the same."""
    return float(np.mean(list(f1_scores(target, estimate).values())))
