"""How near to the truth a pipeline of one's own data comes: pure measures on arrays.

Lengths are millimetres; errors are also given as a share of the inter-ocular distance
(outer eye corners, iBUG 36 and 45).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import subspace_angles

from synth.meshes.mesh import Mesh
from synth.meshes.nearest import Surface
from synth.meshes.rigid import rotations
from synth.metrics.agreement import ccc, pcc

__all__ = [
    "LabelScore", "ModelScore", "RegistrationScore", "face_difference", "score_labels",
    "score_model", "score_registration",
]  # fmt: skip

Float = NDArray[np.float64]

#: A scan shows what is nearer to it than this share of the inter-ocular distance.
SHOWN = 0.01
#: What counts as registered, as a share of the inter-ocular distance.
LIMIT = 0.02


@dataclass(frozen=True)
class RegistrationScore:
    """Errors of registered vertices as shares of the inter-ocular distance.

    Attributes
    ----------
    surface, correspondence : (mean, 95 %)
        Distance to the true surface, and to the true place of the same vertex, over all
        vertices that the scans show, of all meshes: the mean, and what 95 % lie below.
    below : float
        Share of those within 2 % of their true place.
    everywhere : (mean, 95 %)
        `correspondence` of all vertices, also where the scan shows nothing.
    meshes : int
    """

    surface: tuple[float, float]
    correspondence: tuple[float, float]
    below: float
    everywhere: tuple[float, float]
    meshes: int


def score_registration(
    found: Iterable[Float],
    truth: Iterable[Float],
    scans: Iterable[Mesh],
    faces: NDArray[np.integer],
    iod: Iterable[float],
) -> RegistrationScore:
    """Compare registered meshes with the true ones of the same topology and place.

    Parameters
    ----------
    found, truth : (V, 3) float64 each
    scans : Mesh each
        What was registered: it shows a vertex if its true place is within `SHOWN` of it.
    faces : (F, 3) int
    iod : float each
        True inter-ocular distance.
    """
    surface, place, shown = [], [], []
    for mine, true, scan, unit in zip(found, truth, scans, iod, strict=True):
        surface.append(Surface(true, faces).nearest(mine).distance / unit)
        place.append(np.linalg.norm(mine - true, axis=1) / unit)
        shown.append(Surface(scan.vertices, scan.faces).nearest(true).distance < SHOWN * unit)
    seen, off = np.concatenate(shown), np.concatenate(place)
    return RegistrationScore(
        _spread(np.concatenate(surface)[seen]), _spread(off[seen]),
        float((off[seen] < LIMIT).mean()), _spread(off), len(place),
    )  # fmt: skip


def _spread(values: Float) -> tuple[float, float]:
    return float(values.mean()), float(np.quantile(values, 0.95))


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
    at, there = mean.mean(0), true_mean.mean(0)
    turn = rotations((mean - at).T @ (true_mean - there))
    placed = (mean - at) @ turn + there
    built = (built @ turn).reshape(len(built), -1)
    true = true.reshape(len(true), -1)
    k = min(leading, len(built), len(true))
    basis = np.linalg.qr(built.T)[0]
    return ModelScore(
        float(np.linalg.norm(placed - true_mean, axis=1).mean()),
        tuple(np.degrees(subspace_angles(built[:k].T, true[:k].T))[::-1].tolist()),
        float(((true @ basis) ** 2).sum() / (true**2).sum()),
        tuple((np.linalg.norm(built[:k], axis=1) / np.linalg.norm(true[:k], axis=1)).tolist()),
    )


def face_difference(
    first: NDArray[np.uint8], second: NDArray[np.uint8], mask: NDArray[Any]
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
