"""What a generator loads, once: model, gallery, detector."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.expressions.gallery import Gallery
from synth.expressions.storage import load_gallery
from synth.landmarks import DetectorOwner
from synth.morphable.model import MorphableModel, load_model
from synth.settings import Settings
from synth.translation import Translator, TranslatorOptions, get_translator

__all__ = ["Parts"]


class Parts(Settings, DetectorOwner):
    """Settings with the parts they name, each loaded when first needed."""

    @cached_property
    def morphable(self) -> MorphableModel:
        """The 3D morphable model."""
        return load_model(self.model_path)

    @cached_property
    def expressions(self) -> Gallery:
        """The expression gallery."""
        return load_gallery(self.gallery_path)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Where the model's blendshapes stand in the gallery: matched by name."""
        names = self.expressions.names
        if missing := sorted(set(self.morphable.blendshape_names) ^ set(names)):
            raise UsageError(f"model: expected the gallery's blendshapes, got other {missing[:4]}")
        return np.array([names.index(name) for name in self.morphable.blendshape_names])

    @cached_property
    def translator(self) -> Translator:
        """From visible light to near infrared."""
        options = TranslatorOptions(device=self.torch_device)
        return get_translator("nir", None, self.nir_path, options)

    def preload(self) -> None:
        """Load every part now, so that what is missing is said before the first photo."""
        _ = self.digests, self.order, self.torch_device
        if not self.landmarks.startswith("file"):
            _ = self._detector
        if self.nir:
            _ = self.translator

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh
