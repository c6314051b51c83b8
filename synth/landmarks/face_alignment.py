"""FAN through the package ``face-alignment``: 2-D points that are aware of 3-D.

Uses ``LandmarksType.TWO_HALF_D``, the image projections of 3-D points, whose jaw
line follows the bone behind the cheek rather than the visible edge [1]_. Weights
are never downloaded silently: either they lie in PyTorch's cache already, or the
caller says ``download=True``.

References
----------
.. [1] Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D Face
   Alignment problem?", ICCV 2017.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import DependencyError
from synth.optional import require
from synth.types import FaceImage, Landmarks

__all__ = ["WEIGHTS", "FaceAlignmentDetector", "weights_folder"]

#: Files the package fetches for these points: the network and its face detector (SFD).
WEIGHTS = ("3DFAN4-*.pth.tar", "s3fd-*.pth")


def weights_folder() -> Path:
    """Where PyTorch keeps downloaded weights; found without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return home.expanduser() / "hub" / "checkpoints"


class FaceAlignmentDetector:
    """FAN with the SFD face detector.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    download : bool
        Fetch the weights (about 190 MB) when they are not at hand.
    """

    name = "face-alignment"

    def __init__(self, device: str = "cpu", download: bool = False) -> None:
        self.device = device
        self.download = download
        self._engine: Any = None

    def _load(self) -> Any:
        if self._engine is None:
            package = require("face_alignment", hint="pip install face-alignment")
            folder = weights_folder()
            missing = [pattern for pattern in WEIGHTS if not any(folder.glob(pattern))]
            if missing and not self.download:
                raise DependencyError(
                    f"face-alignment: expected its weights {', '.join(missing)} in {folder}, got "
                    "none; put them there, or let the package fetch them with download=True"
                )
            self._engine = package.FaceAlignment(
                package.LandmarksType.TWO_HALF_D, device=self.device, compile=False
            )
        return self._engine

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None}  # each worker process loads its own

    def detect(self, image: FaceImage) -> list[Landmarks]:
        """See `synth.landmarks.Detector.detect`."""
        engine = self._load()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns when there is no face
            points, scores, boxes = engine.get_landmarks_from_image(
                image.pixels, return_bboxes=True, return_landmark_score=True
            )
        if points is None or len(points) == 0:
            return []
        faces = [
            _landmarks(face, score, box, len(points), self.name)
            for face, score, box in zip(points, scores, boxes, strict=True)
        ]
        return sorted(faces, key=lambda face: -_area(face.box))


def _landmarks(
    points: NDArray[Any], scores: Any, box: NDArray[Any], count: int, name: str
) -> Landmarks:
    return Landmarks(
        points=np.asarray(points, np.float64)[:, :2],
        detector=name,
        box=np.asarray(box, np.float64)[:4],
        confidence=float(np.mean(np.asarray(scores, np.float64))),
        faces_found=count,
    )


def _area(box: NDArray[np.float64]) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
