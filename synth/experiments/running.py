"""An experiment carried out: sets, trainings, readings, scores; what is done is not redone.

A run folder holds ``sets/NAME``, ``runs/CONDITION/seedN`` (of leave-one-out a folder for
each person below it) with ``predictions/TEST.npz``, and the tables and the report.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.errors import UsageError
from synth.experiments.conditions import training_faces, validation_faces
from synth.experiments.definition import Condition, Definition
from synth.experiments.making import Work
from synth.experiments.readings import constant_readings, gathered, load_readings, save_readings
from synth.experiments.results import seeds_of, write_results
from synth.experiments.sets import check_roots, get_faces, refuse_leaks, set_digest
from synth.experiments.steps import Interrupted, digest_of, is_done, mark_done
from synth.experiments.trainers import FERTrainer, Lesson, Trainer
from synth.runfile import Tables, open_run
from synth.versions import installed

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.recognition.reader import Readings

__all__ = ["run_experiment"]

SETS, RUNS, READINGS = "sets", "runs", "predictions"


@dataclass
class _Run:
    """An experiment under way."""

    definition: Definition
    roots: Mapping[str, Path]
    output: Path
    seeds: int
    work: Work
    trainer: Trainer
    faces: dict[str, FaceSet] = field(default_factory=dict)

    def set_named(self, name: str) -> FaceSet:
        """The faces of a set, kept in memory."""
        if name not in self.faces:
            self._go_on()
            self.faces[name] = get_faces(
                self.definition, name, self.roots, self.output / SETS, self.work
            )
        return self.faces[name]

    def test_faces(self, name: str) -> FaceSet:
        from synth.recognition.faces import joined

        return joined(*(self.set_named(key) for key in self.definition.tests[name].sets))

    def _go_on(self) -> None:
        if self.work.stop():
            raise Interrupted

    # ------------------------------------------------------------------- conditions
    def condition(self, name: str) -> None:
        """Train and read for every seed of a condition."""
        condition = self.definition.conditions[name]
        for seed in range(self.seeds):
            self._go_on()
            folder = self.output / RUNS / name / f"seed{seed}"
            digest = self._digest(name, seed)
            if is_done(folder, digest, f"{name}, seed {seed}"):
                continue
            self.work.say(f"{name}: seed {seed}")
            told = getattr(self, f"_{condition.kind.replace('-', '_')}")(name, condition, seed,
                                                                         folder)  # fmt: skip
            mark_done(folder, digest, **told)

    def _digest(self, name: str, seed: int) -> str:
        condition = self.definition.conditions[name]
        sets = {*condition.train, *condition.val}
        tests = {key: self.definition.tests[key].sets for key in self.definition.tests_of(name)}
        sets |= {key for names in tests.values() for key in names}
        decides: dict[str, Any] = {
            "condition": {k: v for k, v in dataclasses.asdict(condition).items() if k != "what"},
            "reader": self._reader(condition),
            "training": self._training(condition),
            "seed": seed,
            "sets": {key: set_digest(self.definition, key) for key in sorted(sets)},
            "tests": tests,
        }
        if condition.start:
            decides["start"] = self._digest(condition.start, seed)
        return digest_of(decides)

    def _reader(self, condition: Condition) -> dict[str, Any]:
        return {**self.definition.reader, **condition.reader}

    def _training(self, condition: Condition) -> dict[str, Any]:
        return {**self.definition.training, **condition.training}

    def _train(self, name: str, condition: Condition, seed: int, folder: Path) -> dict[str, Any]:
        """A reader for all tests."""
        sets = {key: self.set_named(key) for key in (*condition.train, *condition.val)}
        train, val = training_faces(name, condition, sets, seed), validation_faces(condition, sets)
        tests = {key: self.test_faces(key) for key in self.definition.tests_of(name)}
        for key, faces in tests.items():
            refuse_leaks(name, (*train.subjects, *val.subjects), faces.subjects, key)
        watch = tests if name == self.definition.watch else {}
        self._learn(name, condition, seed, folder, train, val, watch)
        for key, faces in tests.items():
            readings = self.trainer.read(folder, faces, self.work.device)
            save_readings(folder / READINGS / f"{key}.npz", readings)
        return _counted(train)

    def _learn(
        self, name: str, condition: Condition, seed: int, folder: Path, train: FaceSet,
        val: FaceSet, watch: dict[str, FaceSet],
    ) -> None:  # fmt: skip
        start = self.output / RUNS / condition.start / f"seed{seed}" if condition.start else None
        lesson = Lesson(
            f"{name} {seed}", train, val, self._reader(condition), self._training(condition),
            seed, folder, start, watch, self.work.device, self.work.stop, self.work.told,
        )  # fmt: skip
        if not self.trainer.train(lesson):
            raise Interrupted

    def _constant(self, name: str, condition: Condition, seed: int, folder: Path) -> dict[str, Any]:
        """What the best constant reader says: the mean label of the test itself."""
        for key in self.definition.tests_of(name):
            save_readings(folder / READINGS / f"{key}.npz", constant_readings(self.test_faces(key)))
        return {"train": 0}

    def _leave_one_out(
        self, name: str, condition: Condition, seed: int, folder: Path
    ) -> dict[str, Any]:
        """For each person of a test a reader that learned from the others.

        Early stopping looks at one of the others, the next in the order of names.
        """
        faces = self.test_faces(condition.test)
        subjects = np.asarray(faces.subjects, str)
        people = sorted(set(faces.subjects) - {""})
        if len(people) < 3:
            raise UsageError(
                f"{name}: expected at least 3 people in the test {condition.test}, got "
                f"{len(people)}; leave-one-out needs one to test, one to stop by and one to learn"
            )
        parts: dict[int, tuple[Readings, int]] = {}
        for number, person in enumerate(people):
            self._go_on()
            stop_by = people[(number + 1) % len(people)]
            train = faces.take(~np.isin(subjects, (person, stop_by)))
            own = folder / f"without_{number:02d}"
            if not (own / READINGS / f"{condition.test}.npz").exists():
                val = faces.take(subjects == stop_by)
                self._learn(f"{name} {person}", condition, seed, own, train, val, {})
                readings = self.trainer.read(own, faces.take(subjects == person), self.work.device)
                save_readings(own / READINGS / f"{condition.test}.npz", readings)
            found = load_readings(own / READINGS / f"{condition.test}.npz")
            for row, i in enumerate(np.flatnonzero(subjects == person)):
                parts[int(i)] = (found, row)
        save_readings(folder / READINGS / f"{condition.test}.npz", gathered(parts, len(faces)))
        return {"train": len(faces), "train_real": len(faces), "train_people": len(people)}


def _counted(train: FaceSet) -> dict[str, int]:
    made = sum(word == "synthetic" for word in train.origin)
    return {
        "train": len(train),
        "train_synthetic": made,
        "train_real": len(train) - made,
        "train_vis": sum(word == "vis" for word in train.spectrum),
        "train_nir": sum(word == "nir" for word in train.spectrum),
        "train_people": len(set(train.subjects) - {""}),
    }


# ----------------------------------------------------------------------------------- run
def run_experiment(
    definition: Definition,
    roots: Mapping[str, Path],
    output: Path,
    *,
    seeds: int | None = None,
    count: int | None = None,
    only: Iterable[str] = (),
    quick: bool = False,
    work: Work | None = None,
    trainer: Trainer | None = None,
) -> bool:
    """Make, train, read, score and report; whether it was finished.

    The same call on the same folder goes on where an earlier one was interrupted; more
    conditions or seeds are added to what is there.

    Parameters
    ----------
    definition : Definition
    roots : mapping of str to Path
        Folder of each root that the conditions need.
    output : Path
        Run folder.
    seeds, count : int, optional
        In place of the definition's.
    only : iterable of str
        Conditions; all when empty, and those they start with.
    quick : bool
        The definition's trial.
    work : Work, optional
    trainer : Trainer, optional
        `FERTrainer` when not given.

    Raises
    ------
    UsageError
        If a root is missing, a condition unknown, a number below 1, or the folder holds
        another experiment.
    SynthError
        If a condition would learn from people that it is tested on, or a step failed.
    """
    definition = definition.quickly() if quick else definition
    if count is not None:
        definition = dataclasses.replace(definition, count=count)
    seeds = definition.seeds if seeds is None else seeds
    for name, number in (("seeds", seeds), ("count", definition.count)):
        if number < 1:
            raise UsageError(f"{name}: expected 1 or more, got {number}")
    conditions = definition.in_order(only)
    found = check_roots(definition, roots, definition.needed(conditions))
    work = work or Work()
    _open(output, definition, work)
    run = _Run(definition, found, output, seeds, work, trainer or _trainer(definition))
    try:
        for name in definition.needed(conditions):
            run.set_named(name)
        for name in conditions:
            run.condition(name)
        # Conditions that an earlier call finished are in the tables, too.
        done = [name for name in definition.conditions if seeds_of(output, name)]
        asked = {test for name in (*conditions, *done) for test in definition.tests_of(name)}
        tests = {name: run.test_faces(name) for name in definition.tests if name in asked}
    except Interrupted:
        return False
    work.say("scores")
    write_results(definition, output, tests, load_readings)
    return True


def _trainer(definition: Definition) -> Trainer:
    return FERTrainer({name: test.measures for name, test in definition.tests.items()})


def _open(output: Path, definition: Definition, work: Work) -> None:
    tables: Tables = {
        "settings": {"experiment": definition.name, "size": definition.size,
                     "channels": definition.channels, "count": definition.count},
        "run": {"device": work.device, "workers": work.workers},
        "versions": installed(("torch", "numpy")),
    }  # fmt: skip
    open_run(output, tables, "synth experiment")
