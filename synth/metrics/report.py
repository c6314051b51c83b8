"""Every FER measure of one table of predictions, with intervals and groups of people.

What is done with awkward input: a picture without a target or without an estimate (NaN,
None or an empty name) is left out of that part only and counted, so that a network that
finds no face is not scored better for it unnoticed; a part without pictures has n = 0 and
no measures; where persons are given, every picture must have one; pictures without a value
in a grouping form the group ``unknown``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from synth.errors import ShapeError
from synth.metrics.intervals import FOLDS, LEVEL
from synth.metrics.regions import REGIONS
from synth.metrics.report_columns import missing, read_columns
from synth.metrics.report_parts import Settings, parts_of

__all__ = ["UNKNOWN", "score_table"]

Table = dict[str, Any]

UNKNOWN = "unknown"


def score_table(
    target: Mapping[str, Any],
    estimate: Mapping[str, Any],
    subjects: Sequence[Hashable] | None = None,
    groups: Mapping[str, Sequence[Any]] | None = None,
    *,
    classes: Sequence[Any] | None = None,
    neutral: Sequence[bool] | None = None,
    smiling: Sequence[bool] | None = None,
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
    neutral, smiling : N of true or false, optional
        Which pictures show a neutral, and which a smiling face. With valence and arousal
        and `subjects`, the first allows scores minus each person's own neutral, and both
        the measures of `synth.metrics.discrimination`.
    folds, level, seed
        Of the bootstrap.
    regions : int
        A side, of the map of errors.

    Returns
    -------
    dict
        ``n``; ``subjects``; ``settings``; ``parts`` with ``va``, ``minus_own``, ``smile``
        and ``expression`` where there are columns for them, each with ``n``, ``subjects``,
        ``without_target``, ``without_estimate`` and ``measures`` (name to value, low, high,
        n, subjects, undefined), and ``regions`` or ``confusion`` and ``down_sampled``;
        ``groups`` with ``n`` and ``parts`` by grouping and value. As files:
        `synth.metrics.report_files.score_files`.

    Raises
    ------
    ShapeError
        If lengths differ, no part is on both sides, a number is infinite, a target is
        outside -1 to 1, a class is unknown, or a picture has no person where others do.
    """
    columns = read_columns(
        target, estimate, subjects, classes, {"neutral": neutral, "smiling": smiling}
    )
    settings = Settings(folds, level, seed, regions)
    out: Table = {
        "n": columns.n,
        "subjects": None if columns.subjects is None else len(set(columns.subjects)),
        "settings": asdict(settings),
        "parts": parts_of(columns, settings, cells=True),
        "groups": {},
    }
    for name, values in (groups or {}).items():
        if len(values) != columns.n:
            raise ShapeError(f"groups: expected {columns.n} of {name}, got {len(values)}")
        labels = np.array([UNKNOWN if missing(v) else str(v) for v in values], object)
        out["groups"][name] = {}
        for label in sorted(set(labels.tolist()), key=lambda v: (v == UNKNOWN, v)):
            part = columns.some(np.flatnonzero(labels == label))
            out["groups"][name][label] = {
                "n": part.n,
                "parts": parts_of(part, settings, cells=False),
            }
    return out
