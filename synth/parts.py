"""What a generator loads, once: model, gallery, detector.

A model of the user's is dressed: its people on the embedded model's mesh, which alone has
what the renderer draws beside skin (`synth.morphable.carrier`). A gallery's own blendshapes
join those of the model, so that whatever follows finds them by name.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.acceptance import check_photo
from synth.errors import AssetError, SkipPhoto, UsageError
from synth.expressions.gallery import Gallery
from synth.expressions.storage import load_gallery
from synth.fitting.photo import beyond_neutral, fit_photo
from synth.landmarks import DetectorOwner
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import topology_digest
from synth.morphable.texture import TextureModel, load_texture
from synth.settings import Settings
from synth.translation import Translator, TranslatorOptions, get_translator
from synth.types import FaceImage, Fit, Landmarks

__all__ = ["Parts", "with_own"]


class Parts(Settings, DetectorOwner):
    """Settings with the parts they name, each loaded when first needed."""

    @cached_property
    def morphable(self) -> MorphableModel:
        """The 3D morphable model, on the mesh that is drawn, with the gallery's blendshapes."""
        model = load_model(self.model_path)
        if self.model:
            model = self._dressed(model)
        return with_own(model, self.expressions, str(self.gallery))

    def _dressed(self, native: MorphableModel) -> MorphableModel:
        from synth.morphable.carrier import dressed, is_dressed

        rig = embedded_model()
        return native if is_dressed(native, rig) else dressed(native, rig, native.carrier)

    @cached_property
    def expressions(self) -> Gallery:
        """The expression gallery."""
        return load_gallery(self.gallery_path)

    @cached_property
    def texture_model(self) -> TextureModel | None:
        """The texture model of the dense fit; None where landmarks are fitted.

        Raises
        ------
        MeshError
            If it belongs to another mesh than the model's.
        """
        if self.fit != "dense":
            return None
        texture = load_texture(self.texture_path)
        texture.check_topology(self.morphable.faces)
        return texture

    def fitted(self, image: FaceImage, landmarks: Landmarks) -> Fit:
        """The model on the face of a photo.

        Raises
        ------
        SkipPhoto
            If the fit fails.
        """
        return fit_photo(
            image, landmarks, self.morphable, self.texture_model, neutralise=self.neutralise
        )

    def checked(self, image: FaceImage, landmarks: Landmarks) -> None:
        """Pass silently, or say why the photo cannot be used (`synth.acceptance`).

        A face that is too far from neutral to be neutralised is told what it shows.

        Raises
        ------
        SkipPhoto
            As `check_photo`.
        """
        try:
            check_photo(image, landmarks, self.limits)
        except SkipPhoto as skip:
            if skip.reason != "NOT_NEUTRAL" or not self.neutralise:
                raise
            raise beyond_neutral(skip, image, landmarks, self.morphable) from None

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

    def refuse_styles(self, asked: bool) -> None:
        """Say before the first photo that this gallery has no person styles to draw.

        Raises
        ------
        UsageError
            If they are `asked` for and the gallery stores no samples.
        """
        if asked and self.gallery and self.expressions.samples is None:
            raise UsageError(
                f"gallery: expected one with samples to draw person styles from, got "
                f"{self.gallery} with mean faces only; ask for the mean face (augment: --mean-face)"
            )

    def preload(self) -> None:
        """Load every part now, so that what is missing is said before the first photo."""
        _ = self.digests, self.order, self.torch_device, self.texture_model
        if not self.landmarks.startswith("file"):
            _ = self._detector
        if self.nir:
            _ = self.translator

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh


def with_own(model: MorphableModel, gallery: Gallery, where: str = "gallery") -> MorphableModel:
    """The model with the gallery's own blendshapes after its own; itself if there are none.

    They are displacements in millimetres and taken as they are: a gallery is meant for the
    model that it was built with.

    Raises
    ------
    AssetError
        If they are not on the mesh of the model.
    """
    shapes = gallery.own_blendshapes
    if not len(shapes):
        return model
    if gallery.own_topology != topology_digest(model.faces) or shapes.shape[1] != model.n_vertices:
        raise AssetError(
            f"{where}: expected own blendshapes on the mesh of {model.n_vertices} vertices that "
            f"is drawn, got {shapes.shape[1]} vertices of another; build the gallery again"
        )
    return replace(
        model,
        blendshapes=np.concatenate((model.blendshapes, shapes)),
        blendshape_names=model.blendshape_names + gallery.own_names,
    )
