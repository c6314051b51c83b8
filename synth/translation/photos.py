"""Photos of one spectrum to photos of the other: faces found, translated, recorded.

Every face of a photo is translated for itself and they are blended into one
picture. A picture that `synth` made carries its record inside; its labels pass on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.color import COLOURED, chroma, to_grey
from synth.errors import AssetError, DependencyError, SkipPhoto, UsageError
from synth.images import ImageSource, load_image, read_record
from synth.landmarks import DetectorOwner
from synth.records import Skip
from synth.seeds import sample_seed
from synth.targets import Target
from synth.translation import (
    Translator,
    TranslatorOptions,
    get_translator,
    weights_digests,
)
from synth.types import FaceImage, Landmarks, Record
from synth.versions import installed

__all__ = ["PhotoTranslator", "Translated", "TranslatedRecord"]

UInt8 = NDArray[np.uint8]
#: A face's own translation reaches this far beyond its landmarks, in eye distances.
REACH = 0.9


@dataclass(frozen=True)
class TranslatedRecord:
    """What explains one translated picture.

    Attributes
    ----------
    valence, arousal, expression : float, float, str
        Of the picture that was translated, where `synth` made it.
    subject : str
        Likewise.
    spectrum : {"nir", "vis"}
        What the picture is now.
    seed : int
    faces_found : int
    landmarks : tuple
        (68, 2) pixels of each face.
    of : dict
        The record of the picture that was translated.
    """

    COLUMNS = ("file_name", "source", "spectrum", "method", "valence", "arousal", "expression",
               "faces_found", "seed")  # fmt: skip

    file_name: str
    source: str
    source_sha256: str
    spectrum: str
    method: str
    seed: int
    valence: float | None = None
    arousal: float | None = None
    expression: str = ""
    subject: str = ""
    target_index: int = 0
    sequence: str = ""
    faces_found: int = 0
    landmarks: tuple[tuple[tuple[float, float], ...], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    of: dict[str, Any] = field(default_factory=dict)
    assets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    digital_source_type: str = Record.digital_source_type


@dataclass(frozen=True)
class Translated:
    """A translated photo.

    Attributes
    ----------
    image : (H, W) uint8 for ``nir``, (H, W, 3) for ``vis``
    record : TranslatedRecord
    alpha : (H, W) uint8 or None
        The photo's own.
    """

    image: UInt8
    record: TranslatedRecord
    alpha: UInt8 | None = None


@dataclass(frozen=True)
class PhotoTranslator(DetectorOwner):
    """Photos to the other spectrum.

    Attributes
    ----------
    to : {"nir", "vis"}
    method : {"cyclegan", "sde"}, optional
    weights : Path, optional
    options : TranslatorOptions
    landmarks : str
        Detector, see `synth.landmarks`.
    any_input : bool
        Take pictures without a face, and pictures that are in the other spectrum
        already, instead of skipping them.
    seed : int
        Of the run.

    Raises
    ------
    UsageError
        If the seed is negative; see `get_translator` for the rest.
    """

    to: str
    method: str | None = None
    weights: Path | None = None
    options: TranslatorOptions = TranslatorOptions()
    landmarks: str = "dlib"
    any_input: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UsageError(f"seed: expected 0 or more, got {self.seed}")

    @property
    def face(self) -> str:
        """One picture a photo, whatever faces it shows."""
        return "largest"

    @cached_property
    def translator(self) -> Translator:
        """Made when first needed."""
        return get_translator(self.to, self.method, self.weights, self.options)

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 by name of the weights."""
        return dict(weights_digests(self.to, self.method, self.weights))

    def preload(self) -> None:
        """Load everything, so that what is missing is said before the first photo."""
        _ = self.digests, self.translator

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh

    def translate(self, photo: ImageSource) -> Translated:
        """One photo.

        Raises
        ------
        SkipPhoto
            If it cannot be decoded, shows no face, or is in the other spectrum already.
        """
        image = load_image(photo.path, name=photo.name)
        coloured = chroma(image.pixels) > COLOURED
        if not self.any_input and coloured != (self.to == "nir"):
            raise SkipPhoto(
                "SPECTRUM",
                f"photo: expected a {'colour' if self.to == 'nir' else 'grey'} picture for --to "
                f"{self.to}, got a {'coloured' if coloured else 'grey'} one; translate it with "
                f"--to {'vis' if self.to == 'nir' else 'nir'}, or take it with --any-input",
                round(chroma(image.pixels), 2),
            )
        faces = self.detector(photo).detect(image)
        if not faces and not self.any_input:
            raise SkipPhoto(
                "NO_FACE", "face: expected a face, got none; translate it with --any-input"
            )
        seed = sample_seed(self.seed, image.sha256, 0)
        pixels = image.pixels if self.to == "nir" else to_grey(image.pixels)
        result = translate_faces(self.translator, pixels, faces, seed)
        return Translated(result, self._record(photo, image, faces, seed), image.alpha)

    def _record(
        self, photo: ImageSource, image: FaceImage, faces: Sequence[Landmarks], seed: int
    ) -> TranslatedRecord:
        of = read_record(photo.path) or {}
        return TranslatedRecord(
            file_name="",
            source=image.name,
            source_sha256=image.sha256,
            spectrum=self.to,
            method=self.translator.method,
            seed=seed,
            valence=of.get("valence"),
            arousal=of.get("arousal"),
            expression=of.get("expression") or "",
            subject=of.get("subject") or "",
            faces_found=len(faces),
            landmarks=tuple(
                tuple((round(float(x), 3), round(float(y), 3)) for x, y in face.points)
                for face in faces
            ),
            options={k: v for k, v in vars(self.options).items() if k != "device"},
            notes=image.notes,
            of=of,
            assets=self.digests,
            versions=installed(),
        )

    def run(
        self, photos: Iterable[ImageSource], targets: Iterable[Target] = ()
    ) -> Iterator[Translated | Skip]:
        """Every photo; what cannot be used becomes a `Skip`."""
        for photo in photos:
            try:
                yield self.translate(photo)
            except SkipPhoto as skip:
                yield Skip(photo.name, skip.reason, skip.value, str(skip))
            except (AssetError, DependencyError, UsageError):
                raise  # every other photo would fail alike
            except Exception as error:
                yield Skip(photo.name, "INTERNAL", None, f"{type(error).__name__}: {error}")


def translate_faces(
    translator: Translator, pixels: UInt8, faces: Sequence[Landmarks], seed: int
) -> UInt8:
    """A picture with any number of faces.

    The largest face's translation is that of the picture; around every other face its
    own is blended in, fading out `REACH` eye distances beyond its landmarks.
    """
    result = translator(pixels, faces[0].points if faces else None, seed)
    for face in faces[1:]:
        own = translator(pixels, face.points, seed)
        share = _around(face, result.shape[:2])
        share = share if result.ndim == 2 else share[..., None]
        mixed = result + share * (own.astype(np.float32) - result)
        result = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result


def _around(face: Landmarks, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(H, W) 1 on the face, falling to 0 at `REACH` around it."""
    outside = np.full(shape, 255, np.uint8)
    hull = cv2.convexHull(np.round(face.points).astype(np.int32))
    cv2.fillConvexPoly(outside, hull, 0)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    falling = np.clip(1 - distance / (REACH * face.inter_ocular), 0, 1)
    return np.asarray(falling * falling * (3 - 2 * falling), np.float32)
