"""``synth sequence``."""

from __future__ import annotations

from typing import Any

import click

from synth.cli.params import (
    PATH_OPTIONS,
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    STYLE_OPTIONS,
    config_option,
    with_options,
)


@click.command()
@with_options(*RUN_OPTIONS[:3], *PATH_OPTIONS, *STYLE_OPTIONS, *PICTURE_OPTIONS, *RUN_OPTIONS[3:])
@config_option
@click.option("--video", is_flag=True, help="An MP4 and an animated WebP of each sequence too.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.pass_context
def sequence(ctx: click.Context, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """Frames of the people in neutral photos, along a path of affect.

    \b
    synth sequence --path onset-apex-offset:0.8,0.3 --input neutral/ --output out/
    synth sequence --path waypoints.csv --path circle:0.8 --input photo.jpg --video
    synth sequence --path surprise --fps 60 --seconds 3 --blinks --input neutral/

    A run that was interrupted goes on when the same command is given again.
    """
    from synth.cli.config import (
        make_generator,
        run_tables,
        sequence_targets,
        wanted_tracks,
        waypoint_files,
    )
    from synth.cli.runner import dry, run

    generator = make_generator(options)
    tracks = wanted_tracks(ctx, generator)
    targets = sequence_targets(tracks, options["samples"], options["style"])
    generator.refuse_styles(any(t.sample or t.style is not None for t in targets))
    tables = run_tables(options, generator, targets)
    tables["assets"] |= waypoint_files(options["path"])
    if dry_run:
        dry(options, tables, targets, overwrite)
    else:
        ctx.exit(run(options, tables, targets, generator, overwrite))
