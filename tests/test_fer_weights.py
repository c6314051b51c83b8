"""Weights made elsewhere: torchvision's state dicts in our networks, its networks as backbones."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from synth.errors import AssetError, DependencyError, ShapeError, UsageError
from synth.models.fer import FERConfig, build, foreign, load_fer, save_fer
from synth.models.fer.public import IMAGENET, init_from

SEVEN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


@pytest.fixture(scope="module")
def models() -> ModuleType:
    """torchvision's networks; they need none of its compiled operators."""
    try:
        from torchvision import models
    except ImportError:
        pytest.skip("torchvision is not installed")
    except RuntimeError:  # built for another torch: import it without the operators' shapes
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.library, "register_fake", lambda *a, **k: lambda f: f)
            from torchvision import models
    return models


def pictures(n: int, size: int, channels: int = 3) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, size, size, generator=random) * 2 - 1


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make()


def settle(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """`network` in evaluation, its norms as if trained on `images`."""
    for module in network.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        network(images)
    return network.eval()


def vgg16(models: ModuleType) -> nn.Module:
    """torchvision's VGG-16 with an eighth of its channels."""
    plan = [c if c == "M" else c // 8 for c in models.vgg.cfgs["D"]]
    with torch.device("meta"):  # its own linear layers would be half a gigabyte
        network = models.VGG(nn.Sequential(), num_classes=7, init_weights=False)
    network.features = _vgg_features(plan)
    sides = (64 * 49, 512), (512, 512), (512, 7)
    linear = [nn.Linear(*side) for side in sides]
    network.classifier = nn.Sequential(
        linear[0], nn.ReLU(), nn.Dropout(), linear[1], nn.ReLU(), nn.Dropout(), linear[2]
    )
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network


def _vgg_features(plan: list) -> nn.Sequential:
    layers, now = [], 3
    for entry in plan:
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(now, entry, 3, padding=1), nn.ReLU()]
            now = entry
    return nn.Sequential(*layers)


def theirs(models: ModuleType, arch: str, width: float, size: int) -> nn.Module:
    if arch == "vgg_face":
        network = seeded(lambda: vgg16(models))
    else:
        options = {"width_mult": width} if arch.startswith("mobilenet") else {}
        network = seeded(lambda: models.get_model(arch, weights=None, num_classes=7, **options))
    return settle(network, pictures(4, size))


@pytest.mark.parametrize(
    "arch, width, size",
    [
        ("mobilenet_v2", 0.35, 64),
        ("mobilenet_v3_small", 0.5, 64),
        ("mobilenet_v3_large", 0.35, 64),
        ("efficientnet_b0", 1.0, 64),
        ("resnet50", 1.0, 64),
        ("vgg_face", 0.125, 224),
    ],
)
def test_torchvisions_weights_give_torchvisions_answers(models, arch, width, size, tmp_path):
    other = theirs(models, arch, width, size)
    path = tmp_path / "weights.safetensors"
    save_file(other.state_dict(), path)  # which does not keep the order of the layers
    config = FERConfig(arch, va=False, classes=SEVEN, size=size, width=width)
    reader = build(config).eval()
    assert init_from(reader, path, "ours") == ()
    last = [m for m in other.modules() if isinstance(m, nn.Linear)][-1]
    reader.head.logits.load_state_dict(last.state_dict())
    images = pictures(4, size)
    with torch.no_grad():
        got, expected = reader(images).logits, other(images)
    assert (expected[0] - expected[1]).abs().max() > 0.003 * expected.abs().max()
    assert (got - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("arch, layers", [("mobilenet_v2", 1), ("vgg_face", 2)])
@pytest.mark.parametrize("channels", [3, 1])
def test_first_layers_take_our_range_and_grey(models, arch, layers, channels, tmp_path):
    """Inside the picture; at its border the zeros of the padding are other greys."""
    width, size = (0.35, 64) if arch == "mobilenet_v2" else (0.125, 64)
    other = theirs(models, arch, width, size)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    reader = build(FERConfig(arch, size=size, width=width, channels=channels)).eval()
    init_from(reader, tmp_path / "weights.pth")
    images = pictures(2, size, channels)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in IMAGENET)
    with torch.no_grad():
        got = reader.backbone[:layers](images)
        expected = other.features[:layers](((images + 1) / 2 - mean) / deviation)
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(got[inner], expected[inner], rtol=1e-4, atol=1e-4)
    assert expected[inner].std() > 0.05


def test_networks_that_hold_a_resnet_take_its_file(models, tmp_path):
    other = theirs(models, "resnet50", 1.0, 64)
    torch.save(other.state_dict(), tmp_path / "resnet50.pth")
    kernel = other.state_dict()["layer3.2.conv2.weight"]
    for arch in ("poster_tiny", "resnet50_gru"):
        reader = build(FERConfig(arch, size=32))
        heads = [p.clone() for p in reader.head.parameters()]
        assert init_from(reader, tmp_path / "resnet50.pth") == ()
        state = reader.backbone.state_dict()
        assert sum(t.shape == kernel.shape and torch.equal(t, kernel) for t in state.values()) == 1
        assert all(map(torch.equal, heads, reader.head.parameters()))


def test_linear_layers_of_vgg_fit_one_side_only(models, tmp_path):
    torch.save(theirs(models, "vgg_face", 0.125, 224).state_dict(), tmp_path / "vgg16.pth")
    reader = build(FERConfig("vgg_face", size=64, width=0.125))
    left = init_from(reader, tmp_path / "vgg16.pth")
    assert left == ("32.weight",)
    with pytest.raises(AssetError, match="first 0.weight: expected .16, 3, 3, 3., got .8, 3, 3"):
        init_from(build(FERConfig("vgg_face", size=64, width=0.25)), tmp_path / "vgg16.pth")


@pytest.fixture
def ours(tmp_path):
    reader = seeded(lambda: build(FERConfig("mobilenet_v3_small", size=32, width=0.25)))
    save_fer(tmp_path / "va.safetensors", reader)
    return reader, tmp_path / "va.safetensors"


def test_our_own_files_start_another_task(ours):
    first, path = ours
    reader = build(FERConfig("mobilenet_v3_small", False, SEVEN, size=64, width=0.25))
    assert init_from(reader, path) == ()
    for got, expected in zip(
        reader.backbone.parameters(), first.backbone.parameters(), strict=True
    ):
        assert torch.equal(got, expected)


def test_files_of_other_networks_are_refused(ours, tmp_path):
    path = ours[1]
    reader = build(FERConfig("mobilenet_v2", size=32, width=0.25))
    with pytest.raises(AssetError, match="expected a backbone of mobilenet_v2, got another in"):
        init_from(reader, path)
    with pytest.raises(AssetError, match="does not exist"):
        init_from(reader, tmp_path / "none.pth")
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(AssetError, match=r"first 0.0.weight: expected \(8, 3, 3, 3\), got none"):
        init_from(reader, tmp_path / "a.pth")
    with pytest.raises(UsageError, match="one with public weights .*, got mobilenet_v1"):
        init_from(build(FERConfig("mobilenet_v1", size=32, width=0.25)), tmp_path / "a.pth")
    with pytest.raises(UsageError, match="normalisation: expected imagenet or ours, got 'x'"):
        init_from(reader, path, "x")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_torchvisions_networks_as_backbones(models, name, tmp_path):
    config = FERConfig(f"torchvision:{name}", classes=SEVEN, size=64, landmarks=True)
    reader, images = seeded(lambda: build(config)).double(), pictures(4, 64).double()
    other = settle(seeded(lambda: models.get_model(name, weights=None)).double(), images)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    assert init_from(reader.eval(), tmp_path / "weights.pth") == ()
    seen = {}
    last = [m for m in other.modules() if isinstance(m, nn.Linear)][-1]
    last.register_forward_pre_hook(lambda _, given: seen.update(features=given[0]))
    mean, deviation = (torch.tensor(v)[:, None, None] for v in IMAGENET)
    points = torch.rand(4, 68, 2).double() * 63
    with torch.no_grad():
        got = reader(images, points)
        other(((images + 1) / 2 - mean) / deviation)
    inner = seen["features"]
    assert got.va.shape == (4, 2) and got.logits.shape == (4, 7)
    assert (got.features[:, : inner.shape[1]] - inner).abs().max() < 1e-3 * inner.abs().max()
    save_fer(tmp_path / "reader.safetensors", reader)
    back, meta = load_fer(tmp_path / "reader.safetensors")
    assert back.config == config and '"torchvision:' in meta["config"]
    with torch.no_grad():
        again = back.double()(images, points).va  # through float32
        torch.testing.assert_close(again, got.va, rtol=0, atol=1e-3)


def test_grey_pictures_reach_foreign_backbones_in_three_channels(models):
    colour = seeded(lambda: build(FERConfig("torchvision:resnet18", size=64))).eval()
    grey = build(FERConfig("torchvision:resnet18", size=64, channels=1)).eval()
    grey.load_state_dict(colour.state_dict())
    images = pictures(2, 64, 1)
    with torch.no_grad():
        same = colour(images.expand(-1, 3, -1, -1)).features
        torch.testing.assert_close(grey(images).features, same)


def test_pretrained_weights_come_from_the_cache_or_not_at_all(models, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *a, **k: pytest.fail("fetched"))
    reader = build(FERConfig("torchvision:resnet18", size=64))
    with pytest.raises(AssetError, match=r"download=True fetches https://.*/resnet18-\w+\.pth"):
        foreign.init_pretrained(reader)
    url = models.get_model_weights("resnet18").DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    other = seeded(lambda: models.resnet18(weights=None))
    torch.save(other.state_dict(), tmp_path / "checkpoints" / url.rpartition("/")[2])
    assert foreign.init_pretrained(reader) == ()
    assert torch.equal(reader.backbone.body.conv1.weight, other.conv1.weight)
    with pytest.raises(UsageError, match="use init_from with a file"):
        foreign.init_pretrained(build(FERConfig("small_cnn", size=32)))


def test_what_cannot_be_a_backbone_is_refused(models):
    with pytest.raises(UsageError, match="torchvision's .* classifiers, .*, got 'resnet19'"):
        build(FERConfig("torchvision:resnet19"))
    with pytest.raises(UsageError, match="ends in a linear layer, got squeezenet1_1"):
        build(FERConfig("torchvision:squeezenet1_1"))
    with pytest.raises(UsageError, match="width: expected 1 for torchvision:resnet18, got 0.5"):
        FERConfig("torchvision:resnet18", width=0.5)
    for name in ("torchvision:", "keras:resnet18"):
        with pytest.raises(UsageError, match="torchvision:NAME or timm:NAME, got"):
            FERConfig(name)


class _Body(nn.Module):
    """A network as timm makes it without classes."""

    num_features = 5
    pretrained_cfg = {"hf_hub_id": "timm/tiny.in1k"}

    def __init__(self, side: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * side * side, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


@pytest.fixture
def timm(monkeypatch):
    asked = []

    def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
        asked.append((name, pretrained, num_classes))
        if name == "none":
            raise RuntimeError("Unknown model (none)")
        return _Body(32) if name == "tiny" else nn.Flatten()

    stand_in = SimpleNamespace(create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    monkeypatch.setattr(nn.Flatten, "num_features", 7, raising=False)
    hub = SimpleNamespace(try_to_load_from_cache=lambda repository, name: None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return SimpleNamespace(asked=asked, hub=hub)


def test_networks_of_timm_are_made_without_weights(timm, tmp_path):
    reader = build(FERConfig("timm:tiny", size=32, channels=1))
    assert timm.asked == [("tiny", False, 0)]
    assert reader(pictures(2, 32, 1)).va.shape == (2, 2)
    with pytest.raises(AssetError, match="download=True fetches https://huggingface.co/timm/tiny"):
        foreign.init_pretrained(reader)
    weights = _Body(32).state_dict()
    save_file(weights, tmp_path / "model.safetensors")
    timm.hub.try_to_load_from_cache = lambda repository, name: str(tmp_path / name)
    assert foreign.init_pretrained(reader) == ()
    assert torch.equal(reader.backbone.body.linear.weight, weights["linear.weight"])
    timm.hub.try_to_load_from_cache = lambda repository, name: None
    foreign.init_pretrained(reader, download=True)
    assert timm.asked[-1] == ("tiny", True, 0)


def test_networks_of_timm_that_do_not_fit_are_refused(timm):
    with pytest.raises(UsageError, match=r"a network of timm, got 'none' \(Unknown model"):
        build(FERConfig("timm:none"))
    with pytest.raises(UsageError, match="size: expected one that timm:tiny takes, got 64"):
        build(FERConfig("timm:tiny", size=64))
    with pytest.raises(ShapeError, match=r"\(N, 7\) features, got \(1, 3072\) from timm:flat"):
        build(FERConfig("timm:flat", size=32))


def test_libraries_that_are_missing_or_broken_are_named(monkeypatch):
    for name in ("timm", "torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match="timm: expected it to be installed, .*pip install"):
        build(FERConfig("timm:tiny"))
    with pytest.raises(DependencyError, match="pip install torchvision$"):
        build(FERConfig("torchvision:resnet18"))

    def broken(package: str, **_: str) -> ModuleType:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(foreign, "require", broken)
    with pytest.raises(DependencyError, match="nms does not exist.; install the one that goes"):
        build(FERConfig("torchvision:resnet18"))
