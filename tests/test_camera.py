"""The camera: axes as docs/axes.md fixes them, inverses, crops."""

from __future__ import annotations

import numpy as np
import pytest

from synth.camera import camera_offset, crop_camera, pose_degrees, project, view_directions
from synth.testing import synthetic_camera
from synth.types import Camera

FRONTAL = Camera(np.array([0, 0, 0, 1.0]), np.array([0, 0, 1000.0]), 2000.0, np.array([99.5, 49.5]))


def test_axes():
    """Subject's left goes right, up goes up, towards the viewer comes nearer."""
    origin, left, up, out = project([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], FRONTAL)
    np.testing.assert_allclose(origin, [99.5, 49.5, 1000])
    np.testing.assert_allclose(left - origin, [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(up - origin, [0, -2, 0], atol=1e-12)
    np.testing.assert_allclose(out - origin, [0, 0, -1], atol=1e-12)


def test_nearer_is_larger():
    a, b = (project([[-10, 0, z], [10, 0, z]], FRONTAL) for z in (0, 500))
    assert np.ptp(b[:, 0]) == pytest.approx(2 * np.ptp(a[:, 0]))


@pytest.mark.parametrize("pose", [(0, 0, 0), (30, 0, 0), (0, 15, 0), (0, 0, 20), (-25, 10, -35)])
def test_pose_of_a_known_camera(model, pose):
    np.testing.assert_allclose(pose_degrees(synthetic_camera(model, *pose)), pose, atol=1e-9)


@pytest.mark.parametrize(
    "pose, what, sign",
    [
        ((20, 0, 0), "nose moves to image right when the face turns to the subject's left", (1, 0)),
        ((0, 15, 0), "nose moves up when the face is lifted", (0, -1)),
        ((0, 0, 20), "crown tips to image right with positive roll", (1, 0)),
    ],
)
def test_signs_of_the_pose(model, pose, what, sign):
    vertices = model.mean
    tip = np.array([[0, 100, 0.0]]) if pose[2] else vertices[[vertices[:, 2].argmax()]]
    cameras = [synthetic_camera(model, *p) for p in ((0, 0, 0), pose)]
    moved = [project(tip, camera)[0, :2] for camera in cameras]
    centre = [project(vertices, camera)[:, :2].mean(0) for camera in cameras]
    assert ((moved[1] - centre[1]) - (moved[0] - centre[0])) @ sign > 1, what


def test_camera_offset_is_the_inverse_of_projection(model):
    camera = synthetic_camera(model, 20, -10, 5)
    seen = project(model.mean, camera)
    wanted = np.random.default_rng(0).normal(0, 5, (len(seen), 2))
    moved = project(model.mean + camera_offset(wanted, seen[:, 2], camera), camera)
    np.testing.assert_allclose(moved[:, :2] - seen[:, :2], wanted, atol=1e-9)
    np.testing.assert_allclose(moved[:, 2], seen[:, 2], atol=1e-9)


def test_view_directions_point_to_the_camera(model):
    camera = synthetic_camera(model, 20, -10, 5)
    view = view_directions(model.mean, camera)
    np.testing.assert_allclose(np.linalg.norm(view, axis=1), 1)
    nearer = project(model.mean + view, camera)
    seen = project(model.mean, camera)
    np.testing.assert_allclose(nearer[:, :2], seen[:, :2], atol=1e-9)
    assert (nearer[:, 2] < seen[:, 2]).all()


def test_crop_camera_projects_into_the_crop(model):
    camera = synthetic_camera(model, 10)
    matrix = np.array([[0.37, 0, -12.5], [0, 0.37, 8.25]])
    expected = project(model.mean, camera)[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    found = project(model.mean, crop_camera(camera, matrix))[:, :2]
    np.testing.assert_allclose(found, expected, atol=1e-9)
