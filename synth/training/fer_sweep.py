"""How scores grow with the amount of synthetic data: the granularity study.

Every size is a run of its own with the same validation people, the same real photos and
the same number of steps; smaller sets are part of larger ones and hold everybody as evenly
as they can.

References
----------
.. [1] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network Augmentation:
   Generating Faces for Affect Analysis", IJCV 2020: its figure 20 varies the amount.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import UsageError
from synth.images import encode_image, write_atomic
from synth.recognition.faces import FaceSet
from synth.training.fer_figures import draw_panels
from synth.training.fer_people import stratified
from synth.training.fer_run import run_fer
from synth.training.fer_settings import FERSettings

__all__ = ["run_sweep", "subset"]

Row = Mapping[str, float]


def subset(faces: FaceSet, count: int, seed: int = 0) -> FaceSet:
    """`count` of the synthetic faces, everybody as evenly as can be, and all real ones.

    Raises
    ------
    UsageError
        If there are not so many synthetic ones.
    """
    made = np.array([origin == "synthetic" for origin in faces.origin])
    if not 1 <= count <= made.sum():
        raise UsageError(
            f"sweep: expected 1 to {int(made.sum())} synthetic pictures, got {count}; change "
            "--sweep"
        )
    places = np.flatnonzero(made)
    chosen = places[stratified(faces.take(made), count, seed)]
    return faces.take(np.sort(np.concatenate([chosen, np.flatnonzero(~made)])))


def run_sweep(
    train_faces: FaceSet,
    val_faces: FaceSet,
    settings: FERSettings,
    output: Path,
    counts: Sequence[int],
    *,
    told: Callable[[Row], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> tuple[Row, ...] | None:
    """Train once for each number of synthetic pictures; None where it was stopped.

    Parameters
    ----------
    train_faces, val_faces : FaceSet
    settings : FERSettings
        An epoch has ``epoch_size`` faces in all runs; where that is 0, as many as the
        largest run has.
    output : Path
        A folder ``n_NNNNNN`` a run; ``sweep.csv`` and ``sweep.png``.
    counts : sequence of int
    told : callable, optional
        Handed each row when its run is done.
    stop : callable
    **options
        Of `synth.training.fer_run.run_fer`.

    Returns
    -------
    tuple of mappings
        ``pictures, people, epoch`` and the scores of the best weights, by pictures.

    Raises
    ------
    UsageError
        If a number is too large or comes twice, and as `run_fer`.
    """
    if not counts or len(set(counts)) < len(counts):
        raise UsageError(f"sweep: expected different numbers, got {', '.join(map(str, counts))}")
    sets = {count: subset(train_faces, count, settings.seed) for count in sorted(counts)}
    if not settings.epoch_size:
        settings = dataclasses.replace(settings, epoch_size=max(map(len, sets.values())))
    rows: list[Row] = []
    for count, faces in sets.items():
        run = run_fer(faces, val_faces, settings, output / f"n_{count:06d}", stop=stop, **options)
        if not run.finished:
            return None
        kept = {k: v for k, v in run.scores.items() if k not in ("best", "epoch")}
        people = len(set(faces.subjects) - {""})
        rows.append({"pictures": count, "people": people, "epoch": run.epoch, **kept})
        _write(output, rows)
        if told is not None:
            told(rows[-1])
    return tuple(rows)


def _write(root: Path, rows: Sequence[Row]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        cells = (row.get(name, "") for name in names)
        writer.writerow([f"{c:.6g}" if isinstance(c, float) else c for c in cells])
    write_atomic(root / "sweep.csv", text.getvalue().encode())
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for name in names:
        if name in ("pictures", "people", "epoch", "loss"):
            continue
        group, _, short = name.rpartition("/")
        seen = [row for row in rows if math.isfinite(row.get(name, math.nan))]
        panels.setdefault(group or "val", {})[short] = (
            [row["pictures"] for row in seen],
            [row[name] for row in seen],
        )
    picture = draw_panels(panels, "pictures", logarithmic=True)
    write_atomic(root / "sweep.png", encode_image(picture, "png"))
