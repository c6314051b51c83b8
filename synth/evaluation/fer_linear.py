"""A small recogniser of expressions, to compare what it is trained on.

Histograms of oriented gradients of the aligned face [1]_, read by ridge regression
(valence, arousal) and logistic regression (expression). It is far from what networks
reach, but it trains in a second, has nothing to tune, and answers the question of
NFER-SDE's tables 1 and 2 [2]_: does a recogniser of near-infrared faces gain from
translated pictures of other people? Gradients are normalised by block, so that grey
photos and near-infrared pictures are not worlds apart from the start.

References
----------
.. [1] Dalal & Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
.. [2] Luo et al., NFER-SDE, AAAI 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError, UsageError
from synth.evaluation.faces import EYE_DISTANCE, SIZE, AlignedFace
from synth.metrics import agreement

__all__ = ["LabelledFaces", "LinearReader", "compare_training", "reader_features"]

Float = NDArray[np.float64]

#: Part of the aligned face that is read, in eye distances: its half width, how far it
#: reaches above the eyes and below them; then its side in pixels, and of a HOG cell.
HALF_WIDTH, ABOVE, BELOW = 0.9, 0.5, 1.3
SIDE, CELL, ORIENTATIONS = 96, 12, 8
#: Strength of the ridge penalty, and inverse strength of the logistic one, on
#: standardised features; fixed, since there are too few people to choose them by.
RIDGE, LOGISTIC = 100.0, 0.01


def reader_features(face: AlignedFace) -> Float:
    """(D,) histograms of oriented gradients of the face from brows to chin."""
    from skimage.feature import hog

    middle = (face.points[36] + face.points[45]) / 2
    low = np.rint(middle - (HALF_WIDTH * EYE_DISTANCE, ABOVE * EYE_DISTANCE)).astype(int)
    high = np.rint(middle + (HALF_WIDTH * EYE_DISTANCE, BELOW * EYE_DISTANCE)).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, SIZE)
    part = face.pixels[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(
        hog(small, ORIENTATIONS, (CELL, CELL), (2, 2), block_norm="L2-Hys"), np.float64
    )


@dataclass(frozen=True, eq=False)
class LabelledFaces:
    """Features of faces with their labels.

    Attributes
    ----------
    features : (N, D) float64
        See `reader_features`.
    people : N names
    expressions : N class names
        "" where there is none.
    va : (N, 2) float64
        NaN where there is none.
    """

    features: Float
    people: Sequence[str]
    expressions: Sequence[str]
    va: Float

    def __post_init__(self) -> None:
        count = len(self.features)
        got = len(self.people), len(self.expressions), len(self.va)
        if got != (count,) * 3 or not count or np.shape(self.va)[1:] != (2,):
            raise ShapeError(
                f"faces: expected people, expressions and (N, 2) va for N = {count} > 0, got {got}"
            )

    def __len__(self) -> int:
        return len(self.features)

    def take(self, chosen: NDArray[np.bool_]) -> LabelledFaces:
        """Those that are chosen (N,)."""
        at = np.flatnonzero(chosen).tolist()
        return LabelledFaces(
            self.features[at],
            [self.people[i] for i in at],
            [self.expressions[i] for i in at],
            self.va[at],
        )

    def without(self, people: set[str]) -> LabelledFaces | None:
        """The others' faces; None where there are none."""
        chosen = np.array([name not in people for name in self.people])
        return self.take(chosen) if chosen.any() else None

    def joined(self, other: LabelledFaces) -> LabelledFaces:
        """These faces and those of `other`."""
        return LabelledFaces(
            np.concatenate([self.features, other.features]),
            [*self.people, *other.people],
            [*self.expressions, *other.expressions],
            np.concatenate([self.va, other.va]),
        )


class LinearReader:
    """Ridge regression of valence and arousal, logistic regression of the expression.

    Parameters
    ----------
    faces : LabelledFaces
        To learn from. Every class counts the same, however many faces it has.

    Raises
    ------
    UsageError
        If there are neither two classes nor two rated faces.
    """

    def __init__(self, faces: LabelledFaces) -> None:
        from sklearn.linear_model import LogisticRegression, Ridge

        self._mean = faces.features.mean(0)
        self._scale = np.maximum(faces.features.std(0), 1e-6)
        values = self._standard(faces.features)
        named = np.array([bool(name) for name in faces.expressions])
        rated = np.isfinite(faces.va).all(1)
        classes = [name for name in faces.expressions if name]
        self._classes = self._va = None
        if len(set(classes)) > 1:
            self._classes = LogisticRegression(
                C=LOGISTIC, class_weight="balanced", max_iter=2000
            ).fit(values[named], classes)
        if rated.sum() > 1:
            self._va = Ridge(alpha=RIDGE).fit(values[rated], faces.va[rated])
        if self._classes is None and self._va is None:
            raise UsageError("faces: expected two classes or two rated faces, got neither")

    def _standard(self, features: Float) -> Float:
        return np.asarray((features - self._mean) / self._scale)

    def expressions(self, features: Float) -> list[str]:
        """N class names; all "" where it learned no classes."""
        if self._classes is None:
            return [""] * len(features)
        return [str(name) for name in self._classes.predict(self._standard(features))]

    def va(self, features: Float) -> Float:
        """(N, 2) valence and arousal; NaN where it learned none."""
        if self._va is None:
            return np.full((len(features), 2), np.nan)
        return np.asarray(self._va.predict(self._standard(features)), np.float64)


def compare_training(
    test: LabelledFaces, extras: Mapping[str, LabelledFaces], own: str = "nir"
) -> dict[str, dict[str, Any]]:
    """How well the faces of `test` are read after training on this and that.

    Everybody of `test` is read by readers that never saw them: left out one after the
    other, from `extras` too.

    Parameters
    ----------
    test : LabelledFaces
        Real near-infrared faces of at least two people.
    extras : mapping of str to LabelledFaces
        For instance ``vis`` and ``translated``.
    own : str
        What to call the other people of `test` in the names of the rows.

    Returns
    -------
    dict
        A row for ``own``, for each of `extras`, and for ``own + EXTRA``: ``n`` faces and
        ``people`` read, ``trained_on`` (mean number of faces), ``accuracy``,
        ``macro_f1``, ``n_classes``; ``ccc`` and ``rmse`` by dimension with ``n_va``;
        ``majority``, the accuracy of always saying the most frequent class.

    Raises
    ------
    UsageError
        If `test` has fewer than two people.
    """
    if len(set(test.people)) < 2:
        raise UsageError(f"test: expected at least two people, got {len(set(test.people))}")
    plans: dict[str, tuple[bool, LabelledFaces | None]] = {own: (True, None)}
    plans |= {name: (False, faces) for name, faces in extras.items()}
    plans |= {f"{own} + {name}": (True, faces) for name, faces in extras.items()}
    return {name: _read_all(test, *plan) for name, plan in plans.items()}


def _read_all(test: LabelledFaces, use_own: bool, extra: LabelledFaces | None) -> dict[str, Any]:
    expressions = [""] * len(test)
    va = np.full((len(test), 2), np.nan)
    sizes = []
    for person in sorted(set(test.people)):
        held = np.array([name == person for name in test.people])
        parts = [test.take(~held)] if use_own else []
        others = extra.without({person}) if extra is not None else None
        parts += [others] if others is not None else []
        if not parts:
            raise UsageError(f"extras: expected faces of others than {person}, got none")
        training = parts[0] if len(parts) == 1 else parts[0].joined(parts[1])
        reader = LinearReader(training)
        sizes.append(len(training))
        va[held] = reader.va(test.features[held])
        said = reader.expressions(test.features[held])
        for at, name in zip(np.flatnonzero(held), said, strict=True):
            expressions[at] = name
    return {"trained_on": float(np.mean(sizes))} | _scores(test, expressions, va)


def _scores(test: LabelledFaces, expressions: list[str], va: Float) -> dict[str, Any]:
    found: dict[str, Any] = {"n": len(test), "people": len(set(test.people))}
    named = [i for i in range(len(test)) if test.expressions[i] and expressions[i]]
    if named:
        target = [test.expressions[i] for i in named]
        said = [expressions[i] for i in named]
        found |= {
            "n_classes": len(named),
            "accuracy": agreement.accuracy(target, said),
            "macro_f1": agreement.macro_f1(target, said),
            "majority": max(target.count(name) for name in set(target)) / len(target),
        }
    rated = np.isfinite(test.va).all(1) & np.isfinite(va).all(1)
    if rated.any():
        found["n_va"] = int(rated.sum())
        for name in ("ccc", "rmse"):
            measure = getattr(agreement, name)
            found[name] = {
                dimension: measure(test.va[rated, i], va[rated, i])
                for i, dimension in enumerate(("valence", "arousal"))
            }
    return found
