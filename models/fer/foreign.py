"""Backbones of torchvision and timm as readers: ``arch="torchvision:resnet18"``, ``"timm:NAME"``.

Neither package is needed otherwise. The network is theirs, without its last linear layer,
drawn by their own rules; the heads are ours. Pictures in [-1, 1] are brought to what
ImageNet's networks expect, grey ones are repeated in three channels.

Nothing is fetched unasked. `synth.models.fer.public.init_from` reads weights from a file;
`init_pretrained` reads those that the library's own cache holds, and fetches them there
only with ``download=True``; without, the error says what it would fetch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from synth.errors import AssetError, DependencyError, ShapeError, UsageError
from synth.models.fer.blocks import FERNetwork
from synth.models.fer.config import FERConfig
from synth.models.fer.public import IMAGENET, init_from
from synth.optional import require

__all__ = ["build", "init_pretrained"]

Tensor = Any


class ForeignBackbone(nn.Module):
    """Pictures in [-1, 1] to features (N, F) through a network made for ImageNet.

    Parameters
    ----------
    body : Module
        (N, 3, size, size) less ImageNet's mean over its deviation -> (N, F)
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        mean, deviation = (torch.tensor(v)[:, None, None] for v in IMAGENET)
        self.register_buffer("factor", 0.5 / deviation, persistent=False)
        self.register_buffer("constant", (0.5 - mean) / deviation, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x * self.factor + self.constant)  # grey is repeated by broadcasting


def build(config: FERConfig) -> FERNetwork:
    """The reader on the backbone that `config` names, drawn from torch's global generator.

    Raises
    ------
    DependencyError
        If the library is not installed, or does not load.
    UsageError
        If it has no network of that name, or the network does not take pictures of
        that size or give one row of features.
    """
    library, _, name = config.arch.partition(":")
    body, features = _torchvision(name) if library == "torchvision" else _timm(name)
    backbone = ForeignBackbone(body)
    _try(backbone, features, config)
    network = FERNetwork(config, nn.Identity(), features)
    network.backbone = backbone  # put in late, so that it is not drawn again by our rules
    return network


def _library(package: str) -> ModuleType:
    try:
        return require(package, hint=f"pip install {package.split('.')[0]}")
    except RuntimeError as error:  # torchvision built for another torch
        reason = str(error).splitlines()[0]
        raise DependencyError(
            f"{package}: expected a build for torch {torch.__version__}, got one that does not "
            f"load ({reason}); install the one that goes with it"
        ) from None


def _torchvision(name: str) -> tuple[nn.Module, int]:
    models = _library("torchvision.models")
    if name not in (known := models.list_models(module=models)):
        raise UsageError(
            f"arch: expected one of torchvision's {len(known)} classifiers, such as "
            f"torchvision:resnet18, got {name!r}"
        )
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    body = models.get_model(name, weights=None, **extra)
    linear = [n for n, module in body.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UsageError(f"arch: expected a network that ends in a linear layer, got {name}")
    parent, _, leaf = linear[-1].rpartition(".")
    holder = body.get_submodule(parent)
    features = int(getattr(holder, leaf).in_features)
    setattr(holder, leaf, nn.Identity())
    return body, features


def _timm(name: str) -> tuple[nn.Module, int]:
    timm = _library("timm")
    try:
        body = timm.create_model(name, pretrained=False, num_classes=0)
    except (RuntimeError, ValueError) as error:
        raise UsageError(
            f"arch: expected a network of timm, got {name!r} ({error}); "
            "python -c 'import timm; print(timm.list_models())' names them"
        ) from None
    return body, int(getattr(body, "head_hidden_size", None) or body.num_features)


def _try(backbone: nn.Module, features: int, config: FERConfig) -> None:
    """Raise unless pictures of the configuration become rows of features."""
    backbone.eval()
    try:
        with torch.no_grad():
            got = backbone(torch.zeros(1, config.channels, config.size, config.size))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise UsageError(
            f"size: expected one that {config.arch} takes, got {config.size} ({error}); "
            "such networks are mostly made for 224"
        ) from None
    finally:
        backbone.train()
    if tuple(getattr(got, "shape", ())) != (1, features):
        raise ShapeError(
            f"arch: expected (N, {features}) features, got "
            f"{tuple(getattr(got, 'shape', ()))} from {config.arch}; name a classifier"
        )


def init_pretrained(network: FERNetwork, download: bool = False) -> tuple[str, ...]:
    """Fill a foreign backbone with its library's default weights, from its cache.

    Parameters
    ----------
    network : FERNetwork
        From `build`; changed in place.
    download : bool
        Whether the library may fetch them where its cache has none.

    Returns
    -------
    tuple of str
        As `synth.models.fer.public.init_from`: empty.

    Raises
    ------
    UsageError
        If the network is none of a library's.
    AssetError
        If the library has no such weights, or its cache has none and `download` is not
        set; the message says what would be fetched.
    """
    config: FERConfig = network.config
    if not config.foreign:
        raise UsageError(
            f"arch: expected torchvision:NAME or timm:NAME, got {config.arch}; "
            "use init_from with a file"
        )
    library, _, name = config.arch.partition(":")
    cached, url = _torchvision_cache(name) if library == "torchvision" else _timm_cache(network)
    if not url:
        raise AssetError(f"pretrained: expected weights of {config.arch}, got none in {library}")
    if cached is not None and cached.is_file():
        return init_from(network, cached)
    if not download:
        raise AssetError(
            f"pretrained: expected the weights of {config.arch} in the cache, got none; "
            f"download=True fetches {url}, or fetch it yourself and use init_from with the file"
        )
    _download(network, library, name)
    return ()


def _torchvision_cache(name: str) -> tuple[Path | None, str]:
    weights = _library("torchvision.models").get_model_weights(name).DEFAULT
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name, str(weights.url)


def _timm_cache(network: FERNetwork) -> tuple[Path | None, str]:
    given: Mapping[str, Any] = network.backbone.body.pretrained_cfg
    repository = given.get("hf_hub_id")
    if not repository:
        url = str(given.get("url") or "")
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name, url
    found = require("huggingface_hub").try_to_load_from_cache(repository, "model.safetensors")
    path = Path(found) if isinstance(found, str) else None
    return path, f"https://huggingface.co/{repository}"


def _download(network: FERNetwork, library: str, name: str) -> None:
    if library == "torchvision":
        models = _library("torchvision.models")
        state = models.get_model_weights(name).DEFAULT.get_state_dict(progress=False)
    else:
        state = _library("timm").create_model(name, pretrained=True, num_classes=0).state_dict()
    own = network.backbone.body.state_dict()
    network.backbone.body.load_state_dict({key: state[key] for key in own})
