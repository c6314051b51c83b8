"""``synth experiment run nir-known-truth``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

__all__ = ["run_it"]


@click.command("nir-known-truth")
@click.option("--photos", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Neutral photos, one for each person.  [default: the sample portraits]"
              )  # fmt: skip
@click.option("--size", default="small", show_default=True,
              type=click.Choice(["tiny", "small", "full"]),
              help="tiny tries the command out, small is for a CPU, full for a GPU.")  # fmt: skip
@click.option("--output", "-o", default="nir-known-truth", show_default=True, metavar="DIR",
              type=click.Path(path_type=Path), help="Folder of the run.")  # fmt: skip
@click.option("--held-out", default=4, show_default=True, type=click.IntRange(2), metavar="N",
              help="Every N-th photo of a folder, from the first, is for testing.")  # fmt: skip
@click.option("--method", "methods", multiple=True, type=click.Choice(["cyclegan", "sde"]),
              help="Only this network; repeat for several.  [default: all]")  # fmt: skip
@click.option("--device", default="auto", show_default=True,
              type=click.Choice(["auto", "cpu", "cuda"]))  # fmt: skip
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
def run_it(
    photos: tuple[Path, ...], size: str, output: Path, held_out: int,
    methods: tuple[str, ...], device: str, seed: int,
) -> None:  # fmt: skip
    """CycleGAN and NFER-SDE on VIS/NIR pairs whose NIR an optical model makes.

    \b
    synth experiment run nir-known-truth --photos neutral/ --output known-truth/
    synth experiment run nir-known-truth --photos neutral/ --size full --device cuda

    Writes report.md, results.csv and sheet.jpg. Ctrl-C saves; the same command goes on.
    """
    from tqdm import tqdm

    from synth.cli.progress import interruptible
    from synth.evaluation.known_truth import METHODS, run_known_truth
    from synth.image_files import find_images
    from synth.samples import SAMPLES, copy_samples
    from synth.settings import torch_device

    with tempfile.TemporaryDirectory() as samples, interruptible("saving the state") as stop:
        if not photos:
            copy_samples(samples)
            photos = tuple(Path(samples) / s.name for s in SAMPLES if s.neutral)
        with tqdm(disable=None, leave=False, unit=" steps") as bar:

            def told(what: str, done: int, of: int) -> None:
                if getattr(bar, "desc", "") != f"{what}: ":  # none without a terminal
                    bar.reset(of)
                    bar.set_description(what)
                bar.update(done - bar.n)

            finished = run_known_truth(
                find_images(list(photos)), output, size, held_out=held_out,
                methods=methods or METHODS, seed=seed, device=torch_device(device),
                stop=stop, told=told, say=lambda line: bar.write(line),
            )  # fmt: skip
    if not finished:
        click.echo("interrupted: run the same command again to finish", err=True)
        raise click.exceptions.Exit(130)
    click.echo((output / "report.md").read_text("utf-8"))
