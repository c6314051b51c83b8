"""Plans as files: CSV, which people edit, and Parquet; both give the same plan back."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.image_files import write_atomic
from synth.optional import require
from synth.plans.csv_rows import check_columns, read_rows
from synth.plans.table import COLUMNS, Plan, PlanRow, check_plan, check_row

__all__ = ["read_plan", "write_plan"]

#: Columns that a table must have; the others have defaults.
NEEDED = COLUMNS[:6]
_WHOLE = ("id", "style", "frame")
_REAL = ("valence", "arousal", "fps")


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
    check_row(row, place)
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


def _refuse_repeats(rows: Sequence[PlanRow], places: Sequence[str]) -> None:
    first: dict[int, str] = {}
    for row, place in zip(rows, places, strict=True):
        if row.id in first:
            raise UsageError(
                f"plan: {place}: column id: expected each id once, got {row.id} as in "
                f"{first[row.id]}; give added rows new numbers"
            )
        first[row.id] = place
