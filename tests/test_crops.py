"""Face crops: the matrix tells the truth, pixels follow it."""

from __future__ import annotations

import numpy as np
import pytest

from synth.crops import face_crop, face_crop_matrix, transform_landmarks
from synth.errors import UsageError
from synth.landmarks.mirror import mirror_points
from synth.testing import synthetic_face
from synth.types import FaceImage, Landmarks


@pytest.fixture(scope="module")
def face(model):
    image, landmarks, _ = synthetic_face(model, 3, size=300)
    return image, landmarks


@pytest.mark.parametrize("size", [64, 256, 500])
def test_the_head_is_inside(face, size):
    points = transform_landmarks(face[1], face_crop_matrix(face[1], size)).points
    assert (points > 0.02 * size).all() and (points < 0.98 * size).all()


def test_pixels_follow_the_matrix():
    """A picture whose colours are its coordinates."""
    rows, cols = np.mgrid[:400, :400]
    pixels = np.stack((cols / 2, rows / 2, 0 * rows), -1).astype(np.float64)
    image = FaceImage(np.floor(pixels + 0.5).astype(np.uint8), "ramp", "0")
    rng = np.random.default_rng(0)
    points = rng.uniform(120, 280, (68, 2))
    points[27], points[8] = (200, 150), (200, 250)
    crop, moved, matrix = face_crop(image, Landmarks(points, "test", np.array([1, 2, 3, 4.0])), 440)
    np.testing.assert_allclose(moved.points, points @ matrix[:, :2].T + matrix[:, 2])
    at = np.array([[100, 100], [220, 300], [333, 150]])
    source = (at - matrix[:, 2]) / matrix[0, 0]
    found = crop.pixels[at[:, 1], at[:, 0], :2].astype(float) * 2
    np.testing.assert_allclose(found, source, atol=2.1)


def test_mirror_commutes_with_the_crop(face):
    image, landmarks = face
    mirrored = Landmarks(mirror_points(landmarks.points, image.width), "test", landmarks.box)
    flipped = FaceImage(np.ascontiguousarray(image.pixels[:, ::-1]), "mirror", "0")
    a, la, _ = face_crop(image, landmarks, 200)
    b, lb, _ = face_crop(flipped, mirrored, 200)
    np.testing.assert_allclose(mirror_points(la.points, 200), lb.points, atol=1e-9)
    difference = np.abs(a.pixels[:, ::-1].astype(int) - b.pixels)
    assert difference.max() <= 2


def test_a_crop_over_the_border_repeats_it(face):
    image, landmarks = face
    shifted = Landmarks(landmarks.points - (150, 0), "test", landmarks.box)
    crop, _, _ = face_crop(image, shifted, 128)
    assert np.ptp(crop.pixels[:, :8].astype(int), axis=1).max() <= 3


def test_too_small_says_what_to_do(face):
    with pytest.raises(UsageError, match=r"at least 32 pixels, got 16; use --size"):
        face_crop(*face, 16)
