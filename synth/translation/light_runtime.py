"""The light networks behind one call: in torch, or in ONNX Runtime without torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError
from synth.optional import require

__all__ = ["Network", "load_network"]

Float32 = NDArray[np.float32]
#: From (1, C, h, w) float32 in [0, 1], and towards the visible a tone (1, 3), to the like.
Network = Callable[..., Float32]
#: Skin, in [0, 1], where the weights do not say.
TONE = [0.6, 0.5, 0.45]


def load_network(path: Path, to: str, runtime: str, device: str) -> tuple[Network, Float32, Path]:
    """The network of a weights file, its own tone of the skin (3,), and the file that is run.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or of another network or direction.
    DependencyError
        If the runtime is not installed.
    """
    if runtime == "onnx":
        path = path.with_suffix(".onnx")
        network, meta = _onnx_network(path)
    else:
        network, meta = _torch_network(path, device)
    if meta.get("to") != to:
        raise AssetError(
            f"weights: expected a translator to {to}, got one to {meta.get('to') or 'nothing'} in "
            f"{path.name}; give --to {meta.get('to') or 'nir'} or other weights"
        )
    tone = np.array(json.loads(meta.get("tone", json.dumps(TONE))), np.float32)
    return network, tone, path


def _torch_network(path: Path, device: str) -> tuple[Network, Mapping[str, str]]:
    import torch

    from synth.models.light import UnitRange, light_generator
    from synth.models.weights import load_weights

    tensors, meta = load_weights(path, "light")
    network = UnitRange(light_generator(tensors, meta.get("config", ""))).to(device).eval()

    def run(*given: Float32) -> Float32:
        with torch.inference_mode():
            placed = [torch.from_numpy(np.ascontiguousarray(g)).to(device) for g in given]
            return np.asarray(network(*placed).cpu().numpy(), np.float32)

    return run, meta


def _onnx_network(path: Path) -> tuple[Network, Mapping[str, str]]:
    runtime = require("onnxruntime", extra="onnx")
    if not path.is_file():
        raise AssetError(
            f"weights: expected {path.name} beside the weights, got none; make it with "
            "python -m synth.models.onnx_export WEIGHTS.safetensors"
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exception classes are not public
        raise AssetError(f"weights: expected an ONNX network, got {path} ({error})") from None
    names = [entry.name for entry in session.get_inputs()]

    def run(*given: Float32) -> Float32:
        fed = {n: np.ascontiguousarray(g) for n, g in zip(names, given, strict=True)}
        return np.asarray(session.run(None, fed)[0], np.float32)

    return run, session.get_modelmeta().custom_metadata_map
