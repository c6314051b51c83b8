"""``synth experiment``."""

from __future__ import annotations

import click

from synth.cli.lazy import TableGroup

__all__ = ["experiment"]

#: Experiment -> module with a command ``run_it``, and what it asks.
EXPERIMENTS = {
    "nir-known-truth": (
        "synth.cli.experiment_known_truth",
        "VIS to NIR translators on pairs with known truth: PSNR, SSIM, ablation of NFER-SDE",
    ),
}


@click.group()
def experiment() -> None:
    """Experiments of the documentation, to be run again by anybody."""


@experiment.command("list")
def list_experiments() -> None:
    """Names of the experiments, and what each asks."""
    for name, (_, what) in EXPERIMENTS.items():
        click.echo(f"{name}  {what}")


@experiment.group(
    cls=TableGroup, table={name: f"{module}:run_it" for name, (module, _) in EXPERIMENTS.items()}
)
def run() -> None:
    """Run an experiment; an interrupted one goes on when the command is repeated."""
