"""The numbers of one photo and its translation, and the real faces they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.color import to_rgb
from synth.errors import SkipPhoto, UsageError
from synth.evaluation.faces import AlignedFace, align, detail, find_face, sharpness
from synth.evaluation.matching import Match, read_grey
from synth.evaluation.sheets import face_picture
from synth.evaluation.skin_tone import tone_of, typology_angle
from synth.images import load_image
from synth.landmarks import Detector
from synth.metrics import images
from synth.quality.embedder import Embedder, identity_distance
from synth.types import inter_ocular

__all__ = [
    "PER_IMAGE",
    "PictureRow",
    "RealFaces",
    "landmark_shift",
    "measure_picture",
    "real_faces",
    "summaries",
]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: Numbers of `PictureRow.scores`, and what they are.
PER_IMAGE = {
    "sharpness": "detail at 96 px between the eyes, as a multiple of the photo's",
    "identity": "distance of the face embeddings of photo and translation (same person < 0.6)",
    "landmark_shift": "mean movement of the 68 points, % of the inter-ocular distance",
    "ita": "individual typology angle of the photo's cheeks, degrees",
    "mae": "mean absolute difference from the real picture, grey levels",
    "psnr": "dB, data range 255",
    "ssim": "Wang et al. 2004",
    "lpips": "Zhang et al. 2018, AlexNet",
}


@dataclass(frozen=True, eq=False)
class PictureRow:
    """One photo and its translation.

    Attributes
    ----------
    name, person, tone : str
    face : {"kept", "lost", "none"}
        Found in both, in the photo only, or not even there.
    scores : dict of str to float
        By name of `PER_IMAGE`; what was not measured is left out.
    aligned : AlignedFace, optional
        The translated face.
    pictures : tuple of two (h, h, 3) uint8
        Photo and translation for the sheet.
    """

    name: str
    person: str
    tone: str
    face: str
    scores: dict[str, float] = field(default_factory=dict)
    aligned: AlignedFace | None = None
    pictures: tuple[UInt8, ...] = ()


@dataclass(frozen=True, eq=False)
class RealFaces:
    """The real pictures: those with a face, whose they are, and how sharp."""

    faces: list[AlignedFace]
    people: list[str]
    pictures: list[UInt8]
    detail: list[float]
    without_face: list[str]


def landmark_shift(before: Float, after: Float) -> float:
    """Mean distance of two times 68 points, % of the inter-ocular distance of the first."""
    return 100 * float(np.linalg.norm(after - before, axis=1).mean()) / inter_ocular(before)


def measure_picture(
    match: Match,
    person: str,
    detector: Detector,
    embedder: Embedder,
    real: Path | None = None,
    lpips: Any = None,
) -> tuple[PictureRow, float]:
    """The scores of one photo and its translation, and the detail of the photo's face.

    Where the face is no longer found, sharpness and identity are those at the
    photo's points.

    Parameters
    ----------
    match : Match
    person : str
    detector : Detector
    embedder : Embedder
    real : Path, optional
        Near-infrared picture of the same moment.
    lpips : synth.models.lpips.LPIPS, optional

    Raises
    ------
    UsageError
        If a picture is unreadable, the translation has colour, or they differ in size.
    """
    try:
        photo = load_image(match.photo).pixels
    except SkipPhoto as error:
        raise UsageError(f"vis: {error}") from None
    translated = read_grey(match.translated, "translated")
    if translated.shape != photo.shape[:2]:
        raise UsageError(
            f"translated: expected {match.translated.name} in the size of its photo, "
            f"{photo.shape[1]} x {photo.shape[0]}, got {translated.shape[1]} x "
            f"{translated.shape[0]}"
        )
    truth = None if real is None else read_grey(real, "nir")
    scores = {} if truth is None else _pair_scores(translated, truth, str(real), lpips)
    found = find_face(photo, detector)
    if found is None:
        return PictureRow(match.key, person, "", "none", scores), float("nan")
    before = found.points
    again = find_face(translated, detector, near=before)
    after = before if again is None else again.points
    angle = typology_angle(photo, before)
    scores |= {
        "sharpness": sharpness(translated, photo, before),
        "identity": identity_distance(
            embedder.embed(photo, before), embedder.embed(to_rgb(translated), after)
        ),
        "ita": angle,
    }
    if again is not None:
        scores["landmark_shift"] = landmark_shift(before, after)
    row = PictureRow(
        name=match.key,
        person=person,
        tone=tone_of(angle),
        face="kept" if again is not None else "lost",
        scores=scores,
        aligned=align(translated, after),
        pictures=tuple(
            face_picture(shown, before) for shown in (photo, translated, truth) if shown is not None
        ),
    )
    return row, detail(photo, before)


def _pair_scores(translated: UInt8, truth: UInt8, name: str, lpips: Any) -> dict[str, float]:
    if truth.shape != translated.shape:
        raise UsageError(
            f"nir: expected {Path(name).name} in the size of its translation, "
            f"{translated.shape[1]} x {translated.shape[0]}, got {truth.shape[1]} x "
            f"{truth.shape[0]}; are they paired?"
        )
    scores = {name: getattr(images, name)(truth, translated) for name in ("mae", "psnr", "ssim")}
    return scores | ({"lpips": lpips.distance(truth, translated)} if lpips is not None else {})


def real_faces(nir: Mapping[str, Path], people: Sequence[str], detector: Detector) -> RealFaces:
    """The faces in the pictures `nir`, by name, of as many `people`.

    Raises
    ------
    UsageError
        If a picture is unreadable or has colour.
    """
    found = RealFaces([], [], [], [], [])
    for (key, path), person in zip(nir.items(), people, strict=True):
        pixels = read_grey(path, "nir")
        face = find_face(pixels, detector)
        if face is None:
            found.without_face.append(key)
            continue
        found.faces.append(align(pixels, face.points))
        found.people.append(person)
        found.pictures.append(face_picture(pixels, face.points))
        found.detail.append(detail(pixels, face.points))
    return found


def summaries(rows: Sequence[PictureRow]) -> dict[str, dict[str, float]]:
    """By score: ``n``, ``mean``, ``median``, and the 5th and 95th percentile."""
    found = {}
    for name in PER_IMAGE:
        values = np.array([row.scores[name] for row in rows if name in row.scores])
        values = values[~np.isnan(values)]
        if len(values):
            q05, median, q95 = np.percentile(values, (5, 50, 95), method="nearest")
            found[name] = {
                "n": len(values),
                "mean": float(values.mean()),
                "median": float(np.median(values)) if np.isfinite(values).all() else float(median),
                "q05": float(q05),
                "q95": float(q95),
            }
    return found
