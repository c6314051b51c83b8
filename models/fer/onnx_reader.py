"""A reader of faces in ONNX Runtime: no torch needed.

The file is one of `synth.models.onnx_export.export_onnx_fer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError, ShapeError
from synth.models.fer import KIND
from synth.models.fer.config import FERConfig
from synth.optional import require

__all__ = ["OnnxReaderNet"]

Float32 = NDArray[np.float32]
VA, PROBABILITIES = "valence_arousal", "probabilities"


class OnnxReaderNet:
    """What an exported reader says about pictures.

    Parameters
    ----------
    path : Path
        ``.onnx``.
    threads : int
        Of ONNX Runtime.

    Attributes
    ----------
    config : FERConfig
        Of the network that was exported.
    meta : mapping of str to str
        ``kind, config, task, classes`` (joined by commas), ``size, channels, spectrum,
        normalisation`` and what else was saved.

    Raises
    ------
    AssetError
        If the file is missing, damaged or no reader.
    DependencyError
        If onnxruntime is not installed.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        runtime = require("onnxruntime", extra="onnx")
        if not path.is_file():
            raise AssetError(
                f"weights: expected an ONNX file, got {path}, which does not exist; make it with "
                "python -m synth.models.onnx_export WEIGHTS.safetensors"
            )
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised
        options.intra_op_num_threads = threads
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exception classes are not public
            raise AssetError(f"weights: expected an ONNX network, got {path} ({error})") from None
        self.meta: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        if self.meta.get("kind") != KIND:
            raise AssetError(
                f"weights: expected the kind {KIND}, got {self.meta.get('kind') or 'none'} in "
                f"{path.name}; export a reader of faces"
            )
        self.config = FERConfig.loads(self.meta.get("config", ""))

    def __call__(
        self, images: Float32, points: Float32 | None = None
    ) -> tuple[Float32 | None, Float32 | None]:
        """What it says about each picture.

        Parameters
        ----------
        images : (N, channels, size, size) float32
            In [-1, 1]; (N, T, ...) for networks of video.
        points : (N, 68, 2) float32, optional
            Landmarks in pixels of `images`, where ``config.reads_points``.

        Returns
        -------
        (N, 2) float32, or None
            Valence and arousal; None without that head.
        (N, C) float32, or None
            Probabilities of the classes; None without that head.

        Raises
        ------
        ShapeError
            If pictures or landmarks are of another shape, or the latter missing or too many.
        """
        fed = {"images": np.ascontiguousarray(images, np.float32)}
        self._check(fed["images"], points)
        if points is not None:
            fed["points"] = np.ascontiguousarray(points, np.float32)
        names = [output.name for output in self._session.get_outputs()]
        said = dict(zip(names, self._session.run(names, fed), strict=True))
        return said.get(VA), said.get(PROBABILITIES)

    def _check(self, images: Float32, points: Float32 | None) -> None:
        frame = (self.config.channels, self.config.size, self.config.size)
        rank = 5 if self.config.architecture.video else 4
        if images.ndim != rank or images.shape[-3:] != frame:
            raise ShapeError(
                f"images: expected (N, {'T, ' * (rank == 5)}{', '.join(map(str, frame))}), got "
                f"{images.shape}; see synth.models.fer.pictures.to_input"
            )
        wanted = (len(images), 68, 2) if self.config.reads_points else None
        got = None if points is None else np.shape(points)
        if got != wanted:
            raise ShapeError(f"points: expected {wanted or 'none'}, got {got or 'none'}")
