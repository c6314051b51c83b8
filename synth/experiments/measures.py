"""What a test measures, for many draws of its people at once.

A measure looks at the faces of a test and at what a reader says about them, and gives a
function of how often each person counts: the whole test is everybody once, a bootstrap
draw is people drawn with replacement [1]_. One call answers for all draws. Faces without
what a measure needs (a label, a neutral face of the same person) are left out of it, and
``n`` says how many there were.

.. [1] Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.metrics.classes import FROM_COUNTS, target_ranks
from synth.metrics.sums import FROM_SUMS, cell_terms, number_terms

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet
    from synth.recognition.reader import Readings

__all__ = ["BETTER", "MEASURES", "OfDraws", "measure"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
#: (b, P) how often each person counts -> (b,) the measure.
Statistic = Callable[[Float], Float]

AXES = ("valence", "arousal")
NEUTRAL, HAPPINESS = "neutral", "happiness"


@dataclass(frozen=True)
class OfDraws:
    """A measure of one reader on one test.

    Attributes
    ----------
    of : callable
        (b, P) times each of `people` counts -> (b,).
    people : tuple of str
        Of the faces that are counted, sorted.
    n : int
        Faces that are counted.
    """

    of: Statistic
    people: tuple[str, ...]
    n: int

    @property
    def value(self) -> float:
        """Everybody once."""
        return float(self.of(np.ones((1, len(self.people))))[0])


def measure(name: str, faces: FaceSet, readings: Readings) -> OfDraws | None:
    """The measure, or None where the reader or the test has nothing for it.

    Raises
    ------
    UsageError
        If there is no such measure, or the readings are not those of the faces.
    """
    if name not in MEASURES:
        raise UsageError(f"measure: expected one of {', '.join(MEASURES)}, got {name!r}")
    if len(readings) != len(faces):
        raise UsageError(f"readings: expected {len(faces)}, one a face, got {len(readings)}")
    return MEASURES[name](faces, readings)


# ------------------------------------------------------------------------------ helpers
def _people(subjects: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names, index = np.unique(np.asarray(subjects, str), return_inverse=True)
    return tuple(names.tolist()), index.astype(np.int64)


def _by_person(terms: Float, index: NDArray[np.int64], people: int) -> Float:
    out = np.zeros((people, terms.shape[1]))
    np.add.at(out, index, terms)
    return out


def _subjects(faces: FaceSet, kept: Bool) -> list[str]:
    """People of the kept faces; one without a name is a person of its own."""
    return [faces.subjects[i] or f"?{faces.names[i]}" for i in np.flatnonzero(kept)]


def _labelled(faces: FaceSet, word: str) -> Bool:
    from synth.recognition.faces import CLASSES

    return np.asarray(faces.label == CLASSES.index(word))


# ------------------------------------------------------------------------------ numbers
def _of_numbers(which: str, axis: int, own: bool = False) -> Callable[..., OfDraws | None]:
    def find(faces: FaceSet, readings: Readings) -> OfDraws | None:
        if readings.va is None:
            return None
        target = faces.va[:, axis].astype(np.float64)
        estimate = readings.va[:, axis].astype(np.float64)
        kept = np.isfinite(target) & np.isfinite(estimate)
        if own:
            estimate, kept = _minus_own(faces, estimate, kept)
        if kept.sum() < 2:
            return None
        people, index = _people(_subjects(faces, kept))
        sums = _by_person(number_terms(target[kept], estimate[kept]), index, len(people))
        return OfDraws(lambda times: FROM_SUMS[which](times @ sums), people, int(kept.sum()))

    return find


def _minus_own(faces: FaceSet, estimate: Float, kept: Bool) -> tuple[Float, Bool]:
    """Estimates less the person's mean one at neutral; the only neutral face is left out.

    Where a person has several neutral faces, each is compared with the others.
    """
    neutral = _labelled(faces, NEUTRAL) & np.isfinite(estimate)
    subjects = np.asarray(faces.subjects, str)
    out = np.full(len(estimate), np.nan)
    for i in np.flatnonzero(kept):
        rest = neutral & (subjects == subjects[i])
        rest[i] = False
        if rest.any():
            out[i] = estimate[i] - estimate[rest].mean()
    return out, kept & np.isfinite(out)


def _mean_distance(faces: FaceSet, readings: Readings) -> OfDraws | None:
    if readings.va is None:
        return None
    apart = np.linalg.norm(faces.va.astype(np.float64) - readings.va, axis=1)
    kept = np.isfinite(apart)
    if not kept.any():
        return None
    people, index = _people(_subjects(faces, kept))
    terms = np.stack([np.ones(int(kept.sum())), apart[kept]], axis=1)
    sums = _by_person(terms, index, len(people))

    def of(times: Float) -> Float:
        both = times @ sums
        return both[:, 1] / both[:, 0]

    return OfDraws(of, people, int(kept.sum()))


# ------------------------------------------------------------------------------ classes
def _of_classes(which: str) -> Callable[..., OfDraws | None]:
    def find(faces: FaceSet, readings: Readings) -> OfDraws | None:
        from synth.recognition.faces import CLASSES

        if readings.probabilities is None:
            return None
        named = np.array([i >= 0 and CLASSES[i] in readings.classes for i in faces.label], bool)
        kept = named & np.isfinite(readings.probabilities).all(1)
        if not kept.any():
            return None
        scores = readings.probabilities[kept]
        target = [CLASSES[i] for i in faces.label[kept]]
        people, index = _people(_subjects(faces, kept))
        if which.startswith("top_"):
            hit = target_ranks(target, scores, readings.classes) < int(which[4:])
            sums = _by_person(np.stack([np.ones(len(hit)), hit], axis=1), index, len(people))

            def share(times: Float) -> Float:
                both = times @ sums
                return both[:, 1] / both[:, 0]

            return OfDraws(share, people, len(hit))
        terms, side = cell_terms(target, [readings.classes[i] for i in scores.argmax(1)])
        cells = _by_person(terms, index, len(people))
        return OfDraws(
            lambda times: FROM_COUNTS[which]((times @ cells).reshape(-1, side, side)),
            people,
            len(target),
        )

    return find


# ------------------------------------------------------------------- smiling or neutral
def _smiles(faces: FaceSet, readings: Readings) -> tuple[Float, Bool, Bool] | None:
    """Read valence, which faces smile, which faces are smiling or neutral."""
    if readings.va is None:
        return None
    values = readings.va[:, 0].astype(np.float64)
    smiling, neutral = (_labelled(faces, word) for word in (HAPPINESS, NEUTRAL))
    return values, smiling, (smiling | neutral) & np.isfinite(values)


def _auc(faces: FaceSet, readings: Readings) -> OfDraws | None:
    """How often a smiling face reads higher than a neutral one, of anybody."""
    found = _smiles(faces, readings)
    if found is None or not (found[1] & found[2]).any() or (found[1] == found[2]).all():
        return None
    values, smiling, kept = found
    people, index = _people(_subjects(faces, kept))
    values, smiling = values[kept], smiling[kept]
    high, low = values[smiling][:, None], values[~smiling][None]
    pairs = np.zeros((len(people), len(people)))  # wins of each person over each
    counts = np.zeros_like(pairs)
    at = np.broadcast_arrays(index[smiling][:, None], index[~smiling][None])
    np.add.at(pairs, tuple(at), (high > low) + (high == low) / 2)
    np.add.at(counts, tuple(at), 1.0)

    def of(times: Float) -> Float:
        below = np.einsum("bp,pq,bq->b", times, counts, times, optimize=True)
        above = np.einsum("bp,pq,bq->b", times, pairs, times, optimize=True)
        return np.divide(above, below, out=np.full(len(times), np.nan), where=below > 0)

    return OfDraws(of, people, int(kept.sum()))


def _pair_accuracy(faces: FaceSet, readings: Readings) -> OfDraws | None:
    """Share of people whose smiling face reads higher than their neutral one."""
    found = _smiles(faces, readings)
    if found is None:
        return None
    values, smiling, kept = found
    subjects = np.asarray(faces.subjects, str)
    people, share, n = [], [], 0
    for person in sorted(set(subjects[kept].tolist()) - {""}):
        own = kept & (subjects == person)
        high, low = values[own & smiling][:, None], values[own & ~smiling][None]
        if high.size and low.size:
            people.append(person)
            share.append(float(((high > low) + (high == low) / 2).mean()))
            n += int(own.sum())
    if not people:
        return None
    right = np.array(share)
    return OfDraws(lambda times: (times @ right) / times.sum(1), tuple(people), n)


# -------------------------------------------------------------------------------- table
MEASURES: dict[str, Callable[..., OfDraws | None]] = {
    **{f"{axis}_{which}": _of_numbers(which, place)
       for place, axis in enumerate(AXES) for which in FROM_SUMS},
    **{f"{axis}_ccc_minus_neutral": _of_numbers("ccc", place, own=True)
       for place, axis in enumerate(AXES)},
    "mean_distance": _mean_distance,
    **{which: _of_classes(which) for which in FROM_COUNTS},
    "top_2": _of_classes("top_2"),
    "top_3": _of_classes("top_3"),
    "smile_auc": _auc,
    "pair_accuracy": _pair_accuracy,
}  # fmt: skip
#: Whether more is better, by measure.
BETTER = {name: not name.endswith(("mse", "rmse", "mae", "distance")) for name in MEASURES}
