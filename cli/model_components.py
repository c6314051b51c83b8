"""``synth model components``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--meshes", type=FILE, metavar="DIR|STACK.npy", help="Meshes in correspondence.")
@click.option(
    "--labels",
    type=FILE,
    metavar="CSV",
    help="Labels of a gallery: take each subject's neutral face away instead of the mean.",
)
@click.option(
    "--gallery",
    metavar="FILE|embedded",
    help="Mean faces of the classes instead of meshes: NAME_classes.npz of synth gallery build, "
    "a gallery, or the one that comes along.",
)
@click.option(
    "--output", "-o", required=True, type=FILE, metavar="NPZ", help="File of the components."
)
@click.option(
    "--components", type=int, default=50, show_default=True, metavar="K", help="How many."
)
@click.option(
    "--constraint",
    type=click.Choice(["signed", "non-negative"]),
    default="signed",
    show_default=True,
    help="Weights: the largest absolute one of a component is 1, or they are 0 to 1.",
)
@click.option(
    "--lambda",
    "sparsity",
    type=float,
    metavar="X",
    help="Sparsity; more makes components smaller.  [default: 0.04 a frame]",
)
@click.option(
    "--support",
    type=(float, float),
    metavar="MIN MAX",
    help="Distances along the surface, mm, between which sparsity sets in.  [default: 7 and 25 % "
    "of the mesh's longest side]",
)
@click.option("--strict", is_flag=True, help="Let nothing move beyond MAX.")
@click.option(
    "--frames",
    type=click.IntRange(2),
    default=2000,
    show_default=True,
    metavar="N",
    help="Meshes used at most, spread evenly.",
)
@click.option(
    "--compare",
    default="5,10,20,40",
    show_default=True,
    metavar="K,K",
    help="Numbers of components set against principal ones; none to skip.",
)
@click.option("--overwrite", is_flag=True, help="Replace earlier components.")
def components(
    meshes: Path | None,
    labels: Path | None,
    gallery: str | None,
    output: Path,
    components: int,
    constraint: str,
    sparsity: float | None,
    support: tuple[float, float] | None,
    strict: bool,
    frames: int,
    compare: str,
    overwrite: bool,
) -> None:
    """Sparse localised components of how faces move.

    \b
    synth model components --meshes registered/meshes --labels labels.csv -o comps.npz
    synth model components --gallery embedded -o comps.npz --constraint non-negative

    Each component moves a patch of the face (Neumann et al. 2013). The folder comps.report has
    the error left against as many principal components, as a table, and a picture of all.
    """
    from synth.building.components import (
        COUNTS,
        compare_components,
        component_files,
        gallery_deformations,
        mesh_deformations,
    )
    from synth.building.model_files import check_output, report_folder
    from synth.errors import UsageError
    from synth.image_files import write_atomic
    from synth.images import encode_image
    from synth.morphable.splocs import SplocsSettings
    from synth.preview.components import components_sheet

    check_output(output, overwrite)
    if (meshes is None) == (gallery is None):
        raise UsageError("meshes: expected --meshes or --gallery, got both or neither")
    if labels is not None and meshes is None:
        raise UsageError("labels: expected --meshes with it, got none; leave it out")
    settings = SplocsSettings(constraint, sparsity, support, strict)
    try:
        counts = [int(text) for text in compare.split(",")] if compare != "none" else []
    except ValueError:
        counts = [0]
    if any(n < 1 for n in counts):
        raise UsageError(f"compare: expected numbers as {COUNTS} or none, got {compare!r}")
    if gallery is None:
        assert meshes is not None  # one of the two, see above
        given = mesh_deformations(meshes, labels, frames)
    else:
        from synth.assets import path

        given = gallery_deformations(path("va_gallery") if gallery == "embedded" else gallery)
    click.echo(given.note, err=True)
    with click.progressbar(length=1, label="searching", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        found, rows = compare_components(given, components, settings, counts, progress)
    files = component_files(given, found, rows)
    shown = min(30, len(found))
    title = f"{len(found)} components, {constraint}" + (
        "" if shown == len(found) else f"; the {shown} strongest"
    )
    files["components.png"] = encode_image(components_sheet(found, shown, title=title), "png")
    report = report_folder(output)
    report.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomic(report / name, content)
    found.save(output)
    click.echo(files["components.md"].decode())
    click.echo(f"components in {output}, report in {report}", err=True)
