"""``synth generate``."""

from __future__ import annotations

from typing import Any

import click

from synth.cli.params import (
    LOOKUP_OPTION,
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    STYLE_OPTIONS,
    TARGET_OPTIONS,
    config_option,
    with_options,
)


@click.command()
@with_options(*RUN_OPTIONS[:3], *TARGET_OPTIONS, LOOKUP_OPTION, *STYLE_OPTIONS)
@with_options(*PICTURE_OPTIONS, *RUN_OPTIONS[3:], config_option)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.pass_context
def generate(ctx: click.Context, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """Pictures of the people in neutral photos, with the affect asked for.

    \b
    synth generate --va 0.5,0.3 --input neutral/ --output out/
    synth generate --va -0.5,0.3 --va-grid 5 --input photo.jpg --crop face
    synth generate --expression happiness --intensity 0.5 --intensity 1 --input neutral/
    synth generate --va 0.8,0.2 --samples 5 --au 12:0.8,6:0.5 --input neutral/

    A run that was interrupted goes on when the same command is given again.
    """
    from synth.cli.config import make_generator, run_tables, wanted_targets
    from synth.cli.runner import dry, run

    targets = wanted_targets(ctx)
    generator = make_generator(options)
    generator.refuse_styles(any(t.sample or t.style is not None for t in targets))
    tables = run_tables(options, generator, targets)
    if dry_run:
        dry(options, tables, targets, overwrite)
    else:
        ctx.exit(run(options, tables, targets, generator, overwrite))
