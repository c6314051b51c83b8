"""``synth train``."""

from __future__ import annotations

import click

from synth.cli.lazy import TableGroup

__all__ = ["train"]

#: Command -> its module.
COMMANDS = {
    "cyclegan": "synth.cli.train_cyclegan",
    "fer": "synth.cli.train_fer",
    "ganmut": "synth.cli.train_ganmut",
    "sde": "synth.cli.train_sde",
}


@click.group(cls=TableGroup, table=COMMANDS)
def train() -> None:
    """Train networks on your own pictures; an interrupted run goes on when repeated."""
