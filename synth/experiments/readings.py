"""What readers said about the faces of a test: kept, gathered, and made up."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from synth.image_files import write_atomic
from synth.recognition.faces import CLASSES, FaceSet
from synth.recognition.reader import Readings

__all__ = ["constant_readings", "gathered", "load_readings", "save_readings"]


def save_readings(path: Path, readings: Readings) -> None:
    """Write readings as ``.npz``."""
    data = io.BytesIO()
    columns = {"va": readings.va, "probabilities": readings.probabilities}
    arrays: dict[str, Any] = {key: value for key, value in columns.items() if value is not None}
    np.savez(data, classes=np.array(readings.classes, str), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data.getvalue())


def load_readings(path: Path) -> Readings:
    """Readings of a file written by `save_readings`."""
    with np.load(path, allow_pickle=False) as file:
        return Readings(
            file["va"] if "va" in file else None,
            file["probabilities"] if "probabilities" in file else None,
            tuple(str(name) for name in file["classes"]),
        )


def constant_readings(faces: FaceSet) -> Readings:
    """The mean valence and arousal of the labels, and their most frequent class."""
    known = np.isfinite(faces.va).all(1)
    mean = faces.va[known].mean(0) if known.any() else np.zeros(2)
    named = faces.label[faces.label >= 0]
    scores = np.zeros((len(faces), len(CLASSES)), np.float32)
    scores[:, np.bincount(named, minlength=len(CLASSES)).argmax() if len(named) else 0] = 1
    return Readings(np.tile(mean.astype(np.float32), (len(faces), 1)), scores, CLASSES)


def gathered(parts: Mapping[int, tuple[Readings, int]], count: int) -> Readings:
    """Rows of several readings as one; NaN for faces that nobody read."""
    first = next(iter(parts.values()))[0]
    columns: list[Any] = []
    for name in ("va", "probabilities"):
        example = getattr(first, name)
        if example is None:
            columns.append(None)
            continue
        values = np.full((count, example.shape[1]), np.nan, np.float32)
        for i, (readings, row) in parts.items():
            values[i] = getattr(readings, name)[row]
        columns.append(values)
    return Readings(columns[0], columns[1], first.classes)
