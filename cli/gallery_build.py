"""``synth gallery build``."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--meshes",
    type=PATH,
    required=True,
    metavar="DIR|STACK.npy",
    help="Registered meshes, millimetres.",
)
@click.option(
    "--labels",
    type=PATH,
    required=True,
    metavar="FILE",
    help="CSV: file_name, subject, valence, arousal[, expression].",
)
@click.option(
    "--model",
    type=PATH,
    required=True,
    metavar="FILE",
    help="Morphable model on the meshes' topology.",
)
@click.option("--output", "-o", type=PATH, required=True, metavar="FILE", help="The gallery, .npz.")
@click.option(
    "--classes",
    type=click.IntRange(2),
    default=550,
    show_default=True,
    help="Ward classes, neutral included.",
)
@click.option(
    "--components",
    type=click.FloatRange(0, min_open=True),
    default=0.999,
    show_default=True,
    help="Components of the basis, or the share that they keep.",
)
@click.option(
    "--align/--no-align", default=True, show_default=True, help="Take the motion of the head out."
)
@click.option("--square", is_flag=True, help="Ratings are points of the square, not the disc.")
@click.option(
    "--min-subjects",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Join classes of fewer subjects to a neighbour.",
)
@click.option(
    "--bound",
    type=click.FloatRange(0, min_open=True),
    default=0.1,
    show_default=True,
    help="Drawn mean faces may differ by this, mm rms.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of the sample that gives the basis.",
)
@click.option(
    "--samples/--no-samples",
    default=True,
    show_default=True,
    help="Store frames of the people, for person styles.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier gallery.")
def build(
    meshes: Path,
    labels: Path,
    model: Path,
    output: Path,
    classes: int,
    components: float,
    align: bool,
    square: bool,
    min_subjects: int,
    bound: float,
    seed: int,
    samples: bool,
    overwrite: bool,
) -> None:
    """A gallery of your own registered meshes with ratings.

    \b
    synth gallery build --meshes scans/meshes --labels labels.csv --model mine.npz -o gallery.npz

    Subtracts every subject's own neutral face (frames whose expression is neutral), clusters
    valence and arousal with Ward's method, and gives every class its mean face, a blendshape
    model and a report of how much of one subject it still shows. Writes the gallery for
    synth generate --gallery, the classes on your own mesh (NAME_classes.npz) and NAME_report/.

    The gallery also stores, as weights, up to 24 frames a class for person styles (augment,
    generate --samples and --style). A style is one subject's way of showing affect:
    --no-samples leaves them out.
    """
    from tqdm import tqdm

    from synth.archives import check_writable
    from synth.building.gallery import (
        GallerySettings,
        beside,
        build_gallery,
        read_inputs,
        write_gallery,
    )
    from synth.errors import UsageError
    from synth.morphable.landmark_map import embedded_model

    for name, value in (("components", components), ("bound", bound)):
        if not math.isfinite(value):
            raise UsageError(f"{name}: expected a finite number, got {value}")
    settings = GallerySettings(
        classes, components, align, square, min_subjects, bound, seed, samples
    )
    if output.suffix.lower() != ".npz":
        raise UsageError(f"output: expected a file .npz, got {output}")
    for path in (output, *beside(output)):
        if os.path.lexists(path) and not overwrite:
            raise UsageError(f"output: expected new files, got {path}; use --overwrite")
    check_writable(output)
    collection, ratings, native = read_inputs(meshes, labels, model, square)
    rig = embedded_model()
    with tqdm(
        total=len(collection), unit=" frames", file=sys.stderr, disable=None, leave=False
    ) as bar:
        built = build_gallery(collection, ratings, native, rig, settings, bar.update)
    source = f"{len(collection)} meshes of {len(ratings.subjects)} subjects ({meshes.name})"
    found, report = write_gallery(built, output, settings, source)
    flagged = int(built.leak.flagged.sum())
    stored = f"{len(built.frames.weights)} frames stored for styles, " if samples else ""
    click.echo(
        f"{len(built.classes)} classes of {len(collection)} frames, {len(built.split.own)} own "
        f"blendshapes, {stored}{flagged} classes flagged for identity: {output}, {found}, "
        f"{report / 'report.md'}"
    )
