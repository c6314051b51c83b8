"""What ``synth train fer`` does with its options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.errors import UsageError

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.training.fer_settings import FERSettings

__all__ = ["train_reader"]

#: Share of the people held out where no set for it is given.
HELD_OUT = 0.15


def train_reader(options: dict[str, Any]) -> int:
    """Read the sets, train, say what came of it; the exit code."""
    from synth.training.fer_people import hold_people_out, refuse_leaks

    settings = _settings(options)
    if options["val"] and options["val_people"]:
        raise UsageError("val-people: expected --val or --val-people, got both; leave one out")
    if options["sweep"] and options["search"]:
        raise UsageError("search: expected --sweep or --search, got both; leave one out")
    counts = _counts(options["sweep"]) if options["sweep"] else ()
    faces = _read((*options["data"], *options["extra"]), options)
    watch = _watched(options)
    if options["val"]:
        val = _read(options["val"], options)
        refuse_leaks({"data": faces, "val": val})
    else:
        faces, val = hold_people_out(faces, options["val_people"] or HELD_OUT, settings.seed)
    click.echo(f"{_told(faces)} to learn from; {_told(val)} to choose by", err=True)
    if options["search"]:
        return _search(faces, val, settings, options)
    if counts:
        return _sweep(faces, val, settings, watch, counts, options)
    return _train(faces, val, settings, watch, options)


def _settings(options: dict[str, Any]) -> FERSettings:
    from synth.training.fer_settings import FERSettings

    known = {field.name for field in dataclasses.fields(FERSettings)}
    given = {name: value for name, value in options.items() if name in known}
    given["channels"] = int(given["channels"])
    given["landmarks"] = options["points"]  # --landmarks names a detector, as everywhere
    if classes := given.pop("classes"):
        given["classes"] = tuple(name.strip() for name in classes.split(","))
    return FERSettings(**given)


def _reads_points(options: dict[str, Any]) -> bool:
    from synth.models.fer.config import architecture_of

    return options["points"] or architecture_of(options["arch"]).points


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"sweep: expected numbers such as 500,1000,2000, got {text!r}") from None


def _read(sources: tuple[str, ...], options: dict[str, Any]) -> FaceSet:
    """The faces of several sets as one; photos that cannot be used are counted."""
    from tqdm import tqdm

    from synth.face_sets import join_sets, read_face_set

    made = []
    for text in sources:
        source, split = _part(text)
        with tqdm(unit=" photos", disable=None, leave=False) as bar:

            def tell(done: int, total: int, bar: Any = bar) -> None:
                bar.total = total
                bar.update(done - bar.n)

            faces, skips = read_face_set(
                source, size=options["read_size"], channels=int(options["channels"]), split=split,
                landmarks=options["landmarks"], crop=options["crop"], cache=options["cache"],
                points=_reads_points(options), progress=tell,
            )  # fmt: skip
        if skips:
            first = f"{skips[0].source}: {skips[0].reason}"
            click.echo(f"{source}: {len(skips)} pictures left out ({first}, ...)", err=True)
        made.append(faces)
    return join_sets(made)


def _part(text: str) -> tuple[str, str | None]:
    """``SET@PART`` as the set and the part."""
    source, at, part = text.rpartition("@")
    return (source, part) if at and part and not Path(text).exists() else (text, None)


def _watched(options: dict[str, Any]) -> dict[str, FaceSet]:
    """Sets to watch by the name of their folder, numbered where that recurs."""
    found: dict[str, FaceSet] = {}
    for text in options["watch"]:
        name = Path(_part(text)[0].split(",")[0]).name.replace("/", "_") or "watch"
        name = name if name not in found else f"{name}-{len(found) + 1}"
        found[name] = _read((text,), options)
    return found


def _told(faces: FaceSet) -> str:
    people = len(set(faces.subjects) - {""})
    return f"{len(faces)} faces of {people} people"


def _train(
    faces: FaceSet,
    val: FaceSet,
    settings: FERSettings,
    watch: dict[str, FaceSet],
    options: dict[str, Any],
) -> int:
    from tqdm import tqdm

    from synth.cli.progress import interruptible
    from synth.training.fer_run import run_fer

    with (
        interruptible("saving the state") as stop,
        tqdm(unit=" steps", disable=None, leave=False) as bar,
    ):

        def tell(done: int, total: int, _: Any) -> None:
            bar.total = total
            bar.update(done - bar.n)

        run = run_fer(
            faces, val, settings, options["output"], device=options["device"], watch=watch,
            init=options["init"], spectrum=options["spectrum"], stop=stop, progress=tell,
        )  # fmt: skip
    if run.resumed:
        click.echo(f"{run.resumed} iterations had been done before", err=True)
    if run.rows:
        shown = ", ".join(
            f"{k} {v:.3f}" for k, v in run.scores.items() if k not in ("epoch", "best")
        )
        click.echo(f"best of {len(run.rows)} epochs: {run.epoch} ({shown})", err=True)
    if not run.finished:
        click.echo("interrupted: run the same command again to finish", err=True)
        return 130
    click.echo(f"weights in {run.weights}, scores in {run.root / 'scores.csv'}", err=True)
    return 0


def _sweep(
    faces: FaceSet,
    val: FaceSet,
    settings: FERSettings,
    watch: dict[str, FaceSet],
    counts: tuple[int, ...],
    options: dict[str, Any],
) -> int:
    from synth.cli.progress import interruptible
    from synth.training.fer_sweep import run_sweep

    with interruptible("saving the state") as stop:
        done = run_sweep(
            faces, val, settings, options["output"], counts, device=options["device"],
            watch=watch, init=options["init"], spectrum=options["spectrum"], stop=stop,
            told=lambda row: click.echo(_row(row), err=True),
        )  # fmt: skip
    if not done:
        click.echo("interrupted: run the same command again to finish", err=True)
        return 130
    click.echo(f"table and curve in {options['output']}/sweep.csv and sweep.png", err=True)
    return 0


def _row(row: Any) -> str:
    return ", ".join(f"{k} {v:.4g}" for k, v in row.items() if v is not None)


def _search(faces: FaceSet, val: FaceSet, settings: FERSettings, options: dict[str, Any]) -> int:
    from synth.cli.progress import interruptible
    from synth.training.fer_search import run_search

    with interruptible("after this trial") as stop:
        best = run_search(
            faces, val, settings, options["output"], options["search"],
            device=options["device"], stop=stop,
        )  # fmt: skip
    click.echo(f"best: {best}; all trials in {options['output']}/search.csv", err=True)
    return 0
