"""The label of every frame: the mean over annotators, with whose face it is."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.affect import expression_name, square_to_disc
from synth.building.annotation_frames import MeshFrames
from synth.building.annotation_settings import AnnotationSettings
from synth.errors import UsageError
from synth.expressions.annotation_agreement import mean_label
from synth.expressions.annotations import Ratings

__all__ = ["Labels", "make_labels", "read_expressions", "read_subjects"]

Float = NDArray[np.float64]
Frames = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one sequence.

    Attributes
    ----------
    sequence, subject, expression : str
        Expression: "" where none is known.
    names : tuple of T str
        Of the frames, ``SEQUENCE/FRAME`` as the meshes are called.
    frames : (T,) int64
    mean, spread : (T, 2) float64
        Valence and arousal, and their standard deviation over annotators.
    annotators : (T,) int64
        How many said something.
    """

    sequence: str
    subject: str
    expression: str
    names: tuple[str, ...]
    frames: Frames
    mean: Float
    spread: Float
    annotators: Frames


def make_labels(
    found: Sequence[Ratings],
    kept: Sequence[str],
    frames: MeshFrames | None,
    notes: Mapping[str, str],
    settings: AnnotationSettings,
    subjects: Mapping[str, tuple[str, str]],
) -> tuple[tuple[Labels, ...], int, int]:
    """Labels, how many lay outside the disc, and how many frames got none."""
    rated = {part.sequence: part for part in found}
    out, outside, missing = [], 0, 0
    neutral = [s for s, note in notes.items() if note == "NEUTRAL"]
    for sequence in sorted(set(rated) | set(neutral)):
        part = rated.get(sequence)
        names, numbers = _names(sequence, part, frames)
        subject, expression = subjects.get(sequence, ("", ""))
        subject = subject or sequence.partition("/")[0]
        if part is None or notes.get(sequence) == "NEUTRAL":
            zero = np.zeros((len(numbers), 2))
            said = np.zeros(len(numbers), np.int64)
            if part is not None:
                said = mean_label(part, kept)[2]
            out.append(
                Labels(sequence, subject, "neutral", names, numbers, zero, zero * np.nan, said)
            )
            continue
        # Where the only annotator was left out, there is no label.
        mean, spread, said = mean_label(part, kept)
        has = said > 0
        missing += int((~has).sum())
        mean = mean[has]
        outside += int((np.hypot(*mean.T) > 1 + 1e-9).sum())
        if settings.disc == "map":
            mean = square_to_disc(mean)
        chosen = tuple(name for name, ok in zip(names, has, strict=True) if ok)
        out.append(
            Labels(
                sequence, subject, expression, chosen, numbers[has], mean, spread[has], said[has]
            )
        )
    return tuple(out), outside, missing


def _names(
    sequence: str, part: Ratings | None, frames: MeshFrames | None
) -> tuple[tuple[str, ...], Frames]:
    if frames is not None:
        names, numbers = frames[sequence]
        return names, (np.arange(len(names)) if numbers is None else numbers)
    assert part is not None  # without meshes only annotated sequences are known
    return tuple(f"{sequence}/{n:04d}" for n in part.frames), part.frames


def read_subjects(path: str | Path) -> dict[str, tuple[str, str]]:
    """Subject and expression by sequence of a table ``sequence, subject[, expression]``.

    Raises
    ------
    UsageError
        If the table or its columns are missing, a sequence occurs twice, or an expression
        is unknown; the message names the line.
    """
    rows = _rows(path, "sequence", {"sequence", "subject"})
    return {key: (row["subject"].strip(), _expression(path, row)) for key, row in rows.items()}


def read_expressions(path: str | Path) -> dict[str, str]:
    """Expression by frame of a table ``file_name, expression``: what a protocol tells.

    Raises
    ------
    UsageError
        As `read_subjects`.
    """
    rows = _rows(path, "file_name", {"file_name", "expression"})
    return {key: _expression(path, row) for key, row in rows.items()}


def _rows(path: str | Path, key: str, wanted: set[str]) -> dict[str, dict[str, str]]:
    """The lines of a table by the column `key`; an ``expression`` may be there too."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name}: expected a readable UTF-8 table, got {error}") from None
    reader = csv.DictReader(text.splitlines())
    columns = [name.strip().lower() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    if not wanted <= set(columns) <= wanted | {"expression"}:
        raise UsageError(
            f"{path.name}: expected the columns {', '.join(sorted(wanted | {'expression'}))}, got "
            f"{', '.join(columns) or 'none'}"
        )
    found: dict[str, dict[str, str]] = {}
    for row in reader:
        name = (row[key] or "").strip().strip("/")
        if not name or name in found:
            raise UsageError(
                f"{path.name}, line {reader.line_num}: expected every {key} once, got {name!r}"
            )
        found[name] = {k: v or "" for k, v in row.items() if isinstance(v, str | None)}
        found[name]["line"] = str(reader.line_num)
    return found


def _expression(path: str | Path, row: Mapping[str, str]) -> str:
    text = row.get("expression", "").strip()
    try:
        return expression_name(text) if text else ""
    except UsageError as error:
        raise UsageError(f"{Path(path).name}, line {row['line']}: {error}") from None
