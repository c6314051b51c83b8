"""A plan: the table of every picture of a set before any pixel is made.

One row is one picture. The table is a CSV or Parquet file that can be printed, plotted
and edited. A picture's seed comes from the run's seed, the photo and the row's ``id``,
so that editing, adding or removing rows leaves the pictures of the others as they are.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import TargetError, UsageError
from synth.expressions.action_units import parse_actions
from synth.image_files import write_atomic
from synth.optional import require
from synth.plans.csv_rows import check_columns, read_rows
from synth.targets import Target
from synth.types import VA

__all__ = ["COLUMNS", "Plan", "PlanRow", "check_leaks", "check_plan", "read_plan", "write_plan"]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One picture to make.

    Attributes
    ----------
    id : int
        0 or more, unique in the plan; part of the picture's seed.
    source : str
        Name of the photo.
    subject : str
        Who the photo shows.
    split : str
        ``train``, ``val`` or ``test``; one for each subject.
    valence, arousal : float
        A point of the unit disc; (0, 0) with `actions`, whose label is read from the face.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when that expression's own face is wanted;
        valence and arousal then lie on its ray.
    actions : str
        Action units and blendshapes as ``--au`` takes them: ``12:0.8,L14:0.5``.
    style : int
        0 is the mean face; from 1 on a person style is drawn from the picture's own seed.
    sequence : str
        Name of the sequence that the picture is a frame of, unique in the plan.
    frame : int
        Number of the frame, from 0; -1 for a still.
    fps : float
        Frames per second of the sequence; 0 for a still.
    """

    id: int
    source: str
    subject: str
    split: str
    valence: float
    arousal: float
    expression: str = ""
    actions: str = ""
    style: int = 1
    sequence: str = ""
    frame: int = -1
    fps: float = 0.0


#: Columns of the table, in order.
COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(PlanRow))
#: Columns that a table must have; the others have defaults.
NEEDED = COLUMNS[:6]
_WHOLE = ("id", "style", "frame")
_REAL = ("valence", "arousal", "fps")
#: Splits and sequences become names of folders.
_FOLDER = re.compile(r"[\w+-][\w+.-]*")


@dataclass(frozen=True)
class Plan:
    """The pictures of a set, in order.

    Raises
    ------
    UsageError
        If there are no rows, or two have the same id.
    """

    rows: tuple[PlanRow, ...]

    def __post_init__(self) -> None:
        if not self.rows:
            raise UsageError("plan: expected at least one row, got none")
        seen: set[int] = set()
        for number, row in enumerate(self.rows, 1):
            if row.id in seen:
                raise UsageError(
                    f"plan: row {number}: expected each id once, got {row.id} again; "
                    "give added rows new numbers"
                )
            seen.add(row.id)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[PlanRow]:
        return iter(self.rows)


def write_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan as ``.csv`` or ``.parquet``; `read_plan` gives the same plan back.

    The same plan gives the same bytes.

    Raises
    ------
    UsageError
        If the file name has another extension, or the file cannot be written.
    DependencyError
        If pyarrow is not installed, for Parquet.
    """
    path = Path(path)
    data = _parquet_bytes(plan) if _extension(path) == ".parquet" else _csv_bytes(plan)
    try:
        write_atomic(path, data)
    except OSError as error:
        raise UsageError(
            f"plan: expected a file that can be written, got {path}: {error.strerror or error}"
        ) from None


def read_plan(path: str | Path) -> Plan:
    """The plan in a ``.csv`` or ``.parquet`` file, checked row by row.

    Columns may stand in any order; those after ``arousal`` may be left out. In CSV,
    empty lines and lines starting with # are skipped.

    Raises
    ------
    UsageError
        If the file cannot be read, a column is missing or unknown, or a row is not
        valid; the message names the line (CSV) or row (Parquet) and the column.
    DependencyError
        If pyarrow is not installed, for Parquet.
    """
    path = Path(path)
    if _extension(path) == ".parquet":
        found, cells = _read_parquet(path)
    else:
        table = read_rows(path, "plan", strip=False)
        check_columns(table, "plan", NEEDED, COLUMNS)
        found = [table.place(line) for line, _ in table.rows]
        cells = (row for _, row in table.rows)
    rows = [_row(row, place) for row, place in zip(cells, found, strict=True)]
    _refuse_repeats(rows, found)
    plan = Plan(tuple(rows))
    check_plan(plan, found.__getitem__)
    return plan


def _extension(path: Path) -> str:
    extension = path.suffix.lower()
    if extension not in (".csv", ".parquet"):
        raise UsageError(f"plan: expected a file NAME.csv or NAME.parquet, got {path}")
    return extension


# ------------------------------------------------------------------------ files
def _csv_bytes(plan: Plan) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in plan:
        still = row.sequence == "" and row.frame == -1 and row.fps == 0
        cells: list[Any] = [getattr(row, name) for name in COLUMNS]
        writer.writerow([*cells[:-2], "", ""] if still else cells)
    return text.getvalue().encode()


def _parquet_bytes(plan: Plan) -> bytes:
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    types = dict.fromkeys(COLUMNS, arrow.string())
    types |= dict.fromkeys(_WHOLE, arrow.int64()) | dict.fromkeys(_REAL, arrow.float64())
    columns = {name: [getattr(row, name) for row in plan] for name in COLUMNS}
    schema = arrow.schema(list(types.items()))
    stream = io.BytesIO()
    parquet.write_table(arrow.table(columns, schema=schema), stream, compression="zstd")
    return stream.getvalue()


def _read_parquet(path: Path) -> tuple[list[str], Iterable[Mapping[str, Any]]]:
    parquet = require("pyarrow.parquet")
    try:
        table = parquet.read_table(io.BytesIO(path.read_bytes()))
    except OSError as error:
        reason = error.strerror or str(error).split("\n")[0]
        raise UsageError(f"plan: expected a Parquet file, got {path}: {reason}") from None
    except ValueError as error:  # ArrowInvalid is one
        reason = str(error).split("\n")[0]
        raise UsageError(f"plan: expected a Parquet file, got {path}: {reason}") from None
    names = tuple(table.column_names)
    missing = [name for name in NEEDED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown:
        wrong = f"no {', '.join(missing)}" if missing else ", ".join(unknown)
        raise UsageError(f"plan: expected the columns {', '.join(COLUMNS)} in {path}, got {wrong}")
    places = [f"{path} row {number}" for number in range(1, table.num_rows + 1)]
    rows = (row for batch in table.to_batches(10_000) for row in batch.to_pylist())
    return places, rows


# ----------------------------------------------------------------------- checks
def _row(cells: Mapping[str, Any], place: str) -> PlanRow:
    """A row from text or typed cells; empty ones of optional columns take the default."""
    values: dict[str, Any] = {}
    for name in COLUMNS:
        cell = cells.get(name)
        if cell is None or cell == "":
            if name in NEEDED:
                raise UsageError(f"plan: {place}: expected a value as {name}, got none")
            continue
        if name in _WHOLE or name in _REAL:
            values[name] = _number(cell, place, name)
        elif isinstance(cell, str):
            values[name] = cell
        else:
            raise UsageError(f"plan: {place}: expected text as {name}, got {cell!r}")
    row = PlanRow(**values)
    _check_row(row, place)
    return row


def _number(cell: Any, place: str, name: str) -> float:
    whole = name in _WHOLE
    try:
        value = int(cell) if whole and isinstance(cell, str) else float(cell)
    except (ValueError, TypeError):
        value = math.nan
    if isinstance(cell, bool) or not math.isfinite(value) or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"plan: {place}: expected {kind} as {name}, got {cell!r}")
    return int(cell) if whole else value


@lru_cache(maxsize=4096)
def _check_actions(actions: str) -> None:
    parse_actions(actions)


def _check_row(row: PlanRow, place: str) -> None:
    """Refuse what cannot become a target, naming the column."""
    column = "id"
    try:
        if not 0 <= row.id < 2**63:
            raise UsageError(f"expected 0 or more, got {row.id}")
        column = "split" if not _FOLDER.fullmatch(row.split) else "sequence"
        for folder in (row.split, *filter(None, (row.sequence,))):
            if not _FOLDER.fullmatch(folder):
                raise UsageError(
                    f"expected letters, digits, '_', '-', '+' and inner '.', got {folder!r}"
                )
        column = "style"
        if row.style < 0:
            raise UsageError(f"expected 0 or more, got {row.style}")
        column = "valence, arousal"
        point = VA(row.valence, row.arousal)
        column = "expression"
        if row.expression and expression_name(row.expression) != row.expression:
            raise TargetError(f"expected one of {', '.join(EXPRESSIONS)}, got {row.expression!r}")
        Target(point, row.id, row.expression)
        column = "actions"
        if row.actions:
            _check_actions(row.actions)
            if row.expression or point.radius > 0:
                raise UsageError(
                    "expected valence and arousal 0 and no expression where actions are given, "
                    "because their label is read from the face"
                )
        column = "frame" if row.sequence or row.frame != -1 else "fps"
        if row.sequence and (row.frame < 0 or not 0 < row.fps <= 240):
            raise UsageError(
                f"expected a frame from 0 and fps above 0 to 240 in a sequence, got frame "
                f"{row.frame} and fps {row.fps:g}"
            )
        if not row.sequence and (row.frame != -1 or row.fps != 0):
            raise UsageError("expected frame and fps empty without a sequence")
    except UsageError as error:
        raise type(error)(f"plan: {place}: column {column}: {error}") from None


def _refuse_repeats(rows: Sequence[PlanRow], places: Sequence[str]) -> None:
    first: dict[int, str] = {}
    for row, place in zip(rows, places, strict=True):
        if row.id in first:
            raise UsageError(
                f"plan: {place}: column id: expected each id once, got {row.id} as in "
                f"{first[row.id]}; give added rows new numbers"
            )
        first[row.id] = place


def check_plan(plan: Plan, place: Callable[[int], str] | None = None) -> None:
    """Check every row, the sequences, and that no subject is in two splits.

    Parameters
    ----------
    plan : Plan
    place : callable, optional
        What messages call row i; by default its number from 1.

    Raises
    ------
    UsageError
        Names the row and the column.
    """
    name = place or (lambda i: f"row {i + 1}")
    begun: dict[str, PlanRow] = {}
    frames: dict[str, int] = {}
    same = ("source", "expression", "actions", "style", "fps")
    for i, row in enumerate(plan):
        if place is None:  # a table's rows were checked while it was read
            _check_row(row, name(i))
        if not row.sequence:
            continue
        first = begun.setdefault(row.sequence, row)
        if other := [c for c in same if getattr(row, c) != getattr(first, c)]:
            raise UsageError(
                f"plan: {name(i)}: column {other[0]}: expected {getattr(first, other[0])!r} in "
                f"every frame of {row.sequence}, got {getattr(row, other[0])!r}"
            )
        expected = frames.get(row.sequence, 0)
        if row.frame != expected:
            raise UsageError(
                f"plan: {name(i)}: column frame: expected frame {expected} of {row.sequence}, got "
                f"{row.frame}; keep all frames from 0 on, in order"
            )
        frames[row.sequence] = expected + 1
    check_leaks(plan)


def check_leaks(plan: Plan, duplicates: Iterable[Sequence[str]] = ()) -> None:
    """Refuse a plan that has one person in two splits.

    Parameters
    ----------
    plan : Plan
    duplicates : iterable of names
        Photos that are the same file, from `synth.plans.duplicate_sources`: one person,
        whatever their subjects are called.

    Raises
    ------
    UsageError
        If a subject is in two splits, a photo has two subjects, or the same photo is
        in two splits under several names.
    """
    split_of: dict[str, str] = {}
    subject_of: dict[str, str] = {}
    splits: dict[str, str] = {}
    for row in plan:
        if (split := split_of.setdefault(row.subject, row.split)) != row.split:
            raise UsageError(
                f"plan: column split: expected one split for subject {row.subject}, got {split} "
                f"and {row.split} (id {row.id}); a person must not be in two"
            )
        if (subject := subject_of.setdefault(row.source, row.subject)) != row.subject:
            raise UsageError(
                f"plan: column subject: expected one subject for photo {row.source}, got "
                f"{subject} and {row.subject} (id {row.id})"
            )
        splits[row.source] = row.split
    for names in duplicates:
        used = {splits[name]: name for name in names if name in splits}
        if len(used) > 1:
            where = " and ".join(f"{name} in {split}" for split, name in sorted(used.items()))
            raise UsageError(
                f"plan: expected a photo in one split, got the same file as {where}; "
                "remove one, or give both the same subject"
            )
