"""What commands that make pictures of photos do with their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.errors import UsageError

if TYPE_CHECKING:
    from synth.batch import Maker, Plan
    from synth.targets import Target

__all__ = ["carry_out", "dry", "run"]

Tables = dict[str, dict[str, Any]]


def _plan(options: dict[str, Any], targets: tuple[Target, ...], tags: tuple[str, ...] = ()) -> Plan:
    from synth.batch import Plan
    from synth.images import find_images

    if not options["input"]:
        raise UsageError("input: expected a photo or a folder, got none; give --input PATH")
    sources = find_images(options["input"], options["recursive"])
    return Plan(tuple(sources), targets, options["limit"], tags)


def dry(
    options: dict[str, Any],
    tables: Tables,
    targets: tuple[Target, ...],
    overwrite: bool,
    tags: tuple[str, ...] = (),
) -> None:
    """Print what a run would make."""
    from synth.records import check_output

    plan = _plan(options, targets, tags)
    resumed = check_output(options["output"], tables, overwrite)
    photos = len(plan.chosen)
    click.echo(f"{photos} photos x {len(targets)} targets = {photos * len(targets)} pictures")
    for job in list(plan.jobs())[:3]:
        click.echo(f"  {job.source.name} -> {job.stem}_{job.tags[0]}, ...")
    where = "going on with the run in" if resumed else "in"
    click.echo(f"{where} {options['output']}; nothing was written")


def run(
    options: dict[str, Any],
    tables: Tables,
    targets: tuple[Target, ...],
    maker: Maker,
    overwrite: bool,
    tags: tuple[str, ...] = (),
    columns: tuple[str, ...] = (),
) -> int:
    """Make the pictures, print the summary; the exit code.

    Parameters
    ----------
    options, tables : dict
        Of the command, and for ``run.toml``.
    targets : tuple of Target
    maker : Maker
        `synth.pipeline.Generator` or another route.
    overwrite : bool
    tags : tuple of str
        Ends of the file names, see `synth.batch.Plan`.
    columns : tuple of str
        Of ``metadata.csv``, where they are not those of `Record`.
    """
    from synth.types import Record

    plan = _plan(options, targets, tags)
    columns = columns or (Record.FRAME_COLUMNS if targets[0].moment else Record.COLUMNS)
    code = carry_out(options, tables, plan, maker, overwrite, columns)
    if options.get("video") and code != 130:
        _videos(options["output"], targets)
    return code


def carry_out(
    options: dict[str, Any],
    tables: Tables,
    plan: Plan,
    maker: Maker,
    overwrite: bool,
    columns: tuple[str, ...],
) -> int:
    """Make the pictures of a plan, print the summary; the exit code."""
    from synth.batch import Output, generate_files
    from synth.cli.progress import Tally, follow, interruptible
    from synth.records import RunWriter

    output = Output(options["output"], options["format"], options["quality"])
    sources = {source.name: source.path for source in plan.chosen}
    maker.preload()
    tally = Tally()
    with (
        interruptible() as stop,
        RunWriter(output.root, tables, sources, overwrite, columns) as writer,
    ):
        already = len(writer)
        total = sum(len(job.targets) for job in plan.jobs(writer))
        events = generate_files(maker, plan, output, writer, options["workers"], stop)
        follow(events, total, tally)
        interrupted = stop()
    click.echo(tally.summary(output.root, already, interrupted), err=True)
    return 130 if interrupted else 3 if tally.skipped else 0


def _videos(root: Path, targets: tuple[Target, ...]) -> None:
    from synth.records import VIDEOS
    from synth.sequence_videos import write_videos

    if made := len(list(write_videos(root, targets))):
        click.echo(f"{made} video{'' if made == 1 else 's'} in {root / VIDEOS}", err=True)
