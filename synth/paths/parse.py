"""Reading a path: its words, or a file of waypoints."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synth.affect import EXPRESSIONS
from synth.errors import TargetError
from synth.paths.curve import Curve, waypoint_curve
from synth.paths.named import FORMS, named_curve

__all__ = ["parse_path", "waypoints_csv"]

COLUMNS = ("t", "valence", "arousal")
#: No waypoint file is larger; a video given by mistake is.
MOST_BYTES = 16 * 1024 * 1024

#: One waypoint as read: what messages call it, and t, valence, arousal.
Row = tuple[str, tuple[float, float, float]]


def parse_path(text: str) -> Curve:
    """The curve that `text` names or that the file of that name holds.

    ``onset-apex-offset:V,A`` (neutral, the point, neutral), ``circle:R`` (once around,
    counter-clockwise from (R, 0)), ``line:V0,A0:V1,A1``, the name of an expression with
    an intensity if wanted (``happiness:0.7``; neutral, the expression, neutral), or a
    file of waypoints: CSV with the columns t, valence and arousal (any letter case,
    lines starting with # skipped), or JSON, a list of objects with these keys or of
    lists ``[t, valence, arousal]``, also below the key ``waypoints``.

    Raises
    ------
    TargetError
        If it is none of these, the file cannot be read, or a waypoint is not valid;
        the message names the line.
    """
    curve = named_curve(text)
    if curve is not None:
        return curve
    path = Path(text)
    if not text.strip() or not _means_file(path):
        raise TargetError(
            f"path: expected a CSV or JSON file, or one of {', '.join(FORMS)} "
            f"(expressions: {', '.join(EXPRESSIONS)}), got {text!r}"
        )
    content = _read(path)
    if not content.strip():
        raise TargetError(f"path: expected waypoints, got an empty file {text!r}")
    as_json = path.suffix.lower() == ".json" or content.lstrip()[0] in "[{"
    rows = _json_rows(content, text) if as_json else _csv_rows(content, text)
    if len(rows) < 2:
        raise TargetError(
            f"path: expected at least 2 waypoints in {text!r}, got {len(rows)}; add waypoints"
        )
    values = np.array([row for _, row in rows])
    return waypoint_curve(
        values[:, 0], values[:, 1:], _safe(path.stem), [place for place, _ in rows]
    )


def waypoints_csv(times: ArrayLike, points: ArrayLike) -> str:
    """Text of a CSV file that `parse_path` reads back to the last bit.

    Parameters
    ----------
    times : (n,) float
        Seconds.
    points : (n, 2) float
        Valence and arousal.
    """
    rows = np.column_stack([np.asarray(times, np.float64), np.asarray(points, np.float64)]) + 0.0
    lines = [",".join(map(repr, row)) for row in rows.tolist()]
    return "\n".join([",".join(COLUMNS), *lines]) + "\n"


def _means_file(path: Path) -> bool:
    try:
        return path.suffix.lower() in (".csv", ".json", ".txt") or path.exists()
    except (OSError, ValueError):  # too long a name, a zero byte
        return False


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TargetError(
                f"path: expected a file of waypoints, got {str(path)!r} of "
                f"{path.stat().st_size / 2**20:.0f} MiB (at most {MOST_BYTES / 2**20:.0f})"
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except TargetError:
        raise
    except ValueError:
        reason = "not UTF-8 text"
    raise TargetError(f"path: expected a readable CSV or JSON file, got {str(path)!r}: {reason}")


def _csv_rows(content: str, name: str) -> list[Row]:
    lines = [
        (number, line)
        for number, line in enumerate(content.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise TargetError(f"path: expected waypoints, got only comments in {name!r}")
    header = [cell.lower() for cell in _cells(lines[0][1])]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise TargetError(
            f"path: expected columns {', '.join(COLUMNS)} in {name!r} line {lines[0][0]}, "
            f"got {', '.join(header)[:80]}; {', '.join(missing)} is missing"
        )
    columns = [header.index(column) for column in COLUMNS]
    rows = []
    for number, line in lines[1:]:
        cells, place = _cells(line), f"{name} line {number}"
        if len(cells) <= max(columns):
            raise TargetError(f"path: {place}: expected {len(header)} values, got {line!r}")
        rows.append((place, _numbers([cells[i] for i in columns], place)))
    return rows


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error:  # a field of more than 128 kB
        return [line[:80]]


def _json_rows(content: str, name: str) -> list[Row]:
    try:
        found = json.loads(content)
    except json.JSONDecodeError as error:
        raise TargetError(
            f"path: expected JSON in {name!r}, got {error.msg} in line {error.lineno} "
            f"column {error.colno}"
        ) from None
    except (ValueError, RecursionError):
        raise TargetError(f"path: expected a JSON list of waypoints in {name!r}") from None
    if isinstance(found, dict):
        found = found.get("waypoints")
    if not isinstance(found, list):
        raise TargetError(
            f"path: expected a JSON list of waypoints in {name!r}, such as "
            '[{"t": 0, "valence": 0, "arousal": 0}, ...] or [[0, 0, 0], ...]'
        )
    return [_json_row(entry, f"{name} waypoint {i}") for i, entry in enumerate(found, 1)]


def _json_row(entry: Any, place: str) -> Row:
    if isinstance(entry, dict):
        named = {str(key).lower(): value for key, value in entry.items()}
        missing = [column for column in COLUMNS if column not in named]
        if missing:
            raise TargetError(
                f"path: {place}: expected {', '.join(COLUMNS)}; {', '.join(missing)} is missing"
            )
        entry = [named[column] for column in COLUMNS]
    if not isinstance(entry, list) or len(entry) != 3:
        raise TargetError(f"path: {place}: expected [t, valence, arousal], got {_brief(entry)}")
    for value in entry:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TargetError(f"path: {place}: expected numbers, got {_brief(value)}")
    return place, _numbers(entry, place)


def _numbers(values: list[Any], place: str) -> tuple[float, float, float]:
    for column, value in zip(COLUMNS, values, strict=True):
        try:
            float(value)
        except (ValueError, OverflowError):
            raise TargetError(
                f"path: {place}: expected a number as {column}, got {_brief(value)}"
            ) from None
    t, valence, arousal = (float(value) for value in values)
    return t, valence, arousal


def _brief(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        text = "a huge number"
    return text if len(text) <= 80 else text[:77] + "..."


def _safe(stem: str) -> str:
    kept = "".join(c if c.isalnum() or c in "+-._" else "_" for c in stem).strip("._")
    return kept.encode()[-100:].decode(errors="ignore") or "path"
