"""The known-truth scans: what is said of them holds; the measures find planted errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from synth import assets
from synth.evaluation.scans_score import (
    face_difference,
    score_labels,
    score_model,
    score_registration,
)
from synth.evaluation.scans_truth import (
    ANNOTATORS,
    NEUTRAL,
    Annotator,
    ScanPlan,
    annotate,
    annotation_csv,
    shots,
)
from synth.expressions.storage import load_gallery
from synth.meshes.mesh import Mesh
from synth.morphable.model import load_model

PLAN = ScanPlan(subjects=2, sequences=3, frames=5, neutral=2, classes=6, fps=10, photos=1)


@pytest.fixture(scope="module")
def model():
    return load_model(assets.path("anny_face"))


@pytest.fixture(scope="module")
def made(model):
    return list(shots(PLAN, model, load_gallery(assets.path("va_gallery")), seed=4))


def test_frames_are_those_of_the_plan_in_the_order_of_their_names(made):
    assert len(made) == 2 * (2 + 3 * 5)
    assert [s.name for s in made] == sorted(s.name for s in made)
    assert {s.subject for s in made} == {"S01", "S02"}
    assert sum(s.expression == NEUTRAL for s in made) == 2 * 2


def test_a_person_is_one_face_that_moves(made):
    """Neutral frames of a person are one face; people differ; apexes differ from neutral."""
    rest = {s.subject: s.vertices for s in made if s.expression == NEUTRAL}
    for shot in made:
        if not np.any([shot.va.valence, shot.va.arousal]):
            np.testing.assert_allclose(shot.vertices, rest[shot.subject], atol=1e-9)
    assert np.linalg.norm(rest["S01"] - rest["S02"], axis=1).mean() > 1
    apex = max(made, key=lambda s: s.va.radius)
    assert np.linalg.norm(apex.vertices - rest[apex.subject], axis=1).max() > 2


def test_the_pose_is_a_rigid_motion(made):
    for shot in made:
        turn = shot.pose[:, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
    far = made[-1]
    np.testing.assert_allclose(
        far.seen(far.vertices)[7], far.pose[:, :3] @ far.vertices[7] + far.pose[:, 3]
    )


def test_the_same_seed_makes_the_same_set(made, model):
    again = list(shots(PLAN, model, load_gallery(assets.path("va_gallery")), seed=4))
    other = list(shots(PLAN, model, load_gallery(assets.path("va_gallery")), seed=5))
    assert all(np.array_equal(a.vertices, b.vertices) for a, b in zip(made, again, strict=True))
    assert not np.array_equal(made[0].vertices, other[0].vertices)


def test_an_annotator_without_faults_gives_the_truth():
    va = np.column_stack([np.linspace(0, 0.8, 9), np.linspace(0.1, -0.4, 9)])
    times, track = annotate(va, Annotator(1, 0, 0, 0), 10, np.random.default_rng(0))
    back = np.column_stack([np.interp(np.arange(9) / 10, times, track[:, k]) for k in range(2)])
    np.testing.assert_allclose(back, va, atol=0.02)
    assert annotation_csv(times, track).splitlines()[0] == "time,valence,arousal"


def test_annotators_differ_as_they_are_said_to():
    va = np.column_stack([np.sin(np.linspace(0, 9, 300)) * 0.6, np.zeros(300)])
    for who in ANNOTATORS.values():
        times, track = annotate(va, who, 10, np.random.default_rng(1))
        truth = np.interp(times - who.lag, np.arange(300) / 10, va[:, 0])
        slope, offset = np.polyfit(truth, track[:, 0], 1)
        assert slope == pytest.approx(who.gain, abs=0.12)
        assert offset == pytest.approx(who.bias, abs=0.08)
        assert np.std(track[:, 0] - slope * truth - offset) == pytest.approx(who.noise, rel=0.3)


def test_registration_score_finds_planted_errors(model):
    faces, truth = model.faces, model.mean
    left = truth[:, 0] > 0
    slid = truth + [0.5, 0, 0]
    half = faces[left[faces].all(1)]  # what the scan shows
    kept = np.unique(half)
    score = score_registration(
        [slid, truth], [truth, truth], [Mesh(truth, half)] * 2, faces, [100.0, 100.0]
    )
    assert score.correspondence == pytest.approx((0.0025, 0.005))
    assert 0 < score.surface[0] < score.correspondence[0]
    assert (score.below, score.meshes) == (1, 2)
    lost = np.where(np.isin(np.arange(len(truth)), kept)[:, None], truth, truth + [3.0, 0, 0])
    score = score_registration([lost], [truth], [Mesh(truth, half)], faces, [100.0])
    assert score.correspondence[0] < 0.001 and score.everywhere[1] == pytest.approx(0.03)


def test_label_score_of_the_truth_is_perfect_and_falls_with_noise():
    rng = np.random.default_rng(2)
    truth = rng.uniform(-0.7, 0.7, (400, 2))
    centres = rng.uniform(-0.7, 0.7, (20, 2))
    best = score_labels(truth, truth, centres)
    assert best.ccc == pytest.approx((1, 1)) and best.same_class == 1 and best.error == 0
    worse = score_labels(truth + rng.normal(size=truth.shape) * 0.2, truth, centres)
    assert worse.same_class < 0.7 and worse.ccc[0] < 0.97


def test_model_score_does_not_see_rigid_motion_but_sees_another_space(model):
    rng = np.random.default_rng(3)
    mean, modes = model.mean, np.asarray(model.modes[:8], np.float64)
    turn = Rotation.from_euler("xyz", [20, -30, 5], degrees=True).as_matrix()
    moved = mean @ turn.T + [4, 5, -6]
    same = score_model(moved, modes @ turn.T, mean, modes)
    assert same.mean_error < 1e-9 and max(same.angles) < 1e-4
    assert same.variance == pytest.approx(1)
    assert same.sigma_ratio == pytest.approx((1,) * 5)
    other = score_model(mean, rng.normal(size=modes.shape), mean, modes)
    assert min(other.angles) > 45 and other.variance < 0.2


def test_face_difference_counts_the_face_alone():
    first = np.zeros((4, 4, 3), np.uint8)
    second = first.copy()
    second[0] = 255
    mask = np.zeros((4, 4), np.uint8)
    mask[1:] = 1
    assert face_difference(first, second, mask) == 0
    second[1, 0] = 12
    assert face_difference(first, second, mask) == pytest.approx(1)
