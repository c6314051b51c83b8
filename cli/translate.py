"""``synth translate``."""

from __future__ import annotations

from typing import Any

import click

from synth.cli.params import (
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    STYLE_OPTIONS,
    TRANSLATOR_OPTIONS,
    config_option,
    options_named,
    with_options,
)


@click.command()
@click.option("--to", type=click.Choice(["nir", "vis"]), required=True,
              help="Near infrared, or visible light.")  # fmt: skip
@with_options(*RUN_OPTIONS[:3], *TRANSLATOR_OPTIONS)
@with_options(*options_named(PICTURE_OPTIONS, "format", "quality", "landmarks"))
@with_options(*options_named(STYLE_OPTIONS, "seed"), *RUN_OPTIONS[3:], config_option)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.pass_context
def translate(ctx: click.Context, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """Photos from visible light to near infrared, or back.

    \b
    synth translate --to nir --input photos/ --output nir/
    synth translate --to nir --input synth-out/images --output nir/
    synth translate --to vis --input nir-photos/ --output vis/
    synth translate --to nir --method sde --weights run/score.safetensors --input photos/

    Labels of pictures that synth made pass on. A run that was interrupted goes on when
    the same command is given again.
    """
    from synth.cli.translations import dry, run

    if dry_run:
        dry(options, overwrite)
    else:
        ctx.exit(run(options, overwrite))
