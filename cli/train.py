"""``synth train``."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["train"]

#: Command -> its module and what it trains.
COMMANDS = {
    "cyclegan": "synth.cli.train_cyclegan",
    "ganmut": "synth.cli.train_ganmut",
    "sde": "synth.cli.train_sde",
}


class TrainGroup(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=TrainGroup)
def train() -> None:
    """Train networks on your own pictures; an interrupted run goes on when repeated."""
