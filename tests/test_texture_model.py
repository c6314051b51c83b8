"""Texture models: files, features, places on the face, visibility, known truth recovered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from synth.building.texture import (
    Face,
    TextureSettings,
    _often_seen,
    build_texture,
    check_people,
    face_layout,
)
from synth.building.texture_samples import COLOUR, Observation, placed, sampled, visible
from synth.camera import project
from synth.errors import AssetError, MeshError, ShapeError, UsageError
from synth.landmarks.mirror import mirror_points
from synth.morphable.features import (
    FEATURES,
    channels,
    dense_features,
    face_matrix,
    resampled,
    sample_features,
)
from synth.morphable.native import topology_digest
from synth.morphable.surface_samples import face_outline, face_samples, in_polygon
from synth.morphable.texture import TextureModel, feature_image, load_texture, save_texture
from synth.testing import EYES_SHARE, synthetic_camera, synthetic_face


@pytest.fixture(scope="module")
def layout(model):
    return face_layout(model, TextureSettings(spacing=0.08))


@pytest.fixture(scope="module")
def small(model) -> TextureModel:
    """A texture model of random numbers on the embedded mesh."""
    rng = np.random.default_rng(0)
    faces, bary = face_samples(model, 0.12)
    shape = (len(faces), channels("igo"))
    modes = np.linalg.qr(rng.normal(size=(np.prod(shape), 5)))[0].T
    return TextureModel(
        "small", "1", "igo", 64.0, faces, bary,
        rng.normal(size=shape).astype(np.float32),
        modes.reshape(5, *shape).astype(np.float32),
        np.arange(5, 0, -1.0), 0.1, topology_digest(model.faces), meta={"licence": "none"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def face(model):
    return synthetic_face(model, 4, yaw=12, roll=8, size=400)


# ---------------------------------------------------------------------------- files
def test_round_trip(small, tmp_path):
    save_texture(small, tmp_path / "a.npz")
    got = load_texture(tmp_path / "a.npz")
    assert (got.name, got.version, got.feature, got.scale) == ("small", "1", "igo", 64.0)
    assert np.array_equal(got.faces, small.faces)
    assert np.allclose(got.bary, small.bary, atol=1e-6)
    assert np.allclose(got.mean, small.mean, atol=2e-3)
    assert np.allclose(got.modes, small.modes, atol=1e-3)
    flat = got.modes.reshape(5, -1).astype(float)
    assert np.allclose(flat @ flat.T, np.eye(5), atol=1e-5)
    assert got.noise == small.noise and got.meta["licence"] == "none" and len(got.sha256) == 64
    save_texture(replace(small), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"sigma": np.ones(4)}, "sigma"),
        ({"mean": None}, "mean"),
        ({"noise": np.array(np.nan)}, "noise"),
        ({"feature": np.array("sift")}, "feature"),
        ({"feature": np.array("grey")}, "feature"),
        ({"format": np.array("other")}, "format"),
        ({"sample_bary": "negative"}, "sample_bary"),
    ],
)
def test_damaged_files_are_refused(small, tmp_path, change, said):
    save_texture(small, tmp_path / "a.npz")
    arrays = dict(np.load(tmp_path / "a.npz"))
    for key, value in change.items():
        if value is None:
            del arrays[key]
        else:
            arrays[key] = -arrays[key] if isinstance(value, str) else value
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(AssetError, match=said) as caught:
        load_texture(tmp_path / "b.npz")
    assert "\n" not in str(caught.value)


def test_what_is_no_texture_is_refused(tmp_path, model):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "code.npz", meta=np.array([{}], object))
    np.savez(tmp_path / "other.npz", mean=model.mean)
    for name in ("text.npz", "code.npz", "other.npz", "absent.npz"):
        with pytest.raises(AssetError) as caught:
            load_texture(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_mesh_of_another_topology_is_refused(small, model):
    assert np.allclose(small.positions(model.faces, model.mean)[:, 2].min() > -120, True)
    with pytest.raises(MeshError, match="expected the mesh of texture"):
        small.positions(model.faces[:-1], model.mean)


# ------------------------------------------------------------------------- features
@pytest.mark.parametrize("feature", FEATURES)
def test_features_hardly_see_gain(feature, portrait):
    pixels = portrait.pixels[100:500, 150:550]
    dark = np.rint(pixels * 0.55).astype(np.uint8)
    a, b = dense_features(pixels, feature), dense_features(dark, feature)
    assert a.shape == (*pixels.shape[:2], channels(feature)) and a.dtype == np.float32
    assert np.isfinite(a).all() and 0.02 < a.std() < 5
    assert (a - b).std() < 0.25 * a.std()


def test_turned_gradients_turn_the_channels():
    ramp = np.repeat(np.linspace(20, 230, 90)[None], 90, 0)[..., None].repeat(3, 2)
    right = ramp.astype(np.uint8)
    features = dense_features(right, "orientations")[45, 45]
    down = dense_features(np.ascontiguousarray(right.transpose(1, 0, 2)), "orientations")[45, 45]
    assert features.argmax() == 0 and down.argmax() == 2
    assert np.allclose(np.roll(features, 2), down, atol=1e-3)
    assert np.allclose(np.linalg.norm(features), 1, atol=0.06)


def test_mirror_image_has_mirrored_features(portrait):
    pixels = portrait.pixels[200:400, 200:400]
    other = dense_features(np.ascontiguousarray(pixels[:, ::-1]), "igo")[:, ::-1]
    assert np.allclose(other * (-1, 1), dense_features(pixels, "igo"), atol=1e-4)


def test_unknown_feature_and_no_picture():
    with pytest.raises(UsageError, match="feature: expected one of"):
        dense_features(np.zeros((9, 9, 3), np.uint8), "sift")
    with pytest.raises(ShapeError, match="pixels"):
        dense_features(np.zeros((9, 9), np.uint8), "igo")


def test_matrix_puts_the_eyes_level_at_the_wanted_distance(face):
    points = face[1].points
    m = face_matrix(points, 80)
    right, left = points[[36, 45]] @ m[:, :2].T + m[:, 2]
    assert np.allclose(left - right, (80, 0))
    assert np.allclose((left + right) / 2, (119.5, 119.5 - 32))


@pytest.mark.parametrize("shrink", [0.4, 1.0, 3.7])
def test_resampling_keeps_places_and_averages(shrink):
    y, x = np.mgrid[:500, :620]
    photo = np.stack([x / 4 + 20, y / 4 + 30, (x + y) / 8], 2)
    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 20, photo.shape), 0, 255)
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / shrink
    matrix = np.column_stack((turn, (60, 60) - turn @ (300, 250)))
    got = resampled(photo.astype(np.uint8), matrix, 121)
    v, u = np.mgrid[20:101, 20:101]
    back = (np.column_stack((u.ravel(), v.ravel())) - matrix[:, 2]) @ np.linalg.inv(turn).T
    want = np.stack([back[:, 0] / 4 + 20, back[:, 1] / 4 + 30, back.sum(1) / 8], 1)
    assert np.abs(got[20:101, 20:101].reshape(-1, 3) - want).mean() < 1.0
    if shrink > 2:
        smooth = resampled(noisy.astype(np.uint8), matrix, 121)[20:101, 20:101].reshape(-1, 3)
        assert (smooth - want).std() < 8


def test_samples_between_pixels_are_bilinear():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(12, 17, 3)).astype(np.float32)
    at = rng.uniform((-3, -3), (20, 14), (200, 2))
    got, inside = sample_features(values, at)
    want = [
        map_coordinates(values[..., c], at[:, ::-1].T, order=1, mode="nearest") for c in range(3)
    ]
    assert np.allclose(got, np.stack(want, 1), atol=1e-5)
    assert np.array_equal(
        inside, (at[:, 0] >= 0) & (at[:, 1] >= 0) & (at[:, 0] <= 16) & (at[:, 1] <= 11)
    )


def test_feature_image_says_where_a_photo_pixel_went(small, face):
    image, landmarks, _ = face
    features, matrix = feature_image(image.pixels, landmarks.points, small)
    assert features.shape == (192, 192, 2)
    direct = dense_features(resampled(image.pixels, matrix, 192), "igo")
    assert np.array_equal(features, direct)
    assert np.allclose(matrix, face_matrix(landmarks.points, 64.0))


# --------------------------------------------------------------------------- places
def test_places_are_even_symmetric_and_on_the_face(model):
    faces, bary = face_samples(model, 0.05)
    points = np.einsum("nc,ncd->nd", bary, model.mean[model.faces[faces]])
    half = len(points) // 2
    assert len(points) % 2 == 0 and len(points) > 600
    assert np.allclose(points[:half] * (-1, 1, 1), points[half:], atol=1e-9)
    spacing = 0.05 * np.linalg.norm(np.subtract(*model.landmarks(model.mean)[[45, 36]]))
    nearest = cKDTree(points).query(points, 2)[0][:, 1]
    assert nearest.min() > 0.999 * spacing and np.median(nearest) < 1.5 * spacing
    outline = face_outline(model.landmarks(model.mean))
    assert in_polygon(points[:, :2], outline).all()
    parts = set(np.array(model.part_names)[model.parts[faces]])
    assert parts == {"skin", "lips", "left_eye", "right_eye"}
    assert np.array_equal(face_samples(model, 0.05)[0], faces)


def test_point_in_polygon():
    square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)], float)
    points = np.array([(1, 1), (3, 1), (-1, 1), (1, 3), (0.1, 1.9)])
    assert in_polygon(points, square).tolist() == [True, False, False, False, True]


def test_a_mesh_without_skin_is_refused(model):
    with pytest.raises(MeshError, match="expected skin"):
        face_samples(replace(model, part_names=tuple("abcdefghi")), 0.1)


@pytest.mark.parametrize("yaw", [-40, 0, 40])
def test_far_side_of_a_turned_head_is_hidden(model, layout, yaw):
    seen = project(model.mean, synthetic_camera(model, yaw=yaw, size=512))
    shown = visible(seen, model, layout, EYES_SHARE * 512)
    mean = np.einsum("nc,ncd->nd", layout.bary, model.mean[model.faces[layout.faces]])
    side = mean[:, 0] > 0  # the subject's left
    left, right = shown[side].mean(), shown[~side].mean()
    if yaw == 0:
        assert left > 0.9 and abs(left - right) < 0.02
    else:  # yaw to the subject's left hides that side
        near, far = (right, left) if yaw > 0 else (left, right)
        assert near > 0.9 and far < 0.7


def test_mesh_lies_on_the_face(model, face):
    image, landmarks, truth = face
    seen, residual = placed(landmarks, (image.height, image.width), model)
    want = project(truth.vertices, truth.camera)[:, :2]
    faces, bary = face_samples(model, 0.08)
    off = np.einsum("nc,ncd->nd", bary, (seen[:, :2] - want)[model.faces[faces]])
    assert np.median(np.linalg.norm(off, axis=1)) < 0.015 * landmarks.inter_ocular
    assert residual.mean() < 0.03


def test_an_open_mouth_opens_the_mesh(model):
    weights = model.weights({"jawOpen": 0.6, "mouthSmile": 0.5})
    image, landmarks, truth = synthetic_face(model, 2, expression=weights, size=200)
    seen, _ = placed(landmarks, (image.height, image.width), model)
    got = model.landmarks(seen)[:, :2]
    assert np.linalg.norm(got - landmarks.points, axis=1)[48:].max() < 0.02 * landmarks.inter_ocular
    lips = np.unique(model.faces[model.parts == 1])
    want = project(truth.vertices, truth.camera)[lips, :2]
    off = np.linalg.norm(seen[lips, :2] - want, axis=1)
    assert np.median(off) < 0.04 * landmarks.inter_ocular


def test_colours_are_sampled_where_they_are(model, layout, face):
    _, landmarks, truth = face
    seen = project(truth.vertices, truth.camera)
    y, x = np.mgrid[:400, :400]
    picture = np.stack([x / 2, y / 2, 0 * x], 2).astype(np.uint8)
    colour = replace(layout, feature=COLOUR)
    got = sampled(picture, landmarks.points, seen, model, colour)
    at = np.einsum("nc,ncd->nd", layout.bary, seen[model.faces[layout.faces], :2])
    assert np.abs(got.values[:, :2] - at / 2)[got.seen].max() < 2
    flipped = np.ascontiguousarray(picture[:, ::-1])
    turned = np.column_stack((399 - seen[:, 0], seen[:, 1:]))[model.mirror]
    other = sampled(flipped, mirror_points(landmarks.points, 400), turned, model, colour)
    half = len(at) // 2
    swap = np.r_[half : 2 * half, :half]
    assert np.mean(other.seen[swap] == got.seen) > 0.97
    both = other.seen[swap] & got.seen
    assert np.abs(other.values[swap] - got.values)[both].max() < 2


# ----------------------------------------------------------------------- known truth
@pytest.fixture(scope="module")
def known(layout):
    """Forty people with two photos each of a texture of three modes, a fifth of it covered."""
    rng = np.random.default_rng(5)
    shape = (len(layout.faces), 8)
    modes = np.linalg.qr(rng.normal(size=(np.prod(shape), 3)))[0].T.reshape(3, *shape)
    mean, sigma = rng.normal(size=shape), np.array([30.0, 20.0, 12.0])
    faces, people = [], {}
    for i in range(80):
        values = mean + np.tensordot(rng.normal(size=3) * sigma, modes, 1)
        values += 0.02 * rng.normal(size=shape)
        start = rng.integers(shape[0] * 4 // 5)
        if i % 2:
            values[start : start + shape[0] // 5] = 5 * rng.normal(size=(shape[0] // 5, 8))
        seen = np.ones(shape[0], bool)
        seen[rng.integers(shape[0], size=shape[0] // 8)] = False
        faces.append(Face(f"{i}.jpg", (Observation(values.astype(np.float32), seen),)))
        people[f"{i}.jpg"] = str(i // 2)
    return faces, people, mean, modes


def test_modes_are_recovered_from_covered_faces(known, layout, model):
    faces, people, mean, modes = known
    angles = {}
    for robust in (True, False):
        settings = TextureSettings(modes=3, robust=robust, penalty=1.0)
        made = build_texture(faces, people, model, layout, settings)
        found, truth = made.modes.reshape(3, -1).T, modes.reshape(3, -1).T
        angles[robust] = np.degrees(subspace_angles(found.astype(float), truth).max())
        if robust:
            assert np.allclose(np.sort(made.sigma)[::-1], made.sigma)
            assert np.abs(made.sigma - (30, 20, 12)).max() < 6
            assert made.meta["people"] == 40 and made.meta["photos"] == 80
            assert made.topology == topology_digest(model.faces)
            off = made.mean - mean
            rest = off - np.tensordot(np.tensordot(modes, off, 2), modes, 1)
            assert rest.std() < 0.03  # the mean is right but for the sample's own mean
    assert angles[True] < 3 < 10 < angles[False]


def test_modes_by_share_of_variance(known, layout, model):
    faces, people, _, _ = known
    few = build_texture(
        faces, people, model, layout, TextureSettings(modes=None, variance=0.6, penalty=1.0)
    )
    assert few.n_modes == 1


def test_fewer_than_eight_people_are_refused(known, layout, model):
    faces, people, _, _ = known
    with pytest.raises(UsageError, match="at least 8 people, got 7"):
        build_texture(faces[:14], people, model, layout)
    assert check_people(str(i) for i in range(8)) == 8


def test_places_that_few_people_show_are_left_out():
    seen = np.zeros((12, 6), bool)
    seen[:, 0] = seen[:9, 3] = True  # a pair, seen by 12 and by 9
    seen[:, 1] = seen[:7, 4] = True  # its mirror image is seen by 7
    seen[:8, [2, 5]] = True
    assert _often_seen(seen, [str(i) for i in range(12)]).tolist() == [1, 0, 1, 1, 0, 1]
    assert not _often_seen(seen, ["a"] * 12).any()


@pytest.mark.parametrize(
    "wrong", [{"scale": 5.0}, {"variance": 0.0}, {"modes": 0}, {"feature": "sift"}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TextureSettings(**wrong)
