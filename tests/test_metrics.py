"""Metrics against scikit-learn, scikit-image's definitions and values worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from synth.errors import ShapeError
from synth.metrics import agreement, images


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (32, 40), dtype=np.uint8)


# ------------------------------------------------------------------------------- images
def test_psnr_and_mae_by_hand():
    a = np.full((16, 16), 100, np.uint8)
    b = a.copy()
    b[:8] += 10  # mean squared error 50, mean absolute error 5
    assert images.mae(a, b) == 5
    assert images.psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 50))
    assert images.psnr(b, a) == images.psnr(a, b)


@pytest.mark.parametrize("shape", [(32, 40), (32, 40, 3)])
def test_equal_pictures_are_as_good_as_can_be(shape):
    a = picture(0, *shape)
    assert images.mae(a, a) == 0
    assert images.psnr(a, a) == math.inf
    assert images.ssim(a, a) == pytest.approx(1)


def test_ssim_of_constant_pictures_by_its_formula():
    # Without any structure only the luminance term is left.
    a, b = np.full((20, 20), 100, np.uint8), np.full((20, 20), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    wanted = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert images.ssim(a, b) == pytest.approx(wanted, abs=1e-6)


def test_ssim_falls_with_noise_and_is_symmetric():
    x = np.linspace(0, 255, 64)
    a = np.add.outer(x, x / 4).clip(0, 255).astype(np.uint8)
    noise = np.random.default_rng(0).normal(size=a.shape)
    worse = [(a + s * noise).clip(0, 255).astype(np.uint8) for s in (2, 10, 40)]
    values = [images.ssim(a, b) for b in worse]
    assert values == sorted(values, reverse=True)
    assert images.ssim(worse[1], a) == pytest.approx(values[1])


@pytest.mark.parametrize(
    "other, message",
    [
        (picture(1, 32, 41), "the size of the first, 40 x 32, got 41 x 32"),
        (picture(1, 32, 40, 3), "a grey picture as the first, got a colour"),
        (picture(1).astype(float), "uint8, got .* float64"),
    ],
)
@pytest.mark.parametrize("measure", [images.mae, images.psnr, images.ssim])
def test_pictures_that_do_not_match_are_refused(measure, other, message):
    with pytest.raises(ShapeError, match=message):
        measure(picture(0), other)


def test_pictures_below_the_window_of_ssim_are_refused():
    with pytest.raises(ShapeError, match="at least 11 pixels"):
        images.ssim(picture(0, 10, 40), picture(1, 10, 40))


# ---------------------------------------------------------------------------- agreement
def test_ccc_by_hand():
    # t: mean 2, var 2/3; e: mean 3, var 8/3; covariance 4/3.
    t, e = [1, 2, 3], [1, 3, 5]
    assert agreement.ccc(t, e) == pytest.approx((8 / 3) / (2 / 3 + 8 / 3 + 1))
    assert agreement.ccc(t, e, sample=True) == pytest.approx(4 / (1 + 4 + 1))
    assert agreement.pcc(t, e) == pytest.approx(1)
    assert agreement.ccc(t, t) == 1
    assert agreement.ccc(t, [3, 2, 1]) == -1


def test_ccc_is_the_correlation_times_the_bias_correction():
    rng = np.random.default_rng(0)
    t = rng.normal(size=200)
    e = 0.6 * t + 0.3 + 0.5 * rng.normal(size=200)
    v, u = t.std() / e.std(), (t.mean() - e.mean()) / math.sqrt(t.std() * e.std())
    wanted = np.corrcoef(t, e)[0, 1] * 2 / (v + 1 / v + u**2)
    assert agreement.ccc(t, e) == pytest.approx(wanted)


def test_what_is_undefined_is_nan():
    stuck, moving = [0.3] * 4, [0.1, 0.2, 0.3, 0.4]
    assert math.isnan(agreement.ccc(stuck, stuck))
    assert agreement.ccc(moving, stuck) == 0
    assert math.isnan(agreement.pcc(moving, stuck))
    assert math.isnan(agreement.ccc([0.1], [0.2])) and math.isnan(agreement.pcc([0.1], [0.2]))
    assert math.isnan(agreement.sagr([0.01, -0.02], [1, 1], dead=0.05))
    assert math.isnan(agreement.kappa(["a", "a"], ["a", "a"]))


@pytest.mark.parametrize(
    "measure",
    [agreement.ccc, agreement.pcc, agreement.rmse, agreement.mae, agreement.sagr],
)
@pytest.mark.parametrize(
    "target, estimate, message",
    [
        ([1, math.nan], [1, 2], "target: expected finite numbers, got 1 of 2"),
        ([1, 2], [math.inf, 2], "estimate: expected finite"),
        ([], [], "N > 0"),
        ([1, 2], [1, 2, 3], "expected 2 values"),
    ],
)
def test_awkward_numbers_are_refused(measure, target, estimate, message):
    with pytest.raises(ShapeError, match=message):
        measure(target, estimate)


def test_errors_signs_and_distances_by_hand():
    assert agreement.rmse([0, 0], [3, 4]) == pytest.approx(math.sqrt(12.5))
    assert agreement.mae([0, 0], [3, -4]) == 3.5
    assert agreement.sagr([1, -1, 0, 0.01], [2, 1, 0, -1]) == 0.5
    assert agreement.sagr([1, -1, 0, 0.01], [2, 1, 0, -1], dead=0.05) == 0.5
    assert agreement.mean_distance([[0, 0], [1, 1]], [[3, 4], [1, 1]]) == 2.5


def test_classes_agree_with_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(1)
    t = rng.choice(list("abcd"), 200).tolist()
    e = [
        x if rng.random() < 0.6 else y
        for x, y in zip(t, rng.choice(list("abce"), 200), strict=True)
    ]
    e = [str(x) for x in e]
    counts, classes = agreement.confusion(t, e)
    assert classes == sorted(set(t) | set(e))
    assert (counts == metrics.confusion_matrix(t, e)).all()
    assert agreement.accuracy(t, e) == pytest.approx(metrics.accuracy_score(t, e))
    assert agreement.kappa(t, e) == pytest.approx(metrics.cohen_kappa_score(t, e))
    assert agreement.macro_f1(t, e) == pytest.approx(metrics.f1_score(t, e, average="macro"))


def test_kappa_and_f1_by_hand():
    t, e = ["a", "a", "b", "b"], ["a", "b", "b", "b"]
    assert agreement.kappa(t, e) == pytest.approx((0.75 - 0.5) / 0.5)
    assert agreement.f1_scores(t, e) == pytest.approx({"a": 2 / 3, "b": 4 / 5})


@pytest.mark.parametrize(
    "t, e, classes, message",
    [
        (["a"], ["a", "b"], None, "got 2 of 1"),
        (["a", None], ["a", "a"], None, "got none for some"),
        (["a", "x"], ["a", "a"], ["a", "b"], "got 'x'"),
    ],
)
def test_awkward_classes_are_refused(t, e, classes, message):
    with pytest.raises(ShapeError, match=message):
        agreement.confusion(t, e, classes)


# -------------------------------------------------------------------------------- LPIPS
@pytest.fixture(scope="module")
def lpips_files(tmp_path_factory):
    """Random weights in files with the published names, and the distance that has them."""
    import torch
    from safetensors.torch import save_file

    from synth.models.lpips import LPIPS

    torch.manual_seed(0)
    model = LPIPS().eval()
    state = model.state_dict()
    folder = tmp_path_factory.mktemp("lpips")
    backbone = {n: t for n, t in state.items() if n.startswith("features")}
    torch.save(backbone | {"classifier.1.weight": torch.zeros(2)}, folder / "alexnet.pth")
    lins = {f"lin{i}.model.1.weight": state[f"lins.{i}.weight"] for i in range(5)}
    torch.save(lins, folder / "alex.pth")
    slices = {"0": 1, "3": 2, "6": 3, "8": 4, "10": 5}
    whole = {
        f"net.slice{slices[n.split('.')[1]]}.{n.removeprefix('features.')}": t.clone()
        for n, t in backbone.items()
    }
    save_file(whole | {n: t.clone() for n, t in lins.items()}, folder / "whole.safetensors")
    return folder, model


def test_lpips_reads_the_published_files(lpips_files):
    from synth.models.lpips import load_lpips

    folder, model = lpips_files
    a, b = picture(0, 80, 72, 3), picture(1, 80, 72, 3)
    wanted = model.distance(a, b)
    assert wanted > 0
    two = load_lpips([folder / "alexnet.pth", folder / "alex.pth"])
    assert two.distance(a, b) == wanted
    assert load_lpips([folder / "whole.safetensors"]).distance(a, b) == wanted


def test_lpips_is_a_distance_by_its_definition(lpips_files):
    import torch

    _, model = lpips_files
    a, b = picture(0, 80, 72), picture(1, 80, 72)
    assert model.distance(a, a) == 0
    assert model.distance(a, b) == pytest.approx(model.distance(b, a), rel=1e-6)
    near = np.clip(a.astype(int) + 5, 0, 255).astype(np.uint8)
    assert model.distance(a, near) < model.distance(a, b)
    # Written out for the first layer, with the other channel weights at zero.
    with torch.no_grad():
        for lin in list(model.lins)[1:]:
            kept = lin.weight.clone()
            lin.weight.zero_()
            lin.kept = kept
        maps = []
        for pixels in (a, b):
            x = torch.from_numpy(np.repeat(pixels[None, None], 3, 1)).float() / 127.5 - 1
            first = model.features["0"]
            x = (x - model.shift) / model.scale
            y = torch.relu(torch.nn.functional.conv2d(x, first.weight, first.bias, 4, 2))[0].numpy()
            maps.append(y / np.sqrt((y**2).sum(0)))
        weights = model.lins[0].weight.numpy().reshape(-1, 1, 1)
        assert model.distance(a, b) == pytest.approx(
            float((weights * (maps[0] - maps[1]) ** 2).sum(0).mean()), rel=1e-4
        )
        for lin in list(model.lins)[1:]:
            lin.weight.copy_(lin.kept)


def test_lpips_says_what_is_wrong(lpips_files, tmp_path):
    from synth.errors import AssetError
    from synth.models.lpips import load_lpips

    folder, model = lpips_files
    with pytest.raises(AssetError, match="got none at .*nowhere"):
        load_lpips([tmp_path / "nowhere.pth"])
    with pytest.raises(AssetError, match="channel weights too, got none .lins.0"):
        load_lpips([folder / "alexnet.pth"])
    (tmp_path / "broken.pth").write_bytes(b"no pickle at all")
    with pytest.raises(AssetError, match="a state dict in broken.pth"):
        load_lpips([tmp_path / "broken.pth"])
    with pytest.raises(ShapeError, match="at least 64 pixels"):
        model.distance(picture(0), picture(1))
