"""Many faces, cut out alike, with what is known of each: what readers learn and are tested on."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.affect import CLASSES, UNLABELLED
from synth.errors import AssetError, ShapeError, UsageError
from synth.image_files import write_atomic

__all__ = ["CLASSES", "ORIGINS", "SPECTRA", "UNLABELLED", "FaceSet", "joined"]

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

ORIGINS = ("synthetic", "real")
SPECTRA = ("vis", "nir")
#: Fields with a text per face.
_TEXTS = ("subjects", "names", "origin", "spectrum")


@dataclass(frozen=True, eq=False)
class FaceSet:
    """N faces as `synth.crops` profile ``aligned`` shows them, and their labels.

    Attributes
    ----------
    pixels : (N, S, S) or (N, S, S, 3) uint8
        Grey, or sRGB.
    points : (N, 68, 2) float32
        iBUG landmarks in pixels of the crop; NaN where unknown.
    va : (N, 2) float32
        Valence and arousal, each -1 to 1; NaN where there is no such label.
    label : (N,) int64
        Position in `CLASSES`; `UNLABELLED` where there is no such label.
    subjects : tuple of str
        Person in each picture; empty where unknown.
    names : tuple of str
        File names; all different.
    origin : tuple of {"synthetic", "real"}
    spectrum : tuple of {"vis", "nir"}
    groups : dict of str to tuple of str
        Such as ``age``, ``gender``: a word per face, empty where unknown.

    Raises
    ------
    ShapeError
        If an array or tuple has not the shape or type above.
    UsageError
        If a word is none of those above, or two faces have one name.
    """

    pixels: UInt8
    points: Float32
    va: Float32
    label: Int64
    subjects: tuple[str, ...]
    names: tuple[str, ...]
    origin: tuple[str, ...]
    spectrum: tuple[str, ...]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_pixels(self.pixels)
        count = len(self.pixels)
        shapes = {"points": (count, 68, 2), "va": (count, 2), "label": (count,)}
        for name, dtype in (("points", np.float32), ("va", np.float32), ("label", np.int64)):
            values = np.asarray(getattr(self, name))
            if values.shape != shapes[name]:
                raise ShapeError(f"{name}: expected {shapes[name]}, got {values.shape}")
            object.__setattr__(self, name, values.astype(dtype, copy=False))
        for name in _TEXTS:
            object.__setattr__(self, name, tuple(map(str, getattr(self, name))))
        object.__setattr__(self, "groups", {k: tuple(v) for k, v in self.groups.items()})
        for name, words in {**{n: getattr(self, n) for n in _TEXTS}, **self.groups}.items():
            if len(words) != count:
                raise ShapeError(f"{name}: expected {count} texts, got {len(words)}")
        _check_words("origin", self.origin, ORIGINS)
        _check_words("spectrum", self.spectrum, SPECTRA)
        known = (self.label == UNLABELLED) | ((self.label >= 0) & (self.label < len(CLASSES)))
        if not known.all():
            raise UsageError(
                f"label: expected 0 to {len(CLASSES) - 1} or {UNLABELLED}, got "
                f"{int(self.label[~known][0])}"
            )
        if len(set(self.names)) < count:
            twice = Counter(self.names).most_common(1)[0][0]
            raise UsageError(f"names: expected different ones, got {twice!r} twice")

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> int:
        """Side of the crops, pixels."""
        return int(self.pixels.shape[1])

    def take(self, index: ArrayLike) -> FaceSet:
        """The faces at these positions, in their order; or those where a mask is true."""
        at = np.asarray(index)
        at = np.flatnonzero(at) if at.dtype == bool else at.astype(np.int64)

        def pick(words: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(words[i] for i in at)

        return FaceSet(
            self.pixels[at],
            self.points[at],
            self.va[at],
            self.label[at],
            pick(self.subjects),
            pick(self.names),
            pick(self.origin),
            pick(self.spectrum),
            {name: pick(words) for name, words in self.groups.items()},
        )

    def joined(self, *others: FaceSet) -> FaceSet:
        """These faces and those of the others; see `joined`."""
        return joined(self, *others)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything as ``.npz``, whole or not at all; its folder exists."""
        words: dict[str, Any] = {name: getattr(self, name) for name in _TEXTS}
        words["groups"] = self.groups
        data = io.BytesIO()
        np.savez(
            data,
            pixels=self.pixels,
            points=self.points,
            va=self.va,
            label=self.label,
            words=np.frombuffer(json.dumps(words).encode(), np.uint8),
        )
        write_atomic(Path(path), data.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FaceSet:
        """The faces of a file written by `save`.

        Raises
        ------
        AssetError
            If it is missing, damaged or not such a file.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                words = json.loads(file["words"].tobytes())
                arrays = {name: file[name] for name in ("pixels", "points", "va", "label")}
            return cls(**arrays, **words)
        except (OSError, ValueError, KeyError, TypeError, EOFError, UsageError) as error:
            raise AssetError(
                f"faces: expected a file written by FaceSet.save, got {os.fspath(path)} ({error})"
            ) from None


def joined(*sets: FaceSet) -> FaceSet:
    """All faces of several sets, in their order.

    A group that one of them does not know is empty for its faces.

    Raises
    ------
    ShapeError
        If there is no set, or their crops differ in size or colour.
    UsageError
        If two faces have one name.
    """
    shapes = {one.pixels.shape[1:] for one in sets}
    if len(shapes) != 1:
        raise ShapeError(f"faces: expected sets with crops of one shape, got {sorted(shapes)}")
    groups = {
        name: tuple(word for one in sets for word in one.groups.get(name, ("",) * len(one)))
        for name in dict.fromkeys(name for one in sets for name in one.groups)
    }
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in sets])
        for name in ("pixels", "points", "va", "label")
    }
    words: dict[str, Any] = {
        name: tuple(w for one in sets for w in getattr(one, name)) for name in _TEXTS
    }
    return FaceSet(**arrays, **words, groups=groups)


def _check_pixels(pixels: UInt8) -> None:
    shape = pixels.shape
    square = len(shape) in (3, 4) and shape[1] == shape[2] and shape[3:] in ((), (3,))
    if pixels.dtype != np.uint8 or not square:
        raise ShapeError(
            f"pixels: expected (N, S, S) or (N, S, S, 3) uint8, got {shape} {pixels.dtype}"
        )


def _check_words(name: str, words: Sequence[str], allowed: tuple[str, ...]) -> None:
    if unknown := sorted(set(words) - set(allowed)):
        raise UsageError(f"{name}: expected {' or '.join(allowed)}, got {unknown[0]!r}")
