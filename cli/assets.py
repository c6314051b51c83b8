"""``synth assets``."""

from __future__ import annotations

import click


@click.group()
def assets() -> None:
    """The data files the package uses."""


@assets.command("list")
def list_assets() -> None:
    """Name, version, size, licence and source of every data file."""
    from synth.assets import registry

    for asset in registry():
        click.echo(f"{asset.name}  version {asset.version}  {asset.bytes / 1e6:.2f} MB")
        shipped = f"package {asset.package}" if asset.package else "shipped"
        for label, text in (
            ("file", f"{asset.file} ({shipped})"),
            ("licence", asset.licence),
            ("source", asset.source),
            ("notes", asset.notes),
            ("build", asset.build),
            ("sha256", asset.sha256),
        ):
            if text:
                click.echo(f"    {label:8}{text}")
