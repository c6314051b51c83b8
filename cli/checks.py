"""What ``synth doctor`` looks at."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec

from synth import __version__

__all__ = ["Finding", "all_checks"]

#: Distribution, import name, what it is for, whether it is needed.
PACKAGES = (
    ("numpy", "numpy", "arrays", True),
    ("scipy", "scipy", "fitting", True),
    ("opencv-python", "cv2", "images", True),
    ("numba", "numba", "renderer", True),
    ("dlib-bin", "_dlib_pybind11", "default landmarks", True),
    ("face-recognition-models", "face_recognition_models", "default landmarks", True),
    ("menpo", "menpo", "--landmarks file", True),
    ("trimesh", "trimesh", "meshes", True),
    ("scikit-learn", "sklearn", "galleries of your own", True),
    ("scikit-image", "skimage", "a sample portrait", True),
    ("torch", "torch", "networks", True),
    ("safetensors", "safetensors", "weights of networks", True),
    ("face-alignment", "face_alignment", "--landmarks face-alignment", True),
    ("av", "av", "videos", True),
    ("pyarrow", "pyarrow", "synth augment", True),
    ("ray", "ray", "synth augment --engine ray", False),
    ("fastapi", "fastapi", "synth studio", False),
    ("uvicorn", "uvicorn", "synth studio", False),
    ("onnxruntime", "onnxruntime", "synth translate --runtime onnx", False),
    ("onnx", "onnx", "export of translators", False),
    ("tensorboard", "tensorboard", "synth train ganmut --tensorboard", False),
    ("mediapipe", "mediapipe", "--landmarks mediapipe", False),
    ("pytorch3d", "pytorch3d", "--backend pytorch3d", False),
    ("h5py", "h5py", "synth model import bfm2017", False),
    ("anny", "anny", "rebuilds the morphable model", False),
)
EXTRAS = {
    "ray": "ray",
    "fastapi": "studio",
    "uvicorn": "studio",
    "onnxruntime": "onnx",
    "onnx": "onnx",
    "tensorboard": "tensorboard",
    "mediapipe": "mediapipe",
    "pytorch3d": "pytorch3d",
    "h5py": "h5",
    "anny": "build",
}


@dataclass(frozen=True)
class Finding:
    """One line: ``state`` is ok, optional (absent, not needed) or broken."""

    state: str
    name: str
    text: str


def all_checks() -> Iterator[tuple[str, list[Finding]]]:
    """Sections of findings."""
    yield "synth", [_ok("version", __version__), _ok("python", platform.python_version())]
    yield "packages", [_package(*row) for row in PACKAGES]
    yield "devices", _devices()
    yield "data files", _assets()
    yield "weights and model files of your own", _weights()


def _ok(name: str, text: str) -> Finding:
    return Finding("ok", name, text)


def _package(distribution: str, module: str, use: str, needed: bool) -> Finding:
    if find_spec(module) is not None:
        try:
            return _ok(distribution, metadata.version(distribution))
        except metadata.PackageNotFoundError:
            return _ok(distribution, "another distribution of it")
    if needed:
        return Finding("broken", distribution, f"for {use}; pip install {distribution}")
    extra = EXTRAS[distribution]
    return Finding("optional", distribution, f'for {use}; pip install "synth-affect[{extra}]"')


def _devices() -> list[Finding]:
    found = [_ok("cpu", f"{os.cpu_count()} cores")]
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            found.append(_ok("cuda", torch.cuda.get_device_name()))
        else:
            found.append(Finding("optional", "cuda", "none seen by torch; nothing needs it"))
    return found


def _assets() -> list[Finding]:
    from synth.assets import path, registry
    from synth.errors import AssetError

    found = []
    for asset in registry():
        try:
            path(asset.name)
            found.append(_ok(asset.name, asset.licence))
        except AssetError as error:
            state = "optional" if asset.optional else "broken"
            found.append(Finding(state, asset.name, str(error)))
    return found


def _weights() -> list[Finding]:
    from synth.landmarks.face_alignment import WEIGHTS, weights_folder
    from synth.landmarks.mediapipe import MODEL_VARIABLE

    folder = weights_folder()
    missing = [pattern for pattern in WEIGHTS if not any(folder.glob(pattern))]
    fan = _ok("face-alignment", str(folder))
    if missing:
        fan = Finding("optional", "face-alignment", f"put {' and '.join(missing)} into {folder}")
    media = _ok("mediapipe", os.environ.get(MODEL_VARIABLE, ""))
    if not os.environ.get(MODEL_VARIABLE):
        text = f"set {MODEL_VARIABLE} to your face_landmarker.task"
        media = Finding("optional", "mediapipe", text)
    return [fan, media]
