"""How good a reader is while it is trained: scores at each validation, as a table and curves."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import UsageError
from synth.images import encode_image, write_atomic
from synth.metrics.agreement import ccc, macro_f1, rmse
from synth.metrics.discrimination import auc
from synth.recognition.faces import CLASSES, UNLABELLED, FaceSet
from synth.recognition.reader import Readings
from synth.training.fer_figures import draw_panels

__all__ = ["check_labels", "faces_scores", "selection", "write_scores"]

#: What the scores of each task are called that decide which weights are best.
DECIDING = {"va": ("ccc",), "expr": ("f1",), "both": ("ccc", "f1")}


def faces_scores(faces: FaceSet, readings: Readings) -> dict[str, float]:
    """Scores of what can be compared: all larger is better but ``rmse``.

    ``ccc_valence, ccc_arousal, ccc`` (their mean), ``rmse`` of both; ``accuracy, f1``
    (macro, over the classes that the labels or estimates have); ``auc_smile``: how often
    valence reads higher in a happy than in a neutral face, for sets with both. Faces without
    the label are left out; NaN where a score is undefined.
    """
    found: dict[str, float] = {}
    known = np.isfinite(faces.va).all(1)
    if readings.va is not None and known.any():
        target, estimate = faces.va[known], readings.va[known]
        for axis, name in enumerate(("valence", "arousal")):
            found[f"ccc_{name}"] = ccc(target[:, axis], estimate[:, axis])
        found["ccc"] = (found["ccc_valence"] + found["ccc_arousal"]) / 2
        found["rmse"] = rmse(target.ravel(), estimate.ravel())
    happy, neutral = (faces.label == CLASSES.index(n) for n in ("happiness", "neutral"))
    if readings.va is not None and happy.any() and neutral.any():
        found["auc_smile"] = auc(readings.va[happy | neutral, 0], happy[happy | neutral])
    names = np.array([*CLASSES, ""])[np.where(faces.label == UNLABELLED, -1, faces.label)]
    known = np.isin(names, readings.classes)
    if readings.probabilities is not None and known.any():
        guess = np.array(readings.classes)[readings.probabilities[known].argmax(1)]
        found["accuracy"] = float((guess == names[known]).mean())
        found["f1"] = macro_f1(names[known].tolist(), guess.tolist())
    return found


def selection(scores: Mapping[str, float], task: str) -> float:
    """The number by which weights are chosen: CCC, macro F1, or their mean."""
    values = [scores.get(name, math.nan) for name in DECIDING[task]]
    return -math.inf if any(map(math.isnan, values)) else sum(values) / len(values)


def check_labels(faces: FaceSet, task: str, classes: Sequence[str], what: str) -> None:
    """Raise unless the set has faces, with the labels of the task.

    Raises
    ------
    UsageError
        Naming `what`; also where valence or arousal of a validation set is the same in
        all faces, so that CCC says nothing.
    """
    if not len(faces):
        raise UsageError(f"{what}: expected faces, got an empty set")
    known = np.isfinite(faces.va).all(1)
    if task != "expr" and not known.any():
        raise UsageError(
            f"{what}: expected valence and arousal for the task {task}, got none in "
            f"{len(faces)} faces; use --task expr, or a set with these labels"
        )
    wanted = [i for i, name in enumerate(CLASSES) if name in classes]
    if task != "va" and not np.isin(faces.label, wanted).any():
        raise UsageError(
            f"{what}: expected expressions among {', '.join(classes)} for the task {task}, got "
            f"none in {len(faces)} faces; use --task va, or a set with these labels"
        )
    if what == "val" and task != "expr" and (np.ptp(faces.va[known], 0) < 1e-6).any():
        raise UsageError(
            f"val: expected faces of different valence and arousal, got {int(known.sum())} alike; "
            "hold out more people"
        )


def write_scores(root: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """``scores.csv``, a row a validation, and ``scores.png``, the curves.

    A column that begins with ``NAME/`` belongs to a set that is watched; it has no part in
    any choice.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(row.get(name, "")) for name in names])
    write_atomic(root / "scores.csv", text.getvalue().encode())
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in names:
        if name in ("epoch", "best"):
            continue
        group, _, short = name.rpartition("/")
        group = group or ("training" if name == "loss" else "validation")
        seen = [(row["epoch"], row[name]) for row in rows if math.isfinite(row.get(name, math.nan))]
        panels.setdefault(group, {})[short] = ([x for x, _ in seen], [y for _, y in seen])
    picture = draw_panels(panels, "epoch")
    write_atomic(root / "scores.png", encode_image(picture, "png"))


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
