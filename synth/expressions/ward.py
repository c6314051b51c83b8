"""Exact Ward clustering of points of the plane, hundreds of thousands of them.

Ward's method joins, again and again, the two clusters whose union raises the sum of
squared distances to the means least [1]_: by ``n m / (n + m) * |c - d|^2`` for sizes n, m
and centres c, d. This cost is reducible, so chains of nearest neighbours find the same
tree as searching all pairs every time [2]_, without a matrix of distances. In the plane
the nearest neighbour comes from a k-d tree whose nodes know the box and the smallest
weight of the clusters below: no cluster of a node costs less than its box at that
weight, which is exact for any mixture of sizes.

Points that are equal join first, at no cost, so annotations that repeat are clustered
once with their number as weight: the result is that of all points.

References
----------
.. [1] Ward, "Hierarchical Grouping to Optimize an Objective Function", JASA 1963.
.. [2] Murtagh, "A Survey of Recent Advances in Hierarchical Clustering Algorithms",
   The Computer Journal 1983.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError

__all__ = ["WardTree", "ward_labels", "ward_tree"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Points in a leaf of the k-d tree, about.
LEAF = 4


@dataclass(frozen=True)
class WardTree:
    """The joins of Ward's method over n weighted points, cheapest first.

    Attributes
    ----------
    first, second : (n - 1,) int64
        One point of each of the two clusters that are joined.
    cost : (n - 1,) float64
        By how much a join raises the sum of squared distances to the means; ascending.
    """

    first: Int
    second: Int
    cost: Float

    def labels(self, classes: int) -> Int:
        """(n,) class of each point, 0 to ``classes - 1``, numbered by their first point.

        Raises
        ------
        ShapeError
            If there are fewer points than classes, or `classes` is not positive.
        """
        n = len(self.cost) + 1
        if not 1 <= classes <= n:
            raise ShapeError(
                f"classes: expected 1 to {n}, the number of distinct points, got {classes}; "
                "ask for fewer"
            )
        return _cut(self.first, self.second, n - classes, n)


def ward_tree(points: ArrayLike, weights: ArrayLike | None = None) -> WardTree:
    """Ward's tree over points of the plane, exact.

    Parameters
    ----------
    points : (n, 2) float
        Distinct or not.
    weights : (n,) float, optional
        How often each point counts, above 0; 1 when absent.

    Raises
    ------
    ShapeError
        If the points are not finite (n, 2) with n at least 1, or a weight is not positive.
    """
    xy = np.ascontiguousarray(points, np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or not len(xy) or not np.isfinite(xy).all():
        raise ShapeError(f"points: expected finite (n, 2), got {xy.shape}; check the labels")
    w = np.ones(len(xy)) if weights is None else np.array(weights, np.float64)
    if w.shape != (len(xy),) or not (w > 0).all():
        raise ShapeError(f"weights: expected {len(xy)} numbers above 0; leave them out")
    depth = max(0, int(np.ceil(np.log2(max(len(xy) / LEAF, 1)))))
    axis, split, order = _splits(xy, depth)
    # in the order of the tree neighbours lie together in memory
    a, b, cost = _chains(xy[order], w[order], axis, split, depth)
    # a join is listed after those it is made of: a stable sort keeps that where costs tie
    by_cost = np.argsort(cost, kind="stable")
    return WardTree(order[a[by_cost]], order[b[by_cost]], cost[by_cost])


def ward_labels(points: ArrayLike, classes: int) -> Int:
    """(n,) class of each point, 0 to ``classes - 1``: Ward's tree cut at `classes`.

    Raises
    ------
    ShapeError
        If there are fewer distinct points than classes.
    """
    values, inverse, count = np.unique(
        np.asarray(points, np.float64), axis=0, return_inverse=True, return_counts=True
    )
    return ward_tree(values, count).labels(classes)[inverse.ravel()]


def _splits(xy: Float, depth: int) -> tuple[NDArray[np.int8], Float, Int]:
    """A balanced k-d tree: axis and place of every split in heap order, and the points' order."""
    nodes = 1 << depth
    axis, split = np.zeros(nodes, np.int8), np.zeros(nodes)
    order = np.arange(len(xy))
    spans = [(1, 0, len(xy))]
    while spans:
        node, low, high = spans.pop()
        if node >= nodes:
            continue
        part = order[low:high]
        middle = len(part) // 2
        across = int(np.ptp(xy[part], axis=0).argmax()) if len(part) else 0
        if len(part) > 1:
            part = part[np.argpartition(xy[part, across], middle)]
            order[low:high] = part
        axis[node] = across
        split[node] = xy[part[middle], across] if len(part) else 0.0
        spans += [(2 * node, low, low + middle), (2 * node + 1, low + middle, high)]
    return axis, split, order


@numba.njit(cache=True)
def _cut(first: Int, second: Int, joins: int, n: int) -> Int:  # pragma: no cover
    parent = np.arange(n)
    for j in range(joins):
        a, b = first[j], second[j]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        parent[max(a, b)] = min(a, b)  # the root is the first point: the order is known
    label = np.empty(n, np.int64)
    found = 0
    for i in range(n):
        a = i
        while parent[a] != a:
            a = parent[a]
        if a == i:
            label[i] = found
            found += 1
        else:
            label[i] = label[a]
    return label


@numba.njit(cache=True)
def _refresh(  # pragma: no cover
    node: int, leaves: int, head: Int, after: Int, xy: Float, w: Float, box: Float, least: Float
) -> None:
    """Box and least weight of a leaf and of everything above it."""
    low0 = low1 = least_here = np.inf
    high0 = high1 = -np.inf
    i = head[node - leaves]
    while i >= 0:
        low0, high0 = min(low0, xy[i, 0]), max(high0, xy[i, 0])
        low1, high1 = min(low1, xy[i, 1]), max(high1, xy[i, 1])
        least_here = min(least_here, w[i])
        i = after[i]
    while True:
        if (
            box[node, 0] == low0 and box[node, 1] == low1 and box[node, 2] == high0
            and box[node, 3] == high1 and least[node] == least_here
        ):  # fmt: skip
            return
        box[node, 0], box[node, 1], box[node, 2], box[node, 3] = low0, low1, high0, high1
        least[node] = least_here
        node //= 2
        if node == 0:
            return
        a, b = 2 * node, 2 * node + 1
        low0, low1 = min(box[a, 0], box[b, 0]), min(box[a, 1], box[b, 1])
        high0, high1 = max(box[a, 2], box[b, 2]), max(box[a, 3], box[b, 3])
        least_here = min(least[a], least[b])


@numba.njit(cache=True)
def _bound(node: int, x: float, y: float, own: float, box: Float, least: Float) -> float:
    """What joining with any cluster below a node costs at least."""  # pragma: no cover
    if least[node] == np.inf:
        return np.inf
    dx = max(box[node, 0] - x, 0.0, x - box[node, 2])
    dy = max(box[node, 1] - y, 0.0, y - box[node, 3])
    return own * least[node] / (own + least[node]) * (dx * dx + dy * dy)


@numba.njit(cache=True)
def _nearest(  # pragma: no cover
    a: int, known: int, leaves: int, head: Int, after: Int, xy: Float, w: Float, box: Float,
    least: Float, stack: Int, bounds: Float,
) -> tuple[int, float]:  # fmt: skip
    """The cluster that is cheapest to join with `a`; on a tie the `known` one (-1: none)."""
    x, y, own = xy[a, 0], xy[a, 1], w[a]
    best, cost = known, np.inf
    if known >= 0:
        dx, dy = xy[known, 0] - x, xy[known, 1] - y
        cost = own * w[known] / (own + w[known]) * (dx * dx + dy * dy)
    stack[0], bounds[0], top = 1, 0.0, 1
    while top:
        top -= 1
        node = stack[top]
        if bounds[top] >= cost:
            continue
        if node >= leaves:
            i = head[node - leaves]
            while i >= 0:
                if i != a:
                    dx, dy = xy[i, 0] - x, xy[i, 1] - y
                    here = own * w[i] / (own + w[i]) * (dx * dx + dy * dy)
                    if here < cost or best < 0:
                        best, cost = i, here
                i = after[i]
            continue
        near, far = 2 * node, 2 * node + 1
        near_bound = _bound(near, x, y, own, box, least)
        far_bound = _bound(far, x, y, own, box, least)
        if far_bound < near_bound:
            near, far, near_bound, far_bound = far, near, far_bound, near_bound
        if far_bound < cost:
            stack[top], bounds[top], top = far, far_bound, top + 1
        if near_bound < cost:
            stack[top], bounds[top], top = near, near_bound, top + 1
    return best, cost


@numba.njit(cache=True)
def _leaf_of(  # pragma: no cover
    x: float, y: float, axis: NDArray[np.int8], split: Float, leaves: int
) -> int:
    node = 1
    while node < leaves:
        place = y if axis[node] else x
        node = 2 * node + (1 if place >= split[node] else 0)
    return node


@numba.njit(cache=True)
def _unlink(i: int, slot: int, head: Int, after: Int) -> None:  # pragma: no cover
    if head[slot] == i:
        head[slot] = after[i]
        return
    j = head[slot]
    while after[j] != i:
        j = after[j]
    after[j] = after[i]


@numba.njit(cache=True)
def _chains(  # pragma: no cover
    xy: Float, w: Float, axis: NDArray[np.int8], split: Float, depth: int
) -> tuple[Int, Int, Float]:
    """All joins in the order in which chains of nearest neighbours find them.

    A cluster keeps the number of one of its points; `xy` and `w` become its centre and size.
    """
    n = len(xy)
    leaves = 1 << depth
    head, after, home = np.full(leaves, -1), np.full(n, -1), np.empty(n, np.int64)
    box, least = np.empty((2 * leaves, 4)), np.full(2 * leaves, np.inf)
    box[:, :2], box[:, 2:] = np.inf, -np.inf
    for i in range(n):
        home[i] = _leaf_of(xy[i, 0], xy[i, 1], axis, split, leaves)
        slot = home[i] - leaves
        after[i], head[slot] = head[slot], i
    for leaf in range(leaves, 2 * leaves):
        _refresh(leaf, leaves, head, after, xy, w, box, least)
    first, second = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64)
    cost, height = np.empty(n - 1), np.zeros(n)
    stack, bounds = np.empty(2 * depth + 8, np.int64), np.empty(2 * depth + 8)
    chain, length, start, joined = np.empty(n, np.int64), 0, 0, 0
    alive = np.ones(n, np.bool_)
    while joined < n - 1:
        if length == 0:
            while not alive[start]:
                start += 1
            chain[0], length = start, 1
        a = chain[length - 1]
        before = chain[length - 2] if length > 1 else -1
        b, price = _nearest(
            a, before, leaves, head, after, xy, w, box, least, stack, bounds
        )  # fmt: skip
        if b != before:
            chain[length] = b
            length += 1
            continue
        length -= 2
        # rounding must not make a join cheaper than those it is made of
        height[a] = max(price, height[a], height[b])
        first[joined], second[joined], cost[joined] = a, b, height[a]
        joined += 1
        alive[b] = False
        for i in (a, b):
            _unlink(i, home[i] - leaves, head, after)
        old, other = home[a], home[b]
        total = w[a] + w[b]
        for k in range(2):
            xy[a, k] = (w[a] * xy[a, k] + w[b] * xy[b, k]) / total
        w[a] = total
        home[a] = _leaf_of(xy[a, 0], xy[a, 1], axis, split, leaves)
        slot = home[a] - leaves
        after[a], head[slot] = head[slot], a
        for leaf in (old, other, home[a]):
            _refresh(leaf, leaves, head, after, xy, w, box, least)
    return first, second, cost
