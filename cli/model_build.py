"""``synth model build``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from synth.cli.params import description_options, with_options

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--meshes",
    type=FILE,
    required=True,
    metavar="DIR|NPY",
    help="Folder of meshes in correspondence, or a stack (N, V, 3).",
)
@click.option(
    "--output",
    "-o",
    type=FILE,
    required=True,
    metavar="NPZ",
    help="The model; its report goes beside it.",
)
@click.option(
    "--template",
    type=FILE,
    metavar="NPZ",
    help="Model on the meshes' topology, for its landmarks.  [default: template.npz "
    "beside the meshes]",
)
@click.option(
    "--landmarks",
    type=FILE,
    metavar="MAP",
    help="Or a map of iBUG-68: a landmark and its vertex on each line.",
)
@click.option(
    "--labels",
    type=FILE,
    metavar="CSV",
    help="file_name, subject and expression: takes the neutral meshes, and knows whose they are.",
)
@click.option(
    "--variance",
    type=float,
    default=0.995,
    show_default=True,
    metavar="SHARE",
    help="Of the variance to keep.",
)
@click.option("--modes", type=int, metavar="K", help="Modes to keep instead.")
@click.option(
    "--scale/--no-scale",
    default=False,
    show_default=True,
    help="Make heads equal in size; the model is then not metric.",
)
@click.option(
    "--folds", type=int, default=5, show_default=True, help="Of the cross-validation over subjects."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Of folds and random faces in the curves; the model needs none.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0.05),
    default=4.0,
    show_default=True,
    metavar="GB",
    help="That may be used.",
)
@with_options(*description_options("meshes"))
@click.option("--overwrite", is_flag=True, help="Replace an earlier model.")
def build(
    meshes: Path, output: Path, template: Path | None, landmarks: Path | None,
    labels: Path | None, memory: float, name: str | None, version: str, licence: str,
    source: str, overwrite: bool, **settings: Any,
) -> None:  # fmt: skip
    """Build a morphable model from meshes in correspondence.

    \b
    synth model build --meshes registered/meshes -o mine.npz
    synth model build --meshes stack.npy --landmarks map.txt -o mine.npz --licence CC-BY-4.0

    Generalised Procrustes alignment, then principal components, exact also where the meshes do
    not fit in memory. The folder mine.report tells how well the model describes people whom it
    was not built from: compactness, generalisation and specificity, as table and picture.
    """
    from synth.building.model import BuildSettings, build_model
    from synth.building.model_files import check_output, report_folder, write_model
    from synth.building.model_inputs import find_places, neutral_sample, whole_sample
    from synth.errors import UsageError
    from synth.meshes.collection import open_collection
    from synth.morphable.statistics.pca import exact_memory

    check_output(output, overwrite)
    if not math.isfinite(memory):
        raise UsageError(f"memory: expected gigabytes, got {memory}")
    chosen = BuildSettings(memory=int(memory * 2**30), **settings)
    found = open_collection(meshes)
    places = find_places(found, template, landmarks)
    sample = whole_sample(found) if labels is None else neutral_sample(found, labels)
    click.echo(sample.note, err=True)
    # Meshes from files are kept as one stack meanwhile, on the disk that the model goes to.
    scratch = next(folder for folder in output.absolute().parents if folder.is_dir())
    with _stages() as progress:
        built = build_model(
            sample, places, chosen, name=name or output.stem, version=version,
            meta={"licence": licence, "source": source}, scratch=scratch, progress=progress,
        )  # fmt: skip
    write_model(built, output)
    kept, last = built.components, built.curves.generalisation
    click.echo(
        f"{len(kept.modes)} modes keep {100 * kept.kept:.2f} % of the variance of "
        f"{len(sample.meshes)} meshes of {built.people.count} subjects; subjects left out are "
        f"met to {last.value[-1]:.3f} mm (95 %: {last.low[-1]:.3f} to {last.high[-1]:.3f})"
    )
    if kept.route == "incremental":
        more = exact_memory(len(sample.meshes), found.n_vertices) / 2**30
        click.echo(f"the components are not exact; --memory {more:.1f} would do", err=True)
    if built.remark:
        click.echo(built.remark, err=True)
    click.echo(f"model in {output}, report in {report_folder(output)}")


@contextmanager
def _stages() -> Iterator[Callable[[str, float], None]]:
    """A bar for each stage in turn, where stderr is a terminal."""
    from tqdm import tqdm

    stage, done = "", 0.0
    bar: Any = None

    def progress(name: str, share: float) -> None:
        nonlocal stage, done, bar
        if name != stage or done > 0.9999:  # another pass of the same stage
            if bar is not None:
                bar.close()
            bar = tqdm(total=100, desc=name, file=sys.stderr, disable=None, leave=False,
                       bar_format="{desc} {percentage:3.0f}%|{bar}|")  # fmt: skip
            stage, done = name, 0.0
        done += share
        bar.update(min(round(100 * done), 100) - bar.n)

    try:
        yield progress
    finally:
        if bar is not None:
            bar.close()
