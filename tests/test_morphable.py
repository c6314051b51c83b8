"""The default morphable model keeps its promises: identities, mirror images, known motions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from synth.errors import AssetError, ShapeError, SynthError
from synth.morphable.build import pack
from synth.morphable.calibrate import closest_in_triangles, fit
from synth.morphable.model import PART_NAMES, MorphableModel, load_model

SHA256 = "d7e8fc0116ec9d30157a090e2bdfe8bfc1d7dd014ef2f130620c70b2b4a836cb"
FLIP = np.array([-1.0, 1.0, 1.0])
MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip


def asset_path() -> Path:
    """The asset beside the installed package `synth.assets`, or in the checkout."""
    try:
        import synth.assets

        return Path(next(iter(synth.assets.__path__))) / "morphable" / "anny_face.npz"
    except ImportError:
        return Path(__file__).parents[1] / "assets" / "morphable" / "anny_face.npz"


@pytest.fixture(scope="module")
def model() -> MorphableModel:
    return load_model(asset_path())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def vertices_of(model: MorphableModel, *parts: str) -> np.ndarray:
    labels = [model.part_names.index(part) for part in parts]
    return np.unique(model.faces[np.isin(model.parts, labels)])


def face_normals(model: MorphableModel) -> np.ndarray:
    a, b, c = np.moveaxis(model.mean[model.faces], 1, 0)
    return np.cross(b - a, c - a)


def landmarks(model: MorphableModel, **weights: float) -> np.ndarray:
    return model.landmarks(model.mean + model.offsets(model.weights(weights)))


# ---------------------------------------------------------------- the asset


def test_asset_is_the_released_one(model: MorphableModel) -> None:
    assert model.sha256 == SHA256
    assert asset_path().stat().st_size < 3.5e6
    assert (model.name, model.version) == ("anny_face", "1.0.0")
    assert model.meta["licence"] == "CC0-1.0"


def test_shapes_and_names(model: MorphableModel) -> None:
    v, f, k = model.n_vertices, len(model.faces), model.n_modes
    assert model.mean.shape == (v, 3) and model.modes.shape == (k, v, 3)
    assert model.blendshapes.shape == (52, v, 3) and len(set(model.blendshape_names)) == 52
    assert model.faces.shape == (f, 3) and model.uv.shape == (v, 2)
    assert model.part_names == PART_NAMES
    assert set(model.parts.tolist()) == set(range(len(PART_NAMES)))
    assert {"browDownLeft", "mouthSmileRight", "tongueOut"} <= set(model.blendshape_names)


def test_arrays_are_read_only(model: MorphableModel) -> None:
    with pytest.raises(ValueError, match="read-only"):
        model.mean[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.name = "other"  # type: ignore[misc]


def test_origin_is_between_the_outer_eye_corners(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    np.testing.assert_allclose((points[36] + points[45]) / 2, 0, atol=1e-3)
    assert 80 < points[45, 0] - points[36, 0] < 100  # adults: about 90 mm


def test_every_vertex_is_used_and_no_triangle_is_degenerate(model: MorphableModel) -> None:
    assert np.array_equal(np.unique(model.faces), np.arange(model.n_vertices))
    assert (np.linalg.norm(face_normals(model), axis=1) / 2 > 1e-3).all()


def test_triangles_are_wound_alike(model: MorphableModel) -> None:
    directed = np.concatenate([model.faces[:, [i, (i + 1) % 3]] for i in range(3)])
    assert len(np.unique(directed, axis=0)) == len(directed)


def test_skin_faces_outward(model: MorphableModel) -> None:
    skin = np.isin(model.parts, [0])
    centre = model.mean[model.faces].mean(1)
    front = skin & (np.abs(centre[:, 0]) < 30) & (centre[:, 1] > 20) & (centre[:, 1] < 60)
    assert (face_normals(model)[front, 2] > 0).all()
    for part in ("left_eye", "right_eye"):
        ball = model.parts == PART_NAMES.index(part)
        away = centre[ball] - centre[ball].mean(0)
        assert ((face_normals(model)[ball] * away).sum(1) > 0).all()


def test_left_is_the_subjects_left(model: MorphableModel) -> None:
    moved = np.linalg.norm(model.offsets(model.weights({"mouthSmileLeft": 1})), axis=1)
    assert (moved[:, None] * model.mean).sum(0)[0] > 0
    assert model.mean[vertices_of(model, "left_eye"), 0].min() > 0


# ---------------------------------------------------------------- symmetry


def test_mirror_is_an_involution_and_the_mean_symmetric(model: MorphableModel) -> None:
    assert np.array_equal(model.mirror[model.mirror], np.arange(model.n_vertices))
    np.testing.assert_allclose(model.mean[model.mirror] * FLIP, model.mean, atol=1e-5)


def test_mirrored_triangles_are_triangles_of_the_same_kind(model: MorphableModel) -> None:
    part = {frozenset(f): p for f, p in zip(model.faces.tolist(), model.parts, strict=True)}
    other = {7: 8, 8: 7}
    for face, label in zip(model.mirror[model.faces].tolist(), model.parts.tolist(), strict=True):
        assert part[frozenset(face)] == other.get(label, label)


def test_blendshapes_left_and_right_mirror_each_other(
    model: MorphableModel, rng: np.random.Generator
) -> None:
    weights = rng.random(52)
    mirrored = model.offsets(model.mirror_weights(weights))
    np.testing.assert_allclose(mirrored[model.mirror] * FLIP, model.offsets(weights), atol=1e-3)
    assert np.array_equal(model.mirror_weights(model.mirror_weights(weights)), weights)


def test_modes_are_symmetric_or_antisymmetric(model: MorphableModel) -> None:
    swapped = model.modes[:, model.mirror] * FLIP
    same = np.abs(swapped - model.modes).max((1, 2))
    opposite = np.abs(swapped + model.modes).max((1, 2))
    assert (np.minimum(same, opposite) < 1e-6).all()


def test_landmarks_and_contour_are_symmetric(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    np.testing.assert_allclose(points[MIRROR_68] * FLIP, points, atol=1e-3)
    assert np.array_equal(model.mirror[model.contour[:8]], model.contour[:8:-1])
    np.testing.assert_allclose(model.mean[model.contour[8], 0], 0, atol=1e-4)


# ---------------------------------------------------------------- identities


def test_zero_coefficients_give_the_mean(model: MorphableModel) -> None:
    assert np.array_equal(model.shape([]), model.mean)
    assert np.array_equal(model.shape(np.zeros(model.n_modes)), model.mean)


def test_shape_is_the_sum_of_modes(model: MorphableModel, rng: np.random.Generator) -> None:
    c = rng.normal(size=model.n_modes)
    naive = model.mean.copy()
    for k in range(model.n_modes):
        naive += c[k] * model.modes[k]
    np.testing.assert_allclose(model.shape(c), naive, atol=1e-3)
    np.testing.assert_allclose(model.shape(c[:5]), model.shape([*c[:5], 0, 0]), atol=1e-9)


def test_coefficients_are_recovered(model: MorphableModel, rng: np.random.Generator) -> None:
    c = rng.normal(size=model.n_modes)
    basis = model.modes.reshape(model.n_modes, -1).T.astype(float)
    found, *_ = np.linalg.lstsq(basis, (model.shape(c) - model.mean).ravel(), rcond=None)
    np.testing.assert_allclose(found, c, atol=1e-3)


def test_modes_are_orthogonal_and_sigma_their_length(model: MorphableModel) -> None:
    flat = model.modes.reshape(model.n_modes, -1).astype(float)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), model.sigma, rtol=1e-3)
    unit = flat / model.sigma[:, None]
    np.testing.assert_allclose(unit @ unit.T, np.eye(model.n_modes), atol=2e-3)
    assert (np.diff(model.sigma) <= 0).all()


def test_keep_modes(model: MorphableModel, rng: np.random.Generator) -> None:
    small = model.keep_modes(10)
    c = rng.normal(size=10)
    assert small.n_modes == 10 and model.keep_modes(0).n_modes == 0
    np.testing.assert_allclose(small.shape(c), model.shape(c), atol=1e-9)
    with pytest.raises(ShapeError, match="k: expected"):
        model.keep_modes(model.n_modes + 1)


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros(1000), [np.nan]])
def test_bad_coefficients_are_refused(model: MorphableModel, bad: object) -> None:
    with pytest.raises(ShapeError, match="coefficients: expected"):
        model.shape(bad)  # type: ignore[arg-type]


# ---------------------------------------------------------------- expressions


def test_offsets_are_linear(model: MorphableModel, rng: np.random.Generator) -> None:
    a, b = rng.random(52), rng.random(52)
    sum_of_offsets = 2 * model.offsets(a) - 0.5 * model.offsets(b)
    np.testing.assert_allclose(model.offsets(2 * a - 0.5 * b), sum_of_offsets, atol=1e-3)
    assert not model.offsets(np.zeros(52)).any()


def test_weights_by_name(model: MorphableModel) -> None:
    weights = model.weights({"mouthSmileLeft": 0.2, "mouthSmile": 0.7, "jawOpen": 0.1})
    found = {n: w for n, w in zip(model.blendshape_names, weights, strict=True) if w}
    assert found == {"mouthSmileLeft": 0.2, "mouthSmileRight": 0.7, "jawOpen": 0.1}
    with pytest.raises(ShapeError, match="Did you mean 'mouthSmile'"):
        model.weights({"mouthSmiel": 1})
    with pytest.raises(ShapeError, match=r"weights: expected \(52,\)"):
        model.offsets(np.zeros(51))


def test_jaw_takes_chin_and_lower_teeth_but_not_the_upper(model: MorphableModel) -> None:
    moved = model.offsets(model.weights({"jawOpen": 1}))
    assert landmarks(model, jawOpen=1)[8, 1] < landmarks(model)[8, 1] - 20
    assert (moved[vertices_of(model, "lower_teeth"), 1] < -3).all()
    assert moved[vertices_of(model, "tongue"), 1].mean() < -5
    assert np.abs(moved[vertices_of(model, "upper_teeth")]).max() < 0.2


def test_upper_teeth_show_below_the_resting_lip_line(model: MorphableModel) -> None:
    edge = model.mean[vertices_of(model, "upper_teeth")]
    edge = edge[np.abs(edge[:, 0]) < 5, 1].min()
    assert 0.5 < model.landmarks(model.mean)[62, 1] - edge < 3


def test_smile_raises_and_widens_the_corners(model: MorphableModel) -> None:
    rest, smile = landmarks(model), landmarks(model, mouthSmile=1)
    assert (smile[[48, 54], 1] > rest[[48, 54], 1] + 5).all()
    assert smile[54, 0] - smile[48, 0] > rest[54, 0] - rest[48, 0] + 5


@pytest.mark.parametrize(("upper", "lower"), [(37, 41), (38, 40), (43, 47), (44, 46)])
def test_blink_closes_the_lids(model: MorphableModel, upper: int, lower: int) -> None:
    rest, closed = landmarks(model), landmarks(model, eyeBlink=1)
    gap = closed[upper, 1] - closed[lower, 1]
    assert abs(gap) < 0.2 * (rest[upper, 1] - rest[lower, 1])


def test_brows_rise_and_fall(model: MorphableModel) -> None:
    rest = landmarks(model)[17:27, 1].mean()
    assert landmarks(model, browInnerUp=1, browOuterUp=1)[17:27, 1].mean() > rest + 2
    assert landmarks(model, browDown=1)[17:27, 1].mean() < rest - 2


# ---------------------------------------------------------------- landmarks


def test_landmarks_lie_on_the_front(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    normals = face_normals(model)[model.landmark_faces]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    outer = np.r_[17:36, 48:60]
    assert (normals[outer, 2] > -0.2).all() and (normals[17:31, 2] > 0).all()
    assert (points[17:, 2] > -20).all() and (points[:17, 2] > -85).all()
    assert np.isin(model.parts[model.landmark_faces], [0, 1]).all()


def test_landmarks_are_in_anatomical_order(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    assert (np.diff(points[:17, 0]) > 0).all() and (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) < 0).all()
    assert points[36, 0] < points[39, 0] < 0 < points[42, 0] < points[45, 0]
    assert points[48, 0] < points[60, 0] < 0 < points[64, 0] < points[54, 0]
    assert points[8, 1] == points[:, 1].min() < points[57, 1] < points[51, 1]


def test_closed_lips_meet(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        assert abs(points[upper, 1] - points[lower, 1]) < 1.0
        assert abs(points[upper, 0] - points[lower, 0]) < 1.5


def test_contour_paths_cross_the_silhouette_front_to_back(model: MorphableModel) -> None:
    points = model.landmarks(model.mean)
    for k, path in enumerate(model.contour):
        assert len(set(path.tolist())) == len(path)
        line = model.mean[path]
        assert line[0, 2] > line[-1, 2] + 15
        assert np.linalg.norm(line - points[k], axis=1).min() < 8
        assert np.linalg.norm(np.diff(line, axis=0), axis=1).max() < 20


def test_uv_is_about_isotropic_on_the_front(model: MorphableModel) -> None:
    assert model.uv.min() >= 0 and model.uv.max() <= 1
    pixels = model.landmarks(model.uv) * 512
    assert 185 < pixels[45, 0] - pixels[36, 0] < 205
    assert pixels[8, 1] > pixels[30, 1] > pixels[27, 1]
    points = model.landmarks(model.mean)
    across = (pixels[42, 0] - pixels[39, 0]) / (points[42, 0] - points[39, 0])
    down = (pixels[33, 1] - pixels[27, 1]) / (points[27, 1] - points[33, 1])
    assert 0.8 < across / down < 1.25


# ---------------------------------------------------------------- bad files


def rewritten(folder: Path, **changes: object) -> Path:
    with np.load(asset_path()) as archive:
        arrays = {key: archive[key] for key in archive.files}
    for key, value in changes.items():
        if value is None:
            del arrays[key]
        else:
            arrays[key] = np.asarray(value)
    path = folder / "model.npz"
    np.savez(path, **arrays)
    return path


def test_copy_loads(tmp_path: Path, model: MorphableModel) -> None:
    copy = load_model(rewritten(tmp_path))
    assert np.array_equal(copy.mean, model.mean) and copy.sha256 != model.sha256


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uv": None}, "uv: expected an array"),
        ({"sigma": np.ones(3)}, "sigma: expected shape"),
        ({"mirror": np.zeros(3, np.uint16)}, "mirror: expected shape"),
        ({"landmark_bary": np.full((68, 3), 0.5)}, "landmark_bary: expected"),
        ({"landmark_faces": np.full(68, 60000, np.uint16)}, "landmark_faces: expected indices"),
        ({"blendshape_names": np.zeros(52)}, "blendshape_names: expected dtype"),
        ({"meta": np.array("{")}, "model: expected"),
    ],
)
def test_broken_assets_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(AssetError, match=message):
        load_model(rewritten(tmp_path, **changes))


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="readable file"):
        load_model(tmp_path / "absent.npz")
    foreign = tmp_path / "foreign.npz"
    foreign.write_bytes(b"not an archive")
    with pytest.raises(AssetError, match="archive"):
        load_model(foreign)
    assert issubclass(AssetError, SynthError)


# ---------------------------------------------------------------- build and calibration tools


def test_packing_is_reproducible(tmp_path: Path, rng: np.random.Generator) -> None:
    arrays = {"b": rng.random((3, 2)), "a": np.array("text"), "c": np.arange(4, dtype=np.uint16)}
    first, second = pack(arrays), pack(dict(reversed(arrays.items())))
    assert first == second
    (tmp_path / "x.npz").write_bytes(first)
    with np.load(tmp_path / "x.npz") as archive:
        assert all(np.array_equal(archive[k], v) for k, v in arrays.items())
        assert archive["a"].shape == ()


def test_closest_point_of_a_triangle(rng: np.random.Generator) -> None:
    triangle, point = rng.normal(size=(3, 3)), rng.normal(size=3) * 2
    steps = np.linspace(0, 1, 60)
    u, v = (g.ravel() for g in np.meshgrid(steps, steps))
    bary = np.stack([1 - u - v, u, v], 1)[u + v <= 1]
    naive = np.linalg.norm(bary @ triangle - point, axis=1).min()
    found = closest_in_triangles(triangle[None], point)[0]
    assert np.linalg.norm(found @ triangle - point) <= naive + 1e-9
    assert found.min() >= 0 and abs(found.sum() - 1) < 1e-12


def test_calibration_fit_recovers_landmarks_of_the_model(
    model: MorphableModel, rng: np.random.Generator
) -> None:
    points = model.landmarks(model.shape(rng.normal(size=model.n_modes) * 0.7))
    depth = 900 - points[:, 2]
    pixels = 256 + np.stack([points[:, 0], -points[:, 1]], 1) * (1500 / depth[:, None])
    faces = model.landmark_faces.astype(np.int64)
    found = fit(model, faces, model.landmark_bary, pixels, (512, 512), 0.05)
    assert np.linalg.norm(found.residual, axis=1).mean() < 0.005
    assert np.abs(found.correction).mean() < 0.5
