"""``synth edit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    STYLE_OPTIONS,
    ExpressionType,
    TargetType,
    config_option,
    options_named,
    with_options,
)

#: What to edit each face into.
EDIT_OPTIONS = (
    click.option("--theta", type=float, multiple=True, metavar="DEGREES",
                 help="Which emotion, 0 to below 360; repeat for more."),
    click.option("--expression", type=ExpressionType(), multiple=True,
                 help="By name: anger, disgust, fear, happiness, sadness, surprise, contempt or "
                      "neutral; repeat for more."),
    click.option("--va", type=TargetType(), multiple=True,
                 help="By valence and arousal, for example 0.5,0.3; repeat for more."),
    click.option("--rho", multiple=True, metavar="LOW[:HIGH]",
                 help="How strong, 0 to 1; of a range each picture draws its own.  "
                      "[default: by expression, see docs/editing.md]"),
    click.option("--samples", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                 help="Pictures per target, each with a strength of its own."),
)  # fmt: skip

#: How the edited face is put back.
PASTE_OPTIONS = (
    click.option("--no-color-transfer", is_flag=True,
                 help="Keep the network's colours instead of the photo's."),
    click.option("--no-alpha", is_flag=True, help="Paste the square without blending its border."),
    click.option("--margin", type=float, metavar="TIMES",
                 help="Side of the square, in larger sides of the landmarks' box.  "
                      "[default: the network's own]"),
    click.option("--border", type=float, default=0.12, show_default=True, metavar="SHARE",
                 help="Width of the blended border, of the square's side."),
    click.option("--weights", type=click.Path(path_type=Path), metavar="FILE",
                 help=".safetensors of synth train ganmut, or a checkpoint of the authors' code.  "
                      "[default: the embedded one]"),
)  # fmt: skip


@click.command()
@with_options(*RUN_OPTIONS[:3], *EDIT_OPTIONS, *PASTE_OPTIONS)
@with_options(*options_named(PICTURE_OPTIONS, "format", "quality", "landmarks", "face"))
@with_options(*options_named(STYLE_OPTIONS, "seed"), *RUN_OPTIONS[3:], config_option)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and make nothing.")
@click.pass_context
def edit(ctx: click.Context, overwrite: bool, dry_run: bool, **options: Any) -> None:
    """Photos with the expression edited by a GANmut-style network.

    \b
    synth edit --theta 30 --rho 0.8 --input photos/ --output out/
    synth edit --expression happiness --rho 0.4:0.9 --samples 3 --input photos/
    synth edit --va 0.5,0.3 --input photos/
    synth edit --config examples/synface_v.toml --input photos/

    A run that was interrupted goes on when the same command is given again.
    """
    from synth.cli.edits import dry, run

    if dry_run:
        dry(ctx, options, overwrite)
    else:
        ctx.exit(run(ctx, options, overwrite))
