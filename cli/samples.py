"""``synth samples``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace files of the same name.")
def samples(directory: Path, overwrite: bool) -> None:
    """Copy the bundled sample portraits to DIRECTORY, with their licences."""
    from synth.samples import copy_samples

    written = copy_samples(directory, overwrite)
    click.echo(f"{len(written)} portraits in {directory}; licences in {directory / 'LICENCES.txt'}")
