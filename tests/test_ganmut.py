"""GANmut's networks, conditional spaces, losses, weights and editor."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch.nn import functional

from synth.errors import AssetError, ShapeError, TargetError, UsageError
from synth.models import ganmut_losses as losses
from synth.models.ganmut import (
    CLASSES,
    Discriminator,
    Generator,
    GeneratorConfig,
    directions_of,
    load_generator,
    save_generator,
)
from synth.models.ganmut_public import LICENCE
from synth.models.ganmut_spaces import (
    GaussianSpace,
    LinearSpace,
    around,
    condition_maps,
    make_space,
)
from synth.models.weights import save_weights

TINY = GeneratorConfig("linear", ("neutral", "happiness", "anger"), conv_dim=4, blocks=1, size=16)


def tiny(space: str = "linear", seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    config = GeneratorConfig(space, TINY.classes, 4, 1, 16)
    generator = Generator(config)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return generator.eval()


# ------------------------------------------------------------------------ networks
def test_parameter_counts_are_those_of_the_public_architecture():
    # StarGAN's generator of 5 classes has 8 430 528 parameters, its critic 44 762 048
    # (as its public code prints). GANmut has 2 condition maps in place of 5, and
    # learns its space; its critic has 7 classes and 2 coordinates in place of 5 classes.
    stargan_generator, stargan_critic = 8_430_528, 44_762_048
    main = stargan_generator - (5 - 2) * 64 * 7 * 7
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert count(Generator()) == main + 6 * 2
    gaussian = Generator(GeneratorConfig("gaussian"))
    assert count(gaussian) == main + 7 * 2 + 7 * 2 + 7
    assert count(Discriminator(7)) == stargan_critic + (7 + 2 - 5) * 2048 * 2 * 2


def test_condition_maps_repeat_the_code_over_the_picture():
    codes = torch.tensor([[0.5, -0.25], [0.0, 1.0]])
    maps = condition_maps(codes, 3, 5)
    assert maps.shape == (2, 2, 3, 5)
    for n in range(2):
        for c in range(2):
            assert (maps[n, c] == codes[n, c]).all()


def test_the_generator_sees_the_code_and_keeps_the_shape():
    generator, x = tiny(), torch.rand(2, 3, 20, 16) * 2 - 1
    with torch.no_grad():
        one = generator(x, torch.tensor([[0.9, 0.0], [0.0, 0.0]]))
        other = generator(x, torch.tensor([[0.0, 0.9], [0.0, 0.0]]))
    assert one.shape == x.shape and one.abs().max() <= 1
    assert not torch.allclose(one[0], other[0]) and torch.equal(one[1], other[1])


def test_the_critic_has_three_heads():
    source, logits, code = Discriminator(5, size=16, conv_dim=4, layers=3)(
        torch.zeros(2, 3, 16, 16)
    )
    assert source.shape == (2, 1, 2, 2) and logits.shape == (2, 5) and code.shape == (2, 2)
    with pytest.raises(UsageError, match="multiple of 64"):
        Discriminator(5, size=100)


@pytest.mark.parametrize(
    "wrong",
    [{"space": "cubic"}, {"classes": ("happiness", "neutral")}, {"classes": ("neutral",)},
     {"size": 30}, {"conv_dim": 0}],
)  # fmt: skip
def test_configs_refuse(wrong):
    with pytest.raises(UsageError, match="expected"):
        GeneratorConfig(**wrong)


# -------------------------------------------------------------------- linear space
def test_directions_stay_unit_whatever_is_learned():
    torch.manual_seed(0)
    space = LinearSpace(5)
    assert space.axes.abs().max() < 1e-4  # so that the first steps turn them far
    with torch.no_grad():
        space.axes.mul_(1e4)
    optimiser = torch.optim.Adam(space.parameters(), 0.1)
    wanted = torch.tensor([0.3, -0.8])
    before = space.angles()
    for _ in range(100):
        loss = ((space.directions() - wanted) ** 2).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.allclose(space.directions().norm(dim=1), torch.ones(4), atol=1e-6)
    target = math.degrees(math.atan2(-0.8, 0.3)) % 360
    assert np.allclose(space.angles(), target, atol=5) and not np.allclose(before, target, atol=5)


def test_linear_codes_lie_on_their_class():
    space = LinearSpace(4)
    with torch.no_grad():
        space.axes.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.01], [-5.0, 0.0]]))
    codes = space.at(torch.tensor([0, 1, 2, 3]), torch.tensor([0.7, 0.7, 0.2, 1.0]))
    assert torch.allclose(codes, torch.tensor([[0, 0], [0.7, 0], [0, 0.2], [-1.0, 0]]))
    assert space.angles() == pytest.approx([0, 90, 180])
    for theta, rho in ((0, 0.5), (90, 1), (222, 0.3)):
        x, y = space.polar_code(theta, rho)
        assert math.hypot(x, y) == pytest.approx(rho)
        assert rho == 0 or math.degrees(math.atan2(y, x)) % 360 == pytest.approx(theta)


def test_the_linear_batch_has_its_two_parts():
    space = LinearSpace(3)
    labels = torch.arange(2000) % 3
    drawn = space.draw(labels, np.random.default_rng(0), random=600, noise=0.05)
    assert drawn.classified.tolist() == [False] * 600 + [True] * 1400
    assert torch.equal(drawn.labels, labels)
    neutral = labels == 0
    assert drawn.rho[neutral].max() <= 0.2 and drawn.rho[~neutral].min() >= 0.2
    assert drawn.rho[~neutral].mean() == pytest.approx(0.6, abs=0.03)
    # random codes: at the intensity of their item, at angles that know of no class
    codes = drawn.codes.detach()
    assert torch.allclose(codes[:600].norm(dim=1), drawn.rho[:600], atol=1e-6)
    turns = torch.atan2(codes[:600, 1], codes[:600, 0])
    assert np.histogram(turns, 6, (-np.pi, np.pi))[0].min() > 60
    # the others: about their class's direction
    rest = codes[600:] - space.at(labels, drawn.rho)[600:].detach()
    assert rest.std() == pytest.approx(0.05, rel=0.05) and rest.mean().abs() < 0.005
    drawn.codes[600:].sum().backward()
    assert space.axes.grad is not None


# ------------------------------------------------------------------ gaussian space
@pytest.fixture(scope="module")
def gaussian() -> GaussianSpace:
    torch.manual_seed(1)
    space = GaussianSpace(4).double()
    with torch.no_grad():
        space.spread.copy_(torch.rand(4, 2) * torch.tensor([1.0, -1.0]) + torch.tensor([0.1, -0.1]))
        space.turn.copy_(torch.randn(4))
    return space


def test_densities_are_scipys(gaussian):
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    means = gaussian.means().detach().numpy()
    covariances = gaussian.covariances().detach().numpy()
    wanted = np.stack(
        [multivariate_normal(m, c).logpdf(points) for m, c in zip(means, covariances, strict=True)],
        1,
    )
    with torch.no_grad():
        got = gaussian.log_density(torch.from_numpy(points)).numpy()
    assert np.allclose(got, wanted, atol=1e-9)


def test_covariances_are_turned_ellipses(gaussian):
    for covariance, spread, turn in zip(
        gaussian.covariances().detach().numpy(), gaussian.spread.detach().abs().numpy(),
        gaussian.turn.detach().numpy(), strict=True,
    ):  # fmt: skip
        assert np.allclose(np.linalg.eigvalsh(covariance), sorted(spread))
        axis = np.array([np.cos(turn), np.sin(turn)])
        assert np.allclose(covariance @ axis, spread[0] * axis)


def test_memberships_follow_the_distances(gaussian):
    points = torch.rand(6, 2, dtype=torch.float64) * 2 - 1
    means, inverse = gaussian.means().detach(), torch.linalg.inv(gaussian.covariances().detach())
    for n, row in enumerate(gaussian.log_membership(points).exp().detach()):
        naive = [
            math.exp(-float((points[n] - m) @ i @ (points[n] - m)))
            for m, i in zip(means, inverse, strict=True)
        ]
        assert np.allclose(row, np.array(naive) / sum(naive))


def test_the_gaussian_batch_has_its_two_parts(gaussian):
    drawn = gaussian.draw(torch.zeros(1000, dtype=torch.int64), np.random.default_rng(0))
    assert torch.equal(drawn.codes[:4], gaussian.means())
    assert drawn.labels[:4].tolist() == [0, 1, 2, 3]
    assert drawn.classified.tolist() == [True] * 4 + [False] * 996
    rest = drawn.codes[4:].detach()
    assert rest.abs().max() <= 1 and rest.mean(0).abs().max() < 0.06
    assert rest.std() == pytest.approx(1 / math.sqrt(3), rel=0.05)


def test_polar_codes_of_the_gaussian_space_go_from_neutral_to_the_means(gaussian):
    means = gaussian.means().detach().numpy()
    assert gaussian.polar_code(77, 0) == pytest.approx(means[0])
    for angle, radius, mean in zip(gaussian.angles(), gaussian.radii(), means[1:], strict=True):
        assert gaussian.polar_code(angle, 1) == pytest.approx(mean, abs=1e-6)
        assert gaussian.polar_code(angle, 0.5) == pytest.approx((means[0] + mean) / 2, abs=1e-6)
        assert radius == pytest.approx(np.linalg.norm(mean - means[0]))
    ring = np.array([gaussian.polar_code(theta, 1) for theta in range(360)])
    assert np.abs(ring).max() <= 1


@pytest.mark.parametrize("kind", ["linear", "gaussian"])
def test_classes_can_begin_in_the_order_of_the_circumplex(kind):
    polar = pytest.importorskip("synth.models.polar")
    space = make_space(kind, CLASSES)
    space.place(around(CLASSES))
    directions = dict(zip(CLASSES[1:], space.angles(), strict=True))
    assert directions["happiness"] == pytest.approx(math.degrees(math.atan2(0.15, 0.92)), abs=1e-3)
    assert np.allclose(np.diff(sorted(directions.values())), 60, atol=1e-3)
    assert len(polar.PolarSpace(directions).anchors) == 6  # all of them, so --va is exact
    if isinstance(space, GaussianSpace):
        assert torch.equal(space.means()[0], torch.zeros(2))
        assert space.radii() == pytest.approx([0.6] * 6, rel=1e-4)


def test_there_are_two_spaces():
    with pytest.raises(UsageError, match="linear, gaussian"):
        make_space("round", CLASSES)


# -------------------------------------------------------------------------- losses
def test_the_gradient_penalty_is_that_of_known_slopes():
    rng = np.random.default_rng(0)
    slope = torch.from_numpy(rng.normal(size=(1, 3, 4, 4)))
    real, fake = torch.from_numpy(rng.normal(size=(2, 5, 3, 4, 4)))
    share = torch.from_numpy(rng.random(5))
    linear = losses.gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), real, fake, share)
    assert float(linear.detach()) == pytest.approx((float(slope.norm()) - 1) ** 2)
    # of half the squared norm the slope is the mixed picture itself
    bent = losses.gradient_penalty(lambda x: 0.5 * (x**2).sum((1, 2, 3)), real, fake, share)
    naive = [
        (float((a * r + (1 - a) * f).norm()) - 1) ** 2
        for a, r, f in zip(share, real, fake, strict=True)
    ]
    assert float(bent.detach()) == pytest.approx(np.mean(naive))


def test_the_gradient_penalty_of_patches_agrees_with_differences():
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.Tanh(), torch.nn.Conv2d(2, 1, 1)
    )
    critic = critic.double()
    real, fake = torch.randn(2, 2, 1, 4, 4, dtype=torch.float64)
    share = torch.tensor([0.2, 0.9], dtype=torch.float64)
    found = losses.gradient_penalty(critic, real, fake, share)
    norms = []
    for r, f, a in zip(real, fake, share, strict=True):
        mixed, step = (a * r + (1 - a) * f)[None], 1e-5
        slopes = []
        for place in range(16):
            nudge = torch.zeros(16, dtype=torch.float64)
            nudge[place] = step
            nudge = nudge.view(1, 1, 4, 4)
            change = critic(mixed + nudge).sum() - critic(mixed - nudge).sum()
            slopes.append(float(change.detach()) / (2 * step))
        norms.append(np.linalg.norm(slopes))
    assert float(found.detach()) == pytest.approx(np.mean((np.array(norms) - 1) ** 2), rel=1e-6)
    found.backward()
    assert critic[0].weight.grad.abs().sum() > 0


def test_losses_agree_with_naive_ones():
    rng = np.random.default_rng(3)
    logits, rho = rng.normal(size=(6, 4)), np.array([0.1, 0.3, 0.9, 0.15, 0.6, 1.0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels, kept = np.array([0, 1, 2, 3, 1, 2]), np.array([False, True, True, False, True, True])
    q = rng.dirichlet(np.ones(4), 6)
    t = torch.from_numpy
    assert np.allclose(losses.certainty(t(logits)), p.max(1))
    naive = -np.mean([np.log(p[n, labels[n]]) for n in range(6) if kept[n]])
    assert float(losses.class_loss(t(logits), t(labels), t(kept))) == pytest.approx(naive)
    assert float(losses.class_loss(t(logits), t(labels), t(~kept & kept))) == 0
    naive = np.mean([(p[n].max() - rho[n]) ** 2 for n in (1, 2, 4, 5)])
    assert float(losses.strength_loss(t(logits), t(rho))) == pytest.approx(naive)
    assert float(losses.strength_loss(t(logits), t(rho * 0.1))) == 0
    naive = np.mean(
        [(q[n] * np.log(q[n] / p[n])).sum() + (p[n] * np.log(p[n] / q[n])).sum() for n in range(6)]
    )
    assert float(losses.membership_loss(t(logits), t(np.log(q)))) == pytest.approx(naive)
    a, b = rng.normal(size=(2, 6, 2))
    assert float(losses.code_loss(t(a), t(b))) == pytest.approx(np.mean((a - b) ** 2))
    assert float(losses.reconstruction_loss(t(a), t(b))) == pytest.approx(np.abs(a - b).mean())
    assert float(losses.critic_loss(t(a), t(b))) == pytest.approx(b.mean() - a.mean())


# ------------------------------------------------------------------------- weights
@pytest.mark.parametrize("space", ["linear", "gaussian"])
def test_weights_come_back(tmp_path, space):
    generator = tiny(space)
    save_generator(tmp_path / "g.safetensors", generator, licence="CC0", name="test")
    again, meta = load_generator(tmp_path / "g.safetensors")
    x, code = torch.rand(1, 3, 16, 16), torch.tensor([[0.3, 0.4]])
    with torch.no_grad():
        assert torch.equal(generator(x, code), again(x, code))
    assert again.config == generator.config and not again.training
    assert (meta["space"], meta["licence"], meta["name"]) == (space, "CC0", "test")
    assert json.loads(meta["directions"]) == pytest.approx(directions_of(generator), abs=1e-3)
    assert list(json.loads(meta["directions"])) == ["happiness", "anger"]


def public_layout(generator: Generator) -> dict[str, Any]:
    """The generator's state dict as the authors' code would have saved it."""
    state = {k: v for k, v in generator.state_dict().items() if k.startswith("main.")}
    last = max(int(k.split(".")[1]) for k in state)
    order = [2, 1, 0, 3, 4]  # they feed BGR
    state["main.0.weight"] = state["main.0.weight"][:, order]
    state[f"main.{last}.weight"] = state[f"main.{last}.weight"][[2, 1, 0]]
    for key in [k for k in state if k.endswith(".bias")]:  # norms are all that have one
        stem = key.removesuffix("bias")
        state[f"{stem}running_mean"] = torch.randn_like(state[key])
        state[f"{stem}running_var"] = torch.rand_like(state[key])
        state[f"{stem}num_batches_tracked"] = torch.tensor(7)
    space = generator.space
    if isinstance(space, LinearSpace):
        state["axes.weight"] = space.axes.detach()
        state["axes.bias"] = torch.randn(len(space.axes))
    else:
        state["mu.weight"] = space.mu.detach()
        state["covariance_axes.weight"] = space.spread.detach()
        state["covariance_angles.weight"] = space.turn.detach()[None]
    return state


def functional_public(state: dict[str, Any], x: Any, code: Any, blocks: int) -> Any:
    """The authors' forward pass from their tensors, written out: BGR in, BGR out."""

    def norm(h: Any, name: str) -> Any:
        return functional.instance_norm(
            h, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"]
        )

    h = torch.cat([x, code[:, :, None, None].repeat(1, 1, *x.shape[2:])], 1)
    h = functional.conv2d(h, state["main.0.weight"], padding=3)
    h = norm(h, "main.1").relu()
    for n in (3, 6):
        h = norm(
            functional.conv2d(h, state[f"main.{n}.weight"], stride=2, padding=1), f"main.{n + 1}"
        ).relu()
    for n in range(9, 9 + blocks):
        inner = functional.conv2d(h, state[f"main.{n}.main.0.weight"], padding=1)
        inner = norm(inner, f"main.{n}.main.1").relu()
        inner = functional.conv2d(inner, state[f"main.{n}.main.3.weight"], padding=1)
        h = h + norm(inner, f"main.{n}.main.4")
    for n in (9 + blocks, 12 + blocks):
        h = functional.conv_transpose2d(h, state[f"main.{n}.weight"], stride=2, padding=1)
        h = norm(h, f"main.{n + 1}").relu()
    return functional.conv2d(h, state[f"main.{15 + blocks}.weight"], padding=3).tanh()


@pytest.mark.parametrize(("space", "prefix"), [("linear", ""), ("gaussian", "module.")])
def test_the_authors_layout_loads(tmp_path, space, prefix):
    generator = tiny(space)
    state = public_layout(generator)
    path = tmp_path / "1800000-G.ckpt"
    torch.save({prefix + key: tensor for key, tensor in state.items()}, path)
    again, meta = load_generator(path)
    assert again.config.space == space and again.config.blocks == 1 and again.config.conv_dim == 4
    assert again.config.classes == CLASSES[:3]
    x, code = torch.rand(2, 3, 16, 16) * 2 - 1, torch.tensor([[0.3, 0.4], [-0.5, 0.1]])
    with torch.no_grad():
        theirs = functional_public(state, x.flip(1), code, blocks=1).flip(1)
        assert torch.allclose(again(x, code), theirs, atol=1e-5)
    assert again.space.angles() == pytest.approx(generator.space.angles())
    assert meta["licence"] == LICENCE and "commercial" in LICENCE


def test_the_authors_network_of_full_size_loads(tmp_path):
    path = tmp_path / "G.ckpt"
    torch.save(public_layout(Generator()), path)
    again, _ = load_generator(path)
    assert again.config == GeneratorConfig()


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def test_bad_weights_are_refused(tmp_path, capsys):
    good = public_layout(tiny())

    def refused(state: Any, match: str) -> None:
        torch.save(state, tmp_path / "x.ckpt")
        with pytest.raises(AssetError, match=match):
            load_generator(tmp_path / "x.ckpt")

    with pytest.raises(AssetError, match="does not exist"):
        load_generator(tmp_path / "none.ckpt")
    refused({**good, "code": Evil()}, "run code")
    (tmp_path / "y.pth").write_bytes(pickle.dumps(Evil(), 2))
    with pytest.raises(AssetError, match="weights: expected"):
        load_generator(tmp_path / "y.pth")
    assert capsys.readouterr().out == ""
    refused({"a": 3}, "state dict of tensors")
    refused({"model.1.weight": torch.zeros(3)}, "generator of GANmut")
    stargan = {**good, "main.0.weight": torch.zeros(4, 8, 7, 7)}
    refused(stargan, "5 condition maps")
    refused({k: v for k, v in good.items() if "axes" not in k}, "neither axes nor mu")
    refused({k: v for k, v in good.items() if k != "main.3.weight"}, "tensors of a GANmut")
    torch.save(good, tmp_path / "whole.ckpt")
    data = (tmp_path / "whole.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(data[: len(data) // 2])
    with pytest.raises(AssetError, match="whole PyTorch checkpoint"):
        load_generator(tmp_path / "cut.ckpt")


def test_bad_files_of_our_own_are_refused(tmp_path):
    path = tmp_path / "g.safetensors"
    save_generator(path, tiny())
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(AssetError, match="whole safetensors"):
        load_generator(path)
    save_weights(path, tiny().state_dict(), "cyclegan")
    with pytest.raises(AssetError, match="kind ganmut"):
        load_generator(path)
    for config in ("{", '{"classes": ["neutral"]}', '{"depth": 3, "classes": ["neutral"]}'):
        save_weights(path, tiny().state_dict(), "ganmut", config=config)
        with pytest.raises(AssetError, match="config that rebuilds"):
            load_generator(path)
    save_weights(path, tiny().state_dict(), "ganmut", config=GeneratorConfig().to_json())
    with pytest.raises(AssetError, match="tensors of a GANmut"):
        load_generator(path)


# -------------------------------------------------------------------------- editor
@pytest.fixture
def editor_class() -> Any:
    pytest.importorskip("synth.models.polar")
    from synth.editing.ganmut import GanmutEditor

    return GanmutEditor


def test_the_editor_goes_through_the_network_at_its_size(tmp_path, editor_class):
    path = tmp_path / "g.safetensors"
    generator = tiny()
    save_generator(path, generator)
    editor = editor_class(path)
    assert (editor.size, editor.method) == (16, "ganmut")
    assert list(editor.digests) == ["g.safetensors"]
    for name, theta in directions_of(generator).items():
        assert editor.space.of_expression(name, 0.5) == pytest.approx((theta, 0.5), abs=1e-3)
    crop = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    x = torch.from_numpy(crop.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        made = generator(x, torch.tensor([[0.0, 0.8]]))[0].permute(1, 2, 0).numpy()
    assert np.abs(editor(crop, 90.0, 0.8) - (made + 1) * 127.5).max() <= 0.51
    for side in (9, 16, 50):
        large = np.full((side, side, 3), 90, np.uint8)
        assert editor(large, 10.0, 0.5).shape == (side, side, 3)


def test_the_editor_refuses(tmp_path, editor_class):
    path = tmp_path / "g.safetensors"
    save_generator(path, tiny())
    editor = editor_class(path)
    crop = np.zeros((16, 16, 3), np.uint8)
    for theta, rho in ((360.0, 0.5), (-1.0, 0.5), (10.0, 1.1), (math.nan, 0.5)):
        with pytest.raises(TargetError):
            editor(crop, theta, rho)
    for wrong in (crop[:8], crop[..., 0], crop.astype(float)):
        with pytest.raises(ShapeError, match="crop"):
            editor(wrong, 10.0, 0.5)


def test_get_editor_knows_both_files_and_shows_the_licence(tmp_path, editor_class, caplog):
    from synth.editing import get_editor

    save_generator(tmp_path / "g.safetensors", tiny(), licence="CC0")
    torch.save(public_layout(tiny()), tmp_path / "g.ckpt")
    ours = get_editor(tmp_path / "g.safetensors")
    assert isinstance(ours, editor_class) and ours.licence == "CC0" and not caplog.records
    theirs = get_editor(Path(tmp_path / "g.ckpt"))
    assert "commercial" in theirs.licence and "commercial" in caplog.text
    assert theirs.size == 128 and theirs(np.zeros((20, 20, 3), np.uint8), 30.0, 0.5).shape[0] == 20
