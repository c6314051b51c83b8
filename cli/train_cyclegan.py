"""``synth train cyclegan``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synth.cli.params import with_options

__all__ = ["SETTINGS", "cyclegan"]

COUNT, SHARE = click.IntRange(min=1), click.FloatRange(0, 1)
WEIGHT, PATH = click.FloatRange(min=0), click.Path(path_type=Path)


def _setting(name: str, default: Any, kind: Any, text: str, **more: Any) -> Any:
    """An option that becomes a field of `CycleGANSettings`."""
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        more = {"metavar": "N" if isinstance(kind, click.IntRange) else "X", **more}
    return click.option(name, default=default, type=kind, show_default=True, help=text, **more)


#: Fields of `synth.training.cyclegan_settings.CycleGANSettings`.
SETTINGS = (
    _setting("--pairing", "unpaired", click.Choice(("unpaired", "half", "paired")),
             "Whether VIS and NIR photos are pairs; half: some are."),
    _setting("--size", 256, COUNT, "Side of the pictures trained on.", metavar="PX"),
    _setting("--stripes", 0.5, SHARE, "Share shown narrow, with black stripes beside."),
    _setting("--flip/--no-flip", True, None, "Mirror every other picture."),
    _setting("--iterations", 200_000, COUNT, "Rounds; the rate falls over the second half."),
    _setting("--batch", 1, COUNT, "Pictures of each spectrum per step."),
    _setting("--ngf", 64, COUNT, "Width of the generators."),
    _setting("--blocks", 9, COUNT, "Residual blocks of the generators."),
    _setting("--ndf", 64, COUNT, "Width of the discriminators."),
    _setting("--spectral/--no-spectral", False, None, "Spectral norm in the discriminators."),
    _setting("--gan", "lsgan", click.Choice(("lsgan", "original")), "Adversarial loss."),
    _setting("--lambda-nir", 15.0, WEIGHT, "Weight of the cycle NIR-VIS-NIR."),
    _setting("--lambda-vis", 10.0, WEIGHT, "Weight of the cycle VIS-NIR-VIS."),
    _setting("--identity", 0.5, WEIGHT, "Weight of the identity losses, relative to the cycles'."),
    _setting("--lambda-paired", 10.0, WEIGHT, "Weight of the difference to partners."),
    _setting("--pool", 50, click.IntRange(min=0), "Earlier fakes shown to the discriminators."),
    _setting("--generator-steps", 2, COUNT, "Per step of the discriminators."),
    _setting("--rate", 2e-4, click.FloatRange(0, min_open=True), "Learning rate."),
    _setting("--ema", 0.0, click.FloatRange(0, 1, max_open=True),
             "Decay of a running mean of the generators, which is then exported; 0: none."),
    _setting("--dtype", "fp32", click.Choice(("fp32", "bf16")), "What networks compute in."),
    _setting("--seed", 0, click.IntRange(min=0), "Of all that is random."),
)  # fmt: skip


@click.command()
@click.option("--data", required=True, multiple=True, type=PATH, metavar="DIR",
              help="Folder of a set; repeat for more.")  # fmt: skip
@click.option("--corpus", default=("folders",), show_default=True, multiple=True, metavar="NAME",
              help="Their layout: folders (vis/ and nir/ below DIR), oulu-casia, ...")  # fmt: skip
@click.option("-o", "--output", required=True, type=PATH, metavar="DIR",
              help="Run folder; the same command on it goes on.")  # fmt: skip
@click.option("--hold-out", "held_out", multiple=True, metavar="NAME",
              help="A person who is not trained on but shown in samples; repeat.")  # fmt: skip
@with_options(*SETTINGS)
@click.option("--device", default="auto", show_default=True,
              type=click.Choice(("cpu", "cuda", "auto")))  # fmt: skip
@click.option("--save-every", default=1000, show_default=True, type=COUNT, metavar="N",
              help="Iterations between states, weights and sheets of samples.")  # fmt: skip
def cyclegan(data: tuple[Path, ...], output: Path, corpus: tuple[str, ...],
             held_out: tuple[str, ...], device: str, save_every: int,
             **settings: Any) -> None:  # fmt: skip
    """CycleGAN: generators between VIS and NIR, from photos that need not be pairs.

    \b
    synth train cyclegan --data photos/ --output runs/cyclegan
    synth train cyclegan --data OULU/ --corpus oulu-casia --pairing paired -o runs/oulu
    synth translate --to nir --weights runs/cyclegan/weights/nir.safetensors --input ...

    The defaults are those of the papers: a day on a GPU. Ctrl-C saves the state; the same
    command goes on.
    """
    from tqdm import tqdm

    from synth.cli.progress import interruptible
    from synth.training.cyclegan_run import run_cyclegan
    from synth.training.cyclegan_settings import CycleGANSettings

    made = CycleGANSettings(**settings)
    with (
        interruptible("saving the state") as stop,
        tqdm(total=made.iterations, unit=" steps", disable=None, leave=False) as bar,
    ):
        run = run_cyclegan(
            data, output, made, corpus=corpus, held_out=held_out, device=device,
            save_every=save_every, stop=stop, progress=lambda done, _: bar.update(done - bar.n),
        )  # fmt: skip
    if run.resumed:
        click.echo(f"{run.resumed} iterations had been done before", err=True)
    click.echo(f"{run.iteration} of {made.iterations} iterations; weights, samples and losses in "
               f"{run.root}", err=True)  # fmt: skip
    if not run.finished:
        click.echo("interrupted: run the same command again to finish", err=True)
        click.get_current_context().exit(130)
