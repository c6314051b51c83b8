"""What others published, beside what we measure: one TOML file a source in ``published/``.

Only numbers that were read somewhere stand there, and each row says where; what could not be
had is the word ``unknown``. Protocols differ, and how is part of a table: none of these numbers
is a yardstick by itself.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.errors import UsageError

__all__ = ["UNKNOWN", "PublishedTable", "published", "published_names"]

#: Stands for a number that could not be had.
UNKNOWN = "unknown"
FOLDER = Path(__file__).with_name("published")
KEYS = ("title", "source", "protocol", "columns", "rows", "note")


@dataclass(frozen=True)
class PublishedTable:
    """Numbers of one publication.

    Attributes
    ----------
    title : str
        What was measured.
    source : str
        Who published it, and where it was read.
    protocol : tuple of str
        How it differs from what we measure, a sentence each.
    columns : tuple of str
        The last one, ``from``, says where a row was read.
    rows : tuple of tuple
        A cell a column: a text, a number, or `UNKNOWN`.
    note : str
        What else to know, such as what could not be had.

    Raises
    ------
    UsageError
        If a row has more or fewer cells than there are columns, or a cell is neither a text
        nor a number.
    """

    title: str
    source: str
    protocol: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise UsageError(
                    f"rows: expected {len(self.columns)} cells for {', '.join(self.columns)}, got "
                    f"{len(row)}: {row}"
                )
            for cell in row:
                if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
                    raise UsageError(f"rows: expected texts and numbers, got {cell!r} in {row}")

    def known(self) -> tuple[tuple[str | float, ...], ...]:
        """The rows in which a number could be had."""
        return tuple(row for row in self.rows if any(not isinstance(cell, str) for cell in row))

    def markdown(self) -> str:
        """The table as Markdown; numbers as they were read."""
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def published_names() -> tuple[str, ...]:
    """Names of the tables there are, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def published(name: str) -> PublishedTable:
    """The table of a source.

    Parameters
    ----------
    name : str
        One of `published_names`.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name not in published_names():
        raise UsageError(f"published: expected one of {', '.join(published_names())}, got {name!r}")
    return _table(tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8")), name)


def _table(content: dict[str, Any], name: str) -> PublishedTable:
    if missing := [key for key in KEYS if key not in content]:
        raise UsageError(f"published: expected {', '.join(missing)} in {name}.toml, got none")
    if unknown := [key for key in content if key not in KEYS]:
        raise UsageError(
            f"published: expected {', '.join(KEYS)} in {name}.toml, got {', '.join(unknown)}"
        )
    return PublishedTable(
        content["title"],
        content["source"],
        tuple(content["protocol"]),
        tuple(content["columns"]),
        tuple(tuple(row) for row in content["rows"]),
        content["note"],
    )
