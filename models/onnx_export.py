"""The light translators as ONNX files, for machines without torch.

An exported network takes ``pixels`` (N, C, H, W) float32 in [0, 1], any H and W that are
multiples of 4, and towards the visible ``tone`` (N, 3) in [0, 1]; it gives ``translated``
in [0, 1]. The metadata of the safetensors file goes along. Exporting needs torch and
onnx; running needs onnxruntime only.

``python -m synth.models.onnx_export WEIGHTS.safetensors...`` writes each beside its source.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import AssetError
from synth.image_files import write_atomic
from synth.models.light import UnitRange, light_generator
from synth.models.weights import load_weights
from synth.optional import require

__all__ = ["OPSET", "export_onnx", "largest_difference"]

OPSET = 17


def export_onnx(weights: Path, path: Path) -> None:
    """Write the generator of a safetensors file as ONNX.

    Raises
    ------
    AssetError
        If the weights are not those of a light generator.
    DependencyError
        If onnx is not installed.
    """
    onnx = require("onnx", extra="onnx")
    tensors, meta = load_weights(weights, "light")
    network = UnitRange(light_generator(tensors, meta.get("config", ""))).eval()
    names = ["pixels"] if meta["to"] == "nir" else ["pixels", "tone"]
    example = _example(meta["to"], 32, 48)
    axes = {name: {0: "n", 2: "height", 3: "width"} for name in ("pixels", "translated")}
    axes["tone"] = {0: "n"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is on its way out, and says so
        made = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            example,
            str(made),
            input_names=names,
            output_names=["translated"],
            dynamic_axes={k: v for k, v in axes.items() if k in (*names, "translated")},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(made))
    for key, value in sorted(meta.items()):
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())


def _example(to: str, height: int, width: int) -> tuple[Any, ...]:
    pixels = torch.linspace(0, 1, height * width).reshape(1, 1, height, width)
    if to == "vis":
        return pixels, torch.full((1, 3), 0.5)
    return (pixels.repeat(1, 3, 1, 1),)


def largest_difference(
    weights: Path, path: Path, pixels: NDArray[np.float32], tone: NDArray[np.float32] | None
) -> float:
    """Largest difference between the two forms of a network, grey levels of 255.

    Parameters
    ----------
    weights, path : Path
        The safetensors and the ONNX file.
    pixels : (N, C, H, W) float32
        In [0, 1].
    tone : (N, 3) float32 or None

    Raises
    ------
    DependencyError
        If onnxruntime is not installed.
    """
    runtime = require("onnxruntime", extra="onnx")
    tensors, meta = load_weights(weights, "light")
    network = UnitRange(light_generator(tensors, meta.get("config", ""))).eval()
    given = {"pixels": pixels} if tone is None else {"pixels": pixels, "tone": tone}
    with torch.no_grad():
        first = network(*(torch.from_numpy(value) for value in given.values())).numpy()
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    second = session.run(None, given)[0]
    return float(255 * np.abs(first - second).max())


def main(arguments: list[str]) -> None:
    """Export each file named."""
    if not arguments:
        raise SystemExit("usage: python -m synth.models.onnx_export WEIGHTS.safetensors...")
    for name in arguments:
        weights = Path(name)
        try:
            export_onnx(weights, weights.with_suffix(".onnx"))
        except AssetError as error:
            raise SystemExit(str(error)) from None
        sys.stdout.write(f"{weights.with_suffix('.onnx')}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
