"""NFER-SDE on photos: the aligned crop and back, bad input, the command that trains."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from synth.cli import cli  # noqa: E402
from synth.color import to_grey, to_rgb  # noqa: E402
from synth.errors import AssetError, ShapeError, SkipPhoto, UsageError  # noqa: E402
from synth.images import encode_image  # noqa: E402
from synth.landmarks import get_detector  # noqa: E402
from synth.models import nfer  # noqa: E402
from synth.models.unet import HeatmapNet, NetConfig, ScoreNet  # noqa: E402
from synth.translation import TranslatorOptions, get_translator  # noqa: E402
from synth.translation.aligned import TEMPLATE, aligned_crop, face_weight  # noqa: E402
from synth.translation.sde import SDETranslator  # noqa: E402
from synth.types import inter_ocular  # noqa: E402

SIZE = 32


@pytest.fixture(scope="module")
def points(portrait):
    return get_detector("dlib").detect(portrait)[0].points


def write_nets(folder, to="nir"):
    config = NetConfig(size=SIZE, channels=8, widths=(1, 2), to=to)
    torch.manual_seed(0)
    nfer.save_net(folder / "score.safetensors", ScoreNet(config))
    nfer.save_net(folder / "heatmap.safetensors", HeatmapNet(config))
    return folder / "score.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_nets(tmp_path_factory.mktemp("nir"))


def test_eyes_and_mouth_come_to_their_places(portrait, points):
    turned = points.mean(0) + (points - points.mean(0)) @ np.array([[0.98, 0.2], [-0.2, 0.98]])
    for given in (points, turned, points * 0.5):
        _, there, matrix = aligned_crop(portrait.pixels, given, 64)
        for part, place in zip(
            (slice(36, 42), slice(42, 48), slice(48, 60)), TEMPLATE, strict=True
        ):
            assert np.abs(there[part].mean(0) - (np.array(place) * 64 - 0.5)).max() < 4
        assert np.allclose(there, given @ matrix[:, :2].T + matrix[:, 2])
    assert there[8, 1] < 66  # the chin is inside, or nearly


def test_face_weight_is_soft_and_stays_inside(portrait, points):
    _, _, matrix = aligned_crop(portrait.pixels, points, SIZE)
    weight = face_weight(points, matrix, SIZE, portrait.pixels.shape[:2])
    x, y = points[30].astype(int)
    assert weight[y, x] == pytest.approx(1, abs=1e-3)
    assert weight[0].max() == 0 and weight.min() >= 0 and weight.max() <= 1 + 1e-9
    steps = max(np.abs(np.diff(weight, axis=a)).max() for a in (0, 1))
    assert steps < 20 / inter_ocular(points)


def carried_by(weights, monkeypatch, change):
    """A translator whose network is replaced by `change` of the crop."""
    translator = SDETranslator(weights, variant="cond")
    monkeypatch.setattr(translator, "_translate", lambda crop, points, seed: change(crop))
    return translator


def test_a_network_that_makes_grey_changes_nothing(portrait, points, weights, monkeypatch):
    """Luminance is a linear function of colour: carried back it is the photo's own."""
    translator = carried_by(weights, monkeypatch, to_grey)
    made = translator(portrait.pixels, points)
    plain = to_grey(portrait.pixels)
    assert made.shape == plain.shape and made.dtype == np.uint8
    difference = np.abs(made.astype(int) - plain)
    weight = face_weight(points, aligned_crop(portrait.pixels, points, SIZE)[2], SIZE, plain.shape)
    assert difference[weight == 0].max() == 0
    assert difference[weight > 0].mean() < 4


def test_tones_change_and_detail_stays(portrait, points, weights, monkeypatch):
    """Twice as pale: the face's mean follows, the photo's fine detail is kept."""
    translator = carried_by(weights, monkeypatch, lambda crop: 128 + to_grey(crop) // 2)
    made, plain = translator(portrait.pixels, points), to_grey(portrait.pixels)
    low, high = points[36:48].min(0).astype(int), points[48:60].max(0).astype(int)
    box = slice(low[1], high[1]), slice(low[0], high[0])
    wanted = 128 + plain[box] / 2
    assert made[box].mean() == pytest.approx(wanted.mean(), abs=5)
    fine = [x - np.asarray(x, float).mean() for x in (made[box], plain[box])]
    fine = [np.diff(np.diff(x, axis=0), axis=1).ravel() for x in fine]
    assert np.corrcoef(*fine)[0, 1] > 0.7


@pytest.mark.parametrize("variant", ["cond", "both"])
def test_the_same_seed_gives_the_same_picture(portrait, points, weights, variant):
    translator = SDETranslator(weights, steps=3, variant=variant)
    first = translator(portrait.pixels, points, 1)
    assert np.array_equal(first, translator(portrait.pixels, points, 1))
    assert (first != translator(portrait.pixels, points, 2)).any()
    assert first.shape == portrait.pixels.shape[:2]
    assert set(translator.digests) >= {"score.safetensors"}
    assert ("heatmap.safetensors" in translator.digests) == (variant == "both")


def test_progress_is_told(portrait, points, weights):
    told = []
    translator = SDETranslator(
        weights, steps=3, variant="cond", progress=lambda done, of: told.append((done, of))
    )
    translator(portrait.pixels, points)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_odd_sizes_and_a_face_at_the_border(portrait, points, weights):
    translator = SDETranslator(weights, steps=1, variant="cond")
    x, y = points[27].astype(int)
    cut = portrait.pixels[y - 30 : y + 301, x - 61 : x + 200]
    assert translator(cut, points - (x - 61, y - 30)).shape == cut.shape[:2]


def test_from_nir_to_vis(portrait, points, tmp_path):
    translator = SDETranslator(write_nets(tmp_path, "vis"), "vis", steps=2)
    made = translator(to_grey(portrait.pixels), points)
    assert made.shape == portrait.pixels.shape
    with pytest.raises(ShapeError, match="pixels"):
        translator(portrait.pixels, points)


def test_bad_use_is_named(portrait, points, weights, tmp_path):
    with pytest.raises(AssetError, match="networks to vis"):
        SDETranslator(weights, "vis")
    with pytest.raises(UsageError, match="variant"):
        SDETranslator(weights, variant="best")
    with pytest.raises(UsageError, match="steps"):
        SDETranslator(weights, steps=0)
    with pytest.raises(AssetError, match="does not exist"):
        SDETranslator(tmp_path / "none.safetensors")
    (tmp_path / "score.safetensors").write_bytes(weights.read_bytes())
    with pytest.raises(AssetError, match=r"heatmap\.safetensors beside"):
        SDETranslator(tmp_path)
    SDETranslator(tmp_path, variant="cond+ef")
    translator = SDETranslator(weights, variant="cond")
    with pytest.raises(SkipPhoto, match="landmarks"):
        translator(portrait.pixels, None)
    with pytest.raises(ShapeError, match="nir"):
        translator(to_grey(portrait.pixels), points)


def test_it_is_in_the_table_of_methods(weights):
    made = get_translator("nir", None, weights, TranslatorOptions(steps=2, variant="cond"))
    assert isinstance(made, SDETranslator) and made.steps == 2


# -------------------------------------------------------------------- the command
@pytest.fixture(scope="module")
def set_of_pairs(portrait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    small = portrait.pixels[::2, ::2]
    for name, pixels in {"a": small, "b": small[:, ::-1]}.items():
        for spectrum, shown in (("vis", pixels), ("nir", to_rgb(to_grey(pixels)))):
            (folder / spectrum).mkdir(exist_ok=True)
            data = encode_image(np.ascontiguousarray(shown), "png")
            (folder / spectrum / f"{name}.png").write_bytes(data)
    return folder


def test_the_command_trains_and_goes_on(set_of_pairs, tmp_path, portrait, points):
    def train(*more):
        return CliRunner().invoke(cli, [
            "train", "sde", "--data", str(set_of_pairs), "--output", str(tmp_path / "run"),
            "--size", "16", "--channels", "8", "--batch", "2", "--device", "cpu", *more,
        ])  # fmt: skip

    assert train("--iterations", "2").exit_code == 0
    found = train("--iterations", "3")
    assert found.exit_code == 0 and "3 iterations" in found.output
    translator = SDETranslator(tmp_path / "run/weights", steps=1)
    assert translator(portrait.pixels, points).shape == portrait.pixels.shape[:2]
    held = train("--iterations", "3", "--hold-out", "b")
    assert held.exit_code == 2 and "held_out" in held.output
    refused = train("--iterations", "3", "--seed", "4")
    assert refused.exit_code == 2 and "seed" in refused.output


def test_the_command_wants_pairs(set_of_pairs, tmp_path):
    def train(*more):
        return CliRunner().invoke(
            cli, ["train", "sde", "--data", str(set_of_pairs), "--output", str(tmp_path), *more]
        )

    nobody = train("--hold-out", "z")
    assert nobody.exit_code == 2 and "hold_out: expected people of the set" in nobody.output
    size = train("--size", "30")
    assert size.exit_code == 2 and "size: expected a multiple of 8" in size.output
    (set_of_pairs / "nir/b.png").rename(set_of_pairs / "nir/c.png")
    try:
        found = train("--iterations", "2")
    finally:
        (set_of_pairs / "nir/c.png").rename(set_of_pairs / "nir/b.png")
    assert found.exit_code == 2 and "pairs: expected a partner" in found.output
