"""Reads generator checkpoints of the public code ``pytorch-CycleGAN-and-pix2pix``.

Its residual generators keep their layers in one numbered list, ``model.N``, as
`synth.models.cyclegan.Generator` does. What differs between checkpoints is handled
here: prefixes of parallel or compiled training, statistics of instance norms that old
versions stored and never used, and the shift of one place that dropout brings into
the residual blocks. Sizes are inferred from the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import AssetError
from synth.models.weights import load_pickled

__all__ = ["map_public", "read_public"]

Tensor = Any
#: Put in front of every key by DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
#: Buffers of norms, which instance norm does not use.
UNUSED = ("running_mean", "running_var", "num_batches_tracked")
#: Place of a residual block's second convolution without and with dropout.
SECOND, SECOND_WITH_DROPOUT = 5, 6
KEY = re.compile(r"model\.(\d+)\.(?:conv_block\.(\d+)\.)?(weight|bias)")


def read_public(path: Path) -> tuple[dict[str, Tensor], dict[str, int]]:
    """The state dict of a public checkpoint under our names, and the sizes in it.

    Nothing but tensors is unpickled: a file that holds code is refused.

    Returns
    -------
    state : dict of str to tensor
        Float32.
    sizes : dict of str to int
        ``inputs``, ``outputs``, ``ngf``, ``blocks``.

    Raises
    ------
    AssetError
        If the file cannot be read, holds more than tensors, or another network.
    """
    return map_public(load_pickled(path), path.name)


def map_public(
    state: Mapping[str, Tensor], name: str = "state dict"
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Our names and the sizes of a public state dict; see `read_public`."""
    plain: dict[tuple[int, int | None, str], Tensor] = {}
    for key, tensor in state.items():
        while key.startswith(PREFIXES):
            key = key.split(".", 1)[1]
        if key.endswith(UNUSED):
            continue
        match = KEY.fullmatch(key)
        if match is None:
            raise _other(name, f"the key {key!r}")
        inner = int(match[2]) if match[2] else None
        plain[int(match[1]), inner, match[3]] = tensor.float()
    sizes = _sizes(plain, name)
    renamed = {}
    for (number, inner, what), tensor in plain.items():
        inner = SECOND if inner == SECOND_WITH_DROPOUT else inner
        between = "" if inner is None else f"conv_block.{inner}."
        renamed[f"model.{number}.{between}{what}"] = tensor
    return renamed, sizes


def _sizes(plain: Mapping[tuple[int, int | None, str], Tensor], name: str) -> dict[str, int]:
    if (2, None, "weight") in plain:
        raise _other(name, "batch norm or an instance norm with weights behind the first layer")
    outer = sorted(number for number, inner, _ in plain if inner is None)
    first = plain.get((1, None, "weight"))
    last = plain.get((outer[-1], None, "weight")) if outer else None
    blocks = {number for number, inner, _ in plain if inner is not None}
    fits = first is not None and last is not None and first.ndim == last.ndim == 4
    if not fits or first.shape[2:] != (7, 7) or last.shape[2:] != (7, 7):  # type: ignore[union-attr]
        raise _other(name, "no 7 x 7 convolutions at the two ends")
    if blocks != set(range(10, 10 + len(blocks))):
        raise _other(name, f"residual blocks at {sorted(blocks)}")
    return {
        "inputs": int(first.shape[1]),  # type: ignore[union-attr]
        "outputs": int(last.shape[0]),  # type: ignore[union-attr]
        "ngf": int(first.shape[0]),  # type: ignore[union-attr]
        "blocks": len(blocks),
    }


def _other(name: str, got: str) -> AssetError:
    return AssetError(
        f"weights: expected a residual generator with instance norm (netG resnet_6blocks or "
        f"resnet_9blocks, norm instance) in {name}, got {got}; take the *_net_G_*.pth file"
    )
