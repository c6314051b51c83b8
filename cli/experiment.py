"""``synth experiment``."""

from __future__ import annotations

from pathlib import Path

import click

from synth.cli.lazy import TableGroup

__all__ = ["experiment"]

#: Experiment that is code -> module with a command ``run_it``, and what it asks.
EXPERIMENTS = {
    "nir-known-truth": (
        "synth.cli.experiment_known_truth",
        "VIS to NIR translators on pairs with known truth: PSNR, SSIM, ablation of NFER-SDE",
    ),
    "own-data": (
        "synth.cli.experiment_own_data",
        "Scans of known truth through every command, to a model and gallery of one's own",
    ),
}


class RunGroup(TableGroup):
    """The experiments of the table, those that come as files, and files of the user."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from synth.experiments.files import available

        return [*super().list_commands(ctx), *available()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.table:
            return super().get_command(ctx, cmd_name)
        from synth.cli.experiment_run import run_command
        from synth.experiments.files import available, load_definition

        definition = load_definition(cmd_name)  # says which there are
        return run_command(cmd_name, definition.title if cmd_name in available() else "")


@click.group()
def experiment() -> None:
    """Experiments of the documentation, to be run again by anybody."""


@experiment.command("list")
def list_experiments() -> None:
    """Names of the experiments, and what each asks."""
    from synth.experiments.files import available, load_definition

    for name, (_, what) in EXPERIMENTS.items():
        click.echo(f"{name}  {what}")
    for name in available():
        click.echo(f"{name}  {load_definition(name).title}")


@experiment.group(
    cls=RunGroup, table={name: f"{module}:run_it" for name, (module, _) in EXPERIMENTS.items()}
)
def run() -> None:
    """Run an experiment; an interrupted one goes on when the command is repeated.

    NAME is one of those below, or a TOML file of your own (docs/experiments.md).
    """


@experiment.command()
@click.argument("output", metavar="DIR", type=click.Path(path_type=Path))
def report(output: Path) -> None:
    """Write report.md and the figures of a run again, from its tables alone."""
    from synth.experiments.report import write_report

    click.echo(write_report(output).read_text("utf-8"))
