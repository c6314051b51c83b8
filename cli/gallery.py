"""``synth gallery``."""

from __future__ import annotations

import click

from synth.cli.lazy import TableGroup

__all__ = ["gallery"]

#: Command -> its module.
COMMANDS: dict[str, str] = {
    "annotate-check": "synth.cli.gallery_annotate_check:annotate_check",
    "build": "synth.cli.gallery_build:build",
}


@click.group(cls=TableGroup, table=COMMANDS)
def gallery() -> None:
    """Your own expression galleries: check annotations, build."""
