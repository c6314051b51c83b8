"""Generalised Procrustes alignment of meshes that need not fit in memory.

Every mesh is turned (and scaled, if wanted) onto the running mean until that no longer moves
[1]_. What a mesh needs for it is its centroid and its 3 x 3 cross-covariance with the mean
[2]_, both found as it streams by, and as its rotation is known right then, it goes into the
next mean in the same pass: one pass over the data is one iteration. Faces differ by far less
than their size, so that each iteration takes away all but some thousandths of what was
missing; three or four are enough.

References
----------
.. [1] Gower, "Generalized Procrustes Analysis", Psychometrika 40, 1975.
.. [2] Umeyama, "Least-squares estimation of transformation parameters between two point
   patterns", PAMI 13, 1991.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError
from synth.meshes.collection import MeshCollection
from synth.meshes.rigid import rotations

__all__ = ["Alignment", "align"]

Float = NDArray[np.float64]

#: The mean moves by less than this share of its size in the last pass.
TOLERANCE = 1e-8
#: Passes after which the alignment is taken for not converging.
MOST = 30
#: Bytes of the meshes that are worked on at a time.
BLOCK = 64 << 20


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where every mesh goes: ``scales[i] * (mesh - centres[i]) @ rotations[i]``.

    Attributes
    ----------
    rotations : (N, 3, 3) float64
        Proper rotations, applied from the right.
    scales : (N,) float64
        All 1 in a rigid alignment.
    centres : (N, 3) float64
        Centroids of the meshes.
    mean : (V, 3) float64
        Exactly the weighted mean of the aligned meshes, centroid 0.
    distances : (N,) float64
        Root mean square over vertices of the distance of a mesh to the mean.
    passes : int
        Times that all meshes were read.
    change : float
        How far the mean moved in the last pass, as a share of its size.
    """

    rotations: Float
    scales: Float
    centres: Float
    mean: Float
    distances: Float
    passes: int
    change: float

    def rows(self, vertices: NDArray[np.float32], place: slice) -> Float:
        """(n, V, 3) aligned meshes minus the mean, of some meshes."""
        moved = vertices.astype(np.float64)
        moved -= self.centres[place, None]
        moved = moved @ (self.rotations[place] * self.scales[place, None, None])
        return np.asarray(moved - self.mean)

    def columns(self, vertices: NDArray[np.float32], part: slice) -> Float:
        """(N, v, 3) aligned meshes minus the mean, of some vertices of all meshes."""
        moved = vertices.astype(np.float64)
        moved -= self.centres[:, None]
        moved = np.matmul(moved, self.rotations * self.scales[:, None, None])
        moved -= self.mean[part]
        return moved


def align(
    meshes: MeshCollection,
    weights: Float,
    *,
    scale: bool = False,
    tolerance: float = TOLERANCE,
    block: int = BLOCK,
    progress: Callable[[int], None] | None = None,
) -> Alignment:
    """Generalised Procrustes alignment; the first mesh says which way is up.

    Parameters
    ----------
    meshes : MeshCollection
        N meshes in correspondence.
    weights : (N,) float
        Of sum 1, for the mean.
    scale : bool
        Also bring the meshes to one size. The sum of squares of all meshes together stays what
        it was [1]_, so that the mean keeps the mean size of the meshes, in their unit; but the
        model then no longer knows that heads differ in size.
    tolerance : float
        Of the movement of the mean, as a share of its size.
    block : int
        Bytes of double precision worked on at a time; the result depends on it only by
        rounding.
    progress : callable
        Called with the number of meshes just read.

    Raises
    ------
    MeshError
        If all vertices of a mesh are one point, or the mean does not come to rest.
    """
    count = max(1, block // (meshes.n_vertices * 24))
    mean = meshes.read(0)[0].astype(np.float64)
    mean -= mean.mean(0)
    for passes in range(1, MOST + 1):
        found = _pass(meshes, weights, mean, scale, count, passes, progress)
        change = found.change
        if change <= tolerance:
            return found
        mean = found.mean
    raise MeshError(
        f"{meshes.source}: expected meshes that can be aligned, got a mean that still moves by "
        f"{change:.1e} of its size after {MOST} passes; these are not meshes in correspondence"
    )


def _pass(
    meshes: MeshCollection,
    weights: Float,
    mean: Float,
    scale: bool,
    count: int,
    passes: int,
    progress: Callable[[int], None] | None,
) -> Alignment:
    """Align all meshes to `mean`, and the mean of what came of it."""
    n = len(meshes)
    turned, scales, centres = np.empty((n, 3, 3)), np.ones(n), np.empty((n, 3))
    squares, inner = np.empty(n), np.empty(n)
    total = np.zeros_like(mean)
    for place, vertices in meshes.blocks(count):
        moved = vertices.astype(np.float64)
        centres[place] = moved.mean(1)
        moved -= centres[place, None]
        cross = np.matmul(moved.transpose(0, 2, 1), mean)
        turned[place] = rotations(cross)
        squares[place] = np.einsum("nvx,nvx->n", moved, moved)
        inner[place] = np.einsum("nxy,nxy->n", cross, turned[place])
        if not (squares[place] > 0).all():
            name = meshes.names[place.start + int(np.argmin(squares[place]))]
            raise MeshError(f"{meshes.source}: expected a face, got one point in {name!r}")
        if scale:
            scales[place] = inner[place] / squares[place]
        moved = np.matmul(moved, turned[place])
        total += np.tensordot(weights[place] * scales[place], moved, 1)
        if progress is not None:
            progress(len(vertices))
    if scale:  # all meshes together keep their size, or they would shrink from pass to pass
        common = np.sqrt((weights @ squares) / (weights @ (scales**2 * squares)))
        scales *= common
        total *= common
    change = float(np.linalg.norm(total - mean) / np.linalg.norm(total))
    # Squared distances to the old mean, which in the last pass is the new one but for `change`.
    gaps = scales**2 * squares - 2 * scales * inner + (mean**2).sum()
    distances = np.sqrt(np.maximum(gaps, 0) / len(mean))
    return Alignment(turned, scales, centres, total, distances, passes, change)
