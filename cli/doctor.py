"""``synth doctor``."""

from __future__ import annotations

import click


@click.command()
@click.pass_context
def doctor(ctx: click.Context) -> None:
    """Versions, devices, data files: what is here, what is missing, how to get it."""
    from synth.cli.checks import all_checks

    broken = False
    marks = {"ok": "ok      ", "optional": "optional", "broken": "BROKEN  "}
    for title, findings in all_checks():
        click.echo(title)
        for finding in findings:
            click.echo(f"  {marks[finding.state]}  {finding.name:28} {finding.text}")
            broken |= finding.state == "broken"
    if broken:
        click.echo("something that is needed is missing or damaged; see the lines marked BROKEN")
    ctx.exit(1 if broken else 0)
