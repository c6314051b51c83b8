"""Aligned faces for `synth.training.light`: found, cut out, masked, drawn at random.

People are drawn evenly, so that nobody's hundred frames outweigh another's ten; dark
skin is drawn more often, since few sets have much of it. The visible people also show
expressions that `synth` itself renders from their neutral photos: open mouths, teeth
and closed eyes must survive the translation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.errors import UsageError
from synth.expressions.action_units import parse_actions
from synth.images import find_images, load_image
from synth.landmarks import get_detector
from synth.pipeline import Generator
from synth.records import Skip
from synth.targets import Target
from synth.translation.light_frame import crop_matrix
from synth.types import FaceImage, inter_ocular

__all__ = ["FaceSet", "Views", "face_mask", "find_faces", "generated_faces", "person_of"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

#: Side of a stored face, pixels; the network's own crop with a rim to move it in.
STORED = 192
#: What is rendered from every neutral photo: expressions, and by action units closed
#: eyes, a laugh and an open mouth.
RENDERED = ("happiness", "surprise", "anger", "sadness", "disgust")
ACTIONS = ("43:1", "12:0.8,6:0.6,25:0.5,26:0.5", "1:0.7,2:0.7,5:0.6,26:0.7,25:0.8")
#: Softness of the mask's edge, pixels, and how far the forehead reaches above the brows.
SOFT, FOREHEAD = 5.0, 0.42
#: Faces whose mean level is below the first are drawn up to 1 + `MORE` times as often.
DARK_LEVELS, MORE = (130.0, 90.0), 1.5


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Aligned faces of one spectrum.

    Attributes
    ----------
    pixels : (N, 192, 192[, 3]) uint8
    masks : (N, 192, 192) float32
        1 on the face, softly 0 outside.
    people : tuple of N str
    rendered : (N,) bool
    """

    pixels: UInt8
    masks: Float32
    people: tuple[str, ...]
    rendered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.people)


def person_of(name: str) -> str:
    """Whose picture a file is: the stem's first word."""
    return re.split(r"[-_.\s]", Path(name).stem, maxsplit=1)[0]


def find_faces(
    inputs: Sequence[str], colour: bool, without: Iterable[str] = ()
) -> tuple[FaceSet, list[FaceImage]]:
    """The faces of photos, and the photos.

    Parameters
    ----------
    inputs : sequence of str
        Folders, files, globs or ``.txt`` lists.
    colour : bool
        Keep the colours.
    without : iterable of str
        People, or stems of files, that are left out.

    Raises
    ------
    UsageError
        If nothing is left.
    """
    left_out, detector = set(without), get_detector()
    photos, rows = [], []
    for source in find_images(list(inputs)):
        stem = Path(source.name).stem
        if stem in left_out or person_of(stem) in left_out:
            continue
        photo = load_image(source.path, name=source.name)
        if faces := detector.detect(photo):
            photos.append(photo)
            rows.append((photo.pixels, faces[0].points, person_of(stem), False))
    if not rows:
        raise UsageError(f"input: expected photos with faces, got none in {list(inputs)}")
    return _face_set(rows, colour), photos


def generated_faces(photos: Iterable[FaceImage]) -> FaceSet | None:
    """Expressions rendered from those photos that are neutral; None without any."""
    targets = [Target(EXPRESSIONS[name], i, expression=name) for i, name in enumerate(RENDERED)]
    for text in ACTIONS:
        targets.append(Target(index=len(targets), actions=parse_actions(text)))
    rows = []
    for sample in Generator(crop="face", size=512).run(photos, targets):
        if not isinstance(sample, Skip):
            points = np.array(sample.record.landmarks, np.float64)
            rows.append((sample.image, points, person_of(sample.record.source), True))
    return _face_set(rows, True) if rows else None


def _face_set(rows: Sequence[tuple[UInt8, Float, str, bool]], colour: bool) -> FaceSet:
    cut = [_stored(pixels, points) for pixels, points, _, _ in rows]
    pixels = np.stack([p if colour else p[..., 1] for p, _ in cut])
    masks = np.stack([face_mask(points, STORED) for _, points in cut])
    people = tuple(row[2] for row in rows)
    return FaceSet(pixels, masks, people, np.array([row[3] for row in rows]))


def joined(first: FaceSet, second: FaceSet | None) -> FaceSet:
    """Both sets in one."""
    if second is None:
        return first
    return FaceSet(
        np.concatenate([first.pixels, second.pixels]),
        np.concatenate([first.masks, second.masks]),
        first.people + second.people,
        np.concatenate([first.rendered, second.rendered]),
    )


def _stored(pixels: UInt8, points: Float) -> tuple[UInt8, Float]:
    """(192, 192, 3) the aligned face, and its points."""
    matrix = crop_matrix(points)
    matrix[:, 2] += (STORED - 160) / 2
    scale = float(np.hypot(*matrix[0, :2]))
    if scale < 1:  # blur to the new Nyquist before sampling
        pixels = cv2.GaussianBlur(pixels, (0, 0), max(0.05, 0.45 * (1 / scale**2 - 1) ** 0.5))
    crop = cv2.warpAffine(
        pixels, matrix, (STORED, STORED), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop), points @ matrix[:, :2].T + matrix[:, 2]


def face_mask(points: Float, size: int) -> Float32:
    """(size, size) the hull of the points with the forehead, softly falling to 0."""
    up = points[27] - points[8]
    forehead = points[17:27] + up / np.linalg.norm(up) * FOREHEAD * inter_ocular(points)
    hull = np.vstack([points, forehead])
    hull = hull.mean(0) + 0.97 * (hull - hull.mean(0))
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(hull).astype(np.int32)), 255)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), SOFT))


class Views:
    """Random views of a set: who, which picture, from where, in which light.

    Parameters
    ----------
    faces : FaceSet
    size : int
        Side of a view, at most 192 pixels.
    light : float
        How far exposure and contrast vary; 1 as for photos whose light is unknown.
    real : float
        Share of photos, where a person has photos and rendered pictures.
    """

    def __init__(self, faces: FaceSet, size: int, light: float = 1.0, real: float = 0.45) -> None:
        self.faces, self.size, self.light, self.real = faces, size, light, real
        people = np.array(faces.people)
        self._of = [np.flatnonzero(people == name) for name in sorted(set(faces.people))]
        levels = np.array([self._level(rows) for rows in self._of])
        dark = np.clip((DARK_LEVELS[0] - levels) / (DARK_LEVELS[0] - DARK_LEVELS[1]), 0, 1)
        weights = 1 + MORE * dark * (faces.pixels.ndim == 4)
        self._share = weights / weights.sum()

    def _level(self, rows: NDArray[np.int64]) -> float:
        masks = self.faces.masks[rows]
        grey = self.faces.pixels[rows].reshape(*masks.shape, -1).mean(-1)
        return float((grey * masks).sum() / masks.sum())

    def draw(self, rng: np.random.Generator) -> tuple[Float32, Float32]:
        """(C, size, size) in [-1, 1] and its mask (1, size, size)."""
        rows = self._of[rng.choice(len(self._of), p=self._share)]
        photos = rows[~self.faces.rendered[rows]]
        if 0 < len(photos) < len(rows) and rng.random() < self.real:
            rows = photos
        row = rng.choice(rows)
        pixels, mask = self.faces.pixels[row], self.faces.masks[row]
        if rng.random() < 0.5:
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
        matrix = self._place(rng)
        size = (self.size, self.size)
        view = cv2.warpAffine(
            np.ascontiguousarray(pixels), matrix, size, borderMode=cv2.BORDER_REFLECT
        )
        light = self._lit(view.astype(np.float32) / 255, rng)
        seen = cv2.warpAffine(np.ascontiguousarray(mask), matrix, size)
        channels = np.moveaxis(light.reshape(*size, -1), 2, 0)
        return np.ascontiguousarray(2 * channels - 1), np.asarray(seen[None], np.float32)

    def _place(self, rng: np.random.Generator) -> Float:
        middle = (STORED - 1) / 2
        turn, scale = rng.uniform(-6, 6), rng.uniform(0.92, 1.08)
        matrix = cv2.getRotationMatrix2D((middle, middle), turn, scale)
        matrix[:, 2] += rng.uniform(-10, 10, 2) - (STORED - self.size) / 2
        return np.asarray(matrix, np.float64)

    def _lit(self, view: Float32, rng: np.random.Generator) -> Float32:
        """Another gamma and exposure, and for colours another white."""
        power = np.exp(rng.normal(0, 0.05 + 0.1 * self.light))
        gain = np.exp(rng.normal(0, 0.1 * self.light))
        if view.ndim == 3:
            gain = gain * np.exp(rng.normal(0, 0.04, 3))
        return np.asarray(np.clip(np.clip(view, 0, 1) ** power * gain, 0, 1), np.float32)
