"""Principal components of data of which some is missing and some is wrong.

Principal component pursuit [1]_ splits what was observed of a matrix into a part of low rank
and a sparse one, here with a mask of what was observed [2]_:

    min |L|_* + lambda |S|_1   subject to   L + S = D where observed

by the inexact augmented Lagrangian [3]_. Where nothing was observed S is free, so that L alone
says what belongs there.

References
----------
.. [1] Candes, Li, Ma & Wright, "Robust Principal Component Analysis?", JACM 2011, sec. 1.6.
.. [2] Shang, Liu, Cheng & Cheng, "Robust Principal Component Analysis with Missing Data",
   CIKM 2014.
.. [3] Lin, Chen & Ma, "The Augmented Lagrange Multiplier Method for Exact Recovery of
   Corrupted Low-Rank Matrices", UIUC 2009, algorithm 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError

__all__ = ["Components", "Pursuit", "principal_components", "project", "robust_pca"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Growth of the penalty per step, and its largest multiple of the first.
GROWTH, CEILING = 1.1, 1e7


@dataclass(frozen=True, eq=False)
class Pursuit:
    """A matrix split in two.

    Attributes
    ----------
    low_rank : (N, d) float64
        Complete and clean.
    sparse : (N, d) float64
        What was wrong; 0 where nothing was observed.
    rank : int
        Of `low_rank`.
    iterations : int
    residual : float
        ``|D - L - S|`` over ``|D|``, where observed.
    """

    low_rank: Float
    sparse: Float
    rank: int
    iterations: int
    residual: float


def robust_pca(
    data: ArrayLike,
    observed: ArrayLike | None = None,
    penalty: float | None = None,
    tolerance: float = 1e-5,
    iterations: int = 200,
) -> Pursuit:
    """The matrix of low rank behind data with gross errors and gaps.

    Parameters
    ----------
    data : (N, d) float
        Rows are samples. Values that are not observed are ignored, NaN included.
    observed : (N, d) bool, optional
        Default: everything.
    penalty : float, optional
        Weight lambda of the sparse part; default ``1 / sqrt(share * max(N, d))`` with the
        observed share ([1]_ sec. 1.6).
    tolerance : float
        Of the residual at which it stops.
    iterations : int
        At most.

    Returns
    -------
    Pursuit

    Raises
    ------
    ShapeError
        If the arrays do not fit together, nothing is observed, or observed data is not finite.
    """
    values, mask = _checked(data, observed)
    share = mask.mean()
    weight = penalty or 1 / np.sqrt(share * max(values.shape))
    norm = np.linalg.norm(values)
    if norm == 0:
        return Pursuit(np.zeros_like(values), np.zeros_like(values), 0, 0, 0.0)
    largest = float(np.sqrt(np.linalg.eigvalsh(_gram(values))[-1]))
    multiplier = values / max(largest, float(np.abs(values).max()) / weight)
    mu = 1.25 / largest
    ceiling = mu * CEILING
    low, sparse = np.zeros_like(values), np.zeros_like(values)
    rank, taken, residual = 0, 0, 1.0
    for _ in range(iterations):
        taken += 1
        rest = values - low + multiplier / mu
        sparse = np.where(mask, np.sign(rest) * np.maximum(np.abs(rest) - weight / mu, 0), rest)
        low, rank = _shrunk(values - sparse + multiplier / mu, 1 / mu)
        gap = values - low - sparse
        multiplier += mu * gap
        mu = min(mu * GROWTH, ceiling)
        residual = float(np.linalg.norm(gap) / norm)
        if residual < tolerance:
            break
    return Pursuit(low, np.where(mask, sparse, 0.0), rank, taken, residual)


def _checked(data: ArrayLike, observed: ArrayLike | None) -> tuple[Float, Bool]:
    values = np.array(data, np.float64)
    mask = np.ones(values.shape, bool) if observed is None else np.asarray(observed, bool)
    if values.ndim != 2 or mask.shape != values.shape:
        raise ShapeError(
            f"observed: expected (N, d) as the data's {values.shape}, got {mask.shape}; "
            "pass one flag for each value"
        )
    if not mask.any() or not np.isfinite(values[mask]).all():
        what = "NaN or infinity" if mask.any() else "nothing observed"
        raise ShapeError(f"data: expected finite values where observed, got {what}; mask them")
    values[~mask] = 0
    return values, mask


def _gram(values: Float) -> Float:
    """The smaller of the two products of a matrix with itself."""
    return values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values


def _shrunk(values: Float, threshold: float) -> tuple[Float, int]:
    """Singular values less `threshold`, and how many remain; through the small Gram matrix."""
    wide = values.shape[0] <= values.shape[1]
    squares, vectors = np.linalg.eigh(_gram(values))
    singular = np.sqrt(np.maximum(squares, 0))
    kept = singular > threshold
    v = vectors[:, kept]
    scaled = v * (1 - threshold / singular[kept])
    low = scaled @ (v.T @ values) if wide else (values @ v) @ scaled.T
    return low, int(kept.sum())


@dataclass(frozen=True, eq=False)
class Components:
    """Mean and principal components of samples.

    Attributes
    ----------
    mean : (d,) float64
    modes : (K, d) float64
        Orthonormal, largest variance first.
    sigma : (K,) float64
        Standard deviation along each.
    """

    mean: Float
    modes: Float
    sigma: Float

    def keep(self, k: int) -> Components:
        """The first `k` modes."""
        return Components(self.mean, self.modes[:k], self.sigma[:k])


def principal_components(samples: ArrayLike, weights: ArrayLike | None = None) -> Components:
    """Mean and all modes of complete samples.

    Parameters
    ----------
    samples : (N, d) float
    weights : (N,) float, optional
        How much each sample counts; default 1.

    Returns
    -------
    Components
        With at most N - 1 modes; variances are divided by N - 1 (by the weights' sum less 1).
    """
    x = np.asarray(samples, np.float64)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    mean = w @ x / w.sum()
    centred = (x - mean) * np.sqrt(w)[:, None]
    _, singular, modes = _svd(centred)
    sigma = singular / np.sqrt(max(w.sum() - 1, 1e-9))
    kept = sigma > 1e-6 * max(float(sigma[0]) if len(sigma) else 0.0, 1e-300)
    kept[max(len(x) - 1, 0) :] = False
    return Components(mean, modes[kept], sigma[kept])


def _svd(values: Float) -> tuple[Float, Float, Float]:
    u, s, v = np.linalg.svd(values, full_matrices=False)
    return u, s, v


def project(
    values: ArrayLike,
    observed: ArrayLike | None,
    components: Components,
    noise: float,
    robust: float | None = None,
) -> Float:
    """Coefficients of one sample of which only a part is seen.

    Maximum a posteriori under a Gaussian prior on the coefficients and noise of standard
    deviation `noise` on each value; with `robust`, reweighted by a Cauchy kernel.

    Parameters
    ----------
    values : (d,) float
    observed : (d,) bool, optional
    components : Components
    noise : float
    robust : float, optional
        Scale of the kernel in units of `noise`.

    Returns
    -------
    (K,) float64
        In the unit of the data (not in standard deviations).
    """
    x = np.asarray(values, np.float64) - components.mean
    mask = np.ones(len(x), bool) if observed is None else np.asarray(observed, bool)
    modes, rest = components.modes[:, mask], x[mask]
    prior = (noise / np.maximum(components.sigma, 1e-12)) ** 2
    weight = np.ones(len(rest))
    coefficients = np.zeros(len(modes))
    for _ in range(1 if robust is None else 10):
        normal = (modes * weight) @ modes.T + np.diag(prior)
        coefficients = np.linalg.solve(normal, modes @ (weight * rest))
        if robust is not None:
            weight = 1 / (1 + ((rest - coefficients @ modes) / (robust * noise)) ** 2)
    return coefficients
