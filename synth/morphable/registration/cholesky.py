"""Sparse Cholesky of 3 x 3 blocks, for matrices that share one pattern.

Every system of a template has the same pattern, so the order of elimination and the pattern of
the factor are found once; what remains for each matrix is a loop over blocks. Column by column,
up-looking: Davis, Direct Methods for Sparse Linear Systems, 2006, chapter 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["BlockCholesky"]

Float = NDArray[np.float64]


class BlockCholesky:
    """Solves ``(S (x) I + blockdiag(D)) x = b`` for one pattern of S, symmetric, V x V.

    Parameters
    ----------
    pattern : sparse (V, V)
        Symmetric; its nonzeros, and the diagonal, are where S may have some.
    """

    def __init__(self, pattern: Any) -> None:
        import scipy.sparse as sp
        from scipy.sparse.linalg import splu

        n = pattern.shape[0]
        full = (abs(pattern) + sp.eye(n)).tocsc()
        heavy = full + sp.diags(np.asarray(full.sum(1)).ravel())  # positive definite for sure
        options = {"SymmetricMode": True}
        factors = splu(
            heavy.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options
        )
        # Column j of the matrix becomes column perm_c[j].
        self._order = np.argsort(factors.perm_c).astype(np.int64)
        upper = sp.triu(full[self._order][:, self._order]).tocsc()
        upper.sort_indices()
        self._indptr = upper.indptr.astype(np.int64)
        self._indices = upper.indices.astype(np.int64)
        self._parent = _tree(self._indptr, self._indices)
        counts = _counts(self._indptr, self._indices, self._parent)
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def factor(self, scalar: Any, blocks: Float) -> Factors:
        """Of one matrix.

        Parameters
        ----------
        scalar : sparse (V, V)
            S; nonzeros outside the pattern are left out.
        blocks : (V, 3, 3) float64
            D, symmetric.
        """
        import scipy.sparse as sp

        ordered = sp.triu(scalar.tocsc()[self._order][:, self._order]).tocsc()
        ordered.sort_indices()
        n = len(self._order)
        rows = np.empty(self._starts[-1], np.int64)
        values = np.empty((self._starts[-1], 3, 3))
        good = _factor(
            ordered.indptr.astype(np.int64),
            ordered.indices.astype(np.int64),
            ordered.data,
            np.ascontiguousarray(blocks[self._order]),
            self._parent,
            self._starts,
            rows,
            values,
        )
        if not good:
            raise np.linalg.LinAlgError(f"expected a positive definite matrix of {n} blocks")
        return Factors(self._order, self._starts, rows, values)


class Factors:
    """A factorised matrix."""

    def __init__(
        self, order: NDArray[np.int64], starts: NDArray[np.int64], rows: Any, values: Float
    ) -> None:
        self._order, self._starts, self._rows, self._values = order, starts, rows, values

    def solve(self, right: Float) -> Float:
        """(V, 3) solution for a right side (V, 3)."""
        x = np.ascontiguousarray(right[self._order])
        _substitute(self._starts, self._rows, self._values, x)
        out = np.empty_like(x)
        out[self._order] = x
        return out


@njit(cache=True, nogil=True)
def _tree(indptr: Any, indices: Any) -> Any:
    """Elimination tree of a symmetric matrix, given its upper triangle."""
    n = indptr.shape[0] - 1
    parent = np.full(n, -1, np.int64)
    ancestor = np.full(n, -1, np.int64)
    for k in range(n):
        for p in range(indptr[k], indptr[k + 1]):
            i = indices[p]
            while i != -1 and i < k:
                above = ancestor[i]
                ancestor[i] = k
                if above == -1:
                    parent[i] = k
                i = above
    return parent


@njit(cache=True, nogil=True)
def _reach(k: Any, indptr: Any, indices: Any, parent: Any, mark: Any, stack: Any) -> Any:
    """The nonzeros of row k of the factor in topological order: ``stack[top:]``."""
    n = parent.shape[0]
    top = n
    mark[k] = k
    for p in range(indptr[k], indptr[k + 1]):
        i = indices[p]
        length = 0
        while i < k and mark[i] != k:
            stack[length] = i
            length += 1
            mark[i] = k
            i = parent[i]
        while length > 0:
            length -= 1
            top -= 1
            stack[top] = stack[length]
    return top


@njit(cache=True, nogil=True)
def _counts(indptr: Any, indices: Any, parent: Any) -> Any:
    """Blocks of each column of the factor."""
    n = parent.shape[0]
    count = np.ones(n, np.int64)
    mark, stack = np.full(n, -1, np.int64), np.empty(n, np.int64)
    for k in range(n):
        for t in range(_reach(k, indptr, indices, parent, mark, stack), n):
            count[stack[t]] += 1
    return count


@njit(cache=True, nogil=True)
def _factor(
    indptr: Any,
    indices: Any,
    data: Any,
    blocks: Any,
    parent: Any,
    starts: Any,
    rows: Any,
    values: Any,
) -> bool:
    n = parent.shape[0]
    mark, stack = np.full(n, -1, np.int64), np.empty(n, np.int64)
    end = starts[:n].copy()
    x = np.zeros((n, 3, 3))
    y = np.empty((3, 3))
    for k in range(n):
        top = _reach(k, indptr, indices, parent, mark, stack)
        d = blocks[k].copy()
        for p in range(indptr[k], indptr[k + 1]):
            i = indices[p]
            if i == k:
                for a in range(3):
                    d[a, a] += data[p]
            else:
                for a in range(3):
                    x[i, a, a] += data[p]
        for t in range(top, n):
            i = stack[t]
            # The block of row k and column i: y = x_i L_ii^-T.
            first = values[starts[i]]
            for a in range(3):
                for b in range(3):
                    total = x[i, a, b]
                    for c in range(b):
                        total -= y[a, c] * first[b, c]
                    y[a, b] = total / first[b, b]
                    x[i, a, b] = 0.0
            y00, y01, y02 = y[0, 0], y[0, 1], y[0, 2]
            y10, y11, y12 = y[1, 0], y[1, 1], y[1, 2]
            y20, y21, y22 = y[2, 0], y[2, 1], y[2, 2]
            for p in range(starts[i] + 1, end[i]):
                j = rows[p]
                for b in range(3):
                    u, v, w = values[p, b, 0], values[p, b, 1], values[p, b, 2]
                    x[j, 0, b] -= y00 * u + y01 * v + y02 * w
                    x[j, 1, b] -= y10 * u + y11 * v + y12 * w
                    x[j, 2, b] -= y20 * u + y21 * v + y22 * w
            for a in range(3):
                for b in range(3):
                    d[a, b] -= y[a, 0] * y[b, 0] + y[a, 1] * y[b, 1] + y[a, 2] * y[b, 2]
            rows[end[i]] = k
            values[end[i]] = y
            end[i] += 1
        rows[starts[k]] = k
        for a in range(3):
            for b in range(a + 1):
                total = d[a, b]
                for c in range(b):
                    total -= values[starts[k], a, c] * values[starts[k], b, c]
                if a == b:
                    if total <= 0.0:
                        return False
                    values[starts[k], a, a] = np.sqrt(total)
                else:
                    values[starts[k], a, b] = total / values[starts[k], b, b]
        end[k] = starts[k] + 1
    return True


@njit(cache=True, nogil=True)
def _substitute(starts: Any, rows: Any, values: Any, x: Any) -> None:
    n = x.shape[0]
    for k in range(n):
        first = values[starts[k]]
        for a in range(3):
            for c in range(a):
                x[k, a] -= first[a, c] * x[k, c]
            x[k, a] /= first[a, a]
        for p in range(starts[k] + 1, starts[k + 1]):
            j = rows[p]
            for a in range(3):
                for c in range(3):
                    x[j, a] -= values[p, a, c] * x[k, c]
    for k in range(n - 1, -1, -1):
        for p in range(starts[k] + 1, starts[k + 1]):
            j = rows[p]
            for a in range(3):
                for c in range(3):
                    x[k, c] -= values[p, a, c] * x[j, a]
        first = values[starts[k]]
        for a in range(2, -1, -1):
            for c in range(a + 1, 3):
                x[k, a] -= first[c, a] * x[k, c]
            x[k, a] /= first[a, a]
