"""``synth train sde``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["sde"]

COUNT, PATH = click.IntRange(min=1), click.Path(path_type=Path)


@click.command()
@click.option("--data", required=True, multiple=True, type=PATH, metavar="DIR",
              help="Folder of a set whose photos are pairs; repeat for more.")  # fmt: skip
@click.option("--corpus", default=("folders",), show_default=True, multiple=True, metavar="NAME",
              help="Their layout: folders (vis/ and nir/ below DIR), oulu-casia, ...")  # fmt: skip
@click.option("-o", "--output", required=True, type=PATH, metavar="DIR",
              help="Run folder; the same command on it goes on.")  # fmt: skip
@click.option("--hold-out", "held_out", multiple=True, metavar="NAME",
              help="A person who is not trained on but shown in samples; repeat.")  # fmt: skip
@click.option("--to", default="nir", show_default=True, type=click.Choice(("nir", "vis")),
              help="What is made from the other.")  # fmt: skip
@click.option("--size", default=64, show_default=True, type=COUNT, metavar="PX",
              help="Side of the aligned face.")  # fmt: skip
@click.option("--channels", default=32, show_default=True, type=COUNT, metavar="N",
              help="Width of the networks, a multiple of 8.")  # fmt: skip
@click.option("--iterations", default=6000, show_default=True, type=COUNT, metavar="N",
              help="Steps; more may be asked for later.")  # fmt: skip
@click.option("--batch", default=8, show_default=True, type=COUNT, metavar="N",
              help="Pairs per step.")  # fmt: skip
@click.option("--rate", default=1e-3, show_default=True, help="Learning rate.", metavar="X",
              type=click.FloatRange(min=0, min_open=True))  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), metavar="N",
              help="Of all that is random.")  # fmt: skip
@click.option("--device", default="auto", show_default=True,
              type=click.Choice(("cpu", "cuda", "auto")))  # fmt: skip
@click.option("--landmarks", default="dlib", show_default=True, metavar="NAME",
              help="Detector of the 68 points.")  # fmt: skip
@click.option("--save-every", default=500, show_default=True, type=COUNT, metavar="N",
              help="Iterations between states and sheets of samples.")  # fmt: skip
def sde(**options: Any) -> None:
    """NFER-SDE: score and heatmap networks, from paired photos.

    \b
    synth train sde --data pairs/ --output runs/sde
    synth train sde --data OULU/ --corpus oulu-casia --hold-out P001 -o runs/oulu
    synth translate --method sde --to nir --weights runs/sde/weights/score.safetensors ...

    Ctrl-C saves the state; the same command goes on.
    """
    from tqdm import tqdm

    from synth.cli.progress import interruptible
    from synth.training.sde_run import run_sde

    with (
        interruptible("saving the state") as stop,
        tqdm(total=options["iterations"], unit=" steps", disable=None, leave=False) as bar,
    ):
        run = run_sde(
            **options,
            stop=stop,
            progress=lambda done, losses: bar.update(done - bar.n),
            told=lambda pairs: click.echo(
                f"{len(pairs.names)} pairs, {len(pairs.skipped)} left out", err=True
            ),
        )
    click.echo(f"{run.iteration} iterations; weights in {run.root / 'weights'}")
    if not run.finished:
        raise click.exceptions.Exit(130)
