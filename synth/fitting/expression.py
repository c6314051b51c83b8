"""How far from neutral a face is: expression weights from 68 landmarks.

Camera, identity and weights are fitted together, so that a wide mouth is not taken for a
smile: Gauss-Newton with bounds, from the neutral fit on. The prior of a weight is
exponential, which leaves most at exactly zero, and counts how far the weight moves the
landmarks, so that no blendshape is favoured for being large [1]_.

References
----------
.. [1] Lewis et al., "Practice and Theory of Blendshape Facial Models", Eurographics STAR
   2014, sec. 5 (fitting of weights); the prior is the lasso's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.spatial.transform import Rotation

from synth.camera import FLIP, rotation_matrix
from synth.fitting.landmarks import (
    SLID,
    FitSettings,
    landmark_sigma,
    landmarker,
    make_camera,
    projection_jacobian,
)
from synth.types import Camera, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = [
    "ExpressionSettings",
    "Shown",
    "expression_amount",
    "fit_expression",
    "shown_blendshapes",
]

Float = NDArray[np.float64]

#: Not seen by the landmarks, or not told apart by them.
UNSEEN = ("eyeLook", "tongueOut", "cheekPuff", "mouthClose", "jawForward", "own_")


@dataclass(frozen=True)
class ExpressionSettings:
    """Prior of the weights.

    Attributes
    ----------
    cost : float
        Linear cost of a weight that moves the landmarks by one inter-ocular distance (root
        mean square), in the unit of the fit's squared residuals.
    ridge : float
        Quadratic cost of a full weight.
    iterations : int
        Gauss-Newton steps.
    """

    cost: float = 100.0
    ridge: float = 2.0
    iterations: int = 5


@dataclass(frozen=True)
class Shown:
    """Blendshapes whose weights are unknowns of a fit.

    Attributes
    ----------
    index : (E,) intp
        Among the model's blendshapes.
    marks : (E, 68, 3) float64
        How far a full weight moves the landmarks, mm.
    cost, ridge : (E,) float64
        Linear and quadratic cost of a full weight, in the unit of the fit's squared residuals.
    """

    index: NDArray[np.intp]
    marks: Float
    cost: Float
    ridge: Float

    def only(self, kept: NDArray[np.bool_]) -> Shown:
        """Those of the blendshapes where `kept` (E,) is true."""
        return Shown(self.index[kept], self.marks[kept], self.cost[kept], self.ridge[kept])


def fit_expression(
    points: Float,
    image_size: tuple[int, int],
    model: MorphableModel,
    camera: Camera,
    shape: Float,
    settings: ExpressionSettings | None = None,
    prior: FitSettings | None = None,
) -> tuple[Camera, Float, Float]:
    """Camera, identity and expression weights that put the model's landmarks on `points`.

    Parameters
    ----------
    points : (68, 2) float64
        Pixels.
    image_size : (height, width)
        The principal point is the middle of the picture.
    model : MorphableModel
    camera : Camera
        Of the neutral fit.
    shape : (K,) float64
        Of the neutral fit, standard deviations.
    settings : ExpressionSettings, optional
    prior : FitSettings, optional
        Expected errors of the landmarks and priors of identity and focal length.

    Returns
    -------
    camera : Camera
    shape : (K,) float64
    weights : (E,) float64
        0 to 1; exactly 0 where the landmarks ask for nothing.
    """
    s, f = settings or ExpressionSettings(), prior or FitSettings()
    used = shown_blendshapes(model, s)
    weights = np.zeros(len(model.blendshape_names))
    if not len(used.index):
        return camera, shape, weights
    center = (np.array(image_size[::-1], float) - 1) / 2
    log_focal0 = float(np.log(f.focal_ratio * inter_ocular(points)))
    now = _Now(
        rotation_matrix(camera), camera.translation, float(np.log(camera.focal)), shape,
        np.zeros(len(used.index)),
    )  # fmt: skip
    count = 7 + model.n_modes
    for _ in range(s.iterations):
        rows, error = _landmark_rows(now, points, center, model, used, f)
        system, goal = _with_priors(rows, error, now, used, f, log_focal0)
        found = _bounded(system, goal, count)
        now = _Now(
            Rotation.from_rotvec(found[:3]).as_matrix() @ now.rotation,
            now.translation + found[3:6],
            float(np.clip(now.log_focal + found[6], log_focal0 - 1, log_focal0 + 1)),
            found[7:count],
            np.where(found[count:] < 1e-6, 0, found[count:]),
        )
    weights[used.index] = now.weights
    camera = make_camera(now.rotation, now.translation, now.log_focal, center)
    return camera, now.shape, weights


def shown_blendshapes(model: MorphableModel, settings: ExpressionSettings | None = None) -> Shown:
    """The blendshapes whose weights landmarks can tell."""
    s = settings or ExpressionSettings()
    moves = _landmark_moves(model)
    index = np.array(
        [
            e
            for e, name in enumerate(model.blendshape_names)
            if not name.startswith(UNSEEN) and np.abs(moves[e]).max() > 0.3
        ],
        np.intp,
    )
    unit = inter_ocular(landmarker(model).mean)
    reach = np.sqrt((moves[index] ** 2).sum(2).mean(1)) / unit
    return Shown(index, moves[index], s.cost * reach, np.full(len(index), s.ridge))


def _landmark_moves(model: MorphableModel) -> Float:
    """(E, 68, 3) how far a full weight moves the landmarks, mm."""
    corners = model.faces[model.landmark_faces]
    return np.asarray(np.einsum("lc,elcx->elx", model.landmark_bary, model.blendshapes[:, corners]))


@dataclass(frozen=True)
class _Now:
    """Unknowns of the fit."""

    rotation: Float
    translation: Float
    log_focal: float
    shape: Float
    weights: Float


def _landmark_rows(
    now: _Now, points: Float, center: Float, model: MorphableModel, used: Shown, prior: FitSettings
) -> tuple[Float, Float]:
    """Jacobian (136, 7 + K + E) and residual (136,) of the landmarks, in expected errors."""
    iod = inter_ocular(points)
    camera = make_camera(now.rotation, now.translation, now.log_focal, center)
    mean, modes, slid = landmarker(model).slide(now.shape, camera)
    every = np.concatenate((modes, used.marks))
    values = np.concatenate((now.shape, now.weights))
    local = (mean + np.tensordot(values, every, 1)) * FLIP
    seen = local @ now.rotation.T + now.translation
    focal = float(np.exp(now.log_focal))
    jacobian = projection_jacobian(seen, now.rotation, now.translation, every, focal)
    weight = 1 / ((landmark_sigma(prior) + SLID * slid) * iod)
    error = (focal * seen[:, :2] / seen[:, 2:] + center - points) * weight[:, None]
    robust = np.sqrt(1 / (1 + (error**2).sum(1) / prior.robust**2))
    rows = (jacobian * (weight * robust)[:, None, None]).reshape(136, -1)
    return rows, (error * robust[:, None]).ravel()


def _with_priors(
    rows: Float, error: Float, now: _Now, used: Shown, prior: FitSettings, log_focal0: float
) -> tuple[Float, Float]:
    """Least squares with the priors as rows; unknowns are camera steps and all other values."""
    n, k, e = rows.shape[1], len(now.shape), len(now.weights)
    count, ridge = 7 + k, np.sqrt(used.ridge)
    value = np.concatenate((np.zeros(7), now.shape, now.weights))
    focal_row = np.zeros((1, n))
    focal_row[0, 6] = 1 / prior.focal_sigma
    identity = np.zeros((k, n))
    identity[:, 7:count] = np.sqrt(prior.shape_prior) * np.eye(k)
    sparse = np.zeros((e, n))
    sparse[:, count:] = np.diag(ridge)
    camera_rows = np.zeros((7, n))  # keeps a step from running away
    camera_rows[:, :7] = np.diag([1, 1, 1, 1e-2, 1e-2, 1e-2, 1])
    system = np.concatenate((rows, focal_row, identity, sparse, camera_rows))
    goal = np.concatenate(
        (
            rows @ value - error,
            [(log_focal0 - now.log_focal) / prior.focal_sigma],
            np.zeros(k),
            -used.cost / (2 * ridge),
            np.zeros(7),
        )
    )
    return system, goal


def _bounded(system: Float, goal: Float, free: int) -> Float:
    """Least squares in which all but the first `free` unknowns lie between 0 and 1.

    The free ones are eliminated first, which leaves a small bounded problem.
    """
    normal, right = system.T @ system, system.T @ goal
    solved = np.linalg.solve(
        normal[:free, :free], np.column_stack((normal[:free, free:], right[:free]))
    )
    reduced = normal[free:, free:] - normal[free:, :free] @ solved[:, :-1]
    root = np.linalg.cholesky((reduced + reduced.T) / 2).T
    wanted = np.linalg.solve(root.T, right[free:] - normal[free:, :free] @ solved[:, -1])
    bounded = lsq_linear(root, wanted, (0.0, 1.0), method="bvls", max_iter=200).x
    return np.concatenate((solved[:, -1] - solved[:, :-1] @ bounded, bounded))


def expression_amount(weights: Float, model: MorphableModel) -> float:
    """How far weights move the landmarks: root mean square, share of the inter-ocular distance.

    Parameters
    ----------
    weights : (E,) float
    model : MorphableModel
    """
    moved = np.tensordot(np.asarray(weights, np.float64), _landmark_moves(model), 1)
    unit = inter_ocular(model.landmarks(model.mean))
    return float(np.sqrt((moved**2).sum(1).mean()) / unit)
