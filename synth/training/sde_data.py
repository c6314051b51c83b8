"""Paired photos of a set, brought to the SDE networks' size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.color import to_grey
from synth.corpora import CorpusImage, check_pairs
from synth.errors import SkipPhoto, UsageError
from synth.images import load_image
from synth.landmarks import Detector
from synth.translation.aligned import aligned_crop
from synth.types import FaceImage

__all__ = ["AlignedPairs", "aligned_pairs"]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class AlignedPairs:
    """Aligned faces of the same moments in both spectra.

    Attributes
    ----------
    vis : (N, S, S, 3) uint8
    nir : (N, S, S) uint8
    points : (N, 68, 2) float64
        Landmarks of the picture that is to be made, in crop pixels.
    names : tuple of str
        Of the VIS photos.
    skipped : tuple of (str, str)
        Name and reason of the pairs left out.
    """

    vis: UInt8
    nir: UInt8
    points: Float
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()


def aligned_pairs(
    images: Sequence[CorpusImage], size: int, detector: Detector, to: str = "nir"
) -> AlignedPairs:
    """Every pair's faces, each aligned on its own landmarks.

    Where the detector finds no face in the NIR photo, the landmarks of the VIS photo
    stand in if both have the same size.

    Parameters
    ----------
    images : sequence of CorpusImage
        Every one with a partner.
    size : int
        Side of the crops in pixels.
    detector : Detector
    to : {"nir", "vis"}
        Whose landmarks are kept.

    Raises
    ------
    UsageError
        If an image has no partner, or no pair shows a face.
    """
    made, names, skipped = [], [], []
    for vis, nir in check_pairs(images):
        try:
            made.append(_pair(vis.path, nir.path, size, detector, to))
            names.append(vis.name)
        except SkipPhoto as error:
            skipped.append((vis.name, error.reason))
    if not made:
        raise UsageError(
            f"data: expected faces, got {len(skipped)} pairs without one "
            f"({', '.join(sorted({reason for _, reason in skipped}))}); try another --landmarks"
        )
    columns = [np.stack(column) for column in zip(*made, strict=True)]
    return AlignedPairs(columns[0], columns[1], columns[2], tuple(names), tuple(skipped))


def _pair(
    vis_file: Path, nir_file: Path, size: int, detector: Detector, to: str
) -> tuple[UInt8, UInt8, Float]:
    vis, nir = load_image(vis_file), load_image(nir_file)
    vis_points = _points(vis, detector)
    if vis_points is None:
        raise SkipPhoto("NO_FACE", f"{vis.name}: expected a face, got none")
    nir_points = _points(nir, detector)
    if nir_points is None:
        if nir.pixels.shape != vis.pixels.shape:
            raise SkipPhoto("NO_FACE", f"{nir.name}: expected a face, got none")
        nir_points = vis_points
    seen, vis_points, _ = aligned_crop(vis.pixels, vis_points, size)
    dark, nir_points, _ = aligned_crop(to_grey(nir.pixels), nir_points, size)
    return seen, dark, nir_points if to == "nir" else vis_points


def _points(image: FaceImage, detector: Detector) -> Float | None:
    found = detector.detect(image)
    return found[0].points if found else None
