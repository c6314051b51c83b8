"""Tables as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["csv_bytes", "markdown_table"]


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file, UTF-8, lines ended by a line feed; None is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], numbers: bool = False
) -> list[str]:
    """Lines of a table in Markdown.

    Parameters
    ----------
    header : sequence of str
    rows : iterable of sequences
        Written with ``str``; a vertical bar is escaped.
    numbers : bool
        Columns after the first are aligned to the right.
    """
    rule = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    cells = [[str(c).replace("|", "\\|") for c in row] for row in (header, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:])]
    return lines
