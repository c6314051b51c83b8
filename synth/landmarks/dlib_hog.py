"""The default detector: dlib's HOG face detector and 68-point regression trees.

The predictor file comes with the PyPI package ``face_recognition_models`` (found,
never imported: it needs ``pkg_resources``). It was trained on iBUG 300-W, a set
for non-commercial use only [1]_; other detectors are one option away.

Measured on 61 frontal studio photos against hand-placed templates (11 points, %
of the inter-ocular distance) and as repeatability of the inner points after
downsizing to 0.8 and JPEG 85:

=================================  =====  =============  ======
runs                               error  repeatability  ms
=================================  =====  =============  ======
1, native size                     1.74   0.49           1.5
1 + mirror, face width 400 px      1.72   0.36           10
5 + mirror, face width 400 px      1.71   0.16           20
=================================  =====  =============  ======

The trees round to whole pixels and jump when the box moves a little; averaging
five boxes and their mirror images removes two thirds of that noise, and makes
the points of a mirrored photo the mirrored points.

References
----------
.. [1] Sagonas et al., "300 Faces in-the-Wild Challenge", ICCVW 2013; Kazemi &
   Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression
   Trees", CVPR 2014; King, "Max-Margin Object Detection", arXiv 1502.00046.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import DependencyError
from synth.images import resize
from synth.landmarks.mirror import mirror_points
from synth.optional import require
from synth.types import FaceImage, Landmarks

__all__ = ["DlibDetector", "predictor_path"]

Float = NDArray[np.float64]

#: Long sides tried in turn; the first that shows a face decides. HOG sees faces
#: from 80 px, so 480 finds those of a sixth of the picture, in 25 ms; 1600 those of
#: a twentieth. A picture without a face costs all of them, 0.7 s.
LONG_SIDES = (480, 700, 1000, 1600)
MAX_UPSAMPLING = 2.0
#: Detector scores: upright faces scored 1.3 to 3.5 (dark near-infrared ones from 0.44),
#: upside-down faces, which it takes for upright ones, at most 0.36.
THRESHOLD = 0.4
#: Border for a face that fills the frame, as a share of the long side.
PADDING = 0.3
#: Width of the face box on the copy that the predictor sees.
FACE_WIDTH = 400.0
CROP_MARGIN = 0.6
#: Shifts of the box in box widths: symmetric, so that mirrored input stays mirrored.
SHIFTS = ((0.0, 0.0), (0.03, 0.03), (-0.03, 0.03), (0.03, -0.03), (-0.03, -0.03))
PREDICTOR = "models/shape_predictor_68_face_landmarks.dat"


def predictor_path() -> Path:
    """The 68-point predictor file of the package ``face_recognition_models``.

    Raises
    ------
    DependencyError
        If the package or the file is missing.
    """
    spec = find_spec("face_recognition_models")
    path = Path(spec.origin or "").parent / PREDICTOR if spec else None
    if path is None or not path.is_file():
        raise DependencyError(
            "face_recognition_models: expected dlib's 68-point predictor, got none; "
            "pip install face-recognition-models"
        )
    return path


@lru_cache(maxsize=1)
def _engines() -> tuple[Any, Any]:
    """Face detector and point predictor, once per process."""
    dlib = require("dlib", hint="pip install dlib-bin")
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(predictor_path()))


class DlibDetector:
    """HOG face detector and 68-point predictor; finds faces rolled by up to 30 degrees, at least.

    Parameters
    ----------
    threshold : float
        Detector score below which a face is ignored; higher finds fewer.
    """

    name = "dlib"

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold

    def detect(self, image: FaceImage) -> list[Landmarks]:
        """See `synth.landmarks.Detector.detect`."""
        boxes, scores = find_boxes(image.pixels, self.threshold)
        order = np.argsort([-(box[2] - box[0]) * (box[3] - box[1]) for box in boxes], kind="stable")
        return [
            Landmarks(
                points=predict_points(image.pixels, boxes[i]),
                detector=self.name,
                box=boxes[i],
                confidence=scores[i],
                faces_found=len(boxes),
            )
            for i in order
        ]


def find_boxes(
    pixels: NDArray[np.uint8], threshold: float = THRESHOLD
) -> tuple[list[Float], list[float]]:
    """Face boxes (left, top, right, bottom in pixels) and their scores.

    Small copies first: most photos show their face at 480 px.
    """
    long_side = max(pixels.shape[:2])
    tried: set[int] = set()
    for wanted in LONG_SIDES:
        side = round(min(wanted, MAX_UPSAMPLING * long_side))
        if side not in tried:
            tried.add(side)
            boxes, scores = _boxes_at(pixels, side / long_side, threshold)
            if boxes:
                return boxes, scores
    # A face that fills the frame lacks the rim that HOG looks for.
    border = round(PADDING * long_side)
    padded = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="edge")
    scale = min(LONG_SIDES[0] / max(padded.shape[:2]), MAX_UPSAMPLING)
    boxes, scores = _boxes_at(padded, scale, threshold)
    return [box - border for box in boxes], scores


def _boxes_at(
    pixels: NDArray[np.uint8], scale: float, threshold: float
) -> tuple[list[Float], list[float]]:
    height, width = pixels.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    copy = pixels if size == (width, height) else resize(pixels, *size)
    found, scores, _ = _engines()[0].run(np.ascontiguousarray(copy), 0, threshold)
    factor = np.array([size[0] / width, size[1] / height] * 2)
    boxes = [
        (np.array([b.left(), b.top(), b.right(), b.bottom()]) + 0.5) / factor - 0.5 for b in found
    ]
    return boxes, [float(score) for score in scores]


def predict_points(
    pixels: NDArray[np.uint8], box: Float, shifts: Sequence[tuple[float, float]] = SHIFTS
) -> Float:
    """(68, 2) points in pixels: the mean over jittered boxes and the mirror image.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    box : (4,) float64
        Left, top, right, bottom.
    shifts : sequence of (float, float)
        Of the box, in its widths; one of them alone is five times as fast and jumps more.
    """
    crop, factor, origin = _face_copy(pixels, box)
    flipped = np.ascontiguousarray(crop[:, ::-1])
    local = (box.reshape(2, 2) - origin + 0.5) * factor - 0.5
    center = local.mean(axis=0)
    size = float(np.ptp(local, axis=0).mean())
    runs = []
    for shift in shifts:
        x, y = center + np.multiply(shift, size)
        runs.append(_run(crop, x, y, size))
        runs.append(mirror_points(_run(flipped, crop.shape[1] - 1 - x, y, size), crop.shape[1]))
    points: Float = (np.mean(runs, axis=0) + 0.5) / factor - 0.5 + origin
    return points


def _face_copy(pixels: NDArray[np.uint8], box: Float) -> tuple[NDArray[np.uint8], Float, Float]:
    """The face with a margin at `FACE_WIDTH`, its scale (x, y) and its origin in `pixels`."""
    height, width = pixels.shape[:2]
    face = max(float(box[2] - box[0]), 1.0)
    limits = np.array([width, height])
    low = np.clip(np.floor(box[:2] - CROP_MARGIN * face), 0, limits - 1).astype(int)
    high = np.clip(np.ceil(box[2:] + 1 + CROP_MARGIN * face), low + 1, limits).astype(int)
    crop = pixels[low[1] : high[1], low[0] : high[0]]
    size = np.maximum(np.rint((high - low) * FACE_WIDTH / face).astype(int), 1)
    copy = resize(np.ascontiguousarray(crop), int(size[0]), int(size[1]))
    return copy, size / (high - low), low.astype(np.float64)


def _run(pixels: NDArray[np.uint8], x: float, y: float, size: float) -> Float:
    dlib = require("dlib")
    corners = (round(v) for v in (x - size / 2, y - size / 2, x + size / 2, y + size / 2))
    parts = _engines()[1](pixels, dlib.rectangle(*corners)).parts()
    return np.array([(p.x, p.y) for p in parts], np.float64)
