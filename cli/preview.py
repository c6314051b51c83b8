"""``synth preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    LOOKUP_OPTION,
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    STYLE_OPTIONS,
    options_named,
    with_options,
)

#: What this command adds.
SHEET_OPTIONS = (
    click.option("--gallery", is_flag=False, flag_value="", default=None, metavar="[FILE]",
                 help="Draw an expression gallery, the embedded one when no FILE is named; with "
                      "--input: take the faces from FILE."),
    click.option("--output", "-o", type=click.Path(path_type=Path), metavar="PATH",
                 help="PNG or JPEG file; for several photos a folder.  [default: preview.png, the "
                      "folder preview or gallery.png]"),
    click.option("--grid", type=int, default=7, show_default=True, metavar="N",
                 help="Faces along the axes: odd, 3 to 15."),
    click.option("--face-size", type=int, metavar="N",
                 help="Of each face in pixels.  [default: 160, in a gallery 128]"),
    click.option("--intensity", type=float, default=1.0, show_default=True, metavar="0..1",
                 help="Of the basic expressions."),
)  # fmt: skip
#: What it has in common with `generate`.
SHARED_OPTIONS = (
    *options_named(STYLE_OPTIONS, "style", "seed"),
    LOOKUP_OPTION,
    *options_named(PICTURE_OPTIONS, "landmarks", "fit", "texture", "neutralise", "face"),
    *options_named(PICTURE_OPTIONS, "composite", "model"),
    *options_named(PICTURE_OPTIONS, "allow_non_neutral"),
)


@click.command()
@with_options(*options_named(RUN_OPTIONS, "input", "recursive"), *SHEET_OPTIONS, *SHARED_OPTIONS)
@click.option("--overwrite", is_flag=True, help="Replace files of the same name.")
@click.pass_context
def preview(ctx: click.Context, **options: Any) -> None:
    """One picture of what generate would make of a photo.

    \b
    synth preview --input photo.jpg --output preview.png
    synth preview --input neutral/ --output previews/ --style 7
    synth preview --gallery --output gallery.png

    The circumplex as a grid of the same face, valence to the right and arousal up, with
    the photo in the middle; below it the basic expressions. Of a gallery: its VA classes,
    how full they are, and mean faces.
    """
    from synth.cli.sheets import draw_gallery, draw_photos

    if options["input"]:
        ctx.exit(draw_photos(options))
    draw_gallery(options)
