"""Starting a reader from weights that exist: our own files, or torchvision's state dicts.

`init_from` fills the backbone and leaves the heads as they were drawn. It reads files on
disk only. Files of torchvision that were saved by ``torch.save(model.state_dict(), path)``
or downloaded by hand fit these networks at full width:

===================== ==========================================================
ours                  torchvision's
===================== ==========================================================
``mobilenet_v2``      ``mobilenet_v2``
``mobilenet_v3_*``    ``mobilenet_v3_small``, ``mobilenet_v3_large``
``efficientnet_b0``   ``efficientnet_b0``
``resnet50``          ``resnet50``; also ``resnet50_gru`` and the picture stream of POSTER
``vgg_face``          ``vgg16``; also ``vgg_face_gru``. Its linear layers fit 224 pixels only
``torchvision:NAME``  ``NAME`` (see `synth.models.fer.foreign`); likewise ``timm:NAME``
===================== ==========================================================

Those weights expect pictures less ImageNet's mean over its deviation; ours get pictures
in [-1, 1]. The difference is put into the first convolution and what follows it: exact
but for the outermost pixels, whose neighbours outside the picture are 0 in both worlds,
which are different greys. Grey networks get the sum over the three colours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from synth.errors import AssetError, UsageError
from synth.models.fer.config import FERConfig
from synth.models.fer.efficientnet import B0
from synth.models.fer.resnet import STAGES
from synth.models.weights import load_pickled, load_weights

__all__ = ["IMAGENET", "adapt_input", "init_from", "public_names"]

Tensor = Any
State = dict[str, Tensor]

#: Mean and deviation of ImageNet's red, green and blue, pixels in [0, 1].
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Epsilon of the batch norms of torchvision's EfficientNet-B0; ours is the paper's.
EPSILON = {"efficientnet_b0": (1e-5, 1e-3)}
COUNTER = "num_batches_tracked"


def init_from(
    network: Any, path: str | os.PathLike[str], normalisation: str = "imagenet"
) -> tuple[str, ...]:
    """Fill the backbone of a reader from a file; its heads stay as they are.

    Parameters
    ----------
    network : Module
        From `synth.models.fer.build`; changed in place.
    path : path
        ``.safetensors`` of `save_fer` for the same backbone, or a state dict of
        torchvision or timm as ``.pth``, ``.pt`` or ``.safetensors``.
    normalisation : {"imagenet", "ours"}
        Of what a foreign file's network had seen: "ours" copies the first layer as it is.

    Returns
    -------
    tuple of str
        Tensors of the backbone that the file could not fill: linear layers of VGG-16
        at sides other than 224. Empty where all are filled.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or of another network.
    UsageError
        If the normalisation is unknown, or no public weights of the network are known.
    """
    if normalisation not in ("imagenet", "ours"):
        raise UsageError(f"normalisation: expected imagenet or ours, got {normalisation!r}")
    config: FERConfig = network.config
    given, own = _read(Path(path))
    wanted: State = network.backbone.state_dict()
    if own:
        prefix = "backbone."
        found = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        return _fill(network, found, wanted, path, set())
    names = public_names(config, wanted)
    found = {ours: given[theirs] for ours, theirs in names.items() if theirs in given}
    if config.arch in EPSILON:
        _change_epsilon(found, *EPSILON[config.arch])
    if not config.foreign:
        adapt_input(found, config.channels, normalisation == "imagenet")
    return _fill(network, found, wanted, path, _optional(config, wanted))


def _read(path: Path) -> tuple[Mapping[str, Tensor], bool]:
    """The tensors of a file, and whether `save_fer` wrote it."""
    if path.suffix != ".safetensors":
        return load_pickled(path), False
    tensors, meta = load_weights(path)
    return tensors, meta.get("kind") == "fer"


def _fill(
    network: Any,
    found: State,
    wanted: State,
    path: str | os.PathLike[str],
    optional: set[str],
) -> tuple[str, ...]:
    """Load what was found; the names that were not, all of them optional."""
    wrong = [n for n, t in found.items() if n not in wanted or wanted[n].shape != t.shape]
    missing = [n for n in wanted if n not in found and not n.endswith(COUNTER)]
    refused = [n for n in {**dict.fromkeys(wrong), **dict.fromkeys(missing)} if n not in optional]
    if refused:
        first = refused[0]
        want = tuple(wanted[first].shape) if first in wanted else "none"
        got = tuple(found[first].shape) if first in found else "none"
        raise AssetError(
            f"weights: expected a backbone of {network.config.arch}, got another in "
            f"{os.fspath(path)} ({len(refused)} tensors differ, first {first}: expected {want}, "
            f"got {got}); name weights of that network, at the same width and channels"
        )
    left = tuple(sorted({*wrong, *missing}))
    network.backbone.load_state_dict(
        {name: tensor for name, tensor in found.items() if name not in left}, strict=False
    )
    return left


def _optional(config: FERConfig, wanted: Mapping[str, Tensor]) -> set[str]:
    """Tensors that a file may lack: VGG's linear layers where the side is not 224."""
    if config.arch not in ("vgg_face", "vgg_face_gru") or config.size // 32 == 7:
        return set()
    return {name for name, tensor in wanted.items() if int(name.split(".")[0]) > 31}


def public_names(config: FERConfig, wanted: Mapping[str, Tensor]) -> dict[str, str]:
    """Name of each tensor of our backbone -> its name in the public state dict.

    Raises
    ------
    UsageError
        If no public layout of that network is known.
    """
    if config.foreign:
        return {ours: ours.removeprefix("body.") for ours in wanted}
    maker = MAPS.get(config.arch)
    if maker is None:
        raise UsageError(
            f"arch: expected one with public weights ({', '.join(sorted(MAPS))}), got "
            f"{config.arch}; give a file written by synth"
        )
    named = {ours: maker(ours, wanted) for ours in wanted}
    return {ours: theirs for ours, theirs in named.items() if theirs}


def _mobilenet_v2(name: str, wanted: Mapping[str, Tensor]) -> str:
    block, *rest = name.split(".")
    if rest[0] != "body":
        return f"features.{name}"
    j, k, leaf = rest[1:]
    last = f"{block}.body.{int(j) + 1}.0.weight" not in wanted
    # Their last pair of convolution and norm lies flat in the block.
    return f"features.{block}.conv." + (f"{int(j) + int(k)}.{leaf}" if last else f"{j}.{k}.{leaf}")


def _mobilenet_v3(name: str, wanted: Mapping[str, Tensor]) -> str:
    block, *rest = name.split(".")
    if len(rest) == 1:
        return f"classifier.0.{rest[0]}"
    return f"features.{block}." + _squeeze(".".join(rest))


def _squeeze(rest: str) -> str:
    return rest.replace("body.", "block.").replace("squeeze.", "fc1.").replace("excite.", "fc2.")


def _efficientnet(name: str, wanted: Mapping[str, Tensor]) -> str:
    block, *rest = name.split(".")
    places = [f"{s}.{i}" for s, row in enumerate(B0, 1) for i in range(row[3])]
    place = ["0", *places, str(len(B0) + 1)][int(block)]
    return f"features.{place}." + _squeeze(".".join(rest))


def _resnet(name: str, wanted: Mapping[str, Tensor]) -> str:
    parts = name.split(".")
    if "0.0.0.weight" in wanted:  # a trunk and the mean; POSTER has the trunk alone
        del parts[0]
    block, *rest = parts
    if block == "0":
        return f"{('conv1', 'bn1')[int(rest[0])]}.{rest[1]}"
    places = [f"layer{s}.{i}" for s, (_, n) in enumerate(STAGES, 1) for i in range(n)]
    place = places[int(block) - 2]
    if rest[0] == "shortcut":
        return f"{place}.downsample.{rest[1]}.{rest[2]}"
    j, k, leaf = rest[1:]
    return f"{place}.{('conv', 'bn')[int(k)]}{int(j) + 1}.{leaf}"


def _vgg(name: str, wanted: Mapping[str, Tensor]) -> str:
    layer, leaf = name.split(".")
    # 31 flattens ours; their linear layers count from 0 again.
    return f"features.{layer}.{leaf}" if int(layer) < 31 else f"classifier.{int(layer) - 32}.{leaf}"


#: Our networks of a public layout, and what names their tensors there.
MAPS: dict[str, Callable[[str, Mapping[str, Tensor]], str]] = {
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_small": _mobilenet_v3,
    "mobilenet_v3_large": _mobilenet_v3,
    "efficientnet_b0": _efficientnet,
    "resnet50": _resnet,
    "resnet50_gru": _resnet,
    "poster": _resnet,
    "poster_tiny": _resnet,
    "vgg_face": _vgg,
    "vgg_face_gru": _vgg,
}


def adapt_input(tensors: State, channels: int, imagenet: bool) -> None:
    """Let the first convolution take [-1, 1] and `channels`, in place.

    Parameters
    ----------
    tensors : dict of str to tensor
        In the order of the network: a convolution's weight first; next its bias, or the
        batch norm's weight, bias and running mean.
    channels : {1, 3}
    imagenet : bool
        Whether the weights expect pictures less `IMAGENET`'s mean over its deviation.
    """
    names = list(tensors)
    if not names or tensors[names[0]].ndim != 4 or tensors[names[0]].shape[1] != 3:
        return
    weight = tensors[names[0]].clone()
    if imagenet:
        mean, deviation = (torch.tensor(v, dtype=weight.dtype) for v in IMAGENET)
        # (x / 2 + 1 / 2 - mean) / deviation, for x in [-1, 1]
        constant = (weight * ((0.5 - mean) / deviation)[:, None, None]).sum((1, 2, 3))
        weight = weight * (0.5 / deviation)[:, None, None]
        own = names[0].replace("weight", "bias")
        if own in tensors:
            tensors[own] = tensors[own] + constant
        else:
            follows = next(n for n in names if n.endswith("running_mean"))
            tensors[follows] = tensors[follows] - constant
    tensors[names[0]] = weight.sum(1, keepdim=True) if channels == 1 else weight


def _change_epsilon(tensors: State, theirs: float, ours: float) -> None:
    """Make batch norms with our epsilon answer as they did with theirs, in place."""
    for name in [n for n in tensors if n.endswith("running_var")]:
        weight, variance = name.replace("running_var", "weight"), tensors[name]
        tensors[weight] = tensors[weight] * ((variance + ours) / (variance + theirs)).sqrt()
