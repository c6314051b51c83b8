"""Every FER measure of one table of predictions, with intervals and groups of people.

What is done with awkward input: a picture without a target or without an estimate (NaN,
None or an empty name) is left out of that part only and counted, so that a network that
finds no face is not scored better for it unnoticed; a part without pictures has n = 0 and
no measures; where persons are given, every picture must have one; pictures without a value
in a grouping form the group ``unknown``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.metrics.classes import confusion_margins, down_sampled, target_ranks
from synth.metrics.intervals import FOLDS, LEVEL, intervals
from synth.metrics.regions import REGIONS, RegionMap, region_rmse

__all__ = ["UNKNOWN", "score_table"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Table = dict[str, Any]

UNKNOWN = "unknown"
AXES = ("valence", "arousal")
OF_NUMBERS = ("ccc", "ccc_sample", "pcc", "mse", "rmse", "mae", "sagr")
OF_CLASSES = ("accuracy", "mean_diagonal", "macro_f1", "kappa")
#: Of the networks' first guesses; as many as there are wrong classes to guess.
TOP = (1, 2, 3)


@dataclass(frozen=True)
class _Settings:
    folds: int
    level: float
    seed: int
    regions: int


@dataclass(frozen=True, eq=False)
class _Columns:
    """A checked table of predictions; columns that were not given are None."""

    n: int
    va: tuple[Float, Float] | None
    names: tuple[list[Any], list[Any]] | None
    scores: Float | None
    classes: tuple[Any, ...] | None
    subjects: list[Hashable] | None

    def some(self, chosen: NDArray[np.int64]) -> _Columns:
        pick = chosen.tolist()
        return _Columns(
            len(chosen),
            None if self.va is None else (self.va[0][chosen], self.va[1][chosen]),
            None
            if self.names is None
            else ([self.names[0][i] for i in pick], [self.names[1][i] for i in pick]),
            None if self.scores is None else self.scores[chosen],
            self.classes,
            None if self.subjects is None else [self.subjects[i] for i in pick],
        )


# -------------------------------------------------------------------------------- input
def _missing(value: Any) -> bool:
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


def _columns(
    target: Mapping[str, Any],
    estimate: Mapping[str, Any],
    subjects: Sequence[Hashable] | None,
    classes: Sequence[Any] | None,
) -> _Columns:
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
    if len(set(sizes.values())) > 1:
        raise ShapeError(f"columns: expected one length, got {sizes}")
    known = None if classes is None else tuple(classes)
    people = None if subjects is None else list(subjects)
    if people is not None and any(_missing(person) for person in people):
        raise ShapeError("subjects: expected a person for every picture, got none for some")
    return _Columns(next(iter(sizes.values())), va, names, scores, known, people)


# -------------------------------------------------------------------------------- parts
def _head(columns: _Columns, has_target: Bool, has_estimate: Bool) -> tuple[Table, _Columns]:
    """What a part counts, and the pictures that can be scored."""
    kept = columns.some(np.flatnonzero(has_target & has_estimate))
    part: Table = {
        "n": kept.n,
        "subjects": None if kept.subjects is None else len(set(kept.subjects)),
        "without_target": int((~has_target).sum()),
        "without_estimate": int((has_target & ~has_estimate).sum()),
        "measures": {},
    }
    return part, kept


def _measured(
    names: Iterable[str], target: Any, estimate: Any, kept: _Columns, settings: _Settings
) -> dict[str, Table]:
    found = intervals(
        list(names), target, estimate, kept.subjects, settings.folds, settings.level, settings.seed
    )
    return {str(name): asdict(interval) for name, interval in found.items()}


def _va_part(columns: _Columns, settings: _Settings, cells: bool) -> Table:
    assert columns.va is not None
    has_target, has_estimate = (np.isfinite(side[:, 0] + side[:, 1]) for side in columns.va)
    part, kept = _head(columns, has_target, has_estimate)
    if not kept.n or kept.va is None:
        return part
    target, estimate = kept.va
    measures = part["measures"]
    for place, axis in enumerate(AXES):
        found = _measured(OF_NUMBERS, target[:, place], estimate[:, place], kept, settings)
        measures |= {f"{axis}_{name}": interval for name, interval in found.items()}
    apart = np.linalg.norm(target - estimate, axis=1)
    found = _measured(["mae"], np.zeros(kept.n), apart, kept, settings)
    measures["mean_distance"] = found["mae"]
    if cells:
        part["regions"] = _regions(region_rmse(target, estimate, settings.regions))
    return part


def _regions(found: RegionMap) -> Table:
    """The occupied regions only: most of the 71 x 71 hold no picture."""
    rows, columns = np.nonzero(found.count)
    return {
        "side": len(found.count),
        "n": found.n,
        "occupied": found.occupied,
        "mean": found.mean(),
        "cells": [
            {
                "valence": float(found.centres[c]),
                "arousal": float(found.centres[r]),
                "n": int(found.count[r, c]),
                "rmse_valence": float(found.valence[r, c]),
                "rmse_arousal": float(found.arousal[r, c]),
                "rmse_both": float(found.both[r, c]),
            }
            for r, c in zip(rows, columns, strict=True)
        ],
    }


def _class_part(columns: _Columns, settings: _Settings) -> Table:
    assert columns.names is not None
    has_target, has_estimate = (
        np.array([not _missing(name) for name in side], bool) for side in columns.names
    )
    if columns.scores is not None:
        has_estimate &= np.isfinite(columns.scores).all(1)
    part, kept = _head(columns, has_target, has_estimate)
    if not kept.n or kept.names is None:
        return part
    target, estimate = kept.names
    part["measures"] |= _measured(OF_CLASSES, target, estimate, kept, settings)
    if kept.scores is not None and kept.classes is not None:
        ranks = target_ranks(target, kept.scores, kept.classes)
        for k in (k for k in TOP if k < len(kept.classes)):
            # The share of hits is the accuracy of "hit" where all should be.
            found = _measured(["accuracy"], [True] * kept.n, (ranks < k).tolist(), kept, settings)
            part["measures"][f"top_{k}"] = found["accuracy"]
    margins = confusion_margins(target, estimate, kept.classes)
    part["confusion"] = {
        "classes": list(margins.classes),
        "counts": margins.counts.tolist(),
        "tpr": margins.tpr.tolist(),
        "ppv": margins.ppv.tolist(),
        "f1": margins.f1.tolist(),
        "n": margins.n,
    }
    part["down_sampled"] = asdict(down_sampled(margins.counts, seed=settings.seed))
    return part


def _parts(columns: _Columns, settings: _Settings, cells: bool) -> dict[str, Table]:
    parts: dict[str, Table] = {}
    if columns.va is not None:
        parts["va"] = _va_part(columns, settings, cells)
    if columns.names is not None:
        parts["expression"] = _class_part(columns, settings)
    return parts


def score_table(
    target: Mapping[str, Any],
    estimate: Mapping[str, Any],
    subjects: Sequence[Hashable] | None = None,
    groups: Mapping[str, Sequence[Any]] | None = None,
    *,
    classes: Sequence[Any] | None = None,
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
    regions: int = REGIONS,
) -> Table:
    """Every measure of a table of predictions, with intervals, and of groups of people.

    Parameters
    ----------
    target : mapping of str to N values
        Columns ``valence`` and ``arousal`` (-1 to 1, NaN for none), or ``expression``
        (names, None or empty for none), or all three.
    estimate : mapping of str to N values
        The same columns; and ``scores`` (N, C), higher is likelier, NaN rows for none.
        Without ``expression`` the class of the highest score is the estimate.
    subjects : N persons, optional
        Drawn whole by the bootstrap (`synth.metrics.intervals`). Without them pictures are.
    groups : mapping of str to N values, optional
        Groupings by name, such as age, gender, ethnicity. Ages are best given as names
        of groups: every value that occurs is one.
    classes : C names, optional
        Their order, and the columns of ``scores``, with which they are required.
    folds, level, seed
        Of the bootstrap.
    regions : int
        A side, of the map of errors.

    Returns
    -------
    dict
        ``n``; ``subjects``; ``settings``; ``parts`` with ``va`` and ``expression``, each
        with ``n``, ``subjects``, ``without_target``, ``without_estimate`` and
        ``measures`` (name to value, low, high, n, subjects, undefined), and ``regions``
        or ``confusion`` and ``down_sampled``; ``groups`` with ``n`` and ``parts`` by
        grouping and value. As files: `synth.metrics.report_files.score_files`.

    Raises
    ------
    ShapeError
        If lengths differ, no part is on both sides, a number is infinite, a target is
        outside -1 to 1, a class is unknown, or a picture has no person where others do.
    """
    columns = _columns(target, estimate, subjects, classes)
    settings = _Settings(folds, level, seed, regions)
    out: Table = {
        "n": columns.n,
        "subjects": None if columns.subjects is None else len(set(columns.subjects)),
        "settings": asdict(settings),
        "parts": _parts(columns, settings, cells=True),
        "groups": {},
    }
    for name, values in (groups or {}).items():
        if len(values) != columns.n:
            raise ShapeError(f"groups: expected {columns.n} of {name}, got {len(values)}")
        labels = np.array([UNKNOWN if _missing(v) else str(v) for v in values], object)
        out["groups"][name] = {}
        for label in sorted(set(labels.tolist()), key=lambda v: (v == UNKNOWN, v)):
            part = columns.some(np.flatnonzero(labels == label))
            out["groups"][name][label] = {
                "n": part.n,
                "parts": _parts(part, settings, cells=False),
            }
    return out
