"""The SDE against closed forms, energies against differences, training that resumes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from synth.errors import AssetError, ShapeError, UsageError  # noqa: E402
from synth.models import sde  # noqa: E402
from synth.models.energies import gradient, heatmap_energy, highpass_energy  # noqa: E402
from synth.models.filters import highpass, lowpass, luminance  # noqa: E402
from synth.models.heatmaps import heatmap_loss, heatmaps, peaks  # noqa: E402
from synth.models.nfer import (  # noqa: E402
    VARIANTS,
    as_pictures,
    as_tensor,
    load_net,
    save_net,
    translate_batch,
)
from synth.models.unet import HeatmapNet, NetConfig, ScoreNet  # noqa: E402
from synth.training.loop import train  # noqa: E402
from synth.training.sde import (  # noqa: E402
    HeatmapTraining,
    ScoreTraining,
    SDEConfig,
    SDETraining,
)
from synth.training.sde_settings import moved  # noqa: E402

SMALL = NetConfig(size=16, channels=8, widths=(1, 2), patch=2)
FAST = SDEConfig(size=16, channels=8, widths=(1, 2), batch=4, warmup=5)


def pairs(count: int, size: int = 16, seed: int = 0):
    """Smooth colour pictures, the dark negative of their red channel, points on a ring."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(-1, 1, (count, 3, 4, 4))).float()
    vis = as_pictures(torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear"))
    nir = (200 - 0.6 * vis[..., 0]).round().astype(np.uint8)
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1) * size / 3 + (size - 1) / 2
    return vis, nir, ring + rng.uniform(-1, 1, (count, 1, 2))


def random_net(cls, config=SMALL, seed=0, dtype=torch.float32):
    """A network whose zero-initialised layers are random too."""
    torch.manual_seed(seed)
    net = cls(config)
    for p in net.parameters():
        if not p.any():
            torch.nn.init.normal_(p, std=0.05)
    return net.to(dtype).eval().requires_grad_(False)


# --------------------------------------------------------------------- the SDE
def test_marginal_is_the_closed_form():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    integral = 0.1 * t + 0.5 * 19.9 * t**2
    assert torch.allclose(sde.alpha(t), torch.exp(-integral / 2), rtol=1e-12)
    assert torch.allclose(sde.sigma(t) ** 2, 1 - torch.exp(-integral), rtol=1e-12)
    assert float(sde.alpha(t[-1])) < 0.01


def test_marginal_is_what_the_forward_sde_reaches():
    generator = torch.Generator().manual_seed(0)
    x0, steps, end = 1.5, 400, 0.6
    x = torch.full((20000,), x0, dtype=torch.float64)
    for i in range(steps):
        t = torch.full_like(x, end * i / steps)
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        dt = end / steps
        x = x + sde.drift(x, t) * dt + sde.diffusion(t) * dt**0.5 * z
    t = torch.tensor([end], dtype=torch.float64)
    assert float(x.mean()) == pytest.approx(float(sde.alpha(t)) * x0, abs=0.02)
    assert float(x.std()) == pytest.approx(float(sde.sigma(t)), abs=0.02)


#: A mixture in the plane: shares, means, and the modes' own standard deviation.
SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
MEANS = torch.tensor([[-2.0, 0.0], [1.0, 1.5], [1.5, -1.5]], dtype=torch.float64)
OWN = 0.25


def mixture_score(x, t):
    """Score of the noised mixture, in closed form."""
    a, s = sde.alpha(t)[:, None], sde.sigma(t)[:, None]
    variance = (a * OWN) ** 2 + s**2
    away = a[:, None] * MEANS - x[:, None]
    logs = torch.log(SHARES) - (away**2).sum(2) / (2 * variance)
    weights = torch.softmax(logs, 1)
    return (weights[..., None] * away).sum(1) / variance


def test_reverse_sampler_reproduces_a_mixture():
    """With the exact score: shares, means and spread of the modes."""
    count = 6000
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    torch.manual_seed(2)
    with torch.no_grad():
        found = sde.reverse_sample(mixture_score, x, sde.times(150))
    mode = torch.cdist(found, MEANS).argmin(1)
    for k in range(3):
        of_mode = found[mode == k]
        assert len(of_mode) / count == pytest.approx(float(SHARES[k]), abs=0.025)
        assert torch.allclose(of_mode.mean(0), MEANS[k], atol=0.05)
        assert torch.allclose(of_mode.std(0), torch.full((2,), OWN).double(), rtol=0.1)


def test_denoising_loss_is_least_at_the_true_score():
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    mode = torch.multinomial(SHARES, 40000, replacement=True, generator=generator)
    x0 = MEANS[mode] + OWN * torch.randn(40000, 2, **draw)
    t = 0.02 + 0.98 * torch.rand(40000, **draw)
    z = torch.randn(40000, 2, **draw)
    best = sde.denoising_loss(mixture_score, x0, t, z)
    for factor, shift in ((0.9, 0.0), (1.1, 0.0), (1.0, 0.3), (1.0, -0.3)):
        other = sde.denoising_loss(
            lambda x, t, f=factor, d=shift: f * mixture_score(x, t) + d, x0, t, z
        )
        assert other > best


def test_score_of_a_gaussian_is_learned():
    """A linear model in (x, 1), its coefficients by the time, finds the closed form."""
    mean, spread, time = 0.7, 0.5, torch.tensor([0.3], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    layer = torch.nn.Linear(1, 1).double()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for i in range(300):
        x0 = mean + spread * torch.randn(512, 1, generator=generator, dtype=torch.float64)
        z = torch.randn(512, 1, generator=generator, dtype=torch.float64)
        loss = sde.denoising_loss(lambda x, t: layer(x), x0, time.expand(512), z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - i / 300)
    a, s = float(sde.alpha(time)), float(sde.sigma(time))
    variance = (a * spread) ** 2 + s**2
    assert layer.weight.item() == pytest.approx(-1 / variance, rel=0.05)
    assert layer.bias.item() == pytest.approx(a * mean / variance, rel=0.1)


def test_tweedie_undoes_known_noise():
    x0 = torch.randn(3, 2, 4, 4, dtype=torch.float64)
    t, z = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64), torch.randn(3, 2, 4, 4).double()
    x = sde.perturb(x0, t, z)
    score = -z / sde.sigma(t).reshape(-1, 1, 1, 1)
    assert torch.allclose(sde.denoised(x, t, score), x0, atol=1e-9)


def test_times_fall_from_start_to_end():
    at = sde.times(7, 0.5)
    assert len(at) == 8 and at[0] == 0.5 and float(at[-1]) == pytest.approx(sde.LAST)
    assert bool((at.diff() < 0).all())
    log = torch.log(sde.sigma(at) ** 2 / sde.alpha(at) ** 2)
    assert torch.allclose(log.diff(), log.diff().mean().expand(7))
    assert torch.allclose(sde.times(4, even=True).diff().diff(), torch.zeros(3).double())
    with pytest.raises(UsageError, match="steps"):
        sde.times(0)
    with pytest.raises(UsageError, match="start"):
        sde.times(5, 1.5)


def test_noise_belongs_to_the_image():
    def draw(seeds):
        generators = [torch.Generator().manual_seed(s) for s in seeds]
        return sde.normal_like(torch.empty(len(seeds), 1, 4, 4), generators)

    assert torch.equal(draw([5, 7, 9])[1:2], draw([7]))
    with pytest.raises(UsageError, match="generators"):
        sde.normal_like(torch.empty(2, 1), [torch.Generator()])


# -------------------------------------------------------------- parts and energies
def test_low_and_high_frequencies_are_a_projection():
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    y = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    assert torch.allclose(lowpass(lowpass(x)), lowpass(x))
    assert torch.allclose(lowpass(x) + highpass(x), x)
    assert float((lowpass(x) * y).sum()) == pytest.approx(float((x * lowpass(y)).sum()))
    assert torch.allclose(highpass(torch.ones(1, 1, 8, 8)), torch.zeros(1, 1, 8, 8), atol=1e-6)


def test_luminance():
    assert luminance(torch.tensor([1.0, 1.0, 1.0]).reshape(1, 3, 1, 1)).item() == pytest.approx(1)
    assert luminance(torch.tensor([0.0, 1.0, 0.0]).reshape(1, 3, 1, 1)).item() == pytest.approx(
        0.587
    )


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_heatmaps_peak_where_the_points_are(patch):
    points = torch.tensor([[[10.0, 20.0], [31.5, 8.25], [50.0, 50.0]]], dtype=torch.float64)
    maps = heatmaps(points, 64, patch, width=0.05)
    assert maps.shape == (1, 3, 64 // patch, 64 // patch)
    assert torch.allclose(peaks(maps, patch), points, atol=1e-6 * patch)
    assert float(maps.max()) <= 1
    with pytest.raises(ShapeError, match="points"):
        heatmaps(points[0], 64)


def numeric_gradient(energy, x, places, h=1e-5):
    found = []
    for place in places:
        one = torch.zeros_like(x)
        one[place] = h
        found.append(float((energy(x + one) - energy(x - one)).sum()) / (2 * h))
    return torch.tensor(found, dtype=torch.float64)


PLACES = [(0, 0, 0, 0), (0, 0, 7, 9), (1, 0, 3, 12), (1, 0, 15, 15), (1, 0, 8, 8)]


def test_gradient_of_the_heatmap_energy():
    net = random_net(HeatmapNet, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 1, 16, 16, generator=generator, dtype=torch.float64)
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    target = heatmaps(torch.from_numpy(pairs(2)[2]), 16, 2)

    def energy(v):
        return heatmap_energy(net, v, t, target)

    exact = torch.stack([gradient(energy, x)[p] for p in PLACES])
    assert torch.allclose(exact, numeric_gradient(energy, x, PLACES), rtol=1e-5, atol=1e-8)
    assert float(exact.abs().max()) > 1e-6
    perfect = heatmap_energy(lambda v, t: target, x, t, target)
    assert torch.equal(perfect, torch.zeros_like(perfect))


def test_gradient_of_the_highpass_energy():
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    x, c = torch.randn(2, 1, 16, 16, **draw), torch.randn(2, 1, 16, 16, **draw)

    def energy(v):
        return highpass_energy(v, c)

    found = gradient(energy, x)
    exact = torch.stack([found[p] for p in PLACES])
    assert torch.allclose(exact, numeric_gradient(energy, x, PLACES), rtol=1e-6)
    assert torch.allclose(found, 2 * highpass(x - c))
    # A change of the low frequencies costs nothing.
    assert torch.allclose(energy(c + lowpass(x)), torch.zeros(2).double(), atol=1e-12)
    colour = torch.randn(2, 3, 16, 16, **draw)
    found = gradient(lambda v: highpass_energy(v, c), colour)
    places = [(i, j, *rest) for j, (i, _, *rest) in zip(itertools.cycle(range(3)), PLACES)]  # noqa: B905
    exact = torch.stack([found[p] for p in places])
    numeric = numeric_gradient(lambda v: highpass_energy(v, c), colour, places)
    assert torch.allclose(exact, numeric, rtol=1e-6)


def test_following_the_gradient_lowers_both_energies():
    net = random_net(HeatmapNet, dtype=torch.float64)
    x = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    target = heatmaps(torch.from_numpy(pairs(2)[2]), 16, 2)
    for energy in (
        lambda v: heatmap_energy(net, v, t, target),
        lambda v: highpass_energy(v, torch.zeros_like(x)),
    ):
        step = gradient(energy, x)
        assert bool((energy(x - 1e-3 * step) < energy(x)).all())


# -------------------------------------------------------------------- networks
def test_networks_keep_shapes_and_know_condition_and_time():
    x, c = torch.randn(2, 1, 16, 16), torch.randn(2, 3, 16, 16)
    t = torch.tensor([0.1, 0.8])
    net = random_net(ScoreNet)
    assert net(x, t, c).shape == (2, 1, 16, 16)
    assert not torch.allclose(net(x, t, c), net(x, t, -c), atol=1e-4)
    assert not torch.allclose(net(x, t, c), net(x, t.flip(0), c), atol=1e-4)
    none = net(x, t, c, torch.zeros(2))
    assert torch.allclose(none, net(x, t), atol=1e-6)
    back = random_net(ScoreNet, NetConfig(16, 8, (1, 2), to="vis"))
    assert back(c, t, x).shape == (2, 3, 16, 16)
    assert random_net(HeatmapNet)(x, t).shape == (2, 68, 8, 8)


def test_noise_and_v_are_one():
    """From v = alpha z - sigma x0 the network's noise is z."""

    class Exact(ScoreNet):
        def forward(self, x, t, c=None, there=None):
            a, s = sde.marginal(torch.ones(2, 1, 1, 1), t)
            return a * z - s * x0

    x0, z = torch.randn(2, 1, 16, 16), torch.randn(2, 1, 16, 16)
    t = torch.tensor([0.1, 0.8])
    assert torch.allclose(Exact(SMALL).noise(sde.perturb(x0, t, z), t), z, atol=1e-5)


def test_weights_come_back(tmp_path):
    net = random_net(ScoreNet)
    save_net(tmp_path / "score.safetensors", net)
    back = load_net(tmp_path / "score.safetensors", "score")
    assert back.config == net.config
    x, t = torch.randn(1, 1, 16, 16), torch.tensor([0.5])
    assert torch.equal(back(x, t), net.to(memory_format=torch.channels_last)(x, t))
    with pytest.raises(AssetError, match="heatmap"):
        load_net(tmp_path / "score.safetensors", "heatmap")


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"size": 15}', '{"size": 16, "unknown": 1}', '{"to": "uv"}']
)
def test_bad_descriptions_are_refused(text):
    with pytest.raises(AssetError, match="config"):
        NetConfig.from_json(text)


# -------------------------------------------------------------------- variants
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_equals_singles_and_repeats(variant):
    vis, _, points = pairs(3)
    score, heat = random_net(ScoreNet), random_net(HeatmapNet)
    every = {"variant": variant, "steps": 4}
    whole = translate_batch(score, heat, vis, points, seeds=[3, 4, 5], **every)
    again = translate_batch(score, heat, vis, points, seeds=[3, 4, 5], batch=2, **every)
    assert whole.shape == (3, 16, 16) and whole.dtype == np.uint8
    for i in range(3):
        one = translate_batch(
            score, heat, vis[i : i + 1], points[i : i + 1], seeds=[3 + i], **every
        )
        # Convolutions of another batch size may differ in the last bits of a float.
        assert np.abs(one[0].astype(int) - whole[i]).max() <= 1
        assert np.abs(again[i].astype(int) - whole[i]).max() <= 1
    other = translate_batch(score, heat, vis, points, seeds=[8, 9, 10], **every)
    assert (other != whole).any()


def test_ilvr_keeps_the_low_frequencies_of_the_reference():
    vis, _, _ = pairs(2)
    vis = (64 + vis // 2).astype(np.uint8)  # no clipping at black and white
    made = translate_batch(random_net(ScoreNet), None, vis, None, "ilvr", 10)
    wanted, found = lowpass(luminance(as_tensor(vis))), lowpass(as_tensor(made))
    clipped = ((made == 0) | (made == 255)).mean()
    assert clipped < 0.2
    assert float((wanted - found).abs().mean()) < 0.05


def test_highpass_guidance_lowers_its_energy():
    vis, _, points = pairs(4, seed=3)
    vis[:, ::4] = 220  # lines: high frequencies to be kept
    score, heat = random_net(ScoreNet), random_net(HeatmapNet)
    reference = luminance(as_tensor(vis))

    def energy(variant, **more):
        made = translate_batch(score, heat, vis, points, variant, 25, **more)
        return float(highpass_energy(as_tensor(made), reference).mean())

    assert energy("cond+ef", lambda_f=2.0) < 0.9 * energy("cond")
    assert energy("cond+ef", lambda_f=0.0) == pytest.approx(energy("cond"), rel=1e-5)


def test_heatmap_guidance_lowers_its_energy():
    """With a network whose maps are the picture itself: where points are, it gets brighter."""

    class Mirror(HeatmapNet):
        def forward(self, x, t):
            return torch.nn.functional.avg_pool2d(x, 2).expand(-1, 68, -1, -1)

    vis, _, points = pairs(4, seed=3)
    score, heat = random_net(ScoreNet), Mirror(SMALL).eval()
    target = heatmaps(torch.from_numpy(points).float(), 16, 2)

    def energy(variant, **more):
        made = as_tensor(translate_batch(score, heat, vis, points, variant, 20, **more))
        return float(heatmap_energy(heat, made, torch.zeros(4), target).mean())

    assert energy("cond+eh", lambda_h=1.0) < 0.9 * energy("cond")
    assert energy("both", lambda_h=1.0) < 0.9 * energy("cond+ef")
    assert energy("cond+eh", lambda_h=0.0) == pytest.approx(energy("cond"), rel=1e-5)


def test_wrong_use_is_named():
    vis, _, points = pairs(2)
    net = random_net(ScoreNet)
    with pytest.raises(UsageError, match="variant: expected one of"):
        translate_batch(net, None, vis, points, "cond+e")
    with pytest.raises(UsageError, match="heatmap network"):
        translate_batch(net, None, vis, points, "both")
    with pytest.raises(ShapeError, match="pixels"):
        translate_batch(net, None, vis[:, :8], points, "cond")
    with pytest.raises(ShapeError, match="points"):
        translate_batch(net, None, vis, points[:1], "cond")
    with pytest.raises(UsageError, match="seeds"):
        translate_batch(net, None, vis, points, "cond", seeds=[1])


# -------------------------------------------------------------------- training
def test_points_move_with_the_pictures():
    """Pictures of one blob each: its peak is where the moved point says."""
    generator = torch.Generator().manual_seed(0)
    points = torch.tensor([[20.0, 40.0]]).repeat(8, 68, 1) + torch.arange(8.0)[:, None, None]
    blobs = heatmaps(points[:, :1], 64, width=0.05)
    config = SDEConfig(shift=0.05, zoom=0.1, turn=10.0)
    pictures, there = moved(2 * blobs - 1, points, config, generator)
    found = peaks(pictures + 1)
    assert torch.allclose(found[:, 0], there[:, 0], atol=0.1)
    assert float((there[:, 0] - points[:, 0]).norm(dim=1).max()) > 1


def test_score_training_learns_and_an_interrupted_run_is_the_same(tmp_path):
    vis, nir, points = pairs(6)
    settings = {"seed": 0, **FAST.settings()}
    every = {"save_every": 10, "sample_every": 30, "log_every": 10}

    def fresh():
        return SDETraining(vis, nir, points, FAST, 0)

    straight = fresh()
    train(straight, tmp_path / "a", 30, settings, **every)
    train(fresh(), tmp_path / "b", 20, settings, **every)
    resumed = fresh()
    run = train(resumed, tmp_path / "b", 30, settings, **every)
    assert run.resumed == 20
    for name in ("score", "heatmap"):
        one, two = (getattr(x, name).network.state_dict() for x in (straight, resumed))
        assert all(torch.equal(one[k], two[k]) for k in one)
        assert (tmp_path / "b" / "weights" / f"{name}.safetensors").exists()
    assert (tmp_path / "a/losses.csv").read_text() == (tmp_path / "b/losses.csv").read_text()


def test_the_translation_is_learned():
    """Noise in, the dark negative out: nearer to the truth than the best constant."""
    vis, nir, points = pairs(24)
    config = SDEConfig(size=16, channels=16, widths=(1, 2), batch=8, warmup=20,
                       rate=3e-3, shift=0.0, zoom=0.0, turn=0.0)  # fmt: skip
    training = ScoreTraining(vis, nir, points, config)
    losses = [training.step(i)["score"] for i in range(110)]
    assert np.mean(losses[-20:]) < 0.4 * np.mean(losses[:5])
    new_vis, new_nir, _ = pairs(4, seed=9)
    t, z = torch.full((4,), 0.8), torch.randn(4, 1, 16, 16)
    x = sde.perturb(as_tensor(new_nir), t, z)
    with torch.no_grad():
        score = training.network.score(x, t, as_tensor(new_vis))
    made = as_pictures(sde.denoised(x, t, score)).astype(float)
    error = np.abs(made - new_nir).mean()
    assert error < 0.6 * np.abs(new_nir - nir.mean()).mean()


def test_heatmap_training_lowers_its_loss():
    _, nir, points = pairs(6)
    training = HeatmapTraining(nir, points, replace(FAST, rate=6e-3))
    losses = [training.step(i)["heatmap"] for i in range(60)]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])
    assert training.samples().shape == (4 * 16, 4 * 16, 3)
    x0, t = as_tensor(nir), torch.full((6,), 0.1)
    z = torch.randn_like(x0)
    target = heatmaps(torch.from_numpy(points).float(), 16, 2)
    zero = heatmap_loss(lambda x, t: torch.zeros_like(target), x0, target, t, z)
    assert float(zero) == pytest.approx(float((target**2).sum((2, 3)).mean()))


def test_unpaired_data_is_refused():
    vis, nir, points = pairs(3)
    with pytest.raises(UsageError, match="paired"):
        ScoreTraining(vis, nir[:2], points, FAST)
    with pytest.raises(ShapeError, match="align"):
        ScoreTraining(vis[:, :8], nir[:, :8], points, FAST)
    with pytest.raises(UsageError, match="at least one"):
        ScoreTraining(vis[:0], nir[:0], points[:0], FAST)
