"""Distances along a surface, by the heat method.

Heat that spreads for a short time flows along shortest paths: its normalised gradient is
the gradient of the distance, which is then recovered by a Poisson equation [1]_. Both systems
are factorised once, so that distances from many vertices cost two back-substitutions each.

References
----------
.. [1] Crane, Weischedel & Wardetzky, "Geodesics in Heat: A New Approach to Computing
   Distance Based on Heat Flow", ACM Trans. Graphics 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import MeshError

__all__ = ["Geodesics", "cotangent_laplacian"]

Float = NDArray[np.float64]
Faces = NDArray[np.integer]

#: Sources whose gradients are held at a time.
BLOCK = 16
#: Cotangents beyond this are those of slivers, which would spoil the systems.
STEEPEST = 1e4


def cotangent_laplacian(vertices: Float, faces: Faces) -> tuple[Any, Float]:
    """Positive semi-definite cotangent Laplacian (V, V), sparse, and vertex areas (V,).

    The area of a vertex is a third of the triangles around it.
    """
    from scipy.sparse import csc_matrix, diags

    count = len(vertices)
    rows, columns, values = [], [], []
    for corner in range(3):
        o, a, b = (faces[:, (corner + k) % 3] for k in range(3))
        u, v = vertices[a] - vertices[o], vertices[b] - vertices[o]
        twice = np.linalg.norm(np.cross(u, v), axis=1)
        cot = np.einsum("fd,fd->f", u, v) / np.maximum(twice, 1e-300)
        half = 0.5 * np.clip(cot, -STEEPEST, STEEPEST)
        rows += [a, b]
        columns += [b, a]
        values += [half, half]
    shape = (count, count)
    joined = (np.concatenate(rows), np.concatenate(columns))
    edges = csc_matrix((np.concatenate(values), joined), shape)
    laplacian = diags(np.asarray(edges.sum(1)).ravel()) - edges
    area = 0.5 * np.linalg.norm(_doubled_normals(vertices, faces), axis=1)
    areas = np.bincount(faces.ravel(), np.repeat(area / 3, 3), count)
    return laplacian.tocsc(), areas.astype(np.float64)


def _doubled_normals(vertices: Float, faces: Faces) -> Float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.asarray(np.cross(b - a, c - a))


class Geodesics:
    """Distances along a mesh, prepared for many sources.

    Parameters
    ----------
    vertices : (V, 3) float
    faces : (F, 3) int
    time : float
        How long heat spreads, in squared mean edge lengths: 1 as the authors advise; more
        smooths the distances, less roughens them.

    Raises
    ------
    MeshError
        If there are no triangles.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike, time: float = 1.0) -> None:
        from scipy.sparse import csr_matrix, diags
        from scipy.sparse.csgraph import connected_components
        from scipy.sparse.linalg import splu

        self.vertices = np.asarray(vertices, np.float64)
        self.faces = np.asarray(faces, np.int64)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or not len(self.faces):
            raise MeshError(f"faces: expected triangles (F, 3), got {self.faces.shape}")
        count = len(self.vertices)
        laplacian, areas = cotangent_laplacian(self.vertices, self.faces)
        edges = np.concatenate([self.faces[:, [k, (k + 1) % 3]] for k in range(3)])
        length = np.linalg.norm(self.vertices[edges[:, 0]] - self.vertices[edges[:, 1]], axis=1)
        step = float(length.mean()) ** 2 * time
        # Vertices without triangles and slivers keep the systems solvable by an area of their own.
        floor = max(float(areas.mean()), 1e-300) * 1e-9
        mass = diags(np.maximum(areas, floor))
        self._heat = splu((mass + step * laplacian).tocsc())
        self._poisson = splu((laplacian + (1e-9 / max(step, 1e-300)) * mass).tocsc())
        graph = csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
        self.pieces: NDArray[np.integer] = connected_components(graph, directed=False)[1]
        normals = _doubled_normals(self.vertices, self.faces)
        self._twice = np.maximum(np.linalg.norm(normals, axis=1), 1e-300)
        normals = normals / self._twice[:, None]
        # The gradient of the corner's hat function times twice the triangle's area.
        self._turned = [
            np.cross(
                normals,
                self.vertices[self.faces[:, (k + 2) % 3]]
                - self.vertices[self.faces[:, (k + 1) % 3]],
            )
            for k in range(3)
        ]

    def distances(self, sources: Sequence[int] | NDArray[np.integer]) -> Float:
        """(n, V) distance of every vertex from each source.

        In the unit of the vertices; infinite on pieces of the mesh that do not hang together
        with the source.
        """
        places = np.atleast_1d(np.asarray(sources, np.int64))
        found = np.empty((len(places), len(self.vertices)))
        for start in range(0, len(places), BLOCK):
            part = slice(start, start + BLOCK)
            found[part] = self._some(places[part])
        return found

    def _some(self, sources: NDArray[np.int64]) -> Float:
        impulse = np.zeros((len(self.vertices), len(sources)))
        impulse[sources, np.arange(len(sources))] = 1.0
        heat = self._heat.solve(impulse).T
        corners = heat[:, self.faces]
        # Far from the source heat underflows: only its direction counts.
        corners = corners / np.maximum(np.abs(corners).max(2, keepdims=True), 1e-300)
        slope = sum(corners[:, :, k, None] * self._turned[k] for k in range(3))
        slope = -slope / np.maximum(np.linalg.norm(slope, axis=2, keepdims=True), 1e-300)
        flow = np.zeros_like(heat)
        for k in range(3):
            out = 0.5 * np.einsum("nfd,fd->nf", slope, self._turned[k])
            for i, row in enumerate(out):
                flow[i] += np.bincount(self.faces[:, k], row, flow.shape[1])
        found = self._poisson.solve(flow.T).T
        found = found - found[np.arange(len(sources)), sources][:, None]
        found[self.pieces[None] != self.pieces[sources][:, None]] = np.inf
        return np.maximum(found, 0.0)
