"""CycleGAN: networks of the public code's shape, losses, pool, checkpoints, training."""

from __future__ import annotations

import dataclasses
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from synth.errors import AssetError, UsageError
from synth.models.cyclegan import (
    Generator,
    GeneratorConfig,
    PatchDiscriminator,
    load_generator,
    save_generator,
)
from synth.models.cyclegan_losses import (
    discriminator_loss,
    gan_loss,
    identity_losses,
    paired_loss,
)
from synth.models.image_pool import ImagePool
from synth.models.layers import InstanceNorm, luminance, receptive_radius
from synth.models.tensors import to_pixels, to_tensor

SMALL = GeneratorConfig(3, 1, ngf=4, blocks=2)


def public_generator(inputs: int, outputs: int, ngf: int, blocks: int, dropout: bool = False):
    """The public code's layers, written down anew from its published layer list."""

    class Block(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            norm = lambda: nn.InstanceNorm2d(width, affine=False, track_running_stats=True)  # noqa: E731
            layers = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm(), nn.ReLU(True)]
            layers += [nn.Dropout(0.5)] * dropout
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), norm()]
            self.conv_block = nn.Sequential(*layers)

        def forward(self, x):
            return x + self.conv_block(x)

    def norm(width: int) -> nn.Module:
        return nn.InstanceNorm2d(width, affine=False, track_running_stats=True)

    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(inputs, ngf, 7), norm(ngf)]
    layers.append(nn.ReLU(True))
    for width in (ngf, 2 * ngf):
        layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), norm(2 * width), nn.ReLU(True)]
    layers += [Block(4 * ngf) for _ in range(blocks)]
    for width in (4 * ngf, 2 * ngf):
        up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1)
        layers += [up, norm(width // 2), nn.ReLU(True)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, outputs, 7), nn.Tanh()]
    whole = nn.Module()
    whole.model = nn.Sequential(*layers)
    return whole


def run_public(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Its output with each picture's own statistics, as the public code runs it."""
    for module in network.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
        if isinstance(module, nn.Dropout):
            module.eval()
    with torch.no_grad():
        return network.model(x)


# --------------------------------------------------------------------- networks
def test_sizes_are_the_published_ones():
    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    with torch.device("meta"):
        # 11.378 M and 2.765 M: what the public code prints for 3 channels and 64 filters.
        assert round(count(Generator(GeneratorConfig(3, 3))) / 1e6, 3) == 11.378
        assert round(count(PatchDiscriminator(3)) / 1e6, 3) == 2.765


def test_patches_have_70_pixels():
    critic = PatchDiscriminator(1, ndf=2)
    for module in critic.modules():  # without norms, which look at the whole picture
        if isinstance(module, InstanceNorm):
            module.fixed = (torch.zeros(1), torch.ones(1))
    x = torch.zeros(1, 1, 128, 128, requires_grad=True)
    y = critic(x + torch.randn(1, 1, 128, 128))
    y[0, 0, y.shape[2] // 2, y.shape[3] // 2].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_receptive_radius_bounds_what_a_pixel_sees():
    generator = Generator(GeneratorConfig(3, 1, ngf=2, blocks=3))
    for module in generator.modules():
        if isinstance(module, InstanceNorm):
            module.fixed = (torch.zeros(1), torch.ones(1))
    radius = receptive_radius(generator)
    x = torch.rand(1, 3, 128, 128, requires_grad=True)
    generator(x)[0, 0, 64, 66].backward()
    seen = x.grad[0].abs().sum(0).nonzero() - torch.tensor([64, 66])
    assert 0.7 * radius < int(seen.abs().max()) <= radius


def test_norm_equals_torch_and_frozen_equals_recorded():
    norm, x = InstanceNorm(), torch.randn(2, 5, 9, 8) * 3 + 1
    plain = norm(x)
    torch.testing.assert_close(plain, nn.InstanceNorm2d(5)(x))
    norm.recording = True
    norm(x)
    norm.recording, norm.fixed = False, norm.seen
    torch.testing.assert_close(norm(x), plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm(x[..., :4]), plain[..., :4], atol=1e-5, rtol=1e-5)


def test_initialisation_keeps_the_variance():
    torch.manual_seed(0)
    layer = Generator(GeneratorConfig(3, 1, ngf=16, blocks=1)).model[10].conv_block[1]
    assert layer.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert not layer.bias.any()


# ------------------------------------------------------------------------ losses
def test_gan_losses_have_their_known_values():
    logits = torch.tensor([[[[0.0, 2.0]]]])
    assert gan_loss(logits, True).item() == pytest.approx((1 + 1) / 2)
    assert gan_loss(logits, False).item() == pytest.approx((0 + 4) / 2)
    expected = (np.log(2) + np.log1p(np.exp(-2))) / 2
    assert gan_loss(logits, True, "original").item() == pytest.approx(expected)
    perfect = discriminator_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    assert perfect.item() == 0
    with pytest.raises(UsageError, match="gan: expected one of lsgan, original"):
        gan_loss(logits, True, "wgan")


def test_identity_losses_bridge_the_channels():
    vis, nir = torch.rand(2, 3, 4, 4) * 2 - 1, torch.rand(2, 1, 4, 4) * 2 - 1
    seen = {}

    def to_nir(x):  # keeps a grey picture
        seen["nir"] = x
        return x.mean(1, keepdim=True)

    def to_vis(x):  # knows no colours
        seen["vis"] = x
        return x.expand(-1, 3, -1, -1)

    kept_nir, kept_vis = identity_losses(to_nir, to_vis, vis, nir)
    assert torch.equal(seen["nir"], nir.repeat(1, 3, 1, 1))
    assert torch.equal(seen["vis"], luminance(vis))
    assert kept_nir.item() == pytest.approx(0, abs=1e-6)
    colour = (luminance(vis) - vis).abs().mean().item()
    assert kept_vis.item() == pytest.approx(colour, rel=1e-5) and colour > 0.1


def test_paired_loss_counts_only_items_with_a_partner():
    made, partner = torch.zeros(3, 1, 2, 2), torch.ones(3, 1, 2, 2)
    partner[1] = 5
    assert paired_loss(made, partner, torch.tensor([True, False, True])).item() == 1
    assert paired_loss(made, partner, torch.tensor([False] * 3)).item() == 0


def test_luminance_of_grey_is_grey():
    grey = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)
    torch.testing.assert_close(luminance(grey.expand(-1, 3, -1, -1)), grey)


def test_pixels_survive_the_way_there_and_back():
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    colour = np.stack([grey, grey[:, ::-1], grey[:, :, ::-1]], axis=-1)
    for pictures in (grey, colour):
        tensor = to_tensor(pictures)
        assert tensor.min() == -1 and tensor.max() == 1
        np.testing.assert_array_equal(to_pixels(tensor), pictures)


# -------------------------------------------------------------------------- pool
def test_pool_fills_then_exchanges_half():
    pool = ImagePool(5, seed=0)
    first = torch.arange(5.0).reshape(5, 1, 1, 1)
    assert torch.equal(pool.exchange(first), first)
    kept = set(range(5))
    old = 0
    for value in range(5, 405):
        out = int(pool.exchange(torch.full((1, 1, 1, 1), float(value))).item())
        if out != value:  # an older one, which leaves the pool
            assert out in kept
            kept = kept - {out} | {value}
            old += 1
    assert {int(i.item()) for i in pool.images} == kept
    assert 160 < old < 240
    assert torch.equal(ImagePool(0).exchange(first), first)


def test_pool_goes_on_from_its_state():
    a, b = ImagePool(3, seed=1), ImagePool(3, seed=2)
    fakes = torch.randn(40, 1, 2, 2)
    a.exchange(fakes[:10])
    b.restore(pickle.loads(pickle.dumps(a.state())))
    assert torch.equal(a.exchange(fakes[10:]), b.exchange(fakes[10:]))


# ------------------------------------------------------------------- checkpoints
def test_own_weights_come_back(tmp_path):
    generator = Generator(SMALL)
    save_generator(tmp_path / "nir.safetensors", generator, "nir")
    back = load_generator(tmp_path / "nir.safetensors", "nir")
    assert back.config == SMALL and not back.training
    x = torch.rand(1, 3, 16, 20)
    assert torch.equal(back(x), generator(x))


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("shape", [(3, 1, 4, 6), (1, 3, 6, 9), (3, 3, 4, 2)])
def test_public_checkpoints_load_and_give_the_same_pictures(tmp_path, shape, dropout):
    torch.manual_seed(0)
    public = public_generator(*shape, dropout=dropout)
    state = public.state_dict()
    assert any(key.endswith("running_mean") for key in state)
    torch.save(OrderedDict((f"module.{k}", v) for k, v in state.items()), tmp_path / "g.pth")
    ours = load_generator(tmp_path / "g.pth", "vis" if shape[0] == 1 else "nir")
    assert dataclasses.astuple(ours.config) == shape
    x = torch.rand(1, shape[0], 32, 32) * 2 - 1
    torch.testing.assert_close(ours(x).detach(), run_public(public, x), atol=1e-5, rtol=1e-4)


def test_the_other_direction_is_refused(tmp_path):
    torch.save(public_generator(3, 1, 4, 6).state_dict(), tmp_path / "g.pth")
    save_generator(tmp_path / "g.safetensors", Generator(SMALL), "nir")
    for name in ("g.pth", "g.safetensors"):
        with pytest.raises(AssetError, match=r"1 -> 3 channels .* got 3 -> 1 .*give --to nir"):
            load_generator(tmp_path / name, "vis")


class Evil:
    """A pickle that runs code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


def test_files_with_code_damage_or_other_networks_are_refused(tmp_path, capsys):
    path = tmp_path / "g.pth"
    good = public_generator(3, 1, 4, 2).state_dict()
    torch.save({"model.1.weight": Evil()}, path)
    with pytest.raises(AssetError, match="expected tensors only"):
        load_generator(path, "nir")
    assert "code ran" not in capsys.readouterr().out
    torch.save(good, path)
    whole = path.read_bytes()
    for content in (whole[:100], whole[: len(whole) // 2], b"", b"nothing"):
        path.write_bytes(content)
        with pytest.raises(AssetError):
            load_generator(path, "nir")
    others = {
        "the key 'model.model.0": {"model.model.0.weight": torch.ones(1)},
        "batch norm": {**good, "model.2.weight": torch.ones(4)},
        "7 x 7": {"model.1.weight": torch.ones(4, 3, 3, 3)},
        "residual blocks": {k: v for k, v in good.items() if not k.startswith("model.10.")},
        "state dict of tensors": {"epoch": 3},
    }
    for words, state in others.items():
        torch.save(state, path)
        with pytest.raises(AssetError, match=words):
            load_generator(path, "nir")
    torch.save({k: v for k, v in good.items() if k != "model.4.weight"}, path)
    with pytest.raises(AssetError, match="model.4.weight"):
        load_generator(path, "nir")
    with pytest.raises(AssetError, match="does not exist"):
        load_generator(tmp_path / "none.pth", "nir")
