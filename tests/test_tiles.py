"""Tiles without seams, pictures of every size, and the translator around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom

from synth.errors import AssetError, ShapeError, UsageError
from synth.models.cyclegan import Generator, GeneratorConfig, save_generator
from synth.models.layers import InstanceNorm, freeze_norms, recording_norms, thaw_norms
from synth.translation import get_translator, tiles
from synth.translation.cyclegan import CycleGANTranslator
from synth.translation.tiles import run_tiled, tile_starts

UNIT = 2 / 255  # a grey level in [-1, 1]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth patches with noise, brighter to the right: tiles differ much."""
    rng = np.random.default_rng(seed)
    patches = zoom(rng.random((9, 9, 3)), (height / 9, width / 9, 1), order=1)
    values = 0.5 * patches + 0.4 * np.linspace(0, 1, width)[None, :, None]
    values = values[:height, :width] + 0.05 * rng.random((height, width, 3))
    return np.clip(255 * values, 0, 255).astype(np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def generator() -> Generator:
    """A generator that keeps much of its input, as trained ones do."""
    torch.manual_seed(0)
    return Generator(GeneratorConfig(3, 1, ngf=6, blocks=6)).eval()


def whole(generator: Generator, x: torch.Tensor, tile: int) -> torch.Tensor:
    """The picture in one piece, with the statistics that tiles get."""
    with torch.inference_mode():
        with recording_norms(generator):
            generator(tiles._padded(tiles._reduced(x, tile)))
        freeze_norms(generator)
        made = generator(tiles._padded(x))[..., : x.shape[2], : x.shape[3]]
    thaw_norms(generator)
    return made


@pytest.mark.parametrize("height, width, tile", [(400, 332, 256), (301, 517, 256), (150, 800, 300)])
def test_tiles_equal_the_picture_in_one_piece(generator, height, width, tile):
    x = tensor(picture(height, width))
    tiled = run_tiled(generator, x, tile)
    difference = (tiled - whole(generator, x, tile)).abs() / UNIT
    assert tiled.shape == (1, 1, height, width)
    assert float(difference.max()) < 1.0
    assert all(norm.fixed is None for norm in generator.modules() if isinstance(norm, InstanceNorm))


def test_without_frozen_statistics_there_would_be_seams(generator):
    x = tensor(picture(400, 332))
    with torch.inference_mode():
        apart = tiles._blended(generator, x, 256, 66)
    assert float((apart - whole(generator, x, 256)).abs().max() / UNIT) > 10


def test_a_picture_within_a_tile_is_the_networks_own_output(generator):
    x = tensor(picture(96, 128))
    with torch.inference_mode():
        assert torch.equal(run_tiled(generator, x, 128), generator(x))


@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (15, 33), (17, 16), (63, 65)])
def test_odd_sizes_come_back_at_their_size(generator, height, width):
    x = tensor(picture(height, width))
    made = run_tiled(generator, x)
    assert made.shape == (1, 1, height, width) and bool(made.isfinite().all())


def test_padding_reflects():
    x = torch.arange(18.0).reshape(1, 1, 1, 18)
    padded = tiles._padded(x)
    assert padded.shape == (1, 1, 16, 20)
    assert padded[0, 0, 0].tolist() == [*range(18), 16, 15]


@pytest.mark.parametrize("length, tile, overlap", [(100, 64, 16), (64, 64, 16), (1000, 256, 96)])
def test_tiles_cover_everything_and_ramps_add_up(length, tile, overlap):
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0 and all(s % 4 == 0 for s in starts)
    assert starts[-1] + tile >= length
    assert all(a + tile - b >= overlap for a, b in zip(starts, starts[1:], strict=False))
    total = torch.zeros(length)
    for start in starts:
        place = slice(start, min(start + tile, length))
        total[place] += tiles._ramp(place, length, overlap)
    assert float(total.min()) > 0.99
    if len(starts) > 2:  # before the last tile the overlap is exact
        torch.testing.assert_close(total[: starts[-1]], torch.ones(starts[-1]))


# -------------------------------------------------------------------- translator
@pytest.fixture(scope="module")
def weights(generator, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_generator(folder / "nir.safetensors", generator, "nir")
    save_generator(folder / "vis.safetensors", Generator(GeneratorConfig(1, 3, 4, 1)), "vis")
    both = Generator(GeneratorConfig(3, 3, 4, 1))
    torch.save(both.state_dict(), folder / "both.pth")
    return folder


def test_translators_go_both_ways(weights):
    photo = picture(61, 83)
    nir = CycleGANTranslator(weights / "nir.safetensors", "nir")(photo)
    assert nir.shape == (61, 83) and nir.dtype == np.uint8
    back = CycleGANTranslator(weights / "vis.safetensors", "vis")
    vis = back(nir)
    assert vis.shape == photo.shape and vis.dtype == np.uint8
    assert (back.to, back.method) == ("vis", "cyclegan")
    assert list(back.digests) == ["vis.safetensors"] and len(back.digests["vis.safetensors"]) == 64


def test_public_weights_with_three_channels_on_both_sides(weights):
    photo = picture(32, 40)
    assert CycleGANTranslator(weights / "both.pth", "nir")(photo).shape == (32, 40)
    assert CycleGANTranslator(weights / "both.pth", "vis")(photo[..., 0]).shape == (32, 40, 3)


def test_sixteen_bits_are_close(weights):
    photo = picture(64, 64)
    made = [CycleGANTranslator(weights / "nir.safetensors", "nir", dtype=d)(photo).astype(int)
            for d in ("fp32", "bf16")]  # fmt: skip
    assert 0 < np.abs(made[0] - made[1]).mean() < 3


def test_the_table_of_translators_finds_it(weights):
    made = get_translator("nir", weights=weights / "nir.safetensors")
    assert isinstance(made, CycleGANTranslator)
    assert made(picture(16, 20), None, 5).shape == (16, 20)
    with pytest.raises(AssetError, match="to nir"):
        get_translator("vis", weights=weights / "nir.safetensors")


def test_wrong_input_is_refused(weights):
    nir = CycleGANTranslator(weights / "nir.safetensors", "nir")
    vis = CycleGANTranslator(weights / "vis.safetensors", "vis")
    photo = picture(16, 16)
    for translator, wrong in (
        (nir, photo[..., 0]), (vis, photo), (nir, photo.astype(float)), (nir, photo[:0]),
    ):  # fmt: skip
        with pytest.raises(ShapeError, match="pixels: expected"):
            translator(wrong)
    with pytest.raises(AssetError, match="3 -> 1"):
        CycleGANTranslator(weights / "nir.safetensors", "vis")
    with pytest.raises(UsageError, match="dtype"):
        CycleGANTranslator(weights / "nir.safetensors", "nir", dtype="fp16")
    with pytest.raises(UsageError, match="tile"):
        CycleGANTranslator(weights / "nir.safetensors", "nir", tile=10)
