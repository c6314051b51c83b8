"""``synth train ganmut``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli.params import with_options
from synth.errors import UsageError

if TYPE_CHECKING:
    from synth.training.ganmut_data import LabelledPicture
    from synth.training.loop import TrainingRun

__all__ = ["RECIPES", "SETTINGS", "ganmut"]

COUNT, SEED = click.IntRange(min=1), click.IntRange(min=0)
WEIGHT, PATH = click.FloatRange(min=0), click.Path(path_type=Path)


def _setting(name: str, default: Any, kind: Any, text: str, **more: Any) -> Any:
    """An option that becomes a field of `GanmutSettings`."""
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        more = {"metavar": "N" if isinstance(kind, click.IntRange) else "X", **more}
    return click.option(
        name, default=default, type=kind, show_default=default is not None, help=text, **more
    )


#: Fields of `synth.training.ganmut_settings.GanmutSettings`; of the paper's recipe only.
SETTINGS = (
    _setting("--space", "linear", click.Choice(("linear", "gaussian")),
             "The plane: directions of classes, or a Gaussian for each."),
    _setting("--start", "random", click.Choice(("random", "circumplex")),
             "Where classes begin in it; circumplex: in the order of valence and arousal."),
    _setting("--size", 128, COUNT, "Side of the pictures.", metavar="PX"),
    _setting("--flip/--no-flip", True, None, "Mirror every other picture."),
    _setting("--decay", 100_000, SEED, "Steps at the end over which the rate falls to 0."),
    _setting("--n-critic", 5, COUNT, "Steps of the critic to one of the generator."),
    _setting("--conv-dim", 64, COUNT, "Width of the generator."),
    _setting("--blocks", 6, SEED, "Residual blocks of the generator."),
    _setting("--critic-dim", 64, COUNT, "Width of the critic."),
    _setting("--critic-layers", 6, COUNT, "Layers of the critic; the size is a multiple of 2^N."),
    _setting("--random", 5, SEED, "Codes of a batch drawn anywhere (linear)."),
    _setting("--noise", 0.075, WEIGHT, "Spread of codes about their class (linear)."),
    _setting("--cycle", "class", click.Choice(("class", "guess")),
             "Fakes are edited back by the picture's class, or by the code guessed for it."),
    _setting("--lambda-class", None, WEIGHT,
             "Weight of the classification.  [default: 1; gaussian: 2]"),
    _setting("--lambda-rec", 10.0, WEIGHT, "Weight of the reconstruction."),
    _setting("--lambda-gp", 10.0, WEIGHT, "Weight of the gradient penalty."),
    _setting("--lambda-code", 1.0, WEIGHT, "Weight of the guessed code."),
    _setting("--lambda-strength", 1.0, WEIGHT, "Weight of certainty as intensity (linear)."),
    _setting("--lambda-mean", 0.5, WEIGHT, "Weight of the classes' means (gaussian)."),
    _setting("--rate", 1e-4, click.FloatRange(0, min_open=True), "Learning rate."),
    _setting("--ema", 0.999, click.FloatRange(0, 1, max_open=True),
             "Decay of the running mean of weights that is exported; 0: none."),
    _setting("--dtype", "fp32", click.Choice(("fp32", "bf16")), "What networks compute in."),
)  # fmt: skip
#: Options that mean something in one recipe only.
PAPER = (
    "split", "classes", "least", "sample_every", "tensorboard", "space", "start", "size", "flip",
    "decay",
    "n_critic", "conv_dim", "blocks", "critic_dim", "critic_layers", "random", "noise", "cycle",
    "lambda_class", "lambda_rec", "lambda_gp", "lambda_code", "lambda_strength", "lambda_mean",
    "rate", "ema", "dtype",
)  # fmt: skip
DISTILL = ("hold_out",)


def labelled_pictures(sets: tuple[Path, ...], split: str) -> list[LabelledPicture]:
    """The labelled pictures of sets: of ``synth augment``, of any format, or plain folders."""
    if len(sets) == 1:
        return _of_set(sets[0], split)
    return [
        replace(picture, name=f"{number}/{picture.name}")
        for number, data in enumerate(sets)
        for picture in _of_set(data, split)
    ]


def _of_set(data: Path, split: str) -> list[LabelledPicture]:
    from synth.dataset.layout import MANIFESTS
    from synth.training.ganmut_data import LabelledPicture, read_labelled

    if not (data / MANIFESTS).is_dir():
        return read_labelled(data, split)
    from synth.dataset.reader import AffectDataset

    split = split or "train"
    pictures = AffectDataset(data, split, target="expression")
    found = [
        LabelledPicture(f"{split}/{i:08d}", pictures.classes[label], partial(pictures.read, i))
        for i, label in enumerate(pictures.expression)
        if label >= 0
    ]
    if not found:
        raise UsageError(
            f"data: expected pictures with an expression, got none in {data}, split {split}; make "
            "the set with a plan of expressions, such as --plan basic"
        )
    return found


def _refuse_options_of_others(ctx: click.Context, recipe: str) -> None:
    """An option that the recipe would silently ignore is an error."""
    others = PAPER if recipe == "distill" else DISTILL
    for name in others:
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = name.replace("_", "-")
            raise UsageError(f"{option}: expected an option of --recipe {recipe}, got --{option}")


def _paper(options: dict[str, Any], run: dict[str, Any]) -> TrainingRun:
    from synth.training.ganmut_run import run_ganmut
    from synth.training.ganmut_settings import GanmutSettings

    here = {name: options.pop(name) for name in ("classes", "least", "sample_every", "tensorboard")}
    pictures = labelled_pictures(options.pop("data"), options.pop("split"))
    fields = GanmutSettings.__dataclass_fields__
    given = {name: value for name, value in options.items() if name in fields and value != ""}
    return run_ganmut(pictures, settings=GanmutSettings(**given), **here, **run)


def _distill(options: dict[str, Any], run: dict[str, Any]) -> TrainingRun:
    from synth.training.distill import DistillSettings, run_distill

    settings = DistillSettings(**{name: options[name] for name in ("iterations", "batch", "seed")})
    return run_distill(
        options["data"], settings=settings, held_out=options["hold_out"], note=options["licence"],
        **run,
    )  # fmt: skip


#: Recipe -> what makes it; by default its iterations, iterations between states, batch.
RECIPES = {"paper": (_paper, 2_000_000, 2000, 16), "distill": (_distill, 5000, 500, 8)}


@click.command()
@click.option("--data", required=True, multiple=True, type=PATH, metavar="DIR",
              help="A set of synth augment, metadata.csv, or a folder a class; for distill "
                   "neutral photos. Repeat for more.")  # fmt: skip
@click.option("-o", "--output", required=True, type=PATH, metavar="DIR",
              help="Run folder; the same command on it goes on.")  # fmt: skip
@click.option("--recipe", default="paper", show_default=True, type=click.Choice(tuple(RECIPES)),
              help="The paper's from labelled faces, or from pairs of the 3DMM route.")  # fmt: skip
@click.option("--iterations", type=COUNT, metavar="N",
              help="Steps of the critic.  [default: 2000000; distill: 5000 steps]")  # fmt: skip
@click.option("--batch", type=COUNT, metavar="N",
              help="Pictures a step.  [default: 16; distill: 8]")  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=SEED, metavar="N",
              help="Of all that is random.")  # fmt: skip
@click.option("--licence", default="", metavar="TEXT", help="Recorded with the weights.")
@click.option("--hold-out", multiple=True, metavar="NAME",
              help="A photo that is not trained on; repeat (distill).")  # fmt: skip
@click.option("--split", default="", metavar="NAME",
              help="Part of the set.  [default: train, or all without one]")  # fmt: skip
@click.option("--classes", multiple=True, metavar="NAME",
              help="Train on neutral and these; repeat.  [default: all]")  # fmt: skip
@click.option("--least", default=20, show_default=True, type=COUNT, metavar="N",
              help="Pictures that every class must have.")  # fmt: skip
@with_options(*SETTINGS)
@click.option("--device", default="auto", show_default=True,
              type=click.Choice(("cpu", "cuda", "auto")))  # fmt: skip
@click.option("--save-every", type=COUNT, metavar="N",
              help="Iterations between states.  [default: 2000; distill: 500]")  # fmt: skip
@click.option("--sample-every", default=2000, show_default=True, type=COUNT, metavar="N",
              help="Iterations between sheets of samples.")  # fmt: skip
@click.option("--tensorboard", is_flag=True, help="Write the losses for TensorBoard too.")
@click.pass_context
def ganmut(ctx: click.Context, output: Path, recipe: str, device: str, **options: Any) -> None:
    """GANmut: edits in a plane of expressions, from labelled faces.

    \b
    synth train ganmut --data set/ --output runs/ganmut
    synth train ganmut --recipe distill --data neutral/ --output runs/editor
    synth edit --weights runs/ganmut/weights/ganmut.safetensors --expression happiness ...

    The defaults are those of the authors' code: days on a GPU; distill takes minutes without
    one. Options from --split on are of the paper's recipe, but for --device and --save-every.
    Ctrl-C saves the state; the same command goes on.
    """
    from tqdm import tqdm

    from synth.cli.progress import interruptible

    _refuse_options_of_others(ctx, recipe)
    make, iterations, save_every, batch = RECIPES[recipe]
    total = options["iterations"] = options["iterations"] or iterations
    options["batch"] = options["batch"] or batch
    with (
        interruptible("saving the state") as stop,
        tqdm(total=total, unit=" steps", disable=None, leave=False) as bar,
    ):
        common = {
            "output": output, "device": device, "stop": stop,
            "save_every": options.pop("save_every") or save_every,
            "progress": lambda done, _: bar.update(done - bar.n),
        }  # fmt: skip
        run = make(options, common)
    if run.resumed:
        click.echo(f"{run.resumed} iterations had been done before", err=True)
    click.echo(f"{run.iteration} of {total} iterations; weights, samples and losses in "
               f"{run.root}", err=True)  # fmt: skip
    if not run.finished:
        click.echo("interrupted: run the same command again to finish", err=True)
        ctx.exit(130)
