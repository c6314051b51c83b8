"""Reads generator checkpoints of the authors' public code of GANmut.

They are pickled state dicts (``learned_generators/*/NNN-G.ckpt``) with the layers in one
numbered list, ``main.N``, as `synth.models.ganmut.Generator` has them. What differs is
handled here:

- The conditional space: ``axes.weight`` (with a bias that the code never uses), or
  ``mu.weight``, ``covariance_axes.weight`` and ``covariance_angles.weight``.
- Pictures go through as BGR there: the first convolution's inputs and the last one's
  outputs are turned round, so that ours take and give RGB.
- Instance norms stored running statistics; the authors edit in training mode, where they
  have no effect.

The classes are AffectNet's, in its order.

The licence of the code (BSD-like) has a clause of its own for these weights: "The learned
weights of the pre-trained generator in 'learned_generators' folder cannot be used for
commercial purposes." It is recorded with whatever is loaded here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from synth.affect import CLASSES as AFFECTNET
from synth.errors import AssetError
from synth.models.weights import load_pickled

__all__ = ["AFFECTNET", "LICENCE", "PUBLIC", "SOURCE", "map_public", "read_public"]

Tensor = Any
#: Extensions of their checkpoints.
PUBLIC = (".ckpt", ".pth", ".pt")
LICENCE = (
    "non-commercial: the GANmut authors' learned weights cannot be used for commercial purposes "
    "(clause 3 of the licence of github.com/stefanodapolito/GANmut, (c) 2021 Stefano d'Apolito)"
)
SOURCE = "https://github.com/stefanodapolito/GANmut"
#: Put in front of every key by DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
#: Buffers of norms, which have no effect in training mode; a bias that is never used.
UNUSED = (".running_mean", ".running_var", ".num_batches_tracked", "axes.bias")
#: Their names of what spaces learn -> ours.
NAMES = {
    "axes.weight": "space.axes",
    "mu.weight": "space.mu",
    "covariance_axes.weight": "space.spread",
    "covariance_angles.weight": "space.turn",
}
BLOCK = re.compile(r"main\.(\d+)\.main\.")


def read_public(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """An authors' checkpoint under our names, its sizes, and its metadata.

    Nothing but tensors is unpickled: a file that holds code is refused.

    Returns
    -------
    state : dict of str to tensor
        Float32, for RGB.
    config : dict
        Arguments of `synth.models.ganmut.GeneratorConfig`.
    meta : dict of str to str
        ``kind``, ``space``, ``licence``, ``source``.

    Raises
    ------
    AssetError
        If the file cannot be read, holds more than tensors, or another network.
    """
    renamed, config = map_public(load_pickled(path), path.name)
    meta = {"kind": "ganmut", "space": config["space"], "licence": LICENCE, "source": SOURCE}
    return renamed, config, meta


def map_public(
    state: Mapping[str, Tensor], name: str = "state dict"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Our names and the sizes of an authors' state dict; see `read_public`."""
    plain: dict[str, Tensor] = {}
    for key, tensor in state.items():
        while key.startswith(PREFIXES):
            key = key.split(".", 1)[1]
        if not key.endswith(UNUSED):
            plain[NAMES.get(key, key)] = tensor.float()
    config = _sizes(plain, name)
    if "space.turn" in plain:
        plain["space.turn"] = plain["space.turn"].flatten()
    last = f"main.{_last(plain)}.weight"
    first = plain["main.0.weight"]
    plain["main.0.weight"] = torch.cat([first[:, :3].flip(1), first[:, 3:]], dim=1)
    plain[last] = plain[last].flip(0)
    return plain, config


def _last(plain: Mapping[str, Tensor]) -> int:
    numbers = [re.fullmatch(r"main\.(\d+)\.weight", key) for key in plain]
    return max((int(match[1]) for match in numbers if match), default=0)


def _sizes(plain: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    first, last = plain.get("main.0.weight"), plain.get(f"main.{_last(plain)}.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise _other(name, f"the keys {', '.join(list(plain)[:4]) or 'none'}, ...")
    if first.shape[1:] != (5, 7, 7) or last.shape[0] != 3 or last.shape[2:] != (7, 7):
        more = f"{first.shape[1] - 3} condition maps" if first.shape[1] != 5 else "other ends"
        raise _other(name, more)
    if "space.axes" in plain:
        space, classes = "linear", len(plain["space.axes"]) + 1
    elif {"space.mu", "space.spread", "space.turn"} <= set(plain):
        space, classes = "gaussian", len(plain["space.mu"])
    else:
        raise _other(name, "neither axes nor mu and covariances")
    if not 2 <= classes <= len(AFFECTNET):
        raise _other(name, f"{classes} classes")
    blocks = len({match[1] for key in plain if (match := BLOCK.match(key))})
    return {
        "space": space,
        "classes": AFFECTNET[:classes],
        "conv_dim": int(first.shape[0]),
        "blocks": blocks,
    }


def _other(name: str, got: str) -> AssetError:
    return AssetError(
        f"weights: expected a generator of GANmut (linear_2d or gaussian_2d) in {name}, got {got}; "
        "take a *-G.ckpt file of the authors' learned_generators"
    )
