"""Alignment, principal components and curves of meshes that stream by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.spatial.transform import Rotation

from synth.errors import MeshError, UsageError
from synth.meshes.collection import MeshCollection, open_collection
from synth.meshes.rigid import rotations
from synth.morphable.statistics import curves as curves_module
from synth.morphable.statistics.curves import measure_curves, mode_counts
from synth.morphable.statistics.figure import draw_curves
from synth.morphable.statistics.pca import choose_route, exact_memory, principal_components
from synth.morphable.statistics.people import People
from synth.morphable.statistics.procrustes import align

V, K = 70, 4
SIGMA = np.array([40.0, 28, 18, 9])


def cloud(rng: np.random.Generator) -> np.ndarray:
    mean = rng.normal(size=(V, 3)) * (45, 60, 40)
    return mean - mean.mean(0)


def free_modes(mean: np.ndarray, rng: np.random.Generator, count: int = K) -> np.ndarray:
    """Orthonormal directions without rigid motion or growth, which alignment would take."""
    rigid = [np.cross(axis, mean).ravel() for axis in np.eye(3)]
    rigid += [np.tile(axis, (V, 1)).ravel() for axis in np.eye(3)] + [mean.ravel()]
    columns = np.column_stack([*rigid, *rng.normal(size=(count, V * 3))])
    return np.linalg.qr(columns)[0][:, 7:].T


def stacked(path: Path, vertices: np.ndarray) -> MeshCollection:
    np.save(path, vertices)
    return open_collection(path)


def moved(vertices: np.ndarray, seed: int, keep_first: bool = True) -> np.ndarray:
    """Every mesh turned and shifted at random; the first stays, as it gives the frame."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(len(vertices), random_state=seed).as_matrix()
    shift = rng.normal(size=(len(vertices), 1, 3)) * 80
    if keep_first:
        turn[0], shift[0] = np.eye(3), 0
    return vertices @ turn + shift


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """(60, V, 3): a known low-rank model with a little noise."""
    rng = np.random.default_rng(1)
    mean = cloud(rng)
    drawn = rng.normal(size=(60, K)) * SIGMA
    meshes = mean + (drawn @ free_modes(mean, rng)).reshape(-1, V, 3)
    return meshes + 0.05 * rng.normal(size=meshes.shape)


@pytest.fixture(scope="module")
def people() -> People:
    return People.of([f"S{i // 2}" for i in range(50)] + ["last"] * 10, 60)


@pytest.fixture(scope="module")
def done(faces, people, tmp_path_factory):
    meshes = stacked(tmp_path_factory.mktemp("done") / "s.npy", moved(faces, 2))
    alignment = align(meshes, people.weights)
    return meshes, alignment, principal_components(meshes, alignment, people, modes=20)


def matrix(meshes, alignment) -> np.ndarray:
    """All aligned meshes minus the mean, (N, 3V)."""
    return alignment.rows(meshes.read(slice(None)), slice(0, len(meshes))).reshape(len(meshes), -1)


# ------------------------------------------------------------------------------ alignment
def test_rotations_are_the_nearest_proper_ones():
    rng = np.random.default_rng(0)
    points, turn = rng.normal(size=(9, 3)), Rotation.random(random_state=0).as_matrix()
    np.testing.assert_allclose(rotations(points.T @ (points @ turn)), turn, atol=1e-12)
    mirrored = points * (-1, 1, 1)
    found = rotations(points.T @ mirrored)
    assert np.linalg.det(found) == pytest.approx(1)
    best = np.sum((points @ found - mirrored) ** 2)
    for other in Rotation.random(300, random_state=3).as_matrix():
        assert np.sum((points @ other - mirrored) ** 2) >= best


def test_aligned_meshes_stay(tmp_path, faces):
    """Meshes that differ only by what alignment cannot take away are not moved."""
    rng = np.random.default_rng(4)
    mean = cloud(rng)
    pairs = (rng.normal(size=(8, K)) @ free_modes(mean, rng)).reshape(-1, V, 3)
    meshes = stacked(tmp_path / "s.npy", mean + np.concatenate([0 * pairs[:1], pairs, -pairs]))
    found = align(meshes, np.full(17, 1 / 17))
    np.testing.assert_allclose(found.rotations, np.broadcast_to(np.eye(3), (17, 3, 3)), atol=2e-6)
    np.testing.assert_allclose(found.mean, mean, atol=1e-4)


def test_rigid_motion_of_the_meshes_changes_nothing(tmp_path, faces, people):
    models = []
    for seed in (2, 3):
        meshes = stacked(tmp_path / f"{seed}.npy", moved(faces, seed))
        found = align(meshes, people.weights)
        models.append((found.mean, principal_components(meshes, found, people, modes=4)))
    (first, a), (second, b) = models
    np.testing.assert_allclose(first, second, atol=2e-5)
    np.testing.assert_allclose(a.sigma, b.sigma, rtol=1e-6)
    np.testing.assert_allclose(a.modes, b.modes, atol=2e-4)


def test_converges_to_a_fixed_point_in_few_passes(done, people):
    meshes, found, _ = done
    assert found.passes <= 5 and found.change <= 1e-8
    rows = matrix(meshes, found)
    np.testing.assert_allclose(people.weights @ rows, 0, atol=1e-10)
    np.testing.assert_allclose(
        found.distances, np.sqrt((rows**2).sum(1) / V), rtol=1e-5
    )  # to the mean of the pass before
    # Each mesh is turned as well as it can be onto the mean.
    again = rotations(
        np.matmul((rows.reshape(-1, V, 3) + found.mean).transpose(0, 2, 1), found.mean)
    )
    np.testing.assert_allclose(again, np.broadcast_to(np.eye(3), again.shape), atol=1e-7)


def test_scale(tmp_path, faces):
    sizes = np.random.default_rng(5).uniform(0.8, 1.2, 60)
    meshes = stacked(tmp_path / "s.npy", moved(faces * sizes[:, None, None], 2))
    even = np.full(60, 1 / 60)
    found = align(meshes, even, scale=True)
    ratio = found.scales * sizes
    assert ratio.std() / ratio.mean() < 0.02
    # All meshes together stay as large as they were.
    raw = meshes.read(slice(None)).astype(np.float64)
    raw -= raw.mean(1, keepdims=True)
    aligned = matrix(meshes, found) + found.mean.ravel()
    assert (aligned**2).sum() == pytest.approx((raw**2).sum(), rel=1e-9)
    assert (align(meshes, even).scales == 1).all()


def test_a_point_is_no_face(tmp_path, faces):
    broken = faces.copy()
    broken[7] = 3.0
    with pytest.raises(MeshError, match="one point in '000007'"):
        align(stacked(tmp_path / "s.npy", broken), np.full(60, 1 / 60))


# ----------------------------------------------------------------------------- components
def test_truth_is_recovered(tmp_path):
    rng = np.random.default_rng(6)
    mean = cloud(rng)
    basis = free_modes(mean, rng)
    drawn = rng.normal(size=(3000, K)) * SIGMA
    drawn[0] = 0  # the first mesh gives the frame
    meshes = stacked(tmp_path / "s.npy", moved(mean + (drawn @ basis).reshape(-1, V, 3), 7))
    everyone = People.of(None, 3000)
    found = principal_components(meshes, align(meshes, everyone.weights), everyone)
    assert len(found.modes) == K and found.route == "covariance"
    np.testing.assert_allclose(found.sigma, SIGMA, rtol=0.05)
    unit = found.modes.reshape(K, -1) / found.sigma[:, None]
    assert np.degrees(subspace_angles(unit.T, basis.T)).max() < 1.5
    for mode, true in zip(unit, basis, strict=True):
        assert abs(mode @ true) > 0.99


def test_same_as_a_decomposition_in_memory(done, people):
    meshes, alignment, found = done
    rows = matrix(meshes, alignment) * np.sqrt(people.weights * people.unbiased)[:, None]
    _, values, basis = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(found.sigma, values[:20], rtol=1e-9)
    np.testing.assert_allclose(found.total, (values**2).sum(), rtol=1e-12)
    unit = found.modes.reshape(20, -1) / found.sigma[:, None]
    assert (np.abs(np.einsum("kd,kd->k", unit, basis[:20])) > 1 - 1e-6).all()
    largest = np.take_along_axis(unit, np.abs(unit).argmax(1)[:, None], 1)
    assert (largest > 0).all()
    # Coefficients and what they leave are those of the meshes.
    plain = matrix(meshes, alignment)
    np.testing.assert_allclose(found.coefficients[:, :20], plain @ unit.T, atol=1e-3)
    left = plain - (plain @ basis[:20].T) @ basis[:20]
    np.testing.assert_allclose(found.residuals, np.sqrt((left**2).sum(1) / V), atol=1e-7)


@pytest.mark.parametrize("route", ["gram", "covariance", "incremental"])
@pytest.mark.parametrize("memory", [1 << 30, 3 << 20])
def test_ways_and_blocks_agree(done, people, route, memory):
    meshes, alignment, found = done
    other = principal_components(meshes, alignment, people, modes=20, route=route, memory=memory)
    np.testing.assert_allclose(other.sigma, found.sigma, rtol=1e-8)
    np.testing.assert_allclose(other.modes, found.modes, atol=1e-5)
    np.testing.assert_allclose(other.coefficients[:, :20], found.coefficients[:, :20], atol=1e-6)
    np.testing.assert_allclose(other.squares, found.squares, rtol=1e-10)


def test_incremental_where_memory_is_short(done, people):
    """With room for 12 components it finds the four that matter."""
    meshes, alignment, found = done
    room = 12 * 8 * V * 3 * 6
    other = principal_components(
        meshes, alignment, people, modes=K, route="incremental", memory=room
    )
    assert len(other.variances) == 12
    np.testing.assert_allclose(other.sigma, found.sigma[:K], rtol=1e-4)
    assert other.total == pytest.approx(found.total, rel=1e-9)


def test_block_of_the_alignment_does_not_matter(done, people):
    meshes, alignment, _ = done
    other = align(meshes, people.weights, block=1)
    np.testing.assert_allclose(other.mean, alignment.mean, atol=1e-9)
    np.testing.assert_allclose(other.rotations, alignment.rotations, atol=1e-9)


def test_how_many_modes(done, people):
    meshes, alignment, _ = done
    for share in (0.5, 0.9, 0.995, 1.0):
        found = principal_components(meshes, alignment, people, variance=share)
        sums = np.cumsum(found.variances) / found.total
        k = len(found.modes)
        assert found.kept == pytest.approx(sums[k - 1])
        assert sums[k - 1] >= share - 1e-9 and (k == 1 or sums[k - 2] < share)


def test_subjects_count_alike(tmp_path, faces):
    """A subject with its only mesh five times over changes nothing."""
    once = stacked(tmp_path / "a.npy", faces)
    again = stacked(tmp_path / "b.npy", np.concatenate([faces, faces[[3] * 4]]))
    subjects = [*range(60), 3, 3, 3, 3]
    results = []
    for meshes, who in ((once, subjects[:60]), (again, subjects)):
        crowd = People.of(who, len(meshes))
        alignment = align(meshes, crowd.weights)
        results.append((alignment.mean, principal_components(meshes, alignment, crowd, modes=4)))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-9)
    np.testing.assert_allclose(results[0][1].sigma, results[1][1].sigma, rtol=1e-9)


def test_route_by_size():
    assert choose_route(10_000, 20_000) == "gram"
    assert choose_route(100_000, 1_000) == "covariance"
    assert choose_route(100_000, 20_000) == "incremental"
    for sizes in ((20_000, 20_000), (100_000, 5_000)):
        room = exact_memory(*sizes)
        assert choose_route(*sizes, room) != "incremental"
        assert choose_route(*sizes, room - 1) == "incremental"


def test_impossible_wishes(tmp_path, done, people, faces):
    meshes, alignment, _ = done
    for wish in ({"variance": 0}, {"variance": 1.1}, {"modes": 60}, {"route": "svd"}):
        with pytest.raises(UsageError):
            principal_components(meshes, alignment, people, **wish)
    equal = stacked(tmp_path / "s.npy", faces[[0] * 5])
    five = People.of(None, 5)
    with pytest.raises(MeshError, match="expected meshes that differ"):
        principal_components(equal, align(equal, five.weights), five)


# --------------------------------------------------------------------------------- curves
def naive_fold(rows, index, out, k):
    """Error of each subject left out (RMS, mm), of a model built anew from the others."""
    train, who = rows[~out], index[~out]
    counts = np.bincount(who)
    weights = 1 / counts[who] / len(set(who))
    mean = weights @ train
    basis = np.linalg.svd((train - mean) * np.sqrt(weights)[:, None], full_matrices=False)[2][:k]
    left = rows[out] - mean
    left = left - left @ basis.T @ basis
    return np.sqrt((left**2).sum(1) / V), mean, basis


def test_generalisation_is_that_of_models_built_anew(done, people):
    meshes, alignment, found = done
    curves = measure_curves(found, people, folds=4, seed=3)
    rng = np.random.default_rng(3)
    fold_of = rng.permutation(np.arange(people.count) % 4)[people.index]
    rows = matrix(meshes, alignment)
    for place in (0, 2, 9):
        errors = np.empty(60)
        shares = []
        for fold in range(4):
            out = fold_of == fold
            errors[out], mean, _ = naive_fold(rows, people.index, out, int(curves.modes[place]))
            alone = people.part(out).weights
            before = ((rows[out] - mean) ** 2).sum(1)
            shares.append(1 - (alone @ errors[out] ** 2 * V) / (alone @ before))
        by_subject = people.means(errors)
        assert curves.generalisation.value[place] == pytest.approx(by_subject.mean(), rel=1e-6)
        wide = 1.96 * by_subject.std(ddof=1) / np.sqrt(people.count)
        assert curves.generalisation.high[place] == pytest.approx(
            by_subject.mean() + wide, rel=1e-5
        )
        assert curves.held_out.low[place] == pytest.approx(min(shares), rel=1e-6)
        assert curves.held_out.high[place] == pytest.approx(max(shares), rel=1e-6)


def test_specificity_is_the_distance_to_the_nearest_mesh(done):
    """Of faces drawn in full and compared vertex by vertex."""
    meshes, alignment, found = done
    rows = matrix(meshes, alignment)
    inside, mean = found.coefficients, found.coefficients.mean(0)
    _, axes, variances = curves_module._model(inside, People.of(None, 60), 4)
    outside = found.squares - (inside**2).sum(1)
    counts = np.array([1, 2, 4])
    near = curves_module._nearest(
        inside - mean, outside, axes, variances, counts, 5, np.random.default_rng(8)
    )
    drawn = np.random.default_rng(8).normal(size=(5, 4)) * np.sqrt(variances)
    basis = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2]
    unit = basis[: inside.shape[1]]
    # The axes in coordinates, through the components of all meshes.
    to_rows = np.linalg.lstsq(inside, rows, rcond=None)[0]
    for place, k in enumerate(counts):
        made = rows.mean(0) + drawn[:, :k] @ (axes.T @ to_rows)[:k]
        distances = ((made[:, None] - rows[None]) ** 2).sum(2).min(1)
        np.testing.assert_allclose(near[:, place], distances, rtol=1e-6)
    assert unit.shape[0] == inside.shape[1]


def test_compactness_is_the_sum_of_variances(done, people):
    _, _, found = done
    curves = measure_curves(found, people)
    np.testing.assert_allclose(
        curves.compactness, (np.cumsum(found.sigma**2) / found.total)[curves.modes - 1]
    )
    assert (np.diff(curves.compactness) > 0).all() and curves.compactness[-1] <= 1
    assert (np.diff(curves.generalisation.value) <= 1e-12).all()
    assert (np.diff(curves.held_out.value) >= -1e-12).all()
    assert (np.diff(curves.specificity.value) > -0.02 * curves.specificity.value[0]).all()
    for curve in (curves.held_out, curves.generalisation, curves.specificity):
        assert (curve.low <= curve.value + 1e-12).all()
        assert (curve.value <= curve.high + 1e-12).all()


def test_leading_axes_of_large_folds(done, people, monkeypatch):
    """Found by iteration, the curves are those of all eigenvectors."""
    _, _, found = done
    whole = measure_curves(found, people)
    monkeypatch.setattr(curves_module, "DIRECT", 10)
    other = measure_curves(found, people)
    for name in ("held_out", "generalisation", "specificity"):
        for part in ("value", "low", "high"):
            np.testing.assert_allclose(
                getattr(getattr(other, name), part), getattr(getattr(whole, name), part), rtol=1e-6
            )


def test_curves_of_leading_components_alone(done, people):
    """What was not found counts as not reached; near, and not better by much."""
    meshes, alignment, found = done
    part = principal_components(
        meshes, alignment, people, modes=K, route="incremental", memory=12 * 8 * V * 3 * 6
    )
    assert part.coefficients.shape[1] == 12
    whole, other = measure_curves(found, people), measure_curves(part, people)
    for name in ("held_out", "generalisation", "specificity"):
        value = getattr(whole, name).value[:K]
        np.testing.assert_allclose(getattr(other, name).value, value, rtol=0.1)


def test_folds_leave_out_subjects(done):
    """Copies of a mesh under one name are left out together, so that none gives away another."""
    _, _, found = done
    with pytest.raises(UsageError, match="at least 3 subjects"):
        measure_curves(found, People.of([0, 1] * 30, 60))
    with pytest.raises(UsageError, match="at least 2"):
        measure_curves(found, People.of(None, 60), folds=1)
    assert measure_curves(found, People.of([0, 1, 2] * 20, 60), folds=5).folds == 3


@pytest.mark.parametrize("folds", [2, 5])
def test_fewest_meshes(tmp_path, faces, folds):
    meshes = stacked(tmp_path / "s.npy", faces[[0, 1, 1]])  # two equal ones among them
    three = People.of(None, 3)
    found = principal_components(meshes, align(meshes, three.weights), three)
    curves = measure_curves(found, three, folds=folds)
    assert curves.folds == 3 and curves.modes.tolist() == [1]
    for curve in (curves.held_out, curves.generalisation, curves.specificity):
        assert np.isfinite([curve.value, curve.low, curve.high]).all()


def test_curves_are_the_same_again(done, people):
    _, _, found = done
    first, second = (measure_curves(found, people, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.specificity.value, second.specificity.value)
    other = measure_curves(found, people, seed=5)
    assert not np.array_equal(first.specificity.value, other.specificity.value)


def test_numbers_of_modes():
    assert mode_counts(7).tolist() == [1, 2, 3, 4, 5, 6, 7]
    many = mode_counts(400)
    assert many[0] == 1 and many[-1] == 400 and len(many) <= 30 and (np.diff(many) > 0).all()


@pytest.mark.parametrize("modes", [1, 2, 20])
def test_picture(done, people, modes):
    meshes, alignment, _ = done
    found = principal_components(meshes, alignment, people, modes=modes)
    picture = draw_curves(measure_curves(found, people), "60 meshes")
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    blue = (np.abs(picture.astype(int) - (0, 114, 178)).sum(2) < 30).any(0)
    panels = np.array_split(blue, 3)  # something is drawn in each
    assert all(panel.any() for panel in panels)
