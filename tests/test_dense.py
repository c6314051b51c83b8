"""The dense fit: derivatives, projecting out, visibility, known truth; expression weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.acceptance import Limits
from synth.camera import project, rotation_matrix
from synth.errors import MeshError, SkipPhoto, UsageError
from synth.fitting import FitSettings, fit_camera_and_shape, fit_face
from synth.fitting.dense import DenseSettings, fit_dense, visible_samples
from synth.fitting.energy import Energy, State
from synth.fitting.expression import expression_amount, fit_expression, shown_blendshapes
from synth.fitting.local import local_modes
from synth.fitting.photo import fit_photo
from synth.morphable.features import sample_features
from synth.morphable.native import topology_digest
from synth.morphable.surface_samples import face_samples
from synth.morphable.texture import TextureModel, feature_image
from synth.settings import Settings
from synth.testing import synthetic_face
from synth.types import Landmarks, inter_ocular

SIZE = 208


@pytest.fixture(scope="module")
def texture(model) -> TextureModel:
    """Of four painted faces, seen exactly where their meshes lie."""
    faces, bary = face_samples(model, 0.06)
    blank = TextureModel(
        "painted", "1", "orientations", 70.0, faces, bary,
        np.zeros((len(faces), 8), np.float32), np.zeros((1, len(faces), 8), np.float32),
        np.ones(1), 0.1, topology_digest(model.faces),
    )  # fmt: skip
    rows = []
    for seed in range(4):
        image, landmarks, truth = synthetic_face(model, _identity(model, seed), size=SIZE)
        features, matrix = feature_image(image.pixels, landmarks.points, blank)
        at = blank.positions(model.faces, project(truth.vertices, truth.camera))[:, :2]
        rows.append(sample_features(features, at @ matrix[:, :2].T + matrix[:, 2])[0])
    mean = np.mean(rows, 0)
    _, size, modes = np.linalg.svd((np.array(rows) - mean).reshape(4, -1), full_matrices=False)
    return replace(
        blank,
        mean=mean,
        modes=modes[:3].reshape(3, *mean.shape).astype(np.float32),
        sigma=size[:3] / 2,
    )


def _identity(model, seed):
    return 0.7 * np.random.default_rng(seed).standard_normal(model.n_modes)


def _noisy(landmarks, seed):
    noise = np.random.default_rng(seed).standard_normal((68, 2))
    return landmarks.points + 0.045 * landmarks.inter_ocular * noise


def _problem(model, texture, shown=()):
    image, landmarks, truth = synthetic_face(model, _identity(model, 9), 10, size=SIZE)
    points = _noisy(landmarks, 0)
    blend = shown_blendshapes(model)
    blend = blend.only(np.isin(blend.index, [model.blendshape_names.index(n) for n in shown]))
    problem = Energy(image.pixels, points, model, texture, DenseSettings(), FitSettings(), blend)
    extra = np.zeros(len(problem.samples.mark_modes) + len(shown))
    state = State(
        rotation_matrix(truth.camera), truth.camera.translation,
        float(np.log(truth.camera.focal)), np.concatenate((truth.shape, extra)),
    )  # fmt: skip
    problem.refresh(state)
    return problem, state


@pytest.mark.parametrize("shown", [(), ("mouthSmileLeft", "browInnerUp")])
def test_gradient_is_that_of_the_cost(model, texture, shown):
    problem, state = _problem(model, texture, shown)
    _, gradient = problem.normal_equations(state)
    rng = np.random.default_rng(1)
    for _ in range(4):
        step = rng.standard_normal(len(gradient)) * 1e-3
        step[7:] *= 10
        slope = problem.cost(state.stepped(step)) - problem.cost(state.stepped(-step))
        # The cost counts each square once, the gradient half of its derivative; slopes of
        # features are taken over a pixel.
        assert slope / 4 == pytest.approx(gradient @ step, rel=0.15, abs=0.02)


def test_texture_modes_cost_nothing(model, texture):
    """Project-out: adding any texture to what is seen leaves cost and gradient."""
    problem, state = _problem(model, texture)
    cost, gradient = problem.cost(state), problem.normal_equations(state)[1]
    shift = problem.basis @ np.array([0.5, -1.0, 0.3], np.float32)
    problem.target = problem.target + shift
    assert problem.cost(state) == pytest.approx(cost, rel=1e-4)
    np.testing.assert_allclose(
        problem.normal_equations(state)[1], gradient, atol=1e-3 * np.abs(gradient).max()
    )


def test_normal_matrix_against_naive(model, texture):
    """Two rows a sample give what all channels give."""
    problem, state = _problem(model, replace(texture, modes=texture.modes * 0))
    normal, _ = problem.normal_equations(state)
    step = 0.5
    focal = np.exp(state.log_focal)
    seen = state.seen(problem.mean, problem.modes)

    def values(at):
        return sample_features(problem.features, at)[0]

    from synth.fitting.landmarks import projection_jacobian

    at, _ = problem.sampled(seen, focal)
    slope = np.stack([values(at + d) - values(at - d) for d in step * np.eye(2)], 2)
    places = projection_jacobian(seen, state.rotation, state.translation, problem.modes, focal)
    full = np.einsum("ncx,xy,nyp->ncp", slope, problem.matrix[:, :2], places)
    dense = np.einsum("n,ncp,ncq->pq", problem.weight, full, full)
    zero = np.zeros(len(normal))
    only = problem._add_marks(state, np.zeros_like(normal), zero)[0]
    only[7:, 7:] += np.eye(len(only) - 7)
    only[6, 6] += problem.focal
    np.testing.assert_allclose(normal - only, dense, atol=1e-3 * np.abs(dense).max())


def aligned(source, target):
    """`source` moved and scaled onto `target`."""
    a, b = source - source.mean(0), target - target.mean(0)
    return a * (a * b).sum() / (a**2).sum() + target.mean(0)


def _far(model, texture, yaw, seed):
    """Distance of both fits from the truth in the picture, inner landmarks, pixels."""
    image, landmarks, truth = synthetic_face(model, _identity(model, seed), yaw, size=SIZE)
    points = _noisy(landmarks, seed)
    camera, shape, _ = fit_camera_and_shape(points, (SIZE, SIZE), model)
    view, _, vertices, _ = fit_dense(image.pixels, points, model, texture, camera, shape)
    inner = slice(17, 68)
    want = model.landmarks(project(truth.vertices, truth.camera))[inner, :2]
    before = model.landmarks(project(model.shape(shape), camera))[inner, :2]
    after = model.landmarks(project(vertices, view))[inner, :2]
    return [np.linalg.norm(found - want, axis=1).mean() for found in (before, after)]


def test_dense_is_nearer_than_landmarks(model, texture):
    found = [_far(model, texture, yaw, seed) for yaw, seed in ((0, 11), (0, 13))]
    before, after = np.mean(found, axis=0)
    assert after < 0.95 * before


def test_repeated_fits_are_the_same(model, texture):
    image, landmarks, _ = synthetic_face(model, 3, size=SIZE)
    start = fit_camera_and_shape(landmarks.points, (SIZE, SIZE), model)[:2]
    settings = DenseSettings(iterations=3)
    a, b = (
        fit_dense(image.pixels, landmarks.points, model, texture, *start, settings)
        for _ in range(2)
    )
    np.testing.assert_array_equal(a[2], b[2])


def test_far_side_is_hidden(model, texture):
    _, _, front = synthetic_face(model, np.zeros(1), 0, size=64)
    _, _, turned = synthetic_face(model, np.zeros(1), 60, size=64)
    _, _, other = synthetic_face(model, np.zeros(1), -60, size=64)
    ahead, left, right = (
        visible_samples(model, texture, f.vertices, f.camera) for f in (front, turned, other)
    )
    side = texture.positions(model.faces, model.mean)[:, 0]
    assert ahead.mean() > 0.8
    assert left.mean() < 0.75 * ahead.mean()
    assert left[side < -30].mean() > 0.7 > 0.2 > left[side > 30].mean()
    half = len(side) // 2  # sample half + i mirrors sample i
    assert (left == np.concatenate((right[half:], right[:half]))).mean() > 0.97


def test_texture_of_another_mesh_is_refused(model, texture):
    image, landmarks, truth = synthetic_face(model, 0, size=64)
    with pytest.raises(MeshError, match="texture 'painted'"):
        fit_dense(
            image.pixels, landmarks.points, model, replace(texture, topology="0" * 64),
            truth.camera, truth.shape,
        )  # fmt: skip


def test_local_bumps_have_their_size(model):
    modes = local_modes(model)
    assert not modes[:, :, 2].any()
    unit = inter_ocular(model.landmarks(model.mean))
    spread = np.sqrt((modes.astype(float) ** 2).sum((0, 2)) / 2) / unit
    nose = model.mean[:, 2].argmax()
    assert 0.008 < spread[nose] < 0.0105
    back = model.mean[:, 2] < -100
    assert spread[back].max() < 0.005


def test_identity_and_smile_are_told_apart(model, texture):
    """With expression weights as unknowns the identity is nearer than without."""
    weights = model.weights({"mouthSmile": 0.7})
    image, landmarks, truth = synthetic_face(
        model, _identity(model, 4), size=SIZE, expression=weights
    )
    start = fit_camera_and_shape(landmarks.points, (SIZE, SIZE), model)[:2]
    camera, shape, shown = fit_expression(landmarks.points, (SIZE, SIZE), model, *start)
    plain = fit_dense(image.pixels, landmarks.points, model, texture, *start)
    joint = fit_dense(
        image.pixels, landmarks.points, model, texture, camera, shape, expression=shown
    )
    assert not plain.expression.any()
    assert (joint.expression >= 0).all() and (joint.expression <= 1).all()
    assert not joint.expression[shown == 0].any()
    smile = [model.blendshape_names.index(f"mouthSmile{side}") for side in ("Left", "Right")]
    assert joint.expression[smile].mean() > 0.25
    rest = model.landmarks(truth.vertices - model.offsets(weights))
    off = [
        np.linalg.norm((aligned(model.landmarks(v), rest) - rest)[48:68], axis=1).mean()
        for v in (plain.vertices, joint.vertices - model.offsets(joint.expression))
    ]
    assert off[1] < 0.8 * off[0]


# ------------------------------------------------------------------------ expression
def _smiling(model, amount, seed=0):
    weights = model.weights({"mouthSmile": amount})
    points = synthetic_face(model, _identity(model, seed), size=64, expression=weights)[1].points
    camera, shape, _ = fit_camera_and_shape(points, (64, 64), model)
    return fit_expression(points, (64, 64), model, camera, shape)[2]


def test_expression_follows_the_smile(model):
    index = model.blendshape_names.index("mouthSmileLeft")
    found = np.array([_smiling(model, amount) for amount in (0.0, 0.4, 0.8)])
    assert (found >= 0).all() and (found <= 1).all()
    assert found[0, index] < 0.1 < 0.2 < found[1, index] < found[2, index]
    sizes = [expression_amount(w, model) for w in found]
    assert sizes[0] < 0.012 and sizes[0] < sizes[1] < sizes[2]


def test_unseen_weights_stay_zero(model):
    found = _smiling(model, 0.8)
    unseen = [n.startswith(("eyeLook", "tongue", "cheekPuff")) for n in model.blendshape_names]
    assert not found[unseen].any()


def test_photo_fit_without_texture_is_the_landmark_fit(model):
    image, landmarks, _ = synthetic_face(model, 5, size=64)
    plain = fit_face(landmarks, (64, 64), model)
    found = fit_photo(image, landmarks, model)
    for name in ("shape", "vertices", "residual", "corrected", "pose"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))


def test_taking_the_expression_off_closes_the_smile(model):
    """Identity and expression fitted together: without weights the mouth is narrower."""
    weights = model.weights({"mouthSmile": 0.8})
    image, landmarks, truth = synthetic_face(model, _identity(model, 0), size=64)
    seen = model.landmarks(project(truth.vertices + model.offsets(weights), truth.camera))[:, :2]
    seen[:17] = landmarks.points[:17]
    fit = fit_photo(image, Landmarks(seen, "truth", landmarks.box), model, neutralise=True)
    rest = model.landmarks(fit.vertices - model.offsets(fit.expression))

    def wide(marks):
        return np.linalg.norm(marks[54] - marks[48])

    neutral, smiled = (
        wide(model.landmarks(v)) for v in (truth.vertices, truth.vertices + model.offsets(weights))
    )
    assert abs(wide(rest) - neutral) < 0.6 * (smiled - neutral)
    assert fit.corrected[27:].mean() < 0.006


# ------------------------------------------------------------------------- settings
def test_settings_refuse_what_does_not_fit():
    with pytest.raises(UsageError, match="fit: expected one of landmarks, dense"):
        Settings(fit="pixels")
    with pytest.raises(UsageError, match="texture: expected --fit dense"):
        Settings(texture="t.npz")


def test_too_much_of_a_smile_is_refused_with_its_weights(model, portrait):
    from synth.pipeline import Generator

    generator = Generator(neutralise=True, limits=Limits.neutralised())
    image, faces = generator.faces(portrait)
    points = faces[0].points.copy()
    points[55:60, 1] += 0.2 * faces[0].inter_ocular
    points[64:68, 1] += 0.2 * faces[0].inter_ocular
    with pytest.raises(SkipPhoto, match=r"mouth opening .* neutralised \(\w+ \d\.\d\d") as caught:
        generator.prepare(image, replace(faces[0], points=points))
    assert caught.value.reason == "NOT_NEUTRAL"


def test_neutralised_pictures(portrait):
    """Neutral is drawn too when a photo's expression is taken off, and the record says so."""
    from synth.pipeline import Generator

    plain = Generator(crop="face", size=96)
    generator = Generator(crop="face", size=96, neutralise=True, limits=Limits.neutralised())
    sample, before = generator.generate(portrait, "0,0"), plain.generate(portrait, "0,0")
    assert sample.record.neutralised and not before.record.neutralised
    assert sample.record.photo_expression and before.record.fit == "landmarks"
    assert sample.record.changed and not before.record.changed
    assert np.abs(sample.image.astype(int) - before.image).mean() < 4


def test_dense_pictures_with_the_embedded_texture(portrait):
    from synth.pipeline import Generator

    sample = Generator(crop="face", size=128, fit="dense").generate(portrait, "0.5,0.3")
    assert sample.record.fit == "dense" and any("texture" in n for n in sample.record.assets)


def test_dense_neutralised_sets_replay(samples, tmp_path):
    """What `synth augment` makes with these options, its records make again."""
    from click.testing import CliRunner

    from synth.augment.replay import replay
    from synth.cli import cli
    from synth.dataset.manifest import read_manifests
    from synth.dataset.provenance import read_rows

    args = ["augment", "-i", samples / "sample_1.jpg", "-o", tmp_path / "set", "--plan", "basic",
            "--count", 1, "--gates", "off", "--crop", "rafdb100", "--fit", "dense",
            "--neutralise"]  # fmt: skip
    result = CliRunner().invoke(cli, [str(arg) for arg in args])
    assert result.exit_code == 0, result.output
    root = tmp_path / "set"
    row = next(r for m in read_manifests(root) for r in read_rows(root, m.split, m.number))
    again = replay(root, row["key"])
    assert again.same and again.differences == ()
    assert '"fit":"dense"' in row["record"].replace(" ", "")
