"""How near to the truth a pipeline of one's own data comes: pure measures on arrays.

Lengths are millimetres; errors are also given as a share of the inter-ocular distance
(outer eye corners, iBUG 36 and 45).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import subspace_angles

from synth.meshes.nearest import Surface
from synth.metrics.agreement import ccc, pcc

__all__ = [
    "LabelScore", "ModelScore", "RegistrationScore", "face_difference", "score_labels",
    "score_model", "score_registration",
]  # fmt: skip

Float = NDArray[np.float64]


@dataclass(frozen=True)
class RegistrationScore:
    """Errors of registered vertices as shares of the inter-ocular distance.

    Attributes
    ----------
    surface, correspondence : float
        Mean distance to the true surface, and to the true place of the same vertex.
    surface_95, correspondence_95 : float
        Share below which 95 % of all vertices of all meshes lie.
    meshes : int
    """

    surface: float
    correspondence: float
    surface_95: float
    correspondence_95: float
    meshes: int


def score_registration(
    found: Sequence[Float], truth: Sequence[Float], faces: NDArray[np.integer], iod: Sequence[float]
) -> RegistrationScore:
    """Compare registered meshes with the true ones of the same topology and place.

    Parameters
    ----------
    found, truth : sequences of (V, 3) float64
    faces : (F, 3) int
    iod : sequence of float
        True inter-ocular distance of each mesh.
    """
    surface, place = [], []
    for mine, true, unit in zip(found, truth, iod, strict=True):
        surface.append(Surface(true, faces).nearest(mine).distance / unit)
        place.append(np.linalg.norm(mine - true, axis=1) / unit)
    near, off = np.concatenate(surface), np.concatenate(place)
    return RegistrationScore(
        float(near.mean()), float(off.mean()),
        float(np.quantile(near, 0.95)), float(np.quantile(off, 0.95)), len(surface),
    )  # fmt: skip


@dataclass(frozen=True)
class LabelScore:
    """Mean labels of the annotators against the truth.

    Attributes
    ----------
    ccc, pcc : (valence, arousal)
    error : float
        Mean distance of label and truth in the plane.
    same_class : float
        Share of frames that the true classes put where their true label is.
    spacing : float
        Mean distance between neighbouring class centres: what `error` compares to.
    """

    ccc: tuple[float, float]
    pcc: tuple[float, float]
    error: float
    same_class: float
    spacing: float


def score_labels(found: Float, truth: Float, centres: Float) -> LabelScore:
    """Labels (N, 2) against the truth (N, 2), with the class centres (K, 2) of the truth."""
    own = np.linalg.norm(centres[:, None] - centres, axis=2)
    np.fill_diagonal(own, np.inf)
    return LabelScore(
        (ccc(found[:, 0], truth[:, 0]), ccc(found[:, 1], truth[:, 1])),
        (pcc(found[:, 0], truth[:, 0]), pcc(found[:, 1], truth[:, 1])),
        float(np.linalg.norm(found - truth, axis=1).mean()),
        float((_nearest(found, centres) == _nearest(truth, centres)).mean()),
        float(own.min(1).mean()),
    )


def _nearest(points: Float, centres: Float) -> NDArray[np.intp]:
    return ((points[:, None] - centres) ** 2).sum(2).argmin(1)


@dataclass(frozen=True)
class ModelScore:
    """A built model against the one of the true meshes, in the same place and size.

    Attributes
    ----------
    mean_error : float
        Mean distance of the mean faces' vertices, mm.
    angles : tuple of float
        Principal angles between the leading modes, degrees, smallest first.
    variance : float
        Share of the true model's variance that lies in the span of the built modes.
    sigma_ratio : tuple of float
        Built over true standard deviation of the leading modes.
    """

    mean_error: float
    angles: tuple[float, ...]
    variance: float
    sigma_ratio: tuple[float, ...]


def score_model(
    mean: Float, modes: ArrayLike, true_mean: Float, true_modes: ArrayLike, leading: int = 5
) -> ModelScore:
    """Compare two models of one topology; modes (K, V, 3) carry their standard deviation.

    The built model is first laid on the true one by a rigid motion: models are known up to
    where they stand.
    """
    built, true = np.asarray(modes, np.float64), np.asarray(true_modes, np.float64)
    turn, at, there = _rigid(mean, true_mean)
    placed = (mean - at) @ turn.T + there
    built = (built @ turn.T).reshape(len(built), -1)
    true = true.reshape(len(true), -1)
    k = min(leading, len(built), len(true))
    basis = np.linalg.qr(built.T)[0]
    return ModelScore(
        float(np.linalg.norm(placed - true_mean, axis=1).mean()),
        tuple(np.degrees(subspace_angles(built[:k].T, true[:k].T))[::-1].tolist()),
        float(((true @ basis) ** 2).sum() / (true**2).sum()),
        tuple((np.linalg.norm(built[:k], axis=1) / np.linalg.norm(true[:k], axis=1)).tolist()),
    )


def _rigid(source: Float, target: Float) -> tuple[Float, Float, Float]:
    """Rotation and both centroids of the best rigid motion (Kabsch 1976)."""
    at, there = source.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((target - there).T @ (source - at))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return (u * sign) @ vt, at, there


def face_difference(
    first: NDArray[np.uint8], second: NDArray[np.uint8], mask: NDArray[np.integer]
) -> float:
    """Mean absolute difference of two pictures inside the face, in levels of 255.

    Parameters
    ----------
    first, second : (H, W, 3) uint8
    mask : (H, W)
        Counted where it is not 0.
    """
    inside = mask > 0
    gap = np.abs(first[inside].astype(np.int16) - second[inside].astype(np.int16))
    return float(gap.mean()) if inside.any() else 0.0
