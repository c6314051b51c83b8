"""From a picture to what its faces show: found, cut out, read.

Near-infrared pictures go one of two ways. Approach 2: a network that learned from
near-infrared faces. Approach 1: translated to visible light first, then read by the
network for visible light; `Inference.translate` does that, `synth.translation` makes it::

    from functools import partial
    from synth.translation import get_translator
    from synth.translation.photos import translate_faces

    inference = Inference(spectrum="nir", translate=partial(translate_faces, get_translator("vis")))

References
----------
The two approaches: T. Kalabis, "Facial expression analysis from NIR image", CTU Prague 2024.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.color import COLOURED, chroma, to_grey, to_rgb
from synth.crops import crop_by_profile
from synth.errors import SkipPhoto, UsageError
from synth.images import load_image
from synth.landmarks import DetectorOwner, select_face
from synth.recognition.face_reading import FaceReading, face_reading
from synth.recognition.reader import FaceReader, Readings
from synth.types import FaceImage, Landmarks

__all__ = ["CHOICES", "FaceReading", "Inference", "Reader", "read_image"]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
#: A grey picture (H, W), its faces and a seed -> the picture in colour (H, W, 3).
Translate = Callable[[UInt8, Sequence[Landmarks], int], UInt8]

#: What ``spectrum`` may be.
CHOICES = ("vis", "nir", "auto")


class Reader(Protocol):
    """What turns crops into numbers: a `FaceReader`, or anything alike."""

    @property
    def size(self) -> int:
        """Side of the crops it wants, pixels."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its weights."""
        ...

    def read(self, pixels: Any, points: Any = None) -> Readings:
        """See `FaceReader.read`."""
        ...


@dataclass(frozen=True)
class Inference(DetectorOwner):
    """How faces are found and read.

    Attributes
    ----------
    weights : tuple of path
        Files of `synth.models.fer.save_fer`, at most one a spectrum; for a spectrum
        without one those that come with the package.
    spectrum : {"vis", "nir", "auto"}
        Of the pictures. ``auto`` takes grey pictures for near infrared: right where
        the grey ones come from such a camera, wrong for black-and-white photos.
    translate : callable, optional
        Approach 1: near-infrared pictures are read in this translation. Without it
        Approach 2.
    landmarks : str
        Detector, see `synth.landmarks`.
    face : {"all", "largest", "error"} or int
        Which faces are read, see `synth.landmarks.select_face`.
    device : {"cpu", "cuda", "auto"}
    batch : int
        Faces that the network reads at a time.
    readers : dict of str to Reader
        Instead of networks, by spectrum; for tests and other readers.

    Raises
    ------
    UsageError
        If the spectrum is none of these.
    """

    weights: tuple[Path, ...] = ()
    spectrum: str = "vis"
    translate: Translate | None = None
    landmarks: str = "dlib"
    face: str | int = "all"
    device: str = "cpu"
    batch: int = 64
    readers: dict[str, Reader] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.spectrum not in CHOICES:
            raise UsageError(
                f"spectrum: expected one of {', '.join(CHOICES)}, got {self.spectrum!r}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh

    @cached_property
    def _given(self) -> dict[str, Reader]:
        """Readers of the weights that were named."""
        found: dict[str, Reader] = dict(self.readers)
        for path in self.weights:
            reader = FaceReader(path, None, self.device, self.batch)
            for spectrum in reader.spectra:
                if spectrum in found:
                    raise UsageError(
                        f"weights: expected one file a spectrum, got two for {spectrum}"
                    )
                found[spectrum] = reader
        return found

    @cached_property
    def _loaded(self) -> dict[str, Reader]:
        return {}

    def reader(self, spectrum: str) -> Reader:
        """What reads pictures of this spectrum, loaded when first needed."""
        seen = "vis" if self.translate is not None else spectrum
        if seen not in self._loaded:
            given = self._given.get(seen)
            self._loaded[seen] = given or FaceReader(None, seen, self.device, self.batch)
        return self._loaded[seen]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the weights by spectrum of the network."""
        return {f"fer_{seen}": reader.digest for seen, reader in sorted(self._loaded.items())}

    def preload(self) -> None:
        """Load the networks, so that what is missing is said before the first picture.

        Raises
        ------
        UsageError
            If all weights that were named are for a spectrum that will not be read.
        """
        spectra = ("vis", "nir") if self.spectrum == "auto" else (self.spectrum,)
        needed = {"vis"} if self.translate is not None else set(spectra)
        if self._given and not needed & set(self._given):
            only = next(iter(self._given))
            raise UsageError(
                f"weights: expected some for {' and '.join(sorted(needed))}, got one for {only}; "
                f"give --spectrum {only}, or other weights"
            )
        for spectrum in spectra:
            self.reader(spectrum)

    def spectrum_of(self, image: FaceImage) -> str:
        """What a picture is taken for.

        Raises
        ------
        SkipPhoto
            ``SPECTRUM`` if it has colours and near infrared was said.
        """
        if self.spectrum == "vis":
            return "vis"
        level = chroma(image.pixels)
        if level <= COLOURED:
            return "nir"
        if self.spectrum == "nir":
            raise SkipPhoto(
                "SPECTRUM",
                "photo: expected a grey picture for --spectrum nir, got a coloured one; give "
                "--spectrum vis or auto, or save it in grey",
                round(level, 2),
            )
        return "vis"

    def detect(self, image: FaceImage, photo: object = None) -> list[Landmarks]:
        """The faces that are to be read, largest first.

        Raises
        ------
        SkipPhoto
            ``NO_FACE``, ``MULTI_FACE`` or ``FACE_INDEX``.
        """
        return select_face(self.detector(photo).detect(image), self.face)

    def crops(
        self, image: FaceImage, faces: Sequence[Landmarks], spectrum: str
    ) -> tuple[list[UInt8], list[Float]]:
        """Each face as its network sees it, and its landmarks in the crop.

        Returns
        -------
        list of (S, S, 3) uint8, or (S, S) for a network of near infrared
        list of (68, 2) float64
        """
        size = self.reader(spectrum).size
        if spectrum == "nir":
            grey = to_grey(image.pixels)
            seed = int(image.sha256[:8], 16)
            lit = to_rgb(grey) if self.translate is None else self.translate(grey, faces, seed)
            image = replace(image, pixels=lit)
        cut = [crop_by_profile(image, face, "aligned", size) for face in faces]
        grey_crops = spectrum == "nir" and self.translate is None
        pixels = [to_grey(crop.pixels) if grey_crops else crop.pixels for crop, _, _ in cut]
        return pixels, [face.points for _, face, _ in cut]

    def read(
        self, pictures: Sequence[tuple[FaceImage, Sequence[Landmarks], str]]
    ) -> list[list[FaceReading]]:
        """What the faces of several pictures show; networks see them in batches.

        Parameters
        ----------
        pictures : sequence of (FaceImage, faces, spectrum)
        """
        found: list[list[FaceReading]] = [[] for _ in pictures]
        for spectrum in dict.fromkeys(spectrum for _, faces, spectrum in pictures if faces):
            at: list[tuple[int, int]] = []
            pixels: list[UInt8] = []
            points: list[Float] = []
            for number, (image, faces, own) in enumerate(pictures):
                if own == spectrum and faces:
                    cut, places = self.crops(image, faces, spectrum)
                    pixels += cut
                    points += places
                    at += [(number, face) for face in range(len(faces))]
            reader = self.reader(spectrum)
            readings = reader.read(pixels, np.array(points))
            for row, (number, face) in enumerate(at):
                image, faces, _ = pictures[number]
                one = face_reading(readings, row, image.name, face, faces[face], spectrum)
                found[number].append(replace(one, weights=reader.digest[:16]))
        return found


def read_image(
    source: str | os.PathLike[str] | bytes | ArrayLike,
    inference: Inference | None = None,
    **options: Any,
) -> list[FaceReading]:
    """What every face of a picture shows, the largest first; empty without a face.

    Parameters
    ----------
    source : path, bytes or array
        As `synth.images.load_image` takes it.
    inference : Inference, optional
        Keep one where many pictures are read: it holds the networks.
    **options
        Of `Inference`, where none is given: ``weights=(path,)``, ``spectrum="nir"`` ...

    Raises
    ------
    SkipPhoto
        If the picture cannot be decoded, or has colours and near infrared was said.
    AssetError
        If there are no weights.
    """
    given = inference or Inference(**options)
    image = load_image(source)
    spectrum = given.spectrum_of(image)
    try:
        faces = given.detect(image)
    except SkipPhoto as skip:
        if skip.reason != "NO_FACE":
            raise
        return []
    return given.read([(image, faces, spectrum)])[0]
