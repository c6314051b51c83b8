"""Robust PCA: known low rank, gross errors and gaps are recovered."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from synth.errors import ShapeError
from synth.morphable.robust_pca import (
    Components,
    _shrunk,
    principal_components,
    project,
    robust_pca,
)


@pytest.fixture(scope="module")
def split():
    """Data (120, 400) of rank 4 with 6 % gross errors and 15 % missing."""
    rng = np.random.default_rng(3)
    low = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 400))
    sparse = np.where(rng.random(low.shape) < 0.06, rng.uniform(-20, 20, low.shape), 0)
    observed = rng.random(low.shape) > 0.15
    return low, sparse, observed


@pytest.fixture(scope="module")
def pursued(split):
    low, sparse, observed = split
    data = np.where(observed, low + sparse, np.nan)
    return robust_pca(data, observed, tolerance=1e-7, iterations=400)


def test_low_rank_is_recovered_under_errors_and_gaps(split, pursued):
    low, _, observed = split
    error = np.linalg.norm(pursued.low_rank - low) / np.linalg.norm(low)
    assert pursued.rank == 4
    assert error < 0.005
    hidden = ~observed
    assert np.linalg.norm((pursued.low_rank - low)[hidden]) < 0.01 * np.linalg.norm(low[hidden])


def test_errors_are_found_where_they_are(split, pursued):
    _, sparse, observed = split
    large = observed & (np.abs(sparse) > 2)
    assert np.allclose(pursued.sparse[large], sparse[large], atol=0.2)
    assert (pursued.sparse[~observed] == 0).all()
    clean = observed & (sparse == 0)
    assert np.mean(np.abs(pursued.sparse[clean]) > 0.1) < 0.005
    assert pursued.residual < 1e-7


def test_tall_and_wide_agree(split):
    low, sparse, observed = split
    wide = robust_pca(low + sparse, observed)
    tall = robust_pca((low + sparse).T, observed.T)
    assert np.allclose(wide.low_rank, tall.low_rank.T, atol=1e-6)


def test_plain_components_are_bent_by_what_robust_ones_ignore(split, pursued):
    low, sparse, observed = split
    truth = np.linalg.svd(low - low.mean(0), full_matrices=False)[2][:4]
    filled = np.where(observed, low + sparse, 0)
    plain = principal_components(filled).keep(4).modes
    robust = principal_components(pursued.low_rank).keep(4).modes
    assert np.degrees(subspace_angles(robust.T, truth.T).max()) < 1
    assert np.degrees(subspace_angles(plain.T, truth.T).max()) > 10


def test_shrinking_is_that_of_the_singular_values():
    rng = np.random.default_rng(0)
    for shape in ((20, 50), (50, 20)):
        x = rng.normal(size=shape)
        u, s, v = np.linalg.svd(x, full_matrices=False)
        got, rank = _shrunk(x, 5.0)
        assert np.allclose(got, (u * np.maximum(s - 5, 0)) @ v)
        assert rank == (s > 5).sum()


def test_nothing_but_zeros():
    assert robust_pca(np.zeros((4, 6))).rank == 0


@pytest.mark.parametrize(
    "data, observed, said",
    [
        (np.ones((3, 4)), np.ones((3, 3), bool), "observed: expected"),
        (np.ones((3, 4)), np.zeros((3, 4), bool), "nothing observed"),
        (np.full((3, 4), np.nan), None, "NaN"),
    ],
)
def test_bad_input_is_refused(data, observed, said):
    with pytest.raises(ShapeError, match=said):
        robust_pca(data, observed)


def test_components_are_those_of_numpy():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 12)) * np.arange(1, 13)
    got = principal_components(x)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    assert np.allclose(got.sigma**2, values[::-1])
    assert np.allclose(np.abs(np.diag(got.modes @ vectors[:, ::-1])), 1)
    assert np.allclose(got.modes @ got.modes.T, np.eye(12))
    doubled = principal_components(np.concatenate((x, x[:5])))
    weighted = principal_components(x, 1 + (np.arange(30) < 5))
    assert np.allclose(doubled.mean, weighted.mean)
    assert np.allclose(doubled.sigma, weighted.sigma)


def test_few_samples_give_one_mode_less():
    assert len(principal_components(np.random.default_rng(0).normal(size=(5, 40))).sigma) == 4


def test_coefficients_from_a_part_and_with_outliers():
    rng = np.random.default_rng(2)
    modes = np.linalg.qr(rng.normal(size=(300, 3)))[0].T
    parts = Components(rng.normal(size=300), modes, np.array([30.0, 20.0, 10.0]))
    truth = np.array([25.0, -18.0, 4.0])
    x = parts.mean + truth @ modes + 0.01 * rng.normal(size=300)
    seen = rng.random(300) > 0.5
    assert np.allclose(project(np.where(seen, x, 1e6), seen, parts, 0.01), truth, atol=0.05)
    x[:40] += 30
    plain, robust = project(x, None, parts, 0.1), project(x, None, parts, 0.1, robust=3)
    assert np.abs(robust - truth).max() < 0.1 < 2 < np.abs(plain - truth).max()
