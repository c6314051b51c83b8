"""Tracks of valence and arousal by several annotators: reading, common instants.

An annotator watches a sequence and moves a joystick or clicks frames, so that each has
instants of their own. Here the tracks are read, brought to common instants by linear
interpolation; `annotation_lags` estimates their delays against each other and
`annotation_agreement` tells how well they agree.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError

__all__ = ["Ratings", "Track", "read_annotations", "resample"]

Float = NDArray[np.float64]
Tracks = dict[str, dict[str, "Track"]]

VALUES = ("valence", "arousal")


@dataclass(frozen=True, eq=False)
class Track:
    """What one annotator said of one sequence.

    Attributes
    ----------
    annotator, sequence : str
    places : (n,) float64
        Instants, increasing: seconds, or frame numbers.
    values : (n, 2) float64
        Valence and arousal.
    unit : str
        Of `places`: "s" or "frame".
    source : str
        File the track came from, for messages.
    """

    annotator: str
    sequence: str
    places: Float
    values: Float
    unit: str = "s"
    source: str = ""


@dataclass(frozen=True, eq=False)
class Ratings:
    """What all annotators said of one sequence at common instants.

    Attributes
    ----------
    sequence : str
    annotators : tuple of str
    frames : (T,) int64
        Number of each instant: of the mesh, or of the instant itself.
    times : (T,) float64
        Seconds, or frames where no rate is known.
    values : (A, T, 2) float64
        Valence and arousal; NaN where an annotator said nothing usable.
    unit : str
        Of `times`: "s" or "frame".
    """

    sequence: str
    annotators: tuple[str, ...]
    frames: NDArray[np.int64]
    times: Float
    values: Float
    unit: str = "s"


# --------------------------------------------------------------------------------- reading
def read_annotations(path: str | Path, scale: float = 1.0) -> Tracks:
    """Tracks by sequence and annotator.

    Parameters
    ----------
    path : path-like
        A folder ``ANNOTATOR/SEQUENCE.csv`` (a sequence may have folders of its own:
        ``S03/happy_1``) of tables with ``time`` (seconds) or ``frame``, ``valence`` and
        ``arousal``; or one table that has the columns ``annotator`` and ``sequence`` too.
    scale : float
        What the values are divided by, where ratings run, say, from -1000 to 1000.

    Returns
    -------
    dict of str to dict of str to Track
        Sequences and annotators sorted by name.

    Raises
    ------
    UsageError
        If there is nothing to read, a column is unknown or missing, a cell is not a finite
        number or an instant occurs twice; file and line are named.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".csv" and p.is_file())
        tracks = [track for file in files for track in _read(file, path, scale)]
    elif path.is_file():
        tracks = _read(path, None, scale)
    else:
        raise UsageError(f"annotations: expected a folder or a CSV file, got none at {path}")
    if not tracks:
        raise UsageError(f"annotations: expected files ANNOTATOR/SEQUENCE.csv in {path}, got none")
    found: Tracks = {}
    for track in sorted(tracks, key=lambda t: (t.sequence, t.annotator)):
        found.setdefault(track.sequence, {})[track.annotator] = track
    return found


def _read(file: Path, root: Path | None, scale: float) -> list[Track]:
    """The tracks of one table: one, named by its place in `root`, or many."""
    name = file.name if root is None else file.relative_to(root).as_posix()
    where: tuple[str, str] | None = None
    if root is not None:
        annotator, _, sequence = file.relative_to(root).with_suffix("").as_posix().partition("/")
        if not sequence:
            raise UsageError(
                f"{name}: expected ANNOTATOR/SEQUENCE.csv, got a table beside the annotators' "
                "folders; move it, or name a single table instead of the folder"
            )
        where = annotator, sequence
    lines = _lines(file, name)
    number, header = next(lines, (0, []))
    columns = [cell.strip().lower() for cell in header]
    unit = _check_header(columns, name, where is None)
    rows = list(lines)
    if not rows:
        raise UsageError(f"{name}: expected rows below the header, got none")
    for number, row in rows:
        if len(row) != len(columns):
            raise UsageError(
                f"{name}, line {number}: expected {len(columns)} cells, got {len(row)}"
            )
    wanted = ("time" if unit == "s" else "frame", *VALUES)
    numbers = np.column_stack([_numbers(rows, columns.index(c), c, name) for c in wanted])
    numbers[:, 1:] /= scale
    lines_of = np.array([number for number, _ in rows])
    if where is not None:
        groups = {where: np.arange(len(rows))}
    else:
        groups = _groups(rows, columns, name)
    return [_track(*key, numbers[part], lines_of[part], unit, name) for key, part in groups.items()]


def _lines(file: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """Lines with their numbers; empty ones and those that start with # left out."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name}: expected a readable UTF-8 table, got {error}") from None
    reader = csv.reader(text.splitlines())
    for row in reader:
        first = row[0].lstrip() if row else ""
        if (first or any(cell.strip() for cell in row)) and not first.startswith("#"):
            yield reader.line_num, row


def _check_header(columns: Sequence[str], name: str, table: bool) -> str:
    keys = {"annotator", "sequence"} if table else set()
    said = ", ".join((*sorted(keys), "time or frame", *VALUES))
    instants = [c for c in ("time", "frame") if c in columns]
    wanted = keys | set(instants) | set(VALUES)
    if len(instants) != 1 or set(columns) != wanted or len(columns) != len(wanted):
        raise UsageError(
            f"{name}: expected the columns {said}, got {', '.join(columns) or 'none'}; "
            "rename or leave out the others"
        )
    return "s" if instants == ["time"] else "frame"


def _numbers(rows: Sequence[tuple[int, list[str]]], column: int, title: str, name: str) -> Float:
    cells = [row[column] for _, row in rows]
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        values = np.array([_float(cell) for cell in cells])
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        number, row = rows[int(bad[0])]
        raise UsageError(
            f"{name}, line {number}: expected a finite number as {title}, got {row[column]!r}; "
            "leave the row out where nothing was said"
        )
    return values


def _float(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _groups(
    rows: Sequence[tuple[int, list[str]]], columns: Sequence[str], name: str
) -> dict[tuple[str, str], NDArray[np.int64]]:
    annotator, sequence = columns.index("annotator"), columns.index("sequence")
    places: dict[tuple[str, str], list[int]] = {}
    for place, (number, row) in enumerate(rows):
        key = row[annotator].strip(), row[sequence].strip().strip("/")
        if not all(key):
            raise UsageError(f"{name}, line {number}: expected an annotator and a sequence")
        places.setdefault(key, []).append(place)
    return {key: np.array(part) for key, part in places.items()}


def _track(
    annotator: str, sequence: str, numbers: Float, lines: NDArray[np.int64], unit: str, name: str
) -> Track:
    order = np.argsort(numbers[:, 0], kind="stable")
    numbers, lines = numbers[order], lines[order]
    twice = np.flatnonzero(np.diff(numbers[:, 0]) <= 0)
    title = "time" if unit == "s" else "frame"
    if len(twice):
        place = int(twice[0]) + 1
        raise UsageError(
            f"{name}, line {lines[place]}: expected every {title} once, got "
            f"{numbers[place, 0]:g} twice; leave one row out"
        )
    if unit == "frame" and (numbers[:, 0] != np.rint(numbers[:, 0])).any():
        place = int(np.flatnonzero(numbers[:, 0] != np.rint(numbers[:, 0]))[0])
        raise UsageError(
            f"{name}, line {lines[place]}: expected a whole frame number, got "
            f"{numbers[place, 0]:g}; call seconds time"
        )
    return Track(annotator, sequence, numbers[:, 0], numbers[:, 1:], unit, name)


# -------------------------------------------------------------------------- common instants
def resample(track: Track, instants: Float, tolerance: float = 0.0) -> Float:
    """(T, 2) values of a track at instants, linear between its own.

    Before the first and after the last instant of the track its first or last value holds
    for `tolerance`; beyond that, and next to a value outside [-1, 1], there is NaN.

    Parameters
    ----------
    track : Track
    instants : (T,) float
        In the track's unit.
    tolerance : float
        In the track's unit.
    """
    places, values = track.places, track.values
    bad = (np.abs(values) > 1 + 1e-9).any(1)
    out = np.column_stack([np.interp(instants, places, values[:, d]) for d in range(2)])
    gone = (instants < places[0] - tolerance - 1e-9) | (instants > places[-1] + tolerance + 1e-9)
    if bad.any():
        # An unusable value weighs on the instants up to its neighbours.
        gone |= np.interp(instants, places, bad.astype(float)) > 1e-9
    out[gone] = np.nan
    return out
