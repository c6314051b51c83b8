"""``synth infer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    config_option,
    options_named,
    with_options,
)

FILE = click.Path(path_type=Path)
#: What reads the faces.
READER_OPTIONS = (
    click.option("--spectrum", type=click.Choice(["vis", "nir", "auto"]), default="vis",
                 show_default=True,
                 help="Visible light or near infrared; auto: grey means near infrared."),
    click.option("--approach", type=click.Choice(["1", "2"]), default="2", show_default=True,
                 help="To near infrared: 2 reads it with its own network, 1 translates it to "
                      "visible light and reads that."),
    click.option("--weights", type=FILE, multiple=True, metavar="FILE",
                 help=".safetensors of synth train fer; one a spectrum.  "
                      "[default: the embedded ones]"),
    click.option("--translator", type=FILE, metavar="FILE",
                 help="Weights of the translator for --approach 1.  [default: the embedded one]"),
    click.option("--batch", type=click.IntRange(1), default=64, show_default=True, metavar="N",
                 help="Faces that the network reads at a time."),
    click.option("--face", default="all", show_default=True, metavar="WHICH",
                 help="all, largest, error or an index, where a picture shows several faces; "
                      "of videos all or largest."),
)  # fmt: skip

#: What happens from frame to frame.
FILM_OPTIONS = (
    click.option("--camera", type=click.IntRange(0), metavar="N",
                 help="Read the webcam with this number until Ctrl-C, instead of --input."),
    click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S",
                 help="Of the webcam; then it ends."),
    click.option("--detect-every", type=click.IntRange(1), default=1, show_default=True,
                 metavar="N",
                 help="Search videos for faces in every Nth frame, and follow them in between."),
    click.option("--smooth", type=click.FloatRange(0), default=0.0, show_default=True,
                 metavar="S",
                 help="Mean of valence, arousal and classes over about S seconds around each "
                      "frame; 0 leaves them."),
)  # fmt: skip

#: What is written.
OUTPUT_OPTIONS = (
    click.option("--output", "-o", type=FILE, default="synth-infer", show_default=True,
                 metavar="DIR", help="Folder of the run."),
    click.option("--format", "format", type=click.Choice(["csv", "json", "parquet"]),
                 default="csv", show_default=True, help="Of the table of predictions."),
    click.option("--overlay", is_flag=True,
                 help="The pictures and videos with what was read beside each face."),
    click.option("--dashboard", is_flag=True,
                 help="Face, circumplex and classes side by side, of each picture and video."),
    click.option("--pictures", type=click.Choice(["png", "jpeg"]), default="png",
                 show_default=True, help="Of overlays and dashboards of photos."),
)  # fmt: skip


@click.command()
@with_options(*options_named(RUN_OPTIONS, "input", "recursive", "limit"), *READER_OPTIONS)
@with_options(*FILM_OPTIONS, *OUTPUT_OPTIONS, *options_named(PICTURE_OPTIONS, "landmarks"))
@with_options(*options_named(RUN_OPTIONS, "workers"))
@click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu",
              show_default=True, help="For the networks.")  # fmt: skip
@config_option
@click.option("--overwrite", is_flag=True, help="Replace an earlier run, or write beside files.")
@click.pass_context
def infer(ctx: click.Context, overwrite: bool, **options: Any) -> None:
    """Valence, arousal and expression of faces in photos, videos and the webcam's picture.

    \b
    synth infer --input photos/ --output out/ --overlay
    synth infer --input talk.mp4 --output out/ --overlay --dashboard --smooth 0.3
    synth infer --input nir/ --spectrum nir --output out/ --format parquet
    synth infer --input nir/ --spectrum nir --approach 1 --output out/
    synth infer --camera 0 --seconds 20 --output out/ --dashboard

    One row a face in predictions.csv. Pictures and videos without a result stand in
    skipped.csv with the reason.
    """
    from synth.cli.infer_run import run

    ctx.exit(run(options, overwrite))
