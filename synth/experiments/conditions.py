"""Which faces a condition trains on, out of its sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.experiments.definition import Condition

if TYPE_CHECKING:
    from synth.recognition.faces import FaceSet

__all__ = ["training_faces", "validation_faces"]

Int = NDArray[np.int64]


def training_faces(
    name: str, condition: Condition, sets: Mapping[str, FaceSet], seed: int
) -> FaceSet:
    """The faces of a seed of a condition: all of its sets, or the shares it asks for.

    Raises
    ------
    UsageError
        If nothing is left, or a share of synthetic faces cannot be had.
    """
    from synth.recognition.faces import joined

    parts = []
    for number, key in enumerate(condition.train):
        faces = sets[key]
        share = condition.amounts.get(key, 1.0)
        if share < 1:
            rng = np.random.default_rng([seed, number])
            faces = faces.take(_share(faces.subjects, round(share * len(faces)), rng))
        parts.append(faces)
    whole = joined(*parts)
    if condition.synthetic_share is not None:
        whole = _mixed(name, whole, condition.synthetic_share, seed)
    if not len(whole):
        raise UsageError(f"{name}: expected faces to train on, got none; raise its amounts")
    return whole


def validation_faces(condition: Condition, sets: Mapping[str, FaceSet]) -> FaceSet:
    """The faces that choose among the weights of a run."""
    from synth.recognition.faces import joined

    return joined(*(sets[key] for key in condition.val))


def _share(subjects: tuple[str, ...], count: int, rng: np.random.Generator) -> Int:
    """`count` positions, evenly over people, in their order."""
    order = rng.permutation(len(subjects))
    turn: dict[str, int] = {}
    ranks = np.empty(len(subjects), np.int64)
    for i in order:
        ranks[i] = turn.get(subjects[i], 0)
        turn[subjects[i]] = int(ranks[i]) + 1
    # Everybody's first picture, then everybody's second; ties as drawn.
    place = np.empty(len(subjects), np.int64)
    place[order] = np.arange(len(subjects))
    return np.sort(np.lexsort((place, ranks))[:count])


def _mixed(name: str, faces: FaceSet, share: float, seed: int) -> FaceSet:
    """As many faces as there are with this share of synthetic ones."""
    synthetic = np.array([word == "synthetic" for word in faces.origin], bool)
    made, real = int(synthetic.sum()), int((~synthetic).sum())
    if not made or not real:
        raise UsageError(
            f"{name}: synthetic_share: expected synthetic and real faces, got {made} and {real}"
        )
    wanted = round(real * share / (1 - share))
    kept_made, kept_real = (wanted, real) if wanted <= made else (
        made, max(1, round(made * (1 - share) / share))
    )  # fmt: skip
    kept = np.zeros(len(faces), bool)
    for number, (kind, count) in enumerate(((synthetic, kept_made), (~synthetic, kept_real))):
        at = np.flatnonzero(kind)
        rng = np.random.default_rng([seed, number, 1])
        kept[at[_share(tuple(faces.subjects[i] for i in at), max(1, count), rng)]] = True
    return faces.take(kept)
