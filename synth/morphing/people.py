"""Whose photos show what: the table of labels, person by person."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synth.affect import BASIC_EXPRESSIONS, expression_name
from synth.errors import TargetError, UsageError
from synth.images import ImageSource

__all__ = ["COLUMNS", "LabelledPhoto", "Person", "read_people"]

#: Columns that a table must have; ``intensity`` may be there too.
COLUMNS = ("file_name", "subject", "expression")


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo and what it shows.

    Attributes
    ----------
    source : ImageSource
        Its name is as the table has it.
    expression : str
        A key of `synth.affect.EXPRESSIONS`.
    intensity : float
        0 to 1; 1 is the expression at full strength.
    """

    source: ImageSource
    expression: str
    intensity: float = 1.0


@dataclass(frozen=True)
class Person:
    """A person's photos, in the order of the table."""

    subject: str
    photos: tuple[LabelledPhoto, ...]

    @property
    def neutral(self) -> LabelledPhoto | None:
        """The first neutral photo."""
        return next((photo for photo in self.photos if photo.expression == "neutral"), None)

    @property
    def apexes(self) -> dict[str, LabelledPhoto]:
        """The strongest photo of each basic expression, the first among equals."""
        found: dict[str, LabelledPhoto] = {}
        for photo in self.photos:
            best = found.get(photo.expression)
            if photo.expression in BASIC_EXPRESSIONS and (
                best is None or photo.intensity > best.intensity
            ):
                found[photo.expression] = photo
        return found

    @property
    def key(self) -> ImageSource:
        """What stands for the person in a run: the neutral photo, or the first one without it."""
        return (self.neutral or self.photos[0]).source

    @property
    def unplaced(self) -> list[LabelledPhoto]:
        """Photos of expressions that the template has no place for: contempt."""
        known = ("neutral", *BASIC_EXPRESSIONS)
        return [photo for photo in self.photos if photo.expression not in known]


def read_people(table: str | Path, folder: str | Path) -> list[Person]:
    """The people of a table of labels, in the order of their first rows.

    Parameters
    ----------
    table : path
        CSV with the columns `COLUMNS` (any letter case) and, if wanted, ``intensity``;
        blank lines and lines that start with # are skipped.
    folder : path
        Where the photos are. They are opened later: one that is missing costs its
        person that expression only.

    Raises
    ------
    UsageError
        If the table cannot be read, lacks a column, or a line is wrong; the message
        names the line.
    """
    people: dict[str, list[LabelledPhoto]] = {}
    seen: dict[Path, int] = {}
    for number, row in _rows(Path(table)):
        where = f"labels: {table} line {number}:"
        name, subject = row["file_name"], row["subject"]
        for column in COLUMNS:
            if not row[column]:
                raise UsageError(f"{where} expected a {column}, got an empty one")
        try:
            photo = LabelledPhoto(
                ImageSource(Path(folder) / name, name),
                expression_name(row["expression"]),
                _intensity(row.get("intensity", "")),
            )
        except (TargetError, ValueError) as error:
            raise UsageError(f"{where} {error}") from None
        if photo.source.path in seen:
            raise UsageError(
                f"{where} expected each photo once, got {name}, which line "
                f"{seen[photo.source.path]} has; keep one of the lines"
            )
        seen[photo.source.path] = number
        people.setdefault(subject, []).append(photo)
    return [Person(subject, tuple(photos)) for subject, photos in people.items()]


def _intensity(text: str) -> float:
    try:
        value = float(text or 1)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:
        raise ValueError(f"expected an intensity above 0, at most 1, or none, got {text!r}")
    return value


def _rows(table: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Number and cells of each line of the table."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"labels: expected a readable CSV file, got {table}: {error}") from None
    lines = [
        (number, next(csv.reader([line])))
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise UsageError(f"labels: expected a header and photos, got an empty file {table}")
    header = [name.strip().lower() for name in lines[0][1]]
    if missing := [column for column in COLUMNS if column not in header]:
        raise UsageError(
            f"labels: expected the columns {', '.join(COLUMNS)} in {table} line {lines[0][0]}, got "
            f"{', '.join(header)}; add {' and '.join(missing)}"
        )
    if len(lines) == 1:
        raise UsageError(f"labels: expected at least one photo, got only a header in {table}")
    empty = [""] * len(header)
    return [
        (number, dict(zip(header, [cell.strip() for cell in cells] + empty, strict=False)))
        for number, cells in lines[1:]
    ]
