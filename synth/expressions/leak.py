"""How much of its subjects a class's mean face still shows.

A class of few subjects has a mean face that is a portrait. Three figures say how much:
the share of its frames that one subject gives; how far the mean moves when one subject is
left out; and to whom a linear probe attributes it. The probe is linear discriminant
analysis [1]_, trained to tell subjects by how their faces differ from what their ratings
alone predict, so that it cannot answer "the one who smiles most". Its control are classes
of the same sizes, drawn at random from all frames: what mean faces without leak give.

References
----------
.. [1] Fisher, "The use of multiple measurements in taxonomic problems", Annals of
   Eugenics 1936.
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
#: So are those that the probe gives to one subject with at least this probability, and with
#: twice what it gives the control.
CERTAIN = 0.5
#: Share of the mean variance added to the probe's covariance, so that it can be inverted.
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear read-out of who a face is, from offsets and their ratings.

    Attributes
    ----------
    expected : (D, P) float64
        Regression of coefficients on the terms of the rating.
    weights : (P, S), bias : (S,) float64
        Logits of the subjects.
    accuracy : float
        Share of held-out frames that it attributes rightly; chance is 1 / S.
    """

    expected: Float
    weights: Float
    bias: Float
    accuracy: float

    def probabilities(self, coefficients: NDArray[Any], va: Float) -> Float:
        """(n, S) probability of every subject, all equally likely before."""
        rest = coefficients - _terms(va) @ self.expected
        logits = rest @ self.weights + self.bias
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(odds / odds.sum(1, keepdims=True))


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
        Whom the probe sees in the mean face.
    probability, control : (K,) float64
        How sure it is; and of a random class of the same size.
    flagged : (K,) bool
        Few subjects, or attributed with certainty and not by chance.
    accuracy, chance : float
        Of the probe on held-out frames, and of guessing.
    """

    count: Int
    subjects: Int
    effective: Float
    top_subject: Int
    top_share: Float
    left_out: Float
    attributed: Int
    probability: Float
    control: Float
    flagged: NDArray[np.bool_]
    accuracy: float
    chance: float


def train_probe(
    coefficients: NDArray[Any], va: Float, subject: Int, held_out: NDArray[np.bool_]
) -> Probe:
    """Linear discriminant analysis of subjects, trained on the frames not held out."""
    train = ~held_out
    terms = _terms(va)
    expected = np.linalg.lstsq(terms[train], coefficients[train].astype(np.float64), rcond=None)[0]
    rest = coefficients - terms @ expected
    number = int(subject.max()) + 1
    size = np.maximum(np.bincount(subject[train], minlength=number), 1)
    mean = np.zeros((number, rest.shape[1]))
    np.add.at(mean, subject[train], rest[train])
    mean /= size[:, None]
    own = rest[train] - mean[subject[train]]
    spread = own.T @ own / len(own)
    spread += (RIDGE * np.trace(spread) / len(spread) + 1e-12) * np.eye(len(spread))
    weights = np.linalg.solve(spread, mean.T)
    probe = Probe(expected, weights, -(mean.T * weights).sum(0) / 2, np.nan)
    if not held_out.any():
        return probe
    seen = probe.probabilities(coefficients[held_out], va[held_out]).argmax(1)
    right = float((seen == subject[held_out]).mean())
    return Probe(probe.expected, probe.weights, probe.bias, right)


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
    found = probe.probabilities(*_means(faces, ratings, of_class, classes))
    shuffled = np.random.default_rng(seed).permutation(of_class)
    control = probe.probabilities(*_means(faces, ratings, shuffled, classes)).max(1)
    probability = found.max(1)
    subjects = (table > 0).sum(1)
    flagged = (subjects < FEW_SUBJECTS) | ((probability >= CERTAIN) & (probability >= 2 * control))
    probability[0], control[0], flagged[0] = 0.0, 0.0, False
    return Leak(
        count=count,
        subjects=subjects,
        effective=1 / np.maximum((share**2).sum(1), 1e-12),
        top_subject=share.argmax(1),
        top_share=share.max(1),
        left_out=_left_out(coefficients, label, subject, table) / np.sqrt(vertices),
        attributed=found.argmax(1),
        probability=probability,
        control=control,
        flagged=flagged,
        accuracy=probe.accuracy,
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


def _means(faces: NDArray[Any], va: Float, label: Int, classes: int) -> tuple[Float, Float]:
    """Mean face and mean rating of every class; 0 where there is none."""
    size = np.maximum(np.bincount(label, minlength=classes), 1)[:, None]
    face, rating = np.zeros((classes, faces.shape[1])), np.zeros((classes, 2))
    np.add.at(face, label, faces)
    np.add.at(rating, label, va)
    return face / size, rating / size


def _left_out(coefficients: NDArray[Any], label: Int, subject: Int, table: Int) -> Float:
    """(K,) largest change of a class's mean when one of its subjects is left out."""
    classes, people = table.shape
    pairs, index = np.unique(label * people + subject, return_inverse=True)
    total = np.zeros((len(pairs), coefficients.shape[1]))
    np.add.at(total, index, coefficients)
    of_class, who = pairs // people, pairs % people
    whole = np.zeros((classes, coefficients.shape[1]))
    np.add.at(whole, of_class, total)
    count = table.sum(1)[of_class]
    others = count - table[of_class, who]
    mean = whole[of_class] / count[:, None]
    without = (whole[of_class] - total) / np.maximum(others, 1)[:, None]
    change = np.where(others > 0, np.linalg.norm(without - mean, axis=1), -np.inf)
    largest = np.full(classes, -np.inf)
    np.maximum.at(largest, of_class, change)
    largest[0] = 0.0
    return np.where(np.isfinite(largest), largest, np.nan)
