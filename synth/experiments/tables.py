"""The tables of an experiment: all that its report is made of.

==================  =======================================================================
``results.csv``     a row for each condition, seed (and their mean), test and measure
``differences.csv`` each condition less the reference one, on the same draws of people
``conditions.csv``  what each condition is, what it learned from, how many seeds
``sets.csv``        what came out of each set
``tests.csv``       faces and people of each test
``curves.csv``      scores on the tests while the watched condition was training
``about.csv``       title, question, published tables, differences in protocol
==================  =======================================================================
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.image_files import write_atomic

__all__ = ["ABOUT", "CONDITIONS", "CURVES", "DIFFERENCES", "RESULTS", "SETS", "TESTS",
           "read_table", "write_table"]  # fmt: skip

RESULTS, DIFFERENCES, CONDITIONS, SETS, TESTS, CURVES, ABOUT = (
    f"{name}.csv"
    for name in ("results", "differences", "conditions", "sets", "tests", "curves", "about")
)


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """A CSV with all columns that any row has, in the order they come."""
    names = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(row.get(key, "")) for key in names})
    write_atomic(path, text.getvalue().encode())


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return value


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV; none of a file that is not there.

    Raises
    ------
    UsageError
        If it cannot be read.
    """
    if not path.exists():
        return []
    try:
        return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    except (OSError, ValueError) as error:
        raise UsageError(f"results: expected a table in {path}, got {error}") from None
