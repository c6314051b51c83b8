"""GANmut's training: data, batches, exact resuming, what it exports, the command."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.errors import DependencyError, SynthError, UsageError
from synth.images import encode_image
from synth.models.ganmut import load_generator
from synth.training.ganmut import GanmutTraining
from synth.training.ganmut_data import (
    LabelledPicture,
    PictureFeed,
    choose_classes,
    order,
    read_labelled,
)
from synth.training.ganmut_run import run_ganmut
from synth.training.ganmut_settings import GanmutSettings
from synth.training.loop import train

CLASSES = ("neutral", "happiness", "anger")
SMALL = GanmutSettings(
    iterations=6, batch=6, n_critic=2, size=16, conv_dim=4, blocks=1, critic_dim=4,
    critic_layers=3, random=2, ema=0.9, seed=3,
)  # fmt: skip
OPTIONS = [
    "--batch", "6", "--n-critic", "2", "--size", "16", "--conv-dim", "4", "--blocks", "1",
    "--critic-dim", "4", "--critic-layers", "3", "--random", "2", "--least", "3", "--device", "cpu",
]  # fmt: skip


def picture(level: int, side: int = 16) -> bytes:
    return encode_image(np.full((side, side, 3), level, np.uint8), "png")


@pytest.fixture(scope="module")
def pictures() -> list[LabelledPicture]:
    """Twelve noise pictures, four a class, of different brightness."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(12):
        pixels = rng.integers(0, 100, (20, 16, 3)).astype(np.uint8) + np.uint8(50 * (i % 3))
        data = encode_image(pixels, "png")
        found.append(LabelledPicture(f"{i:02d}", CLASSES[i % 3], lambda data=data: data))
    return found


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    """A folder for every class, three pictures in each."""
    root = tmp_path_factory.mktemp("classes")
    for level, name in ((10, "neutral"), (90, "Happy"), (200, "anger")):
        for i in range(3):
            write(root / name / f"{i}.png", picture(level + i))
    return root


# ---------------------------------------------------------------------------- data
def test_folders_of_classes_are_read(folders):
    found = read_labelled(folders)
    assert [p.name for p in found[:2]] == ["Happy/0.png", "Happy/1.png"]
    assert [p.expression for p in found] == ["happiness"] * 3 + ["anger"] * 3 + ["neutral"] * 3
    assert found[0].read() == picture(90)


def test_tables_are_read(tmp_path):
    write(tmp_path / "train" / "a.png", picture(1))
    lines = (
        "file_name,valence,arousal,expression\na.png,0.0,0.0,\nb.png,0.5,0.1,\nc.png,.1,.2,joy\n"
    )
    write(tmp_path / "train" / "metadata.csv", lines.encode())
    found = read_labelled(tmp_path)  # b.png has a point only
    assert [(p.name, p.expression) for p in found] == [("a.png", "neutral"), ("c.png", "happiness")]
    assert found[0].read() == picture(1)
    assert read_labelled(tmp_path, "train") == found
    write(
        tmp_path / "theirs" / "training.csv",
        b"subDirectory_filePath,expression\nimgs/x.jpg,6\nimgs/y.jpg,9\n",
    )
    (only,) = read_labelled(tmp_path / "theirs")
    assert (only.name, only.expression) == ("imgs/x.jpg", "anger")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({}, "pictures with an expression, got none"),
        ({"grumpy/1.png": b""}, "'grumpy'.*rename"),
        ({"metadata.csv": b"file_name,expression\na.png,smug\n"}, "'smug'.*line 2"),
        ({"metadata.csv": b"file_name,label\na.png,anger\n"}, "columns file_name and expression"),
        ({"metadata.csv": b"file_name,expression\na.png,\n"}, "valence and arousal only"),
        ({"training.csv": b"subDirectory_filePath,expression\na/a.png,anger\n"}, "numbers"),
    ],
)
def test_unusable_sets_are_refused(tmp_path, files, match):
    for name, data in files.items():
        write(tmp_path / name, data)
    with pytest.raises(UsageError, match=match):
        read_labelled(tmp_path)


def test_missing_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="folder of labelled"):
        read_labelled(tmp_path / "none")
    with pytest.raises(UsageError, match="split"):
        read_labelled(tmp_path, "val")


def test_classes_are_chosen(pictures):
    assert choose_classes(pictures, least=4) == CLASSES
    assert choose_classes(pictures, ["angry"], least=4) == ("neutral", "anger")
    with pytest.raises(UsageError, match="neutral 4, happiness 4, anger 4.*--least"):
        choose_classes(pictures, least=5)
    with pytest.raises(UsageError, match="fear 0"):
        choose_classes(pictures, ["fear"], least=1)
    for wanted in (["neutral"], ()):
        with pytest.raises(UsageError, match="neutral faces and at least one"):
            choose_classes([p for p in pictures if wanted or p.expression != "neutral"], wanted, 1)


def test_every_epoch_shows_every_picture_once():
    seen = np.concatenate([order(10, 4, i, seed=1) for i in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert order(10, 4, 3, seed=1).tolist() == seen[12:16].tolist()
    assert order(3, 8, 0, seed=0).shape == (8,)  # fewer pictures than a batch


@pytest.mark.parametrize("kept", [0, 100])
def test_the_feed_decodes_each_picture_at_its_place(kept):
    few = [LabelledPicture(str(i), "neutral", lambda i=i: picture(10 * i, 20)) for i in range(5)]
    feed = PictureFeed(few, 8, kept=kept)
    feed.expect(np.array([4, 1]))
    for indices in ([1, 4, 4, 0], [0, 1, 2, 3]):
        batch = feed.batch(np.array(indices))
        assert batch.shape == (4, 8, 8, 3) and batch.dtype == np.uint8
        assert batch[:, 3, 3, 0].tolist() == [10 * i for i in indices]
    broken = PictureFeed([LabelledPicture("x.png", "neutral", lambda: b"no picture")], 8)
    with pytest.raises(SynthError, match="x.png"):
        broken.batch(np.array([0]))


# ------------------------------------------------------------------------ settings
@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"space": "round"}, "linear, gaussian"),
        ({"size": 100}, "multiple of 64"),
        ({"batch": 5}, "random codes"),
        ({"rate": 0.0}, "learning rate"),
        ({"ema": 1.0}, "decay"),
        ({"lambda_gp": -1.0}, "lambda_gp"),
        ({"n_critic": 0}, "n_critic"),
        ({"dtype": "fp8"}, "bf16"),
    ],
)
def test_settings_refuse(wrong, match):
    with pytest.raises(UsageError, match=match):
        GanmutSettings(**wrong)


def test_the_defaults_are_the_authors():
    s = GanmutSettings()
    assert (s.size, s.conv_dim, s.blocks, s.critic_dim, s.critic_layers) == (128, 64, 6, 64, 6)
    assert (s.lambda_rec, s.lambda_gp, s.lambda_class, s.n_critic, s.batch) == (10, 10, 1, 5, 16)
    assert GanmutSettings(space="gaussian").lambda_class == 2
    assert s.rate_at(0) == s.rate_at(1_900_000) == 1e-4
    assert s.rate_at(1_950_000) == pytest.approx(5e-5) and s.rate_at(2_000_000) == 0
    short = dataclasses.replace(s, iterations=100)
    assert short.rate_at(50) == 1e-4 and short.rate_at(75) == pytest.approx(5e-5)


# -------------------------------------------------------------------------- steps
@pytest.mark.parametrize("space", ["linear", "gaussian"])
def test_critic_and_generator_take_turns(pictures, space):
    training = GanmutTraining(pictures, CLASSES, dataclasses.replace(SMALL, space=space))
    weights = lambda network: torch.cat([p.detach().flatten() for p in network.parameters()])  # noqa: E731
    before = weights(training.generator), weights(training.critic)
    losses = training.step(0)
    assert set(losses) == {"critic", "penalty", "critic_class", "critic_code"}
    assert torch.equal(weights(training.generator), before[0])
    assert not torch.equal(weights(training.critic), before[1])
    own = {"linear": {"code", "strength"}, "gaussian": {"mean"}}[space]
    losses = training.step(1)
    assert own | {"generator", "reconstruction", "class"} <= set(losses)
    assert not torch.equal(weights(training.generator), before[0])
    # the mean follows at a tenth
    moved = before[0] + 0.1 * (weights(training.generator) - before[0])
    assert torch.allclose(weights(training.mean), moved, atol=1e-6)
    assert all(p.requires_grad for p in training.critic.parameters())


def test_gaussians_need_a_batch_of_all_classes(pictures):
    with pytest.raises(UsageError, match="3 or more"):
        GanmutTraining(pictures, CLASSES, GanmutSettings(space="gaussian", batch=2))


def test_it_learns_where_classes_lie(pictures):
    """Directions leave their start, and the critic comes to know the classes."""
    settings = dataclasses.replace(
        SMALL, iterations=80, n_critic=1, rate=5e-3, ema=0, lambda_gp=1, critic_dim=8
    )
    training = GanmutTraining(pictures, CLASSES, settings)
    assert training.mean is training.generator
    start = training.generator.space.directions().detach().clone()
    losses = [training.step(i) for i in range(80)]
    assert (training.generator.space.directions() - start).abs().max() > 0.05
    first, last = ([row["critic_class"] for row in part] for part in (losses[:10], losses[-10:]))
    assert np.mean(last) < 0.7 * np.mean(first)
    first, last = ([row["reconstruction"] for row in part] for part in (losses[:5], losses[-5:]))
    assert np.mean(last) < 0.8 * np.mean(first)


@pytest.mark.parametrize("space", ["linear", "gaussian"])
def test_a_resumed_run_makes_the_same_steps(pictures, tmp_path, space):
    settings = dataclasses.replace(SMALL, space=space)

    def run(name: str, stops: list[int]) -> Path:
        for stop in [*stops, settings.iterations]:
            training = GanmutTraining(pictures, CLASSES, settings)
            done: list[int] = []
            train(
                training, tmp_path / name, settings.iterations, training.description,
                save_every=100, sample_every=3, log_every=1, progress=lambda n, _: done.append(n),  # noqa: B023
                stop=lambda: bool(done) and done[-1] >= stop,  # noqa: B023
            )  # fmt: skip
        return tmp_path / name

    once, thrice = run("once", []), run("thrice", [1, 3])
    assert (once / "losses.csv").read_text() == (thrice / "losses.csv").read_text()
    weights = "weights/ganmut.safetensors"
    assert (once / weights).read_bytes() == (thrice / weights).read_bytes()
    assert (once / "samples/0000003.jpg").read_bytes() == (
        thrice / "samples/0000003.jpg"
    ).read_bytes()
    a, b = (torch.load(p / "state.pt", weights_only=True)["trainable"] for p in (once, thrice))
    assert a["rng"] == b["rng"]
    for name in ("generator", "critic", "mean"):
        assert all(torch.equal(a[name][key], b[name][key]) for key in a[name])
    rows = list(csv.DictReader((once / "losses.csv").open()))
    assert len(rows) == 6 and rows[0]["generator"] == "" and rows[1]["generator"]


def test_samples_do_not_disturb_the_run_and_weights_are_the_mean(pictures, tmp_path):
    a, b = (GanmutTraining(pictures, CLASSES, SMALL) for _ in range(2))
    for i in range(3):
        b.samples()
        assert a.step(i) == b.step(i)
    assert np.array_equal(a.samples(), b.samples())
    a.export(tmp_path)
    again, meta = load_generator(tmp_path / "ganmut.safetensors")
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, a.mean.state_dict()[name])
    assert again.config.classes == CLASSES and meta["licence"].startswith("not stated")


def test_16_bits_stay_near_32(pictures):
    full = GanmutTraining(pictures, CLASSES, SMALL)
    half = GanmutTraining(pictures, CLASSES, dataclasses.replace(SMALL, dtype="bf16"))
    for i in range(2):
        exact, rough = full.step(i), half.step(i)
    for name in exact:
        assert rough[name] == pytest.approx(exact[name], rel=0.1, abs=0.02)
    assert all(p.dtype == torch.float32 for p in half.generator.parameters())


# ------------------------------------------------------------------------- command
def invoke(*args: object) -> Result:
    return CliRunner().invoke(cli, ["train", "ganmut", *map(str, args)])


def test_the_command_trains_and_goes_on(folders, tmp_path):
    run = tmp_path / "run"
    args = ["--data", folders, "-o", run, "--iterations", "4", *OPTIONS, "--licence", "CC0-1.0"]
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    assert "4 of 4 iterations" in result.output
    generator, meta = load_generator(run / "weights" / "ganmut.safetensors")
    assert generator.config.classes == CLASSES and meta["licence"] == "CC0-1.0"
    assert (run / "curves.png").is_file() and list((run / "samples").iterdir())
    result = invoke(*args)
    assert result.exit_code == 0 and "4 iterations had been done before" in result.output
    result = invoke(*args, "--seed", "1")
    assert result.exit_code == 2 and "another --output" in result.output


@pytest.mark.parametrize(
    ("args", "match"),
    [
        (["--least", "4"], "4 pictures or more of each class"),
        (["--classes", "sadness"], "sadness 0"),
        (["--classes", "grumpy"], "'grumpy'"),
        (["--split", "val"], "split"),
        (["--size", "100"], "multiple of 8"),
        (["--data", "nowhere"], "folder of labelled pictures"),
    ],
)
def test_the_command_says_what_is_wrong(folders, tmp_path, args, match):
    result = invoke("--data", folders, "-o", tmp_path / "run", *OPTIONS, *args)
    assert result.exit_code == 2 and match in result.output.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_every_option_belongs_to_a_recipe():
    from synth.cli.train_ganmut import DISTILL, PAPER
    from synth.cli.train_ganmut import ganmut as command

    both = {"data", "output", "recipe", "iterations", "batch", "seed", "licence", "device",
            "save_every"}  # fmt: skip
    assert {p.name for p in command.params} == {*both, *PAPER, *DISTILL}
    fields = set(GanmutSettings.__dataclass_fields__)
    assert fields == (set(PAPER) | {"iterations", "batch", "seed", "licence"}) & fields


def test_options_of_the_other_recipe_are_refused(folders, tmp_path):
    result = invoke(
        "--data", folders, "-o", tmp_path / "run", "--recipe", "distill", "--space", "linear"
    )
    assert result.exit_code == 2 and "--recipe distill, got --space" in result.output
    result = invoke("--data", folders, "-o", tmp_path / "run", "--hold-out", "a")
    assert result.exit_code == 2 and "--recipe paper, got --hold-out" in result.output


def test_distillation_is_called_with_its_options(folders, tmp_path, monkeypatch):
    import synth.training.distill as distill
    from synth.training.loop import TrainingRun

    seen = {}

    def stand_in(photos, output, settings, **more):
        seen.update(photos=photos, settings=settings, **more)
        return TrainingRun(output, settings.iterations, 0, True)

    monkeypatch.setattr(distill, "run_distill", stand_in)
    args = ["--recipe", "distill", "--data", folders, "-o", tmp_path / "run"]
    result = invoke(*args, "--hold-out", "a", "--hold-out", "b", "--seed", "5", "--licence", "mine")
    assert result.exit_code == 0 and "5000 of 5000 iterations" in result.output, result.output
    assert seen["photos"] == (folders,) and seen["held_out"] == ("a", "b")
    assert seen["settings"].seed == 5 and seen["note"] == "mine" and seen["save_every"] == 500


def test_several_sets_are_one(folders, tmp_path):
    from synth.cli.train_ganmut import labelled_pictures

    found = labelled_pictures((folders, folders), "")
    assert len(found) == 18 and len({p.name for p in found}) == 18


def test_tensorboard_is_asked_for_by_name(pictures, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    with pytest.raises(DependencyError, match=r"synth-affect\[tensorboard\]"):
        run_ganmut(pictures, tmp_path / "run", SMALL, least=1, tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_tensorboard_is_told_the_losses(pictures, tmp_path, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder):
            assert folder == str(tmp_path / "run" / "tensorboard")

        def add_scalar(self, name, value, step):
            told.append((name, value, step))

    modules = __import__("sys").modules
    monkeypatch.setitem(modules, "tensorboard", ModuleType("tensorboard"))
    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setitem(modules, "torch.utils.tensorboard", stand_in)
    run = run_ganmut(pictures, tmp_path / "run", SMALL, least=1, device="cpu", tensorboard=True)
    assert {step for _, _, step in told} == {1, 2, 3, 4, 5, 6}
    assert dict((name, value) for name, value, step in told if step == 6) == run.losses
