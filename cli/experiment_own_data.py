"""``synth experiment run own-data``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

__all__ = ["run_it"]


@click.command("own-data")
@click.option("--size", default="small", show_default=True,
              type=click.Choice(["tiny", "small", "full"]),
              help="tiny tries it out, small is for a laptop, full for a day.")  # fmt: skip
@click.option("--output", "-o", default="own-data", show_default=True, metavar="DIR",
              type=click.Path(path_type=Path), help="Folder of the run.")  # fmt: skip
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), metavar="N")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def run_it(size: str, output: Path, workers: int, seed: int) -> None:
    """Scans of known truth through every command, to your own model and gallery.

    \b
    synth experiment run own-data -o own-data/

    Makes raw scans of people drawn from the embedded model, with annotators; registers them,
    checks the annotations, builds model, gallery and components, makes pictures, and compares
    each stage with the truth. Every command is printed as it is run. Writes report.md,
    results.csv, scores.json and sheet.jpg; the same command goes on where it was stopped.
    """
    from synth.evaluation.own_data import commands, make_known_scans, score
    from synth.evaluation.own_data_report import write_report
    from synth.evaluation.scans_truth import SIZES
    from synth.samples import SAMPLES, copy_samples

    plan = SIZES[size]
    make_known_scans(output, plan, seed, lambda line: click.echo(line, err=True))
    copy_samples(output / "portraits")
    typed = []
    for made, words in commands(output, plan, workers):
        typed.append("synth " + shlex.join(words))
        click.echo(f"$ {typed[-1]}", err=True)
        if not made.exists():
            run_command(words)
    photos = [output / "portraits" / s.name for s in SAMPLES if s.neutral]
    scores, sheet = score(output, photos[: plan.photos])
    click.echo(write_report(output, scores, sheet, typed))


def run_command(words: list[str]) -> None:
    """Run ``synth WORDS`` in this process; its errors are this command's."""
    from synth.cli import cli

    try:
        cli.main(words, prog_name="synth", standalone_mode=False)
    except click.exceptions.Exit as done:
        if done.exit_code not in (0, 3):  # 3: some inputs were skipped, and are reported
            raise
