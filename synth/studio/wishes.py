"""What the page asks for, checked: targets and tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import UsageError
from synth.paths import waypoints_csv
from synth.pipeline import Generator
from synth.studio.strokes import waypoints
from synth.targets import Target, frame_targets
from synth.types import VA, Track

__all__ = ["MAX_FRAMES", "PathWish", "WAYPOINTS_FILE", "read_path", "read_target", "track_of"]

Data = Mapping[str, Any]

#: Frames of one path at most: half a minute at 30 a second.
MAX_FRAMES = 900
#: Seconds of one path at most.
MAX_SECONDS = 120.0
WAYPOINTS_FILE = "waypoints.csv"
_MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class PathWish:
    """A path the page asks for.

    Attributes
    ----------
    named : str
        A named path (``circle:0.6``); "" for a drawn one.
    csv : str
        Waypoints of a drawn path, as the file that a command reads.
    fps : float
    seconds : float or None
        Stretched to this length; its own timing when None.
    style : int or None
        Seed of a person style.
    blinks, head_motion : bool
    """

    named: str = ""
    csv: str = ""
    fps: float = 30.0
    seconds: float | None = None
    style: int | None = None
    blinks: bool = False
    head_motion: bool = False

    def targets(self, track: Track) -> list[Target]:
        """The frames of `track` in the wished style."""
        return frame_targets(track, style=self.style)


def read_target(data: Data) -> Target:
    """The target of ``{valence, arousal}`` or ``{expression, intensity}``, and ``style``.

    Raises
    ------
    UsageError
        If a value is missing, of the wrong type or out of range.
    """
    style = _style(data)
    if name := data.get("expression"):
        key = expression_name(_text(name, "expression"))
        full, share = EXPRESSIONS[key], _number(data, "intensity", 0.0, 1.0, 1.0)
        return Target(VA(full.valence * share, full.arousal * share), expression=key, style=style)
    valence = _number(data, "valence", -1.0, 1.0)
    return Target(VA(valence, _number(data, "arousal", -1.0, 1.0)), style=style)


def read_path(data: Data) -> PathWish:
    """The path of ``{points}`` or ``{named}``, with ``fps, seconds, style, blinks, head_motion``.

    Raises
    ------
    UsageError
        If a value is missing, of the wrong type or out of range.
    """
    seconds = data.get("seconds")
    wish = PathWish(
        fps=_number(data, "fps", 1.0, 60.0, 30.0),
        seconds=None if seconds is None else _number(data, "seconds", 0.1, MAX_SECONDS),
        style=_style(data),
        blinks=_flag(data, "blinks"),
        head_motion=_flag(data, "head_motion"),
    )
    if "named" in data:
        named = _text(data["named"], "path")
        kind = named.partition(":")[0]
        # A file of this machine would do as a path too: the page may not name one.
        if kind not in ("onset-apex-offset", "circle", "line", *EXPRESSIONS):
            raise UsageError(f"path: expected a named path or a drawn line, got {named[:40]!r}")
        return replace(wish, named=named)
    if not isinstance(data.get("points"), list):
        raise UsageError("points: expected a list of [t, valence, arousal], got none")
    try:
        points = waypoints(data["points"])
    except (TypeError, ValueError):
        raise UsageError("points: expected three numbers each, got something else") from None
    return replace(wish, csv=waypoints_csv(points[:, 0], points[:, 1:]))


def track_of(generator: Generator, wish: PathWish, folder: Path) -> Track:
    """The sampled path, as ``synth sequence`` samples it.

    Parameters
    ----------
    generator : Generator
    wish : PathWish
    folder : Path
        For the waypoints of a drawn path, which are read like a user's file.

    Raises
    ------
    UsageError
        If the path cannot be read, or has more than `MAX_FRAMES` frames.
    """
    path = wish.named
    if wish.csv:
        file = folder / WAYPOINTS_FILE
        file.write_text(wish.csv, "utf-8")
        path = str(file)
    track = generator.track(path, wish.fps, wish.seconds)
    if len(track) > MAX_FRAMES:
        raise UsageError(
            f"path: expected at most {MAX_FRAMES} frames, got {len(track)}; "
            "make it shorter or choose fewer frames a second"
        )
    return track


def _number(data: Data, name: str, low: float, high: float, default: float | None = None) -> float:
    value = data.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r:.40}")
    if not low <= value <= high:
        raise UsageError(f"{name}: expected {low:g} to {high:g}, got {value:g}")
    return float(value)


def _style(data: Data) -> int | None:
    value = data.get("style")
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _MAX_SEED:
        raise UsageError(f"style: expected a whole number from 0 to {_MAX_SEED}, got {value!r:.40}")
    return value


def _flag(data: Data, name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise UsageError(f"{name}: expected true or false, got {value!r:.40}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise UsageError(f"{name}: expected a short text, got {value!r:.40}")
    return value
