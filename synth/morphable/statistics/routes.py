"""The three ways of `synth.morphable.statistics.pca`: Gram, covariance, incremental.

All work on ``B``, the aligned meshes minus their mean as rows of 3V numbers, each times the
square root of its weight, and find the leading eigenvalues and eigenvectors of ``B.T @ B``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.meshes.collection import MeshCollection
from synth.morphable.statistics.procrustes import BLOCK, Alignment

__all__ = ["ROUTES", "Found", "Job"]

Float = NDArray[np.float64]

#: Share of the memory for one block of coordinates; some blocks exist at a time.
BLOCKS = 24


@dataclass(frozen=True, eq=False)
class Job:
    """What there is to do, and with how much memory."""

    meshes: MeshCollection
    alignment: Alignment
    weights: Float
    memory: int
    progress: Callable[[str, float], None]

    def columns(self, stage: str) -> Iterator[tuple[slice, Float]]:
        """Blocks (N, 3v) of `B` over vertices."""
        n, v = len(self.meshes), self.meshes.n_vertices
        width = max(1, self.memory // (BLOCKS * n * 24))
        root = np.sqrt(self.weights)[:, None]
        for start in range(0, v, width):
            part = slice(start, min(start + width, v))
            block = self.alignment.columns(self.meshes.columns(part), part)
            flat = block.reshape(n, -1)
            flat *= root
            yield slice(3 * part.start, 3 * part.stop), flat
            self.progress(stage, (part.stop - part.start) / v)

    def rows(self, stage: str, count: int | None = None) -> Iterator[tuple[slice, Float]]:
        """Blocks (n, 3V) of `B` over meshes."""
        count = count or max(1, min(BLOCK, self.memory // BLOCKS) // (self.meshes.n_vertices * 24))
        for place, vertices in self.meshes.blocks(count):
            flat = self.alignment.rows(vertices, place).reshape(len(vertices), -1)
            flat *= np.sqrt(self.weights[place])[:, None]
            yield place, flat
            self.progress(stage, len(vertices) / len(self.meshes))


@dataclass(frozen=True, eq=False)
class Found:
    """Eigenvalues (R,), their sum over all components, and what follows from the vectors.

    `coefficients` are (N, R) of the unweighted meshes, `squares` (N,) their squared norms;
    `directions` gives the first k unit vectors (k, 3V).
    """

    values: Float
    total: float
    coefficients: Float
    squares: Float
    directions: Callable[[int], Float]


def gram(job: Job) -> Found:
    """By the inner products between meshes; exact."""
    from scipy.linalg.blas import dsyrk

    n = len(job.meshes)
    matrix = np.zeros((n, n), order="F")
    for _, block in job.columns("inner products"):
        matrix = dsyrk(1.0, block.T, beta=1.0, c=matrix, trans=1, lower=1, overwrite_c=1)
    weighted = matrix.diagonal().copy()
    values, vectors = _eigen(matrix)
    del matrix
    job.progress("eigenvectors", 1.0)
    roots = np.sqrt(job.weights)[:, None]
    lengths = np.sqrt(np.maximum(values, 0))
    vectors *= lengths / roots  # from here on the coefficients: N x N is not held twice
    coefficients = np.ascontiguousarray(vectors)
    del vectors

    def directions(k: int) -> Float:
        first = coefficients[:, :k] * (roots / values[:k])
        out = np.empty((k, job.meshes.n_vertices * 3))
        for part, block in job.columns("modes"):
            out[:, part] = (block.T @ first).T
        return out

    squares = weighted / job.weights
    return Found(values, float(weighted.sum()), coefficients, squares, directions)


def covariance(job: Job) -> Found:
    """By the covariance of coordinates; exact."""
    from scipy.linalg.blas import dsyrk

    side = job.meshes.n_vertices * 3
    matrix = np.zeros((side, side), order="F")
    for _, block in job.rows("covariance"):
        matrix = dsyrk(1.0, block.T, beta=1.0, c=matrix, trans=0, lower=1, overwrite_c=1)
    total = float(matrix.trace())
    values, vectors = _eigen(matrix)
    del matrix
    job.progress("eigenvectors", 1.0)
    coefficients, squares = _coefficients(job, vectors)
    return Found(values, total, coefficients, squares, lambda k: vectors[:, :k].T.copy())


def incremental(job: Job) -> Found:
    """By updating the leading components block after block; what is cut off is lost."""
    side, n = job.meshes.n_vertices * 3, len(job.meshes)
    # Components, as many new meshes, both stacked, and the product that rotates them.
    room = max(8, job.memory // (8 * side * 6))
    keep = min(n, room)
    values, basis, total = np.zeros(0), np.zeros((0, side)), 0.0
    for _, block in job.rows("components", keep):
        total += float(np.einsum("nd,nd->", block, block))
        both = np.concatenate([np.sqrt(values)[:, None] * basis, block])
        squared, left = np.linalg.eigh(both @ both.T)
        # What double precision can tell from nothing after squaring.
        order = np.argsort(-squared)[:keep]
        order = order[squared[order] > 1e-14 * max(squared[-1], 1e-300)]
        values = squared[order]
        basis = (left[:, order].T @ both) / np.sqrt(values)[:, None]
    coefficients, squares = _coefficients(job, basis.T)
    return Found(values, total, coefficients, squares, lambda k: basis[:k].copy())


def _coefficients(job: Job, vectors: Float) -> tuple[Float, Float]:
    """(N, R) coefficients of the unweighted meshes, and their squared norms (N,)."""
    out, squares = np.empty((len(job.meshes), vectors.shape[1])), np.empty(len(job.meshes))
    for place, block in job.rows("coefficients"):
        root = np.sqrt(job.weights[place])
        out[place] = (block @ vectors) / root[:, None]
        squares[place] = np.einsum("nd,nd->n", block, block) / root**2
    return out, squares


def _eigen(matrix: Float) -> tuple[Float, Float]:
    """Eigenvalues, largest first, with their vectors; `matrix` (its lower half) is destroyed."""
    from scipy.linalg import eigh

    # `evr` needs no further N x N numbers to work with, unlike `evd`.
    values, vectors = eigh(matrix, lower=True, overwrite_a=True, check_finite=False, driver="evr")
    return values[::-1].copy(), vectors[:, ::-1]


#: Name -> the way there.
ROUTES: dict[str, Callable[[Job], Found]] = {
    "gram": gram,
    "covariance": covariance,
    "incremental": incremental,
}
