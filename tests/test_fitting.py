"""The landmark fit: known truth comes back, bad points do not bend it, mirrors mirror it."""

from __future__ import annotations

import numpy as np
import pytest

from synth.camera import pose_degrees, project
from synth.errors import SkipPhoto
from synth.fitting import fit_camera_and_shape, fit_face, residual_field, thin_plate_spline
from synth.images import load_image
from synth.landmarks import get_detector
from synth.landmarks.mirror import mirror_points
from synth.testing import synthetic_camera, synthetic_face, visible_jaw
from synth.types import Landmarks, inter_ocular

SIZE = 512
#: People as different from the mean as fits of real photos are (rms coefficient 0.6-0.8).
SPREAD = 0.7
IDENTITIES = range(5)


def known(model, seed, yaw=0.0, pitch=0.0, roll=0.0, focal_ratio=10.0):
    """Landmarks (68, 2), identity and vertices of a synthetic face; nothing is painted."""
    shape = SPREAD * np.random.default_rng(seed).standard_normal(model.n_modes)
    camera = synthetic_camera(model, yaw, pitch, roll, SIZE, focal_ratio)
    vertices = model.shape(shape)
    points = model.landmarks(project(vertices, camera))[:, :2]
    points[:17] = visible_jaw(model, vertices, camera)
    return points, shape, vertices


def fit(points, model, size=SIZE):
    box = np.concatenate((points.min(0), points.max(0)))
    return fit_face(Landmarks(points, "truth", box), (size, size), model)


# ------------------------------------------------------------------- known truth
@pytest.mark.parametrize(
    "pose",
    [(0, 0, 0), (-30, 0, 0), (-15, 0, 0), (15, 0, 0), (30, 0, 0)]
    + [(0, 0, 20), (0, 0, -30), (0, 15, 0), (0, -15, 0), (20, 10, 15), (-20, -10, -15)],
)
def test_known_pose_comes_back(model, pose):
    """Yaw and roll within 2 degrees for everyone; pitch within 2 on average.

    Pitch is the weak one: some identities look like a nod. Under the model's prior
    its posterior sd is 1.7 degrees (1.2 with exact points), so single people of 0.7
    sd may be off by more.
    """
    error = np.array([fit(known(model, s, *pose)[0], model).pose - pose for s in IDENTITIES])
    assert np.abs(error[:, [0, 2]]).max() < 2
    assert np.abs(error[:, 1]).mean() < 2
    assert np.abs(error[:, 1]).max() < 3


@pytest.mark.parametrize("pose", [(0, 0, 0), (25, 0, 0), (-10, 10, 10)])
def test_rendered_face_and_its_truth(model, pose):
    """`synthetic_face` and the fit speak of the same pixels and angles."""
    image, landmarks, truth = synthetic_face(model, [1.0, -0.5, 0.5], *pose, size=256)
    np.testing.assert_allclose(truth.pose, pose, atol=1e-6)
    found = fit_face(landmarks, (image.height, image.width), model)
    assert np.abs(found.pose - truth.pose).max() < 2
    inner = model.landmarks(project(truth.vertices, truth.camera))[17:, :2]
    assert np.linalg.norm(landmarks.points[17:] - inner, axis=1).max() < 1e-6
    skin = image.pixels[np.round(inner[13, 1]).astype(int), np.round(inner[13, 0]).astype(int)]
    assert skin[0] > skin[2]  # the nose is skin, not wall


@pytest.mark.parametrize("pose", [(0, 0, 0), (30, 0, 0), (0, 15, 0)])
def test_shape_explains_the_landmarks(model, pose):
    residual = np.array([fit(known(model, s, *pose)[0], model).residual for s in IDENTITIES])
    assert residual[:, 17:].mean() < 0.005
    assert residual[:, :17].mean() < (0.03 if pose[0] else 0.02)


def test_shape_is_closer_than_the_mean_face(model):
    """Half of the distance between people is seen by 68 points, and none is made up."""
    ratios = []
    skin = np.unique(model.faces[model.parts == 0])
    front = skin[model.mean[skin, 2] > model.mean[skin, 2].max() - 70]
    for seed in IDENTITIES:
        points, shape, _ = known(model, seed)
        _, found, _ = fit_camera_and_shape(points, (SIZE, SIZE), model)
        error, spread = (
            np.linalg.norm((model.shape(shape) - other)[front], axis=1).mean()
            for other in (model.shape(found), model.mean)
        )
        ratios.append(error / spread)
        assert np.sqrt(np.mean(found**2)) < 1
    assert np.mean(ratios) < 0.75


def test_size_and_place_do_not_matter(model):
    points, _, _ = known(model, 1, 10)
    a, b = fit(points, model), fit(points * 3 + 1, model, 3 * SIZE)
    np.testing.assert_allclose(a.pose, b.pose, atol=0.02)
    np.testing.assert_allclose(a.shape, b.shape, atol=0.01)


# ---------------------------------------------------------------------- bad points
@pytest.mark.parametrize("yaw", [0, 25])
def test_one_percent_of_noise(model, yaw):
    error, residual = [], []
    for seed in IDENTITIES:
        points, _, _ = known(model, seed, yaw)
        noise = 0.01 * inter_ocular(points) * np.random.default_rng(seed).standard_normal((68, 2))
        found = fit(points + noise, model)
        error.append(found.pose - (yaw, 0, 0))
        residual.append(found.residual.mean())
    assert np.abs(np.array(error)[:, [0, 2]]).max() < 3
    assert np.abs(np.mean(error, axis=0)).max() < 2
    assert np.mean(residual) < 0.015


@pytest.mark.parametrize("bad", [3, 8, 19, 30, 36, 45, 48, 57])
@pytest.mark.parametrize("direction", [0.4, 3.0])
def test_one_gross_outlier_does_not_turn_the_head(model, bad, direction):
    points, _, _ = known(model, 2, 5)
    clean = fit_camera_and_shape(points, (SIZE, SIZE), model)
    wrong = points.copy()
    wrong[bad] += 0.3 * inter_ocular(points) * np.array([np.cos(direction), np.sin(direction)])
    dirty = fit_camera_and_shape(wrong, (SIZE, SIZE), model)
    assert np.abs(pose_degrees(dirty[0]) - pose_degrees(clean[0])).max() < 2


def test_points_that_are_no_face_are_refused(model):
    points = np.random.default_rng(0).uniform(100, 400, (68, 2))
    with pytest.raises(SkipPhoto, match="mean landmark residual up to") as caught:
        fit(points, model)
    assert caught.value.reason == "FIT_FAILED" and caught.value.value > 0.06


# -------------------------------------------------------------------------- mirror
@pytest.mark.parametrize("pose", [(0, 0, 0), (20, 5, 10)])
def test_mirrored_landmarks_give_the_mirrored_fit(model, pose):
    points, _, _ = known(model, 3, *pose)
    points += np.random.default_rng(0).normal(0, 1.0, (68, 2))
    a, b = fit(points, model), fit(mirror_points(points, SIZE), model)
    np.testing.assert_allclose(b.pose, a.pose * (-1, 1, -1), atol=1e-4)
    np.testing.assert_allclose(b.vertices[model.mirror] * (-1, 1, 1), a.vertices, atol=1e-3)
    # Every mode is symmetric or antisymmetric, so coefficients keep their size.
    np.testing.assert_allclose(np.abs(b.shape), np.abs(a.shape), atol=1e-3)
    assert a.camera.focal == pytest.approx(b.camera.focal, rel=1e-6)


def test_fit_is_deterministic(model):
    points, _, _ = known(model, 4, 12)
    a, b = fit(points, model), fit(points, model)
    np.testing.assert_array_equal(a.vertices, b.vertices)


# ------------------------------------------------------------- residual correction
def test_correction_puts_inner_points_in_place(model):
    inner = []
    for seed in IDENTITIES:
        points, _, _ = known(model, seed)
        points = points + np.random.default_rng(seed).normal(
            0, 0.01 * inter_ocular(points), (68, 2)
        )
        # The lips of a photo are closed: both edges of the slit at one place.
        for upper, lower in ((61, 67), (62, 66), (63, 65)):
            points[[upper, lower]] = (points[upper] + points[lower]) / 2
        inner.append(fit(points, model).corrected[27:])
    assert np.mean(inner) < 0.004


def test_lips_do_not_fold(model):
    """Inner lip points that a detector swaps by noise must not turn triangles over."""
    points, _, _ = known(model, 0)
    iod = inter_ocular(points)
    for k, (upper, lower) in enumerate(((61, 67), (62, 66), (63, 65))):
        middle = (points[upper] + points[lower]) / 2
        points[upper], points[lower] = middle + (0, 0.012 * iod * (-1) ** k), middle
    found = fit(points, model)
    lips = model.faces[model.parts == 1]
    plain = model.shape(found.shape)
    turned = [_area(project(v, found.camera)[:, :2], lips) for v in (plain, found.vertices)]
    front = turned[0] < -0.2  # facing the viewer, y down, and more than a sliver
    assert front.sum() > 100
    assert (turned[1][front] < 0).mean() == 1


def _area(at, faces):
    a, b, c = (at[faces[:, k]] for k in range(3))
    return (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])


def test_residual_field_ends_around_the_face(model):
    points, _, _ = known(model, 0)
    iod = inter_ocular(points)
    moved = points + np.random.default_rng(0).normal(0, 0.01 * iod, (68, 2))
    field = residual_field(points, moved, iod)
    far = points.mean(0) + 1.9 * iod * np.array([[1, 0], [-1, 0], [0, 1.0]])
    assert np.linalg.norm(field(far / iod), axis=1).max() < 0.015 * iod


def test_residuals_within_the_noise_are_left(model):
    """Wiener's filter: small residuals stay, large ones go, none stays above half the noise."""
    points, _, _ = known(model, 0)
    iod, size = inter_ocular(points), np.zeros(68)
    size[[30, 33, 36]] = 0.002, 0.01, 0.06  # nose and eye, far from each other
    target = points + iod * size[:, None] * (1, 0)
    left = size - residual_field(points, target, iod, 0.01)(points / iod)[:, 0] / iod
    np.testing.assert_allclose(left[[30, 33, 36]], [0.0019, 0.005, 0.0016], atol=1.5e-3)
    assert np.abs(left).max() < 0.0065
    exact = residual_field(points, target, iod)(points / iod)[:, 0] / iod
    assert np.abs(size - exact).max() < 0.002


def test_thin_plate_spline_against_scipy():
    from scipy.interpolate import RBFInterpolator

    rng = np.random.default_rng(0)
    points, values, at = rng.random((40, 2)), rng.random((40, 2)), rng.random((700, 2))
    for smoothing in (0.0, 1e-4, 0.1):
        ours = thin_plate_spline(points, values, smoothing)(at)
        theirs = RBFInterpolator(points, values, kernel="thin_plate_spline", smoothing=smoothing)(
            at
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-8)


# ------------------------------------------------------------------- real photos
def _template(path):
    lines = path.read_text().split("\n")
    count = int(lines[0])
    return np.array([[float(v) for v in line.split()[:2]] for line in lines[1 : 1 + count]])


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_people(model, shared, template_of, every):
    """41 real people: residual, correction, and distance from points clicked by hand."""
    residual, inner, ours, detector = [], [], [], []
    detect = get_detector("dlib").detect
    photos = sorted((shared / "data" / "neutral").glob("*.jpg"))
    assert len(photos) == 41
    for path in photos[::every]:
        image = load_image(path)
        landmarks = detect(image)[0]
        found = fit_face(landmarks, (image.height, image.width), model)
        residual.append(found.residual.mean())
        inner.append(found.corrected[27:].mean())
        clicked = _template(path.with_suffix(".tem"))
        truth = clicked[list(template_of.values())]
        iod = np.linalg.norm(clicked[27] - clicked[18])
        at = model.landmarks(project(found.vertices, found.camera))[list(template_of), :2]
        ours.append(np.linalg.norm(at - truth, axis=1) / iod)
        detector.append(np.linalg.norm(landmarks.points[list(template_of)] - truth, axis=1) / iod)
    assert np.mean(residual) <= 0.015
    assert np.mean(inner) <= 0.004
    assert np.mean(ours) <= 1.15 * np.mean(detector)
