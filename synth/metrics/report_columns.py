"""A checked table of predictions: what `synth.metrics.report` scores."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError

__all__ = ["AXES", "Columns", "missing", "read_columns"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

AXES = ("valence", "arousal")


@dataclass(frozen=True, eq=False)
class Columns:
    """A checked table of predictions; columns that were not given are None."""

    n: int
    va: tuple[Float, Float] | None
    names: tuple[list[Any], list[Any]] | None
    scores: Float | None
    classes: tuple[Any, ...] | None
    subjects: list[Hashable] | None
    #: Which pictures are to show a neutral, and which a smiling face.
    neutral: Bool | None
    smiling: Bool | None

    def some(self, chosen: NDArray[np.int64]) -> Columns:
        pick = chosen.tolist()
        return Columns(
            len(chosen),
            None if self.va is None else (self.va[0][chosen], self.va[1][chosen]),
            None
            if self.names is None
            else ([self.names[0][i] for i in pick], [self.names[1][i] for i in pick]),
            None if self.scores is None else self.scores[chosen],
            self.classes,
            None if self.subjects is None else [self.subjects[i] for i in pick],
            None if self.neutral is None else self.neutral[chosen],
            None if self.smiling is None else self.smiling[chosen],
        )


# -------------------------------------------------------------------------------- input
def missing(value: Any) -> bool:
    return value is None or value == "" or value != value


def _numbers(side: str, table: Mapping[str, Any]) -> Float:
    columns = []
    for axis in AXES:
        if axis not in table:
            raise ShapeError(f"{side}: expected a column {axis!r}, got {', '.join(table)}")
        columns.append(np.asarray(table[axis], np.float64))
        if columns[-1].ndim != 1 or len(columns[-1]) != len(columns[0]):
            raise ShapeError(
                f"{side}: expected (N,) {axis} as the other columns, got {columns[-1].shape}"
            )
        if np.isinf(columns[-1]).any():
            raise ShapeError(f"{side}: expected finite {axis}, or NaN for none, got infinity")
    return np.stack(columns, axis=1)


def _guessed(estimate: Mapping[str, Any], classes: Sequence[Any] | None) -> tuple[list[Any], Any]:
    """Names of the estimates, and the scores where there are any."""
    if "scores" not in estimate:
        return list(estimate["expression"]), None
    scores = np.asarray(estimate["scores"], np.float64)
    if classes is None or scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ShapeError(
            "scores: expected (N, C) and the C classes of the columns, got "
            f"{scores.shape} and {'none' if classes is None else len(classes)}"
        )
    if "expression" in estimate:
        return list(estimate["expression"]), scores
    known = np.isfinite(scores.sum(axis=1))
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(1)
    return [classes[i] if k else None for i, k in zip(best, known, strict=True)], scores


def read_columns(
    target: Mapping[str, Any],
    estimate: Mapping[str, Any],
    subjects: Sequence[Hashable] | None,
    classes: Sequence[Any] | None,
    masks: Mapping[str, Sequence[bool] | None],
) -> Columns:
    """The table with its columns checked against each other; see `score_table`."""
    va = names = scores = None
    sizes: dict[str, int] = {}
    if any(axis in target for axis in AXES) and any(axis in estimate for axis in AXES):
        va = _numbers("target", target), _numbers("estimate", estimate)
        sizes |= {"target valence": len(va[0]), "estimate valence": len(va[1])}
    if "expression" in target and ("expression" in estimate or "scores" in estimate):
        guessed, scores = _guessed(estimate, classes)
        names = list(target["expression"]), guessed
        sizes |= {"target expression": len(names[0]), "estimate expression": len(guessed)}
        if scores is not None:
            sizes["scores"] = len(scores)
    if not sizes:
        given = " and ".join(", ".join(side) or "nothing" for side in (target, estimate))
        raise ShapeError(
            "estimate: expected valence and arousal, or expression (or its scores), on both "
            f"sides, got {given}"
        )
    if subjects is not None:
        sizes["subjects"] = len(subjects)
    chosen = {key: None if m is None else np.asarray(m, bool) for key, m in masks.items()}
    sizes |= {key: len(m) for key, m in chosen.items() if m is not None}
    if len(set(sizes.values())) > 1:
        raise ShapeError(f"columns: expected one length, got {sizes}")
    known = None if classes is None else tuple(classes)
    people = None if subjects is None else list(subjects)
    if people is not None and any(missing(person) for person in people):
        raise ShapeError("subjects: expected a person for every picture, got none for some")
    return Columns(next(iter(sizes.values())), va, names, scores, known, people, **chosen)
