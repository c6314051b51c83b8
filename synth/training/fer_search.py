"""Search for settings with Optuna, scored on the validation people.

References
----------
.. [1] Akiba et al., "Optuna: A Next-generation Hyperparameter Optimization Framework",
   KDD 2019.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synth.errors import SynthError
from synth.image_files import write_atomic
from synth.optional import require
from synth.recognition.faces import FaceSet
from synth.training.fer_run import run_fer
from synth.training.fer_scores import selection
from synth.training.fer_settings import FERSettings

__all__ = ["run_search", "suggest"]

#: What is tried: lowest and highest, by ratio; or one of several.
RANGES = {"rate": (1e-4, 5e-3), "weight_decay": (1e-4, 0.3)}
CHOICES: dict[str, tuple[Any, ...]] = {
    "batch": (32, 64, 128),
    "dropout": (0.0, 0.2, 0.4),
    "augment": ("light", "default"),
    "loss": ("mse:1", "ccc:1", "mse:1,ccc:1", "cross-entropy:1"),
}


def suggest(trial: Any, settings: FERSettings) -> FERSettings:
    """The settings of a trial: an Optuna trial's choices in place of the given ones."""
    found: dict[str, Any] = {
        name: trial.suggest_float(name, low, high, log=True) for name, (low, high) in RANGES.items()
    }
    for name, values in CHOICES.items():
        if name != "loss" or settings.task != "expr":
            found[name] = trial.suggest_categorical(name, values)
    return dataclasses.replace(settings, **found)


def run_search(
    train_faces: FaceSet,
    val_faces: FaceSet,
    settings: FERSettings,
    output: Path,
    trials: int,
    *,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train with several settings and keep the table of them.

    The sampler is seeded, and finished runs answer at once, so the same call on the same
    folder goes on where it ended.

    Parameters
    ----------
    train_faces, val_faces, settings
        See `synth.training.fer_run.run_fer`; what is searched replaces the settings.
    output : Path
        A folder ``trial_NNN`` a run, and ``search.csv``.
    trials : int
    device : {"auto", "cpu", "cuda"}
    stop : callable
        Asked while training.

    Returns
    -------
    dict
        Settings searched, ``score`` and ``trial`` of the best; empty where it was stopped
        before the first was done.

    Raises
    ------
    DependencyError
        If Optuna is not installed.
    """
    optuna = require("optuna", extra="search")
    sampler = optuna.samplers.TPESampler(seed=settings.seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    rows: list[dict[str, Any]] = []
    for number in range(trials):
        trial = study.ask()
        made = suggest(trial, settings)
        row: dict[str, Any] = {"trial": number, "score": float("-inf")}
        row |= {name: getattr(made, name) for name in (*RANGES, *CHOICES)}
        try:
            run = run_fer(
                train_faces, val_faces, made, output / f"trial_{number:03d}", device=device,
                stop=stop,
            )  # fmt: skip
        except SynthError as error:
            if "finite" not in str(error):  # a rate too high is a poor trial, not a fault
                raise
        else:
            if not run.finished:
                break
            row["score"] = selection(run.scores, settings.task)
        study.tell(trial, max(row["score"], -1.0))
        rows.append(row)
        _write(output / "search.csv", rows)
    return max(rows, key=lambda row: row["score"], default={})


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue().encode())
