"""``synth experiment run NAME`` for experiments that are files."""

from __future__ import annotations

from pathlib import Path

import click

from synth.errors import UsageError

__all__ = ["run_command"]


def _roots(given: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder or name in found:
            raise UsageError(
                f"root: expected NAME=DIR, each name once, such as data=photos/, got {text!r}"
            )
        found[name] = Path(folder).expanduser()
    return found


def run_command(name: str, short: str = "") -> click.Command:
    """The command that runs the experiment of that name or file; `short` tells what it asks."""

    @click.command(name, short_help=short)
    @click.option("--output", "-o", type=click.Path(path_type=Path), metavar="DIR",
                  help="Folder of the run.  [default: the experiment's name]")  # fmt: skip
    @click.option("--root", "roots", multiple=True, metavar="NAME=DIR",
                  help="Folder of a set that the experiment needs; repeat for more.")  # fmt: skip
    @click.option("--seeds", type=click.IntRange(1), metavar="N",
                  help="Trainings of each condition.  [default: the experiment's]")  # fmt: skip
    @click.option("--count", type=click.IntRange(1), metavar="N",
                  help="Pictures of a set that is made.  [default: the experiment's]")  # fmt: skip
    @click.option("--only", multiple=True, metavar="CONDITION",
                  help="This condition only; repeat for more.  [default: all]")  # fmt: skip
    @click.option("--quick", is_flag=True, help="Try it out: few pictures, few steps, one seed.")
    @click.option("--workers", type=click.IntRange(1), default=1, show_default=True, metavar="N",
                  help="Processes that make pictures.")  # fmt: skip
    @click.option("--device", default="cpu", show_default=True,
                  type=click.Choice(["cpu", "cuda", "auto"]))  # fmt: skip
    def run_it(
        output: Path | None, roots: tuple[str, ...], seeds: int | None, count: int | None,
        only: tuple[str, ...], quick: bool, workers: int, device: str,
    ) -> None:  # fmt: skip
        """Carry out an experiment that is a file: sets, trainings, tests, tables, report.

        \b
        synth experiment run real-faces --root data=photos/ --output real-faces/
        synth experiment run real-faces --root data=photos/ --only 3dmm --quick
        synth experiment run my-experiment.toml --root faces=photos/

        What is finished is not made again: Ctrl-C stops, and the same command goes on.
        """
        _run(name, output or Path(Path(name).stem), _roots(roots), seeds, count, only, quick,
             workers, device)  # fmt: skip

    return run_it


def _run(
    name: str, output: Path, roots: dict[str, Path], seeds: int | None, count: int | None,
    only: tuple[str, ...], quick: bool, workers: int, device: str,
) -> None:  # fmt: skip
    from tqdm import tqdm

    from synth.cli.progress import interruptible
    from synth.experiments.files import load_definition
    from synth.experiments.making import Work
    from synth.experiments.report import write_report
    from synth.experiments.running import run_experiment
    from synth.settings import torch_device

    definition = load_definition(name)
    with (
        interruptible("stopping after the step in work") as stop,
        tqdm(disable=None, leave=False) as bar,
    ):

        def told(what: str, done: int, of: int) -> None:
            if getattr(bar, "desc", "") != f"{what}: ":  # none without a terminal
                bar.reset(of)
                bar.set_description(what)
            bar.update(done - bar.n)

        work = Work(workers, torch_device(device), stop, told, lambda line: bar.write(line))
        finished = run_experiment(
            definition, roots, output, seeds=seeds, count=count, only=only, quick=quick, work=work
        )
    if not finished:
        click.echo("interrupted: run the same command again to finish", err=True)
        raise click.exceptions.Exit(130)
    click.echo(f"the report is {write_report(output)}", err=True)
