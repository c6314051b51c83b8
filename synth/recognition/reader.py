"""A trained network as a function from crops of faces to valence, arousal and expression."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth import assets
from synth.errors import AssetError, ShapeError, UsageError
from synth.recognition.faces import SPECTRA

__all__ = ["DEFAULTS", "FaceReader", "Readings", "default_weights"]

Float32 = NDArray[np.float32]

#: Weights that come with the package, by spectrum: name in the asset registry. One network
#: reads both: readers of one spectrum alone were no better (docs/fer_results.md).
DEFAULTS = {"vis": "fer", "nir": "fer"}


@dataclass(frozen=True, eq=False)
class Readings:
    """What a reader says about N faces.

    Attributes
    ----------
    va : (N, 2) float32 or None
        Valence and arousal, each -1 to 1, not confined to the unit disc; None where the
        network has no such head.
    probabilities : (N, C) float32 or None
        Of the classes, each row of sum 1; None where the network has no such head.
    classes : tuple of str
        Names of the C columns.
    """

    va: Float32 | None
    probabilities: Float32 | None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        known = self.va if self.va is not None else self.probabilities
        return 0 if known is None else len(known)


def default_weights(spectrum: str) -> Path:
    """The weights file that comes with the package for this spectrum.

    Raises
    ------
    UsageError
        If there is no such spectrum.
    AssetError
        If there are none, or they are damaged.
    """
    if spectrum not in SPECTRA:
        raise UsageError(f"spectrum: expected vis or nir, got {spectrum!r}")
    name = DEFAULTS[spectrum]
    if name not in {asset.name for asset in assets.registry()}:
        raise AssetError(
            f"weights: expected a reader for --spectrum {spectrum} in the package, got none; "
            "train one with `synth train fer` and give --weights FILE"
        )
    return assets.path(name)


class FaceReader:
    """Reads faces that were cut out by the profile ``aligned`` of `synth.crops`.

    Parameters
    ----------
    weights : path, optional
        A file of `synth.models.fer.save_fer`; the one that comes with the package for
        the spectrum when not given.
    spectrum : {"vis", "nir"}, optional
        What the pictures were taken in; weights of the other one are refused. None: what
        the weights are for.
    device : {"cpu", "cuda", "auto"}
    batch : int
        Faces at a time; decides the speed and the memory, not the numbers.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or no reader of this spectrum.
    UsageError
        If the spectrum or the device does not exist, or `batch` is below 1.
    """

    def __init__(
        self,
        weights: str | os.PathLike[str] | None = None,
        spectrum: str | None = "vis",
        device: str = "cpu",
        batch: int = 64,
    ) -> None:
        from synth.models.fer import load_fer

        if batch < 1:
            raise UsageError(f"batch: expected at least 1, got {batch}")
        self.batch = batch
        self.device = _device(device)
        self.path = default_weights(spectrum or "vis") if weights is None else Path(weights)
        network, self.meta = load_fer(self.path, spectrum=spectrum)
        self.spectrum = self.meta["spectrum"]
        self.network = network.to(self.device)
        self.config = network.config

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty without a class head."""
        return tuple(self.config.classes)

    @property
    def spectra(self) -> tuple[str, ...]:
        """What it reads: ``vis``, ``nir`` or both of them."""
        return SPECTRA if self.spectrum == "both" else (self.spectrum,)

    @property
    def size(self) -> int:
        """Side of the crops that the network wants, pixels; others are resized."""
        return int(self.config.size)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the weights file."""
        return assets.digest(self.path)

    def read(
        self,
        pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
        points: ArrayLike | None = None,
    ) -> Readings:
        """What the faces show.

        Parameters
        ----------
        pixels : (N, S, S) or (N, S, S, 3) uint8, or a sequence of such squares
            Of any side.
        points : (N, 68, 2) float, optional
            Landmarks in pixels of the crops; only networks with a landmark stream read them.

        Raises
        ------
        ShapeError
            If the pictures are no squares, or the points do not belong to them.
        UsageError
            If the network reads landmarks and some are missing.
        """
        import torch

        given = self._points(pixels, points)
        va, probabilities = [], []
        for start in range(0, len(pixels), self.batch):
            part = slice(start, start + self.batch)
            with torch.inference_mode():
                output = self._forward(pixels[part], None if given is None else given[part])
                if output.va is not None:
                    va.append(_rows(output.va))
                if output.logits is not None:
                    logits = output.logits.float().softmax(-1)
                    probabilities.append(_rows(logits))
        return Readings(
            _joined(va, 2) if self.config.va else None,
            _joined(probabilities, len(self.classes)) if self.classes else None,
            self.classes,
        )

    def _points(self, pixels: Any, points: ArrayLike | None) -> Float32 | None:
        """Landmarks in pixels of the network's input, where it reads any."""
        if not self.config.reads_points:
            return None
        from synth.models.fer.pictures import scale_points

        if points is None:
            raise UsageError(
                f"points: expected landmarks for a network of {self.config.arch}, got none"
            )
        found = np.asarray(points, np.float32)
        if found.shape != (len(pixels), 68, 2):
            raise ShapeError(f"points: expected ({len(pixels)}, 68, 2), got {found.shape}")
        if not np.isfinite(found).all():
            raise UsageError("points: expected finite landmarks for every face, got NaN")
        scaled = [
            scale_points(one, side.shape[0], self.config)
            for one, side in zip(found, pixels, strict=True)
        ]
        return np.asarray(scaled, np.float32).reshape(found.shape)

    def _forward(self, pixels: Any, points: Float32 | None) -> Any:
        import torch

        from synth.models.fer.pictures import to_input

        pictures = to_input(pixels, self.config).to(self.device)
        if self.config.architecture.video:  # each picture as a video of one frame
            return self.network(pictures[:, None])
        if points is None:
            return self.network(pictures)
        return self.network(pictures, points=torch.from_numpy(points).to(self.device))


def _rows(values: Any) -> Float32:
    """(N, K) float32 of a tensor, the frames of videos of one frame taken out."""
    rows: Float32 = values.float().cpu().numpy()
    return rows.reshape(len(rows), rows.shape[-1])


def _joined(parts: list[Float32], columns: int) -> Float32:
    return np.concatenate(parts) if parts else np.empty((0, columns), np.float32)


def _device(device: str) -> str:
    """``cpu`` or ``cuda``; as `synth.settings.torch_device`, of the same layer, has it."""
    import torch

    if device not in ("cpu", "cuda", "auto"):
        raise UsageError(f"device: expected cpu, cuda or auto, got {device!r}")
    if device != "cpu" and torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise UsageError("device: expected one that torch sees, got cuda; use --device cpu")
    return "cpu"
