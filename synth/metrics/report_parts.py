"""The parts of `synth.metrics.report`: each kind of measure on the pictures that have it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.metrics.classes import confusion_margins, down_sampled, target_ranks
from synth.metrics.discrimination import discrimination, minus_own
from synth.metrics.intervals import intervals
from synth.metrics.regions import RegionMap, region_rmse
from synth.metrics.report_columns import AXES, Columns, missing

__all__ = ["Settings", "parts_of"]

Bool = NDArray[np.bool_]
Table = dict[str, Any]

OF_NUMBERS = ("ccc", "ccc_sample", "pcc", "mse", "rmse", "mae", "sagr")
OF_CLASSES = ("accuracy", "mean_diagonal", "macro_f1", "kappa")
#: Of the networks' first guesses; as many as there are wrong classes to guess.
TOP = (1, 2, 3)


@dataclass(frozen=True)
class Settings:
    """Of the bootstrap, and a side of the map of errors."""

    folds: int
    level: float
    seed: int
    regions: int


def _head(columns: Columns, has_target: Bool, has_estimate: Bool) -> tuple[Table, Columns]:
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
    names: Iterable[str], target: Any, estimate: Any, kept: Columns, settings: Settings
) -> dict[str, Table]:
    found = intervals(
        list(names), target, estimate, kept.subjects, settings.folds, settings.level, settings.seed
    )
    return {str(name): asdict(interval) for name, interval in found.items()}


def _va_part(columns: Columns, settings: Settings, cells: bool) -> Table:
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


def _class_part(columns: Columns, settings: Settings) -> Table:
    assert columns.names is not None
    has_target, has_estimate = (
        np.array([not missing(name) for name in side], bool) for side in columns.names
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


def _own_part(columns: Columns, settings: Settings) -> Table:
    """Readings less those of the same person's (other) neutral pictures.

    ``ccc_as_read`` is of the same pictures without the comparison.
    """
    assert columns.va is not None and columns.neutral is not None
    assert columns.subjects is not None
    own = minus_own(columns.va[1], columns.neutral, columns.subjects)
    known = [np.isfinite(side.sum(axis=1)) for side in (columns.va[0], own)]
    part, kept = _head(columns, known[0], known[1])
    part["references"] = int(columns.neutral.sum())
    if not kept.n or kept.va is None:
        return part
    less = own[known[0] & known[1]]
    for place, axis in enumerate(AXES):
        target, as_read = kept.va[0][:, place], kept.va[1][:, place]
        found = _measured(OF_NUMBERS, target, less[:, place], kept, settings)
        found["ccc_as_read"] = _measured(["ccc"], target, as_read, kept, settings)["ccc"]
        part["measures"] |= {f"{axis}_{name}": interval for name, interval in found.items()}
    return part


def _smile_part(columns: Columns, settings: Settings) -> Table:
    """How well valence tells smiling from neutral pictures; no other is looked at."""
    assert columns.va is not None and columns.neutral is not None
    assert columns.smiling is not None and columns.subjects is not None
    has_estimate = np.isfinite(columns.va[1][:, 0])
    asked = columns.neutral | columns.smiling
    part, kept = _head(columns.some(np.flatnonzero(asked)), np.ones(int(asked.sum()), bool),
                       has_estimate[asked])  # fmt: skip
    if not kept.n or kept.va is None or kept.smiling is None or kept.subjects is None:
        return part
    found = discrimination(kept.va[1][:, 0], kept.smiling, kept.subjects, settings.folds,
                           settings.level, settings.seed)  # fmt: skip
    part["measures"] |= {name: asdict(interval) for name, interval in found.items()}
    people = [
        {person for person, m in zip(kept.subjects, kept.smiling, strict=True) if m == smiles}
        for smiles in (True, False)
    ]
    part |= {"smiling": int(kept.smiling.sum()), "pairs": len(people[0] & people[1])}
    return part


def parts_of(columns: Columns, settings: Settings, cells: bool) -> dict[str, Table]:
    """Every part that the columns allow; the map of errors only with `cells`."""
    parts: dict[str, Table] = {}
    if columns.va is not None:
        parts["va"] = _va_part(columns, settings, cells)
        if columns.neutral is not None and columns.subjects is not None:
            parts["minus_own"] = _own_part(columns, settings)
            if columns.smiling is not None:
                parts["smile"] = _smile_part(columns, settings)
    if columns.names is not None:
        parts["expression"] = _class_part(columns, settings)
    return parts
