"""``synth model register``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.building.register_jobs import Row

FILE = click.Path(path_type=Path)


@click.command()
@click.option("--input", type=FILE, required=True, metavar="DIR", help="Folder of scans.")
@click.option(
    "--output",
    "-o",
    type=FILE,
    required=True,
    metavar="DIR",
    help="New folder, or that of an earlier run, which is gone on with.",
)
@click.option(
    "--landmarks",
    type=FILE,
    metavar="DIR",
    help="Folder of 3D points, named as the scans.  [default: beside the scans]",
)
@click.option(
    "--template",
    type=FILE,
    metavar="NPZ|MESH",
    help="Model or mesh to deform.  [default: the face of the embedded model]",
)
@click.option(
    "--template-landmarks",
    type=FILE,
    metavar="FILE",
    help="Of a mesh: map of iBUG-68 to vertices, or 68 points.",
)
@click.option(
    "--method",
    type=click.Choice(["nicp", "cylindrical"]),
    default="nicp",
    show_default=True,
    help="Closest points, or flattening to a cylinder.",
)
@click.option(
    "--prior/--no-prior",
    default=True,
    show_default=True,
    help="Start from the template's own model, where it has modes or blendshapes.",
)
@click.option(
    "--together/--apart",
    default=True,
    show_default=True,
    help="Start a subject's scans from the subject's neutral face, where there are neutral "
    "scans; or register every scan for itself.",
)
@click.option(
    "--neutral",
    default="neutral",
    show_default=True,
    metavar="NAME",
    help="Last part of the names of neutral sequences.",
)
@click.option(
    "--max-distance",
    type=float,
    default=1.5,
    show_default=True,
    metavar="MM",
    help="Mean distance from the scan of what is accepted.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes.",
)
def register(
    input: Path, output: Path, landmarks: Path | None, template: Path | None,
    template_landmarks: Path | None, method: str, prior: bool, together: bool, neutral: str,
    max_distance: float, workers: int,
) -> None:  # fmt: skip
    """Bring scans of any triangulation onto one template.

    \b
    synth model register --input scans/ --landmarks points/ -o registered/
    synth model register --input scans/ -o registered/ --template head.obj \\
        --template-landmarks map.txt --workers 4

    Writes registered/meshes, which synth model build and synth gallery build read, and a
    report: what could not be registered or does not look like the others stands there with
    the reason.
    """
    from tqdm import tqdm

    from synth.building.register import plan_jobs, register_all
    from synth.cli.progress import interruptible
    from synth.morphable.registration import RegisterSettings
    from synth.morphable.registration.source import read_template

    settings = RegisterSettings(method=method, max_distance=max_distance)
    jobs = plan_jobs(input, landmarks)
    model = read_template(template, template_landmarks)
    with (
        interruptible("finishing the scans in work") as stop,
        tqdm(total=len(jobs), unit=" scans", file=sys.stderr, disable=None, leave=False) as bar,
    ):
        rows = register_all(
            model, jobs, output, settings, workers=workers, prior=prior,
            neutral=neutral if together else None, advance=lambda _: bar.update(),
            stop=stop,
        )  # fmt: skip
    if together:
        click.echo(_started(rows, neutral))
    good = sum(not row.reason for row in rows)
    click.echo(f"{good} of {len(rows)} scans accepted; meshes in {output / 'meshes'}")
    if len(rows) < len(jobs):
        click.echo("interrupted: run the same command again to finish")
    click.echo(f"report in {output / 'report.md'}")


def _started(rows: Sequence[Row], neutral: str) -> str:
    """What the scans were started from."""
    subjects = {row.subject for row in rows if row.subject}
    if not subjects:
        return (
            f"no names like SUBJECT/{neutral}/FRAME with a usable scan: every scan was registered "
            "for itself"
        )
    count = sum(bool(row.subject) for row in rows)
    rest = len(rows) - count
    word = "subject" if len(subjects) == 1 else "subjects"
    line = f"{count} scans started from the neutral face of their subject, {len(subjects)} {word}"
    return line + (f"; {rest} registered for themselves" if rest else "")
