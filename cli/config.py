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
    from synth.types import Track

__all__ = [
    "load_defaults",
    "make_generator",
    "plain",
    "run_tables",
    "sequence_targets",
    "waypoint_files",
    "wanted_targets",
    "wanted_tracks",
]

#: Tables that hold options, and tables that only tell.
OPTION_TABLES, OTHER_TABLES = ("settings", "run"), ("versions", "assets")
#: Options that a run file cannot give.
NOT_IN_FILES = ("config", "overwrite", "dry_run", "write_plan", "audit")
#: Options of which one is enough, so that one on the command line replaces the file's.
TARGETS = ("va", "va_grid", "va_file", "expression", "au", "blendshape")
#: Folded into ``va`` in a run file, with their numbers written out.
FOLDED = ("va", "va_grid", "va_file", "expression", "intensity")


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
    """The targets of the options, in the order of `TARGETS`.

    Those of a run file count only where the command line gives none.
    """
    from synth.affect import EXPRESSIONS, read_va_file, va_grid
    from synth.expressions.action_units import parse_actions
    from synth.targets import make_targets
    from synth.types import VA

    given = [name for name in TARGETS if _on_command_line(ctx, name)]
    values = {name: ctx.params[name] for name in (given or TARGETS)}
    pairs = list(values.get("va") or ())
    if values.get("va_grid") is not None:
        pairs += [(va, "") for va in va_grid(values["va_grid"])]
    if values.get("va_file") is not None:
        pairs += read_va_file(values["va_file"])
    names = values.get("expression") or ()
    for intensity in _intensities(ctx, bool(names)):
        for name in names:
            full = EXPRESSIONS[name]
            point = VA(round(full.valence * intensity, 6), round(full.arousal * intensity, 6))
            if (point, name) not in pairs:  # neutral has no intensities
                pairs.append((point, name))
    actions = [parse_actions(text) for n in ("au", "blendshape") for text in values.get(n) or ()]
    if not pairs and not actions:
        raise UsageError(
            "va: expected at least one target, got none; give --va 0.5,0.3, --va-grid 5, "
            "--va-file targets.csv, --expression happiness or --au 12:0.8,6:0.5"
        )
    return tuple(make_targets(pairs, actions, ctx.params["samples"], ctx.params["style"]))


def _intensities(ctx: click.Context, used: bool) -> tuple[float, ...]:
    values: tuple[float, ...] = ctx.params["intensity"]
    if values and not used:
        raise UsageError(
            f"intensity: expected an expression with it, got {values[0]:g} alone; "
            "add --expression NAME"
        )
    for value in values:
        if not 0 <= value <= 1:  # nan too
            raise UsageError(f"intensity: expected 0 to 1, got {value:g}")
    return values or (1.0,)


def wanted_tracks(ctx: click.Context, generator: Generator) -> list[Track]:
    """The sampled paths of the options ``--path``, ``--fps`` and ``--seconds``."""
    if not ctx.params["path"]:
        raise UsageError(
            "path: expected at least one, got none; give --path waypoints.csv, "
            "--path circle:0.8 or --path happiness"
        )
    fps, seconds = ctx.params["fps"], ctx.params["seconds"]
    return [generator.track(path, fps, seconds) for path in ctx.params["path"]]


def waypoint_files(paths: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 by name of those paths that are files: they decide the pictures."""
    from synth.assets import digest

    files = [Path(path) for path in paths if Path(path).is_file()]
    return {file.name: digest(file) for file in files}


def sequence_targets(
    tracks: list[Track], samples: int = 1, style: int | None = None
) -> tuple[Target, ...]:
    """The frames of every path in every style, in this order."""
    from synth.targets import frame_targets

    if samples > 1 and style is not None:
        raise UsageError(
            f"style: expected either one style or several samples, got style {style} and "
            f"{samples} samples; leave one out"
        )
    targets: list[Target] = []
    numbers = range(1, samples + 1) if samples > 1 else range(1)
    for number, (track, sample) in enumerate((t, s) for t in tracks for s in numbers):
        targets += frame_targets(track, number, len(targets), style, sample)
    return tuple(targets)


def _on_command_line(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def make_generator(options: dict[str, Any]) -> Generator:
    """The generator that the options describe."""
    from synth.acceptance import Limits
    from synth.pipeline import Generator

    names = "model gallery landmarks face composite backend crop size seed device".split()
    more = "lookup blinks head_motion nir nir_order nir_weights route refine editor_weights without"
    more += " fit texture neutralise"
    names += [n for n in more.split() if n in options]
    limits = Limits.asked(options["allow_non_neutral"], options.get("neutralise", False))
    return Generator(**{name: options[name] for name in names}, limits=limits)


def run_tables(
    options: dict[str, Any], generator: Generator, targets: tuple[Target, ...]
) -> dict[str, dict[str, Any]]:
    """The content of ``run.toml``: targets written out, defaults filled in."""
    from synth.versions import installed

    run = {"input", "recursive", "output", "limit", "workers", "device", "video"}
    skip = {*FOLDED, *NOT_IN_FILES, *run}
    settings = {k: plain(v) for k, v in sorted(options.items()) if k not in skip}
    settings["size"] = generator.size
    if "va" in options:
        points = [t for t in targets if not t.actions and t.sample <= 1]
        settings["va"] = [
            f"{t.va.valence!r},{t.va.arousal!r}" + (f",{t.expression}" if t.expression else "")
            for t in points
        ]
    return {
        "settings": settings,
        "run": {k: plain(v) for k, v in sorted(options.items()) if k in run},
        "assets": dict(generator.digests),
        "versions": installed(),
    }


def plain(value: Any) -> Any:
    """As TOML gives it back."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value
