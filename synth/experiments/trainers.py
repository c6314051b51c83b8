"""What trains a reader on faces and asks it about others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from synth.errors import UsageError
from synth.experiments.measures import measure
from synth.experiments.tables import CURVES, write_table

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.recognition.reader import Readings
    from synth.training.fer_settings import FERSettings

__all__ = ["FERTrainer", "Lesson", "Trainer"]


@dataclass(frozen=True, eq=False)
class Lesson:
    """One training.

    Attributes
    ----------
    name : str
        For progress.
    train, val : FaceSet
    reader, training : dict
        Of the network and of the training, see the trainer.
    seed : int
    output : Path
        Folder of the run; one that was interrupted goes on.
    start : Path, optional
        Folder of a run whose weights it begins with.
    watch : dict of str to FaceSet
        Faces on which scores are recorded on the way; nothing is chosen by them.
    device : str
    stop : callable
    told : (what, done, of) -> None
    """

    name: str
    train: FaceSet
    val: FaceSet
    reader: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    output: Path
    start: Path | None = None
    watch: dict[str, FaceSet] = field(default_factory=dict)
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False
    told: Callable[[str, int, int], None] = lambda what, done, of: None


class Trainer(Protocol):
    """Trains and reads."""

    def train(self, lesson: Lesson) -> bool:
        """Train in ``lesson.output``; whether it was finished."""

    def read(self, output: Path, faces: FaceSet, device: str) -> Readings:
        """What the reader trained there says about the faces."""


class FERTrainer:
    """The networks of `synth.models.fer`, trained by `synth.training.fer_run`.

    ``reader`` and ``training`` of a lesson together are `FERSettings`. With watched faces
    the measures of each epoch are written to ``curves.csv``.

    Parameters
    ----------
    measures : mapping of str to sequence of str
        Measures of `synth.experiments.measures` by watched set.
    """

    def __init__(self, measures: Mapping[str, Sequence[str]] | None = None) -> None:
        self.measures = dict(measures or {})

    def train(self, lesson: Lesson) -> bool:
        """See `Trainer`.

        Raises
        ------
        UsageError
            If a setting is unknown or wrong, or the faces lack labels.
        """
        from synth.training.fer_run import run_fer

        start = None if lesson.start is None else _weights(lesson.start)
        run = run_fer(
            lesson.train, lesson.val, fer_settings(lesson), lesson.output,
            device=lesson.device, watch=lesson.watch or None, scorer=self._score, init=start,
            stop=lesson.stop, progress=lambda done, of, _: lesson.told(lesson.name, done, of),
        )  # fmt: skip
        if run.finished and lesson.watch:
            rows = [row for scores in run.rows for row in _curve(scores)]
            write_table(lesson.output / CURVES, rows, ("step", "measure", "value"))
        return run.finished

    def _score(self, faces: FaceSet, readings: Readings) -> dict[str, float]:
        """Of watched faces: all measures that any of the tests asks for."""
        names = dict.fromkeys(name for names in self.measures.values() for name in names)
        found = {name: measure(name, faces, readings) for name in names}
        return {name: one.value for name, one in found.items() if one is not None}

    def read(self, output: Path, faces: FaceSet, device: str) -> Readings:
        """See `Trainer`."""
        from synth.models.fer import load_fer
        from synth.training.fer_data import predict

        network, _ = load_fer(_weights(output))
        return predict(network.to(device).eval(), faces, device=device)


def fer_settings(lesson: Lesson) -> FERSettings:
    """The settings of a lesson.

    Raises
    ------
    UsageError
        If one is unknown or wrong.
    """
    from synth.training.fer_settings import FERSettings

    given = {**lesson.reader, **lesson.training, "seed": lesson.seed}
    known = [field.name for field in dataclasses.fields(FERSettings)]
    if unknown := sorted(set(given) - set(known)):
        raise UsageError(
            f"reader, training: expected settings among {', '.join(known)}, got {unknown[0]!r}"
        )
    return FERSettings(**given)


def _weights(folder: Path) -> Path:
    from synth.training.fer import WEIGHTS_FILE
    from synth.training.loop import WEIGHTS

    return folder / WEIGHTS / WEIGHTS_FILE


def _curve(scores: Mapping[str, float]) -> list[dict[str, Any]]:
    """Rows of a validation: scores of the watched faces, and those that weights are chosen by."""
    shown = {k: v for k, v in scores.items() if "/" in k or k in ("ccc", "f1", "loss")}
    return [
        {"step": int(scores["epoch"]), "measure": key if "/" in key else f"generated/{key}",
         "value": value}
        for key, value in shown.items()
    ]  # fmt: skip
