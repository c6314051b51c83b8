"""Scores of the finished conditions of a run, and what else its tables tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.experiments.definition import Definition
from synth.experiments.measures import OfDraws, measure
from synth.experiments.scoring import Compared, Score, compare, scores_of_seeds
from synth.experiments.sets import counts_of
from synth.experiments.steps import DONE, digest_of, is_done, mark_done
from synth.experiments.tables import (
    ABOUT,
    CONDITIONS,
    CURVES,
    DIFFERENCES,
    RESULTS,
    SETS,
    TESTS,
    read_table,
    write_table,
)

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.recognition.reader import Readings

__all__ = ["seeds_of", "write_results"]

Load = Callable[[Path], "Readings"]
#: condition -> test -> measure -> one for each seed.
Found = dict[str, dict[str, list[OfDraws]]]


def write_results(
    definition: Definition, output: Path, tests: Mapping[str, FaceSet], load: Load
) -> None:
    """Score every finished condition, and write the tables.

    Parameters
    ----------
    definition : Definition
    output : Path
        Run folder.
    tests : mapping of str to FaceSet
    load : callable
        Readings of a file.
    """
    done = {name: seeds_of(output, name) for name in definition.conditions}
    done = {name: seeds for name, seeds in done.items() if seeds}
    scores: list[Score] = []
    compared: list[Compared] = []
    reference = _found(definition, done.get(definition.reference, []), tests, load)
    for name, seeds in done.items():
        own, differences = _scores(definition, output, name, seeds, tests, load, reference)
        scores += own
        compared += differences
    write_table(output / RESULTS, [asdict(row) for row in scores], _columns(Score))
    write_table(output / DIFFERENCES, [asdict(row) for row in compared], _columns(Compared))
    write_table(output / CONDITIONS, [_condition(definition, n, s) for n, s in done.items()])
    write_table(output / SETS, [{"set": name, **_made(definition, name), **counts}
                                for name in definition.sets
                                if (counts := counts_of(output / "sets", name))])  # fmt: skip
    write_table(output / TESTS, [_test(definition, name, faces) for name, faces in tests.items()])
    write_table(output / CURVES, _curves(definition, done), ("condition", "seed", "step",
                                                             "measure", "value"))  # fmt: skip
    write_table(output / ABOUT, _about(definition), ("key", "value"))


def _columns(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def seeds_of(output: Path, condition: str) -> list[Path]:
    """Folders of the finished seeds of a condition, in order."""
    found = [p for p in (output / "runs" / condition).glob("seed*") if (p / DONE).exists()]
    return sorted(found, key=lambda p: int(p.name.removeprefix("seed")))


# --------------------------------------------------------------------------------- scores
def _found(
    definition: Definition, seeds: Sequence[Path], tests: Mapping[str, FaceSet], load: Load
) -> Found:
    """Measures of the seeds of a condition, by test; those that all seeds have."""
    out: Found = {}
    for test, faces in tests.items():
        paths = [seed / "predictions" / f"{test}.npz" for seed in seeds]
        readings = [load(path) for path in paths if path.exists()]
        if not readings:
            continue
        out[test] = {}
        for name in definition.tests[test].measures:
            found = [one for r in readings if (one := measure(name, faces, r)) is not None]
            if len(found) == len(readings):
                out[test][name] = found
    return out


def _scores(
    definition: Definition, output: Path, name: str, seeds: Sequence[Path],
    tests: Mapping[str, FaceSet], load: Load, reference: Found,
) -> tuple[list[Score], list[Compared]]:  # fmt: skip
    """Of one condition: read from its folder where they were found before."""
    folder = output / "scores" / name
    measures = {key: test.measures for key, test in definition.tests.items()}
    against = definition.reference, _reference_notes(definition, output)
    digest = digest_of([_notes(seeds), against, measures])
    if is_done(folder, digest):
        return (_rows(folder / RESULTS, Score), _rows(folder / DIFFERENCES, Compared))
    scores: list[Score] = []
    compared: list[Compared] = []
    for test, by_measure in _found(definition, seeds, tests, load).items():
        for which, found in by_measure.items():
            scores += scores_of_seeds(name, test, which, found)
            other = reference.get(test, {}).get(which)
            if other and name != definition.reference:
                told = compare(name, definition.reference, test, which, found, other)
                compared += [told] if told is not None else []
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / RESULTS, [asdict(row) for row in scores], _columns(Score))
    write_table(folder / DIFFERENCES, [asdict(row) for row in compared], _columns(Compared))
    mark_done(folder, digest)
    return scores, compared


def _notes(seeds: Iterable[Path]) -> list[str]:
    return [(seed / DONE).read_text("utf-8") for seed in seeds]


def _reference_notes(definition: Definition, output: Path) -> list[str]:
    """Notes of the runs that others are compared with."""
    if not definition.reference:
        return []
    return _notes(seeds_of(output, definition.reference))


# --------------------------------------------------------------------------------- others
def _condition(definition: Definition, name: str, seeds: Sequence[Path]) -> dict[str, Any]:
    condition = definition.conditions[name]
    note = json.loads((seeds[0] / DONE).read_text("utf-8"))
    counted = {key: note.get(key, "") for key in ("train", "train_synthetic", "train_real",
                                                  "train_vis", "train_nir",
                                                  "train_people")}  # fmt: skip
    return {"condition": name, "kind": condition.kind, "what": condition.what,
            "sets": " + ".join(condition.train), "start": condition.start,
            "seeds": len(seeds), **counted}  # fmt: skip


def _made(definition: Definition, name: str) -> dict[str, str]:
    spec = definition.sets[name]
    return {"made": spec.make or spec.read, "from": f"{spec.root}/{spec.folder}".rstrip("/"),
            "people_chosen": spec.people}  # fmt: skip


def _test(definition: Definition, name: str, faces: FaceSet) -> dict[str, Any]:
    test = definition.tests[name]
    people = len(set(faces.subjects) - {""})
    return {"test": name, "what": test.what, "faces": len(faces), "people": people,
            "measures": " ".join(test.measures)}  # fmt: skip


def _curves(definition: Definition, done: Mapping[str, Sequence[Path]]) -> list[dict[str, Any]]:
    rows = []
    for seed in done.get(definition.watch, []):
        for row in read_table(seed / CURVES) if (seed / CURVES).exists() else ():
            rows.append({"condition": definition.watch, "seed": seed.name.removeprefix("seed"),
                         **row})  # fmt: skip
    return rows


def _about(definition: Definition) -> list[dict[str, str]]:
    told = [("name", definition.name), ("title", definition.title),
            ("question", definition.question), ("reference", definition.reference),
            ("count", str(definition.count)), ("size", str(definition.size))]  # fmt: skip
    told += [("published", name) for name in definition.published]
    told += [("protocol", line) for line in definition.protocol]
    return [{"key": key, "value": value} for key, value in told]


def _rows(path: Path, kind: Any) -> list[Any]:
    """Rows as the dataclass they were written from."""
    types = {field.name: str(field.type) for field in fields(kind)}
    read: dict[str, Callable[[str], Any]] = {
        "str": str,
        "int": int,
        "float": lambda text: float(text or "nan"),
    }
    return [
        kind(**{name: read[types[name]](row[name]) for name in types}) for row in read_table(path)
    ]
