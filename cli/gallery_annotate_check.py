"""``synth gallery annotate-check``."""

from __future__ import annotations

from pathlib import Path

import click

FILE = click.Path(path_type=Path)


@click.command("annotate-check")
@click.argument("annotations", type=FILE)
@click.option(
    "--output",
    "-o",
    required=True,
    type=FILE,
    metavar="DIR",
    help="Folder of the report and the labels.",
)
@click.option(
    "--meshes",
    type=FILE,
    metavar="DIR|STACK.npy",
    help="Meshes to label: SEQUENCE/FRAME; frames in order of their numbers or names.",
)
@click.option("--fps", type=float, metavar="F", help="Meshes, or frames, per second.")
@click.option(
    "--first-frame",
    type=int,
    metavar="N",
    help="Number, in the names of the meshes, of the frame at time 0; meshes may then be missing.",
)
@click.option(
    "--rate", type=float, metavar="HZ", help="Labels per second where there are no meshes."
)
@click.option(
    "--tolerance",
    type=float,
    default=0.25,
    show_default=True,
    metavar="S",
    help="Seconds by which a track may start late or end early; its end value holds as long.",
)
@click.option(
    "--scale", type=float, default=1.0, show_default=True, help="What ratings are divided by."
)
@click.option(
    "--min-correlation",
    type=float,
    default=0.3,
    show_default=True,
    metavar="X",
    help="Report annotators whose correlation with the mean of the others is lower.",
)
@click.option("--drop-outliers", is_flag=True, help="Leave them out of the labels.")
@click.option(
    "--align-lag",
    is_flag=True,
    help="Take the delays of annotators out (they are reported anyway).",
)
@click.option(
    "--max-lag",
    type=float,
    default=2.0,
    show_default=True,
    metavar="S",
    help="Longest delay looked for.",
)
@click.option(
    "--max-z",
    type=float,
    default=6.0,
    show_default=True,
    help="Report points farther off the others, in robust deviations.",
)
@click.option(
    "--max-sd",
    type=float,
    default=0.35,
    show_default=True,
    help="Report sequences with a larger mean deviation over annotators.",
)
@click.option(
    "--disc",
    type=click.Choice(["keep", "map"]),
    default="keep",
    show_default=True,
    help="Keep labels on the square as annotated, or map the square to the unit disc.",
)
@click.option(
    "--neutral",
    default="neutral",
    show_default=True,
    metavar="NAME",
    help="Last part of the names of neutral sequences.",
)
@click.option(
    "--subjects",
    type=FILE,
    metavar="CSV",
    help="sequence, subject[, expression]; else a sequence's first part is the subject.",
)
@click.option(
    "--expressions",
    type=FILE,
    metavar="CSV",
    help="file_name, expression of frames known to show a basic expression.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")
def annotate_check(
    annotations: Path,
    output: Path,
    meshes: Path | None,
    fps: float | None,
    first_frame: int | None,
    rate: float | None,
    tolerance: float,
    scale: float,
    min_correlation: float,
    drop_outliers: bool,
    align_lag: bool,
    max_lag: float,
    max_z: float,
    max_sd: float,
    disc: str,
    neutral: str,
    subjects: Path | None,
    expressions: Path | None,
    overwrite: bool,
) -> None:
    """How well annotators of valence and arousal agree; their mean as labels.

    \b
    synth gallery annotate-check annotations/ --meshes registered/ --fps 60 -o labels/
    synth gallery annotate-check annotations.csv --rate 25 -o labels/

    ANNOTATIONS is a folder ANNOTATOR/SEQUENCE.csv of tables with the columns time (seconds)
    or frame, valence, arousal; or one table with the columns annotator and sequence too.
    Writes labels.csv (as synth gallery build reads it), annotators.csv, sequences.csv,
    outliers.csv, report.md and tracks.png, the sequence on which annotators differ most.
    """
    from synth.archives import check_writable
    from synth.building.annotation_files import FILES, annotation_files
    from synth.building.annotation_labels import read_expressions, read_subjects
    from synth.building.annotations import AnnotationSettings, check_annotations
    from synth.errors import UsageError
    from synth.image_files import write_atomic

    if not overwrite and any((output / name).exists() for name in FILES):
        raise UsageError(
            f"output: expected a folder without a report, got {output}; use --overwrite"
        )
    check_writable(output, folder=True)
    settings = AnnotationSettings(
        fps=fps, rate=rate, tolerance=tolerance, first_frame=first_frame, scale=scale,
        min_correlation=min_correlation, drop_outliers=drop_outliers, align_lag=align_lag,
        longest_lag=max_lag, disc=disc, neutral=neutral, max_z=max_z, max_sd=max_sd,
    )  # fmt: skip
    names = None
    if meshes is not None:
        from synth.meshes.collection import open_collection

        names = open_collection(meshes).names
    people = None if subjects is None else read_subjects(subjects)
    known = None if expressions is None else read_expressions(expressions)
    files = annotation_files(check_annotations(annotations, settings, names, people, known))
    click.echo(files["report.md"].decode())
    output.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name in files:
            write_atomic(output / name, files[name])
        else:
            (output / name).unlink(missing_ok=True)
    click.echo(f"written to {output}", err=True)
