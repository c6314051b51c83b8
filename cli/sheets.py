"""What ``synth preview`` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.errors import UsageError

__all__ = ["draw_gallery", "draw_photos"]


def draw_photos(options: dict[str, Any]) -> int:
    """A sheet for every photo; the exit code."""
    from synth.cli.config import make_generator
    from synth.images import find_images
    from synth.preview import (
        Preview,
        is_one_photo,
        picture_file,
        preview_files,
        preview_or_skip,
        refuse_taken,
        render_size,
        write_sheet,
    )
    from synth.records import Skip

    if options["gallery"] == "":
        raise UsageError(
            "gallery: expected a file beside --input, got none; leave one of the two out"
        )
    if options["face"] == "all":
        raise UsageError("face: expected largest, error or an index, got all")
    side = 160 if options["face_size"] is None else options["face_size"]
    wanted = Preview(options["grid"], side, options["intensity"], options["style"])
    sources = find_images(options["input"], options["recursive"])
    if is_one_photo(options["input"]):
        files = [picture_file(options["output"] or Path("preview.png"))]
    else:
        files = preview_files(sources, options["output"] or Path("preview"))
    refuse_taken(files, options["overwrite"])
    fixed = {"crop": "face", "size": render_size(side), "backend": "numba", "device": "cpu"}
    generator = make_generator(options | fixed)
    generator.preload()
    skipped = 0
    for source, file in zip(sources, files, strict=True):
        sheet = preview_or_skip(generator, source, wanted)
        if isinstance(sheet, Skip):
            skipped += 1
            click.echo(f"skipped {source.name}: {sheet.reason}: {sheet.message}", err=True)
        else:
            write_sheet(file, sheet.pixels, sheet.record)
            click.echo(str(file))
    return 3 if skipped else 0


def draw_gallery(options: dict[str, Any]) -> None:
    """The sheet of the gallery asked for."""
    import synth
    from synth.parts import Parts
    from synth.preview import gallery_sheet, picture_file, refuse_taken, write_sheet

    if options["gallery"] is None:
        raise UsageError(
            "input: expected a photo or a folder, got none; give --input PATH, or --gallery"
        )
    own = options["gallery"]
    if own and not Path(own).is_file():
        raise UsageError(f"gallery: expected a file, got {own}, which does not exist")
    side = 128 if options["face_size"] is None else options["face_size"]
    if not 32 <= side <= 512:
        raise UsageError(f"face-size: expected 32 to 512 pixels, got {side}")
    file = picture_file(options["output"] or Path("gallery.png"))
    refuse_taken([file], options["overwrite"])
    parts = Parts(model=options["model"], gallery=own or None)
    gallery, model = parts.expressions, parts.morphable
    words = f"expression gallery \N{MIDDLE DOT} synth {synth.__version__}"
    name = Path(own).name if own else "embedded gallery"
    write_sheet(file, gallery_sheet(gallery, model, name, words, side))
    click.echo(str(file))
