"""Reading a CSV table with a header, every row with the number of its line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.errors import UsageError

__all__ = ["CsvRows", "check_columns", "number_of", "read_rows"]


@dataclass(frozen=True)
class CsvRows:
    """A CSV table as text.

    Attributes
    ----------
    path : Path
    columns : tuple of str
        The header in lower case.
    rows : tuple of (int, dict of str to str)
        Line number and cells by column.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def place(self, line: int) -> str:
        """What messages call a line."""
        return f"{self.path} line {line}"


def read_rows(path: str | Path, what: str, strip: bool = True) -> CsvRows:
    """The rows of a CSV file; empty lines and lines starting with # are skipped.

    Parameters
    ----------
    path : str or Path
    what : str
        What messages call the table, "plan" for example.
    strip : bool
        Whether spaces around a cell are left out.

    Raises
    ------
    UsageError
        If it cannot be read as UTF-8 text, names a column twice, holds no row, or
        a row has more or fewer cells than the header.
    """
    path = Path(path)
    header: list[str] = []
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            for cells in reader:
                if not any(map(str.strip, cells)) or cells[0].lstrip().startswith("#"):
                    continue
                if strip or not header:
                    cells = [cell.strip() for cell in cells]
                if not header:
                    header = [cell.lower() for cell in cells]
                elif len(cells) != len(header):
                    raise UsageError(
                        f"{what}: {path} line {reader.line_num}: expected {len(header)} cells, "
                        f"got {len(cells)}; quote cells that hold a comma"
                    )
                else:
                    rows.append((reader.line_num, dict(zip(header, cells, strict=True))))
    except OSError as error:
        raise UsageError(
            f"{what}: expected a CSV file, got {path}: {error.strerror or error}"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{what}: expected a CSV file, got {path}: {error}") from None
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise UsageError(
            f"{what}: expected each column once in {path}, got {', '.join(twice)} twice"
        )
    if not rows:
        kind = "only a header" if header else "an empty file"
        raise UsageError(f"{what}: expected a header and at least one row, got {kind} {path}")
    return CsvRows(path, tuple(header), tuple(rows))


def check_columns(
    table: CsvRows, what: str, needed: Sequence[str], known: Sequence[str] | None = None
) -> None:
    """Check that the columns `needed` are there, and no others than those of `known`.

    Raises
    ------
    UsageError
        If one is missing or not known.
    """
    got = ", ".join(table.columns)[:120]
    if missing := [name for name in needed if name not in table.columns]:
        raise UsageError(
            f"{what}: expected the columns {', '.join(needed)} in {table.path}, got {got}; "
            f"add {', '.join(missing)} to the header"
        )
    if known and (unknown := [name for name in table.columns if name not in known]):
        raise UsageError(
            f"{what}: expected columns among {', '.join(known)} in {table.path}, got "
            f"{', '.join(unknown)[:120]}; rename or remove them"
        )


def number_of(text: str, place: str, column: str) -> float:
    """The number in a cell.

    Raises
    ------
    UsageError
        If it is none, or not finite.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -1e300 < value < 1e300:
        raise UsageError(f"{place}: expected a number as {column}, got {text!r}")
    return value
