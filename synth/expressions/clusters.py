"""Classes of a valence-arousal plane and the mean face of each.

Kollias et al. cluster the valence-arousal annotations of their 3-D frames into
550 classes with Ward's agglomerative method and give every class the mean of
its faces [1]_. Exact Ward needs memory quadratic in the number of points, so
it runs on a subset and the remaining samples join the nearest centre.

One class is set apart: class 0 is the neutral face at exactly (0, 0).

References
----------
.. [1] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network
   Augmentation: Generating Faces for Affect Analysis", IJCV 2020, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.expressions.arkit import OPPOSITES, mirror_order

__all__ = ["Classes", "class_statistics", "ward_classes", "within_class_components"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Classes:
    """K classes of the plane and their faces; class 0 is neutral.

    Attributes
    ----------
    va : (K, 2) float64
        Mean valence and arousal of each class.
    weights, sd : (K, 52) float64
        Mean face and spread over people, symmetric in left and right.
    count : (K,) int64
        Samples per class, at least 1.
    """

    va: Float
    weights: Float
    sd: Float
    count: Int


def ward_classes(va: Float, classes: int = 550, subset: int = 8000, seed: int = 0) -> Int:
    """(N,) class of each sample, 1 to ``classes - 1``, and 0 for exactly neutral ones.

    Parameters
    ----------
    va : (N, 2) float64
        Valence and arousal of the samples.
    classes : int
        Number of classes, the neutral one included. Fewer come out when there
        are fewer distinct points.
    subset : int
        Largest number of points given to exact Ward; others join the nearest centre.

    Raises
    ------
    ShapeError
        If no sample differs from neutral.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    label = np.zeros(len(va), np.int64)
    expressive = np.flatnonzero(np.any(va != 0, axis=1))
    if not len(expressive):
        raise ShapeError(
            "samples: expected at least one with valence or arousal other than 0, got none; "
            "check the columns"
        )
    points = va[expressive]
    chosen = np.arange(len(points))
    if len(points) > subset:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), subset, replace=False))
    part = points[chosen]
    wanted = min(classes - 1, len(np.unique(part, axis=0)))
    if len(part) == 1:
        found = np.ones(1, np.int64)
    else:
        found = fcluster(linkage(part, "ward"), wanted, "maxclust").astype(np.int64)
    centers = _group_mean(part, found - 1, int(found.max()))
    nearest = _nearest(points, centers) + 1
    nearest[chosen] = found
    label[expressive] = nearest
    return label


def class_statistics(va: Float, weights: Float, label: Int) -> Classes:
    """Mean, spread and size of each class.

    A sample and its mirror image count alike, so that mean faces are exactly
    symmetric; movements that undo each other (eyes left and right) cancel in
    the mean face. The neutral class has zero weights whatever its samples say.
    """
    k = int(label.max()) + 1
    count = np.bincount(label, minlength=k)
    mirror = mirror_order()
    first = _group_mean(weights, label, k)
    second = _group_mean(weights**2, label, k)
    mean, square = (first + first[:, mirror]) / 2, (second + second[:, mirror]) / 2
    sd = np.sqrt(np.maximum(square - mean**2, 0))
    for a, b in OPPOSITES:
        common = np.minimum(mean[:, a], mean[:, b])
        mean[:, a] -= common
        mean[:, b] -= common
    centers = _group_mean(va, label, k)
    centers[0], mean[0], sd[0] = 0.0, 0.0, 0.0
    count[0] = max(count[0], 1)
    return Classes(va=centers, weights=mean, sd=sd, count=count)


def within_class_components(
    weights: Float, label: Int, components: int = 12
) -> tuple[Float, Float, float]:
    """Directions in which people of one class differ, from all classes together.

    Returns
    -------
    basis : (P, 52) float64
        Orthonormal rows, strongest first, sign fixed (largest entry positive).
    sd : (K, P) float64
        Standard deviation of each class's samples along them.
    share : float
        Part of the within-class variance they hold.
    """
    k = int(label.max()) + 1
    residual = weights - _group_mean(weights, label, k)[label]
    values, vectors = np.linalg.eigh(residual.T @ residual)
    basis = vectors[:, ::-1][:, :components].T
    largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1)
    basis = basis * np.where(largest < 0, -1.0, 1.0)
    sd = np.sqrt(_group_mean((residual @ basis.T) ** 2, label, k))
    total = float(values.sum())
    return basis, sd, float(values[::-1][:components].sum()) / total if total > 0 else 1.0


def _group_mean(values: Float, label: Int, groups: int) -> Float:
    """(groups, D) mean of the rows of each group; 0 for an empty one."""
    total = np.zeros((groups, values.shape[1]))
    np.add.at(total, label, values)
    size = np.maximum(np.bincount(label, minlength=groups), 1)
    mean: Float = total / size[:, None]
    return mean


def _nearest(points: Float, centers: Float, chunk: int = 4096) -> Int:
    """(N,) index of the centre nearest to each point."""
    parts = []
    for start in range(0, len(points), chunk):
        offset = points[start : start + chunk, None] - centers
        parts.append((offset**2).sum(-1).argmin(1))
    return np.concatenate(parts).astype(np.int64)
