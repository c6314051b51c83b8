"""How morphs are made, and what explains one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.crops import PROFILES, SMALLEST
from synth.errors import UsageError
from synth.morphing.align import MorphLimits

__all__ = ["MorphOptions", "MorphRecord", "Morphed"]

UInt8 = NDArray[np.uint8]

DEFAULT_SIZE = 512


@dataclass(frozen=True)
class MorphOptions:
    """How morphs are made.

    Attributes
    ----------
    landmarks : str
        Detector, see `synth.landmarks`.
    face : str or int
        Which one, where a photo shows several; not ``all``.
    crop : str
        Profile of `synth.crops.PROFILES`, placed on the neutral face for the whole set.
    size : int, optional
        Side of the crop; the profile's own when not given, or 512.
    background : {"neutral", "morph"}
        What is seen around the face: the neutral photo's surroundings, or a mixture
        of all photos', which ghosts where hair and clothes differ.
    refine : bool
        Bring fine detail together by optical flow after the landmarks.
    originals : bool
        Write neutral and the apexes too, on the neutral photo's pixels.
    identity_gate : float, optional
        Largest distance of the embeddings of an apex and the neutral photo.
    limits : MorphLimits

    Raises
    ------
    UsageError
        If an option is impossible.
    """

    landmarks: str = "dlib"
    face: str | int = "largest"
    crop: str = "raw"
    size: int | None = None
    background: str = "neutral"
    refine: bool = True
    originals: bool = False
    identity_gate: float | None = None
    limits: MorphLimits = MorphLimits()

    def __post_init__(self) -> None:
        if self.crop not in PROFILES:
            raise UsageError(f"crop: expected one of {', '.join(PROFILES)}, got {self.crop!r}")
        if self.crop == "raw" and self.size is not None:
            raise UsageError(f"size: expected a crop with it, got {self.size}; add --crop face")
        if self.crop != "raw" and self.size is None:
            object.__setattr__(self, "size", PROFILES[self.crop].size or DEFAULT_SIZE)
        if self.size is not None and self.size < SMALLEST:
            raise UsageError(f"size: expected at least {SMALLEST} pixels, got {self.size}")
        if self.background not in ("neutral", "morph"):
            raise UsageError(f"background: expected neutral or morph, got {self.background!r}")
        if self.face == "all":
            raise UsageError("face: expected one face a photo, got all; use largest")
        if self.identity_gate is not None and not self.identity_gate > 0:
            raise UsageError(f"identity-gate: expected more than 0, got {self.identity_gate:g}")


@dataclass(frozen=True)
class MorphRecord:
    """What explains one morph.

    Attributes
    ----------
    source, source_sha256 : str
        The person's neutral photo.
    subject : str
    valence, arousal : float
        Of the template.
    expression : str
        The apexes mixed, ``happiness+surprise``; ``neutral`` where there is none.
    angle, intensity : float
        Degrees and 0 to 1, on the template.
    weights : dict of str to float
        Share of each photo by expression, ``neutral`` included.
    sources : tuple of dict
        Of each photo in the mixture: ``file_name``, ``sha256``, ``expression``,
        ``intensity``, ``landmarks`` in its own pixels, ``matrix`` (2, 3) from the neutral
        photo's pixels to its own, ``residual`` of the alignment.
    """

    COLUMNS = ("file_name", "source", "subject", "valence", "arousal", "expression", "angle",
               "intensity", "weights")  # fmt: skip

    file_name: str
    source: str
    source_sha256: str
    subject: str
    valence: float
    arousal: float
    expression: str
    angle: float
    intensity: float
    weights: dict[str, float]
    target_index: int = 0
    sequence: str = ""
    faces_found: int = 1
    grey: bool = False
    sources: tuple[dict[str, Any], ...] = ()
    crop_matrix: tuple[tuple[float, ...], ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    #: Photos put together, without a generative model.
    digital_source_type: str = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeCapture"


@dataclass(frozen=True)
class Morphed:
    """A picture with its record; `image` is (H, W) where the photos are grey."""

    image: UInt8
    record: MorphRecord
    alpha: UInt8 | None = None
