"""CycleGAN's training: batches, exact resuming, what it learns, the command."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from synth.cli import cli
from synth.corpora import CorpusImage, read_corpus
from synth.errors import ShapeError, UsageError
from synth.images import encode_image, load_image
from synth.models.cyclegan import load_generator
from synth.training.cyclegan import CycleGANTraining
from synth.training.cyclegan_settings import CycleGANSettings
from synth.training.grids import draw_grid
from synth.training.loop import train
from synth.training.pairs import PairSampler, View, Views, cut, draw_view

SMALL = CycleGANSettings(
    iterations=4, size=16, ngf=4, blocks=1, ndf=4, patch_layers=1, pool=2, seed=3
)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1)
    path.write_bytes(encode_image(colour, "png"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four VIS and four NIR pictures of different sizes, two of them partners."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    for i, (vis, nir) in enumerate([("a", "a"), ("b", "b"), ("c", "x"), ("d", "y")]):
        small = rng.integers(0, 256, (5, 4, 3)).astype(np.uint8)
        pixels = np.repeat(np.repeat(small, 6, axis=0), 6, axis=1)
        write(root / "vis" / f"{vis}.png", pixels)
        write(root / "nir" / f"{nir}.png", 255 - pixels[..., 1] if i < 2 else pixels[4:, :, 0])
    return root


@pytest.fixture(scope="module")
def images(folder) -> list[CorpusImage]:
    return read_corpus("folders", folder)


# ------------------------------------------------------------------------- views
def test_views_are_cut_where_they_say():
    ramp = np.tile(np.arange(60, dtype=np.uint8), (40, 1))  # (40, 60): x is the value
    views = Views(size=40, margin=1.0)
    assert cut(ramp, View(x=0), views)[0].tolist() == list(range(40))
    assert cut(ramp, View(x=1), views)[0].tolist() == list(range(20, 60))
    assert cut(ramp, View(x=0, flip=True), views)[0].tolist() == list(range(59, 19, -1))
    larger = cut(ramp, View(), Views(size=40, margin=1.5))
    assert larger.shape == (40, 40) and np.ptp(larger[0].astype(int)) < 30


def test_stripes_show_the_whole_height_on_black():
    tall = np.full((60, 30, 3), 200, np.uint8)
    tall[0], tall[-1] = 255, 100
    square = cut(tall, View(narrow=0.4), Views(size=60))
    lit = np.nonzero(square[30, :, 0])[0]
    assert square.shape == (60, 60, 3)
    assert (lit.min(), lit.max()) == (18, 41)  # 24 pixels about the middle
    assert (square[0, 30, 0], square[-1, 30, 0]) == (255, 100)
    whole = cut(tall, View(narrow=0.9), Views(size=60))  # as wide as it is
    assert np.count_nonzero(whole[30, :, 0]) == 30


def test_drawn_views_follow_their_shares():
    rng = np.random.default_rng(0)
    drawn = [draw_view(rng, Views(stripes=0.25)) for _ in range(2000)]
    assert np.mean([v.narrow > 0 for v in drawn]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([v.flip for v in drawn]) == pytest.approx(0.5, abs=0.04)
    assert all(0.6 <= v.narrow <= 0.9 for v in drawn if v.narrow)
    assert not any(draw_view(rng, Views(stripes=0, flip=False)).flip for _ in range(50))


@pytest.mark.parametrize(
    "wrong, words",
    [({"size": 30}, "multiple of 4"), ({"stripes": 2}, "share"), ({"margin": 0.5}, "margin")],
)
def test_impossible_views_are_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        Views(**wrong)


# ----------------------------------------------------------------------- pairing
def test_partners_are_cut_alike(tmp_path):
    rng = np.random.default_rng(1)
    for name in "abc":
        grey = rng.integers(0, 256, (40, 44)).astype(np.uint8)
        write(tmp_path / "vis" / f"{name}.png", grey)
        write(tmp_path / "nir" / f"{name}.png", grey)
    sampler = PairSampler(read_corpus("folders", tmp_path), "paired", Views(size=16))
    batch = sampler.draw(np.random.default_rng(0), 20)
    assert batch.vis.shape == (20, 3, 16, 16) and batch.nir.shape == (20, 1, 16, 16)
    assert bool(batch.paired.all())
    assert torch.equal(batch.vis[:, :1], batch.nir)
    assert float(batch.vis.min()) == -1  # some have stripes


def test_half_paired_pictures_meet_their_partner_or_what_is_left(images):
    sampler = PairSampler(images, "half", Views(size=16, margin=1, stripes=0, flip=False))
    assert [both[0].name for both in sampler.pairs] == ["vis/a.png", "vis/b.png"]
    rng = np.random.default_rng(0)
    share = np.mean([bool(sampler.draw(rng, 1).paired) for _ in range(200)])
    assert share == pytest.approx(0.5, abs=0.1)
    for _ in range(50):
        batch = sampler.draw(rng, 1)
        partner = torch.allclose(-batch.vis[:, 1:2], batch.nir, atol=1e-5)  # how they were made
        assert partner == bool(batch.paired)


def test_unpaired_pictures_meet_anyone(images):
    sampler = PairSampler(images, "unpaired", Views(size=16, margin=1, stripes=0, flip=False))
    batch = sampler.draw(np.random.default_rng(0), 40)
    assert not bool(batch.paired.any())
    for side in (batch.vis, batch.nir):
        assert len({picture.numpy().tobytes() for picture in side}) > 4


def test_wrong_pairings_say_how_many_match(images):
    with pytest.raises(UsageError, match="4 VIS and 4 NIR images, got 2 pairs"):
        PairSampler(images, "paired")
    lonely = [i for i in images if not i.pair]
    with pytest.raises(UsageError, match="expected some pairs for half, got none among 2 VIS"):
        PairSampler(lonely, "half")
    with pytest.raises(UsageError, match="expected VIS and NIR pictures, got 4 and 0"):
        PairSampler([i for i in images if i.spectrum == "vis"])
    with pytest.raises(UsageError, match="pairing: expected one of unpaired, half, paired"):
        PairSampler(images, "both")


# ---------------------------------------------------------------------- training
def weights(root: Path) -> list[bytes]:
    return [(root / f"weights/{to}.safetensors").read_bytes() for to in ("nir", "vis")]


def same(a: object, b: object) -> bool:
    """Whether two nests of dicts, lists, tensors and numbers agree in every bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if torch.is_tensor(a) else a == b


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pairing": "half", "ema": 0.9, "gan": "original", "generator_steps": 1, "batch": 2},
        {"spectral": True, "identity": 0.0, "dtype": "bf16"},
    ],
)
def test_two_and_two_iterations_equal_four(tmp_path, images, change):
    settings = dataclasses.replace(SMALL, **change)

    def run(root: Path, until: int) -> None:
        training = CycleGANTraining(images, settings)
        done: list[int] = []
        every = {"log_every": 1, "sample_every": 4}
        train(training, root, 4, training.description, **every,
              stop=lambda: len(done) == until, progress=lambda n, _: done.append(n))  # fmt: skip

    run(tmp_path / "whole", 4)
    run(tmp_path / "run", 2)
    half = weights(tmp_path / "run")
    run(tmp_path / "run", 4)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole") != half
    for name in ("losses.csv", "samples/0000004.jpg"):
        both = [(tmp_path / run / name).read_bytes() for run in ("run", "whole")]
        assert both[0] == both[1], name
    states = [torch.load(tmp_path / r / "state.pt", weights_only=True)["trainable"]
              for r in ("run", "whole")]  # fmt: skip
    for kind in ("generator", "critic"):
        moments = [s["optimisers"][kind]["state"] for s in states]
        for number, values in moments[0].items():
            for name, value in values.items():
                assert torch.equal(
                    torch.as_tensor(value), torch.as_tensor(moments[1][number][name])
                )


def test_rate_falls_over_the_second_half():
    settings = CycleGANSettings(iterations=100, rate=1.0)
    assert [settings.rate_at(i) for i in (0, 50, 75, 100)] == [1.0, 1.0, 0.5, 0.0]


def test_running_means_follow_the_weights(images):
    training = CycleGANTraining(images, dataclasses.replace(SMALL, ema=0.75, generator_steps=1))
    before = training.generator("nir").model[1].weight.clone()
    training.step(0)
    now = training.networks["generator_nir"].model[1].weight
    assert not torch.equal(now, before)
    torch.testing.assert_close(
        training.generator("nir").model[1].weight, 0.75 * before + 0.25 * now.detach()
    )


def test_other_data_is_not_mixed_into_a_run(tmp_path, images):
    training = CycleGANTraining(images, SMALL)
    train(training, tmp_path / "run", 1, training.description)
    other = CycleGANTraining(images[:-1], SMALL)
    with pytest.raises(UsageError, match=r"images_vis = 3 \(was 4\)|images_vis"):
        train(other, tmp_path / "run", 1, other.description)


def test_paired_training_learns_the_relation(tmp_path):
    """NIR is made as the inverse of the luminance: the generator must find that out."""
    rng = np.random.default_rng(2)
    for i in range(6):
        grey = rng.permutation(np.repeat([40, 90, 160, 210], 4)).astype(np.uint8).reshape(4, 4)
        grey = np.repeat(np.repeat(grey, 4, axis=0), 4, axis=1)
        write(tmp_path / "vis" / f"{i}.png", grey)
        write(tmp_path / "nir" / f"{i}.png", 255 - grey)
    settings = dataclasses.replace(
        SMALL, iterations=40, pairing="paired", batch=2, generator_steps=1, stripes=0.0,
        identity=0.0, rate=1e-2, margin=1.0, lambda_paired=30.0,
    )  # fmt: skip
    training = CycleGANTraining(read_corpus("folders", tmp_path), settings)
    losses = [training.step(i)["paired_nir"] for i in range(settings.iterations)]
    assert np.mean(losses[-5:]) < 0.4 * np.mean(losses[:3])


@pytest.mark.parametrize(
    "wrong",
    [{"gan": "w"}, {"size": 20}, {"dtype": "fp16"}, {"batch": 0}, {"rate": 0.0}, {"ema": 1.0},
     {"lambda_nir": -1.0}, {"lambda_vis": float("nan")}],
)  # fmt: skip
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}: expected"):
        CycleGANSettings(**wrong)


# ------------------------------------------------------------------------- grids
def test_grid_places_every_picture():
    a, b = np.full((6, 8), 10, np.uint8), np.full((6, 8, 3), (200, 0, 0), np.uint8)
    sheet = draw_grid([[a, b], [b, a]])
    assert sheet.shape == (16, 20, 3)
    assert sheet[3, 3].tolist() == [10] * 3 and sheet[3, 15].tolist() == [200, 0, 0]
    assert sheet[12, 3].tolist() == [200, 0, 0] and sheet[12, 15].tolist() == [10] * 3
    assert sheet[3, 10].tolist() == [255] * 3
    with pytest.raises(ShapeError, match="one size"):
        draw_grid([[a, b[:3]]])


def test_samples_show_both_ways_and_draw_nothing(images):
    training = CycleGANTraining(images, SMALL)
    state = training.rng.bit_generator.state
    sheet = training.samples()
    assert sheet.shape == (20 + 4 * 20 - 4, 6 * 20 - 4, 3)
    assert training.rng.bit_generator.state == state
    assert np.array_equal(sheet, training.samples())


# ----------------------------------------------------------------------- command
def call(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in args], prog_name="synth")


TINY = ("--size", 32, "--ngf", 4, "--blocks", 1, "--ndf", 4, "--iterations", 2)


def test_the_command_trains_and_goes_on(folder, tmp_path):
    out = tmp_path / "run"
    result = call("train", "cyclegan", "--data", folder, "--output", out, *TINY)
    assert result.exit_code == 0, result.output
    assert load_generator(out / "weights/nir.safetensors", "nir").config.ngf == 4
    with open(out / "losses.csv", encoding="utf-8", newline="") as file:
        assert [row["iteration"] for row in csv.DictReader(file)] == ["1", "2"]
    assert load_image(out / "curves.png").width > 300
    again = call("train", "cyclegan", "--data", folder, "--output", out, *TINY)
    assert again.exit_code == 0 and "2 iterations had been done before" in again.output
    other = call("train", "cyclegan", "--data", folder, "--output", out, *TINY, "--ngf", 5)
    assert other.exit_code == 2 and "ngf = 5 (was 4)" in other.output


def test_the_command_keeps_held_out_people_apart(folder, tmp_path):
    out = tmp_path / "run"
    result = call("train", "cyclegan", "--data", folder, "--output", out, *TINY,
                  "--hold-out", "a", "--hold-out", "x")  # fmt: skip
    assert result.exit_code == 0, result.output
    text = (out / "run.toml").read_text("utf-8")
    assert "images_vis = 3" in text and "images_nir = 2" in text
    result = call("train", "cyclegan", "--data", folder, "--output", tmp_path / "other", *TINY,
                  "--hold-out", "nobody")  # fmt: skip
    assert result.exit_code == 2 and "nobody" in result.output


def test_the_command_refuses_unpaired_folders_given_as_paired(folder, tmp_path):
    result = call("train", "cyclegan", "--data", folder, "--output", tmp_path / "run", *TINY,
                  "--pairing", "paired")  # fmt: skip
    assert result.exit_code == 2 and "got 2 pairs" in result.output
    assert not (tmp_path / "run").exists()


def test_the_options_are_the_settings_with_their_defaults():
    from synth.cli.train_cyclegan import cyclegan

    defaults = dataclasses.asdict(CycleGANSettings())
    options = {p.name: p.default for p in cyclegan.params}
    for name in ("margin", "patch_layers"):  # not on the command line
        del defaults[name]
    assert {name: options[name] for name in defaults} == defaults


def test_several_sets_are_named_apart(folder):
    from synth.training.cyclegan_run import read_corpora

    images = read_corpora([folder, folder], ["folders"])
    assert len({(i.spectrum, i.name) for i in images}) == len(images) == 16
    assert len({i.pair for i in images if i.pair}) == 4
    with pytest.raises(UsageError, match="one for each of 2 folders, got 3"):
        read_corpora([folder, folder], ["folders"] * 3)
