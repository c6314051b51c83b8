"""Exact nearest points on a triangle mesh.

Triangles lie in the leaves of a balanced tree of boxes in Morton order; a query visits the
nearer box first and leaves out every box that is farther than what it has. The point nearest
on one triangle is that of Ericson, Real-Time Collision Detection, 2005, section 5.1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from synth.errors import MeshError

__all__ = ["Nearest", "Surface"]

Float = NDArray[np.float64]

#: Triangles of a leaf.
LEAF = 4


@dataclass(frozen=True, eq=False)
class Nearest:
    """Where on a surface some points are nearest to.

    Attributes
    ----------
    face : (n,) int32
    bary : (n, 3) float64
        Barycentric coordinates in that face, >= 0 with sum 1.
    point : (n, 3) float64
        The nearest point, in the surface's unit.
    distance : (n,) float64
        To it, >= 0.
    """

    face: NDArray[np.int32]
    bary: Float
    point: Float
    distance: Float


class Surface:
    """A triangle mesh prepared for nearest-point queries; made once, asked often.

    Parameters
    ----------
    vertices : (V, 3) float
    faces : (F, 3) int
        At least one; degenerate ones are points or segments.

    Raises
    ------
    MeshError
        If there is no face, or a vertex is not finite.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        v = np.ascontiguousarray(vertices, np.float64)
        f = np.ascontiguousarray(faces, np.int32)
        if v.ndim != 2 or v.shape[1] != 3 or f.ndim != 2 or f.shape[1] != 3 or not len(f):
            raise MeshError(
                f"surface: expected vertices (V, 3) and faces (F, 3), got {v.shape} and {f.shape}; "
                "pass a triangle mesh"
            )
        if not np.isfinite(v).all():
            raise MeshError("surface: expected finite vertices, got NaN or infinity; clean it")
        self.vertices, self.faces = v, f
        corners = v[f]
        self._order = _morton_order(corners.mean(1))
        self._corners = np.ascontiguousarray(corners[self._order])
        self._low, self._high = _boxes(self._corners)

    def nearest(self, points: ArrayLike) -> Nearest:
        """The point of the surface nearest to each of `points` (n, 3).

        Of equally near ones, always the same.

        Raises
        ------
        MeshError
            If `points` are not (n, 3) and finite.
        """
        p = np.ascontiguousarray(points, np.float64)
        if p.ndim != 2 or p.shape[1] != 3 or not np.isfinite(p).all():
            raise MeshError(f"points: expected finite (n, 3), got {p.shape}; leave NaN out")
        face = np.zeros(len(p), np.int64)
        bary = np.empty((len(p), 3))
        square = np.empty(len(p))
        _query(p, self._corners, self._low, self._high, face, bary, square)
        index = self._order[face]
        point = np.einsum("nc,ncd->nd", bary, self._corners[face])
        return Nearest(index.astype(np.int32), bary, point, np.sqrt(square))

    def at(self, face: NDArray[np.integer], bary: Float) -> Float:
        """(n, 3) the points with these faces and barycentric coordinates."""
        return np.asarray(np.einsum("nc,ncd->nd", bary, self.vertices[self.faces[face]]))


def _morton_order(centres: Float) -> NDArray[np.intp]:
    """Order of points along a Z-shaped curve through space."""
    low = centres.min(0)
    extent = float((centres.max(0) - low).max()) or 1.0
    cell = np.minimum((centres - low) * (1023.999 / extent), 1023).astype(np.uint64)
    code = np.zeros(len(centres), np.uint64)
    for axis in range(3):
        x = cell[:, axis]
        x = (x | (x << np.uint64(16))) & np.uint64(0x030000FF)
        x = (x | (x << np.uint64(8))) & np.uint64(0x0300F00F)
        x = (x | (x << np.uint64(4))) & np.uint64(0x030C30C3)
        x = (x | (x << np.uint64(2))) & np.uint64(0x09249249)
        code |= x << np.uint64(axis)
    return np.argsort(code, kind="stable")


def _boxes(corners: Float) -> tuple[Float, Float]:
    """Boxes (2L, 3) of a complete binary tree: node i has the children 2i and 2i + 1."""
    leaves = 1 << max(0, int(np.ceil(np.log2(-(-len(corners) // LEAF)))))
    low, high = np.full((2 * leaves, 3), np.inf), np.full((2 * leaves, 3), -np.inf)
    starts = np.arange(0, len(corners), LEAF)
    low[leaves : leaves + len(starts)] = np.minimum.reduceat(corners.min(1), starts)
    high[leaves : leaves + len(starts)] = np.maximum.reduceat(corners.max(1), starts)
    size = leaves
    while size > 1:
        size //= 2
        a, b = slice(2 * size, 4 * size, 2), slice(2 * size + 1, 4 * size, 2)
        low[size : 2 * size] = np.minimum(low[a], low[b])
        high[size : 2 * size] = np.maximum(high[a], high[b])
    return low, high


@njit(cache=True, nogil=True)
def _box_distance(p: Any, low: Any, high: Any) -> Any:
    total = 0.0
    for x in range(3):
        d = max(low[x] - p[x], p[x] - high[x])
        if d > 0.0:
            total += d * d
    return total


@njit(cache=True, nogil=True)
def _on_segment(p: Any, a: Any, b: Any) -> Any:
    """How far along from `a` to `b` the point nearest to `p` is, 0 to 1."""
    along = 0.0
    length = 0.0
    for x in range(3):
        e = b[x] - a[x]
        along += (p[x] - a[x]) * e
        length += e * e
    if length <= 0.0:
        return 0.0
    return min(1.0, max(0.0, along / length))


@njit(cache=True, nogil=True)
def _on_triangle(p: Any, a: Any, b: Any, c: Any) -> Any:
    """Barycentric coordinates of the point of a triangle nearest to `p`."""
    d1 = d2 = d3 = d4 = d5 = d6 = 0.0
    for x in range(3):
        ab, ac = b[x] - a[x], c[x] - a[x]
        d1 += ab * (p[x] - a[x])
        d2 += ac * (p[x] - a[x])
        d3 += ab * (p[x] - b[x])
        d4 += ac * (p[x] - b[x])
        d5 += ab * (p[x] - c[x])
        d6 += ac * (p[x] - c[x])
    if d1 <= 0.0 and d2 <= 0.0:
        return 1.0, 0.0, 0.0
    if d3 >= 0.0 and d4 <= d3:
        return 0.0, 1.0, 0.0
    if d6 >= 0.0 and d5 <= d6:
        return 0.0, 0.0, 1.0
    vc = d1 * d4 - d3 * d2
    if vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        t = _on_segment(p, a, b)
        return 1.0 - t, t, 0.0
    vb = d5 * d2 - d1 * d6
    if vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        t = _on_segment(p, a, c)
        return 1.0 - t, 0.0, t
    va = d3 * d6 - d5 * d4
    if va <= 0.0 and d4 - d3 >= 0.0 and d5 - d6 >= 0.0:
        t = _on_segment(p, b, c)
        return 0.0, 1.0 - t, t
    total = va + vb + vc
    return 1.0 - (vb + vc) / total, vb / total, vc / total


@njit(cache=True, nogil=True)
def _query(p: Any, corners: Any, low: Any, high: Any, face: Any, bary: Any, square: Any) -> None:
    leaves = low.shape[0] // 2
    stack = np.empty(64, np.int64)
    far = np.empty(64, np.float64)
    for n in range(p.shape[0]):
        best = np.inf
        stack[0], far[0] = 1, 0.0
        size = 1
        while size > 0:
            size -= 1
            node = stack[size]
            if far[size] >= best:
                continue
            while node < leaves:
                d0 = _box_distance(p[n], low[2 * node], high[2 * node])
                d1 = _box_distance(p[n], low[2 * node + 1], high[2 * node + 1])
                near, other, d = 2 * node, 2 * node + 1, d1
                if d1 < d0:
                    near, other, d = 2 * node + 1, 2 * node, d0
                if d < best:
                    stack[size], far[size] = other, d
                    size += 1
                node = near
            first = (node - leaves) * LEAF
            for t in range(first, min(first + LEAF, corners.shape[0])):
                u, v, w = _on_triangle(p[n], corners[t, 0], corners[t, 1], corners[t, 2])
                total = 0.0
                for x in range(3):
                    q = u * corners[t, 0, x] + v * corners[t, 1, x] + w * corners[t, 2, x]
                    total += (p[n, x] - q) ** 2
                if total < best:
                    best = total
                    face[n] = t
                    bary[n, 0], bary[n, 1], bary[n, 2] = u, v, w
        square[n] = best
