"""``synth evaluate fer``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from synth.evaluation.fer import Given, Labelled

FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--data",
    required=True,
    metavar="SET",
    help="Faces with labels: a folder of synth augment or generate, CORPUS:DIR, or a CSV file.",
)
@click.option(
    "--weights",
    type=FILE,
    metavar="FILE",
    help="A network of synth train fer.  [default: the embedded one]",
)
@click.option(
    "--predictions",
    type=FILE,
    metavar="CSV",
    help="Instead of a network, what any reader said: file_name, valence, arousal, "
    "expression, p_neutral, ... as synth infer writes it.",
)
@click.option(
    "--output",
    "-o",
    type=FILE,
    default="synth-fer-scores",
    show_default=True,
    metavar="DIR",
    help="Folder of the report.",
)
@click.option("--split", metavar="NAME", help="Only this part of the set, such as test.")
@click.option(
    "--spectrum",
    type=click.Choice(["vis", "nir"]),
    help="What the network reads; the set's own spectrum by default.",
)
@click.option(
    "--crop",
    type=click.Choice(["auto", "aligned", "as-is"]),
    default="auto",
    show_default=True,
    help="Detect and align the faces, or take the pictures as they are.",
)
@click.option("--landmarks", default="dlib", show_default=True, help="Detector of the faces.")
@click.option("--folds", type=click.IntRange(1), default=2000, show_default=True,
              help="Bootstrap draws of persons.")  # fmt: skip
@click.option("--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95,
              show_default=True, help="Of the intervals.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "auto"]),
    default="cpu",
    show_default=True,
    help="Where the network runs.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def fer(
    data: str,
    weights: Path | None,
    predictions: Path | None,
    output: Path,
    folds: int,
    level: float,
    seed: int,
    overwrite: bool,
    **options: Any,
) -> None:
    """How well a reader reads faces, against labels.

    \b
    synth evaluate fer --weights run/weights/fer.safetensors --data set/ --split test
    synth evaluate fer --weights nir.safetensors --data custom-nir:photos/nir -o report/
    synth evaluate fer --predictions readings.csv --data labels.csv

    CCC, Pearson, SAGR, RMSE, MAE; top-1 to 3, F1, confusion; error by region of the
    valence-arousal plane; smiling against neutral; all with intervals by person, and by age,
    gender and ethnicity where the set tells. Writes scores.md, .json and .csv, readings.csv
    and figures.
    """
    from synth.errors import UsageError
    from synth.evaluation.fer import evaluate_fer
    from synth.evaluation.fer_report import FILES, report_files, write_report
    from synth.recognition.reader import default_weights

    if weights is not None and predictions is not None:
        raise UsageError("weights: expected --weights or --predictions, got both; leave one out")
    if not overwrite and any((output / name).exists() for name in FILES):
        raise UsageError(
            f"output: expected a folder without a report, got {output}; use --overwrite"
        )
    if predictions is not None:
        faces, readings, said = _from_table(data, predictions, **options)
    else:
        weights = weights or default_weights("vis")
        faces, readings, said = _from_network(data, weights, **options)
    table = evaluate_fer(faces, readings, folds=folds, level=level, seed=seed)
    table["notes"] += said
    name = (weights or predictions or output).name
    files = report_files(faces, readings, table, f"Scores of {name} on {data}")
    write_report(output, files)
    for note in table["notes"]:
        click.echo(f"note: {note}", err=True)
    click.echo(files["scores.md"].decode())
    click.echo(f"written to {output}", err=True)


def _faces(data: str, **options: Any) -> tuple[Any, list[str]]:
    """The faces of the set, and what to say of those that were skipped."""
    from synth.errors import UsageError
    from synth.face_sets import read_face_set

    with click.progressbar(length=1, label="faces", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        faces, skips = read_face_set(data, progress=progress, **options)
    if not len(faces):
        raise UsageError(f"data: expected at least one face, got none in {data}")
    return faces, [f"{len(skips)} pictures without a usable face are not scored."] * bool(skips)


def _from_network(
    data: str, weights: Path, spectrum: str | None, device: str, **options: Any
) -> tuple[Labelled, Given, list[str]]:
    from synth.errors import UsageError
    from synth.models.fer import load_fer
    from synth.recognition.reader import FaceReader

    config = load_fer(weights)[0].config
    faces, said = _faces(data, size=config.size, channels=config.channels,
                         points=config.reads_points, **options)  # fmt: skip
    kinds = sorted(set(faces.spectrum))
    if spectrum is None and len(kinds) > 1:
        raise UsageError("spectrum: expected a set of one, got vis and nir; choose --spectrum")
    reader = FaceReader(weights, spectrum or kinds[0], device)
    points = faces.points if config.reads_points else None
    return faces, reader.read(faces.pixels, points), said


def _from_table(
    data: str, predictions: Path, split: str | None, **options: Any
) -> tuple[Labelled, Given, list[str]]:
    from synth.evaluation.fer_match import match
    from synth.evaluation.fer_predictions import labels_from, read_table

    table = read_table(predictions)
    labels: Any = labels_from(data, split)
    said: list[str] = []
    if labels is None:
        options = {key: options[key] for key in ("crop", "landmarks")}
        labels, said = _faces(data, split=split, **options)
    found, unlabelled = match(labels.names, table)
    if unlabelled:
        said.append(f"{unlabelled} files of the predictions are not in the set.")
    if found.other_faces:
        said.append(f"{found.other_faces} rows of further faces are not scored.")
    return labels, found, said
