"""How well annotators of valence and arousal agree, and who or what stands out.

The figure of the paper is the mean inter-annotator correlation [1]_: of each annotator,
Pearson's correlation with each of the others, averaged (0.68 valence and 0.60 arousal, mean
over three annotators of 4DFAB). The paper does not say whether frames of all sequences
are taken together or sequences averaged, so both are given: ``pooled`` and ``within``.

References
----------
.. [1] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network Augmentation:
   Generating Faces for Affect Analysis", IJCV 2020, section 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.expressions.annotations import Ratings
from synth.metrics.agreement import ccc, pcc

__all__ = ["Agreement", "Spike", "agreement", "mean_label", "odd_ones", "spikes"]

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of A annotators; columns are valence and arousal.

    Attributes
    ----------
    annotators : tuple of str
    frames : (A,) int64
        Instants rated.
    sequences : (A,) int64
        Sequences shared with another annotator.
    pooled : (A, 2) float64
        Mean over the others of the correlation over all instants rated by both.
    concordance : (A, 2) float64
        The same with Lin's concordance, population form.
    within : (A, 2) float64
        Mean over sequences and others of the correlation within a sequence.
    undefined : (A, 2) int64
        Shared sequences in which no correlation exists, because a track is constant or
        has fewer than two instants in common.
    with_mean : (A, 2) float64
        Correlation with the mean of the others, over all instants.
    by_sequence : (S, A, 2) float64
        Correlation with the mean of the others within each sequence.
    closest : (S, A, 2) float64
        The highest correlation with any other within each sequence.
    """

    annotators: tuple[str, ...]
    frames: NDArray[np.int64]
    sequences: NDArray[np.int64]
    pooled: Float
    concordance: Float
    within: Float
    undefined: NDArray[np.int64]
    with_mean: Float
    by_sequence: Float
    closest: Float

    def overall(self, name: str) -> Float:
        """(2,) mean over annotators of one of the measures; NaN where nobody has it."""
        return _mean(getattr(self, name), 0)


@dataclass(frozen=True)
class Spike:
    """A stretch where one annotator is far from the others.

    Attributes
    ----------
    sequence, annotator, dimension : str
    first, last : int
        Frames.
    peak : int
        Frame of the largest deviation.
    value, middle : float
        The annotator's there, and the median of all.
    z : float
        Deviation in robust standard deviations of this annotator's.
    """

    sequence: str
    annotator: str
    dimension: str
    first: int
    last: int
    peak: int
    value: float
    middle: float
    z: float


def _mean(values: Float, axis: int | tuple[int, ...]) -> Float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing to average: NaN is meant
        return np.asarray(np.nanmean(values, axis))


def _full(ratings: Ratings, annotators: Sequence[str]) -> Float:
    """(A, T, 2) values in the order of `annotators`; NaN of who did not rate."""
    out = np.full((len(annotators), len(ratings.frames), 2), np.nan)
    for name, values in zip(ratings.annotators, ratings.values, strict=True):
        if name in annotators:
            out[list(annotators).index(name)] = values
    return out


def _pairwise(measure: Callable[[Float, Float], float], first: Float, second: Float) -> float:
    """A measure where both are known; NaN where undefined."""
    both = np.isfinite(first) & np.isfinite(second)
    return measure(first[both], second[both]) if both.sum() > 1 else float("nan")


def agreement(ratings: Sequence[Ratings], annotators: Sequence[str]) -> Agreement:
    """Agreement of annotators over sequences.

    Parameters
    ----------
    ratings : sequence of Ratings
        Sequences that count; neutral ones say nothing and belong left out.
    annotators : sequence of str
        Who counts.
    """
    blocks = [_full(part, annotators) for part in ratings]
    count = len(annotators)
    joined = np.concatenate(blocks, 1) if blocks else np.zeros((count, 0, 2))
    pairs = np.full((2, count, count, 2), np.nan)
    for i in range(count):
        for j in range(i):
            for d in range(2):
                for m, measure in enumerate((pcc, ccc)):
                    value = _pairwise(measure, joined[i, :, d], joined[j, :, d])
                    pairs[m, i, j, d] = pairs[m, j, i, d] = value
    per = np.full((len(blocks), count, count, 2), np.nan)
    for s, block in enumerate(blocks):
        for i in range(count):
            for j in range(i):
                for d in range(2):
                    value = _pairwise(pcc, block[i, :, d], block[j, :, d])
                    per[s, i, j, d] = per[s, j, i, d] = value
    seen = np.zeros((len(blocks), count), bool)
    for s, block in enumerate(blocks):
        seen[s] = np.isfinite(block[:, :, 0]).any(1)
    shared = seen & (seen.sum(1, keepdims=True) > 1)
    defined = np.isfinite(per).any(2)
    return Agreement(
        tuple(annotators),
        np.isfinite(joined).all(2).sum(1),
        shared.sum(0),
        _mean(pairs[0], 1),
        _mean(pairs[1], 1),
        _mean(per, (0, 2)) if len(blocks) else np.full((count, 2), np.nan),
        (shared[:, :, None] & ~defined).sum(0),
        _against_mean(joined),
        np.array([_against_mean(block) for block in blocks]).reshape(-1, count, 2),
        np.where(defined, np.where(np.isfinite(per), per, -np.inf).max(2, initial=-np.inf), np.nan),
    )


def _against_mean(values: Float) -> Float:
    """(A, 2) correlation of each with the mean of the others."""
    out = np.full((len(values), 2), np.nan)
    for i in range(len(values)):
        others = _mean(np.delete(values, i, 0), 0)
        for d in range(2):
            out[i, d] = _pairwise(pcc, values[i, :, d], others[:, d])
    return out


def _below(
    ratings: Sequence[Ratings], annotators: Sequence[str], lowest: float
) -> dict[str, float]:
    """Annotators whose correlation with the mean of the others is below `lowest`, with it."""
    if not ratings:
        return {}
    joined = np.concatenate([_full(part, annotators) for part in ratings], 1)
    low = np.fmin(*_against_mean(joined).T)
    return {
        name: float(value) for name, value in zip(annotators, low, strict=True) if value < lowest
    }


def odd_ones(
    ratings: Sequence[Ratings], annotators: Sequence[str], lowest: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Annotators who agree too little with the mean of the others.

    The lower of valence and arousal counts; who has no correlation at all is not among them.

    Returns
    -------
    gone : dict of str to float
        Who had better be left out, with the correlation. The worst is left out first and the
        others judged anew, since one who disagrees spoils the mean that the others are
        measured against. At least two stay.
    weak : dict of str to float
        Those who stay and yet are below.
    """
    kept = list(annotators)
    gone: dict[str, float] = {}
    while (weak := _below(ratings, kept, lowest)) and len(kept) > 2:
        worst = min(weak, key=weak.__getitem__)
        gone[worst] = weak[worst]
        kept.remove(worst)
    return gone, weak


def mean_label(
    ratings: Ratings, annotators: Sequence[str]
) -> tuple[Float, Float, NDArray[np.int64]]:
    """(T, 2) mean and (T, 2) standard deviation over annotators, (T,) how many they are.

    NaN where nobody said anything; the deviation (N - 1 form) where only one did.
    """
    values = _full(ratings, annotators)
    count = np.isfinite(values).all(2).sum(0)
    mean = _mean(values, 0)
    square = np.nansum((values - mean) ** 2, 0)
    spread = np.where(count[:, None] > 1, square / np.maximum(count - 1, 1)[:, None], np.nan)
    return mean, np.sqrt(spread), count


def spikes(ratings: Sequence[Ratings], annotators: Sequence[str], limit: float) -> list[Spike]:
    """Stretches where an annotator is more than `limit` robust deviations off the median.

    The deviation from the median of at least three is judged against its own spread over
    all sequences (1.4826 times the median absolute deviation), annotator by annotator.
    """
    blocks = [_full(part, annotators) for part in ratings]
    if len(annotators) < 3 or not blocks:
        return []
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middles = [np.nanmedian(block, 0) for block in blocks]
        off = [
            np.where(np.isfinite(b).sum(0) > 2, b - m, np.nan)
            for b, m in zip(blocks, middles, strict=True)
        ]
        joined = np.concatenate(off, 1)
        centre = np.nanmedian(joined, 1)
        # Who is the median himself deviates by 0: only the other instants show the spread.
        moved = np.where(np.abs(joined) > 1e-12, joined, np.nan)
        scale = 1.4826 * np.nanmedian(np.abs(moved - centre[:, None]), 1)
    for part, block, middle, away in zip(ratings, blocks, middles, off, strict=True):
        z = (away - centre[:, None]) / np.where(scale > 1e-9, scale, np.nan)[:, None]
        for a, name in enumerate(annotators):
            for d, dimension in enumerate(("valence", "arousal")):
                for first, last in _runs(np.abs(z[a, :, d]) > limit):
                    peak = first + int(np.abs(z[a, first : last + 1, d]).argmax())
                    found.append(
                        Spike(
                            part.sequence,
                            name,
                            dimension,
                            int(part.frames[first]),
                            int(part.frames[last]),
                            int(part.frames[peak]),
                            float(block[a, peak, d]),
                            float(middle[peak, d]),
                            float(z[a, peak, d]),
                        )
                    )
    return sorted(found, key=lambda spike: -abs(spike.z))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place of every run of true values."""
    edge = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edge.reshape(-1, 2)]
