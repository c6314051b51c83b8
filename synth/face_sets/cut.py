"""From the rows of a set to the pixels of a `FaceSet`: decoding, finding faces, aligning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.color import to_grey
from synth.crops import PROFILES, crop_by_profile
from synth.errors import SkipPhoto, UsageError
from synth.face_sets.rows import FaceRow
from synth.images import load_image, resize
from synth.landmarks import Detector, select_face
from synth.landmarks.dlib_hog import predict_points
from synth.recognition.faces import FaceSet
from synth.records import Skip
from synth.types import FaceImage, Landmarks

__all__ = ["cut_rows"]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
#: Crops are looked at by detectors at this side at least; dlib finds no face below 80 px.
LOOK = 160
#: Box that dlib's detector would give an aligned face, as share of the side: measured on
#: photos, where points found with it are 0.4 % of the side away from those found in the photo.
BOX = (0.078, 0.089, 0.932, 0.943)


def cut_rows(
    rows: Sequence[FaceRow],
    size: int,
    channels: int,
    detector: Detector | None,
    aligned: bool,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FaceSet, list[Skip]]:
    """Every picture that can be used.

    Parameters
    ----------
    rows : sequence of FaceRow
    size : int
        Side of the crops.
    channels : {1, 3}
    detector : Detector, optional
        Finds the points; needed where pictures are not `aligned` yet. Without it their
        points are unknown.
    aligned : bool
        The pictures are crops already: they are resized as they are.
    progress : callable, optional
        Told how many of how many pictures are done.
    """
    shape = (size, size) if channels == 1 else (size, size, 3)
    pixels = np.empty((len(rows), *shape), np.uint8)
    points = np.full((len(rows), 68, 2), np.nan, np.float32)
    kept: list[int] = []
    skips: list[Skip] = []
    for number, row in enumerate(rows):
        try:
            made, found = _crop(row, size, detector, aligned)
        except SkipPhoto as error:
            skips.append(Skip(row.name, error.reason, error.value, str(error)))
        else:
            pixels[len(kept)] = to_grey(made) if channels == 1 else made
            if found is not None:
                points[len(kept)] = found
            kept.append(number)
        if progress is not None:
            progress(number + 1, len(rows))
    return _face_set([rows[i] for i in kept], pixels[: len(kept)], points[: len(kept)]), skips


def _face_set(rows: Sequence[FaceRow], pixels: UInt8, points: NDArray[np.float32]) -> FaceSet:
    names = dict.fromkeys(name for row in rows for name, _ in row.groups)
    groups = [dict(row.groups) for row in rows]
    return FaceSet(
        pixels=pixels,
        points=points,
        va=np.array([(row.valence, row.arousal) for row in rows], np.float32).reshape(-1, 2),
        label=np.array([row.label for row in rows], np.int64),
        subjects=tuple(row.subject for row in rows),
        names=tuple(row.name for row in rows),
        origin=tuple(row.origin for row in rows),
        spectrum=tuple(row.spectrum for row in rows),
        groups={name: tuple(group.get(name, "") for group in groups) for name in names},
    )


def _crop(
    row: FaceRow, size: int, detector: Detector | None, aligned: bool
) -> tuple[UInt8, Float | None]:
    source = row.source if isinstance(row.source, Path) else _bytes(row)
    image = load_image(source, name=row.name)
    if not aligned:
        if detector is None:
            raise UsageError("landmarks: expected a detector to align faces with, got none")
        face = select_face(detector.detect(image))[0]
        cropped, found, _ = crop_by_profile(image, face, "aligned", size)
        return cropped.pixels, found.points
    if image.width != image.height:
        raise SkipPhoto(
            "DECODE",
            f"{row.name}: expected a square crop, got {image.width} x {image.height} px; "
            "use --crop aligned to find the face",
        )
    pixels = image.pixels if image.width == size else resize(image.pixels, size, size)
    if detector is None:
        return pixels, None
    points = _points(image, detector)
    return pixels, (points + 0.5) * (size / image.width) - 0.5


def _bytes(row: FaceRow) -> bytes:
    if isinstance(row.source, Path):
        return row.source.read_bytes()
    try:
        return row.source()
    except OSError as error:
        raise SkipPhoto("DECODE", f"{row.name}: expected a picture, got {error}") from None


def _points(image: FaceImage, detector: Detector) -> Float:
    """Landmarks in an aligned crop, whose frame is looked at larger and with a rim.

    dlib's points need no search: where the face's box lies is known.
    """
    if detector.name == "dlib":
        return predict_points(image.pixels, np.array(BOX) * image.width - 0.5, ((0.0, 0.0),))
    factor = max(1.0, LOOK / image.width)
    side = round(factor * image.width)
    rim = side // 4
    large = np.pad(resize(image.pixels, side, side), ((rim, rim), (rim, rim), (0, 0)), mode="edge")
    faces = detector.detect(FaceImage(large, image.name, image.sha256))
    face = _nearest(faces, side, rim)
    return (face.points - rim + 0.5) * (image.width / side) - 0.5


def _nearest(faces: Sequence[Landmarks], side: int, rim: int) -> Landmarks:
    """The face whose eyes are where the profile puts them; anything else is no face of it."""
    places = np.array(PROFILES["aligned"].template[:2]) * side - 0.5 + rim
    for face in faces:
        eyes = np.array([face.points[list(p)].mean(0) for p in PROFILES["aligned"].points[:2]])
        if np.abs(eyes - places).max() < 0.15 * side:
            return face
    raise SkipPhoto(
        "NO_FACE",
        f"{faces and 'eyes' or 'face'}: expected a face cut out by the profile aligned, got "
        f"{'eyes elsewhere' if faces else 'none'}; use --crop aligned to find it",
    )
