"""Harmonic functions on pixel masks: each value the mean of its four neighbours.

The equations behind Poisson blending and everything else that is carried
smoothly into a region: Laplace's equation on masked pixels, with known pixels
as Dirichlet values and the border of the image, or of the domain, as walls
(Neumann: no neighbour, no equation).

`graded_nodes` gives the nodes on which a harmonic function can be solved for at
a fraction of the cost: every pixel at the border of the mask, every 2nd, 4th, ...
further in, bilinear in between (after [1]_, without a tree).

References
----------
.. [1] Agarwala, "Efficient Gradient-Domain Compositing Using Quadtrees", SIGGRAPH 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as label_components
from scipy.sparse.linalg import splu

from synth.errors import ShapeError

__all__ = [
    "HarmonicExtension",
    "anchored",
    "as_mask",
    "factorise",
    "graded_nodes",
    "harmonic_extension",
    "laplace",
]

Mask = NDArray[np.bool_]

#: Pixels `GRADE` s or more from the border of the mask are interpolated from nodes s apart.
#: 2 is a quarter faster with twice the error.
GRADE = 3.0

#: Spacings of the node lattices, finest first.
SPACINGS = (2, 4, 8, 16, 32)


def as_mask(mask: ArrayLike, name: str = "mask") -> Mask:
    """`mask`, checked to be (H, W) bool."""
    array = np.asarray(mask)
    if array.ndim != 2 or array.dtype != np.bool_:
        raise ShapeError(
            f"{name}: expected (H, W) bool, got {array.shape} {array.dtype}; compare it"
        )
    return array


def _around(mask: Mask) -> tuple[slice, slice]:
    """The box of `mask` and one pixel more; a face is a small part of a large photo."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return np.s_[:0, :0]
    return np.s_[max(rows[0] - 1, 0) : rows[-1] + 2, max(columns[0] - 1, 0) : columns[-1] + 2]


def _pairs(grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M, 2) all 4-neighbours of the numbers on a grid, each pair once."""
    across = np.stack([grid[:, :-1].ravel(), grid[:, 1:].ravel()], -1)
    down = np.stack([grid[:-1].ravel(), grid[1:].ravel()], -1)
    return np.concatenate([across, down])


def anchored(unknown: Mask, known: Mask) -> Mask:
    """Those `unknown` pixels whose 4-connected part touches a `known` one."""
    parts, count = label_components(unknown)
    touches = np.zeros(count + 1, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
        touches[parts[here][known[there]]] = True
        touches[parts[:, here][known[:, there]]] = True
    touches[0] = False
    return touches[parts]


def laplace(unknown: Mask, known: Mask) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """``A`` (n, n) and ``B`` (n, H W) with ``A u = B k`` for the harmonic u between known k.

    Pixels that are neither unknown nor known are walls: no equation crosses them.
    """
    inside, given = unknown.ravel(), known.ravel()
    index = np.cumsum(inside) - 1
    n = int(inside.sum())
    grid = np.arange(inside.size).reshape(unknown.shape)
    pairs = _pairs(grid[_around(unknown)])
    p, q = np.concatenate([pairs, pairs[:, ::-1]]).T
    inner, outer = inside[p] & inside[q], inside[p] & given[q]
    ones = np.ones(int(inner.sum()))
    links = sparse.csr_matrix((ones, (index[p[inner]], index[q[inner]])), shape=(n, n))
    ones = np.ones(int(outer.sum()))
    border = sparse.csr_matrix((ones, (index[p[outer]], q[outer])), shape=(n, inside.size))
    degree = np.asarray(links.sum(1) + border.sum(1)).ravel()
    return sparse.csr_matrix(sparse.diags(degree) - links), border


def factorise(matrix: sparse.spmatrix) -> Any:
    """Sparse LU of a symmetric positive definite matrix, without pivoting."""
    return splu(
        sparse.csc_matrix(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


class HarmonicExtension:
    """Harmonic extension on a fixed mask, factorised once, in float64.

    Parameters
    ----------
    known : (H, W) bool
        Where values are given.
    domain : (H, W) bool, optional
        Where there is anything at all; the rest, and the border of the image, are
        walls (Neumann). Default: everywhere.
    """

    def __init__(self, known: ArrayLike, domain: ArrayLike | None = None) -> None:
        given = as_mask(known, "known")
        inside = np.ones_like(given) if domain is None else as_mask(domain, "domain")
        if inside.shape != given.shape:
            raise ShapeError(f"domain: expected {given.shape} like known, got {inside.shape}")
        self.shape = given.shape
        given = given & inside
        unknown = anchored(inside & ~given, given)
        #: Pixels that are solved for, flat.
        self.pixels = np.flatnonzero(unknown)
        matrix, self._border = laplace(unknown, given)
        self._lu = factorise(matrix) if self.pixels.size else None

    def extend(self, values: ArrayLike) -> NDArray[np.float64]:
        """`values` with the unknown pixels replaced by the mean of their neighbours, everywhere.

        Parameters
        ----------
        values : (H, W) or (H, W, C) float
            Read at the known pixels. Unknown pixels that no known one reaches,
            and those outside the domain, are returned as they are.

        Returns
        -------
        float64, shape of `values`
        """
        out = np.array(values, np.float64)
        if out.shape[:2] != self.shape or out.ndim > 3:
            raise ShapeError(f"values: expected {self.shape} and channels, got {out.shape}")
        flat = out.reshape(self.shape[0] * self.shape[1], -1)
        if self._lu is not None:
            flat[self.pixels] = self._lu.solve(self._border @ flat)
        return out


def harmonic_extension(
    values: ArrayLike, known: ArrayLike, domain: ArrayLike | None = None
) -> NDArray[np.float64]:
    """`values` extended harmonically from `known` over `domain`; see `HarmonicExtension`."""
    return HarmonicExtension(known, domain).extend(values)


def graded_nodes(unknown: Mask, pixels: NDArray[np.int64]) -> sparse.csr_matrix:
    """(n, m) bilinear interpolation from the graded nodes to the n unknown pixels."""
    distance = np.zeros(unknown.shape, np.float32)
    distance[_around(unknown)] = distance_transform_edt(unknown[_around(unknown)])
    height, width = unknown.shape
    total = sparse.identity(pixels.size, format="csr")
    nodes = pixels
    for step in SPACINGS:
        y, x = np.divmod(nodes, width)
        half = step // 2
        candidate = ((y % half) == 0) & ((x % half) == 0) & (((y % step) + (x % step)) > 0)
        candidate &= distance[y, x] >= GRADE * step
        y0, x0 = y - y % step, x - x % step
        y1, x1 = y0 + step * (y % step > 0), x0 + step * (x % step > 0)
        candidate &= (y1 < height) & (x1 < width)
        c = np.flatnonzero(candidate)
        corners = [(yy[c], xx[c]) for yy in (y0, y1) for xx in (x0, x1)]
        whole = np.logical_and.reduce([unknown[k] for k in corners])
        gone = c[whole]
        if not gone.size:
            break
        keep = np.ones(nodes.size, bool)
        keep[gone] = False
        number = np.full(height * width, -1)
        number[nodes[keep]] = np.arange(int(keep.sum()))
        rows = [np.flatnonzero(keep), *([gone] * 4)]
        columns = [np.arange(rows[0].size)]
        columns += [number[yy[whole] * width + xx[whole]] for yy, xx in corners]
        weights = [np.ones(rows[0].size), *([np.full(gone.size, 0.25)] * 4)]
        entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
        total = total @ sparse.csr_matrix(entries, shape=(nodes.size, rows[0].size))
        nodes = nodes[keep]
    total.sum_duplicates()
    return total
