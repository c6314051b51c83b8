"""How well faces are read: every FER measure of readings against labels.

`evaluate_fer` scores what `synth.recognition.reader.FaceReader` or
`synth.evaluation.fer_predictions` read; `synth.evaluation.fer_report` makes the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synth.affect import expression_name
from synth.errors import ShapeError, TargetError, UsageError
from synth.metrics.intervals import FOLDS, LEVEL
from synth.metrics.regions import REGIONS
from synth.metrics.report import score_table
from synth.recognition.faces import CLASSES, UNLABELLED

__all__ = ["Given", "Labelled", "Labels", "evaluate_fer", "people_of"]

Float = NDArray[np.float64]
NEUTRAL, SMILING = "neutral", "happiness"


class Labelled(Protocol):
    """What is known of N pictures: a `synth.recognition.faces.FaceSet`, or `Labels`."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def va(self) -> NDArray[Any]: ...
    @property
    def label(self) -> NDArray[np.int64]: ...
    @property
    def subjects(self) -> tuple[str, ...]: ...
    @property
    def groups(self) -> dict[str, tuple[str, ...]]: ...


class Given(Protocol):
    """What was read of them: a `synth.recognition.reader.Readings`, or one from a file."""

    @property
    def va(self) -> NDArray[Any] | None: ...
    @property
    def probabilities(self) -> NDArray[Any] | None: ...
    @property
    def classes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N pictures without the pictures.

    Attributes
    ----------
    names : tuple of str
    va : (N, 2) float64
        NaN where there is none.
    label : (N,) int64
        Position in `synth.recognition.faces.CLASSES`, -100 for none.
    subjects : tuple of str
        Empty where unknown.
    groups : dict of str to tuple of str
        Such as ``age``, ``gender``, ``ethnicity``.
    """

    names: tuple[str, ...]
    va: Float
    label: NDArray[np.int64]
    subjects: tuple[str, ...]
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)


def evaluate_fer(
    faces: Labelled,
    readings: Given,
    *,
    folds: int = FOLDS,
    level: float = LEVEL,
    seed: int = 0,
    regions: int = REGIONS,
) -> dict[str, Any]:
    """Every measure of the readings, in total and by group of people.

    Parameters
    ----------
    faces : FaceSet or Labels
        Of N pictures. Intervals draw its persons where every picture has one; persons of
        pictures without a name are taken to differ from all others.
    readings : Readings or Predictions
        Of the same N pictures in their order; NaN where nothing was read. Classes that
        only the labels know are counted as missed.
    folds, level, seed
        Of the bootstrap.
    regions : int
        A side, of the map of errors.

    Returns
    -------
    dict
        As `synth.metrics.report.score_table`, and ``notes``: what to know of the numbers.

    Raises
    ------
    UsageError
        If nothing is labelled, the readings do not answer what the labels ask, or a
        class is unknown.
    ShapeError
        If the numbers of faces and readings differ, or a label is outside -1 to 1.
    """
    target, estimate, classes = _sides(faces, readings)
    people = people_of(faces.subjects)
    label = np.asarray(faces.label)
    masks = {
        key: (label == CLASSES.index(name)).tolist() if (label != UNLABELLED).any() else None
        for key, name in (("neutral", NEUTRAL), ("smiling", SMILING))
    }
    if not any(masks["neutral"] or ()):
        masks = dict.fromkeys(masks)
    groups = {name: words for name, words in faces.groups.items() if any(words)}
    table = score_table(target, estimate, people, groups, classes=classes or None, **masks,
                        folds=folds, level=level, seed=seed, regions=regions)  # fmt: skip
    return table | {"notes": _notes(faces, target, classes, readings, people)}


def people_of(subjects: Sequence[str]) -> list[str] | None:
    """A person for every picture, those without a name differing; None without any name."""
    if not any(subjects):
        return None
    return [name or f"unnamed {i}" for i, name in enumerate(subjects)]


# --------------------------------------------------------------------------------- columns
def _sides(
    faces: Labelled, readings: Given
) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Columns of target and estimate as `score_table` wants them, and the classes."""
    count = len(faces.names)
    va, label = np.asarray(faces.va, np.float64), np.asarray(faces.label)
    has_va, has_class = np.isfinite(va).all(1).any(), (label != UNLABELLED).any()
    if not (has_va or has_class):
        raise UsageError(
            f"data: expected valence and arousal or expression of the faces, got {count} faces "
            "without any label; add the columns to the set's table"
        )
    named = getattr(readings, "expressions", None)
    reads_class = readings.probabilities is not None or named is not None
    for name, values in (("va", readings.va), ("probabilities", readings.probabilities)):
        if values is not None and len(values) != count:
            raise ShapeError(f"{name}: expected readings of {count} faces, got {len(values)}")
    target: dict[str, Any] = {}
    estimate: dict[str, Any] = {}
    if has_va and readings.va is not None:
        target |= {"valence": va[:, 0], "arousal": va[:, 1]}
        read = np.asarray(readings.va, np.float64)
        estimate |= {"valence": read[:, 0], "arousal": read[:, 1]}
    classes: tuple[str, ...] = ()
    if has_class and reads_class:
        classes = _classes(readings.classes, label, named)
        target["expression"] = [CLASSES[i] if i != UNLABELLED else None for i in label]
        if readings.probabilities is not None:
            estimate["scores"] = _scores(readings, classes)
        if named is not None:
            estimate["expression"] = [_known(name) if name else None for name in named]
    if not target:
        asked = " and ".join(
            word
            for word, has in (("valence and arousal", has_va), ("expression", has_class))
            if has
        )
        raise UsageError(
            f"readings: expected what the set is labelled with ({asked}), got "
            f"{'expression' if reads_class else 'valence and arousal'} only; use another "
            "network or another set"
        )
    return target, estimate, classes


def _known(name: str) -> str:
    try:
        return expression_name(name)
    except TargetError:
        raise UsageError(
            f"classes: expected those of {', '.join(CLASSES)}, got {name!r}; rename it"
        ) from None


def _classes(
    read: Sequence[str], label: NDArray[np.int64], named: Sequence[str] | None
) -> tuple[str, ...]:
    """What is read or labelled, in the order of `CLASSES`."""
    occur = {_known(name) for name in (*read, *(named or ())) if name}
    occur |= {CLASSES[i] for i in np.unique(label[label != UNLABELLED])}
    return tuple(name for name in CLASSES if name in occur)


def _scores(readings: Given, classes: tuple[str, ...]) -> Float:
    """(N, C) with the columns of `classes`; below every probability where not read."""
    read = [_known(name) for name in readings.classes]
    found = np.asarray(readings.probabilities, np.float64)
    if len(set(read)) < len(read) or found.shape[1:] != (len(read),):
        raise ShapeError(
            f"probabilities: expected (N, {len(read)}) of different classes, got {found.shape}"
        )
    scores = np.full((len(found), len(classes)), -1.0)
    for column, name in enumerate(read):
        scores[:, classes.index(name)] = found[:, column]
    scores[~np.isfinite(found).all(1)] = np.nan
    return scores


def _notes(
    faces: Labelled,
    target: dict[str, Any],
    classes: tuple[str, ...],
    readings: Given,
    people: list[str] | None,
) -> list[str]:
    """What a reader of the numbers should know."""
    notes = []
    if people is None:
        notes.append(
            "The set names no persons: pictures are drawn, and the intervals are too narrow "
            "where a person has several."
        )
    elif missing := sum(not name for name in faces.subjects):
        notes.append(f"{missing} pictures name no person: each counts as a person of its own.")
    elif len(set(people)) == 1:
        notes.append("All pictures show one person: no interval can be given.")
    if "expression" in target:
        occur = {name for name in target["expression"] if name}
        if len(occur) == 1:
            notes.append(
                f"All labels are {next(iter(occur))}: how well classes are told apart cannot be "
                "seen (kappa and the balanced measures say nothing)."
            )
        read = {_known(name) for name in readings.classes}
        if read and (never := [name for name in classes if name in occur - read]):
            notes.append(f"Not among the reader's classes, always missed: {', '.join(never)}.")
    return notes
