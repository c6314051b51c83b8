"""``synth evaluate concordance``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("photos", type=FILE)
@click.argument("translated", type=FILE)
@click.option("--vis-weights", type=FILE, metavar="FILE", help="Network that reads the photos.")
@click.option(
    "--nir-weights", type=FILE, metavar="FILE", help="Network that reads the translations."
)
@click.option("--landmarks", default="dlib", show_default=True, help="Detector of the faces.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "auto"]),
    default="cpu",
    show_default=True,
    help="Where the networks run.",
)
@click.option("--output", "-o", type=FILE, metavar="DIR", help="Folder of the report.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def concordance(
    photos: Path,
    translated: Path,
    vis_weights: Path | None,
    nir_weights: Path | None,
    landmarks: str,
    device: str,
    output: Path | None,
    overwrite: bool,
) -> None:
    """How alike two readers read photos and translations.

    \b
    synth evaluate concordance photos.csv translated.csv -o report/
    synth evaluate concordance photos/ nir/

    PHOTOS and TRANSLATED are two tables of predictions as synth infer writes them, or two
    folders: photos, and their translations to near infrared under the same names. Equal
    expressions in per cent, kappa, CCC of valence and arousal, mean distance.
    """
    from synth.errors import UsageError
    from synth.evaluation.concordance import concordance as measure
    from synth.evaluation.concordance_report import (
        FILES,
        concordance_files,
        predictions_of,
        read_folders,
    )
    from synth.images import write_atomic
    from synth.recognition.infer import Inference

    if output is not None and not overwrite and any((output / name).exists() for name in FILES):
        raise UsageError(
            f"output: expected a folder without a report, got {output}; use --overwrite"
        )
    lost: list[tuple[str, str]] = []
    if photos.is_dir() != translated.is_dir():
        raise UsageError("photos: expected two tables or two folders, got one of each")
    if photos.is_dir():
        vis, nir = (
            Inference(
                () if weights is None else (weights,), spectrum, landmarks=landmarks,
                face="largest", device=device,
            )
            for spectrum, weights in (("vis", vis_weights), ("nir", nir_weights))
        )  # fmt: skip
        with click.progressbar(length=1, label="reading", file=sys.stderr) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = total
                bar.update(done - bar.pos)

            first, second, lost = read_folders(photos, translated, vis, nir, progress)
    elif vis_weights or nir_weights:
        raise UsageError("weights: expected none with tables, got one; leave them out")
    else:
        first, second = predictions_of(photos), predictions_of(translated)
    found = measure(first, second)
    files = concordance_files(found, first, second, len(lost))
    click.echo(files["concordance.md"].decode())
    for name, why in lost:
        click.echo(f"{name}: not compared, {why}", err=True)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomic(output / name, content)
        click.echo(f"written to {output}", err=True)
