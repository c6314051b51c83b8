"""``synth model info``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["info"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="NPZ")
def info(file: Path) -> None:
    """What a model file holds: name, licence, source, sizes, landmarks, variance."""
    from synth.building.importing import describe
    from synth.morphable.model import load_model

    for line in describe(load_model(file)):
        click.echo(line)
