"""What ``synth augment`` does with its options."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from synth.cli.config import plain
from synth.errors import UsageError

if TYPE_CHECKING:
    from synth.augment.make import Making
    from synth.augment.run import SetRun
    from synth.images import ImageSource
    from synth.pipeline import Generator
    from synth.plans import Plan

__all__ = ["make_set"]

#: Options that say where and how, not what, or that the plan holds: [run] of run.toml.
RUN = ("input", "recursive", "output", "limit", "workers", "device", "engine", "ray_address",
       "max_reject", "log_json", "name", "plan", "count", "subjects", "splits", "kfold",
       "intensity", "max_per_subject", "max_per_bin", "mean_face", "fps", "seconds")  # fmt: skip
NOT_KEPT = ("write_plan", "overwrite", "dry_run", "audit")
#: For estimates, measured on one core (docs/scale.md): seconds per picture, fixed and per area of
#: 512 x 512 pixels; seconds per photo; side taken for whole photos.
PICTURE_SECONDS, PHOTO_SECONDS, PHOTO_SIDE = (0.0093, 0.0199), 0.26, 1000


def make_set(options: dict[str, Any]) -> int:
    """Plan, print or make a set; the exit code."""
    from synth.images import find_images
    from synth.plans import describe, existing_density, write_plan

    if not options["input"]:
        raise UsageError("input: expected a photo or a folder, got none; give --input PATH")
    share = _share(options["max_reject"])
    found = find_images(options["input"], options["recursive"])[: options["limit"]]
    sources = [replace(source, path=source.path.absolute()) for source in found]
    generator, making = _generator(options), _making(options)
    plan = _plan(options, sources, generator)
    generator.refuse_styles(any(row.style and not row.actions for row in plan))
    if options["write_plan"]:
        write_plan(plan, options["write_plan"])
        click.echo(f"{len(plan)} rows in {options['write_plan']}; edit it and give it as --plan")
        return 0
    if options["audit"]:
        from synth.augment.leaks import refuse_leaks

        refuse_leaks(generator, plan, sources)
    run = _run(options, sources, generator, making, plan, share)
    if options["dry_run"]:
        existing = existing_density(options["plan"], len(plan)) if _is_kind(options) else None
        click.echo(describe(plan, existing))
        click.echo(_estimate(plan, generator, options["workers"]))
        jobs = run.look(options["overwrite"])[1] if not _is_url(options) else ()
        click.echo(f"{len(jobs)} shards to be made in {options['output']}; nothing was written")
        return 0
    generator.preload()
    if not _is_url(options):
        return _make(run, options)
    with TemporaryDirectory() as folder:  # of the tables; shards go to the address
        run.root = Path(folder) / "set"
        return _make(run, options)


def _is_url(options: dict[str, Any]) -> bool:
    return "://" in str(options["output"])


def _is_kind(options: dict[str, Any]) -> bool:
    """Whether the plan is a kind and not the file of a plan."""
    return ":" in options["plan"] or Path(options["plan"]).suffix not in (".csv", ".parquet")


def _estimate(plan: Plan, generator: Generator, workers: int) -> str:
    from synth.plans import estimate

    side = generator.size or PHOTO_SIDE
    area = (side / 512) ** 2
    rate = workers / (PICTURE_SECONDS[0] + PICTURE_SECONDS[1] * area)
    return str(estimate(plan, rate, 70e3 * area, PHOTO_SECONDS / workers))


def _plan(options: dict[str, Any], sources: list[ImageSource], generator: Generator) -> Plan:
    from synth.plans import (
        PlanOptions,
        check_leaks,
        duplicate_sources,
        make_plan,
        read_plan,
        subject_of,
    )

    text = options["plan"]
    if not text:
        raise UsageError(
            "plan: expected one, got none; give --plan uniform-disc --count 1000, --plan basic or "
            "--plan balance:labels.csv"
        )
    duplicates = duplicate_sources(sources)
    if not _is_kind(options):
        plan = read_plan(text)
        check_leaks(plan, duplicates)
        return plan
    subjects = subject_of(sources, options["subjects"])
    wishes = PlanOptions(
        intensity=_range(options["intensity"]),
        style=0 if options["mean_face"] else 1,
        max_per_subject=options["max_per_subject"],
        max_per_bin=options["max_per_bin"],
        track=lambda path: generator.track(path, options["fps"], options["seconds"]),
    )
    splits = _splits(options, subjects)
    plan = make_plan(text, sources, subjects, splits, options["count"], options["seed"], wishes)
    check_leaks(plan, duplicates)
    return plan


def _splits(options: dict[str, Any], subjects: dict[str, str]) -> dict[str, str]:
    from synth.plans import assign_splits, kfold

    if options["kfold"] and options["splits"]:
        raise UsageError("kfold: expected either --kfold or --splits, got both; leave one out")
    if options["splits"]:
        return assign_splits(subjects, options["splits"], options["seed"])
    if not options["kfold"]:
        return {subject: "train" for subject in subjects.values()}
    fold, _, folds = options["kfold"].partition("/")
    if not (fold.isdigit() and folds.isdigit() and 1 <= int(fold) <= int(folds)):
        raise UsageError(f"kfold: expected I/K such as 1/5, got {options['kfold']!r}")
    return kfold(subjects, int(folds), options["seed"])[int(fold) - 1]


def _range(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise UsageError(f"intensity: expected LOW:HIGH such as 0.4:1, got {text!r}") from None
    if not 0 <= low <= high <= 1:
        raise UsageError(f"intensity: expected 0 <= LOW <= HIGH <= 1, got {text}")
    return low, high


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"max-reject: expected a share such as 5% or 0.05, got {text!r}")
    return share


def _generator(options: dict[str, Any]) -> Generator:
    from synth.cli.config import make_generator

    if options["face"] == "all":
        raise UsageError("face: expected largest, error or an index, got all; a row is one face")
    return make_generator(options)


def _making(options: dict[str, Any]) -> Making:
    from synth.augment.make import Making
    from synth.nuisance import parse_ranges
    from synth.quality import Gates

    return Making(
        parse_ranges(options["nuisance"]),
        Gates.named(options["gates"]),
        options["redraw"],
        options["image_format"],
        options["quality"],
    )


def _run(
    options: dict[str, Any],
    sources: list[ImageSource],
    generator: Generator,
    making: Making,
    plan: Plan,
    share: float | None,
) -> SetRun:
    from synth.augment.run import SetRun, plan_digest
    from synth.versions import installed

    settings = {k: plain(v) for k, v in sorted(options.items()) if k not in (*RUN, *NOT_KEPT)}
    settings["size"] = generator.size
    assets = dict(generator.digests) | {"plan": plan_digest(plan)}
    if making.gates.needs_embedding:
        from synth.quality import embedder_digests

        assets |= embedder_digests()
    tables = {
        "settings": settings,
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in RUN},
        "assets": assets,
        "versions": installed(),
    }
    return SetRun(
        Path(options["output"]).absolute(), generator, making, plan, tuple(sources), tables,
        options["format"], options["shard_size"], options["workers"], share,
        options["name"] or str(options["output"]).rstrip("/").rpartition("/")[2],
        options["plan"],
    )  # fmt: skip


def _make(run: SetRun, options: dict[str, Any]) -> int:
    from synth.cli.progress import interruptible

    engine = _engine(run, options)
    if url := options["output"] if _is_url(options) else "":
        from synth.distributed import begin_at, finish_at

        jobs, left = begin_at(run, url, options["overwrite"])
    else:
        jobs, left = run.begin(options["overwrite"])
    note = _json_lines if options["log_json"] else (lambda event, **values: None)
    note("begin", shards=len(jobs), left=len(left), pictures=sum(j.rows for j in left))
    start = time.perf_counter()
    with interruptible("leaving the shards in work, which are made again next time") as stop:
        _follow(run.run(left, stop, engine), sum(j.rows for j in left), note,
                options["log_json"])  # fmt: skip
        interrupted = stop()
    seconds = time.perf_counter() - start
    total = run.made + run.rejected + run.skipped
    note("end", made=run.made, rejected=run.rejected, skipped=run.skipped, seconds=seconds)
    click.echo(
        f"{run.made} pictures in {seconds:.1f} s, {total / max(seconds, 1e-9):.1f} a second",
        err=True,
    )
    if run.reasons:
        reasons = ", ".join(f"{name} {n}" for name, n in sorted(run.reasons.items()))
        click.echo(
            f"{run.rejected} refused by the gates, {run.skipped} skipped: {reasons}", err=True
        )
    if interrupted:
        click.echo("interrupted: run the same command again to go on", err=True)
        return 130
    if url:
        finish_at(run, url)
    else:
        run.finish()
    click.echo(f"the set is in {options['output']}; start with its README.md", err=True)
    return 3 if run.skipped else 0


def _engine(run: SetRun, options: dict[str, Any]) -> Any:
    if options["engine"] == "local":
        if options["ray_address"]:
            raise UsageError("ray-address: expected --engine ray with it, got the local engine")
        if _is_url(options):
            raise UsageError(
                f"output: expected a folder, got {options['output']}; an address needs --engine ray"
            )
        return None
    from synth.distributed import ray_engine

    root = options["output"] if _is_url(options) else run.root
    gpus = 1.0 if run.generator.torch_device == "cuda" else 0.0
    return ray_engine(
        run.generator, run.making, root, run.fmt, options["ray_address"], options["workers"], gpus
    )


def _follow(events: Iterable[Any], total: int, note: Callable[..., None], quiet: bool) -> None:
    from tqdm import tqdm

    from synth.augment.pool import Finished

    with tqdm(total=total, unit=" pictures", file=sys.stderr, disable=True if quiet else None,
              leave=False) as bar:  # fmt: skip
        for event in events:
            if isinstance(event, Finished):
                note("shard", shard=event.job.name, **vars(event.result))
            else:
                bar.update(event.pictures)


def _json_lines(event: str, **values: Any) -> None:
    click.echo(json.dumps({"event": event, **values}), err=True)
