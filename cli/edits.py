"""What ``synth edit`` does with its options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from synth.cli.config import plain
from synth.cli.runner import Tables

if TYPE_CHECKING:
    from synth.editing.photos import PhotoEditor
    from synth.editing.ranges import EditTarget
    from synth.types import VA

__all__ = ["dry", "make_editor", "run", "wanted_edits"]

#: Options that say where and how, not what.
RUN = ("input", "recursive", "output", "limit", "workers", "device")
#: Options of which one is enough, so that one on the command line replaces the file's.
WAYS = ("theta", "expression", "va")


def run(ctx: click.Context, options: dict[str, Any], overwrite: bool) -> int:
    """Edit the photos, print the summary; the exit code."""
    from synth.cli import runner
    from synth.editing.photos import COLUMNS
    from synth.editing.ranges import code_tags

    targets, maker = wanted_edits(ctx), make_editor(options)
    tables = _tables(ctx, options, maker)
    return runner.run(options, tables, targets, maker, overwrite, code_tags(targets), COLUMNS)


def dry(ctx: click.Context, options: dict[str, Any], overwrite: bool) -> None:
    """Print what would be made."""
    from synth.cli import runner
    from synth.editing.ranges import code_tags

    targets = wanted_edits(ctx)
    tables = _tables(ctx, options, make_editor(options))
    runner.dry(options, tables, targets, overwrite, code_tags(targets))


def wanted_edits(ctx: click.Context) -> tuple[EditTarget, ...]:
    """The targets of the options; those of a file count only where the command line has none."""
    from synth.editing.ranges import make_edit_targets, parse_rho

    ways = _ways(ctx)
    return make_edit_targets(
        ways["theta"],
        ways["expression"],
        ways["va"],
        [parse_rho(text) for text in ways["rho"]],
        ctx.params["samples"],
    )


def _ways(ctx: click.Context) -> dict[str, Any]:
    """The options that say what to edit into, `WAYS` and ``rho``, as they count."""

    def on_line(name: str) -> bool:
        return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE

    given = [name for name in WAYS if on_line(name)] or WAYS
    ways = {name: ctx.params[name] if name in given else () for name in WAYS}
    # A file's strengths belong to the angles and expressions that a point replaces.
    wanted = on_line("rho") or tuple(given) != ("va",)
    return ways | {"rho": ctx.params["rho"] if wanted else ()}


def make_editor(options: dict[str, Any]) -> PhotoEditor:
    """The maker that the options describe."""
    from synth.editing import EditSettings
    from synth.editing.photos import PhotoEditor
    from synth.settings import torch_device

    settings = EditSettings(
        not options["no_color_transfer"], not options["no_alpha"], options["margin"],
        options["border"],
    )  # fmt: skip
    return PhotoEditor(
        options["weights"], settings, options["landmarks"], options["face"], options["seed"],
        torch_device(options["device"]),
    )  # fmt: skip


def _tables(ctx: click.Context, options: dict[str, Any], maker: PhotoEditor) -> Tables:
    """The content of ``run.toml``."""
    from synth.versions import installed

    ways = _ways(ctx)
    ways["va"] = tuple(_written(va, name) for va, name in ways["va"])
    settings = options | ways
    return {
        "settings": {k: plain(v) for k, v in sorted(settings.items()) if k not in RUN},
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in RUN},
        "assets": dict(maker.digests),
        "versions": installed(),
    }


def _written(va: VA, name: str) -> str:
    return f"{va.valence!r},{va.arousal!r}" + (f",{name}" if name else "")
