"""``synth studio``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Of the page on this machine; 0 takes a free one.",
)
@click.option("--no-browser", is_flag=True, help="Only print the page's address.")
@click.option(
    "--input",
    "-i",
    "photo",
    type=click.Path(path_type=Path),
    metavar="PHOTO",
    help="Show this photo first.",
)
def studio(port: int, no_browser: bool, photo: Path | None) -> None:  # fmt: skip
    """A page in which a photo's face follows a dot on the circumplex.

    Served to this machine only, until Ctrl-C. Uploads stay in memory and in a
    temporary folder that is deleted at the end.

    \b
    synth studio
    synth studio --input photo.jpg --port 8000 --no-browser
    """
    from synth.errors import SkipPhoto, UsageError
    from synth.optional import require

    for package in ("fastapi", "uvicorn"):
        require(package, extra="studio")
    from synth.pipeline import Generator
    from synth.studio.serve import serve

    def ready(url: str) -> None:
        click.echo(f"studio at {url} (Ctrl-C ends it)", err=True)
        if not no_browser:
            click.launch(url)

    first = None
    if photo is not None:
        try:
            first = photo.read_bytes(), photo.name, str(photo)
        except OSError as error:
            raise UsageError(
                f"input: expected a readable photo, got {photo} ({error.strerror})"
            ) from None
    generator = Generator()
    generator.preload()
    try:
        serve(generator, port, ready, first)
    except SkipPhoto as skip:
        raise UsageError(f"input: {skip}") from None
    click.echo("studio ended; uploads deleted", err=True)
