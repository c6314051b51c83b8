"""``synth evaluate detectors``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FOLDER = click.Path(path_type=Path)


@click.command()
@click.option("--vis", type=FOLDER, metavar="DIR", help="Visible photos.")
@click.option("--nir", type=FOLDER, metavar="DIR", help="Near-infrared photos.")
@click.option(
    "--vis-boxes",
    metavar="CSV|beside",
    help="True boxes: file_name, left, top, right, bottom; or the .tem and .pts files beside "
    "the photos. Without them only how often a face is found.",
)
@click.option("--nir-boxes", metavar="CSV|beside", help="The same for the near-infrared photos.")
@click.option(
    "--detector",
    "-d",
    "names",
    multiple=True,
    metavar="NAME",
    help="dlib, dlib-cnn, lbp, face-alignment, mediapipe or yunet; repeat for more. All that "
    "are installed by default.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=FILE",
    help="Model file of mediapipe or yunet.",
)
@click.option("--output", "-o", type=FOLDER, metavar="DIR", help="Folder of the report.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def detectors(
    vis: Path | None,
    nir: Path | None,
    vis_boxes: str | None,
    nir_boxes: str | None,
    names: tuple[str, ...],
    models: tuple[str, ...],
    output: Path | None,
    overwrite: bool,
) -> None:
    """How well face detectors find faces: overlap, misses, time.

    \b
    synth evaluate detectors --vis photos/ --vis-boxes beside --nir nir/
    synth evaluate detectors --vis photos/ --vis-boxes boxes.csv -d dlib -d lbp -o report/

    Mean intersection over union with the true boxes, recall and precision at 0.5, misses,
    and milliseconds a photo, visible and near-infrared apart. With --output: detectors.md,
    detectors.json and boxes.csv, a row a box.
    """
    from synth.errors import UsageError
    from synth.evaluation.boxes import boxes_beside, read_boxes
    from synth.evaluation.detectors import evaluate_detectors
    from synth.evaluation.detectors_report import FILES, detector_files
    from synth.evaluation.matching import list_pictures
    from synth.images import write_atomic

    if vis is None and nir is None:
        raise UsageError("photos: expected --vis or --nir, got neither; give one or both")
    if output is not None and not overwrite and any((output / name).exists() for name in FILES):
        raise UsageError(
            f"output: expected a folder without a report, got {output}; use --overwrite"
        )
    sets = {}
    for spectrum, folder, boxes in (("vis", vis, vis_boxes), ("nir", nir, nir_boxes)):
        if folder is None and boxes is not None:
            raise UsageError(f"{spectrum}-boxes: expected --{spectrum} with it, got none")
        if folder is not None:
            truth = None
            if boxes == "beside":
                truth = boxes_beside(list(list_pictures(folder, spectrum).items()))
            elif boxes is not None:
                truth = read_boxes(Path(boxes))
            sets[spectrum] = folder, truth
    files_of = {}
    for text in models:
        name, _, file = text.partition("=")
        if not file:
            raise UsageError(f"model: expected NAME=FILE, got {text!r}")
        files_of[name] = Path(file)
    with click.progressbar(length=1, label="looking", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        report, rows = evaluate_detectors(sets, names, files_of, progress)
    files = detector_files(report, rows)
    click.echo(files["detectors.md"].decode())
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(output / name, content)
        click.echo(f"written to {output}", err=True)
