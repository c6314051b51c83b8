"""Translators and readers of faces as ONNX files, for machines without torch.

An exported translator takes ``pixels`` (N, C, H, W) float32 in [0, 1], any H and W that are
multiples of 4, and towards the visible ``tone`` (N, 3) in [0, 1]; it gives ``translated``
in [0, 1]. The metadata of the safetensors file goes along.

An exported reader takes ``images`` as `synth.models.fer.config.FERConfig` says, and
``points`` (N, 68, 2) where it reads landmarks; it gives ``valence_arousal`` (N, 2) and
``probabilities`` (N, C), those of the two that it has heads for. Networks of video take
(N, T, ...) and answer for every frame. `synth.models.fer.onnx_reader` runs it.

Exporting needs torch and onnx; running needs onnxruntime only.

``python -m synth.models.onnx_export WEIGHTS.safetensors...`` writes each beside its source.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.image_files import write_atomic
from synth.models.fer import KIND, FERConfig, fer_metadata, load_fer
from synth.models.light import UnitRange, light_generator
from synth.models.weights import load_weights
from synth.optional import require

__all__ = ["OPSET", "export_onnx", "export_onnx_fer", "largest_difference"]

OPSET = 17
Axes = dict[str, dict[int, str]]


def export_onnx(weights: Path, path: Path) -> None:
    """Write the generator of a safetensors file as ONNX.

    Raises
    ------
    AssetError
        If the weights are not those of a light generator.
    DependencyError
        If onnx is not installed.
    """
    tensors, meta = load_weights(weights, "light")
    network = UnitRange(light_generator(tensors, meta.get("config", ""))).eval()
    names = ["pixels"] if meta["to"] == "nir" else ["pixels", "tone"]
    axes = {name: {0: "n", 2: "height", 3: "width"} for name in ("pixels", "translated")}
    if "tone" in names:
        axes["tone"] = {0: "n"}
    _export(path, network, _example(meta["to"], 32, 48), names, ["translated"], axes, meta)


def export_onnx_fer(network: Any, path: Path, spectrum: str = "vis", **meta: str) -> None:
    """Write a reader of faces as ONNX.

    Parameters
    ----------
    network : Module
        From `synth.models.fer.build` or `load_fer`; on the CPU. Exported in evaluation
        mode, left in the mode that it was in.
    path : Path
        Its folder exists.
    spectrum : {"vis", "nir", "both"}
        What its pictures were taken in.
    **meta : str
        More metadata; what `save_fer` writes is there anyway.

    Raises
    ------
    UsageError
        If the spectrum is unknown, or `meta` would overwrite what is kept anyway.
    DependencyError
        If onnx is not installed.
    """
    config: FERConfig = network.config
    kept = {"kind": KIND, **fer_metadata(config, spectrum, meta)}
    lead = (2, 3) if config.architecture.video else (2,)
    images = torch.linspace(-1, 1, int(np.prod(lead)) * config.channels * config.size**2)
    example = [images.reshape(*lead, config.channels, config.size, config.size)]
    names = ["images"]
    if config.reads_points:
        example.append(torch.linspace(0, config.size - 1, 2 * 68 * 2).reshape(2, 68, 2))
        names.append("points")
    outputs = ["valence_arousal"] * config.va + ["probabilities"] * bool(config.classes)
    free = {0: "n", 1: "frames"} if config.architecture.video else {0: "n"}
    axes = {name: dict(free) for name in (*names, *outputs)}
    training = network.training
    try:
        _export(path, _Answers(network).eval(), tuple(example), names, outputs, axes, kept)
    finally:
        network.train(training)


class _Answers(torch.nn.Module):
    """A reader that gives a tuple: valence and arousal, probabilities."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Any) -> tuple[Any, ...]:
        answer = self.network(*given)
        probabilities = None if answer.logits is None else answer.logits.softmax(-1)
        return tuple(x for x in (answer.va, probabilities) if x is not None)


def _export(
    path: Path,
    network: torch.nn.Module,
    example: tuple[Any, ...],
    inputs: list[str],
    outputs: list[str],
    axes: Axes,
    meta: Mapping[str, str],
) -> None:
    """Write a network with its metadata, whole or not at all."""
    onnx = require("onnx", extra="onnx")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is on its way out, and says so
        made = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            example,
            str(made),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
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
            _export_file(weights, weights.with_suffix(".onnx"))
        except SynthError as error:
            raise SystemExit(str(error)) from None
        sys.stdout.write(f"{weights.with_suffix('.onnx')}\n")


def _export_file(weights: Path, path: Path) -> None:
    if load_weights(weights)[1].get("kind") != KIND:
        return export_onnx(weights, path)
    network, meta = load_fer(weights)
    spectrum = meta.pop("spectrum")
    more = {k: v for k, v in meta.items() if k not in fer_metadata(network.config, "vis", {})}
    more.pop("kind")
    export_onnx_fer(network, path, spectrum, **more)


if __name__ == "__main__":
    main(sys.argv[1:])
