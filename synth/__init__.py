"""Labelled facial-affect data from neutral photos.

The public names are loaded on first use, so that ``import synth`` stays cheap
and pulls in neither torch nor OpenCV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "VA": "synth.types",
    "FaceImage": "synth.types",
    "Landmarks": "synth.types",
    "Fit": "synth.types",
    "Record": "synth.types",
    "Sample": "synth.types",
    "SynthError": "synth.errors",
    "Generator": "synth.pipeline",
    "load_image": "synth.images",
}
__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from synth.errors import SynthError as SynthError
    from synth.images import load_image as load_image
    from synth.pipeline import Generator as Generator
    from synth.types import VA as VA
    from synth.types import FaceImage as FaceImage
    from synth.types import Fit as Fit
    from synth.types import Landmarks as Landmarks
    from synth.types import Record as Record
    from synth.types import Sample as Sample


def __getattr__(name: str) -> Any:
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'synth' has no attribute {name!r}") from None
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
