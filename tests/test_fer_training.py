"""Training of face readers: losses by hand, views that points follow, exact resuming."""

from __future__ import annotations

import csv
import dataclasses
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from synth.errors import AssetError, DependencyError, UsageError
from synth.landmarks.mirror import MIRROR
from synth.models.fer import FERConfig, load_fer
from synth.recognition.faces import UNLABELLED, FaceSet
from synth.training.fer import FERTraining
from synth.training.fer_augment import Drawn, apply, draw, noise_bank
from synth.training.fer_batches import Batches, kinds_of
from synth.training.fer_data import predict, prepare
from synth.training.fer_identity import draw_identities, neutral_shapes
from synth.training.fer_losses import (
    ccc_loss,
    class_loss,
    class_weights,
    cross_entropy_va,
    mse_loss,
    parse_losses,
    va_loss,
)
from synth.training.fer_people import hold_people_out, refuse_leaks, stratified
from synth.training.fer_run import run_fer
from synth.training.fer_scores import faces_scores, selection
from synth.training.fer_search import run_search
from synth.training.fer_settings import FERSettings
from synth.training.fer_strengths import PRESETS, Augment, parse_augment
from synth.training.fer_sweep import run_sweep, subset

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def t(*values: object) -> torch.Tensor:
    return torch.tensor(np.array(values), dtype=torch.float64)


def faces_of(count: int = 48, people: int = 6, size: int = 32, seed: int = 0) -> FaceSet:
    """Pictures whose brightness at the left tells valence, at the right arousal."""
    rng = np.random.default_rng(seed)
    va = rng.uniform(-0.9, 0.9, (count, 2)).astype(np.float32)
    pixels = rng.integers(0, 30, (count, size, size))
    pixels[:, :, : size // 2] += (110 + 100 * va[:, 0]).astype(int)[:, None, None]
    pixels[:, :, size // 2 :] += (110 + 100 * va[:, 1]).astype(int)[:, None, None]
    return FaceSet(
        pixels=pixels.clip(0, 255).astype(np.uint8),
        points=rng.uniform(2, size - 3, (count, 68, 2)).astype(np.float32),
        va=va,
        label=np.where(va[:, 0] > 0, 1, 2),
        subjects=tuple(f"p{seed}_{i % people}" for i in range(count)),
        names=tuple(f"{seed}/{i}.png" for i in range(count)),
        origin=("synthetic",) * count,
        spectrum=("vis",) * count,
    )


QUICK = FERSettings(
    size=32, width=0.25, epochs=3, batch=16, augment="none", dropout=0.0, rate=3e-3, seed=3
)


# ------------------------------------------------------------------------------- losses
def test_losses_by_hand():
    e, target = t([0.5, 0.0], [-0.5, 0.5]), t([1.0, 0.0], [0.0, -0.5])
    assert mse_loss(e, target).item() == pytest.approx((0.25 + 0 + 0.25 + 1) / 4)
    # Population moments: variances 1/4 and 1/4, 1/16 and 1/16; covariances 1/4, -1/16.
    valence = 2 * 0.25 / (0.25 + 0.25 + (0.0 - 0.5) ** 2)

    arousal = 2 * -0.0625 / (0.0625 + 0.0625 + (0.25 + 0.25) ** 2)
    assert ccc_loss(e, target).item() == pytest.approx(1 - (valence + arousal) / 2, abs=1e-4)
    p, q = t([0.75, 0.5], [0.25, 0.75]), t([1.0, 0.5], [0.5, 0.25])
    by_hand = -(q * p.log() + (1 - q) * (1 - p).log()).mean()
    assert cross_entropy_va(e, target).item() == pytest.approx(by_hand.item())


def test_ccc_loss_is_the_metric():
    from synth.metrics.agreement import ccc

    rng = np.random.default_rng(0)
    target, e = rng.uniform(-1, 1, (40, 2)), rng.uniform(-1, 1, (40, 2))
    expected = 1 - (ccc(target[:, 0], e[:, 0]) + ccc(target[:, 1], e[:, 1])) / 2
    assert ccc_loss(t(*e), t(*target)).item() == pytest.approx(expected, abs=1e-4)
    assert ccc_loss(t(*e), t(*e)).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("loss", [mse_loss, ccc_loss, cross_entropy_va])
def test_unlabelled_faces_count_for_nothing_and_weights_count(loss):
    rng = np.random.default_rng(1)
    e, target = t(*rng.uniform(-1, 1, (6, 2))), t(*rng.uniform(-1, 1, (6, 2)))
    some = target.clone()
    some[3:] = math.nan
    assert loss(e, some).item() == pytest.approx(loss(e[:3], target[:3]).item())
    weight = t(2, 1, 1, 0, 0, 0)
    twice = [0, 0, 1, 2]
    assert loss(e, target, weight).item() == pytest.approx(loss(e[twice], target[twice]).item())
    leaf = e.clone().requires_grad_()
    loss(leaf, torch.full_like(target, math.nan)).backward()  # nothing to learn, nothing wrong
    assert leaf.grad is not None and leaf.grad.abs().sum() == 0


def test_sum_of_losses_by_weight():
    e, target = t([0.5, 0.0], [-0.5, 0.5]), t([1.0, 0.0], [0.0, -0.5])
    losses = parse_losses("mse:2,ccc:0.5")
    total, parts = va_loss(losses, e, target, None)
    assert set(parts) == {"mse", "ccc"}
    assert total.item() == pytest.approx(2 * parts["mse"].item() + 0.5 * parts["ccc"].item())
    for bad in ("", "l2", "mse:x", "mse:-1", "mse:0", "mse,mse"):
        with pytest.raises(UsageError, match="loss: expected"):
            parse_losses(bad)


def test_class_weights_by_inverse_frequency():
    label = torch.tensor([0, 0, 0, 1, 3, 3, UNLABELLED])
    weights = class_weights(label, 4)
    # 6 labelled faces of 3 classes: 6 / (3 n)
    assert weights.tolist() == pytest.approx([2 / 3, 2, 0, 1])
    assert weights[label[:6]].mean().item() == pytest.approx(1)
    assert class_weights(torch.tensor([UNLABELLED]), 2).tolist() == [0, 0]


def test_class_loss_is_torchs_and_zero_without_labels():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 4, generator=rng)
    label = torch.tensor([0, 0, 1, 3, UNLABELLED, 2, UNLABELLED])
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0])
    expected = torch.nn.functional.cross_entropy(logits, label, weight)
    assert class_loss(logits, label, weight).item() == pytest.approx(expected.item(), rel=1e-5)
    assert class_loss(logits, torch.full((7,), UNLABELLED), weight).item() == 0


# ------------------------------------------------------------------------------- views
def pictures(count: int = 4, size: int = 48, channels: int = 1, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), generator=rng, dtype=torch.uint8)


def test_no_strength_changes_nothing():
    x = pictures(channels=3)
    points = torch.rand(4, 68, 2) * 40
    rng = torch.Generator().manual_seed(0)
    drawn = draw(4, PRESETS["none"], rng, points=True)
    assert all(getattr(drawn, f.name) is None for f in dataclasses.fields(drawn))
    made, moved = apply(x, points, drawn)
    assert torch.allclose(made, x.float() / 127.5 - 1, atol=1e-6)
    assert torch.equal(moved, points)


@pytest.mark.parametrize(
    "effect, none",
    [
        ("affine", torch.eye(2, 3).repeat(4, 1, 1)),
        ("gamma", torch.ones(4)),
        ("contrast", torch.ones(4)),
        ("brightness", torch.ones(4)),
        ("light", torch.zeros(4, 2)),
        ("blur", torch.zeros(4)),
        ("erase", torch.tensor([0.3, 0.3, 0.3, 0.5, 1.0]).repeat(4, 1)),
        ("stripes", torch.ones(4)),
        ("noise", torch.zeros(4, 2)),
        ("flip", torch.zeros(4, dtype=torch.bool)),
    ],
)
def test_each_effect_has_a_value_that_changes_nothing(effect, none):
    x = pictures()
    made, _ = apply(x, None, Drawn(**{effect: none}), noise_bank(48))
    assert torch.allclose(made, x.float() / 127.5 - 1, atol=1e-3)


@pytest.mark.parametrize(
    "effect", [f.name for f in dataclasses.fields(Augment) if f.name != "identity"]
)
def test_each_effect_alone_does_something(effect):
    strength = {"rotation": 20.0, "gamma": 1.0, "flip": 1.0, "erase": 1.0, "stripes": 1.0}
    augment = Augment(**{effect: strength.get(effect, 0.3)})
    x, points = pictures(16), torch.rand(16, 68, 2) * 40
    drawn = draw(16, augment, torch.Generator().manual_seed(1), points=True)
    made, moved = apply(x, points, drawn, noise_bank(48))
    if effect == "jitter":
        assert 0.1 * 48 < (moved - points).std() < 0.5 * 48
    else:
        assert (made - (x.float() / 127.5 - 1)).abs().mean() > 0.005
        assert made.min() >= -1 and made.max() <= 1
    geometric = {"flip", "rotation", "zoom", "shift", "jitter"}
    assert torch.equal(moved, points) is (effect not in geometric)


def test_two_flips_are_none():
    x, points = pictures(), torch.rand(4, 68, 2) * 47
    drawn = Drawn(flip=torch.ones(4, dtype=torch.bool))
    once, at = apply(x, points, drawn)
    assert not torch.equal(at, points)
    assert torch.allclose(at[:, 36, 0], 47 - points[:, MIRROR[36], 0])
    twice, back = apply(((once + 1) * 127.5).round().byte(), at, drawn)
    assert torch.allclose(twice, x.float() / 127.5 - 1, atol=1e-6)
    assert torch.allclose(back, points, atol=1e-4)


def test_points_follow_the_pixels():
    """A bright dot at each of a few points is found again where its point went."""
    size, chosen = 96, [0, 16, 30, 36, 45, 48, 54, 8]
    rng = np.random.default_rng(0)
    points = rng.uniform(30, 65, (len(chosen), 68, 2)).round().astype(np.float32)
    x = np.zeros((len(chosen), 1, size, size), np.uint8)
    for i, k in enumerate(chosen):  # one dot a picture, 3 x 3 pixels
        column, row = points[i, k].astype(int)
        x[i, 0, row - 1 : row + 2, column - 1 : column + 2] = 255
    augment = Augment(flip=0.5, rotation=25, zoom=0.15, shift=0.08)
    drawn = draw(len(chosen), augment, torch.Generator().manual_seed(4))
    assert 0 < drawn.flip.sum() < len(chosen)
    made, moved = apply(torch.from_numpy(x), torch.from_numpy(points), drawn)
    light = (made[:, 0] + 1).double()
    axis = torch.arange(size, dtype=torch.float64)
    for i, k in enumerate(chosen):
        # A mirrored point takes its partner's place in the markup.
        here = int(MIRROR[k]) if drawn.flip[i] else k
        found = t((light[i].sum(0) * axis).sum(), (light[i].sum(1) * axis).sum()) / light[i].sum()
        assert torch.allclose(found, moved[i, here].double(), atol=0.2)


def test_known_rotation_and_shift():
    x = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    points = torch.full((1, 68, 2), 15.5)
    points[0, 0] = torch.tensor([25.5, 15.5])
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    _, moved = apply(x, points, Drawn(affine=quarter))
    assert torch.allclose(moved[0, 0], torch.tensor([15.5, 25.5]), atol=1e-4)
    shift = torch.tensor([[[1.0, 0.0, 0.25], [0.0, 1.0, 0.0]]])  # an eighth of the side
    _, moved = apply(x, points, Drawn(affine=shift))
    assert torch.allclose(moved[0, 1], torch.tensor([19.5, 15.5]), atol=1e-4)


def test_shift_moves_pixels_as_numpy_would():
    x = pictures(1, 32)
    drawn = Drawn(affine=torch.tensor([[[1.0, 0.0, 2 * 4 / 32], [0.0, 1.0, -2 * 3 / 32]]]))
    made, _ = apply(x, None, drawn)
    expected = x.float()[:, :, 3:, :-4] / 127.5 - 1
    assert torch.allclose(made[:, :, :-3, 4:], expected, atol=1e-3)


def test_tones_by_hand():
    x = torch.full((1, 1, 32, 32), 64, dtype=torch.uint8)
    made, _ = apply(x, None, Drawn(gamma=torch.tensor([0.5]), brightness=torch.tensor([0.9])))
    assert torch.allclose(made, torch.tensor(0.9 * (64 / 255) ** 0.5 * 2 - 1), atol=1e-5)
    x[..., 16:] = 128
    made, _ = apply(x, None, Drawn(contrast=torch.tensor([0.5])))
    assert torch.allclose((made[..., 0] + 1) * 127.5, torch.tensor(80.0), atol=1e-3)
    made, _ = apply(x, None, Drawn(stripes=torch.tensor([0.5])))
    assert (made[..., :8] == -1).all() and (made[..., 8:24] > -1).all()
    assert (made[..., 24:] == -1).all()


def test_blur_is_binomial_and_rotation_torchs():
    x = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
    x[0, 0, 16, 16] = 255
    made, _ = apply(x, None, Drawn(blur=torch.ones(1)))
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    assert torch.allclose((made[0, 0, 14:19, 14:19] + 1) / 2, torch.outer(taps, taps), atol=1e-6)
    x = pictures(3)
    affine = draw(3, PRESETS["light"], torch.Generator().manual_seed(2)).affine
    made, _ = apply(x, None, Drawn(affine=affine))
    whole = torch.cat([affine, torch.tensor([[[0.0, 0.0, 1.0]]]).repeat(3, 1, 1)], 1)
    grid = torch.nn.functional.affine_grid(
        torch.linalg.inv(whole)[:, :2], [3, 1, 48, 48], align_corners=False
    )
    slow = torch.nn.functional.grid_sample(
        x.float(), grid, padding_mode="border", align_corners=False
    )
    assert torch.allclose(made, slow / 127.5 - 1, atol=1e-4)


def test_views_depend_on_the_generator_alone():
    x = pictures(8)
    one, two, other = (
        apply(x, None, draw(8, PRESETS["default"], torch.Generator().manual_seed(s)),
              noise_bank(48))[0]
        for s in (5, 5, 6)
    )  # fmt: skip
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_augment_texts():
    made = parse_augment("default,erase=0,noise=0.1")
    assert (made.erase, made.noise, made.flip) == (0, 0.1, PRESETS["default"].flip)
    assert parse_augment("light") == PRESETS["light"]
    for bad in ("strong", "light,erase", "light,mirror=1", "light,flip=2", "none,rotation=-1"):
        with pytest.raises(UsageError, match="augment: expected"):
            parse_augment(bad)


# ----------------------------------------------------------------------------- batches
def test_everybody_comes_once_before_anybody_comes_twice():
    faces = faces_of(10)
    batches = Batches(kinds_of(faces, 4, None), torch.Generator().manual_seed(0))
    seen = torch.cat([batches.draw() for _ in range(5)])
    assert torch.bincount(seen, minlength=10).tolist() == [2] * 10
    assert sorted(seen[:10].tolist()) == list(range(10))
    assert Batches(kinds_of(faces, 64, None), torch.Generator()).size == 10


def test_ratio_of_real_photos_is_exact():
    faces = faces_of(40)
    mixed = dataclasses.replace(faces, origin=("real",) * 5 + ("synthetic",) * 35)
    batches = Batches(kinds_of(mixed, 8, 0.25), torch.Generator().manual_seed(0))
    for _ in range(12):
        assert (batches.draw() < 5).sum() == 2
    for bad, ratio in ((faces, 0.5), (mixed, 0.01)):
        with pytest.raises(UsageError, match="ratio: expected"):
            kinds_of(bad, 8, ratio)


# ------------------------------------------------------------------------------ people
def test_leaks_are_refused_by_name():
    one, two = faces_of(6, 3), faces_of(6, 3, seed=1)
    refuse_leaks({"data": one, "val": two})
    shared = dataclasses.replace(two, subjects=("p0_1",) + two.subjects[1:])
    with pytest.raises(UsageError, match="val: expected other people than in data, got 1.*p0_1"):
        refuse_leaks({"data": one, "val": shared})
    unknown = dataclasses.replace(two, subjects=("",) * 6)
    refuse_leaks({"data": dataclasses.replace(one, subjects=("",) * 6), "val": unknown})


def test_people_held_out():
    faces = faces_of(40, 10)
    kept, out = hold_people_out(faces, 0.2, seed=1)
    assert len(set(out.subjects)) == 2 and len(kept) + len(out) == 40
    assert not set(kept.subjects) & set(out.subjects)
    for bad in (faces_of(4, 1), dataclasses.replace(faces, subjects=("",) * 40)):
        with pytest.raises(UsageError, match="val-people: expected"):
            hold_people_out(bad, 0.2)


def test_subsets_hold_everybody_evenly_and_grow():
    faces = faces_of(60, 7)
    small, large = stratified(faces, 14, 3), stratified(faces, 31, 3)
    assert set(small) < set(large)
    counts = [list(faces.take(large).subjects).count(f"p0_{i}") for i in range(7)]
    assert max(counts) - min(counts) <= 1 and sum(counts) == 31
    assert stratified(faces, 60).tolist() == list(range(60))
    mixed = dataclasses.replace(faces, origin=("real",) * 8 + ("synthetic",) * 52)
    assert subset(mixed, 10).origin.count("real") == 8 and len(subset(mixed, 10)) == 18
    with pytest.raises(UsageError, match="sweep: expected 1 to 52"):
        subset(mixed, 53)


# ------------------------------------------------------------------------------ scores
def test_scores_leave_out_what_has_no_label():
    from synth.recognition.reader import Readings

    faces = faces_of(8)
    va = faces.va.copy()
    readings = Readings(va, None)
    faces.va[3] = np.nan
    found = faces_scores(faces, readings)
    assert found["ccc"] == pytest.approx(1, abs=1e-6) and "f1" not in found
    assert selection(found, "va") == found["ccc"]
    assert selection(found, "both") == -math.inf
    chances = np.eye(2, dtype=np.float32)[(faces.label == 2).astype(int)]
    found = faces_scores(faces, Readings(None, chances, ("happiness", "sadness")))
    assert found == {"accuracy": 1.0, "f1": 1.0}
    smiles = dataclasses.replace(faces, label=np.array([0, 0, 1, 1, 2, 2, 2, UNLABELLED]))
    valence = np.array([0.1, 0.3, 0.2, 0.4, 9, 9, 9, 9], np.float32)
    found = faces_scores(smiles, Readings(np.stack([valence, valence], 1), None))
    assert found["auc_smile"] == 0.75


def test_rates():
    def rates(**more: object) -> list[float]:
        made = FERSettings(epochs=4, rate=1.0, **more)  # type: ignore[arg-type]
        return [made.rate_at(i, 2) for i in (0, 2, 4, 7)]

    assert rates(decay="none") == [1, 1, 1, 1]
    assert rates(decay="linear") == pytest.approx([1, 0.75, 0.5, 0.125])
    assert rates(decay="exponential", gamma=0.5) == pytest.approx([1, 0.5, 0.25, 2**-3.5])
    assert rates(decay="cosine")[2] == pytest.approx(0.5)
    assert rates(decay="none", warmup=1.0)[0] == pytest.approx(1 / 3)


# -------------------------------------------------------------------------------- runs
@pytest.fixture(scope="module")
def sets() -> tuple[FaceSet, FaceSet]:
    return faces_of(), faces_of(24, 3, seed=1)


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_run_learns_and_keeps_the_best(sets, tmp_path):
    train, val = sets
    run = run_fer(train, val, dataclasses.replace(QUICK, epochs=16, rate=6e-3), tmp_path)
    assert run.finished and not run.stopped and len(run.rows) == 16
    assert run.scores["ccc"] > 0.8 and run.rows[-1]["loss"] < 0.4 * run.rows[0]["loss"]
    best = max(row["ccc"] for row in run.rows)
    assert run.scores["ccc"] == best and run.epoch == run.scores["epoch"]
    table = rows_of(tmp_path / "scores.csv")
    assert [int(row["epoch"]) for row in table] == list(range(1, 17))
    assert float(table[run.epoch - 1]["ccc"]) == pytest.approx(best, abs=1e-5)
    assert (tmp_path / "scores.png").read_bytes()[:4] == b"\x89PNG"
    network, meta = load_fer(run.weights, "va", "vis")
    assert meta["epoch"] == str(run.epoch)
    readings = predict(network, val, batch=7)
    assert faces_scores(val, readings)["ccc"] == pytest.approx(best, abs=1e-5)
    alone = predict(network, val.take([5])).va
    assert np.allclose(readings.va[5], alone[0], atol=1e-5)


def test_small_cnn_overfits_64_faces():
    faces = faces_of(64)
    settings = FERSettings(size=32, task="both", augment="none", dropout=0, rate=4e-3, batch=64,
                           epochs=40, loss="mse:1", decay="none", balance=False)  # fmt: skip
    training = FERTraining(faces, faces, settings)
    for i in range(40):
        losses = training.step(i)
    assert losses["mse"] < 0.01 and losses["expr"] < 0.05


@pytest.mark.parametrize("ema, augment", [(0.0, "default"), (0.9, "none")])
def test_resumed_equals_uninterrupted(sets, tmp_path, ema, augment):
    train, val = sets
    mixed = dataclasses.replace(train, origin=("real",) * 16 + ("synthetic",) * 32)
    settings = dataclasses.replace(
        QUICK, ema=ema, augment=augment, ratio=0.25, landmarks=True, freeze=1, dropout=0.3,
        task="both", regions=0.5, dtype="bf16",
    )  # fmt: skip
    whole = run_fer(mixed, val, settings, tmp_path / "whole")
    assert whole.finished and whole.iteration == 9
    for stop_at in (2, 4, 7):  # within epochs, and once while the backbone is frozen
        seen: list[int] = []
        part = run_fer(
            mixed, val, settings, tmp_path / "parts",
            stop=lambda seen=seen, last=stop_at: bool(seen) and seen[-1] >= last,
            progress=lambda done, *_, seen=seen: seen.append(done),
        )  # fmt: skip
        assert not part.finished and part.iteration == stop_at
    last = run_fer(mixed, val, settings, tmp_path / "parts")
    assert last.finished and last.resumed == 7
    assert list(last.rows) == list(whole.rows)
    for name in ("losses.csv", "scores.csv"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    ours, theirs = (run.network.state_dict() for run in (last, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    again = run_fer(mixed, val, settings, tmp_path / "parts")
    assert again.finished and again.resumed == 9 and again.scores == last.scores


def test_other_faces_or_settings_are_another_run(sets, tmp_path):
    train, val = sets
    run_fer(train, val, dataclasses.replace(QUICK, epochs=1), tmp_path)
    with pytest.raises(UsageError, match="rate = 0.1"):
        run_fer(train, val, dataclasses.replace(QUICK, epochs=1, rate=0.1), tmp_path)
    with pytest.raises(UsageError, match="data_sha256"):
        run_fer(train.take(np.arange(47)), val, dataclasses.replace(QUICK, epochs=1), tmp_path)


def test_frozen_backbone_stays_as_it_is(sets):
    training = FERTraining(*sets, dataclasses.replace(QUICK, freeze=1))
    before = {k: v.clone() for k, v in training.network.state_dict().items()}
    for i in range(training.steps):
        training.step(i)
    frozen = training.network.state_dict()
    assert all(torch.equal(before[k], frozen[k]) for k in before if k.startswith("backbone"))
    assert any(not torch.equal(before[k], frozen[k]) for k in before if k.startswith("head"))
    training.step(training.steps)
    after = dict(training.network.named_parameters())
    learnt = [k for k in after if k.startswith("backbone")]
    assert learnt and all(not torch.equal(before[k], after[k]) for k in learnt)


def test_empty_regions_weigh_more(sets):
    train, val = sets
    va = np.tile(np.float32([0.5, 0.5]), (48, 1))
    va[:8] = (-0.5, -0.5)
    va[40:] = np.nan
    faces = dataclasses.replace(train, va=va)
    training = FERTraining(faces, val, dataclasses.replace(QUICK, regions=1.0))
    weights = training._weights
    assert weights[:8].tolist() == pytest.approx([2.5] * 8)  # 40 labelled, half the weight each
    assert weights[8:40].tolist() == pytest.approx([0.625] * 32) and weights[40:].sum() == 0
    assert FERTraining(faces, val, QUICK)._weights is None


def test_early_stopping(sets, tmp_path):
    train, val = sets
    settings = dataclasses.replace(QUICK, epochs=40, rate=1e-9, decay="none", patience=2)
    # Scores of nearly the same weights: none is better than the first by chance alone.
    training = FERTraining(train, val, settings)
    training.best["score"], training.best["epoch"] = 2.0, 1
    training.rows = [{"epoch": 1.0}, {"epoch": 2.0}]
    assert not training.stopped
    training.rows.append({"epoch": 3.0})
    assert training.stopped
    run = run_fer(train, val, dataclasses.replace(settings, rate=0.5), tmp_path)
    assert run.stopped and run.finished and len(run.rows) == run.epoch + 2 < 40
    again = run_fer(train, val, dataclasses.replace(settings, rate=0.5), tmp_path)
    assert again.finished and again.rows == run.rows


def test_watched_faces_never_decide(sets, tmp_path):
    train, val = sets
    watch = faces_of(20, 4, seed=2)
    contrary = dataclasses.replace(watch, va=-watch.va)
    runs = [
        run_fer(train, val, QUICK, tmp_path / str(i), watch={"real": faces})
        for i, faces in enumerate((watch, contrary))
    ]
    assert runs[0].epoch == runs[1].epoch
    one, two = (run.network.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert runs[0].scores["real/ccc"] == pytest.approx(-runs[1].scores["real/ccc"], abs=0.4)
    assert "real/rmse" in rows_of(tmp_path / "0/scores.csv")[0]


def test_begin_with_other_weights(sets, tmp_path):
    train, val = sets
    first = run_fer(train, val, QUICK, tmp_path / "first")
    settings = dataclasses.replace(QUICK, epochs=1, rate=1e-9, dropout=0.1)
    second = run_fer(train, val, settings, tmp_path / "second", init=first.weights)
    assert second.scores["ccc"] == pytest.approx(first.scores["ccc"], abs=0.05)
    with pytest.raises(AssetError, match="expected a network for the task both, got one for va"):
        both = dataclasses.replace(settings, task="both")
        run_fer(train, val, both, tmp_path / "third", init=first.weights)
    with pytest.raises(UsageError, match="init: expected .* got width 0.25"):
        wide = dataclasses.replace(settings, width=0.5)
        run_fer(train, val, wide, tmp_path / "third", init=first.weights)


def test_spectrum_goes_into_the_weights(sets, tmp_path):
    train, val = sets
    nir = dataclasses.replace(train, spectrum=("nir",) * 48)
    both = dataclasses.replace(train, spectrum=("nir",) * 24 + ("vis",) * 24)
    once = dataclasses.replace(QUICK, epochs=1)
    for name, faces in (("vis", train), ("nir", nir), ("both", both)):
        run = run_fer(faces, val, once, tmp_path / name)
        assert load_fer(run.weights)[1]["spectrum"] == name


def test_what_cannot_be_trained_on(sets, tmp_path):
    train, val = sets
    nothing = dataclasses.replace(train, va=np.full((48, 2), np.nan), label=np.full(48, UNLABELLED))
    both = dataclasses.replace(QUICK, task="both")
    for faces, held, settings, message in (
        (train.take([]), val, QUICK, "data: expected faces, got an empty set"),
        (train, val.take([]), QUICK, "val: expected faces, got an empty set"),
        (nothing, val, QUICK, "data: expected valence and arousal for the task va, got none"),
        (train, dataclasses.replace(val, label=nothing.label[:24]), both,
         "val: expected expressions among .* got none"),
        (train, dataclasses.replace(val, va=val.va * 0), QUICK, "val: .* different valence"),
        (train, train, QUICK, "val: expected other people than in data"),
        (dataclasses.replace(train, points=train.points * np.nan), val,
         dataclasses.replace(QUICK, landmarks=True), "data: expected landmarks of each face"),
        (train, val, dataclasses.replace(both, classes=("fear", "anger")), "data: expected expr"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            run_fer(faces, held, settings, tmp_path / "run")
    with pytest.raises(UsageError, match="watch: expected other people than in val"):
        run_fer(train, val, QUICK, tmp_path / "run", watch=val)
    assert not (tmp_path / "run").exists()
    for wrong in ({"classes": ("joyous", "sad")}, {"task": "emotion"}, {"arch": "vgg"},
                  {"ratio": 1.5}, {"rate": 0.0}, {"batch": 1}, {"decay": "steps"}):  # fmt: skip
        with pytest.raises(UsageError, match=f"{next(iter(wrong))}: expected"):
            dataclasses.replace(QUICK, **wrong)


def test_prepared_faces_are_what_inference_sees(sets):
    from synth.models.fer.pictures import to_input

    config = FERConfig("small_cnn", size=48, channels=3, classes=("sadness", "happiness"))
    made = prepare(sets[0], config)
    assert torch.allclose(made.pixels.float() / 127.5 - 1, to_input(sets[0].pixels, config),
                          atol=1e-5)  # fmt: skip
    # Label 1 is happiness, 2 sadness in the set's order.
    assert made.label.tolist() == [1 if label == 1 else 0 for label in sets[0].label]


@pytest.mark.parametrize("arch", ["ddamfn", "vgg_face_gru"])
def test_attention_and_video_networks_train(arch):
    faces = faces_of(8)
    training = FERTraining(
        faces, faces, FERSettings(arch=arch, size=32, width=0.25, batch=4, task="both", epochs=1)
    )
    losses = training.step(0)
    assert math.isfinite(losses["loss"]) and ("attention" in losses) is (arch == "ddamfn")


def test_samples_draw_from_no_generator_of_the_steps(sets):
    training = FERTraining(*sets, dataclasses.replace(QUICK, augment="default"))
    before = training.rng.get_state()
    sheet = training.samples()
    assert sheet.shape[2] == 3 and torch.equal(before, training.rng.get_state())
    assert np.array_equal(sheet, training.samples())


# ----------------------------------------------------------------------- sweep, search
def test_sweep(sets, tmp_path):
    train, val = sets
    rows = run_sweep(train, val, dataclasses.replace(QUICK, epochs=2), tmp_path, (12, 48, 24))
    assert [row["pictures"] for row in rows] == [12, 24, 48]
    assert all(row["people"] == 6 for row in rows)
    table = rows_of(tmp_path / "sweep.csv")
    assert [float(row["ccc"]) for row in table] == pytest.approx([r["ccc"] for r in rows], abs=1e-5)
    assert (tmp_path / "sweep.png").stat().st_size > 1000
    steps = {len(rows_of(tmp_path / f"n_{n:06d}/losses.csv")) for n in (12, 24, 48)}
    assert len(steps) == 1  # as many for all
    for counts in ((12, 12), ()):
        with pytest.raises(UsageError, match="sweep: expected different numbers"):
            run_sweep(train, val, QUICK, tmp_path / "other", counts)


def test_search_without_optuna_says_how_to_get_it(sets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(DependencyError, match=r"optuna: .*synth-affect\[search\]"):
        run_search(*sets, QUICK, tmp_path, 2)


class Trial:
    """Optuna's trial as far as it is used: picks by a generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
        assert log and 0 < low < high
        return float(low * (high / low) ** self.rng.random())

    def suggest_categorical(self, name: str, choices: tuple[object, ...]) -> object:
        return choices[self.rng.integers(len(choices))]


class Study:
    def __init__(self, sampler: np.random.Generator) -> None:
        self.rng, self.told = sampler, list[float]()

    def ask(self) -> Trial:
        return Trial(self.rng)

    def tell(self, trial: Trial, value: float) -> None:
        self.told.append(value)


def test_search_keeps_the_table_and_goes_on(sets, tmp_path, monkeypatch):
    """With a stand-in for Optuna, which is optional and not needed for the tests."""
    fake = ModuleType("optuna")
    fake.samplers = SimpleNamespace(TPESampler=lambda seed: np.random.default_rng(seed))
    fake.create_study = lambda direction, sampler: Study(sampler)
    monkeypatch.setitem(sys.modules, "optuna", fake)
    settings = dataclasses.replace(QUICK, epochs=1)
    best = run_search(*sets, settings, tmp_path, 3)
    table = rows_of(tmp_path / "search.csv")
    scores = [float(row["score"]) for row in table]
    assert len(table) == 3 and best["score"] == pytest.approx(max(scores))
    assert len({row["rate"] for row in table}) == 3
    assert run_search(*sets, settings, tmp_path, 4)["score"] >= best["score"]
    assert [float(row["score"]) for row in rows_of(tmp_path / "search.csv")][:3] == scores


def test_strangers_are_drawn_from_how_the_people_differ():
    """Neutral shapes without the expressions; displacements with the people's covariance."""
    rng = np.random.default_rng(0)
    people, smile = rng.normal(size=(5, 68, 2)), rng.normal(size=(68, 2))
    expressed = np.repeat([0.0, 0.8], 5)
    shown = np.tile(people, (2, 1, 1)) + expressed[:, None, None] * smile
    points = torch.from_numpy(shown.astype(np.float32))
    faces = faces_of(10, 5)
    faces = dataclasses.replace(
        faces, points=points.numpy(), label=np.full(10, -100), subjects=tuple("abcde") * 2,
        va=np.stack([expressed, 0 * expressed], 1).astype(np.float32),
    )  # fmt: skip
    shapes = neutral_shapes(faces, points)
    assert np.allclose(shapes, people - people.mean(0), atol=1e-5)
    drawn = draw_identities(20_000, shapes, 0.5, torch.Generator().manual_seed(0))
    got = np.cov(drawn.flatten(1).numpy().T, bias=True)
    flat = (people - people.mean(0)).reshape(5, -1)
    assert np.abs(got - 0.25 * flat.T @ flat / 5).max() < 0.03
    one = dataclasses.replace(faces, subjects=("a",) * 10)
    assert neutral_shapes(one, points) is None


def test_networks_of_other_libraries_can_be_trained():
    settings = FERSettings(arch="torchvision:resnet18", channels=3)
    assert settings.config.foreign and settings.size == 224
    with pytest.raises(UsageError, match="arch: expected one of small_cnn, .*got 'resnet19'"):
        FERSettings(arch="resnet19")
