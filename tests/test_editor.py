"""The distilled editor: its network, its pairs, its training, and edits at full size."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from synth.editing import edit_face, get_editor
from synth.editing.alignment import CONTROLS, MIRROR, Alignment, mean_shape
from synth.editing.distilled import DistilledEditor
from synth.errors import AssetError, ShapeError, SkipPhoto, TargetError, UsageError
from synth.models.editor import EditorConfig, EditorNet, Prediction, config_json, sample_flow
from synth.models.polar import PolarSpace
from synth.models.weights import load_weights, save_weights
from synth.pipeline import Generator
from synth.render.deform import deform
from synth.render.face import render
from synth.render.settings import RenderSettings
from synth.training.distill import DistillSettings, DistillTraining, run_distill
from synth.training.distill_batches import draw_batch
from synth.training.distill_losses import compose, distill_losses
from synth.training.distill_pairs import DIRECTIONS, Pairs, draw_code, make_pairs, teacher_weights
from synth.training.distill_truth import mouth_share, true_flow
from synth.training.loop import train

CONFIG = EditorConfig(width=16, blocks=1)
SPACE = PolarSpace(DIRECTIONS)
SMALL = DistillSettings(iterations=3, mouth=0.4, batch=2, each=6, width=16, blocks=1, dtype="fp32")


@pytest.fixture(scope="module")
def pairs(samples) -> Pairs:
    """Six pairs of each of two sample portraits."""
    made, names = make_pairs(
        [str(samples / "sample_1.jpg"), str(samples / "sample_2.jpg")], EditorConfig(), 6
    )
    assert names == ("sample_1", "sample_2") and len(made) == 12
    return made


@pytest.fixture(scope="module")
def face(portrait):
    """Landmarks of the portrait."""
    return Generator().faces(portrait)[1][0].points


@pytest.fixture(scope="module")
def net(face) -> EditorNet:
    """A network that was never trained, but whose outputs are not small."""
    torch.manual_seed(0)
    made = EditorNet(CONFIG).eval().requires_grad_(False)
    for last in (made.flow, made.gain, made.mouth_out):
        torch.nn.init.normal_(last.weight, std=0.05)
    made.shape.copy_(torch.from_numpy(mean_shape(face[None])))
    return made


def write(path: Path, net: EditorNet, **meta: str) -> Path:
    kept = {"config": config_json(net.config), "directions": json.dumps(DIRECTIONS)} | meta
    save_weights(path, net.state_dict(), "editor", **kept)
    return path


@pytest.fixture(scope="module")
def editor(net, tmp_path_factory) -> DistilledEditor:
    return DistilledEditor(write(tmp_path_factory.mktemp("weights") / "editor.safetensors", net))


# ---------------------------------------------------------------------------- network
def test_nothing_happens_at_rho_0(net):
    view = torch.rand(2, 3, 128, 128) * 2 - 1
    made = net(view, torch.tensor([0.3, 2.0]), torch.tensor([0.0, 0.5]))
    for part in made[:3]:
        assert part[0].abs().max() == 0 < part[1].abs().max()
    same = compose(view, made, CONFIG)
    assert torch.allclose(same[0], view[0], atol=1e-5)


def test_code_is_periodic_and_counts(net):
    view = torch.rand(1, 3, 128, 128).expand(3, -1, -1, -1)
    made = net(view, torch.tensor([1.0, 1.0 + 2 * np.pi, 2.0]), torch.ones(3))
    assert torch.allclose(made.flow[0], made.flow[1], atol=1e-4)
    assert (made.flow[0] - made.flow[2]).abs().max() > 1e-3


def test_views_do_not_touch_each_other(net):
    view, theta, rho = torch.rand(3, 3, 128, 128), torch.rand(3), torch.rand(3)
    together, alone = net(view, theta, rho), net(view[1:2], theta[1:2], rho[1:2])
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a[1:2], b, atol=1e-5)


def test_flow_is_sampled_where_it_points():
    rng = np.random.default_rng(0)
    view = torch.from_numpy(rng.random((1, 2, 8, 8), np.float32))
    flow = torch.from_numpy(rng.uniform(-0.2, 0.2, (1, 2, 8, 8)).astype(np.float32))
    found = sample_flow(view, flow)
    for y, x in ((0, 0), (3, 5), (7, 2)):
        at = np.clip(np.array([x, y]) + 8 * flow[0, :, y, x].numpy(), 0, 7)
        (x0, y0), (fx, fy) = np.floor(at).astype(int), at % 1
        x1, y1 = min(x0 + 1, 7), min(y0 + 1, 7)
        v = view[0, 0].numpy()
        naive = (1 - fy) * ((1 - fx) * v[y0, x0] + fx * v[y0, x1])
        naive += fy * ((1 - fx) * v[y1, x0] + fx * v[y1, x1])
        assert float(found[0, 0, y, x]) == pytest.approx(naive, abs=1e-5)


# ------------------------------------------------------------------------------ pairs
def test_codes_are_in_the_space():
    rng = np.random.default_rng(0)
    codes = np.array([draw_code(rng) for _ in range(400)])
    assert (codes[:, 0] >= 0).all() and (codes[:, 0] < 360).all()
    assert (codes[:, 1] > 0).all() and (codes[:, 1] <= 1).all()
    assert set(DIRECTIONS.values()) <= set(codes[:, 0])


def test_teacher_shows_expressions_in_their_directions(gallery):
    for name, theta in DIRECTIONS.items():
        own = gallery.expression(name, 0.8).weights
        assert np.allclose(teacher_weights(gallery, SPACE, theta, 0.8), own)
    assert not teacher_weights(gallery, SPACE, 50.0, 0.0).any()
    around = np.array([teacher_weights(gallery, SPACE, t, 1.0) for t in np.arange(0, 361, 2.0)])
    assert np.abs(np.diff(around, axis=0)).max() < 0.25
    assert np.allclose(around[0], around[-1])


def test_flow_brings_the_photo_to_what_the_renderer_drew(portrait):
    """Without light and folds, the known part of a drawn face is the moved photo."""
    plain = RenderSettings(relight=False, folds=False)
    generator = Generator(crop="face", size=256)
    image, faces = generator.faces(portrait)
    rig = generator.prepare(image, faces[0]).rig
    rig = dataclasses.replace(rig, settings=plain, folds=None)
    weights = teacher_weights(generator.expressions, SPACE, DIRECTIONS["surprise"], 1.0)
    weights = weights[generator.order]
    drawn = render(rig, weights).pixels
    state = deform(rig, weights, rig.fit.camera)
    origin, known = true_flow(rig, state)
    moved = cv2.remap(rig.image.pixels, origin[..., 0], origin[..., 1], cv2.INTER_CUBIC)
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5))) > 0
    error = np.abs(moved.astype(int) - drawn).max(-1)
    before = np.abs(rig.image.pixels.astype(int) - drawn).max(-1)
    assert np.quantile(error[inner], 0.99) <= 6 < np.quantile(before[inner], 0.99)
    assert inner.mean() > 0.9 and not known.all()
    inside = mouth_share(rig, state)
    assert inside.max() == 1 and 0.003 < inside.mean() < 0.1
    assert not known[inside > 0.9].any()
    shut = deform(rig, np.zeros_like(weights), rig.fit.camera)
    assert mouth_share(rig, shut).mean() < 0.1 * inside.mean()


def truth(pairs: Pairs, rows: np.ndarray, rng=None):
    """The prediction that knows the answer, and its batch."""
    batch = draw_batch(pairs, rows, rng)
    return Prediction(batch.flow, batch.gain, batch.share, batch.mouth), batch


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_the_truth_makes_the_teachers_picture(pairs, seed):
    """Also mirrored and in another light: flow, gain and mouth follow alike."""
    rng = None if seed is None else np.random.default_rng(seed)
    made, batch = truth(pairs, np.arange(len(pairs)), rng)
    error = (compose(batch.source, made, EditorConfig()) - batch.target).abs()
    still = (batch.source - batch.target).abs()
    sure = torch.nn.functional.interpolate(batch.known, scale_factor=2) > 0
    sure = sure.expand_as(error)
    assert error[sure].mean() < 0.35 * still[sure].mean()


def test_losses_against_naive_ones(pairs):
    made, batch = truth(pairs, np.arange(4))
    found = distill_losses(made, batch, EditorConfig())
    assert found["flow"] < 1e-3 and found["gain"] == 0 == found["mouth"] == found["edges"]
    moved = made._replace(flow=made.flow + torch.tensor([0.03, 0.04])[None, :, None, None])
    assert float(distill_losses(moved, batch, EditorConfig())["flow"]) == pytest.approx(
        0.05 / 0.46, rel=1e-2
    )
    brighter = made._replace(mouth=made.mouth + 0.25)
    worse = distill_losses(brighter, batch, EditorConfig())
    assert float(worse["mouth"]) == pytest.approx(0.25, rel=1e-4) and worse["edges"] < 1e-5
    shut = distill_losses(made._replace(mask=0 * made.mask), batch, EditorConfig())
    assert shut["mask"] > found["mask"] + 0.05


# --------------------------------------------------------------------------- training
def test_it_learns_and_goes_on_exactly(pairs, tmp_path):
    def run(root: Path, *stops: int) -> dict:
        for stop in stops:
            training = DistillTraining(pairs, SMALL)
            at = [0]
            train(
                training, root, 3, dataclasses.asdict(SMALL), stop=lambda at=at, s=stop: at[0] >= s,
                progress=lambda done, _, at=at: at.__setitem__(0, done),
            )  # fmt: skip
        return training.mean.state_dict()

    whole, parts = run(tmp_path / "a", 3), run(tmp_path / "b", 1, 3)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    tensors, meta = load_weights(tmp_path / "a" / "weights" / "editor.safetensors", "editor")
    assert json.loads(meta["directions"]) == DIRECTIONS
    assert all(torch.allclose(tensors[n].float(), whole[n], atol=2e-3, rtol=1e-3) for n in whole)
    assert list((tmp_path / "a" / "samples").glob("*.jpg"))


def test_at_last_only_the_mouth_is_trained(pairs):
    training = DistillTraining(pairs, SMALL)
    for i in range(2):
        training.step(i)
    before = {name: p.detach().clone() for name, p in training.net.named_parameters()}
    training.step(2)
    for name, parameter in training.net.named_parameters():
        assert torch.equal(parameter, before[name]) != name.startswith("mouth_"), name


def test_rate_rises_and_falls_in_both_parts():
    settings = DistillSettings(iterations=3000, mouth=1 / 3, rate=1.0)
    rates = np.array([settings.rate_at(i) for i in range(3000)])
    assert rates[0] == rates[2000] == 0.01 and rates[150] == rates[2150] == 1.0
    assert rates[1999] == pytest.approx(0.05, abs=0.01) == rates[2999]
    assert rates.max() == 1.0


def test_losses_fall(pairs):
    settings = dataclasses.replace(SMALL, iterations=1000, batch=4, rate=4e-3)
    training = DistillTraining(pairs, settings)
    losses = []
    for i in range(10):
        training.rng = np.random.default_rng(0)  # one batch, again and again
        losses.append(training.step(i + 99))
    for name in ("mask", "mouth"):
        assert losses[-1][name] < 0.95 * losses[0][name]


@pytest.mark.slow
def test_a_run_from_photos_to_an_editor(samples, portrait, face, tmp_path):
    settings = dataclasses.replace(SMALL, iterations=2, each=4)
    done = run_distill([samples / "sample_1.jpg"], tmp_path / "run", settings, device="cpu")
    assert done.finished and not (tmp_path / "run" / ".pairs.npz").exists()
    editor = get_editor(tmp_path / "run" / "weights" / "editor.safetensors")
    assert editor.method == "distilled" and editor.space == SPACE
    edit_face(editor, portrait.pixels, face, 15.0, 0.8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iterations": 0}, "iterations: expected 1"),
        ({"mouth": 1.0}, "mouth: expected a share"),
        ({"width": 20}, "multiple of 16"),
        ({"ema": 1.0}, "ema"),
        ({"rate": 0.0}, "rate"),
        ({"dtype": "fp8"}, "fp32 or bf16"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(UsageError, match=message):
        DistillSettings(**changes)


def test_no_usable_photo_is_said(tmp_path, samples):
    with pytest.raises(UsageError, match="expected faces"):
        make_pairs([str(samples / "sample_1.jpg")], EditorConfig(), 1, without=["sample_1"])


# ------------------------------------------------------------------------------ edits
def test_edits_keep_size_and_vanish_at_rho_0(editor, portrait, face):
    edited, _ = edit_face(editor, portrait.pixels, face, 15.0, 0.0)
    small = cv2.resize(portrait.pixels, (384, 384))
    assert np.array_equal(editor(small, 100.0, 0.0), small)
    out = editor(small, 100.0, 1.0)
    assert out.shape == small.shape and out.dtype == np.uint8 and not np.array_equal(out, small)
    border = np.abs(out.astype(int) - small)
    assert border[0].max() <= 2 and border[-1].max() <= 2  # nothing moves at the border
    assert np.abs(edited.astype(int) - portrait.pixels).max() <= 3  # colour transfer rounds


def test_a_known_flow_moves_the_crop(editor, portrait, face, monkeypatch):
    """All of the plane moved by a tenth: the middle of the crop moves by as many pixels."""
    crop, points = portrait.pixels, face
    align = Alignment(editor.net.shape.numpy().astype(float), points)
    assert np.abs(align.to_photo(align.shape) - points).max() < 1  # it is this face's own shape
    side = float(np.hypot(*align.affine[:, 0]))
    left, top, right, bottom = editor.config.mouth_box(384)
    flow = np.zeros((64, 64, 2), np.float32)
    flow[..., 0] = round(0.1 * side) / side
    mask = np.zeros((bottom - top, right - left), np.float32)
    rest = (np.zeros((128, 128), np.float32), mask, np.zeros((*mask.shape, 3), np.uint8))
    monkeypatch.setattr(editor, "_predict", lambda *_: (flow, *rest))
    out = editor(crop, 0.0, 1.0, points)
    x, y = np.round(points[30]).astype(int)
    middle = np.s_[y - 60 : y + 60, x - 60 : x + 60]
    moved = np.roll(crop, -round(0.1 * side), axis=1)
    turned = align.affine[:, :2] @ (round(0.1 * side) / side, 0)  # faces are not quite upright
    assert abs(turned[1]) < 2
    error = np.abs(out[middle].astype(int) - moved[middle]).mean()
    assert error < 0.3 * np.abs(crop[middle].astype(int) - moved[middle]).mean()
    # and a painted mouth lies where the plane's box does
    flow[:], mask[:] = 0, 1
    painted = (np.abs(editor(crop, 0.0, 1.0, points).astype(int) - crop) > 30).any(-1)
    rows, columns = np.flatnonzero(painted.any(1)), np.flatnonzero(painted.any(0))
    box = np.array(editor.config.mouth).reshape(2, 2) / 16
    low, high = align.to_photo(box)
    found = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]])
    assert np.abs(found - [low, high]).max() <= 0.02 * side
    assert not np.array_equal(editor(crop, 0.0, 1.0), crop)  # finds the landmarks itself


# -------------------------------------------------------------------------- alignment
def test_plane_and_photo_are_each_others_inverse(face):
    rng = np.random.default_rng(0)
    size = np.ptp(face[:, 0])
    faces = face + rng.normal(0, 0.03 * size, (5, 68, 2))
    shape = mean_shape(faces)
    assert np.allclose(shape[list(MIRROR)] * (-1, 1) + (1, 0), shape, atol=1e-3)  # symmetric
    for points in faces:
        align = Alignment(shape, points)
        at = rng.uniform(0, 1, (40, 2))
        assert np.allclose(align.to_plane(align.to_photo(at)), at, atol=2e-3)
        # closer than a similarity brings it
        moved = align.shape @ align.affine[:, :2].T + align.affine[:, 2]
        controls = list(CONTROLS)
        bent = np.abs(align.to_photo(shape) - points)[controls].mean()
        assert bent < 0.6 * np.abs(moved - points)[controls].mean()


def test_maps_are_the_functions_themselves(face):
    align = Alignment(mean_shape(face[None]), face * (1.0, 1.05) + (3, 4))
    place, view = align.plane_map(150, 170), align.view_map(130)
    for y, x in ((0, 0), (149, 169), (70, 33)):
        assert np.allclose(place[y, x], align.to_plane([[x, y]])[0], atol=1e-4)
    at = (np.array([[7, 110]]) + 0.5) / 130
    assert np.allclose(view[110, 7], align.to_photo(at)[0], atol=1e-2)


def test_a_moved_face_moves_its_plane(face):
    """Turned, scaled and shifted landmarks: the plane follows exactly."""
    shape = mean_shape(face[None])
    turn = 1.7 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    a, b = Alignment(shape, face), Alignment(shape, face @ turn.T + (40, -9))
    at = np.random.default_rng(1).uniform(0, 1, (20, 2))
    assert np.allclose(a.to_photo(at) @ turn.T + (40, -9), b.to_photo(at))


def test_bad_input_is_named(editor, portrait):
    crop = portrait.pixels
    with pytest.raises(TargetError, match="theta"):
        editor(crop[:64, :64], 360.0, 0.5)
    with pytest.raises(TargetError, match="rho"):
        editor(crop[:64, :64], 0.0, 1.5)
    with pytest.raises(ShapeError, match="crop"):
        editor(crop[:64, :60], 0.0, 0.5)
    with pytest.raises(ShapeError, match="points"):
        editor(crop[:64, :64], 0.0, 0.5, np.zeros((5, 2)))
    with pytest.raises(SkipPhoto, match="expected a face"):
        editor(np.zeros((64, 64, 3), np.uint8), 0.0, 0.5)


def test_weights_that_are_none(net, tmp_path):
    good = write(tmp_path / "good.safetensors", net)
    assert get_editor(good).method == "distilled"
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-1000])
    wider = config_json(dataclasses.replace(net.config, width=32))
    bad = {
        "architecture": write(tmp_path / "a.safetensors", net, config=wider),
        "config": write(tmp_path / "c.safetensors", net, config="{"),
        "key": write(tmp_path / "k.safetensors", net, config='{"depth": 3}'),
        "directions": write(tmp_path / "d.safetensors", net, directions='{"mirth": 3}'),
        "cut": cut,
        "missing": tmp_path / "missing.safetensors",
    }
    for path in bad.values():
        with pytest.raises(AssetError, match="weights: expected"):
            DistilledEditor(path)


# ------------------------------------------------------------------------- as shipped
@pytest.fixture(scope="module")
def shipped(root) -> Path:
    path = root / "assets" / "editing" / "editor.safetensors"
    if not path.is_file():
        pytest.skip("no weights of the distilled editor")
    return path


def test_shipped_weights_edit_a_portrait(shipped, portrait, face):
    """Landmarks found anew: a smile widens the mouth, surprise opens it, more with rho."""
    assert shipped.stat().st_size <= 25e6
    editor, generator = DistilledEditor(shipped), Generator()
    assert set(editor.space.directions) == set(DIRECTIONS) == set(editor.space.anchors)

    def measures(name: str, rho: float) -> tuple[float, float, float]:
        pixels, _ = edit_face(editor, portrait.pixels, face, *editor.space.of_expression(name, rho))
        image = dataclasses.replace(portrait, pixels=pixels)
        p = generator.faces(image)[1][0].points
        size = np.linalg.norm(p[45] - p[36])
        brows = (p[[36, 39, 42, 45], 1].mean() - p[17:27, 1].mean()) / size
        return (p[54, 0] - p[48, 0]) / size, (p[66, 1] - p[62, 1]) / size, brows

    neutral = measures("neutral", 0.0)
    smiles = [measures("happiness", rho)[0] for rho in (0.3, 0.6, 0.9)]
    surprise = [measures("surprise", rho) for rho in (0.3, 0.6, 0.9)]
    assert smiles[2] > neutral[0] + 0.05 and smiles == sorted(smiles)
    assert surprise[2][1] > neutral[1] + 0.08 and surprise[2][1] > surprise[0][1]
    assert surprise[2][2] > neutral[2] + 0.02
    assert measures("anger", 0.9)[2] < neutral[2] - 0.02
