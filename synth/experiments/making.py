"""Sets of an experiment that are made: planned pictures, and morphs between generated apexes.

The same functions as behind ``synth augment`` and ``synth morph``; an interrupted set goes
on, and `synth.experiments.sets` decides what is still to be made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.errors import UsageError
from synth.experiments.definition import SetSpec
from synth.experiments.people import chosen
from synth.experiments.steps import Interrupted
from synth.image_files import ImageSource, find_images
from synth.runfile import Tables
from synth.versions import installed

if TYPE_CHECKING:
    from synth.plans import Plan
    from synth.plans.table import PlanRow

__all__ = ["Work", "augmented", "photos_of"]

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Work:
    """How the work is done: nothing of it decides what comes out.

    Attributes
    ----------
    workers : int
        Processes that make pictures.
    device : {"cpu", "cuda", "auto"}
    stop : callable
        Asked now and then.
    told : (what, done, of) -> None
    say : (line) -> None
    """

    workers: int = 1
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False
    told: Tell = lambda what, done, of: None
    say: Callable[[str], None] = lambda line: None


def photos_of(spec: SetSpec, roots: Mapping[str, Path]) -> list[ImageSource]:
    """The photos of the people that a set is made of.

    Raises
    ------
    UsageError
        If the folder is missing or the selection leaves nobody.
    """
    folder = roots[spec.root] / spec.folder
    found = {Path(source.name).stem: source for source in find_images(folder)}
    names = chosen(list(found), spec.people)
    if not names:
        raise UsageError(
            f"people: expected some of the {len(found)} photos in {folder}, got none with "
            f"{spec.people!r}"
        )
    return [replace(found[name], path=found[name].path.absolute()) for name in names]


def augmented(
    name: str, spec: SetSpec, count: int, photos: Sequence[ImageSource], size: int,
    output: Path, work: Work,
) -> dict[str, int]:  # fmt: skip
    """A set as ``synth augment`` makes it, in the folder `output`; what became of its rows.

    Raises
    ------
    Interrupted
        If the work was stopped; finished shards stay.
    UsageError
        If a setting is not one, or no picture came out.
    """
    from synth.plans import PlanOptions

    options = PlanOptions(style=0 if spec.mean_face else 1)
    plan = _mixed_plan(spec.plan, count, photos, spec.seed, options)
    settings = {"crop": "aligned", "size": size, "seed": spec.seed, **spec.settings}
    return planned(name, spec, plan, photos, settings, output, work)


def planned(
    name: str, spec: SetSpec, plan: Plan, photos: Sequence[ImageSource],
    settings: Mapping[str, Any], output: Path, work: Work, nuisance: str | None = None,
) -> dict[str, int]:  # fmt: skip
    """The pictures of a plan; see `augmented`."""
    from synth.augment.make import Making
    from synth.augment.pool import Progress
    from synth.augment.run import SetRun
    from synth.nuisance import parse_ranges
    from synth.quality import Gates

    generator = _generator(settings, work.device)
    nuisance = spec.nuisance if nuisance is None else nuisance
    making = Making(parse_ranges(nuisance), Gates.named(spec.gates), 0, spec.image_format)
    tables = _tables(spec, plan, settings, nuisance, generator.digests)
    run = SetRun(output, generator, making, plan, tuple(photos), tables, workers=work.workers,
                 name=name, plan_text=", ".join(spec.plan))  # fmt: skip
    _, left = run.begin()
    generator.preload()
    total = sum(job.rows for job in left)
    made = 0
    for event in run.run(left, work.stop):
        if isinstance(event, Progress):
            made += event.pictures
            work.told(name, made, total)
    if work.stop():
        raise Interrupted
    summary = run.finish()
    if not summary.pictures:
        raise UsageError(f"{name}: expected pictures, got none: all {len(plan)} were refused "
                         f"({_few(run.reasons)})")  # fmt: skip
    return {"planned": len(plan), "pictures": summary.pictures}


def _few(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items())) or "no reason noted"


def _generator(settings: Mapping[str, Any], device: str) -> Any:
    from synth.pipeline import Generator

    uses = bool(settings.get("nir")) or "ganmut" in str(settings.get("route", ""))
    try:
        return Generator(**{**settings, "device": device if uses else "cpu"})
    except TypeError as error:
        raise UsageError(f"settings: expected those of synth augment, got {error}") from None


def _tables(
    spec: SetSpec, plan: Plan, settings: Mapping[str, Any], nuisance: str,
    digests: Mapping[str, str],
) -> Tables:  # fmt: skip
    """Content of ``run.toml``: what decides the pictures, as ``synth augment`` notes it."""
    from synth.augment.run import plan_digest

    decides = {**settings, "nuisance": nuisance, "gates": spec.gates,
               "image_format": spec.image_format, "redraw": 0}  # fmt: skip
    return {
        "settings": dict(sorted(decides.items())),
        "run": {key: str(value) for key, value in asdict(spec).items() if key != "settings"},
        "assets": {**digests, "plan": plan_digest(plan)},
        "versions": installed(),
    }


def _mixed_plan(
    shares: Mapping[str, float], count: int, photos: Sequence[ImageSource], seed: int,
    options: Any,
) -> Plan:  # fmt: skip
    """One plan of several kinds, photo by photo; every person has all kinds."""
    from synth.plans import Plan, make_plan, subject_of

    subjects = subject_of(photos, "each")
    splits = dict.fromkeys(subjects.values(), "train")
    rows: list[PlanRow] = []
    for kind, share in shares.items():
        number = max(1, round(count * share / sum(shares.values())))
        rows += make_plan(kind, photos, subjects, splits, number, seed, options).rows
    return Plan(renumbered(rows))


def renumbered(rows: Iterable[PlanRow]) -> tuple[PlanRow, ...]:
    """Rows photo by photo, numbered from 0."""
    ordered = sorted(rows, key=lambda row: row.source)
    return tuple(replace(row, id=number) for number, row in enumerate(ordered))
