"""``synth train fer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import with_options

__all__ = ["fer"]

COUNT, NATURAL, SHARE = click.IntRange(min=1), click.IntRange(min=0), click.FloatRange(0, 1)
WEIGHT, PATH = click.FloatRange(min=0), click.Path(path_type=Path)


def _setting(name: str, default: Any, kind: Any, text: str, **more: Any) -> Any:
    """An option that becomes a field of `FERSettings`."""
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        more = {"metavar": "N" if isinstance(kind, click.IntRange) else "X", **more}
    return click.option(
        name, default=default, type=kind, show_default=default is not None, help=text, **more
    )


#: What is learnt from and tested on.
DATA = (
    click.option("--data", required=True, multiple=True, metavar="SET",
                 help="A set made by synth, a folder or CSV of labelled photos, or "
                      "CORPUS:FOLDER; SET@PART for a part such as train; repeat for more."),
    click.option("--extra", multiple=True, metavar="SET",
                 help="Real photos to mix in; the same kinds of set."),
    click.option("--val", multiple=True, metavar="SET",
                 help="Other people, to choose the best weights by."),
    click.option("--val-people", type=click.FloatRange(0, 1, min_open=True, max_open=True),
                 metavar="SHARE", help="Hold this share of the people out for that.  [default: "
                 "0.15, without --val]"),
    click.option("--watch", multiple=True, metavar="SET",
                 help="Real faces scored at each validation, never used to choose."),
    click.option("--crop", default="auto", show_default=True,
                 type=click.Choice(("auto", "aligned", "as-is")),
                 help="Align faces, or take pictures as crops already aligned; auto: as the "
                      "set's run file says."),
    click.option("--read-size", default=96, show_default=True, type=click.IntRange(min=32),
                 metavar="PX", help="Side of the crops that are kept in memory."),
    click.option("--landmarks", default="dlib", show_default=True, metavar="NAME",
                 help="Detector that faces are aligned by."),
    click.option("--cache", type=PATH, metavar="DIR", help="Keeps the crops for the next run."),
)  # fmt: skip

#: Fields of `synth.training.fer_settings.FERSettings`.
SETTINGS = (
    _setting("--arch", "small_cnn", str, "Network: see docs/fer_networks.md.", metavar="NAME"),
    _setting("--task", "va", click.Choice(("va", "expr", "both")),
             "Valence and arousal, classes of expression, or both."),
    _setting("--classes", None, str, "Names of the classes.  [default: AffectNet's eight]",
             metavar="A,B,..."),
    _setting("--size", 0, NATURAL, "Side of the network's pictures; 0: its paper's.",
             metavar="PX"),
    _setting("--channels", "1", click.Choice(("1", "3")), "Grey or colour."),
    _setting("--width", 1.0, click.FloatRange(0, 4, min_open=True), "Factor on the channels."),
    _setting("--dropout", 0.2, click.FloatRange(0, 1, max_open=True), "Before the heads."),
    _setting("--points/--no-points", False, None, "Let the network read landmarks too."),
    _setting("--loss", "mse:1,ccc:1", str,
             "Of valence and arousal: mse, ccc, cross-entropy, with weights.", metavar="NAMES"),
    _setting("--expr-weight", 1.0, WEIGHT, "Of the loss of classes."),
    _setting("--attention-weight", 0.1, WEIGHT, "Of the loss between attention heads."),
    _setting("--balance/--no-balance", True, None, "Weigh classes by inverse frequency."),
    _setting("--regions", 0.0, WEIGHT,
             "Weigh faces by how empty their region is, to this power."),
    _setting("--augment", "default", str,
             "none, light or default, and changes: default,erase=0,noise=0.1.", metavar="PRESET"),
    _setting("--epochs", 20, COUNT, "At most."),
    _setting("--batch", 64, click.IntRange(min=2), "Faces per step."),
    _setting("--epoch-size", 0, NATURAL, "Faces that make an epoch; 0: all."),
    _setting("--ratio", None, click.FloatRange(0, 1, min_open=True, max_open=True),
             "Share of real photos in each batch.  [default: as they come]"),
    _setting("--optimiser", "adamw", click.Choice(("adamw", "sgd")), "SGD has momentum 0.9."),
    _setting("--rate", 1e-3, click.FloatRange(0, min_open=True), "Learning rate."),
    _setting("--weight-decay", 0.01, WEIGHT, "Of the optimiser."),
    _setting("--decay", "cosine", click.Choice(("none", "linear", "exponential", "cosine")),
             "Of the rate."),
    _setting("--gamma", 0.9, click.FloatRange(0, 1, min_open=True),
             "Factor per epoch of the exponential decay."),
    _setting("--warmup", 0.0, WEIGHT, "Epochs over which the rate rises."),
    _setting("--freeze", 0, NATURAL, "Epochs in which the backbone is left as it is."),
    _setting("--ema", 0.0, click.FloatRange(0, 1, max_open=True),
             "Decay of a running mean of the weights, which is then kept; 0: none."),
    _setting("--patience", 0, NATURAL, "Stop after so many epochs without a better score; 0: no."),
    _setting("--dtype", "fp32", click.Choice(("fp32", "bf16")), "What networks compute in."),
    _setting("--seed", 0, NATURAL, "Of all that is random."),
)  # fmt: skip

RUN = (
    click.option("-o", "--output", required=True, type=PATH, metavar="DIR",
                 help="Run folder; the same command on it goes on."),
    click.option("--init", type=PATH, metavar="FILE", help="Weights to begin with."),
    click.option("--spectrum", type=click.Choice(("vis", "nir", "both")),
                 help="What the weights are for.  [default: what the pictures are]"),
    click.option("--sweep", metavar="N1,N2,...",
                 help="Train with so many synthetic pictures each, people evenly; one folder, "
                      "a table and a curve."),
    click.option("--search", type=COUNT, metavar="N",
                 help="Try N settings with Optuna (extra: search) and keep the table."),
    click.option("--device", default="auto", show_default=True,
                 type=click.Choice(("cpu", "cuda", "auto"))),
)  # fmt: skip


@click.command()
@with_options(*DATA, *SETTINGS, *RUN)
def fer(**options: Any) -> None:
    """A reader of faces: valence and arousal, expression, or both.

    \b
    synth train fer --data set/ --epochs 20 -o runs/fer
    synth train fer --arch mobilenet_v2 --data set/@train --val set/@val \\
        --extra affectnet:AFFECTNET --ratio 0.5 --watch custom-nir:NIR -o runs/mixed

    Weights of the best epoch go to weights/fer.safetensors, scores of every epoch to
    scores.csv and scores.png. Nobody may be in two of --data, --val and --watch. Ctrl-C
    saves the state; the same command goes on.
    """
    from synth.cli.fer_runs import train_reader

    code = train_reader(options)
    if code:
        click.get_current_context().exit(code)
