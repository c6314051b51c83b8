"""``synth augment``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import (
    LOOKUP_OPTION,
    PICTURE_OPTIONS,
    RUN_OPTIONS,
    config_option,
    options_named,
    with_options,
)

#: What is to be made, and of whom.
PLAN_OPTIONS = (
    click.option("--plan", metavar="PLAN",
                 help="uniform-disc; grid or grid:7; basic or basic:happiness=100,...; match:CSV; "
                      "balance:CSV; csv:FILE (rows of targets); paths:happiness,circle:0.8; or the "
                      "file of a plan, .csv or .parquet."),
    click.option("--count", type=click.IntRange(1), metavar="N",
                 help="Pictures.  [default: what the plan says, or 10 per photo]"),
    click.option("--subjects", default="each", show_default=True, metavar="HOW",
                 help="Who is on a photo: each (someone else on each), parent (the folder tells), "
                      "stem:REGEX, or a CSV with the columns file_name, subject."),
    click.option("--splits", metavar="SHARES",
                 help="Shares of the people in train, val and test, such as 0.8,0.1,0.1.  "
                      "[default: all in train]"),
    click.option("--kfold", metavar="I/K",
                 help="Fold I of K (of people, from 1) is test, the others train."),
    click.option("--audit", is_flag=True,
                 help="Compare all faces first, and refuse one person in two splits."),
    click.option("--intensity", metavar="LOW:HIGH",
                 help="Range that strengths are drawn from.  [default: the plan's]"),
    click.option("--max-per-subject", type=click.IntRange(1), metavar="N", help="For balance."),
    click.option("--max-per-bin", type=click.IntRange(1), metavar="N", help="For balance."),
    click.option("--mean-face", is_flag=True, help="The mean face instead of drawn styles."),
    click.option("--write-plan", type=click.Path(path_type=Path), metavar="FILE",
                 help="Write the plan as .csv or .parquet and make nothing."),
    click.option("--fps", type=float, default=30.0, show_default=True, help="Of paths."),
    click.option("--seconds", type=float, help="Of paths."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the run."),
)  # fmt: skip

#: What happens to each picture, and how the set is written.
SET_OPTIONS = (
    click.option("--nuisance", default="none", show_default=True, metavar="PRESET",
                 help="none, mild, strong, or ranges such as 'mild;pose=15,10,5;glasses=0.1'."),
    click.option("--gates", type=click.Choice(["all", "fast", "off"]), default="fast",
                 show_default=True,
                 help="Refuse bad pictures; all compares identities too, which is slow."),
    click.option("--redraw", type=click.IntRange(0), default=0, show_default=True, metavar="N",
                 help="New styles to try for a refused picture."),
    click.option("--max-reject", metavar="SHARE", help="Stop when more are refused, e.g. 5%."),
    click.option("--format", "format", type=click.Choice(["folder", "webdataset", "parquet"]),
                 default="folder", show_default=True, help="Of the set."),
    click.option("--image-format", type=click.Choice(["jpeg", "png", "webp"]), default="jpeg",
                 show_default=True, help="Of the pictures."),
    click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True,
                 help="Of jpeg and webp."),
    click.option("--route", default="3dmm", show_default=True, metavar="SHARES",
                 help="How pictures are made: 3dmm, ganmut, or shares such as "
                      "3dmm:0.7,ganmut:0.3."),
    click.option("--name", help="Of the set.  [default: that of its folder]"),
    click.option("--shard-size", type=click.IntRange(1), default=500, show_default=True,
                 metavar="N", help="Pictures per shard: what is made, and resumed, as one."),
    click.option("--engine", type=click.Choice(["local", "ray"]), default="local",
                 show_default=True, help="Processes of this machine, or Ray."),
    click.option("--ray-address", metavar="ADDRESS", help="Of a running Ray cluster."),
)  # fmt: skip


#: A folder, or with Ray an address: kept as text, since a path would lose a slash.
OUTPUT = click.option("--output", "-o", "output", default="synth-set", show_default=True,
                      metavar="DIR", help="Folder of the set; with --engine ray also an address "
                                          "such as s3://bucket/set.")  # fmt: skip


@click.command()
@with_options(*RUN_OPTIONS[:2], OUTPUT, *PLAN_OPTIONS, *SET_OPTIONS, LOOKUP_OPTION)
@with_options(
    *options_named(
        PICTURE_OPTIONS, "crop", "size", "landmarks", "fit", "texture", "neutralise", "face",
        "composite", "backend", "without", "refine", "editor_weights", "nir",
        "nir_order", "nir_weights", "model", "gallery", "allow_non_neutral",
    ),
    *RUN_OPTIONS[3:],
    config_option,
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier set.")
@click.option("--dry-run", is_flag=True, help="Print the plan's figures, and make nothing.")
@click.option("--log-json", is_flag=True, help="Events as lines of JSON on stderr, for machines.")
@click.pass_context
def augment(ctx: click.Context, **options: Any) -> None:
    """A balanced, labelled set of pictures from neutral photos.

    \b
    synth augment --input neutral/ --output set/ --plan uniform-disc --count 2000
    synth augment --input people/ --subjects parent --splits 0.8,0.1,0.1 \\
        --plan balance:train.csv --count 10000 --crop affectnet224 --nuisance mild
    synth augment --input neutral/ --plan basic --dry-run

    A run that was interrupted or killed goes on when the same command is given again.
    """
    from synth.cli.sets import make_set

    ctx.exit(make_set(options))
