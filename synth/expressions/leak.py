"""How much of its subjects a class's mean face still shows.

A class of few subjects has a mean face that is a portrait. Three figures say how much:
the share of its frames that one subject gives; how far the mean moves when one subject is
left out; and how much of it a linear probe attributes to one subject. The probe is a
regression on who it is (1 for the subject, 0 for the others) [1]_ of what a face shows
beyond what its rating predicts, so that it cannot answer "the one who smiles most". As it
is linear, what it says of a mean face is the mean of what it says of the frames: near 1
for a portrait that it knows, near 1 / S for an even mixture of S subjects. Its control are
classes of the same sizes, drawn at random from all frames: a mixture as good as any.

References
----------
.. [1] Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", section 4.2:
   linear regression of an indicator matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Leak", "Probe", "identity_leak", "train_probe"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Classes of fewer subjects are flagged.
FEW_SUBJECTS = 8
#: So are those of which the probe attributes at least this share of what it attributes of a
#: single frame, and twice what it does of the control.
LARGE = 0.5
#: Ridge of the probe, as a share of the mean variance.
RIDGE = 1e-4


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear read-out of who a face is, from offsets and their ratings.

    Attributes
    ----------
    expected : (D, P) float64
        Regression of coefficients on the terms of the rating.
    weights : (P, S), bias : (S,) float64
        What is attributed to each subject; sums to 1 over the subjects.
    accuracy : float
        Share of held-out frames of which it attributes most to the right subject.
    portrait : float
        What it attributes of a held-out frame to the right subject, on average: the most
        that can be expected of a mean face.
    """

    expected: Float
    weights: Float
    bias: Float
    accuracy: float
    portrait: float

    def unexpected(self, coefficients: NDArray[Any], va: Float) -> Float:
        """(n, P) what frames show beyond what their ratings (n, 2) predict."""
        return np.asarray(coefficients - _terms(va) @ self.expected)

    def attributed(self, rest: Float) -> Float:
        """(n, S) how much of what is unexpected belongs to each subject."""
        return np.asarray(rest @ self.weights + self.bias)


@dataclass(frozen=True, eq=False)
class Leak:
    """Identity in the K mean faces; row 0, the neutral class, is zero by definition.

    Attributes
    ----------
    count, subjects : (K,) int64
        Frames and subjects of each class.
    effective : (K,) float64
        Subjects that would give as even a mixture: 1 / sum of squared shares.
    top_subject : (K,) int64
        Who gives most frames.
    top_share : (K,) float64
        Their share of the frames.
    left_out : (K,) float64
        Largest change of the mean when one subject is left out, mm rms over vertices; NaN
        for a class of one subject.
    attributed : (K,) int64
        To whom the probe attributes most of the mean face.
    attribution, control : (K,) float64
        How much; and of a random class of the same size.
    flagged : (K,) bool
        Few subjects, or much attributed to one and not by chance.
    accuracy, portrait, chance : float
        Of the probe, see `Probe`, and one over the number of subjects.
    """

    count: Int
    subjects: Int
    effective: Float
    top_subject: Int
    top_share: Float
    left_out: Float
    attributed: Int
    attribution: Float
    control: Float
    flagged: NDArray[np.bool_]
    accuracy: float
    portrait: float
    chance: float


def train_probe(
    coefficients: NDArray[Any], va: Float, subject: Int, held_out: NDArray[np.bool_]
) -> Probe:
    """Regression of the subjects' indicators, trained on the frames not held out.

    Every subject counts alike, however many frames it has.
    """
    train = ~held_out
    terms = _terms(va)
    people = int(subject.max()) + 1
    who = subject[train]
    size = np.maximum(np.bincount(who, minlength=people), 1)
    # within subjects: else the ratings of a class of one subject would explain that subject
    own_terms, own_faces = (
        values[train] - (_sums(values[train], who, people) / size[:, None])[who]
        for values in (terms, coefficients.astype(np.float64))
    )
    expected: Float = np.linalg.lstsq(own_terms, own_faces, rcond=None)[0].astype(np.float64)
    rest = coefficients - terms @ expected
    share = 1 / (size[who] * people)
    middle = share @ rest[train]
    centred = rest[train] - middle
    spread = centred.T @ (centred * share[:, None])
    spread += (RIDGE * np.trace(spread) / len(spread) + 1e-12) * np.eye(len(spread))
    toward = _sums(centred * share[:, None], who, people)
    weights: Float = np.linalg.solve(spread, toward.T).astype(np.float64)
    bias = 1 / people - middle @ weights
    if not held_out.any():
        return Probe(expected, weights, bias, np.nan, 1.0)
    found = rest[held_out] @ weights + bias
    whose = subject[held_out]
    right = float((found.argmax(1) == whose).mean())
    return Probe(expected, weights, bias, right, float(found[np.arange(len(whose)), whose].mean()))


def identity_leak(
    coefficients: NDArray[Any],
    va: Float,
    label: Int,
    subject: Int,
    sequence: Int,
    vertices: int,
    seed: int = 0,
) -> Leak:
    """Identity in the mean faces of classes.

    Parameters
    ----------
    coefficients : (N, P) float
        Offsets of the frames in an orthonormal basis, mm.
    va : (N, 2) float64
    label : (N,) int64
        Class of each frame, 0 the neutral one.
    subject : (N,) int64
    sequence : (N,) int64
        Frames recorded together; a sequence is held out as a whole or not at all.
    vertices : int
        V of the mesh, for figures a vertex.
    seed : int
        Of the random classes.
    """
    classes = int(label.max()) + 1
    table = np.zeros((classes, int(subject.max()) + 1), np.int64)
    np.add.at(table, (label, subject), 1)
    count = table.sum(1)
    share = table / np.maximum(count, 1)[:, None]
    shown = label > 0
    faces, ratings, of_class = coefficients[shown], va[shown], label[shown]
    probe = train_probe(faces, ratings, subject[shown], _held_out(subject[shown], sequence[shown]))
    rest = probe.unexpected(faces, ratings)
    found = probe.attributed(_means(rest, of_class, classes))
    shuffled = np.random.default_rng(seed).permutation(of_class)
    control = probe.attributed(_means(rest, shuffled, classes)).max(1)
    attribution = found.max(1)
    subjects = (table > 0).sum(1)
    much = (attribution >= LARGE * probe.portrait) & (attribution >= 2 * control)
    flagged = (subjects < FEW_SUBJECTS) | much
    attribution[0], control[0], flagged[0] = 0.0, 0.0, False
    return Leak(
        count=count,
        subjects=subjects,
        effective=1 / np.maximum((share**2).sum(1), 1e-12),
        top_subject=share.argmax(1),
        top_share=share.max(1),
        left_out=_left_out(coefficients, label, subject, table) / np.sqrt(vertices),
        attributed=found.argmax(1),
        attribution=attribution,
        control=control,
        flagged=flagged,
        accuracy=probe.accuracy,
        portrait=probe.portrait,
        chance=1 / table.shape[1],
    )


def _terms(va: Float) -> Float:
    """(N, 10) monomials of valence and arousal up to the third degree."""
    v, a = va.T
    powers = [v**i * a**j for i in range(4) for j in range(4 - i)]
    return np.stack(powers, axis=1)


def _held_out(subject: Int, sequence: Int) -> NDArray[np.bool_]:
    """Every other sequence of a subject; of a subject with one, the second half."""
    held = np.zeros(len(subject), np.bool_)
    for s in np.unique(subject):
        rows = np.flatnonzero(subject == s)
        own, index = np.unique(sequence[rows], return_inverse=True)
        held[rows] = (
            index % 2 == 1 if len(own) > 1 else np.arange(len(rows)) >= (len(rows) + 1) // 2
        )
    return held


def _means(faces: Float, label: Int, classes: int) -> Float:
    """(K, P) mean of every class's frames; 0 where there is none."""
    size = np.maximum(np.bincount(label, minlength=classes), 1)
    return _sums(faces, label, classes) / size[:, None]


def _sums(values: Float, group: Int, groups: int) -> Float:
    """(groups, D) sums of the rows of every group."""
    return np.stack([np.bincount(group, column, groups) for column in values.T], axis=1)


def _left_out(coefficients: NDArray[Any], label: Int, subject: Int, table: Int) -> Float:
    """(K,) largest change of a class's mean when one of its subjects is left out."""
    classes, people = table.shape
    pairs, index = np.unique(label * people + subject, return_inverse=True)
    total = _sums(coefficients, index, len(pairs))
    of_class, who = pairs // people, pairs % people
    whole = _sums(total, of_class, classes)
    count = table.sum(1)[of_class]
    others = count - table[of_class, who]
    mean = whole[of_class] / count[:, None]
    without = (whole[of_class] - total) / np.maximum(others, 1)[:, None]
    change = np.where(others > 0, np.linalg.norm(without - mean, axis=1), -np.inf)
    largest = np.full(classes, -np.inf)
    np.maximum.at(largest, of_class, change)
    largest[0] = 0.0
    return np.where(np.isfinite(largest), largest, np.nan)
