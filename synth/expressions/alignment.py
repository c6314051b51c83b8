"""Where a face moves and where its head does: rigid alignment on what expressions leave still.

Registered scans carry the motion of the head. It is taken out by the rotation and shift
that bring a frame best onto the subject's neutral face [1]_, each vertex weighted by how
still it is: weights are found from the frames themselves, by turns with the alignment.

References
----------
.. [1] Kabsch, "A solution for the best rotation to relate two sets of vectors", Acta
   Crystallographica A 1976.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.meshes.rigid import rotations

__all__ = ["aligned", "stillness"]

#: Motion (mm) that is noise: vertices that move less are equally still.
STILL = 0.3
ROUNDS = 4

Array = NDArray[Any]


def aligned(frames: Array, targets: Array, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Every frame turned and shifted onto its target.

    Parameters
    ----------
    frames : (n, V, 3) float
    targets : (n, V, 3) or (V, 3) float
        In mm; sizes are kept, nothing is scaled.
    weights : (V,) float64
        How much a vertex counts; any positive sum.

    Returns
    -------
    (n, V, 3) float32
    """
    w = (weights / weights.sum()).astype(np.float32)
    target = np.broadcast_to(targets, frames.shape)
    # about a point within the face: float32 keeps micrometres there
    from_middle = np.einsum("v,nvc->nc", w, frames, optimize=True)
    to_middle = np.einsum("v,nvc->nc", w, target, optimize=True)
    centred = frames - from_middle[:, None]
    cross = np.matmul((centred * w[:, None]).transpose(0, 2, 1), target - to_middle[:, None])
    rotation = rotations(cross.astype(np.float64))  # row vectors: x @ rotation
    out = np.matmul(centred, rotation.astype(np.float32))
    out += to_middle[:, None].astype(np.float32)
    return np.asarray(out, np.float32)


def stillness(frames: Array, targets: Array) -> NDArray[np.float64]:
    """(V,) weight of every vertex in the alignment: high where expressions move nothing.

    Parameters
    ----------
    frames, targets : (n, V, 3) float
        Frames of all sorts of expressions, and the neutral face of each one's subject, mm.
    """
    weights = np.ones(frames.shape[1])
    for _ in range(ROUNDS):
        motion = aligned(frames, targets, weights) - targets
        square = np.einsum("nvc,nvc->v", motion, motion, optimize=True) / len(frames)
        weights = 1 / (square + STILL**2)
    return np.asarray(weights / weights.mean(), np.float64)
