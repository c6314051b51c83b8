"""Large tables, a few columns at a time: cells are converted and checked as arrays."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError

__all__ = ["column_cells", "floats_of", "whole_numbers_of"]


def column_cells(
    path: Path, wanted: Sequence[str], names: Sequence[str] = (), delimiter: str = ","
) -> tuple[dict[str, list[str]], list[int]]:
    """The cells of some columns, and the line of each row.

    Only the wanted cells are kept: a table of 400,000 rows with long cells beside them is read
    in seconds and fits in memory.

    Parameters
    ----------
    wanted : sequence of str
        Names of columns; letter case and spaces around them do not matter in the file.
    names : sequence of str
        All columns in order, for a file without a header: it is one when its first row holds
        none of them.
    delimiter : str

    Returns
    -------
    dict of str to list of str
        By the names in `wanted`.
    list of int

    Raises
    ------
    UsageError
        If the file is no such table, lacks a column, holds no row or a row is too short.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            first = [name.strip() for name in next(reader, [])]
            header, cells, lines = _start(first, wanted, names, path)
            places = [header.index(name.lower()) for name in wanted]
            for row in reader:
                if not row:
                    continue
                lines.append(reader.line_num)
                try:
                    for column, place in zip(cells, places, strict=True):
                        column.append(row[place])
                except IndexError:
                    raise UsageError(
                        f"labels: {path} line {reader.line_num}: expected {len(header)} cells, "
                        f"got {len(row)}"
                    ) from None
    except OSError as error:
        raise UsageError(f"labels: expected a table, got {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"labels: expected a CSV file, got {path}: {error}") from None
    if not lines:
        raise UsageError(f"labels: expected at least one row in {path}, got only a header")
    return dict(zip(wanted, cells, strict=True)), lines


def _start(
    first: list[str], wanted: Sequence[str], names: Sequence[str], path: Path
) -> tuple[list[str], list[list[str]], list[int]]:
    """Header in lower case, empty columns and lines; the first row is data without a header."""
    header = [name.lower() for name in first]
    known = [name.lower() for name in names]
    if known and len(first) == len(known) and not set(header) & set(known):
        place = {name: known.index(name.lower()) for name in wanted}
        return known, [[first[place[name]]] for name in wanted], [1]
    if missing := [name for name in wanted if name.lower() not in header]:
        raise UsageError(
            f"labels: expected the columns {', '.join(wanted)} in {path}, got "
            f"{', '.join(first)[:120] or 'an empty file'}; add {', '.join(missing)}"
        )
    return header, [[] for _ in wanted], []


def floats_of(
    cells: Sequence[str],
    lines: Sequence[int],
    path: Path,
    column: str,
    limits: tuple[float, float],
    absent: float | None = None,
) -> NDArray[np.float64]:
    """The numbers of a column, NaN where a cell is empty or `absent`.

    Raises
    ------
    UsageError
        If a cell is no number within the limits; the first such line is named.
    """
    texts = np.asarray([cell.strip() for cell in cells], dtype=np.str_)
    empty = texts == ""
    try:
        values = np.where(empty, "nan", texts).astype(np.float64)
    except ValueError:
        values = np.array([_number(text) for text in texts])
    none = empty | (values == absent) if absent is not None else empty
    bad = ~none & ~((values >= limits[0]) & (values <= limits[1]))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise UsageError(
            f"labels: {path} line {lines[i]}: expected {column} from {limits[0]:g} to "
            f"{limits[1]:g}, got {cells[i]!r}"
        )
    return np.where(none, np.nan, values)


def _number(text: str) -> float:
    """The number, or infinity for what is none: it lies outside of any limits."""
    try:
        return float(text or "nan")
    except ValueError:
        return np.inf


def whole_numbers_of(
    cells: Sequence[str], lines: Sequence[int], path: Path, column: str, limits: tuple[int, int]
) -> NDArray[np.int64]:
    """The whole numbers of a column; ``2.0`` is one.

    Raises
    ------
    UsageError
        If a cell is empty or no whole number within the limits; the first such line is named.
    """
    values = floats_of(cells, lines, path, column, limits)
    bad = ~(values == np.floor(values))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise UsageError(
            f"labels: {path} line {lines[i]}: expected whole {column} from {limits[0]} to "
            f"{limits[1]}, got {cells[i]!r}"
        )
    return values.astype(np.int64)
