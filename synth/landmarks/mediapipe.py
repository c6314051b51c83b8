"""MediaPipe's Face Landmarker: 478 mesh points, of which 68 iBUG points are made.

The user gives the model file (``face_landmarker.task``), by option or in the
environment variable ``SYNTH_MEDIAPIPE_MODEL``. The mesh was not drawn for the
iBUG markup: where one of its points lies beside the mark, the mean of two
neighbours stands in. The jaw line is that of the mesh's face oval.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import DependencyError, UsageError
from synth.optional import require
from synth.types import FaceImage, Landmarks

__all__ = ["IBUG68", "MODEL_VARIABLE", "MediaPipeDetector", "to_ibug68"]

Float = NDArray[np.float64]

MODEL_VARIABLE = "SYNTH_MEDIAPIPE_MODEL"

#: Mesh indices of each iBUG point; the mean of two where none fits.
IBUG68: tuple[tuple[int, ...], ...] = (
    # jaw, subject's right ear to left ear
    *((127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,), (152,)),
    *((400,), (379,), (365,), (288, 397), (361, 288), (323,), (454,), (356,)),
    # brows
    *((70,), (63,), (105,), (66,), (107,)),
    *((336,), (296,), (334,), (293,), (300,)),
    # nose bridge and base
    *((168, 6), (197, 195), (5,), (4,)),
    *((98,), (97,), (2,), (326,), (327,)),
    # eyes
    *((33,), (160,), (158,), (133,), (153,), (144,)),
    *((362,), (385,), (387,), (263,), (373,), (380,)),
    # outer lips
    *((61,), (39, 40), (37,), (0,), (267,), (269, 270), (291,)),
    *((321, 405), (314,), (17,), (84,), (91, 181)),
    # inner lips
    *((78,), (81, 82), (13,), (311, 312), (308,), (317, 402), (14,), (87, 178)),
)


def to_ibug68(mesh: Float) -> Float:
    """The (68, 2) iBUG points of mesh points (468 or more, 2)."""
    return np.array([mesh[list(indices)].mean(axis=0) for indices in IBUG68])


class MediaPipeDetector:
    """Face Landmarker.

    Parameters
    ----------
    model_path : path, optional
        ``face_landmarker.task``; default: ``$SYNTH_MEDIAPIPE_MODEL``.
    max_faces : int
        The Landmarker stops looking after this many.
    """

    name = "mediapipe"

    def __init__(
        self, model_path: str | os.PathLike[str] | None = None, max_faces: int = 10
    ) -> None:
        given = model_path or os.environ.get(MODEL_VARIABLE)
        if not given:
            raise UsageError(
                f"landmarks: expected the model file of mediapipe, got none; set {MODEL_VARIABLE} "
                "or model_path to your face_landmarker.task"
            )
        self.model_path = Path(given).expanduser()
        self.max_faces = max_faces
        self._engine: Any = None

    def _load(self) -> Any:
        if self._engine is None:
            mediapipe = require("mediapipe")
            if not self.model_path.is_file():
                raise DependencyError(
                    f"mediapipe: expected a model file, got {self.model_path}, which does not exist"
                )
            tasks = mediapipe.tasks
            options = tasks.vision.FaceLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=str(self.model_path)),
                running_mode=tasks.vision.RunningMode.IMAGE,
                num_faces=self.max_faces,
            )
            self._engine = tasks.vision.FaceLandmarker.create_from_options(options)
        return self._engine

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None}  # each worker process loads its own

    def detect(self, image: FaceImage) -> list[Landmarks]:
        """See `synth.landmarks.Detector.detect`."""
        engine = self._load()
        mediapipe = require("mediapipe")
        pixels = np.ascontiguousarray(image.pixels)
        photo = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        found = engine.detect(photo).face_landmarks
        size = np.array([image.width, image.height])
        faces = []
        for face in found:
            # Normalised by the picture's edges, so that 0 is the edge of pixel 0.
            mesh = np.array([(p.x, p.y) for p in face], np.float64) * size - 0.5
            box = np.concatenate([mesh.min(axis=0), mesh.max(axis=0)])
            faces.append(Landmarks(to_ibug68(mesh), self.name, box, faces_found=len(found)))
        return sorted(faces, key=lambda f: -float(np.prod(f.box[2:] - f.box[:2])))
