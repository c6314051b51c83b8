"""What ``synth morph`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.config import plain
from synth.cli.runner import carry_out
from synth.errors import UsageError
from synth.morph_plan import PeoplePlan
from synth.morphing.people import read_people
from synth.morphing.photos import Morpher, targets_of
from synth.morphing.record import MorphOptions, MorphRecord
from synth.morphing.runs import forget_changed
from synth.morphing.template import make_template
from synth.records import check_output

__all__ = ["dry", "run"]

#: Options that say where and how, not what.
RUN = ("input", "labels", "output", "limit", "workers")


def run(options: dict[str, Any], overwrite: bool) -> int:
    """Make the sets, print the summary; the exit code."""
    plan, maker = _plan(options)
    tables = _tables(options, maker)
    check_output(options["output"], tables, overwrite)
    forget_changed(options["output"], maker.people)
    return carry_out(options, tables, plan, maker, overwrite, MorphRecord.COLUMNS)


def dry(options: dict[str, Any], overwrite: bool) -> None:
    """Print what would be made."""
    plan, maker = _plan(options)
    resumed = check_output(options["output"], _tables(options, maker), overwrite)
    people = maker.people[: options["limit"]]
    counts = [len(maker.cells(person)) if person.neutral else 0 for person in people]
    click.echo(f"{len(people)} people, {sum(counts)} pictures if all photos can be used")
    for person, count in list(zip(people, counts, strict=True))[:5]:
        apexes = ", ".join(person.apexes) or "no basic expression"
        click.echo(f"  {person.subject}: {apexes} -> {count} pictures")
    where = "going on with the run in" if resumed else "in"
    click.echo(f"{where} {options['output']}; nothing was written")


def _plan(options: dict[str, Any]) -> tuple[PeoplePlan, Morpher]:
    if not options["input"] or not Path(options["input"]).is_dir():
        raise UsageError(
            f"input: expected the folder of the photos, got {options['input'] or 'none'}; "
            "give --input DIR"
        )
    people = tuple(read_people(options["labels"], options["input"]))
    template = make_template(options["angles"], options["intensity_step"])
    names = "landmarks face crop size background refine originals identity_gate".split()
    how = MorphOptions(**{name: options[name] for name in names if options[name] is not None})
    options["size"] = how.size
    embedder = None
    if how.identity_gate is not None:
        from synth.quality.embedder import Embedder

        embedder = Embedder()
    maker = Morpher(people, template, how, embedder)
    targets, tags = targets_of(template.cells), tuple(cell.tag for cell in template.cells)
    keys = tuple(person.key for person in people)
    return PeoplePlan(keys, targets, options["limit"], tags, maker), maker


def _tables(options: dict[str, Any], maker: Morpher) -> dict[str, dict[str, Any]]:
    from synth.versions import installed

    assets: dict[str, str] = {}
    if maker.embedder is not None:
        from synth.quality.embedder import embedder_digests

        assets = dict(embedder_digests())
    return {
        "settings": {k: plain(v) for k, v in sorted(options.items()) if k not in RUN},
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in RUN},
        "assets": assets,
        "versions": installed(),
    }
