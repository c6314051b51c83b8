"""Folders and tables as other people publish them: letter case, system files, labels."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from synth.errors import UsageError
from synth.image_files import EXTENSIONS

__all__ = [
    "Row",
    "child",
    "compiled",
    "descend",
    "folders",
    "listed",
    "listing",
    "photos",
    "table",
    "wrong",
]

#: Cells of a row by column, in lower case, and where the row stands ("labels.csv line 3").
Row = tuple[dict[str, str], str]


def wrong(what: str, layout: str, folder: Path, got: str = "") -> UsageError:
    """The error for a folder that is not laid out as expected.

    Parameters
    ----------
    what : str
        Name of the set.
    layout : str
        What was expected, in a line or two.
    got : str
        What was found; the folder's content when empty.
    """
    return UsageError(
        f"{what}: expected {layout}\nin {folder}, got {got or listing(folder)}; "
        "give the folder that holds these, or see docs/corpora.md"
    )


def listing(folder: Path, shown: int = 6) -> str:
    """The first names in a folder, for messages."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "a file"
    names = sorted(f"{p.name}/" if p.is_dir() else p.name for p in folder.iterdir() if _seen(p))
    if not names:
        return "an empty folder"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _seen(path: Path) -> bool:
    """Whether a name is one of the set's, not the system's or an archive program's."""
    return not path.name.startswith((".", "__MACOSX"))


def folders(folder: Path) -> list[Path]:
    """The folders in a folder by name, system folders left out; none where it is missing."""
    if not folder.is_dir():
        return []
    # scandir knows what is a folder without asking for each file: some hold a million
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [path for name in names if _seen(path := folder / name)]


def child(folder: Path, name: str) -> Path | None:
    """The folder called `name`, in any letter case.

    Raises
    ------
    UsageError
        If there are two that differ by letter case only.
    """
    found = [path for path in folders(folder) if path.name.lower() == name.lower()]
    if len(found) > 1:
        raise UsageError(
            f"{name}: expected one such folder in {folder}, got "
            f"{' and '.join(path.name for path in found)}; rename one"
        )
    return found[0] if found else None


def descend(root: Path, fits: Callable[[Path], bool], depth: int = 3) -> list[Path]:
    """The folders at `root` or at most `depth` below it that fit; none inside one that does."""
    if fits(root):
        return [root]
    if depth == 0:
        return []
    return [found for path in folders(root) for found in descend(path, fits, depth - 1)]


def photos(folder: Path, recursive: bool = True) -> list[Path]:
    """The photos in a folder by name: `EXTENSIONS` in any letter case, no hidden files."""
    found = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        path
        for path in found
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def compiled(option: str, pattern: str, groups: Sequence[str] = ()) -> re.Pattern[str]:
    """A regular expression given as an option.

    Parameters
    ----------
    groups : sequence of str
        Names of groups it may have.

    Raises
    ------
    UsageError
        If it is none, or names another group.
    """
    try:
        found = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise UsageError(
            f"{option}: expected a regular expression, got {pattern!r}: {error}"
        ) from None
    if unknown := sorted(set(found.groupindex) - set(groups)):
        raise UsageError(
            f"{option}: expected groups among {', '.join(groups) or 'none'}, got "
            f"{', '.join(unknown)} in {pattern!r}"
        )
    return found


def listed(path: Path) -> list[tuple[str, str]]:
    """The lines of a list of files, ``\\`` written as ``/``, and where each stands.

    Raises
    ------
    UsageError
        If it is no UTF-8 text.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"list: expected a text file, got {path}: {error}") from None
    return [
        (line.strip().replace("\\", "/"), f"{path} line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def table(path: Path, needed: Sequence[str]) -> list[Row]:
    """The rows of a CSV file with a header; cells stripped, empty lines skipped.

    Raises
    ------
    UsageError
        If it cannot be read as UTF-8 text, lacks a column, holds no row, or a row has more
        or fewer cells than the header.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [([c.strip() for c in cells], reader.line_num) for cells in reader]
    except OSError as error:
        raise UsageError(f"labels: expected a table, got {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"labels: expected a CSV file, got {path}: {error}") from None
    lines = [(cells, number) for cells, number in lines if any(cells)]
    header = [name.lower() for name in lines[0][0]] if lines else []
    if missing := [name for name in needed if name not in header]:
        raise UsageError(
            f"labels: expected the columns {', '.join(needed)} in {path}, got "
            f"{', '.join(header)[:120] or 'an empty file'}; add {', '.join(missing)}"
        )
    if len(lines) == 1:
        raise UsageError(f"labels: expected at least one row in {path}, got only a header")
    rows = []
    for cells, number in lines[1:]:
        place = f"{path} line {number}"
        if len(cells) != len(header):
            raise UsageError(f"labels: {place}: expected {len(header)} cells, got {len(cells)}")
        rows.append((dict(zip(header, cells, strict=True)), place))
    return rows
