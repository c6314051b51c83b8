"""Groups whose commands are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

__all__ = ["TableGroup"]


class TableGroup(click.Group):
    """A group with the commands of a table, in its order.

    Parameters
    ----------
    table : mapping of str to str
        Command -> its module, with ``:NAME`` behind it where it is called otherwise there.
    """

    def __init__(self, *args: object, table: Mapping[str, str], **attributes: object) -> None:
        super().__init__(*args, **attributes)  # type: ignore[arg-type]
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, name = self.table[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name or cmd_name)
        return command
