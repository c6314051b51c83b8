"""The light translators: network, application, ONNX, recipe."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.errors import AssetError, DependencyError, ShapeError, UsageError
from synth.translation.camera import CameraSettings, camera
from synth.translation.upsampling import apply_model, linear_model

QUIET = CameraSettings(noise=0)


@pytest.fixture(scope="module")
def weights() -> dict[str, Path]:
    from synth import assets

    folder = Path(assets.__file__).parent / "translation"
    return {to: folder / f"light_{to}.safetensors" for to in ("nir", "vis")}


@pytest.fixture(scope="module")
def face(portrait):
    """A portrait's pixels and points."""
    from synth.landmarks import get_detector

    return portrait.pixels, get_detector().detect(portrait)[0].points


@pytest.fixture(scope="module")
def to_nir(weights):
    from synth.translation.light import LightTranslator

    return LightTranslator(weights["nir"])


@pytest.fixture(scope="module")
def translated(to_nir, face):
    return to_nir(*face, 7)


def _untrained(folder: Path, to: str = "nir", kind: str = "light") -> Path:
    """Weights of a small network whose residual is nothing: it returns the grey picture."""
    import torch

    from synth.models.light import LightConfig, LightGenerator
    from synth.models.weights import save_weights

    network = LightGenerator(LightConfig(to, 4, 4, 1))
    torch.nn.init.zeros_(network.head.weight)
    path = folder / f"{to}_{kind}.safetensors"
    save_weights(path, network.state_dict(), kind, to=to, config=network.config.dumps())
    return path


# --------------------------------------------------------------------- upsampling
def test_linear_model_recovers_a_linear_function():
    rng = np.random.default_rng(0)
    guide = rng.random((40, 50, 3), np.float32)
    target = guide @ np.array([0.5, -0.3, 0.2], np.float32) + 0.1
    model = linear_model(guide, target, 2, 1e-7)
    assert model[..., :3].reshape(-1, 3).mean(0) == pytest.approx([0.5, -0.3, 0.2], abs=1e-3)
    assert np.abs(apply_model(model, guide) - target).max() < 2e-3


def test_linear_model_carries_an_edge_to_a_larger_picture():
    """Known truth: the large picture's edge, twice as strong, at its own sharpness."""
    large = np.zeros((160, 160, 1), np.float32)
    large[:, 83:] = 0.4
    small = cv2.resize(large, (40, 40), interpolation=cv2.INTER_AREA)[..., None]
    model = linear_model(small, 2 * small[..., 0] + 0.1, 2, 1e-5)
    grown = cv2.resize(model, (160, 160))
    assert np.abs(apply_model(grown, large) - (2 * large[..., 0] + 0.1)).max() < 0.03


def test_flat_guides_give_the_mean():
    target = np.full((20, 20), 0.7, np.float32)
    model = linear_model(np.full((20, 20, 3), 0.3, np.float32), target, 2, 1e-3)
    assert np.allclose(model[..., :3], 0, atol=1e-4) and np.allclose(model[..., 3], 0.7, atol=1e-4)


# ------------------------------------------------------------------------- camera
def test_camera_smooths_what_is_flat_and_keeps_edges():
    rng = np.random.default_rng(0)
    light = np.full((128, 128), 0.4, np.float32)
    light[:, 64:] = 0.7
    noisy = light + rng.normal(0, 0.008, light.shape).astype(np.float32)
    out = camera(noisy, 128.0, 0, CameraSettings(sharpen=0, noise=0)) / 255
    assert out[:, 10:50].std() < 0.5 * noisy[:, 10:50].std()
    assert out[:, 70].mean() - out[:, 57].mean() == pytest.approx(0.3, abs=0.02)


def test_camera_noise_comes_from_the_seed_alone():
    light = np.full((64, 64), 0.5, np.float32)
    settings = CameraSettings(noise=2.0)
    first, again, other = (camera(light, 60.0, seed, settings) for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()
    assert (first - 127.5).std() == pytest.approx(2.0, rel=0.1)
    assert np.ptp(camera(light, 60.0, 3, QUIET)) < 1e-3


# ---------------------------------------------------------------------- application
def test_near_infrared_keeps_the_face_where_it_is(translated, face):
    from synth.evaluation.faces import find_face

    pixels, points = face
    assert translated.shape == pixels.shape[:2] and translated.dtype == np.uint8
    found = find_face(translated, near=points)
    assert found is not None
    eyes = np.linalg.norm(points[45] - points[36])
    assert np.linalg.norm(found.points - points, axis=1).mean() < 0.015 * eyes


def test_near_infrared_pales_lips_and_brightens_skin(translated, face):
    from synth.evaluation.faces import align
    from synth.evaluation.features import region_medians

    pixels, points = face
    before, after = (region_medians(align(picture, points)) for picture in (pixels, translated))
    assert after["skin"] > before["skin"]
    for part in ("lips", "brows"):
        assert after[part] / after["skin"] > before[part] / before["skin"] + 0.02
    ratio = [seen["sclera"] / seen["iris"] for seen in (before, after)]
    assert ratio[1] < ratio[0]


def test_no_border_is_seen_around_the_face(to_nir, weights, tmp_path):
    """A network that returns the grey photo, on a flat photo: nothing but the lamp's fall-off."""
    from synth.translation.light import LightTranslator

    flat = np.full((400, 400, 3), 150, np.uint8)
    points = _regular_points()
    nir = LightTranslator(_untrained(tmp_path), settings=QUIET)(flat, points)
    steps = (
        np.abs(np.diff(nir.astype(int), axis=1)).max(),
        np.abs(np.diff(nir.astype(int), axis=0)).max(),
    )
    assert max(steps) <= 2


def _regular_points() -> np.ndarray:
    """The mean shape of a face, 100 px between the outer eye corners."""
    x = np.linspace(-0.75, 0.75, 17)
    jaw = np.column_stack([x, 0.1 + 1.1 * np.sqrt(np.maximum(1 - (x / 0.8) ** 2, 0))])
    brows = np.array(
        [[s * v, -0.25] for s in (-1, 1) for v in np.linspace(0.6, 0.15, 5)[:: s or 1]]
    )
    nose = [[0, v] for v in np.linspace(0, 0.45, 4)] + [
        [v, 0.55] for v in np.linspace(-0.15, 0.15, 5)
    ]
    eye = np.array(
        [[-0.15, 0], [-0.07, -0.06], [0.07, -0.06], [0.15, 0], [0.07, 0.06], [-0.07, 0.06]]
    )
    angles = np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)
    mouth = np.column_stack([0.28 * np.cos(angles), 0.85 + 0.1 * np.sin(angles)])
    inner = np.linspace(np.pi, 3 * np.pi, 8, endpoint=False)
    inside = np.column_stack([0.2 * np.cos(inner), 0.85 + 0.02 * np.sin(inner)])
    parts = [jaw, brows, nose, eye + [-0.35, 0], eye + [0.35, 0], mouth, inside]
    return np.vstack(parts) * 100 + [200, 170]


def test_the_same_seed_gives_the_same_picture(to_nir, translated, face):
    pixels, points = face
    assert (to_nir(pixels, points, 7) == translated).all()
    assert (to_nir(pixels, points, 8) != translated).any()


@pytest.mark.parametrize("shape", [(767, 511), (301, 768)])
def test_odd_sizes_and_faces_cut_by_the_border(to_nir, face, shape):
    pixels, points = face
    assert to_nir(pixels[: shape[0], : shape[1]], points).shape == shape


def test_without_landmarks_the_whole_picture_follows_the_tone_curve(weights, face):
    from synth.translation.light import LightTranslator, tone_curve

    off = CameraSettings(flat=0, lens=0, sharpen=0, noise=0)
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8)[None, :, None], 3, 2).repeat(48, 0)
    nir = LightTranslator(weights["nir"], settings=off)(ramp, None)
    assert np.abs(nir - 255 * tone_curve(ramp[..., 0].astype(np.float32) / 255)).max() <= 1
    assert (np.diff(nir[0].astype(int)) >= 0).all()


def test_dark_skin_becomes_brighter_and_stays_darker(to_nir, face):
    pixels, points = face
    dark = np.rint(pixels * np.array([0.42, 0.34, 0.30])).astype(np.uint8)
    left, right = points[2], points[48]
    x, y = np.rint((left + right) / 2).astype(int)
    spot = np.s_[y - 8 : y + 8, x - 8 : x + 8]
    light, shade = to_nir(pixels, points)[spot].mean(), to_nir(dark, points)[spot].mean()
    assert dark[spot].mean() + 15 < shade < light


def test_visible_has_skin_colours(weights, translated, face):
    from synth.translation.light import LightTranslator

    _, points = face
    for tone in (None, (110.0, 75.0, 60.0)):
        vis = LightTranslator(weights["vis"], "vis", tone=tone)(translated, points)
        assert vis.shape == (*translated.shape, 3)
        x, y = np.rint((points[2] + points[48]) / 2).astype(int)
        red, green, blue = vis[y - 8 : y + 8, x - 8 : x + 8].reshape(-1, 3).mean(0)
        assert red > green > blue


def test_lips_are_never_brighter_than_cheeks():
    from synth.translation.light_frame import LIPS, hold_lips

    points = _regular_points() * 0.48 - [16, 16]
    target = np.full((160, 160), 0.5, np.float32)
    mouth = points[48:60].mean(0).round().astype(int)
    lips = np.s_[mouth[1] + 3, mouth[0]]
    assert (hold_lips(target * 0.8, points)[:40] == target[:40] * 0.8).all()
    target[mouth[1] - 6 : mouth[1] + 7, mouth[0] - 14 : mouth[0] + 15] = 0.7
    held = hold_lips(target, points)
    assert held[lips] == pytest.approx(0.5 * LIPS, abs=0.06)
    assert (held[:40] == target[:40]).all()


# ------------------------------------------------------------------------- bad input
def test_wrong_pictures_are_refused(to_nir, weights, face):
    from synth.translation.light import LightTranslator

    pixels, points = face
    with pytest.raises(ShapeError, match=r"expected \(H, W, 3\) uint8"):
        to_nir(pixels[..., 0], points)
    with pytest.raises(ShapeError, match="translation to vis"):
        LightTranslator(weights["vis"], "vis")(pixels, points)
    with pytest.raises(ShapeError, match="68, 2"):
        to_nir(pixels, points[:5])
    with pytest.raises(ShapeError, match="enlarge"):
        to_nir(pixels, points * 0.001)


def test_wrong_weights_are_refused(weights, tmp_path):
    from synth.translation.light import LightTranslator

    with pytest.raises(AssetError, match="one to nir"):
        LightTranslator(weights["nir"], "vis")
    with pytest.raises(AssetError, match="kind light"):
        LightTranslator(_untrained(tmp_path, kind="score"))
    with pytest.raises(AssetError, match="beside the weights"):
        LightTranslator(_untrained(tmp_path), runtime="onnx")
    for keywords in ({"to": "uv"}, {"runtime": "tvm"}, {"tone": (300, 0, 0)}):
        with pytest.raises(UsageError):
            LightTranslator(weights["nir"], **keywords)


def test_configurations_round_trip():
    from synth.models.light import LightConfig

    config = LightConfig("vis", 8, 16, 2)
    assert LightConfig.loads(config.dumps()) == config
    for text in ("{}x", '{"depth": 3}', '{"to": "uv"}', '{"width": 1}'):
        with pytest.raises(AssetError, match="config"):
            LightConfig.loads(text)


# ------------------------------------------------------------------------------ ONNX
@pytest.mark.parametrize("to", ["nir", "vis"])
def test_onnx_gives_the_same_at_any_size(weights, to):
    pytest.importorskip("onnxruntime")
    from synth.models.onnx_export import largest_difference

    rng = np.random.default_rng(0)
    channels, tone = (3, None) if to == "nir" else (1, rng.random((2, 3), np.float32))
    for size in ((160, 160), (64, 100)):
        pixels = rng.random((2, channels, *size), np.float32)
        path = weights[to]
        assert largest_difference(path, path.with_suffix(".onnx"), pixels, tone) < 0.1


def test_the_onnx_runtime_translates_alike(weights, translated, face):
    pytest.importorskip("onnxruntime")
    from synth.translation.light import LightTranslator

    other = LightTranslator(weights["nir"], runtime="onnx")(*face, 7)
    assert np.abs(other.astype(int) - translated).max() <= 1


def test_onnx_needs_its_package(weights, monkeypatch):
    from synth.translation.light import LightTranslator

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"synth-affect\[onnx\]"):
        LightTranslator(weights["nir"], runtime="onnx")


def test_export_writes_a_file_with_its_metadata(tmp_path):
    onnx = pytest.importorskip("onnx")
    from synth.models.onnx_export import export_onnx

    export_onnx(_untrained(tmp_path, "vis"), tmp_path / "made.onnx")
    model = onnx.load(str(tmp_path / "made.onnx"))
    meta = {entry.key: entry.value for entry in model.metadata_props}
    assert meta["to"] == "vis" and json.loads(meta["config"])["width"] == 4
    assert [entry.name for entry in model.graph.input] == ["pixels", "tone"]


# ---------------------------------------------------------------------------- recipe
def _faces(colour: bool, people: int = 3):
    from synth.training.light_data import FaceSet, face_mask

    rng = np.random.default_rng(int(colour))
    shape = (people, 192, 192, 3) if colour else (people, 192, 192)
    mask = face_mask(_regular_points() * 0.48 + [0, 0], 192)
    return FaceSet(
        rng.integers(40, 220, shape).astype(np.uint8),
        np.repeat(mask[None], people, 0),
        tuple("abc"[:people]),
        np.zeros(people, bool),
    )


def test_people_are_drawn_evenly_and_dark_ones_more_often():
    from synth.training.light_data import FaceSet, Views

    levels = np.array([200, 200, 200, 60], np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (4, 192, 192, 3)).copy()
    faces = FaceSet(
        pixels, np.ones((4, 192, 192), np.float32), ("a", "a", "a", "b"), np.zeros(4, bool)
    )
    views, rng = Views(faces, 32, light=0.0), np.random.default_rng(0)
    dark = np.mean([views.draw(rng)[0].mean() < 0 for _ in range(200)])
    assert dark == pytest.approx(2.5 / 3.5, abs=0.12)


def test_training_resumes_exactly(tmp_path):
    import torch

    from synth.training.light_cyclegan import LightSettings, LightTraining
    from synth.training.loop import train

    small = LightSettings(iterations=4, batch=1, view=32, width=4, coarse=8, blocks=1, critic=4)

    def run(folder: Path, steps: int) -> dict[str, torch.Tensor]:
        made = LightTraining(_faces(True), _faces(False), small)
        left = iter([False] * steps + [True])
        train(made, folder, 4, {"seed": 0}, save_every=2, sample_every=4, stop=lambda: next(left))
        return made.means["to_nir"]

    whole = run(tmp_path / "a", 9)
    run(tmp_path / "b", 2)
    parted = run(tmp_path / "b", 9)
    assert all(torch.equal(whole[key], parted[key]) for key in whole)
    assert (tmp_path / "a" / "weights" / "light_nir.safetensors").exists()


def test_the_reverse_learns_colours_from_pairs():
    from synth.models.light import LightConfig, LightGenerator
    from synth.training.light_back import BackSettings, BackTraining

    small = BackSettings(iterations=40, batch=2, view=32, width=4, coarse=8, blocks=1, rate=5e-3)
    vis = _faces(True)
    vis.pixels[...] = np.array([180, 130, 110], np.uint8)
    made = BackTraining(vis, _faces(False), LightGenerator(LightConfig("nir", 4, 8, 1)), small)
    losses = [made.step(i)["colour"] for i in range(small.iterations)]
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:4])
    assert made.samples().dtype == np.uint8


def test_face_mean_and_gradients():
    import torch

    from synth.training.light_cyclegan import face_mean, gradients

    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 1:3] = 1
    assert face_mean(x, mask).item() == 7.5
    assert torch.equal(gradients(x)[0, 0], torch.full((3, 3), 4.0))
    assert torch.equal(gradients(x)[0, 1], torch.ones(3, 3))
