"""Weights in one file format: safetensors, with metadata that says what they are.

The metadata holds text only: ``kind`` (the network family, such as ``cyclegan``),
usually ``to`` (``nir`` or ``vis``) and ``config`` (JSON from which the network is built
again). Nothing in such a file can run code.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from synth.errors import AssetError
from synth.image_files import write_atomic

__all__ = ["load_pickled", "load_weights", "save_weights"]

Tensor = Any


def save_weights(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], kind: str, **meta: str
) -> None:
    """Write tensors to a safetensors file, whole or not at all.

    Parameters
    ----------
    path : path
        Its folder exists.
    tensors : mapping of str to tensor
        A state dict; copied to the CPU, types kept.
    kind : str
        The network family, asked for again by `load_weights`.
    **meta : str
        More metadata, such as ``to="nir"`` and ``config="{...}"``.
    """
    plain = {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }
    write_atomic(path, _ordered(safetensors.torch.save(plain, metadata={"kind": kind, **meta})))


def _ordered(data: bytes) -> bytes:
    """The file with its metadata in order, so that the same weights are the same bytes.

    A file is the length of its head (8 bytes, little-endian), the head (JSON, padded to a
    multiple of 8 with spaces), and the tensors' values.
    """
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    head["__metadata__"] = dict(sorted(head["__metadata__"].items()))
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def load_weights(
    path: str | os.PathLike[str], kind: str | tuple[str, ...] | None = None
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, on the CPU, and the metadata of a safetensors file.

    Parameters
    ----------
    path : path
    kind : str or tuple of str, optional
        What is accepted; anything by default.

    Raises
    ------
    AssetError
        If the file is missing, truncated, no safetensors file, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise AssetError(f"weights: expected a .safetensors file, got {path}, which does not exist")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            meta: dict[str, str] = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise AssetError(
            f"weights: expected a whole safetensors file, got {path} ({error}); "
            "copy it again, or export it again from its training run"
        ) from None
    kinds = (kind,) if isinstance(kind, str) else kind
    if kinds is not None and meta.get("kind", "") not in kinds:
        raise AssetError(
            f"weights: expected the kind {' or '.join(kinds)}, got {meta.get('kind') or 'none'!r} "
            f"in {path.name}; name a file that was trained for this method"
        )
    return tensors, meta


def load_pickled(path: Path) -> Mapping[str, Tensor]:
    """The state dict in a checkpoint of PyTorch's own format; code in it is never run.

    Raises
    ------
    AssetError
        If the file cannot be read, or holds more than tensors.
    """
    if not path.is_file():
        raise AssetError(f"weights: expected a checkpoint file, got {path}, which does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise AssetError(
            f"weights: expected tensors only, got a pickle with other things in {path.name} "
            f"({reason}); files that can run code are not loaded: save the state dict"
        ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise AssetError(
            f"weights: expected a whole PyTorch checkpoint, got {path.name} ({error}); "
            "copy it again"
        ) from None
    if not isinstance(state, Mapping) or not all(map(torch.is_tensor, state.values())):
        raise AssetError(f"weights: expected a state dict of tensors, got others in {path.name}")
    return state
