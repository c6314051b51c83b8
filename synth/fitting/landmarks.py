"""Fit the morphable model to 68 landmarks: camera and identity, then the residual correction.

Levenberg-Marquardt over rotation, translation, log focal length and identity,
with the Gaussian prior of the model on identity (the Sigma^-1 term of Kollias
et al., IJCV 2020, sec. 4.4, after Booth et al., TPAMI 2018) and a prior on the
focal length, which 68 frontal points do not determine. Residuals are weighted
by a Cauchy kernel, so that one bad point does not bend the face. Jaw landmarks
slide over the surface to where it turns away from the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.camera import FLIP, camera_offset, pose_degrees, project, view_directions
from synth.errors import SkipPhoto
from synth.fitting.correction import residual_field
from synth.meshes.mesh import vertex_normals
from synth.types import Camera, Fit, Landmarks, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["FitSettings", "fit_camera_and_shape", "fit_face", "landmark_sigma"]

Float = NDArray[np.float64]

#: Added to the expected error of a jaw landmark, per distance that it slid.
SLID = 0.25
#: Cosine between normal and view at which the outline of a cheek is seen.
OUTLINE = 0.0


@dataclass(frozen=True)
class FitSettings:
    """Weights of the fit.

    Attributes
    ----------
    sigma_inner, sigma_brow, sigma_contour : float
        Expected landmark error as a share of the inter-ocular distance.
    shape_prior : float
        Weight of ``|shape|^2``.
    focal_ratio, focal_sigma : float
        Prior of log focal: mean ``log(focal_ratio * inter_ocular)``, sd.
    robust : float
        Cauchy scale in units of the expected error.
    iterations : int
        At most; it stops earlier when the cost changes by less than 1e-4.
    max_residual : float
        Mean landmark residual above which the fit counts as failed.
    """

    sigma_inner: float = 0.015
    sigma_brow: float = 0.03
    sigma_contour: float = 0.04
    shape_prior: float = 0.3
    focal_ratio: float = 10.0
    focal_sigma: float = 0.2
    robust: float = 4.0
    iterations: int = 30
    max_residual: float = 0.06


def landmark_sigma(settings: FitSettings) -> Float:
    """(68,) expected landmark error as a share of the inter-ocular distance."""
    sigma = np.full(68, settings.sigma_inner)
    sigma[:17] = settings.sigma_contour
    sigma[17:27] = settings.sigma_brow
    return sigma


class _Landmarker:
    """Landmark positions and their identity modes, with the jaw sliding over the surface.

    Only the triangles around the jaw paths are kept: sliding needs no other normals.
    """

    def __init__(self, model: MorphableModel) -> None:
        corners = model.faces[model.landmark_faces]
        self.model = model
        self.bary = model.landmark_bary
        self.mean = np.einsum("lc,lcx->lx", self.bary, model.mean[corners])
        self.modes = np.einsum("lc,klcx->klx", self.bary, model.modes[:, corners])
        wanted = np.unique(model.contour)
        around = model.faces[np.isin(model.faces, wanted).any(1)]
        used, local = np.unique(around, return_inverse=True)
        self.faces = local.reshape(-1, 3)
        self.path = np.searchsorted(used, model.contour)
        self.local_mean = model.mean[used]
        self.local_modes = np.ascontiguousarray(model.modes[:, used].reshape(model.n_modes, -1))
        self.start = self._positions_on_path(model.contour)

    def _positions_on_path(self, path: NDArray[np.int32]) -> Float:
        """(17,) where each jaw landmark of the mean face lies on its path, in vertices."""
        start = np.zeros(17)
        for i in range(17):
            a, b = self.model.mean[path[i, :-1]], self.model.mean[path[i, 1:]]
            length = np.maximum(((b - a) ** 2).sum(1), 1e-12)
            t = np.clip(((self.mean[i] - a) * (b - a)).sum(1) / length, 0, 1)
            off = np.linalg.norm(a + t[:, None] * (b - a) - self.mean[i], axis=1)
            nearest = int(off.argmin())
            start[i] = nearest + t[nearest]
        return start

    def slide(self, shape: Float, camera: Camera) -> tuple[Float, Float, Float]:
        """Mean (68, 3), modes (K, 68, 3) and slid distance (68,) for a camera.

        Where the surface turns away from the camera in front of a jaw landmark, the
        landmark moves along its path to that place, the outline. The distance is a
        share of the inter-ocular distance.
        """
        mean, modes = self.mean.copy(), self.modes.copy()
        vertices = self.local_mean + (shape.astype(np.float32) @ self.local_modes).reshape(-1, 3)
        normals = vertex_normals(vertices, self.faces)
        facing = (normals * view_directions(vertices, camera)).sum(1)[self.path]
        for i in range(17):  # `facing` falls along the path
            below = np.flatnonzero(facing[i] < OUTLINE)
            if len(below) == 0 or below[0] == 0:
                continue
            b = int(below[0])
            share = (facing[i, b - 1] - OUTLINE) / max(facing[i, b - 1] - facing[i, b], 1e-6)
            here = b - 1 + float(share)
            if here < self.start[i]:
                mean[i] += self._on_path(i, here, self.model.mean)
                modes[:, i] += self._on_path(i, here, self.model.modes)
        return mean, modes, np.linalg.norm(mean - self.mean, axis=1) / inter_ocular(self.mean)

    def _on_path(self, landmark: int, position: float, values: NDArray[np.floating]) -> Float:
        """Difference of `values` (..., V, 3) between a position on a jaw path and its start."""
        path = self.model.contour[landmark]

        def at(t: float) -> Float:
            k = min(int(t), len(path) - 2)
            a, b = values[..., path[k], :], values[..., path[k + 1], :]
            return np.asarray(a + (t - k) * (b - a))

        return at(position) - at(float(self.start[landmark]))


def _start(points: Float, mean: Float, center: Float, focal: float) -> tuple[Float, Float]:
    """Upright rotation (roll from the eyes) and the translation that centres the face."""
    eyes = points[45] - points[36]
    roll = np.arctan2(eyes[1], eyes[0])
    rotation = Rotation.from_rotvec([0, 0, roll]).as_matrix()
    depth = focal * inter_ocular(mean) / inter_ocular(points)
    middle = np.append((points.mean(0) - center) * depth / focal, depth)
    return rotation, middle - rotation @ (mean * FLIP).mean(0)


def fit_camera_and_shape(
    points: Float,
    image_size: tuple[int, int],
    model: MorphableModel,
    settings: FitSettings | None = None,
) -> tuple[Camera, Float, Float]:
    """Camera and identity that put the model's landmarks on `points`.

    Parameters
    ----------
    points : (68, 2) float64
        Pixels.
    image_size : (height, width)
        The principal point is the middle of the picture.
    model : MorphableModel
    settings : FitSettings, optional

    Returns
    -------
    camera : Camera
    shape : (K,) float64
        Standard deviations.
    residual : (68,) float64
        Share of the inter-ocular distance.
    """
    s = settings or FitSettings()
    marks = landmarker(model)
    center = (np.array(image_size[::-1], float) - 1) / 2
    iod = inter_ocular(points)
    sigma = landmark_sigma(s)
    weight = 1 / (sigma * iod)
    log_focal0 = np.log(s.focal_ratio * iod)
    n_modes = model.n_modes
    shape, log_focal = np.zeros(n_modes), log_focal0
    mean, modes = marks.mean, marks.modes
    rotation, translation = _start(points, mean, center, float(np.exp(log_focal)))

    def evaluate(rot: Float, tra: Float, lf: float, sh: Float) -> tuple[Float, Float, float]:
        local = (mean + np.tensordot(sh, modes, 1)) * FLIP
        seen = local @ rot.T + tra
        if seen[:, 2].min() <= 1:
            return seen, np.zeros((68, 2)), np.inf
        error = (np.exp(lf) * seen[:, :2] / seen[:, 2:] + center - points) * weight[:, None]
        square = (error**2).sum(1)
        cost = s.robust**2 * np.log1p(square / s.robust**2).sum()
        cost += s.shape_prior * (sh**2).sum() + ((lf - log_focal0) / s.focal_sigma) ** 2
        return seen, error, float(cost)

    seen, error, cost = evaluate(rotation, translation, log_focal, shape)
    damping = 1e-3
    for iteration in range(s.iterations):
        if iteration >= 3 and iteration % 3 == 0:
            camera = make_camera(rotation, translation, log_focal, center)
            mean, modes, slid = marks.slide(shape, camera)
            # Where along the outline the point belongs is known less the farther it slid.
            weight = 1 / ((sigma + SLID * slid) * iod)
            seen, error, cost = evaluate(rotation, translation, log_focal, shape)
        jacobian = projection_jacobian(seen, rotation, translation, modes, float(np.exp(log_focal)))
        robust = 1 / (1 + (error**2).sum(1) / s.robust**2)
        row = (weight * np.sqrt(robust))[:, None, None]
        flat = (jacobian * row).reshape(136, -1)
        normal = flat.T @ flat
        gradient = flat.T @ (error * np.sqrt(robust)[:, None]).ravel()
        normal[7:, 7:] += s.shape_prior * np.eye(n_modes)
        gradient[7:] += s.shape_prior * shape
        normal[6, 6] += s.focal_sigma**-2
        gradient[6] += (log_focal - log_focal0) * s.focal_sigma**-2
        diagonal = np.diag(np.diag(normal))
        while True:
            step = -np.linalg.solve(normal + damping * diagonal, gradient)
            new = (
                Rotation.from_rotvec(step[:3]).as_matrix() @ rotation,
                translation + step[3:6],
                float(np.clip(log_focal + step[6], log_focal0 - 1, log_focal0 + 1)),
                shape + step[7:],
            )
            new_seen, new_error, new_cost = evaluate(*new)
            if new_cost <= cost or damping > 1e6:
                break
            damping *= 5
        done = cost - new_cost < 1e-4 * cost and iteration > 6
        if new_cost <= cost:
            rotation, translation, log_focal, shape = new
            seen, error, cost = new_seen, new_error, new_cost
        damping = max(damping / 5, 1e-6)
        if done:
            break
    residual = np.linalg.norm(error / weight[:, None], axis=1) / iod
    return make_camera(rotation, translation, log_focal, center), shape, residual


def make_camera(rotation: Float, translation: Float, log_focal: float, center: Float) -> Camera:
    quaternion = Rotation.from_matrix(rotation).as_quat()
    return Camera(quaternion, translation.copy(), float(np.exp(log_focal)), center)


def projection_jacobian(
    seen: Float, rotation: Float, translation: Float, modes: NDArray[np.floating], focal: float
) -> Float:
    """(n, 2, 7 + K) derivative of the projection by rotation, translation, log focal, shape."""
    inverse = 1 / seen[:, 2]
    by_point = np.zeros((len(seen), 2, 3))
    by_point[:, 0, 0] = by_point[:, 1, 1] = focal * inverse
    by_point[:, :, 2] = -focal * seen[:, :2] * inverse[:, None] ** 2
    turned = seen - translation
    cross = np.zeros((len(seen), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2] = turned[:, 2], -turned[:, 1]
    cross[:, 1, 0], cross[:, 1, 2] = -turned[:, 2], turned[:, 0]
    cross[:, 2, 0], cross[:, 2, 1] = turned[:, 1], -turned[:, 0]
    jacobian = np.empty((len(seen), 2, 7 + len(modes)))
    jacobian[:, :, :3] = by_point @ cross
    jacobian[:, :, 3:6] = by_point
    jacobian[:, :, 6] = focal * seen[:, :2] * inverse[:, None]
    moved = (modes * FLIP) @ rotation.T  # (K, n, 3)
    jacobian[:, :, 7:] = np.matmul(by_point, moved.transpose(1, 2, 0))
    return jacobian


_LANDMARKERS: dict[int, _Landmarker] = {}


def landmarker(model: MorphableModel) -> _Landmarker:
    key = id(model)
    found = _LANDMARKERS.get(key)
    if found is None or found.model is not model:
        found = _LANDMARKERS[key] = _Landmarker(model)
    return found


def fit_face(
    landmarks: Landmarks,
    image_size: tuple[int, int],
    model: MorphableModel,
    settings: FitSettings | None = None,
) -> Fit:
    """The model on the face: camera, identity, and lips, lids and brows exactly in place.

    Parameters
    ----------
    landmarks : Landmarks
    image_size : (height, width)
    model : MorphableModel
    settings : FitSettings, optional

    Returns
    -------
    Fit

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED`` when the landmarks do not look like a face to the model.
    """
    s = settings or FitSettings()
    points, iod = landmarks.points, landmarks.inter_ocular
    camera, shape, residual = fit_camera_and_shape(points, image_size, model, s)
    if not np.isfinite(residual).all() or residual.mean() > s.max_residual:
        raise SkipPhoto(
            "FIT_FAILED",
            f"fit: expected a mean landmark residual up to {s.max_residual:.1%} of the "
            f"inter-ocular distance, got {residual.mean():.1%}; check the landmarks, or give "
            "your own with --landmarks file:DIR",
            float(residual.mean()),
        )
    vertices = model.shape(shape)
    seen = project(vertices, camera)
    source = project(model.landmarks(vertices), camera)[:, :2]
    move = residual_field(source, points, iod)(seen[:, :2] / iod)
    vertices = vertices + camera_offset(move, seen[:, 2], camera)
    after = project(model.landmarks(vertices), camera)[:, :2]
    return Fit(
        shape=shape,
        expression=np.zeros(len(model.blendshape_names)),
        camera=camera,
        residual=residual,
        vertices=vertices,
        corrected=np.linalg.norm(after - points, axis=1) / iod,
        pose=pose_degrees(camera),
    )
