"""Where the face is: iBUG-68 points behind one small protocol.

``get_detector(name)`` looks the detector up in one table; its packages load when
it is first used. `select_face` applies ``--face``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

from synth.errors import SkipPhoto, UsageError
from synth.image_files import ImageSource
from synth.types import FaceImage, Landmarks

__all__ = [
    "DETECTORS",
    "Detector",
    "DetectorOwner",
    "get_detector",
    "parse_face_policy",
    "select_face",
]

#: Name -> (module, class, what it is).
DETECTORS: dict[str, tuple[str, str, str]] = {
    "dlib": ("dlib_hog", "DlibDetector", "HOG detector and 68-point regression trees; default"),
    "face-alignment": ("face_alignment", "FaceAlignmentDetector", "FAN, 3D-aware points"),
    "mediapipe": ("mediapipe", "MediaPipeDetector", "Face Landmarker, your model file"),
    "file": ("files", "FileDetector", "your own .pts or .ljson files; file:DIR for a folder"),
}
POLICIES = ("largest", "error", "all")


class Detector(Protocol):
    """Finds faces and their 68 iBUG points."""

    @property
    def name(self) -> str:
        """Key of `DETECTORS`."""
        ...

    def detect(self, image: FaceImage) -> list[Landmarks]:
        """Faces by area of their box, largest first; empty when there is none.

        Raises
        ------
        DependencyError
            If a package or model file of the detector is missing.
        """
        ...


class DetectorOwner:
    """Mixin of what finds faces in photos: its detector, made when first needed."""

    landmarks: str

    def detector_options(self) -> dict[str, Any]:
        """Keyword arguments of the detector."""
        return {}

    @cached_property
    def _detector(self) -> Detector:
        return get_detector(self.landmarks, **self.detector_options())

    def detector(self, photo: object = None) -> Detector:
        """The landmark detector; ``file`` looks beside `photo`."""
        if self.landmarks.startswith("file") and isinstance(photo, ImageSource):
            return get_detector(self.landmarks, sources=[photo])
        return self._detector


def get_detector(
    name: str = "dlib", sources: Sequence[ImageSource] = (), **options: Any
) -> Detector:
    """The detector called `name`, with its options.

    Parameters
    ----------
    name : str
        A key of `DETECTORS`; ``"file:DIR"`` reads the points from folder DIR.
    sources : sequence of ImageSource
        The photos of the run, so that ``"file"`` finds the points beside them;
        the other detectors ignore it.
    **options
        Keyword arguments of the detector's class.

    Raises
    ------
    UsageError
        For an unknown name or option.
    """
    key, _, argument = name.partition(":")
    if key not in DETECTORS or (argument and key != "file"):
        raise UsageError(f"landmarks: expected one of {', '.join(DETECTORS)}, got {name!r}")
    if key == "file":
        options = {"sources": sources, **options}
        if argument:
            options["folder"] = argument
    module, cls, _ = DETECTORS[key]
    try:
        detector: Detector = getattr(import_module(f"synth.landmarks.{module}"), cls)(**options)
    except TypeError as error:
        raise UsageError(f"landmarks: unexpected options for {key}: {error}") from None
    return detector


def parse_face_policy(text: str | int) -> str | int:
    """``--face`` as `select_face` wants it: a word of `POLICIES` or an index from 0.

    Raises
    ------
    UsageError
        For anything else.
    """
    word = str(text).strip().lower()
    if word in POLICIES:
        return word
    if word.isdecimal():
        return int(word)
    raise UsageError(
        f"face: expected largest, error, all or an index from 0 (0 is the largest), got {text!r}"
    )


def select_face(faces: Sequence[Landmarks], policy: str | int = "largest") -> list[Landmarks]:
    """The faces that `policy` picks; each knows in ``faces_found`` how many there were.

    Parameters
    ----------
    faces : sequence of Landmarks
        Largest first, as `Detector.detect` returns them.
    policy : {"largest", "error", "all"} or int
        An integer is a position in `faces`, from 0.

    Raises
    ------
    SkipPhoto
        ``NO_FACE``; ``MULTI_FACE`` with the number of faces for ``"error"``;
        ``FACE_INDEX`` with the number of faces for an index beyond them.
    """
    policy = parse_face_policy(policy)
    count = len(faces)
    if not count:
        raise SkipPhoto("NO_FACE", "face: expected a face, got none; use an upright frontal photo")
    if policy == "error" and count > 1:
        raise SkipPhoto(
            "MULTI_FACE",
            f"face: expected one face, got {count}; crop the photo or choose with "
            "--face largest, all or INDEX",
            count,
        )
    if isinstance(policy, int) and policy >= count:
        raise SkipPhoto("FACE_INDEX", f"face: expected an index below {count}, got {policy}", count)
    if policy == "all":
        chosen = list(faces)
    else:
        chosen = [faces[policy if isinstance(policy, int) else 0]]
    return [replace(face, faces_found=count) for face in chosen]
