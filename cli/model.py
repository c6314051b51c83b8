"""``synth model``."""

from __future__ import annotations

import click

from synth.cli.lazy import TableGroup

__all__ = ["model"]

#: Command -> its module.
COMMANDS: dict[str, str] = {
    "import": "synth.cli.model_import:import_",
    "info": "synth.cli.model_info",
    "register": "synth.cli.model_register",
    "build": "synth.cli.model_build",
    "components": "synth.cli.model_components",
    "texture": "synth.cli.model_texture",
}


@click.group(cls=TableGroup, table=COMMANDS)
def model() -> None:
    """Your own morphable models: import, register scans, build; textures, components."""
