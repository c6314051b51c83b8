"""Between command-line options and ``run.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.errors import UsageError
from synth.runfile import read_run_file

if TYPE_CHECKING:
    from synth.pipeline import Generator
    from synth.targets import Target

__all__ = ["load_defaults", "make_generator", "run_tables", "wanted_targets"]

#: Tables that hold options, and tables that only tell.
OPTION_TABLES, OTHER_TABLES = ("settings", "run"), ("versions", "assets")
#: Options that a run file cannot give.
NOT_IN_FILES = ("config", "overwrite", "dry_run")
#: Options of which one is enough, so that one on the command line replaces the file's.
TARGET_OPTIONS = ("va", "va_grid", "va_file")


def load_defaults(command: click.Command, path: Path) -> dict[str, Any]:
    """The options of a run file, as defaults for `command`.

    Raises
    ------
    UsageError
        If a key is not an option of the command.
    """
    tables = read_run_file(path)
    options = {p.name: p for p in command.params if p.name and p.name not in NOT_IN_FILES}
    values: dict[str, Any] = {}
    for table, entries in tables.items():
        if table in OTHER_TABLES:
            continue
        if table not in OPTION_TABLES:
            raise UsageError(
                f"config: expected the tables [{'], ['.join(OPTION_TABLES)}], got [{table}] "
                f"in {path}"
            )
        for key, value in entries.items():
            name = key.replace("-", "_")
            if name not in options:
                raise UsageError(
                    f"config: expected options of synth {command.name} in {path}, got {key!r}; "
                    f"known are {', '.join(sorted(options))}"
                )
            # A lone string for an option that repeats is one value, not its letters.
            values[name] = (
                [value]
                if getattr(options[name], "multiple", False) and isinstance(value, str)
                else value
            )
    return values


def wanted_targets(ctx: click.Context) -> tuple[Target, ...]:
    """The targets of ``--va``, ``--va-grid`` and ``--va-file``, in this order.

    Those of a run file count only where the command line gives none.
    """
    from synth.affect import read_va_file, va_grid
    from synth.targets import make_targets

    given = [n for n in TARGET_OPTIONS if _on_command_line(ctx, n)]
    values = {n: ctx.params[n] for n in (given or TARGET_OPTIONS)}
    pairs = list(values.get("va") or ())
    if values.get("va_grid") is not None:
        pairs += [(va, "") for va in va_grid(values["va_grid"])]
    if values.get("va_file") is not None:
        pairs += read_va_file(values["va_file"])
    if not pairs:
        raise UsageError(
            "va: expected at least one target, got none; "
            "give --va 0.5,0.3, --va-grid 5 or --va-file targets.csv"
        )
    return tuple(make_targets(pairs))


def _on_command_line(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def make_generator(options: dict[str, Any]) -> Generator:
    """The generator that the options describe."""
    from synth.acceptance import Limits
    from synth.pipeline import Generator

    names = "model gallery landmarks face lookup composite backend crop size seed device".split()
    limits = Limits.any_expression() if options["allow_non_neutral"] else Limits()
    return Generator(**{name: options[name] for name in names}, limits=limits)


def run_tables(
    options: dict[str, Any], generator: Generator, targets: tuple[Target, ...]
) -> dict[str, dict[str, Any]]:
    """The content of ``run.toml``: targets written out, defaults filled in."""
    from synth.versions import installed

    run = {"input", "recursive", "output", "limit", "workers", "device"}
    skip = {*TARGET_OPTIONS, *NOT_IN_FILES, *run}
    settings = {k: _plain(v) for k, v in options.items() if k not in skip}
    settings["size"] = generator.size
    settings["va"] = [
        f"{t.va.valence!r},{t.va.arousal!r}" + (f",{t.expression}" if t.expression else "")
        for t in targets
    ]
    return {
        "settings": settings,
        "run": {k: _plain(v) for k, v in options.items() if k in run},
        "assets": generator.digests,
        "versions": installed(),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
