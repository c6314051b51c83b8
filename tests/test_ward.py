"""Ward's method in the plane: the tree of scipy, weights, ties, chains that move."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from synth.errors import ShapeError
from synth.expressions.ward import ward_labels, ward_tree


def same_partition(a, b):
    pairs = np.unique(np.stack([a, b], 1), axis=0)
    return len(pairs) == len(np.unique(a)) == len(np.unique(b))


def within(points, label):
    return sum(
        ((points[label == k] - points[label == k].mean(0)) ** 2).sum() for k in np.unique(label)
    )


def lumpy(count, seed):
    """Density as of annotations: much at neutral, lumps of very different size."""
    rng = np.random.default_rng(seed)
    middle = np.array([[0, 0], [0.7, 0.1], [-0.5, 0.6], [-0.3, -0.4]])[
        rng.choice(4, count, p=[0.7, 0.2, 0.08, 0.02])
    ]
    return middle + rng.normal(0, 0.15, (count, 2)) * rng.random((count, 1)) ** 2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_tree_is_that_of_scipy(seed):
    points = lumpy(1500, seed)
    tree = ward_tree(points)
    expected = linkage(points, "ward")[:, 2]
    assert np.allclose(np.sqrt(2 * tree.cost), expected, rtol=1e-9, atol=1e-12)
    for classes in (2, 7, 60, 550):
        known = fcluster(linkage(points, "ward"), classes, "maxclust")
        assert same_partition(tree.labels(classes), known)


def test_repeated_points_count_as_often_as_they_are():
    rng = np.random.default_rng(3)
    distinct = rng.normal(size=(120, 2))
    times = rng.integers(1, 12, 120)
    points = np.repeat(distinct, times, axis=0)
    known = fcluster(linkage(points, "ward"), 15, "maxclust")
    assert same_partition(ward_labels(points, 15), known)
    order = rng.permutation(len(points))
    assert same_partition(ward_labels(points[order], 15), known[order])


def test_ties_of_a_lattice_give_as_good_a_clustering():
    """Which of equal joins comes first is open; the number of classes and quality are not."""
    side = np.arange(20) / 10
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    label = ward_labels(points, 25)
    assert np.array_equal(np.unique(label), np.arange(25))
    known = within(points, fcluster(linkage(points, "ward"), 25, "maxclust"))
    assert within(points, label) <= 1.15 * known


def test_joins_rise_in_cost_and_sum_to_the_variance():
    points = lumpy(4000, 5)
    tree = ward_tree(points)
    assert (np.diff(tree.cost) >= 0).all()
    assert tree.cost.sum() == pytest.approx(((points - points.mean(0)) ** 2).sum(), rel=1e-9)
    label = tree.labels(30)
    assert tree.cost[: len(points) - 30].sum() == pytest.approx(within(points, label), rel=1e-9)


def test_few_points():
    assert ward_labels([[0.1, 0.2]], 1).tolist() == [0]
    assert ward_labels([[0, 0], [1, 0], [1.1, 0]], 2).tolist() == [0, 1, 1]
    with pytest.raises(ShapeError, match="distinct points"):
        ward_labels([[0, 0], [0, 0], [1, 0]], 3)
    with pytest.raises(ShapeError, match="finite"):
        ward_tree([[0, np.nan]])
    with pytest.raises(ShapeError, match="above 0"):
        ward_tree([[0, 0], [1, 1]], [1, 0])
