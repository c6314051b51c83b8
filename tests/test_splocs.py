"""Sparse localised components: planted ones, constraints, objective, bounds."""

from __future__ import annotations

import numpy as np
import pytest

from synth.errors import AssetError, ShapeError, UsageError
from synth.morphable.splocs import (
    SplocsSettings,
    load_components,
    sparse_components,
)
from synth.morphable.splocs_steps import constrained, improve_weights, objective, shrunk

SIDE, SIZE = 17, 100.0
#: Grid places of the middles of planted components, and how far they reach.
MIDDLES, REACH = ((3, 3), (3, 13), (13, 3), (13, 13)), 22.0


def grid() -> tuple[np.ndarray, np.ndarray]:
    axis = np.linspace(0, SIZE, SIDE)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), 3 * np.sin(x.ravel() / 30)], 1)
    i, j = np.meshgrid(np.arange(SIDE - 1), np.arange(SIDE - 1), indexing="ij")
    a = (i * SIDE + j).ravel()
    faces = np.concatenate(
        [np.stack([a, a + SIDE, a + SIDE + 1], 1), np.stack([a, a + SIDE + 1, a + 1], 1)]
    )
    return vertices, faces


def planted(signed: bool, seed: int = 0, frames: int = 60):
    """Offsets of four bumps that do not touch, the bumps, and their weights."""
    rng = np.random.default_rng(seed)
    vertices, faces = grid()
    bumps = []
    for i, j in MIDDLES:
        away = np.linalg.norm(vertices[:, :2] - vertices[i * SIDE + j, :2], axis=1)
        height = np.where(away < REACH, np.cos(np.pi / 2 * np.minimum(away / REACH, 1)) ** 2, 0)
        direction = rng.standard_normal(3)
        bumps.append(5 * height[:, None] * direction / np.linalg.norm(direction))
    w = rng.uniform(-1 if signed else 0, 1, (frames, 4))
    w *= rng.uniform(size=w.shape) < 0.6
    w /= np.abs(w).max(0)
    bumps = np.array(bumps)
    return np.einsum("fk,kvd->fvd", w, bumps), vertices, faces, bumps, w


SETTINGS = SplocsSettings(support=(24.0, 50.0), sparsity=1.0)


@pytest.mark.parametrize("constraint", ["signed", "non-negative"])
def test_planted_components_are_found(constraint):
    signed = constraint == "signed"
    x, shape, faces, bumps, w = planted(signed)
    found = sparse_components(
        x, shape, faces, 4, SplocsSettings(constraint, support=(24.0, 50.0), sparsity=1.0)
    )
    for bump in bumps:
        alike = [
            abs(float((c * bump).sum())) / np.linalg.norm(c) / np.linalg.norm(bump)
            for c in found.components
        ]
        assert max(alike) > 0.999
    match = [int(np.argmax([abs((c * b).sum()) for c in found.components])) for b in bumps]
    assert sorted(match) == [0, 1, 2, 3]
    for k, bump, true in zip(match, bumps, w.T, strict=True):
        sign = np.sign((found.components[k] * bump).sum())
        np.testing.assert_allclose(sign * found.weights[:, k], true, atol=0.05)
        assert np.abs(sign * found.components[k] - bump).max() < 0.25
    # nothing of one bump is in the place of another
    for k, i in zip(match, range(4), strict=True):
        others = np.any([np.abs(bumps[j]).sum(1) > 0 for j in range(4) if j != i], axis=0)
        assert np.abs(found.components[k][others]).max() < 1e-3
    assert np.abs(found.offsets() - x).max() < 0.3
    assert found.still() > 0.7


@pytest.mark.parametrize("constraint", ["signed", "non-negative"])
def test_constraint_holds_exactly(constraint):
    rng = np.random.default_rng(3)
    x, shape, faces, *_ = planted(True, 4)
    x = x + rng.normal(0, 0.3, x.shape)
    found = sparse_components(x, shape, faces, 9, SplocsSettings(constraint, iterations=6))
    assert (np.abs(found.weights).max(0) == 1).all()
    if constraint == "non-negative":
        assert (found.weights >= 0).all() and (found.weights.max(0) == 1).all()


@pytest.mark.parametrize("constraint", ["signed", "non-negative"])
@pytest.mark.parametrize("strict", [False, True])
def test_objective_never_rises(constraint, strict):
    rng = np.random.default_rng(5)
    x, shape, faces, *_ = planted(True, 6)
    x = x + rng.normal(0, 0.4, x.shape)
    settings = SplocsSettings(
        constraint, sparsity=3.0, strict=strict, iterations=12, settle=4, tolerance=0.0
    )
    found = sparse_components(x, shape, faces, 8, settings)
    before, after = found.history.T
    assert len(before) == 12
    assert (after <= before * (1 + 1e-9)).all()
    # once the middles stay, every turn starts where the last ended
    np.testing.assert_allclose(before[5:], after[4:-1], rtol=1e-9)
    assert after[-1] < after[0]


def test_no_better_than_principal_components_and_exact_with_enough():
    rng = np.random.default_rng(7)
    x, shape, faces, *_ = planted(True, 8, 30)
    x = x + rng.normal(0, 0.3, x.shape)
    flat = x.reshape(len(x), -1)
    values = np.linalg.svd(flat, compute_uv=False)
    last = np.inf
    for count in (2, 5, 12):
        found = sparse_components(x, shape, faces, count, SETTINGS)
        error = float(((found.offsets() - x) ** 2).sum())
        assert error >= float((values[count:] ** 2).sum()) * (1 - 1e-9)
        assert error < last
        last = error


def test_nothing_moves_outside_a_strict_support():
    from synth.meshes.geodesic import Geodesics

    x, shape, faces, *_ = planted(True, 9)
    x = x + np.random.default_rng(0).normal(0, 0.5, x.shape)
    settings = SplocsSettings(support=(10.0, 30.0), sparsity=0.5, strict=True, iterations=8)
    found = sparse_components(x, shape, faces, 6, settings)
    away = Geodesics(shape, faces).distances(found.centers)
    for component, distance in zip(found.components, away, strict=True):
        assert (component[distance >= 30] == 0).all()
        assert (component[distance < 10] != 0).any()


def test_more_sparsity_leaves_more_still():
    x, shape, faces, *_ = planted(True, 10)
    x = x + np.random.default_rng(1).normal(0, 0.3, x.shape)
    still = [
        sparse_components(
            x, shape, faces, 4, SplocsSettings(sparsity=s, support=(5.0, 30.0), iterations=12)
        ).still()
        for s in (0.1, 5.0, 50.0)
    ]
    assert still[0] < still[1] < still[2]


# ------------------------------------------------------------------------------- the steps
def test_nearest_constrained_weights_are_the_nearest():
    rng = np.random.default_rng(11)
    for signed in (True, False):
        for _ in range(30):
            weights = rng.normal(0, 0.8, 4)
            got = constrained(weights, signed)
            assert (np.abs(got) if signed else got).max() == 1
            assert signed or got.min() >= 0
            tried = rng.uniform(-1 if signed else 0, 1, (3000, 4))
            tried[np.arange(3000), rng.integers(0, 4, 3000)] = 1
            if signed:
                tried *= rng.choice([-1, 1], (3000, 4))
            assert ((tried - weights) ** 2).sum(1).min() >= ((got - weights) ** 2).sum() - 1e-12


def test_shrinking_is_the_proximal_map_of_the_length():
    rng = np.random.default_rng(12)
    c, amount = rng.normal(size=(1, 40, 3)), rng.uniform(0, 2, (1, 40))
    got = shrunk(c, amount)

    def cost(y: np.ndarray) -> np.ndarray:
        return 0.5 * ((y - c) ** 2).sum(2) + amount * np.linalg.norm(y, axis=2)

    for _ in range(50):
        other = got + rng.normal(0, 0.1, got.shape)
        assert (cost(other) >= cost(got) - 1e-12).all()
    assert (shrunk(c, np.full((1, 40), np.inf)) == 0).all()


def test_weights_improve_one_after_the_other():
    rng = np.random.default_rng(13)
    x, c = rng.normal(size=(20, 30)), rng.normal(size=(5, 10, 3))
    w = np.apply_along_axis(constrained, 0, rng.normal(size=(20, 5)), True)
    penalty = rng.uniform(0, 3, (5, 10))
    square = float((x**2).sum())
    before = objective(square, x, w, c, penalty)
    direct = float(((x - w @ c.reshape(5, -1)) ** 2).sum())
    direct += float((penalty * np.linalg.norm(c, axis=2)).sum())
    assert before == pytest.approx(direct)
    w2, c2 = improve_weights(x, w, c, penalty, True)
    assert objective(square, x, w2, c2, penalty) < before
    assert (np.abs(w2).max(0) == 1).all()


# ------------------------------------------------------------------------- file and refusals
def test_saved_components_are_the_same(tmp_path):
    x, shape, faces, *_ = planted(True)
    found = sparse_components(x, shape, faces, 3, SplocsSettings(iterations=3))
    found.save(tmp_path / "c.npz")
    again = load_components(tmp_path / "c.npz")
    np.testing.assert_array_equal(again.components, found.components)
    assert (again.constraint, again.strict, again.sparsity) == ("signed", False, 2.4)
    np.testing.assert_allclose(again.offsets(), found.offsets())
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("other.npz", "none.npz"):
        with pytest.raises(AssetError, match="expected a file of synth model components"):
            load_components(tmp_path / name)


def test_impossible_requests_are_refused():
    x, shape, faces, *_ = planted(True)
    with pytest.raises(UsageError, match="expected 1 to 60 for 60 frames, got 61"):
        sparse_components(x, shape, faces, 61)
    with pytest.raises(ShapeError, match="differ"):
        sparse_components(np.zeros_like(x), shape, faces, 2)
    with pytest.raises(ShapeError, match="shape: expected"):
        sparse_components(x, shape[:-1], faces, 2)
    with pytest.raises(UsageError, match="constraint: expected signed or non-negative"):
        SplocsSettings("positive")
    with pytest.raises(UsageError, match="support: expected 0 <= MIN < MAX"):
        SplocsSettings(support=(30.0, 10.0))
