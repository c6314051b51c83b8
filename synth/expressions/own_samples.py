"""Frames of a gallery's own people as annotated samples: weights for person styles.

The split of the mean faces (`synth.expressions.own_gallery`) for single frames: ARKit's
weights, of two that never act together only the stronger, and what they leave in the
gallery's own blendshapes. Those span what mean faces have left; people of one class also
differ in other ways, for which more blendshapes are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.expressions.antagonists import exclusive
from synth.expressions.arkit import NAMES
from synth.expressions.own_gallery import Split, faded, least_weights, seen

__all__ = ["FrameSplit", "even_frames", "sample_arrays", "split_frames"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

#: Blendshapes are added until frames are met as well as mean faces have to be, or this share is
#: kept of what ARKit's leave of them (of the squared offsets); but never more than so many.
SHARE, MORE = 0.95, 32
#: Weights are stored in steps of 1/255.
TOLERANCE = 3e-4


@dataclass(frozen=True, eq=False)
class FrameSplit:
    """Frames in the weights of a gallery.

    Attributes
    ----------
    split : Split
        Of the mean faces, with the blendshapes that the frames need beside.
    weights : (n, 52 + P) float64
        ARKit's in steps of 1/255, 0 to 1; the own ones signed, -1 to 1 with a `bound`.
    added : int
        Blendshapes that mean faces alone would not have.
    arkit_kept, kept : float
        Share of the frames' squared offsets that ARKit's blendshapes and that all keep.
    size, rest : float
        Size of the frames' offsets and of what all leave of them, mm rms over measured vertices.
    """

    split: Split
    weights: Float
    added: int
    arkit_kept: float
    kept: float
    size: float
    rest: float


def even_frames(group: Int, subject: Int, most: int, seed: int) -> Int:
    """(n,) at most `most` frames of each group, as even over its subjects as there are frames.

    Parameters
    ----------
    group, subject : (N,) int64
        Of each frame; those of a group below 1 are left out.
    most : int
    seed : int
        Of the choice among the frames of one subject in one group.

    Returns
    -------
    array
        Ordered by group; within a group in no order that tells of the recordings.
    """
    mixed = np.random.default_rng([seed, len(group), 7]).permutation(len(group))
    mixed = mixed[group[mixed] > 0]
    pair = group[mixed] * (int(subject.max(initial=0)) + 1) + subject[mixed]
    turn = _turn(pair)
    by_turn = mixed[np.argsort(turn, kind="stable")]  # every subject's first frames first
    taken = by_turn[_turn(group[by_turn]) < most]
    return np.asarray(taken[np.argsort(group[taken], kind="stable")])


def _turn(key: Int) -> Int:
    """(n,) how many with the same key come before each."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    start = np.searchsorted(ordered, ordered)
    turn = np.empty(len(key), np.int64)
    turn[order] = np.arange(len(key)) - start
    return turn


def split_frames(
    split: Split,
    means: NDArray[Any],
    coefficients: NDArray[np.floating],
    basis: NDArray[Any],
    blendshapes: NDArray[Any],
    triangles: NDArray[np.integer],
    measured: Bool,
    bound: float | None = 0.1,
) -> FrameSplit:
    """Frames as weights of ARKit's and of own blendshapes, more of which are made.

    Parameters
    ----------
    split : Split
        Of the mean faces.
    means : (k, V, 3) float
        These, mm on the rig mesh.
    coefficients : (n, B) float
        The frames, in the basis.
    basis : (B, V, 3) float
        On the rig mesh, mm.
    blendshapes, triangles, measured
        As of `synth.expressions.own_gallery.split_faces`.
    bound : float or None
        Blendshapes are added until frames are met within this, mm rms over all of them; None
        leaves the split as it is.
    """
    known = np.flatnonzero(measured)
    shapes = seen(blendshapes, measured)
    own = split.own[:, known].reshape(len(split.own), 3 * len(known)).astype(np.float64)
    carried = np.asarray(basis, np.float64)[:, known].reshape(len(basis), -1)
    # all that is asked for lies in the span of a few hundred faces: work in coordinates there
    frame, parts = np.linalg.qr(np.concatenate([shapes, own, carried]).T)
    s, o, b = np.split(parts.T, [len(shapes), len(shapes) + len(own)])
    faces = np.asarray(coefficients, np.float64) @ b
    arkit = _frame_weights(faces, s)
    left = faces - arkit @ s
    weights = left @ o.T / np.maximum((o**2).sum(1), 1e-12)
    after = left - weights @ o
    points = np.sqrt(max(len(faces) * len(known), 1))
    allowed = max((1 - SHARE) * float((left**2).sum()), (bound * points) ** 2) if bound else np.inf
    number = _enough(after, allowed)
    more = np.linalg.eigh(after.T @ after)[1][:, ::-1][:, :number].T
    more = more * np.sign(np.take_along_axis(more, np.abs(more).argmax(1)[:, None], 1))
    scores = after @ more.T
    size = np.maximum(np.abs(scores).max(0, initial=0), 1e-12)
    after = after - scores @ more
    if number:
        split = _enlarged(split, means, more @ frame.T, size, triangles, measured, shapes, own)
    weights = np.concatenate([arkit, weights, scores / size], axis=1)
    if bound:
        split, weights = _rescaled(split, weights)
    energy = max(float((faces**2).sum()), 1e-30)
    return FrameSplit(
        split=split,
        weights=weights,
        added=number,
        arkit_kept=1 - float((left**2).sum()) / energy,
        kept=1 - float((after**2).sum()) / energy,
        size=float(np.linalg.norm(faces)) / points,
        rest=float(np.linalg.norm(after)) / points,
    )


def _frame_weights(faces: Float, shapes: Float) -> Float:
    """(n, 52) ARKit's weights of frames, in 255ths, none beside a stronger one it excludes.

    Styles are mixed from several frames, and there the stronger of two such acts suppresses
    the other; a frame that never has both is drawn as it is.
    """
    free = np.ones((len(faces), len(shapes)))
    first = least_weights(faces, shapes, free, TOLERANCE)
    strength = first * np.sqrt((shapes**2).sum(1))
    barred, rows = exclusive(), np.arange(len(faces))
    allowed = np.zeros(first.shape, np.bool_)
    for column in np.argsort(-strength, axis=1, kind="stable").T:  # the strongest first
        allowed[rows, column] = ~(allowed & barred[column]).any(1)
    # what would not act may: only beside those that do it must not
    acting = allowed & (first > 0)
    open_ = ~(acting @ barred) | acting
    found = least_weights(faces, shapes, free * open_, TOLERANCE)
    return np.asarray(np.round(found * 255) / 255)


def _enough(after: Float, allowed: float) -> int:
    """Fewest components of `after` that leave no more than `allowed` of its squares."""
    values = np.maximum(np.linalg.eigvalsh(after.T @ after)[::-1], 0)
    rest = np.append(np.cumsum(values[::-1])[::-1], 0.0)
    return min(MORE, int(np.argmax(rest <= allowed)))


def _rescaled(split: Split, weights: Float) -> tuple[Split, Float]:
    """Own blendshapes so large that no weight of frames exceeds 1: they are stored as float16."""
    factor = np.maximum(np.abs(weights).max(0, initial=0), 1.0)
    factor[: len(NAMES)] = 1.0
    own = (split.own * factor[len(NAMES) :, None, None]).astype(np.float32)
    return replace(split, weights=split.weights / factor, own=own), weights / factor


def _enlarged(
    split: Split,
    means: NDArray[Any],
    more: Float,
    size: Float,
    triangles: NDArray[np.integer],
    measured: Bool,
    shapes: Float,
    own: Float,
) -> Split:
    """The mean faces with `more` (M, D) orthonormal blendshapes, of which `size` is weight 1."""
    known = np.flatnonzero(measured)
    target = np.asarray(means, np.float64)[:, known].reshape(len(means), -1)
    after = target - split.weights @ np.concatenate([shapes, own])
    after[~target.any(1)] = 0.0
    scores = after @ more.T
    after -= scores @ more
    added = np.zeros((len(more), *split.own.shape[1:]))
    added[:, known] = (more * size[:, None]).reshape(len(more), len(known), 3)
    distance = np.linalg.norm(after.reshape(len(means), -1, 3), axis=-1)
    return replace(
        split,
        weights=np.concatenate([split.weights, scores / size], axis=1),
        own=np.concatenate([split.own, faded(added, triangles, measured).astype(np.float32)]),
        rest=np.linalg.norm(after, axis=1) / np.sqrt(len(known)),
        worst=float(distance.max(initial=0)),
    )


def sample_arrays(
    weights: Float,
    va: Float,
    label: Int,
    subject: Int,
    limit: NDArray[Any],
    expressions: Sequence[Float],
) -> dict[str, NDArray[Any]]:
    """The arrays of samples in a gallery file (see `synth.expressions.storage`).

    Parameters
    ----------
    weights : (n, 52 + P) float64
    va : (n, 2) float64
    label, subject : (n,) int64
    limit : (52 + P,) float
        Of mean faces.
    expressions : sequence of (m, 52 + P) float64
        Frames of each of the gallery's basic expressions.
    """
    largest = np.abs(np.concatenate([weights, *expressions])).max(0)
    arrays: dict[str, NDArray[Any]] = {
        "sample_weights": _bytes(weights),
        "sample_va": va.astype(np.float32),
        "sample_class": label.astype(np.int32),
        "sample_style": subject.astype(np.int32),
        "sample_mirror": np.array(0, np.uint8),
        "sample_limit": np.maximum(largest, limit).astype(np.float32),
    }
    own = weights.shape[1] > len(NAMES)
    if own:
        arrays["sample_own"] = weights[:, len(NAMES) :].astype(np.float16)
    if len(expressions):
        count = np.array([len(rows) for rows in expressions])
        padded = np.zeros((len(count), count.max(), weights.shape[1]))
        for i, rows in enumerate(expressions):
            padded[i, : count[i]] = rows
        arrays["expression_samples"] = _bytes(padded)
        arrays["expression_count"] = count.astype(np.int32)
        if own:
            arrays["expression_own"] = padded[..., len(NAMES) :].astype(np.float16)
    return arrays


def _bytes(weights: Float) -> NDArray[np.uint8]:
    return np.round(np.clip(weights[..., : len(NAMES)], 0, 1) * 255).astype(np.uint8)
