"""``synth evaluate``."""

from __future__ import annotations

import click

from synth.cli.lazy import TableGroup

__all__ = ["evaluate"]

#: Command -> its module.
COMMANDS = {
    "fer": "synth.cli.evaluate_fer",
    "detectors": "synth.cli.evaluate_detectors",
    "concordance": "synth.cli.evaluate_concordance",
    "translation": "synth.cli.evaluate_translation",
}


@click.group(cls=TableGroup, table=COMMANDS)
def evaluate() -> None:
    """Reports on pictures: how good they are, measured."""
