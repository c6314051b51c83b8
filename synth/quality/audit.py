"""Leakage audit: is one face in two splits, or under two names?

A set is split by subject; that keeps people apart only as far as the subjects
are right. Embeddings of the source photos tell where they may not be. The audit
proposes pairs for a person to look at: it does not move or remove anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, UsageError

__all__ = ["THRESHOLD", "Pair", "audit"]

#: Distance below which two faces are taken for one person's. Studio photos of one
#: person, neutral and smiling, measured 0.10 to 0.33, those of two people from 0.52.
THRESHOLD = 0.5
#: Rows compared at a time.
ROWS = 512


@dataclass(frozen=True)
class Pair:
    """Two photos that may show one person, though the set says otherwise.

    Attributes
    ----------
    first, second : int
        Rows of the photos, first < second.
    distance : float
        Of their embeddings.
    reason : {"split", "subject"}
        ``split``: they lie in two splits; ``subject``: in one split, under two names.
    """

    first: int
    second: int
    distance: float
    reason: str


def audit(
    embeddings: ArrayLike,
    subjects: Sequence[str],
    splits: Sequence[str],
    threshold: float = THRESHOLD,
) -> list[Pair]:
    """Pairs of photos that look like one person but are not kept as one.

    Parameters
    ----------
    embeddings : (N, D) float
        One face each, from `synth.quality.embedder.Embedder`.
    subjects : sequence of N str
        Who the photo is said to show; "" for unknown, which is like no other.
    splits : sequence of N str
    threshold : float
        Distance below which faces are taken for one person's.

    Returns
    -------
    list of Pair
        Those in two splits first, whatever their subjects; then those of two
        subjects in one split. Nearest first.

    Raises
    ------
    ShapeError
        If the lengths differ or an embedding is not finite.
    UsageError
        If the threshold is not above 0.
    """
    points = np.asarray(embeddings, np.float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise ShapeError(f"embeddings: expected (N, D) finite numbers, got {points.shape}")
    if not len(points) == len(subjects) == len(splits):
        raise ShapeError(
            "subjects, splits: expected one per embedding, got "
            f"{len(subjects)} and {len(splits)} for {len(points)}"
        )
    if not threshold > 0:
        raise UsageError(f"threshold: expected a distance above 0, got {threshold!r}")
    who = _codes([name or f"\0{row}" for row, name in enumerate(subjects)])
    where = _codes(splits)
    found = []
    for start in range(0, len(points), ROWS):
        block = np.s_[start : start + ROWS]
        split = where[block, None] != where
        near = _distances(points[block], points) < threshold
        near &= split | (who[block, None] != who)
        for row, column in zip(*np.nonzero(near), strict=True):
            if start + row < column:
                exact = float(np.linalg.norm(points[start + row] - points[column]))
                reason = "split" if split[row, column] else "subject"
                found.append(Pair(start + int(row), int(column), exact, reason))
    return sorted(found, key=lambda pair: (pair.reason != "split", pair.distance, pair.first))


def _codes(names: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the same number for the same name."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)


def _distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) Euclidean distances of rows."""
    square = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))
