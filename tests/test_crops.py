"""Face crops: the matrix tells the truth, pixels follow it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.crops import (
    PROFILES,
    crop_by_profile,
    face_crop,
    face_crop_matrix,
    similarity,
    transform_landmarks,
)
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


# ------------------------------------------------------------------------- profiles
def turned(points, degrees, scale=1.0, shift=(0.0, 0.0)):
    """(2, 3) rotation and scale about the origin, then a shift, and the points after it."""
    angle = np.radians(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([turn, shift])
    return matrix, points @ turn.T + shift


@pytest.mark.parametrize("degrees", [-35, 0, 12, 180])
def test_similarity_gives_back_the_known_transform(degrees):
    points = np.random.default_rng(1).normal(size=(5, 2)) * 40
    matrix, moved = turned(points, degrees, 0.37, (12, -80))
    np.testing.assert_allclose(similarity(points, moved), matrix, atol=1e-10)


def test_similarity_has_the_least_error_and_never_mirrors():
    rng = np.random.default_rng(2)
    source, target = rng.normal(size=(2, 6, 2)) * 30

    def error(matrix):
        return ((source @ matrix[:, :2].T + matrix[:, 2] - target) ** 2).sum()

    best = similarity(source, target)
    assert np.linalg.det(best[:, :2]) > 0
    for _ in range(200):
        change, _ = turned(source, rng.normal() * 5, 1 + 0.05 * rng.normal(), rng.normal(size=2))
        other = best.copy()
        other[:, :2] = change[:, :2] @ best[:, :2]
        other[:, 2] += change[:, 2]
        assert error(other) >= error(best) - 1e-9


def test_similarity_of_one_place_is_refused():
    with pytest.raises(UsageError, match="two different"):
        similarity(np.ones((3, 2)), np.eye(3, 2))


def test_every_profile_says_where_it_comes_from_and_how_sure_it_is():
    for name, profile in PROFILES.items():
        assert profile.source and profile.sure
        digits = "".join(c for c in name if c.isdigit())
        assert digits == ("" if profile.size is None else str(profile.size))


@pytest.mark.parametrize("name", [n for n, p in PROFILES.items() if p.size])
def test_profiles_have_their_size_and_show_the_face(name, face):
    crop, moved, matrix = crop_by_profile(*face, name)
    size = PROFILES[name].size
    assert crop.pixels.shape == (size, size, 3)
    inner = moved.points[17:]  # brows, eyes, nose, mouth
    assert (inner > 0).all() and (inner < size - 1).all()
    assert inner[:, 0].mean() == pytest.approx(size / 2, abs=0.08 * size)
    np.testing.assert_allclose(moved.points, face[1].points @ matrix[:, :2].T + matrix[:, 2])
    assert moved.box[0] < moved.box[2] and moved.box[1] < moved.box[3]


@pytest.mark.parametrize("name", ["rafdb100", "affwild112"])
def test_aligned_crops_do_not_see_how_the_photo_was_turned(name, face):
    image, landmarks = face
    level, straight, _ = crop_by_profile(image, landmarks, name)
    center = np.array([image.width, image.height]) / 2
    matrix, _ = turned(landmarks.points, 20)
    matrix[:, 2] = center - matrix[:, :2] @ center
    pixels = cv2.warpAffine(image.pixels, matrix, (image.width, image.height),
                            flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    tilted = FaceImage(pixels, "tilted", "0")
    crop, points, found = crop_by_profile(tilted, transform_landmarks(landmarks, matrix), name)
    np.testing.assert_allclose(points.points, straight.points, atol=1e-8)
    assert abs(found[0, 1]) > 0.3 * np.hypot(*found[:, 0])  # it is turned back
    inside = np.s_[20:-20, 20:-20]
    assert np.abs(crop.pixels[inside].astype(int) - level.pixels[inside]).mean() < 2.5


def test_template_points_land_in_their_places(face):
    """Three points of a face that is a similar triangle land exactly."""
    profile = PROFILES["rafdb100"]
    points = face[1].points.copy()
    _, places = turned(np.array(profile.template) * 400, -15, 1.0, (90, 60))
    for part, place in zip(profile.points, places, strict=True):
        points[list(part)] += place - points[list(part)].mean(0)
    landmarks = Landmarks(points, "test", np.array([0, 0, 9.0, 9.0]))
    _, moved, _ = crop_by_profile(face[0], landmarks, "rafdb100")
    found = [moved.points[list(part)].mean(0) for part in profile.points]
    np.testing.assert_allclose(found, np.array(profile.template) * 100 - 0.5, atol=1e-9)


def test_another_size_is_the_same_crop(face):
    _, small, _ = crop_by_profile(*face, "rafdb100")
    _, large, _ = crop_by_profile(*face, "rafdb100", 300)
    np.testing.assert_allclose((large.points + 0.5) / 3, small.points + 0.5, atol=1e-9)


def test_a_box_contains_its_turned_corners():
    landmarks = Landmarks(np.random.default_rng(0).uniform(0, 9, (68, 2)), "t",
                          np.array([0.0, 0.0, 10.0, 4.0]))  # fmt: skip
    matrix, _ = turned(landmarks.points, 90)
    np.testing.assert_allclose(transform_landmarks(landmarks, matrix).box, [-4, 0, 0, 10],
                               atol=1e-12)  # fmt: skip


def test_raw_is_the_photo_itself_and_face_the_face_crop(face):
    image, landmarks, matrix = crop_by_profile(*face, "raw")
    assert image is face[0] and landmarks is face[1]
    np.testing.assert_array_equal(matrix, np.eye(2, 3))
    a, la, ma = crop_by_profile(*face, "face", 128)
    b, lb, mb = face_crop(*face, 128)
    np.testing.assert_array_equal(a.pixels, b.pixels)
    np.testing.assert_array_equal(ma, mb)


@pytest.mark.parametrize(
    "name, size, word",
    [("imagenet", None, "affectnet224"), ("raw", 64, "leave it out"), ("face", None, "--size"),
     ("rafdb100", 16, "at least 32")],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(name, size, word, face):
    with pytest.raises(UsageError, match=word):
        crop_by_profile(*face, name, size)
