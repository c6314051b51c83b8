"""``synth morph``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    config_option,
    options_named,
    with_options,
)


@click.command()
@click.option(
    "--input",
    "-i",
    type=click.Path(path_type=Path),
    metavar="DIR",
    required=True,
    help="Folder of the photos.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="CSV",
    required=True,
    help="Columns file_name, subject, expression and, if wanted, intensity.",
)
@with_options(*options_named(RUN_OPTIONS, "output"))
@click.option(
    "--angles",
    default="10:205:15",
    show_default=True,
    metavar="LOW:HIGH:STEP",
    help="Degrees on the plane, or a list such as 10,70,205.",
)
@click.option(
    "--intensity-step",
    type=float,
    default=0.1,
    show_default=True,
    metavar="STEP",
    help="Between neutral (0) and the apex (1).",
)
@click.option(
    "--background",
    type=click.Choice(["neutral", "morph"]),
    default="neutral",
    show_default=True,
    help="Around the face: the neutral photo's, or all mixed.",
)
@click.option(
    "--refine/--no-refine",
    default=True,
    show_default=True,
    help="Bring fine detail together by optical flow.",
)
@click.option("--originals", is_flag=True, help="Write neutral and the apexes too.")
@click.option(
    "--identity-gate",
    type=float,
    metavar="DISTANCE",
    help="Leave out apexes whose face is farther from the neutral one, such as 0.6.",
)
@with_options(*options_named(PICTURE_OPTIONS, "crop", "size", "format", "quality", "landmarks"))
@with_options(*options_named(PICTURE_OPTIONS, "face"))
@with_options(*options_named(RUN_OPTIONS, "limit", "workers"), config_option)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.pass_context
def morph(ctx: click.Context, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """A person's neutral and apex photos to faces all over the plane (MorphSet).

    \b
    synth morph --input photos/ --labels labels.csv --output morphs/
    synth morph --input nir/ --labels labels.csv --output morphs/ --crop face --size 256
    synth morph --input photos/ --labels labels.csv --angles 10:205:5 --intensity-step 0.2

    A person with neutral and all six basic expressions gets 134 new faces. A run that was
    interrupted goes on when the same command is given again.
    """
    from synth.cli.morphs import dry, run

    if dry_run:
        dry(options, overwrite)
    else:
        ctx.exit(run(options, overwrite))
