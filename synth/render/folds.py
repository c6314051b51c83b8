"""Folds that geometry cannot give: luminance-ratio maps tied to the expression.

A smile darkens the nasolabial fold and the corners of the mouth and lights the
cheeks; a blendshape model of a few thousand vertices shows none of it. Each
`FoldMaps` entry is a logarithmic luminance ratio in texture space (a quotient
image; Shashua & Riklin-Raviv, TPAMI 2001), to be scaled by how strongly its
action is made: expression ratio images (Liu, Shan & Zhang, SIGGRAPH 2001). The
smile map is learned from photo pairs, the others are drawn
(``docs/model_cards/folds.md``).

Maps are stored for the subject's left; the right side is the mirror image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from os import PathLike
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth import assets
from synth.errors import AssetError, ShapeError

__all__ = [
    "FoldMaps",
    "driven_strengths",
    "fold_ratio",
    "fold_strengths",
    "load_fold_maps",
    "smile_strength",
]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Strength at which a map stops growing: skin does not fold without end. Smiles
#: were seen up to 1.6.
LARGEST, LARGEST_SMILE = 1.2, 1.5
#: Limits of the summed log ratio. Above, shiny skin beside the mouth would blow out.
DARKEST, BRIGHTEST = -0.45, 0.07
#: Change of the mouth (inter-ocular distances, eye centre to eye centre) of strength 1.
SMILE_UNIT = 0.30
#: Which actions a drawn map follows, and how strongly; ``smile`` is measured instead.
DRIVERS: dict[str, tuple[tuple[str, float], ...]] = {
    "glabella": (("browDown", 1.2), ("noseSneer", 0.3)),
    "nose": (("noseSneer", 1.6),),
    "forehead": (("browInnerUp", 0.65), ("browOuterUp", 0.3)),
    "forehead_outer": (("browOuterUp", 1.0),),
    "nasolabial": (("noseSneer", 1.3), ("mouthUpperUp", 0.8)),
    "frown": (("mouthFrown", 1.0), ("mouthStretch", 0.3)),
    "chin": (("mouthShrugLower", 1.0),),
    "crows_feet": (("cheekSquint", 0.7), ("eyeSquint", 0.4)),
    "lower_lid": (("eyeSquint", 0.7), ("cheekSquint", 0.4)),
    "stretch": (("mouthStretch", 1.0),),
}


@dataclass(frozen=True, eq=False)
class FoldMaps:
    """Log ratio maps in texture space.

    Attributes
    ----------
    names : tuple of N str
        ``smile`` and keys of `DRIVERS`.
    maps : (N, M, M) float32
        Log luminance ratio at strength 1; rows follow v, columns u. For the
        subject's left side (u > 1/2), fading over the midline.
    channels : (3,) float32
        Factor of the log ratio for R, G and B: folds redden.
    boxes : (N, 4) int32
        First row, last row + 1, first column, last column + 1 where a map is not 0.
    weight : (M, M) float32
        Where a photo shows skin (1) and where something covers it (0).
    """

    names: tuple[str, ...]
    maps: Float32
    channels: Float32
    boxes: NDArray[np.int32]
    weight: Float32

    def faded(self, weight: Float32) -> FoldMaps:
        """The same maps for a photo where `weight` (M, M) says what is skin."""
        if weight.shape != self.weight.shape:
            raise ShapeError(
                f"weight: expected {self.weight.shape}, got {weight.shape}; sample it at the "
                "size of the maps"
            )
        return replace(self, weight=np.ascontiguousarray(weight, np.float32))


def load_fold_maps(file: str | PathLike[str] | None = None) -> FoldMaps:
    """The fold maps of the registry, or those of a file of ``synth.folds_build``.

    Raises
    ------
    AssetError
        If the file is absent, not the registered one, or has other arrays.
    """
    return _registered() if file is None else _read(file)


@cache
def _registered() -> FoldMaps:
    return _read(assets.path("fold_maps"))


def _read(file: str | PathLike[str]) -> FoldMaps:
    try:
        with np.load(file, allow_pickle=False) as archive:
            names = tuple(str(n) for n in archive["names"])
            maps = archive["maps"].astype(np.float32)
            channels = archive["channels"].astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise AssetError(
            f"fold maps: expected an .npz with names, maps and channels, got {str(file)!r} "
            f"({error}); build it with `python -m synth.folds_build`"
        ) from error
    unknown = set(names) - set(DRIVERS) - {"smile"}
    square = maps.ndim == 3 and maps.shape[1] == maps.shape[2] and len(maps) == len(names)
    if not square or channels.shape != (3,) or unknown:
        raise AssetError(
            f"fold maps: expected {len(names)} square maps named smile or {sorted(DRIVERS)}, got "
            f"shape {maps.shape}, names {names}, channels {channels.shape}; "
            "build them with `python -m synth.folds_build`"
        )
    boxes = np.array([_support(m) for m in maps], np.int32)
    return FoldMaps(names, maps, channels, boxes, np.ones(maps.shape[1:], np.float32))


def _support(values: Float32) -> tuple[int, int, int, int]:
    """Rows and columns where a map is not zero."""
    rows, columns = np.flatnonzero(values.any(1)), np.flatnonzero(values.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def smile_strength(neutral: Float, deformed: Float) -> Float:
    """How strongly each side of the mouth smiles: (left, right) >= 0.

    Measured on the shape, not on the weights, so that every combination of
    blendshapes that makes a smile gets its folds: widening of the mouth, rise of
    the corner over the lips and over the nose, summed in inter-ocular distances
    (eye centre to eye centre). Real mild smiles have about 1. Only a corner that
    rises counts, so a stretched or a dropped mouth gets none.

    Parameters
    ----------
    neutral, deformed : (68, 3) float64
        Landmarks of the mesh in model space, mm.
    """
    iod = float(np.linalg.norm(neutral[36:42].mean(0) - neutral[42:48].mean(0)))
    move = (deformed - neutral) / max(iod, 1e-9)
    middle = (move[51] + move[57]) / 2
    out = np.empty(2)
    for side, (corner, outwards) in enumerate(((54, 1.0), (48, -1.0))):
        wider = 2 * outwards * (move[corner, 0] - middle[0])
        over_lips = move[corner, 1] - middle[1]
        rise = move[corner, 1] - move[33, 1]
        gate = float(np.clip(rise / 0.06, 0, 1))
        out[side] = max(wider + over_lips + rise, 0.0) / SMILE_UNIT * gate * gate * (3 - 2 * gate)
    return out


def _capped(strength: Float, largest: float) -> Float:
    """Linear at first, then smoothly below `largest`."""
    s = np.maximum(strength, 0.0)
    return np.asarray(s / (1 + (s / largest) ** 6) ** (1 / 6))


def driven_strengths(weights: Float, names: Sequence[str], maps: FoldMaps) -> Float:
    """(N, 2) strength of each map by its actions alone; see `fold_strengths`."""
    return _capped(_drivers(tuple(names), maps.names) @ np.maximum(weights, 0.0), LARGEST)


def fold_strengths(
    weights: Float, names: Sequence[str], maps: FoldMaps, neutral: Float, deformed: Float
) -> Float32:
    """(N, 2) strength of each map on the subject's left and right side, >= 0 and capped.

    Parameters
    ----------
    weights : (E,) float64
        Expression weights; all zero gives zero.
    names : sequence of E str
        Blendshape names.
    maps : FoldMaps
    neutral, deformed : (68, 3) float64
        Landmarks of the mesh in model space, mm.
    """
    out = driven_strengths(weights, names, maps)
    smile = _capped(smile_strength(neutral, deformed), LARGEST_SMILE)
    for n, name in enumerate(maps.names):
        if name == "smile":
            out[n] = smile
        elif name == "nasolabial":  # the smile map holds this fold already
            out[n] *= 1 - 0.8 * np.minimum(smile, 1.0)
    return out.astype(np.float32)


@lru_cache(maxsize=8)
def _drivers(names: tuple[str, ...], maps: tuple[str, ...]) -> Float:
    """(N, 2, E) how much each weight adds to each map on the left and the right side."""
    at = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(maps), 2, len(names)))
    for n, name in enumerate(maps):
        for driver, factor in DRIVERS.get(name, ()):
            for side, suffix in enumerate(("Left", "Right")):
                index = at.get(driver + suffix, at.get(driver))
                if index is not None:
                    matrix[n, side, index] += factor
    return matrix


@njit(cache=True, nogil=True)
def _add(log_map: Any, box: Any, mirrored: Any, strength: Any, total: Any) -> None:
    """Add `strength` times a map, or its mirror image, to `total` (M, M)."""
    size = log_map.shape[1]
    for y in range(box[0], box[1]):
        if mirrored:
            for x in range(box[2], box[3]):
                total[y, size - 1 - x] += strength * log_map[y, x]
        else:
            for x in range(box[2], box[3]):
                total[y, x] += strength * log_map[y, x]


@njit(cache=True, nogil=True)
def _ratio(maps: Any, boxes: Any, strengths: Any, weight: Any, channels: Any, out: Any) -> None:
    """``out = exp(channels * weight * sum)``, limited; `out` holds ones."""
    size = maps.shape[1]
    total = np.zeros((size, size), np.float32)
    top, bottom = size, 0
    for n in range(maps.shape[0]):
        for side in range(2):
            if strengths[n, side] >= 1e-3:
                _add(maps[n], boxes[n], side == 1, strengths[n, side], total)
                top, bottom = min(top, boxes[n, 0]), max(bottom, boxes[n, 1])
    for y in range(top, bottom):
        for x in range(size):
            if total[y, x] == 0.0:
                continue
            value = min(max(total[y, x] * weight[y, x], DARKEST), BRIGHTEST)
            for c in range(3):
                v = value * channels[c]  # the series of exp to x^5: error < 1e-5
                series = 0.5 + v * (1 / 6 + v * (1 / 24 + v * (1 / 120)))
                out[y, x, c] = 1 + v * (1 + v * series)


def fold_ratio(maps: FoldMaps, strengths: Float32, gain: float = 1.0) -> Float32:
    """Ratio map of an expression, to be used as ``(photo + 10) * ratio - 10``.

    Parameters
    ----------
    maps : FoldMaps
    strengths : (N, 2) float32
        Per map on the subject's left and right side, see `fold_strengths`.
    gain : float
        Factor of all log ratios; 1 is the strength measured on real smiles.

    Returns
    -------
    (M, M, 3) float32
        1 where nothing folds.
    """
    size = maps.maps.shape[1]
    ratio = np.ones((size, size, 3), np.float32)
    if strengths.shape != (len(maps.names), 2):
        raise ShapeError(
            f"strengths: expected ({len(maps.names)}, 2), got {strengths.shape}; use fold_strengths"
        )
    scaled = (gain * strengths).astype(np.float32)
    _ratio(maps.maps, maps.boxes, scaled, maps.weight, maps.channels, ratio)
    return ratio
