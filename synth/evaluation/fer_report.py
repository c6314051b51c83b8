"""The files of ``synth evaluate fer``: tables, heat maps, confusion, scatter, circumplex."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.evaluation.fer import Given, Labelled
from synth.images import encode_image, write_atomic
from synth.metrics.classes import Confusion
from synth.metrics.figures import draw_confusion, draw_regions
from synth.metrics.report_files import score_files
from synth.metrics.va_figures import draw_circumplex, draw_scatter
from synth.recognition.faces import CLASSES, UNLABELLED

__all__ = ["FILES", "report_files", "write_report"]

#: What may be written: figures only of what was scored.
FILES = (
    "scores.md", "scores.json", "scores.csv", "regions.csv", "readings.csv", "rmse_valence.png",
    "rmse_arousal.png", "rmse_both.png", "scatter.png", "circumplex.png", "confusion.png",
)  # fmt: skip


def report_files(
    faces: Labelled, readings: Given, table: Mapping[str, Any], title: str = "Scores"
) -> dict[str, bytes]:
    """Contents of the report by file name.

    Parameters
    ----------
    faces, readings
        As `synth.evaluation.fer.evaluate_fer`.
    table : dict
        What that gave.
    title : str
        Of the Markdown page and the figures.
    """
    files = score_files(table, title)
    files["readings.csv"] = _readings(faces, readings)
    return files | {name: encode_image(p, "png") for name, p in _figures(faces, readings, table)}


def write_report(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files; what an earlier report left of `FILES` is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in set(FILES) - set(files):
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        write_atomic(folder / name, content)


def _figures(
    faces: Labelled, readings: Given, table: Mapping[str, Any]
) -> list[tuple[str, NDArray[np.uint8]]]:
    drawn = []
    parts = table["parts"]
    read = None if readings.va is None else np.asarray(readings.va, np.float64)
    target = np.asarray(faces.va, np.float64)
    if read is not None and parts.get("va", {}).get("n"):
        found = parts["va"]["regions"]
        maps = _maps(found)
        highest = max(float(np.nanmax(m)) for m in maps.values()) or None
        for name, values in maps.items():
            picture = draw_regions(values, found["n"], f"normalised RMSE, {name}", highest)
            drawn.append((f"rmse_{name}.png", picture))
        drawn.append(("scatter.png", draw_scatter(target, read)))
    label = np.asarray(faces.label)
    names = [CLASSES[i] if i != UNLABELLED else None for i in label]
    if read is not None and any(names) and np.isfinite(read).all(1).any():
        classes = [name for name in CLASSES if name in names]
        labelled = target if np.isfinite(target).all(1).any() else None
        drawn.append(("circumplex.png", draw_circumplex(read, names, classes, labelled)))
    if found := parts.get("expression", {}).get("confusion"):
        drawn.append(("confusion.png", draw_confusion(_confusion(found))))
    return drawn


def _maps(found: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """The maps of errors from their occupied regions."""
    side = found["side"]
    maps = {name: np.full((side, side), np.nan) for name in ("valence", "arousal", "both")}
    for cell in found["cells"]:
        row, column = (round(((cell[axis] + 1) * side - 1) / 2) for axis in ("arousal", "valence"))
        for name, values in maps.items():
            values[row, column] = cell[f"rmse_{name}"]
    return maps


def _confusion(found: Mapping[str, Any]) -> Confusion:
    margins = (np.asarray(found[name], np.float64) for name in ("tpr", "ppv", "f1"))
    return Confusion(tuple(found["classes"]), np.asarray(found["counts"], np.int64), *margins)


def _readings(faces: Labelled, readings: Given) -> bytes:
    """One row a picture: labels and readings side by side, empty where there is none."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    shares = [f"p_{name}" for name in readings.classes]
    writer.writerow(["file_name", "subject", "target_valence", "target_arousal",
                     "target_expression", "valence", "arousal", "expression", *shares])  # fmt: skip
    expressions = getattr(readings, "expressions", None)
    for i, name in enumerate(faces.names):
        label = int(faces.label[i])
        row: list[Any] = [name, faces.subjects[i], *_texts(faces.va[i])]
        row.append("" if label == UNLABELLED else CLASSES[label])
        row += ["", ""] if readings.va is None else _texts(readings.va[i])
        row.append(_guess(readings, i) if expressions is None else expressions[i])
        row += [] if readings.probabilities is None else _texts(readings.probabilities[i])
        writer.writerow(row)
    return stream.getvalue().encode()


def _guess(readings: Given, i: int) -> str:
    if readings.probabilities is None or not np.isfinite(readings.probabilities[i]).all():
        return ""
    return readings.classes[int(np.argmax(readings.probabilities[i]))]


def _texts(values: NDArray[Any]) -> list[str]:
    return [f"{float(v):.6g}" if np.isfinite(v) else "" for v in values]
