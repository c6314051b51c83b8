"""Fit the morphable model to the picture itself: project-out Gauss-Newton on dense features.

Starting from the landmark fit, rotation, translation, focal length, identity and small local
bumps of the surface (`synth.fitting.local`) minimise,
after Kollias et al. (IJCV 2020, Eq. 4) and Booth et al. (TPAMI 2018, sec. 4),

    |F(W(p, c)) - mean - U lambda|^2 + c_l |landmarks|^2 + c_s |p|^2 + c_t |lambda|^2

where F(W) are the dense features of the photo at the places where the surface samples of
the texture model are seen, U its modes, and p and lambda count in standard deviations. The
texture coefficients lambda are eliminated in every step: what U explains is projected out
of residual and Jacobian, so that the unknowns are those of the landmark fit. Only samples
that face the camera and are not hidden take part.

The weights keep the paper's numbers; `Units` says what one of each is worth here.
``docs/fitting.md`` derives it and tells what the fit is good for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.camera import FLIP, project, rotation_matrix, view_directions
from synth.fitting.landmarks import (
    SLID,
    FitSettings,
    landmark_sigma,
    landmarker,
    make_camera,
    projection_jacobian,
)
from synth.fitting.local import local_modes
from synth.meshes.mesh import vertex_normals
from synth.morphable.features import sample_features
from synth.morphable.texture import feature_image
from synth.render.raster import rasterise
from synth.types import Camera, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.morphable.texture import TextureModel

__all__ = ["DenseSettings", "Units", "fit_dense", "visible_samples"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Units:
    """What the paper's weights are multiplied by, since its features and pixels are not ours.

    The paper sums squared differences of descriptors over the visible vertices of its model
    and squared pixels over landmarks. Here the dense term is the mean over the visible
    samples, as a share of the features' own energy, landmarks count in inter-ocular distances,
    and everything is divided by c_s, so that one standard deviation of identity costs 1:

        dense term      samples * energy / c_s            =  874 with the defaults
        landmarks       c_l * pixels^2 / c_s              = 3000
        texture         c_t / c_s, in practice 0: pure project-out

    Attributes
    ----------
    samples : float
        Vertices that the paper's camera sees: about a fifth of the 53,215 of its model.
    energy : float
        Squared length of its descriptor at one vertex: SIFT, 512 long.
    pixels : float
        Between the outer eye corners of its pictures: a face in a high-definition frame.
    """

    samples: float = 10_000.0
    energy: float = 512.0**2
    pixels: float = 300.0


@dataclass(frozen=True)
class DenseSettings:
    """Weights of the dense fit.

    Attributes
    ----------
    landmarks, shape, texture : float
        The paper's c_l, c_s and c_t, in its units.
    units : Units
    facing : float
        Least cosine between surface and view of a sample that takes part.
    robust : float
        Scale of the Cauchy weight of a sample, in median residuals; 0 for none.
    iterations : int
        At most; it stops earlier when the cost changes by less than 1e-4.
    refresh : int
        Steps after which visibility, jaw and weights are found anew.
    """

    landmarks: float = 1e5
    shape: float = 3e6
    texture: float = 1.0
    units: Units = field(default_factory=Units)
    facing: float = 0.25
    robust: float = 0.0
    iterations: int = 20
    refresh: int = 4


class _Samples:
    """The model at the samples of a texture."""

    def __init__(self, model: MorphableModel, texture: TextureModel) -> None:
        texture.check_topology(model.faces)
        corners = model.faces[texture.faces]
        self.model, self.texture = model, texture
        self.mean = np.einsum("nc,ncx->nx", texture.bary, model.mean[corners])
        #: (K + L, V, 3): identity, then local bumps.
        self.all_modes = np.concatenate((model.modes, local_modes(model)))
        self.modes = np.zeros((len(self.all_modes), len(texture.faces), 3), np.float32)
        for corner in range(3):
            share = texture.bary[:, corner, None].astype(np.float32)
            self.modes += share * self.all_modes[:, corners[:, corner]]
        carriers = model.faces[model.landmark_faces]
        bumps = self.all_modes[model.n_modes :][:, carriers]
        #: (L, 68, 3): local bumps at the landmarks.
        self.mark_modes = np.einsum("lc,klcx->klx", model.landmark_bary, bumps)
        #: (n, C, K): texture modes by place.
        self.texture_modes = np.ascontiguousarray(texture.modes.transpose(1, 2, 0))
        power = (texture.mean.astype(np.float64) ** 2).sum(1).mean()
        power += (texture.sigma**2).sum() / len(texture.faces)
        #: Mean squared length of the features at one place.
        self.energy = float(power + texture.mean.shape[1] * texture.noise**2)


_SAMPLES: dict[tuple[int, int], _Samples] = {}


def _samples(model: MorphableModel, texture: TextureModel) -> _Samples:
    key = id(model), id(texture)
    found = _SAMPLES.get(key)
    if found is None or found.model is not model or found.texture is not texture:
        _SAMPLES.clear()  # large, and a run uses one
        found = _SAMPLES[key] = _Samples(model, texture)
    return found


def visible_samples(
    model: MorphableModel,
    texture: TextureModel,
    vertices: Float,
    camera: Camera,
    facing: float = 0.25,
) -> NDArray[np.bool_]:
    """Which samples of a texture the camera sees.

    Parameters
    ----------
    model : MorphableModel
    texture : TextureModel
    vertices : (V, 3) float64
        Model space, mm.
    camera : Camera
    facing : float
        Least cosine between the surface's normal and the direction of view.

    Returns
    -------
    (n,) bool
    """
    normals = vertex_normals(vertices, model.faces)
    cosine = (normals * view_directions(vertices, camera)).sum(1)
    corners = model.faces[texture.faces]
    turned = (texture.bary * cosine[corners]).sum(1) >= facing
    seen = project(vertices, camera)
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    side = 256  # coarse: only what lies well behind another part counts as hidden
    scale = (side - 1) / max(float((high - low).max()), 1e-9)
    local = np.column_stack(((seen[:, :2] - low) * scale, seen[:, 2]))
    depth = rasterise(local, model.faces, (0, 0, side, side))[2]
    at = np.einsum("nc,ncx->nx", texture.bary, local[corners])
    column, row = np.clip(np.rint(at[:, :2]).astype(int), 0, side - 1).T
    hidden = at[:, 2] > depth[row, column] + 6.0
    return np.asarray(turned & ~hidden)


@dataclass(frozen=True)
class _State:
    """Unknowns of the fit; `shape` holds identity, then local bumps."""

    rotation: Float
    translation: Float
    log_focal: float
    shape: Float

    def camera(self, center: Float) -> Camera:
        return make_camera(self.rotation, self.translation, self.log_focal, center)

    def stepped(self, step: NDArray[np.floating]) -> _State:
        return _State(
            Rotation.from_rotvec(step[:3]).as_matrix() @ self.rotation,
            self.translation + step[3:6],
            float(self.log_focal + step[6]),
            self.shape + step[7:],
        )

    def seen(self, mean: Float, modes: NDArray[np.floating]) -> Float:
        """(n, 3) camera space of points with these modes (K, n, 3)."""
        move = self.shape.astype(modes.dtype) @ modes.reshape(len(modes), -1)
        local = (mean + move.reshape(mean.shape)) * FLIP
        return np.asarray(local @ self.rotation.T + self.translation)


class _Problem:
    """The energy of one photo, in the weight of one standard deviation of identity."""

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        points: Float,
        model: MorphableModel,
        texture: TextureModel,
        settings: DenseSettings,
        prior: FitSettings,
    ) -> None:
        self.s, self.prior, self.model, self.points = settings, prior, model, points
        self.samples, self.marks = _samples(model, texture), landmarker(model)
        self.features, self.matrix = feature_image(pixels, points, texture)
        self.center = (np.array(pixels.shape[1::-1], float) - 1) / 2
        self.iod = inter_ocular(points)
        units = settings.units
        # Energy / c_s: identity counts 1 per squared standard deviation.
        self.data = units.samples * units.energy / settings.shape
        self.mark = settings.landmarks * units.pixels**2 / settings.shape
        self.ridge = settings.texture / settings.shape
        self.log_focal = float(np.log(prior.focal_ratio * self.iod))
        self.focal = prior.focal_sigma**-2 / prior.shape_prior
        self.sigma = landmark_sigma(prior)

    def refresh(self, state: _State) -> None:
        """Visibility, jaw places and weights of samples for the present state."""
        camera = state.camera(self.center)
        texture = self.samples.texture
        vertices = self.vertices(state)
        self.used = np.flatnonzero(
            visible_samples(self.model, texture, vertices, camera, self.s.facing)
        )
        self.mean, self.modes = self.samples.mean[self.used], self.samples.modes[:, self.used]
        self.target = texture.mean[self.used]
        count = max(len(self.used), 1)
        self.weight = np.full(count, self.data / (count * self.samples.energy), np.float32)
        self.basis = self.samples.texture_modes[self.used]
        self._eliminate()
        if self.s.robust:
            left = self._left_over(state)
            scale = (self.s.robust * np.median(left)) ** 2
            trust = 1 / (1 + left**2 / max(scale, 1e-12))
            total = self.data / self.samples.energy
            self.weight = (trust * (total / max(trust.sum(), 1e-12))).astype(np.float32)
            self._eliminate()
        identity = state.shape[: self.model.n_modes]
        self.mark_mean, modes, slid = self.marks.slide(identity, camera)
        self.mark_modes = np.concatenate((modes, self.samples.mark_modes))
        relative = self.prior.sigma_inner / (self.sigma + SLID * slid)
        self.mark_weight = np.sqrt(self.mark) * relative / self.iod
        self.mark_robust = self.prior.robust * self.prior.sigma_inner * np.sqrt(self.mark)

    def vertices(self, state: _State) -> Float:
        """(V, 3) mesh of a state, mm."""
        modes = self.samples.all_modes
        moved = state.shape.astype(np.float32) @ modes.reshape(len(modes), -1)
        return np.asarray(self.model.mean + moved.reshape(-1, 3))

    def _eliminate(self) -> None:
        """Factor of the texture coefficients' own normal matrix."""
        k = self.basis.shape[2]
        flat = self.basis.reshape(-1, k)
        weight = np.repeat(self.weight, self.basis.shape[1])[:, None]
        normal = (flat * weight).T.astype(np.float64) @ flat
        normal += np.diag(self.ridge / np.maximum(self.samples.texture.sigma, 1e-9) ** 2)
        self.inverse = np.linalg.inv(normal + 1e-9 * np.trace(normal) / max(k, 1) * np.eye(k))

    def _sampled(self, seen: Float, focal: float) -> tuple[Float, Float32]:
        """Places in the feature picture (n, 2) and what differs there from the mean (n, C)."""
        at = focal * seen[:, :2] / seen[:, 2:] + self.center
        at = at @ self.matrix[:, :2].T + self.matrix[:, 2]
        return at, sample_features(self.features, at)[0] - self.target

    def _left_over(self, state: _State) -> Float:
        """(n,) length of the residual of each sample after the texture modes."""
        seen = state.seen(self.mean, self.modes)
        residual = self._sampled(seen, float(np.exp(state.log_focal)))[1]
        along = np.einsum("nck,nc,n->k", self.basis, residual, self.weight)
        residual = residual - self.basis @ (self.inverse @ along)
        return np.asarray(np.linalg.norm(residual, axis=1))

    def _marks(self, state: _State) -> tuple[Float, Float]:
        seen = state.seen(self.mark_mean, self.mark_modes)
        at = np.exp(state.log_focal) * seen[:, :2] / seen[:, 2:] + self.center
        return seen, (at - self.points) * self.mark_weight[:, None]

    def cost(self, state: _State) -> float:
        seen = state.seen(self.mean, self.modes)
        if seen[:, 2].min() <= 1:
            return np.inf
        residual = self._sampled(seen, float(np.exp(state.log_focal)))[1]
        along = np.einsum("nck,nc,n->k", self.basis, residual, self.weight).astype(np.float64)
        dense = float((self.weight[:, None] * residual**2).sum()) - along @ self.inverse @ along
        square = (self._marks(state)[1] ** 2).sum(1)
        marks = self.mark_robust**2 * np.log1p(square / self.mark_robust**2).sum()
        prior = (state.shape**2).sum() + self.focal * (state.log_focal - self.log_focal) ** 2
        return float(dense + marks + prior)

    def normal_equations(self, state: _State) -> tuple[Float, Float]:
        """(7 + K, 7 + K) Gauss-Newton matrix and (7 + K,) gradient."""
        focal = float(np.exp(state.log_focal))
        seen = state.seen(self.mean, self.modes)
        at, residual = self._sampled(seen, focal)
        slope = np.stack(
            [
                sample_features(self.features, at + step)[0]
                - sample_features(self.features, at - step)[0]
                for step in (np.array([0.5, 0.0]), np.array([0.0, 0.5]))
            ],
            axis=2,
        )  # (n, C, 2)
        places = projection_jacobian(seen, state.rotation, state.translation, self.modes, focal)
        places = np.matmul(self.matrix[:, :2], places).astype(np.float32)  # (n, 2, P)
        # Two rows a sample instead of C: J.T J = places.T (slope.T slope) places.
        weighted = slope * self.weight[:, None, None]
        flat = places.reshape(-1, places.shape[2])
        squares = np.matmul(weighted.transpose(0, 2, 1), slope)
        normal = flat.T @ np.matmul(squares, places).reshape(flat.shape)
        along = np.matmul(weighted.transpose(0, 2, 1), self.basis)  # (n, 2, K)
        cross = (flat.T @ along.reshape(len(flat), -1)).astype(np.float64)
        pull = np.matmul(weighted.transpose(0, 2, 1), residual[..., None]).reshape(-1)
        own = np.einsum("nck,nc,n->k", self.basis, residual, self.weight).astype(np.float64)
        normal = normal.astype(np.float64) - cross @ self.inverse @ cross.T
        gradient = (flat.T @ pull).astype(np.float64) - cross @ (self.inverse @ own)
        self._add_marks(state, focal, normal, gradient)
        normal[7:, 7:] += np.eye(len(state.shape))
        gradient[7:] += state.shape
        normal[6, 6] += self.focal
        gradient[6] += self.focal * (state.log_focal - self.log_focal)
        return normal, gradient

    def _add_marks(self, state: _State, focal: float, normal: Float, gradient: Float) -> None:
        seen, error = self._marks(state)
        jacobian = projection_jacobian(
            seen, state.rotation, state.translation, self.mark_modes, focal
        )
        robust = np.sqrt(1 / (1 + (error**2).sum(1) / self.mark_robust**2))
        flat = (jacobian * (self.mark_weight * robust)[:, None, None]).reshape(136, -1)
        normal += flat.T @ flat
        gradient += flat.T @ (error * robust[:, None]).ravel()


def fit_dense(
    pixels: NDArray[np.uint8],
    points: Float,
    model: MorphableModel,
    texture: TextureModel,
    camera: Camera,
    shape: Float,
    settings: DenseSettings | None = None,
    prior: FitSettings | None = None,
) -> tuple[Camera, Float, Float]:
    """Camera, identity and surface that put the texture's features where the photo shows them.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        sRGB.
    points : (68, 2) float64
        Landmarks, pixels.
    model : MorphableModel
        On the texture's topology.
    texture : TextureModel
    camera : Camera
        To start from, with the picture's middle as principal point.
    shape : (K,) float64
        To start from, standard deviations.
    settings : DenseSettings, optional
    prior : FitSettings, optional
        Relative errors of the landmarks, and the prior of the focal length.

    Returns
    -------
    camera : Camera
    shape : (K,) float64
        Standard deviations.
    vertices : (V, 3) float64
        With local bumps, mm.

    Raises
    ------
    MeshError
        If model and texture are not of the same triangles.

    References
    ----------
    .. [1] Kollias et al., "Deep Neural Network Augmentation: Generating Faces for Affect
       Analysis", IJCV 2020, Eq. 4.
    .. [2] Booth et al., "3D Reconstruction of 'In-the-Wild' Faces in Images and Videos",
       TPAMI 2018, sec. 4.
    """
    s = settings or DenseSettings()
    problem = _Problem(pixels, points, model, texture, s, prior or FitSettings())
    state = _State(
        rotation_matrix(camera),
        camera.translation,
        float(np.log(camera.focal)),
        np.concatenate((shape, np.zeros(len(problem.samples.mark_modes)))),
    )
    damping, cost = 1e-3, np.inf
    for iteration in range(s.iterations):
        if iteration % s.refresh == 0:
            problem.refresh(state)
            cost = problem.cost(state)
        normal, gradient = problem.normal_equations(state)
        diagonal = np.diag(np.diag(normal))
        while True:
            new = state.stepped(-np.linalg.solve(normal + damping * diagonal, gradient))
            new_cost = problem.cost(new)
            if new_cost <= cost or damping > 1e4:
                break
            damping *= 5
        done = cost - new_cost < 1e-4 * cost and iteration >= s.refresh
        if new_cost <= cost:
            state, cost = new, new_cost
        damping = max(damping / 5, 1e-6)
        if done:
            break
    identity = state.shape[: model.n_modes].copy()
    return state.camera(problem.center), identity, problem.vertices(state)
