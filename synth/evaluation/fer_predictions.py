"""Predictions and labels from tables: any reader of faces can be scored by its CSV file."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.affect import expression_name
from synth.corpora import CORPORA, read_corpus
from synth.errors import TargetError, UsageError
from synth.evaluation.concordance import name_key
from synth.evaluation.fer import Labels
from synth.recognition.faces import CLASSES, UNLABELLED

__all__ = ["GROUPINGS", "Predictions", "labels_from", "read_labels", "read_table"]

Float = NDArray[np.float64]
Row = dict[str, str]

#: Columns of probabilities are called so and the class.
PROBABILITY = "p_"
#: Columns with the person of a picture, the first that is there.
PERSONS = ("subject", "person", "identity", "source")
EXPRESSIONS = ("expression", "expression_code", "label")
#: Columns that group people.
GROUPINGS = ("age", "gender", "sex", "ethnicity", "race", "skin_tone", "group")
TABLES = ("metadata.csv", "labels.csv")


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a table says of N pictures, in the order of its rows.

    Attributes
    ----------
    names : tuple of str
    va : (N, 2) float64 or None
        NaN where there is none; None without the columns.
    probabilities : (N, C) float64 or None
        NaN rows where there are none; None without the columns.
    classes : tuple of str
        Of the columns of `probabilities`.
    expressions : tuple of str or None
        Empty where there is none; None without the column.
    other_faces : int
        Rows left out because the file has another face before them.
    """

    names: tuple[str, ...]
    va: Float | None
    probabilities: Float | None
    classes: tuple[str, ...] = ()
    expressions: tuple[str, ...] | None = None
    other_faces: int = 0


# ---------------------------------------------------------------------------------- tables
def _rows(file: Path, what: str) -> tuple[list[str], list[tuple[str, Row]]]:
    """Columns, and the rows with where they stand."""
    if not file.is_file():
        raise UsageError(f"{what}: expected a CSV file, got none at {file}")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip() for name in reader.fieldnames or []]
            rows = [
                (
                    f"{file.name}, line {reader.line_num}",
                    {str(k).strip(): (v or "").strip() for k, v in row.items() if k is not None},
                )
                for row in reader
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{what}: expected a CSV file in UTF-8, got {file} ({error})") from None
    if "file_name" not in columns:
        raise UsageError(
            f"{what}: expected a column file_name in {file.name}, got "
            f"{', '.join(columns) or 'none'}"
        )
    if not rows:
        raise UsageError(f"{what}: expected at least one row in {file.name}, got none")
    return columns, rows


def _number(row: Row, column: str, where: str, low: float = -math.inf) -> float:
    text = row.get(column, "")
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value) or value < low or value > -low:
        limits = "a number" if math.isinf(low) else f"{low:g} to {-low:g}"
        raise UsageError(f"{where}: expected {limits} as {column}, got {text!r}")
    return value


def _class(text: str, where: str) -> str:
    """Name of a class from its name, or from its number in AffectNet's order; 8 is none."""
    try:
        number = float(text) if text else 8.0
    except ValueError:
        try:
            return expression_name(text)
        except TargetError:
            raise UsageError(
                f"{where}: expected an expression ({', '.join(CLASSES)}) or its number 0 to 7, "
                f"got {text!r}"
            ) from None
    if number not in range(9):
        raise UsageError(f"{where}: expected the number of an expression, 0 to 7, got {text}")
    return (*CLASSES, "")[int(number)]


def read_table(file: Path) -> Predictions:
    """Predictions of a CSV file, as ``synth infer`` writes it.

    Parameters
    ----------
    file : Path
        Columns ``file_name``; ``valence`` and ``arousal`` and/or ``expression``; and, where
        there are any, ``face`` (of several faces of a file the lowest number is taken) and
        ``p_neutral, p_happiness, ...``. A value may be empty: nothing was read.

    Raises
    ------
    UsageError
        If the file or its columns are missing, a value is unreadable, or one face of a
        file has two rows.
    """
    columns, rows = _rows(file, "predictions")
    has_va = {"valence", "arousal"} <= set(columns)
    shares = [name for name in columns if name.startswith(PROBABILITY)]
    if not (has_va or "expression" in columns or shares):
        raise UsageError(
            f"predictions: expected columns valence and arousal, or expression, in {file.name}, "
            f"got {', '.join(columns)}"
        )
    first: dict[str, tuple[float, str, Row]] = {}
    seen: set[tuple[str, float]] = set()
    for where, row in rows:
        face = _number(row, "face", where)
        key = name_key(row["file_name"]), 0.0 if math.isnan(face) else face
        if not key[0] or key in seen:
            raise UsageError(
                f"{where}: expected one row for each face of a file, got {row['file_name']!r} again"
            )
        seen.add(key)
        if key[0] not in first or key[1] < first[key[0]][0]:
            first[key[0]] = key[1], where, row
    kept = [(where, row) for _, where, row in first.values()]
    names = [_class(name.removeprefix(PROBABILITY), f"{file.name}, {name}") for name in shares]
    return Predictions(
        tuple(row["file_name"] for _, row in kept),
        _columns(kept, ("valence", "arousal")) if has_va else None,
        _columns(kept, shares) if shares else None,
        tuple(names),
        tuple(_class(row["expression"], where) for where, row in kept)
        if "expression" in columns
        else None,
        len(rows) - len(kept),
    )


def _columns(rows: Sequence[tuple[str, Row]], names: Sequence[str]) -> Float:
    return np.array([[_number(row, name, where) for name in names] for where, row in rows])


# ---------------------------------------------------------------------------------- labels
def read_labels(file: Path, split: str | None = None) -> Labels:
    """Labels of a CSV file, without its pictures.

    Parameters
    ----------
    file : Path
        Columns ``file_name``; ``valence`` and ``arousal`` and/or ``expression`` (names, or
        numbers in AffectNet's order); ``subject`` (or person, identity, source); and the
        `GROUPINGS`. Ages in years become decades.
    split : str, optional
        Only the rows with this in the column ``split``.

    Raises
    ------
    UsageError
        If the file or its columns are missing, a value is unreadable or out of range, or
        a name occurs twice.
    """
    columns, rows = _rows(file, "data")
    if split is not None:
        rows = _part(rows, split, file.name)
    has_va = {"valence", "arousal"} <= set(columns)
    kind = next((name for name in EXPRESSIONS if name in columns), None)
    if not (has_va or kind):
        raise UsageError(
            f"data: expected columns valence and arousal, or expression, in {file.name}, got "
            f"{', '.join(columns)}: a set without labels cannot be scored"
        )
    twice = Counter(row["file_name"] for _, row in rows).most_common(1)[0]
    if twice[1] > 1:
        raise UsageError(f"data: expected a file name once in {file.name}, got {twice[0]!r} again")
    label = [_class(row[kind], where) if kind else "" for where, row in rows]
    va = [
        [_number(row, axis, where, -1.0) if has_va else math.nan for axis in ("valence", "arousal")]
        for where, row in rows
    ]
    person = next((name for name in PERSONS if name in columns), None)
    return Labels(
        tuple(row["file_name"] for _, row in rows),
        np.array(va),
        np.array([CLASSES.index(name) if name else UNLABELLED for name in label]),
        tuple(row[person] if person else "" for _, row in rows),
        {
            name: tuple(_group(name, row[name]) for _, row in rows)
            for name in GROUPINGS
            if name in columns
        },
    )


def _part(rows: list[tuple[str, Row]], split: str, file: str) -> list[tuple[str, Row]]:
    kept = [(where, row) for where, row in rows if row.get("split") == split]
    if not kept:
        there = sorted({row.get("split", "") for _, row in rows} - {""})
        raise UsageError(
            f"split: expected rows of {split} in {file}, got {', '.join(there) or 'no splits'}"
        )
    return kept


def _group(name: str, text: str) -> str:
    if name == "age" and text.replace(".", "", 1).isdigit():
        decade = int(float(text)) // 10 * 10
        return f"{decade}-{decade + 9}"
    return text


def labels_from(source: str, split: str | None = None) -> Labels | None:
    """Labels of a set without reading its pictures, where a table or layout holds them.

    Parameters
    ----------
    source : str
        A CSV file, a folder with ``metadata.csv`` or ``labels.csv``, or ``CORPUS:DIR``.
    split : str, optional
        Only this part.

    Returns
    -------
    Labels or None
        None where only reading the set itself can tell.
    """
    layout, _, folder = source.partition(":")
    if folder and layout in CORPORA:
        images = [i for i in read_corpus(layout, folder) if split in (None, i.split)]
        if not images:
            raise UsageError(f"split: expected photos of {split}, got none in {folder}")
        return Labels(
            tuple(image.name for image in images),
            np.array([[_value(image.valence), _value(image.arousal)] for image in images]),
            np.array([CLASSES.index(i.expression) if i.expression else UNLABELLED for i in images]),
            tuple(image.subject for image in images),
        )
    path = Path(source)
    if path.suffix.lower() == ".csv":
        return read_labels(path, split)
    for name in TABLES:
        if (path / name).is_file():
            return read_labels(path / name, split)
    return None


def _value(number: float | None) -> float:
    return math.nan if number is None else float(number)
