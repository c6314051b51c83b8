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

__all__ = ["ExpressionSettings", "expression_amount", "fit_expression"]

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
    marks = landmarker(model)
    center = (np.array(image_size[::-1], float) - 1) / 2
    iod = inter_ocular(points)
    corners = model.faces[model.landmark_faces]
    moves = np.einsum("lc,elcx->elx", model.landmark_bary, model.blendshapes[:, corners])
    used = np.array(
        [
            e
            for e, name in enumerate(model.blendshape_names)
            if not name.startswith(UNSEEN) and np.abs(moves[e]).max() > 0.3
        ],
        int,
    )
    weights = np.zeros(len(model.blendshape_names))
    if not len(used):
        return camera, shape, weights
    unit = inter_ocular(marks.mean)
    reach = np.sqrt((moves[used] ** 2).sum(2).mean(1)) / unit
    rotation, translation = rotation_matrix(camera), camera.translation
    log_focal0, log_focal = float(np.log(f.focal_ratio * iod)), float(np.log(camera.focal))
    count = 7 + model.n_modes
    ridge = np.sqrt(s.ridge)
    for _ in range(s.iterations):
        mean, modes, slid = marks.slide(
            shape, make_camera(rotation, translation, log_focal, center)
        )
        every = np.concatenate((modes, moves[used]))
        now = np.concatenate((shape, weights[used]))
        seen = ((mean + np.tensordot(now, every, 1)) * FLIP) @ rotation.T + translation
        focal = float(np.exp(log_focal))
        jacobian = projection_jacobian(seen, rotation, translation, every, focal)
        weight = 1 / ((landmark_sigma(f) + SLID * slid) * iod)
        error = (focal * seen[:, :2] / seen[:, 2:] + center - points) * weight[:, None]
        robust = np.sqrt(1 / (1 + (error**2).sum(1) / f.robust**2))
        rows = (jacobian * (weight * robust)[:, None, None]).reshape(136, -1)
        # Priors as rows; unknowns are steps of the camera and the values of all else.
        n = rows.shape[1]
        value = np.concatenate((np.zeros(7), now))
        focal_row = np.zeros((1, n))
        focal_row[0, 6] = 1 / f.focal_sigma
        identity = np.zeros((model.n_modes, n))
        identity[:, 7:count] = np.sqrt(f.shape_prior) * np.eye(model.n_modes)
        sparse = np.zeros((len(used), n))
        sparse[:, count:] = ridge * np.eye(len(used))
        camera_rows = np.zeros((7, n))  # keeps a step from running away
        camera_rows[:, :7] = np.diag([1, 1, 1, 1e-2, 1e-2, 1e-2, 1])
        system = np.concatenate((rows, focal_row, identity, sparse, camera_rows))
        goal = np.concatenate(
            (
                rows @ value - (error * robust[:, None]).ravel(),
                [(log_focal0 - log_focal) / f.focal_sigma],
                np.zeros(model.n_modes),
                -s.cost * reach / (2 * ridge),
                np.zeros(7),
            )
        )
        found = _bounded(system, goal, count)
        rotation = Rotation.from_rotvec(found[:3]).as_matrix() @ rotation
        translation = translation + found[3:6]
        log_focal = float(np.clip(log_focal + found[6], log_focal0 - 1, log_focal0 + 1))
        shape = found[7:count]
        weights[used] = np.where(found[count:] < 1e-6, 0, found[count:])
    return make_camera(rotation, translation, log_focal, center), shape, weights


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
    corners = model.faces[model.landmark_faces]
    moves = np.einsum("lc,elcx->elx", model.landmark_bary, model.blendshapes[:, corners])
    moved = np.tensordot(np.asarray(weights, np.float64), moves, 1)
    unit = inter_ocular(model.landmarks(model.mean))
    return float(np.sqrt((moved**2).sum(1).mean()) / unit)
