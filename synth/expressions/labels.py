"""Labels of meshes for a gallery of one's own: whose face, how it was rated, which expression.

A CSV file with the columns ``file_name, subject, valence, arousal`` and, for the neutral
and the apex frames, ``expression``: *neutral* marks the frames from which a subject's
neutral face is taken, the basic expressions their full-strength frames.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from synth.affect import BASIC_EXPRESSIONS, expression_name, square_to_disc
from synth.errors import TargetError, UsageError

__all__ = ["MeshLabels", "read_labels"]

COLUMNS = ("file_name", "subject", "valence", "arousal")
#: Suffixes that a name may carry beyond that of the collection.
SUFFIXES = (".obj", ".ply", ".stl", ".off", ".glb")
#: Names listed in a message.
LISTED = 3


@dataclass(frozen=True, eq=False)
class MeshLabels:
    """What is known of N meshes, in their order.

    Attributes
    ----------
    names : tuple of N str
    subject : (N,) int64
        Index into `subjects`.
    subjects : tuple of str
        Sorted.
    va : (N, 2) float64
        Valence and arousal, points of the unit disc.
    expression : (N,) of str
        A name of `synth.affect.EXPRESSIONS`, "" where none is given.
    """

    names: tuple[str, ...]
    subject: NDArray[np.int64]
    subjects: tuple[str, ...]
    va: NDArray[np.float64]
    expression: NDArray[np.str_]

    @property
    def neutral(self) -> NDArray[np.bool_]:
        """(N,) whether a frame shows its subject's neutral face."""
        return np.asarray(self.expression == "neutral")


def read_labels(path: str | Path, names: Sequence[str], square: bool = False) -> MeshLabels:
    """Labels of the meshes `names` from a CSV file; rows in any order.

    Parameters
    ----------
    path : path-like
    names : sequence of str
        The meshes; a row's file name may carry a mesh file's suffix besides.
    square : bool
        Ratings are points of the square [-1, 1]^2 and are mapped to the disc.

    Raises
    ------
    UsageError
        If a column is missing, a row cannot be read, the rows are not one for each mesh,
        a subject has no neutral frame, or a rating lies outside the disc (the square).
    """
    rows = _rows(Path(path))
    found = {name: number for number, (name, *_) in enumerate(rows)}
    _check_names(found, len(rows), names)
    rows = [rows[found[name]] for name in names]
    va = _disc(np.array([row[2] for row in rows]), names, square)
    subjects, index = np.unique([row[1] for row in rows], return_inverse=True)
    expression = np.array([row[3] for row in rows])
    without = np.setdiff1d(np.arange(len(subjects)), index[expression == "neutral"])
    if len(without):
        raise UsageError(
            f"labels: expected frames of expression 'neutral' for every subject, got none for "
            f"{_some([str(subjects[i]) for i in without])}; mark them, or leave the subject out"
        )
    return MeshLabels(
        tuple(names), index.astype(np.int64), tuple(map(str, subjects)), va, expression
    )


def _rows(path: Path) -> list[tuple[str, str, tuple[float, float], str]]:
    """Name, subject, rating and expression of every line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise UsageError(
                    f"labels: expected columns {', '.join(COLUMNS)} in {path}, got none called "
                    f"{', '.join(missing)}; add them"
                )
            return [_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"labels: expected a readable CSV file, got {path}: {error}") from None


def _row(path: Path, line: int, row: dict[str, str]) -> tuple[str, str, tuple[float, float], str]:
    name = (row["file_name"] or "").strip().replace("\\", "/")
    if PurePosixPath(name).suffix.lower() in SUFFIXES:
        name = str(PurePosixPath(name).with_suffix(""))
    subject = (row["subject"] or "").strip()
    if not name or not subject:
        raise UsageError(f"labels: expected a file name and a subject, {path} line {line} has not")
    try:
        va = (float(row["valence"]), float(row["arousal"]))
        expression = (row.get("expression") or "").strip()
        expression = expression_name(expression) if expression else ""
    except (TypeError, ValueError, TargetError) as error:
        raise UsageError(f"labels: {path} line {line}: {error}") from None
    return name, subject, va, expression


def _check_names(found: dict[str, int], rows: int, names: Sequence[str]) -> None:
    if len(found) != rows:
        raise UsageError(
            f"labels: expected one row a mesh, got {rows} rows with {len(found)} names; "
            "remove the repeated ones"
        )
    lacking = [name for name in names if name not in found]
    if lacking:
        raise UsageError(
            f"labels: expected a row for each of {len(names)} meshes, got none for {len(lacking)}: "
            f"{_some(lacking)}; label them or leave them out"
        )
    known = set(names)
    extra = [name for name in found if name not in known]
    if extra:
        raise UsageError(
            f"labels: expected rows of the {len(names)} meshes only, got {len(extra)} of no mesh: "
            f"{_some(extra)}; file names are paths below the folder of meshes"
        )


def _disc(va: NDArray[np.float64], names: Sequence[str], square: bool) -> NDArray[np.float64]:
    bad = ~np.isfinite(va).all(1) | (np.abs(va) > 1 + 1e-9).any(1)
    if bad.any():
        where = np.flatnonzero(bad).tolist()
        raise UsageError(
            f"labels: expected valence and arousal in [-1, 1], got ({va[where[0], 0]:g}, "
            f"{va[where[0], 1]:g}) for {_some([names[i] for i in where])}; rescale the ratings"
        )
    if square:
        return square_to_disc(va)
    outside = np.flatnonzero(np.hypot(*va.T) > 1 + 1e-6).tolist()
    if outside:
        first = va[outside[0]]
        raise UsageError(
            f"labels: expected points of the unit disc, got ({first[0]:g}, {first[1]:g}) for "
            f"{_some([names[i] for i in outside])}; use --square for ratings on the square"
        )
    return np.asarray(va / np.maximum(np.hypot(*va.T), 1)[:, None])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def basic_expressions(labels: MeshLabels) -> tuple[str, ...]:
    """The basic expressions that have frames of their own."""
    return tuple(name for name in BASIC_EXPRESSIONS if (labels.expression == name).any())
