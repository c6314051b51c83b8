"""The settings that decide the pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from synth import assets
from synth.acceptance import Limits
from synth.crops import PROFILES, SMALLEST
from synth.editing import editor_digests
from synth.errors import AssetError, UsageError
from synth.expressions.gallery import LOOKUPS
from synth.landmarks import DETECTORS, parse_face_policy
from synth.render.settings import RenderSettings, parse_stages
from synth.shares import parse_shares
from synth.translation import weights_digests

__all__ = ["Settings", "parse_route", "torch_device"]

DEFAULT_SIZE = 512
NIR_ORDERS = ("photo", "image")
ROUTES = ("3dmm", "ganmut")
#: Ways to put the model on a face, see `synth.fitting.photo`.
FITS = ("landmarks", "dense")


def parse_route(text: str) -> dict[str, float]:
    """Share by name of ``"3dmm:0.7,ganmut:0.3"``; a name alone has the share 1.

    Raises
    ------
    UsageError
        For an unknown or repeated name, or a share that is none.
    """
    return parse_shares(text, ROUTES, "route", "3dmm:0.7,ganmut:0.3")


def torch_device(device: str) -> str:
    """``cpu`` or ``cuda`` for ``cpu``, ``cuda`` or ``auto``; refuses one that is not there.

    Raises
    ------
    UsageError
        If ``cuda`` is asked for and torch sees none.
    """
    if device == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise UsageError("device: expected one that torch sees, got cuda; use --device cpu")
    return "cpu"


@dataclass(frozen=True)
class Settings:
    """What, together with the assets, decides the pictures.

    Attributes
    ----------
    model, gallery : path, optional
        ``.npz`` files instead of the embedded ones.
    landmarks : str
        Detector: a key of `synth.landmarks.DETECTORS`, or ``"file:DIR"``.
    fit : {"landmarks", "dense"}
        How the model is put on a face, see `synth.fitting.photo`.
    texture : path, optional
        Texture model of the dense fit instead of the embedded one.
    neutralise : bool
        Take the expression that a photo shows off first; photos are then accepted up to
        `Limits.neutralised`.
    face : {"largest", "error", "all"} or int
        What to do where a photo shows several faces.
    lookup : {"smooth", "class"}
        How a target becomes weights: see `synth.expressions.gallery`.
    composite : {"warp", "poisson"}
        See `synth.render.settings`.
    backend : {"numba", "pytorch3d", "torch"}
        See `synth.render.settings`.
    without : str
        Stages of the renderer to leave out, such as ``"mouth,folds"``; for ablations, see
        `synth.render.settings.STAGES`.
    crop : str, optional
        A profile of `synth.crops.PROFILES`: cut the face out, to `size` x `size` pixels.
    size : int, optional
        Only with `crop`; the profile's own when not given, or 512.
    nir : bool
        Near-infrared pictures instead of visible light.
    nir_order : {"photo", "image"}
        Translate the photo once and draw on that, or translate each picture.
    nir_weights : path, optional
        Of another translator than the embedded one, see `synth.translation`.
    route : str
        Ways of making pictures with their shares, such as ``"3dmm:0.7,ganmut:0.3"``; each
        picture draws its own. See `synth.routes`.
    refine : "ganmut", optional
        Go over what the model drew with the conditional network.
    editor_weights : path, optional
        Of another conditional network than the embedded one, see `synth.editing`.
    blinks, head_motion : bool
        Of the sequences; no label depends on them.
    seed : int
        Of the run; each sample gets its own from it.
    device : {"cpu", "cuda", "auto"}
        For the parts that can use one: the torch renderer, the face-alignment detector,
        the translator.
    limits : Limits
        Which photos are refused.

    Raises
    ------
    UsageError
        If a setting is not one of these.
    """

    model: str | os.PathLike[str] | None = None
    gallery: str | os.PathLike[str] | None = None
    landmarks: str = "dlib"
    fit: Literal["landmarks", "dense"] = "landmarks"
    texture: str | os.PathLike[str] | None = None
    neutralise: bool = False
    face: str | int = "largest"
    lookup: Literal["smooth", "class"] = "smooth"
    composite: Literal["warp", "poisson"] = "warp"
    backend: Literal["numba", "pytorch3d", "torch"] = "numba"
    without: str = ""
    crop: str | None = None
    size: int | None = None
    nir: bool = False
    nir_order: Literal["photo", "image"] = "photo"
    nir_weights: str | os.PathLike[str] | None = None
    route: str = "3dmm"
    refine: str | None = None
    editor_weights: str | os.PathLike[str] | None = None
    blinks: bool = False
    head_motion: bool = False
    seed: int = 0
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        object.__setattr__(self, "face", parse_face_policy(self.face))
        object.__setattr__(self, "without", ",".join(parse_stages(self.without)))
        _ = self.routes, self.render_settings  # refuses an unknown route, composite or backend
        for name, allowed in (
            ("lookup", LOOKUPS),
            ("fit", FITS),
            ("crop", (None, *PROFILES)),
            ("device", ("cpu", "cuda", "auto")),
            ("nir_order", NIR_ORDERS),
            ("refine", (None, "ganmut")),
        ):
            if (value := getattr(self, name)) not in allowed:
                words = ", ".join(word for word in allowed if word)
                raise UsageError(f"{name}: expected one of {words}, got {value!r}")
        if self.landmarks.partition(":")[0] not in DETECTORS:
            raise UsageError(
                f"landmarks: expected one of {', '.join(DETECTORS)}, got {self.landmarks!r}"
            )
        if self.texture and self.fit != "dense":
            raise UsageError(f"texture: expected --fit dense with it, got {self.texture} alone")
        if self.nir_weights and not self.nir:
            raise UsageError(f"nir-weights: expected --nir with them, got {self.nir_weights} alone")
        if self.editor_weights and not self.edits:
            raise UsageError(
                "editor-weights: expected --route ganmut or --refine ganmut with them, got "
                f"{self.editor_weights} alone"
            )
        uses_cuda = (
            self.nir or self.edits or self.backend == "torch" or self.landmarks == "face-alignment"
        )
        if self.device == "cuda" and not uses_cuda:
            raise UsageError(
                "device: expected cpu or auto, got cuda; only --nir, --backend torch and "
                "--landmarks face-alignment use it"
            )
        self._settle_size()
        if self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, got {self.seed}")

    def _settle_size(self) -> None:
        crop = None if self.crop == "raw" else self.crop  # the whole photo
        object.__setattr__(self, "crop", crop)
        if crop is None and self.size is not None:
            raise UsageError(f"size: expected a crop with it, got {self.size}; add --crop face")
        if crop and self.size is None:
            object.__setattr__(self, "size", PROFILES[crop].size or DEFAULT_SIZE)
        if self.size is not None and not SMALLEST <= self.size <= 4096:
            raise UsageError(f"size: expected {SMALLEST} to 4096 pixels, got {self.size}")

    @property
    def render_settings(self) -> RenderSettings:
        return RenderSettings(
            composite=self.composite,
            backend=self.backend,
            nir=self.nir and self.nir_order == "photo",
            neutralise=self.neutralise,
            **dict.fromkeys(parse_stages(self.without), False),
        )

    @property
    def model_path(self) -> Path:
        """The model file; the embedded one is verified."""
        return Path(self.model) if self.model else assets.path("anny_face")

    @property
    def texture_path(self) -> Path:
        """The texture model's file; the embedded one is verified."""
        return Path(self.texture) if self.texture else assets.path("texture")

    @property
    def gallery_path(self) -> Path:
        """The gallery file; the embedded one is verified."""
        return Path(self.gallery) if self.gallery else assets.path("va_gallery")

    @cached_property
    def routes(self) -> dict[str, float]:
        """Share by name of each way of making pictures."""
        return parse_route(self.route)

    @property
    def edits(self) -> bool:
        """Whether a conditional network has a part in the pictures."""
        return bool(self.refine) or "ganmut" in self.routes

    @property
    def editor_path(self) -> Path | None:
        """The editor's weights; None for the embedded ones."""
        return Path(self.editor_weights) if self.editor_weights else None

    @property
    def nir_path(self) -> Path | None:
        """The translator's weights; None for the embedded ones."""
        return Path(self.nir_weights) if self.nir_weights else None

    def detector_options(self) -> dict[str, Any]:
        """Keyword arguments of the detector."""
        return {"device": self.torch_device} if self.landmarks == "face-alignment" else {}

    @property
    def torch_device(self) -> str:
        """``cpu`` or ``cuda``; refuses a device that is not there.

        Raises
        ------
        UsageError
            If ``cuda`` is asked for and torch sees none.
        """
        return torch_device(self.device)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 by name of every data file that decides the pictures."""
        found = assets.verified("fold_maps")
        for name, own in (("anny_face", self.model), ("va_gallery", self.gallery)):
            found |= _digest(name, own)
        if self.fit == "dense":
            found |= _digest("texture", self.texture)
        if self.model:  # which dresses it, see `synth.morphable.carrier`
            found |= assets.verified("anny_face")
        if self.landmarks == "dlib":
            found |= assets.verified("dlib_68")
        if self.nir:
            found |= weights_digests("nir", None, self.nir_path)
        if self.edits:
            found |= editor_digests(self.editor_path)
        return found


def _digest(name: str, own: str | os.PathLike[str] | None) -> dict[str, str]:
    """SHA-256 by name of an own file, or of the embedded asset."""
    if own and not Path(own).is_file():
        raise AssetError(f"{own}: expected a file, got none")
    return {Path(own).name: assets.digest(Path(own))} if own else assets.verified(name)
