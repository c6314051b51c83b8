"""Options that commands share, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from synth.types import VA

__all__ = [
    "LOOKUP_OPTION",
    "PATH_OPTIONS",
    "PICTURE_OPTIONS",
    "RUN_OPTIONS",
    "STYLE_OPTIONS",
    "TARGET_OPTIONS",
    "TRANSLATOR_OPTIONS",
    "config_option",
    "options_named",
    "with_options",
]

F = TypeVar("F", bound=Callable[..., Any])


class TargetType(click.ParamType):
    """``VALENCE,AROUSAL``, with the name of a basic expression behind it if wanted."""

    name = "V,A"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[VA, str]:
        from synth.affect import expression_name
        from synth.errors import TargetError
        from synth.types import VA

        if isinstance(value, tuple):
            return value
        numbers, _, name = (
            str(value).rpartition(",") if str(value).count(",") == 2 else (value, "", "")
        )
        try:
            return VA.parse(str(numbers)), expression_name(name) if name else ""
        except TargetError as error:
            self.fail(str(error), param, ctx)


class ExpressionType(click.ParamType):
    """The name of a basic expression."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from synth.affect import expression_name
        from synth.errors import TargetError

        try:
            return expression_name(str(value))
        except TargetError as error:
            self.fail(str(error), param, ctx)


class ActionsType(click.ParamType):
    """Action units or blendshapes with their intensities; stays the text it was."""

    name = "NAME:VALUE,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from synth.errors import TargetError
        from synth.expressions.action_units import parse_actions

        try:
            parse_actions(str(value))
        except TargetError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def _existing_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        from synth.cli.config import load_defaults

        ctx.default_map = load_defaults(ctx.command, value)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_existing_config,
    help="Take the options of a run.toml; what is given here goes first.",
)

# TARGET_, STYLE_, PATH_ and PICTURE_OPTIONS decide the pictures: [settings] of run.toml.

#: What to make of a photo.
TARGET_OPTIONS = (
    click.option("--va", type=TargetType(), multiple=True,
                 help="Target, for example 0.5,0.3 or -0.5,0.3; repeat for more."),
    click.option("--va-grid", type=int, metavar="N",
                 help="Targets: the points of an N x N lattice that lie in the unit disc."),
    click.option("--va-file", type=click.Path(path_type=Path), metavar="CSV",
                 help="Targets: columns valence, arousal and, if wanted, expression."),
    click.option("--expression", type=ExpressionType(), multiple=True,
                 help="Target: anger, disgust, fear, happiness, sadness, surprise, contempt or "
                      "neutral; repeat for more."),
    click.option("--intensity", type=float, multiple=True, metavar="0..1",
                 help="Of the expressions; repeat to have each at several.  [default: 1]"),
    click.option("--au", type=ActionsType(), multiple=True,
                 help="Target: FACS action units, for example 12:0.8,6:0.5 or L12:0.6; "
                      "repeat for more."),
    click.option("--blendshape", type=ActionsType(), multiple=True,
                 help="Target: ARKit blendshapes, for example jawOpen:0.3,mouthSmileLeft:0.6."),
)  # fmt: skip

#: Who shows it.
STYLE_OPTIONS = (
    click.option("--samples", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                 help="Person styles per target, drawn from its class; 1 is the mean face."),
    click.option("--style", type=click.IntRange(1), metavar="K",
                 help="One person style for everything: a seed, instead of the mean face."),
    click.option("--seed", type=int, default=0, show_default=True, help="Seed of the run."),
)  # fmt: skip

LOOKUP_OPTION = click.option(
    "--lookup", type=click.Choice(["smooth", "class"]), default="smooth", show_default=True,
    help="From target to face: between neighbouring VA classes, or the mean face of the nearest "
         "one.",
)  # fmt: skip

#: Where a sequence leads, and how lively it is.
PATH_OPTIONS = (
    click.option("--path", "path", multiple=True, metavar="PATH",
                 help="CSV or JSON of waypoints t,valence,arousal; onset-apex-offset:V,A; "
                      "circle:R; line:V0,A0:V1,A1; or a basic expression, such as happiness or "
                      "happiness:0.7.  Repeat for more."),
    click.option("--fps", type=float, default=30.0, show_default=True, help="Frames a second."),
    click.option("--seconds", type=float,
                 help="Length of each sequence.  [default: a file's own, otherwise 4]"),
    click.option("--blinks", is_flag=True, help="Blinks and small movements of the eyes."),
    click.option("--head-motion", is_flag=True, help="Small movements of the head."),
)  # fmt: skip

#: How a picture is made.
PICTURE_OPTIONS = (
    click.option("--crop", metavar="PROFILE",
                 help="Cut the face out: face (the whole head), affectnet224, rafdb100, "
                      "affwild112, fer48 or aligned.  [default: raw, the whole photo]"),
    click.option("--size", type=int, metavar="N",
                 help="Side of the crop in pixels.  [default: the profile's, or 512]"),
    click.option("--format", "format", type=click.Choice(["png", "jpeg", "webp"]), default="png",
                 show_default=True, help="Of the pictures; only png is lossless."),
    click.option("--quality", type=click.IntRange(1, 100), default=95, show_default=True,
                 help="Of jpeg and webp."),
    click.option("--landmarks", default="dlib", show_default=True, metavar="NAME",
                 help="dlib, face-alignment, mediapipe, file (.pts or .ljson beside the photos) "
                      "or file:DIR."),
    click.option("--fit", type=click.Choice(["landmarks", "dense"]), default="landmarks",
                 show_default=True,
                 help="Put the model on the landmarks, or on the whole picture."),
    click.option("--texture", type=click.Path(path_type=Path), metavar="NPZ",
                 help="Texture model of --fit dense (synth model texture).  "
                      "[default: the embedded one]"),
    click.option("--neutralise", is_flag=True,
                 help="Take a slight expression off the photo first."),
    click.option("--face", default="largest", show_default=True, metavar="WHICH",
                 help="largest, error, all or an index, where a photo shows several faces."),
    click.option("--composite", type=click.Choice(["warp", "poisson"]), default="warp",
                 show_default=True, help="Move the photo's pixels, or render and blend."),
    click.option("--backend", type=click.Choice(["numba", "pytorch3d", "torch"]), default="numba",
                 show_default=True,
                 help="Rasteriser; torch draws whole batches, on --device cuda too."),
    click.option("--without", default="", metavar="STAGES",
                 help="Leave out stages of the renderer, for ablations: relight, folds, mouth, "
                      "eyes, with commas between."),
    click.option("--refine", type=click.Choice(["ganmut"]),
                 help="Let the conditional network of synth edit go over each picture."),
    click.option("--editor-weights", type=click.Path(path_type=Path), metavar="FILE",
                 help="Of that network.  [default: the embedded one]"),
    click.option("--nir", is_flag=True, help="Near-infrared pictures."),
    click.option("--nir-order", type=click.Choice(["photo", "image"]), default="photo",
                 show_default=True,
                 help="Translate the photo once and draw on that, or translate each picture."),
    click.option("--nir-weights", type=click.Path(path_type=Path), metavar="FILE",
                 help="Of a translator (synth train).  [default: the embedded one]"),
    click.option("--model", type=click.Path(path_type=Path), metavar="NPZ",
                 help="Morphable model.  [default: the embedded one]"),
    click.option("--gallery", type=click.Path(path_type=Path), metavar="FILE",
                 help="Expression gallery.  [default: the embedded one]"),
    click.option("--allow-non-neutral", is_flag=True,
                 help="Use photos whose face is not neutral too."),
)  # fmt: skip

#: How pictures become near infrared, or visible light again.
TRANSLATOR_OPTIONS = (
    click.option("--method", type=click.Choice(["cyclegan", "sde"]),
                 help="[default: that of the weights; cyclegan without any]"),
    click.option("--weights", type=click.Path(path_type=Path), metavar="FILE",
                 help=".safetensors of synth train, or .pth of the public CycleGAN code.  "
                      "[default: the embedded light CycleGAN]"),
    click.option("--runtime", type=click.Choice(["torch", "onnx"]), default="torch",
                 show_default=True, help="Of the embedded weights."),
    click.option("--dtype", type=click.Choice(["fp32", "bf16"]), default="fp32",
                 show_default=True, help="Of a full CycleGAN."),
    click.option("--tile", type=click.IntRange(64), default=512, show_default=True,
                 metavar="PIXELS", help="Larger pictures pass a full CycleGAN in tiles."),
    click.option("--steps", type=click.IntRange(1), metavar="N",
                 help="Of the diffusion.  [default: that of the weights]"),
    click.option("--variant", default="both", show_default=True, metavar="NAME",
                 help="Guidance of the diffusion: unconditional, cond, cond+eh, cond+ef, both, "
                      "ilvr or sdedit."),
    click.option("--any-input", is_flag=True,
                 help="Take pictures without a face, and of the wrong spectrum, too."),
)  # fmt: skip

#: Where and how the work is done: goes into [run] of run.toml.
RUN_OPTIONS = (
    click.option("--input", "-i", "input", multiple=True, metavar="PATH",
                 help="Photo, folder, glob pattern or .txt list; repeat for more."),
    click.option("--recursive", is_flag=True, help="Look into the subfolders of input folders."),
    click.option("--output", "-o", type=click.Path(path_type=Path), default="synth-out",
                 show_default=True, metavar="DIR", help="Folder of the run."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N photos."),
    click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                 help="Processes."),
    click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu",
                 show_default=True,
                 help="For the torch backend, --nir and the face-alignment detector."),
)  # fmt: skip


def with_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """A decorator that adds the options in the order given."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def description_options(what: str) -> list[Callable[[F], F]]:
    """What is written into a model made of `what`: name, version, licence and source."""
    return [
        click.option("--name", metavar="TEXT", help="Of the model.  [default: that of the file]"),
        click.option("--version", default="1", show_default=True, metavar="TEXT",
                     help="Of the model."),
        click.option("--licence", default="", metavar="TEXT",
                     help=f"Under which the {what} may be used."),
        click.option("--source", default="", metavar="TEXT",
                     help=f"Where the {what} come from."),
    ]  # fmt: skip


def options_named(options: tuple[Callable[[F], F], ...], *names: str) -> list[Callable[[F], F]]:
    """Those of `options` that are called so, in the order of `names`."""
    known = {_option_name(option): option for option in options}
    return [known[name] for name in names]


def _option_name(option: Callable[[F], F]) -> str:
    def bare() -> None:
        pass

    option(bare)  # type: ignore[arg-type]
    return str(bare.__click_params__[0].name)  # type: ignore[attr-defined]
