"""Measures as functions of sums over pictures, for many draws of pictures at once.

Every term of a picture (its number, products, cell of the confusion matrix) is added up
over the pictures of a draw; the measure of the draw follows from the sums alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.metrics.agreement import confusion

__all__ = ["FROM_SUMS", "cell_terms", "number_terms"]

Float = NDArray[np.float64]
#: Variances below this share of the squared largest value are rounding, not spread: more
#: than in `agreement`, as they are differences of sums here.
ROUNDING = 1e-13


def number_terms(target: Any, estimate: Any) -> Float:
    """(N, 9) whose sums give every measure of numbers."""
    t, e = (np.asarray(values, np.float64) for values in (target, estimate))
    for name, values in (("target", t), ("estimate", e)):
        if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
            raise ShapeError(
                f"{name}: expected (N,) finite numbers, N > 0, got {values.shape}; "
                "leave pictures without a number out and say so"
            )
    if len(t) != len(e):
        raise ShapeError(f"estimate: expected {len(t)} values as in target, got {len(e)}")
    x, y = t - t.mean(), e - t.mean()  # differences of sums lose least about 0
    scale = np.full(len(t), max(1.0, float(np.abs(t).max()), float(np.abs(e).max())) ** 2)
    one, right = np.ones(len(t)), (np.sign(t) == np.sign(e)).astype(np.float64)
    return np.stack([one, x, y, x * x, y * y, x * y, np.abs(x - y), right, scale], axis=1)


def _moments(sums: Float) -> tuple[Float, ...]:
    """Difference of the means, the variances, the covariance; 0 for rounding."""
    mean = sums / sums[:, :1]
    least = ROUNDING * mean[:, 8]
    spread = [mean[:, 3] - mean[:, 1] ** 2, mean[:, 4] - mean[:, 2] ** 2]
    first, second = (np.where(s > least, s, 0.0) for s in spread)
    return mean[:, 1] - mean[:, 2], first, second, mean[:, 5] - mean[:, 1] * mean[:, 2]


def _divide(above: Float, below: Float) -> Float:
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _ccc(sums: Float) -> Float:
    bias, first, second, both = _moments(sums)
    spread = first + second
    stuck = np.where(spread > 0, spread + bias**2, 0.0)
    return _divide(np.where((first > 0) & (second > 0), 2 * both, 0.0), stuck)


def _ccc_sample(sums: Float) -> Float:
    bias, first, second, both = _moments(sums)
    spread, more = first + second, _divide(sums[:, 0], sums[:, 0] - 1)
    stuck = np.where(spread > 0, spread * more + bias**2, 0.0)
    return _divide(np.where((first > 0) & (second > 0), 2 * both * more, 0.0), stuck)


def _pcc(sums: Float) -> Float:
    _, first, second, both = _moments(sums)
    return np.clip(_divide(both, np.sqrt(first * second)), -1, 1)


def _mse(sums: Float) -> Float:
    squares = sums[:, 3] + sums[:, 4] - 2 * sums[:, 5]
    return np.maximum(squares, 0) / sums[:, 0]


#: Measures of the sums of `number_terms`, (B, 9) -> (B,); they equal
#: `synth.metrics.agreement` on the pictures that were added up.
FROM_SUMS: dict[str, Callable[[Float], Float]] = {
    "ccc": _ccc,
    "ccc_sample": _ccc_sample,
    "pcc": _pcc,
    "mse": _mse,
    "rmse": lambda sums: np.sqrt(_mse(sums)),
    "mae": lambda sums: sums[:, 6] / sums[:, 0],
    "sagr": lambda sums: sums[:, 7] / sums[:, 0],
}


def cell_terms(target: Sequence[Any], estimate: Sequence[Any]) -> tuple[Float, int]:
    """(N, C * C) with a 1 in the cell of the confusion matrix, and C."""
    _, known = confusion(target, estimate)  # checks as well
    place = {name: i for i, name in enumerate(known)}
    cell = [place[t] * len(known) + place[e] for t, e in zip(target, estimate, strict=True)]
    terms = np.zeros((len(cell), len(known) ** 2))
    terms[np.arange(len(cell)), cell] = 1
    return terms, len(known)
