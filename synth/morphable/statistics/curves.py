"""Compactness, generalisation and specificity of a model, by cross-validation over subjects.

How much a model with few modes holds, how near it comes to a face that it was not built from,
and how near its random faces are to real ones [1]_, each against the number of modes. Subjects
are dealt into folds; for each fold a model is built from the subjects of the others.

No mesh is read for it. Distances between meshes, and thus the components of any part of them,
follow from their coefficients in the components of all [2]_: exactly, where all components were
found. Where only the leading ones were (the route ``incremental``), what lies outside counts in
full as not reached, yet the errors come out a little small, as the modes of a fold cannot err
into what lies outside. The alignment is that of all meshes, those left out as well; its mean
hardly depends on any one of them.

References
----------
.. [1] Styner, Rajamani, Nolte, Zsemlye, Szekely, Taylor & Davies, "Evaluation of 3D
   Correspondence Methods for Model Building", IPMI 2003.
.. [2] Turk & Pentland, "Eigenfaces for Recognition", Journal of Cognitive Neuroscience 3, 1991
   (inner products in place of the covariance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.morphable.statistics.pca import Components
from synth.morphable.statistics.people import People

__all__ = ["Curve", "Curves", "measure_curves", "mode_counts"]

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

#: Points of a curve, and random faces of all folds together for specificity.
POINTS = 30
SAMPLES = 1000
#: Sides of matrices whose eigenvectors are all computed; of larger ones only the leading.
DIRECT = 2000
#: Share by which the variance in the leading axes may still grow when iteration ends.
SETTLED = 1e-9
#: Half the width of a 95 % interval in standard errors.
WIDE = 1.96


@dataclass(frozen=True, eq=False)
class Curve:
    """A measure against the number of modes, with the ends of its interval; (P,) each."""

    value: Float
    low: Float
    high: Float


@dataclass(frozen=True, eq=False)
class Curves:
    """The measures at P numbers of modes.

    Attributes
    ----------
    modes : (P,) int64
    compactness : (P,) float64
        Share of the variance of all meshes in the first modes of the model.
    held_out : Curve
        Share of the variance of subjects who were left out that the modes of the others hold;
        the ends are the least and the most of the folds.
    generalisation : Curve
        Distance of a subject who was left out to the nearest face of the model of the others:
        root mean square over vertices, mean over subjects, in the unit of the meshes; 95 %
        interval over subjects.
    specificity : Curve
        Distance of a random face of a fold's model to the nearest mesh that it was built from,
        likewise; 95 % interval over random faces.
    folds, samples : int
    """

    modes: NDArray[np.int64]
    compactness: Float
    held_out: Curve
    generalisation: Curve
    specificity: Curve
    folds: int
    samples: int


def mode_counts(most: int, points: int = POINTS) -> NDArray[np.int64]:
    """Numbers of modes from 1 to `most`: all of few, growing steps of many."""
    if most <= points:
        return np.arange(1, most + 1)
    return np.unique(np.round(np.geomspace(1, most, points)).astype(np.int64))


def measure_curves(
    components: Components,
    people: People,
    *,
    folds: int = 5,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Curves:
    """The curves of a model.

    Parameters
    ----------
    components : Components
        Of all meshes.
    people : People
        A fold leaves out whole subjects.
    folds : int
        At least 2; as many as there are subjects at most, and each is then left out alone.
    samples : int
        Random faces for specificity, all folds together.
    seed : int
        Of the folds and the random faces.

    Raises
    ------
    UsageError
        If there are fewer than 2 folds or 3 subjects.
    """
    if folds < 2:
        raise UsageError(f"folds: expected at least 2, got {folds}")
    if people.count < 3:
        raise UsageError(
            f"folds: expected at least 3 subjects to leave some out, got {people.count}"
        )
    # The others must be two at least, for there to be a variance.
    folds = people.count if people.count == 3 else min(folds, people.count)
    rng = np.random.default_rng(seed)
    fold_of = rng.permutation(np.arange(people.count) % folds)[people.index]
    n, r = components.coefficients.shape
    # A fold's model has at most one mode less than meshes.
    fewest = min(int((fold_of != f).sum()) for f in range(folds)) - 1
    counts = mode_counts(min(len(components.modes), fewest, r))
    left, shares, near = np.empty((n, len(counts))), [], []
    for fold in range(folds):
        out = fold_of == fold
        mean, axes, variances = _model(components.coefficients[~out], people.part(~out), counts[-1])
        squares, rest = _unreached(components, out, mean, axes, counts)
        left[out] = np.sqrt(np.maximum(rest, 0) / components.modes.shape[1])
        weights = people.part(out).weights
        shares.append(1 - (weights @ rest) / (weights @ squares))
        drawn = samples // folds + (fold < samples % folds)
        inside = components.coefficients[~out] - mean
        outside = components.squares[~out] - (components.coefficients[~out] ** 2).sum(1)
        near.append(_nearest(inside, outside, axes, variances, counts, drawn, rng))
    distances = np.sqrt(np.concatenate(near) / components.modes.shape[1])
    share = np.array(shares)
    everyone = people.part(np.ones(n, bool)).weights
    return Curves(
        modes=counts,
        compactness=np.cumsum(components.variances)[counts - 1] / components.total,
        held_out=Curve(_pooled(share, fold_of, everyone, folds), share.min(0), share.max(0)),
        generalisation=_interval(people.means(left)),
        specificity=_interval(distances),
        folds=folds,
        samples=samples,
    )


def _model(inside: Float, people: People, most: int) -> tuple[Float, Float, Float]:
    """Mean (R,), leading unit axes (R, most) and their unbiased variances (most,)."""
    mean = people.weights @ inside
    rows = (inside - mean) * np.sqrt(people.weights)[:, None]
    n, r = rows.shape
    if min(n, r) > DIRECT:
        values, axes = _leading(rows, most)
    elif n < r:
        values, left = np.linalg.eigh(rows @ rows.T)
        values, left = values[::-1][:most], left[:, ::-1][:, :most]
        # Directions of no variance have no length to divide by, and nothing lies along them.
        axes = rows.T @ left / np.sqrt(np.maximum(values, 1e-12 * values[0] + 1e-300))
    else:
        values, axes = np.linalg.eigh(rows.T @ rows)
        values, axes = values[::-1][:most], axes[:, ::-1][:, :most]
    # Eigenvectors have no sign, random faces do.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], 0)
    return mean, axes * np.where(largest < 0, -1.0, 1.0), np.maximum(values, 0) * people.unbiased


def _leading(rows: Float, most: int) -> tuple[Float, Float]:
    """Largest eigenvalues (most,) and eigenvectors (R, most) of ``rows.T @ rows``.

    By subspace iteration. The rows are coefficients in the components of all meshes, so that
    the first axes are nearly right to begin with; half as many more are carried along, and the
    error falls by the ratio of the variances behind the last of these and of the axis in
    question with each round.
    """
    carried = min(rows.shape[1], most + max(32, most // 2))
    axes = np.eye(rows.shape[1], carried)
    before = -1.0
    for _ in range(100):
        axes = np.linalg.qr(rows.T @ (rows @ axes))[0]
        along = rows @ axes
        values, turn = np.linalg.eigh(along.T @ along)
        axes = axes @ turn[:, ::-1]
        now = float(values[::-1][:most].sum())
        if now - before <= SETTLED * now:
            break
        before = now
    return values[::-1][:most].copy(), axes[:, :most]


def _unreached(
    components: Components, out: Bool, mean: Float, axes: Float, counts: NDArray[np.int64]
) -> tuple[Float, Float]:
    """Squared distances (n,) to the mean, and what each number of modes leaves, (n, P)."""
    inside = components.coefficients[out]
    outside = components.squares[out] - (inside**2).sum(1)
    inside = inside - mean
    squares = (inside**2).sum(1) + outside
    along = np.cumsum((inside @ axes) ** 2, 1)[:, counts - 1]
    return squares, squares[:, None] - along


def _nearest(
    inside: Float, outside: Float, axes: Float, variances: Float, counts: NDArray[np.int64],
    drawn: int, rng: np.random.Generator,
) -> Float:  # fmt: skip
    """(drawn, P) squared distance of random faces to the nearest training mesh.

    The same random numbers serve every number of modes, so that curves are smooth.
    """
    faces = rng.normal(size=(drawn, len(variances))) * np.sqrt(variances)
    along = inside @ axes
    lengths = (inside**2).sum(1) + np.maximum(outside, 0)
    cross = np.zeros((drawn, len(along)))
    found, start = np.empty((drawn, len(counts))), 0
    own = np.cumsum(faces**2, 1)
    for place, count in enumerate(counts):
        cross += faces[:, start:count] @ along[:, start:count].T
        found[:, place] = own[:, count - 1] + (lengths - 2 * cross).min(1)
        start = int(count)
    return np.maximum(found, 0)


def _pooled(shares: Float, fold_of: NDArray[np.int64], weights: Float, folds: int) -> Float:
    """Mean of the folds by the weight of the subjects in them."""
    sizes = np.bincount(fold_of, weights, folds)
    return np.asarray(sizes @ shares / sizes.sum())


def _interval(values: Float) -> Curve:
    """Mean over rows (n, P) with its 95 % interval."""
    mean = values.mean(0)
    wide = WIDE * values.std(0, ddof=1) / np.sqrt(len(values))
    return Curve(mean, mean - wide, mean + wide)
