"""``synth dataset``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def dataset() -> None:
    """Verify sets made by synth augment."""


@dataset.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, directory: Path) -> None:
    """Check every file and label of the set in DIRECTORY.

    Checksums, missing and extra files, pictures that do not decode, labels out of range or
    not the same everywhere, people in two splits, duplicates; draws where the labels lie.
    The exit code is 1 where something is wrong.
    """
    from synth.dataset.check import check_set

    report = check_set(directory)
    for line in report.lines():
        click.echo(line)
    ctx.exit(0 if report.ok else 1)


@dataset.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--id", "picture", required=True, metavar="X",
              help="Its key, its file name, or the number of its row in the plan.")  # fmt: skip
@click.option("--input", "-i", "photos", multiple=True, type=click.Path(path_type=Path),
              metavar="PATH",
              help="Where the neutral photo is.  [default: as in run.toml]")  # fmt: skip
@click.option("--output", "-o", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the picture made now.")  # fmt: skip
@click.pass_context
def replay(
    ctx: click.Context, directory: Path, picture: str, photos: tuple[Path, ...], output: Path | None
) -> None:
    """Make a picture of the set in DIRECTORY again and compare it bit for bit.

    \b
    synth dataset replay set/ --id 17
    synth dataset replay set/ --id photo_00000017 --input neutral/ --output again.jpg

    The exit code is 1 where the bytes differ.
    """
    from synth.augment.replay import replay as make_again
    from synth.images import write_atomic

    done = make_again(directory, picture, photos)
    if output is not None:
        write_atomic(output, done.made)
    if done.same:
        click.echo(f"{done.name}: the same {len(done.made)} bytes")
        return
    click.echo(f"{done.name}: expected {len(done.kept)} bytes as in the set, got other ones")
    for line in done.differences or ("assets and versions are those of the record",):
        click.echo(f"  {line}")
    ctx.exit(1)
