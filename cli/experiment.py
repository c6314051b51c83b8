"""``synth experiment``."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["experiment"]

#: Experiment -> module with a command ``run_it``, and what it asks.
EXPERIMENTS = {
    "nir-known-truth": (
        "synth.cli.experiment_known_truth",
        "VIS to NIR translators on pairs with known truth: PSNR, SSIM, ablation of NFER-SDE",
    ),
}


class RunGroup(click.Group):
    """Loads an experiment's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(EXPERIMENTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in EXPERIMENTS:
            return None
        command: click.Command = import_module(EXPERIMENTS[cmd_name][0]).run_it
        return command


@click.group()
def experiment() -> None:
    """Experiments of the documentation, to be run again by anybody."""


@experiment.command("list")
def list_experiments() -> None:
    """Names of the experiments, and what each asks."""
    for name, (_, what) in EXPERIMENTS.items():
        click.echo(f"{name}  {what}")


@experiment.group(cls=RunGroup)
def run() -> None:
    """Run an experiment; an interrupted one goes on when the command is repeated."""
