"""``synth evaluate``."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["evaluate"]

#: Command -> its module.
COMMANDS = {
    "translation": "synth.cli.evaluate_translation",
}


class EvaluateGroup(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name]), cmd_name)
        return command


@click.group(cls=EvaluateGroup)
def evaluate() -> None:
    """Reports on pictures: how good they are, measured."""
