"""Predictions put beside the labels of the same pictures, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.evaluation.concordance import name_key
from synth.evaluation.fer_predictions import Predictions

__all__ = ["match"]

Float = NDArray[np.float64]


def match(labels: Sequence[str], predictions: Predictions) -> tuple[Predictions, int]:
    """The predictions in the order of labelled names, and how many have no label.

    Names are compared without the extension of pictures; a folder before the name is left
    out of account where that is without doubt. Labelled pictures without a prediction get
    NaN and no expression.

    Raises
    ------
    UsageError
        If no file is in both.
    """
    place = {key: i for i, key in enumerate(map(name_key, predictions.names))}
    short = _bases(place)
    alone = _bases({name_key(name): 0 for name in labels})
    rows = []
    for name in map(name_key, labels):
        found = place.get(name)
        base = PurePosixPath(name).name
        if found is None and base in short and base in alone:
            found = short[base]
        rows.append(-1 if found is None else found)
    index = np.array(rows)
    if not (index >= 0).any():
        raise UsageError(
            "predictions: expected files of the set, got none in common: "
            f"{_some(predictions.names)} and {_some(labels)}; extensions and folders may "
            "differ, names may not"
        )
    return Predictions(
        tuple(labels),
        _taken(predictions.va, index),
        _taken(predictions.probabilities, index),
        predictions.classes,
        None
        if predictions.expressions is None
        else tuple(predictions.expressions[i] if i >= 0 else "" for i in rows),
        predictions.other_faces,
    ), len(predictions.names) - len(set(rows) - {-1})


def _bases(place: dict[str, int]) -> dict[str, int]:
    """By the last part of names, of those that have it for themselves."""
    count = Counter(PurePosixPath(name).name for name in place)
    return {
        PurePosixPath(name).name: i
        for name, i in place.items()
        if count[PurePosixPath(name).name] == 1
    }


def _taken(values: Float | None, index: NDArray[np.int64]) -> Float | None:
    return None if values is None else np.where(index[:, None] >= 0, values[index], np.nan)


def _some(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
