"""``synth model texture``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    description_options,
    options_named,
    with_options,
)

FILE = click.Path(path_type=Path)


@click.command()
@with_options(*options_named(RUN_OPTIONS, "input", "recursive"))
@click.option(
    "--output",
    "-o",
    type=FILE,
    required=True,
    metavar="NPZ",
    help="The texture model; its report goes beside it.",
)
@with_options(*options_named(PICTURE_OPTIONS, "model", "landmarks"))
@click.option(
    "--feature",
    type=click.Choice(["grey", "rgb", "igo", "orientations"]),
    default="orientations",
    show_default=True,
    help="What is sampled.",
)
@click.option(
    "--scale",
    type=float,
    default=96.0,
    show_default=True,
    metavar="PX",
    help="Between the outer eye corners where features are taken.",
)
@click.option(
    "--spacing",
    type=float,
    default=0.036,
    show_default=True,
    help="Of the places on the face, in inter-ocular distances.",
)
@click.option(
    "--modes", type=int, default=40, show_default=True, metavar="K", help="At most so many."
)
@click.option(
    "--variance",
    type=float,
    default=0.99,
    show_default=True,
    metavar="SHARE",
    help="Of the variance to keep.",
)
@click.option(
    "--mirror/--no-mirror",
    default=True,
    show_default=True,
    help="Learn from mirror images as well.",
)
@click.option(
    "--robust/--plain",
    default=True,
    show_default=True,
    help="Robust PCA, or the mean where nothing is seen.",
)
@click.option(
    "--penalty",
    type=float,
    default=2.0,
    show_default=True,
    help="Of gross errors, in units of 1 / sqrt(photos or values).",
)
@click.option(
    "--subjects",
    default="stem:.+",
    show_default=True,
    metavar="HOW",
    help="Who is on a photo: stem:REGEX (photos of one file name show one person), each, "
    "parent, or a CSV with the columns file_name, subject.",
)
@click.option(
    "--held-out",
    type=FILE,
    metavar="TXT",
    help="People or photos to measure on and not to learn from, a name a line.",
)
@with_options(*description_options("photos"))
@with_options(*options_named(RUN_OPTIONS, "workers"))
@click.option("--overwrite", is_flag=True, help="Replace an earlier model.")
@click.pass_context
def texture(
    ctx: click.Context, input: tuple[str, ...], recursive: bool, output: Path,
    model: Path | None, landmarks: str, subjects: str, held_out: Path | None,
    name: str | None, version: str, licence: str, source: str, workers: int, overwrite: bool,
    **settings: Any,
) -> None:  # fmt: skip
    """Build an in-the-wild texture model from photos, for dense fitting.

    \b
    synth model texture --input photos/ -o texture.npz
    synth model texture --input neutral/ --input smiling/ --held-out test.txt -o texture.npz

    Each photo is fitted by its landmarks and features are sampled where its face is seen;
    robust PCA with missing values cleans them. Photos of at least eight people are needed. The
    folder texture.report holds report.md, modes.png, errors.csv and skipped.csv.
    """
    from tqdm import tqdm

    from synth.building.model_files import check_output, report_folder
    from synth.building.texture import TextureSettings
    from synth.building.texture_files import (
        model_on_rig,
        photos_to_texture,
        read_held_out,
        write_texture,
    )
    from synth.images import find_images
    from synth.plans.subjects import subject_of

    check_output(output, overwrite)
    chosen = TextureSettings(**settings)
    sources = find_images(input, recursive)
    people = subject_of(sources, subjects)
    apart = None if held_out is None else read_held_out(held_out)
    rig = model_on_rig(model)
    with tqdm(
        total=len(sources), unit=" photos", file=sys.stderr, disable=None, leave=False
    ) as bar:
        built = photos_to_texture(
            sources, people, rig, chosen, apart, name or output.stem, version,
            {"licence": licence, "source": source}, landmarks, workers,
            lambda done: bar.update(done - bar.n) and None,
        )  # fmt: skip
    write_texture(built, output)
    made = built.texture
    click.echo(
        f"{made.n_modes} modes of {made.feature} at {len(made.mean)} places, from "
        f"{made.meta['photos']} photos of {made.meta['people']} people"
    )
    if built.held_out:
        click.echo(f"{built.errors[-1][2]:.1%} of the variance left on {built.held_out} held out")
    for skip in built.skips[:3]:
        click.echo(f"skipped {skip.source}: {skip.reason}: {skip.message}", err=True)
    if built.skips:
        click.echo(f"{len(built.skips)} skipped; see {report_folder(output)}/skipped.csv", err=True)
    click.echo(f"texture in {output}, report in {report_folder(output)}")
    ctx.exit(3 if built.skips else 0)
