"""The energy of the dense fit, and its Gauss-Newton equations with the texture projected out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.camera import FLIP
from synth.fitting.expression import Shown
from synth.fitting.landmarks import (
    SLID,
    FitSettings,
    landmark_sigma,
    landmarker,
    make_camera,
    projection_jacobian,
)
from synth.fitting.samples import samples_of, visible_samples
from synth.fitting.weights import DenseSettings
from synth.morphable.features import sample_features
from synth.morphable.texture import feature_image
from synth.types import Camera, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.morphable.texture import TextureModel

__all__ = ["Energy", "State"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Unknowns of the camera: rotation, translation, log focal length.
CAMERA = 7
#: Half the distance over which features are derived, pixels of the feature picture.
STEP = 0.5


@dataclass(frozen=True)
class State:
    """Unknowns of the fit; `shape` holds identity, local bumps, and the expression shown."""

    rotation: Float
    translation: Float
    log_focal: float
    shape: Float

    def camera(self, center: Float) -> Camera:
        """The camera, with a principal point."""
        return make_camera(self.rotation, self.translation, self.log_focal, center)

    def stepped(self, step: NDArray[np.floating]) -> State:
        """The state after a step (7 + K,)."""
        return State(
            Rotation.from_rotvec(step[:3]).as_matrix() @ self.rotation,
            self.translation + step[3:6],
            float(self.log_focal + step[6]),
            self.shape + step[CAMERA:],
        )

    def seen(self, mean: Float, modes: NDArray[np.floating]) -> Float:
        """(n, 3) camera space of points with these modes (K, n, 3)."""
        move = self.shape.astype(modes.dtype) @ modes.reshape(len(modes), -1)
        local = (mean + move.reshape(mean.shape)) * FLIP
        return np.asarray(local @ self.rotation.T + self.translation)


class Energy:
    """What a state of one photo costs; one standard deviation of identity costs 1.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    points : (68, 2) float64
        Landmarks, pixels.
    model : MorphableModel
    texture : TextureModel
    settings : DenseSettings
    prior : FitSettings
        Robust scale of the landmarks, and the prior of the focal length.
    shown : Shown
        Blendshapes whose weights are unknowns too.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        points: Float,
        model: MorphableModel,
        texture: TextureModel,
        settings: DenseSettings,
        prior: FitSettings,
        shown: Shown,
    ) -> None:
        self.s, self.prior, self.model, self.points = settings, prior, model, points
        self.samples, self.marks, self.shown = samples_of(model, texture), landmarker(model), shown
        self.features, self.matrix = feature_image(pixels, points, texture)
        self.center = (np.array(pixels.shape[1::-1], float) - 1) / 2
        self.iod = inter_ocular(points)
        self.sample_modes = np.concatenate(
            (self.samples.modes, self.samples.moves(model.blendshapes[shown.index]))
        )
        bumps = settings.follow * self.samples.mark_modes
        self.own_marks = np.concatenate((bumps, shown.marks))
        self._weigh(settings, prior)

    def _weigh(self, s: DenseSettings, prior: FitSettings) -> None:
        """Weights of the terms: all are divided by c_s, so that identity counts 1."""
        self.data = s.units.samples * s.units.energy / s.shape
        self.mark = s.landmarks * s.units.pixels**2 / s.shape
        self.ridge = s.texture / s.shape
        self.log_focal = float(np.log(prior.focal_ratio * self.iod))
        self.focal = prior.focal_sigma**-2 / prior.shape_prior
        self.mark_robust = prior.robust * prior.sigma_inner * np.sqrt(self.mark)
        bumps = len(self.samples.mark_modes)
        ones = np.ones(self.model.n_modes + bumps)
        zeros = np.zeros(len(ones))
        # Expression: a linear cost of each weight, and a small quadratic one. Both are to the
        # landmarks what they are in `fit_expression`.
        unit = self.mark * prior.sigma_inner**2
        self.stiff = np.concatenate((ones, self.shown.ridge * unit))
        self.linear = np.concatenate((zeros, self.shown.cost * unit / 2))

    @property
    def bounded(self) -> slice:
        """Where in ``State.shape`` the weights of blendshapes are, from 0 to 1 each."""
        return slice(len(self.stiff) - len(self.shown.index), len(self.stiff))

    def vertices(self, state: State) -> Float:
        """(V, 3) mesh of a state, mm."""
        modes, own = self.samples.all_modes, state.shape[: self.bounded.start]
        moved = (own.astype(np.float32) @ modes.reshape(len(modes), -1)).reshape(-1, 3)
        weights = state.shape[self.bounded]
        moved = moved + np.tensordot(weights, self.model.blendshapes[self.shown.index], 1)
        return np.asarray(self.model.mean + moved)

    # ------------------------------------------------------------------ every few steps
    def refresh(self, state: State) -> None:
        """Visibility, jaw places and weights of samples for the present state."""
        camera, texture = state.camera(self.center), self.samples.texture
        self.used = np.flatnonzero(
            visible_samples(self.model, texture, self.vertices(state), camera, self.s.facing)
        )
        self.mean, self.modes = self.samples.mean[self.used], self.sample_modes[:, self.used]
        self.target = texture.mean[self.used]
        self.basis = self.samples.texture_modes[self.used]
        count = max(len(self.used), 1)
        self.weight = np.full(count, self.data / (count * self.samples.energy), np.float32)
        self._eliminate()
        if self.s.robust:
            self._trust(state)
        identity = state.shape[: self.model.n_modes]
        self.mark_mean, modes, slid = self.marks.slide(identity, camera)
        self.mark_modes = np.concatenate((modes, self.own_marks))
        # As in the paper all landmarks count alike, but where along the outline a point of the
        # jaw belongs is known less the farther it slid.
        slack = 1 + SLID * slid / landmark_sigma(self.prior)
        self.mark_weight = np.sqrt(self.mark) / slack / self.iod

    def _trust(self, state: State) -> None:
        """Cauchy weights of the samples by what the texture modes leave of each."""
        left = self._left_over(state)
        scale = (self.s.robust * np.median(left)) ** 2
        trust = 1 / (1 + left**2 / max(scale, 1e-12))
        total = self.data / self.samples.energy
        self.weight = (trust * (total / max(trust.sum(), 1e-12))).astype(np.float32)
        self._eliminate()

    def _eliminate(self) -> None:
        """Inverse of the texture coefficients' own normal matrix."""
        k = self.basis.shape[2]
        flat = self.basis.reshape(-1, k)
        weight = np.repeat(self.weight, self.basis.shape[1])[:, None]
        normal = (flat * weight).T.astype(np.float64) @ flat
        normal += np.diag(self.ridge / np.maximum(self.samples.texture.sigma, 1e-9) ** 2)
        self.inverse = np.linalg.inv(normal + 1e-9 * np.trace(normal) / max(k, 1) * np.eye(k))

    def _along(self, residual: Float32) -> Float:
        """(K,) weighted products of a residual (n, C) with the texture modes."""
        return np.einsum("nck,nc,n->k", self.basis, residual, self.weight).astype(np.float64)

    def _left_over(self, state: State) -> Float:
        """(n,) length of the residual of each sample after the texture modes."""
        seen = state.seen(self.mean, self.modes)
        residual = self.sampled(seen, float(np.exp(state.log_focal)))[1]
        left = residual - self.basis @ (self.inverse @ self._along(residual))
        return np.asarray(np.linalg.norm(left, axis=1))

    # ------------------------------------------------------------------------ every step
    def sampled(self, seen: Float, focal: float) -> tuple[Float, Float32]:
        """Places in the feature picture (n, 2) and what differs there from the mean (n, C)."""
        at = focal * seen[:, :2] / seen[:, 2:] + self.center
        at = at @ self.matrix[:, :2].T + self.matrix[:, 2]
        return at, sample_features(self.features, at)[0] - self.target

    def _marks(self, state: State) -> tuple[Float, Float]:
        seen = state.seen(self.mark_mean, self.mark_modes)
        at = np.exp(state.log_focal) * seen[:, :2] / seen[:, 2:] + self.center
        return seen, (at - self.points) * self.mark_weight[:, None]

    def cost(self, state: State) -> float:
        """The energy of a state."""
        seen = state.seen(self.mean, self.modes)
        if seen[:, 2].min() <= 1:
            return np.inf
        residual = self.sampled(seen, float(np.exp(state.log_focal)))[1]
        along = self._along(residual)
        dense = float((self.weight[:, None] * residual**2).sum()) - along @ self.inverse @ along
        square = (self._marks(state)[1] ** 2).sum(1)
        marks = self.mark_robust**2 * np.log1p(square / self.mark_robust**2).sum()
        prior = self.stiff @ state.shape**2 + 2 * self.linear @ state.shape
        prior += self.focal * (state.log_focal - self.log_focal) ** 2
        return float(dense + marks + prior)

    def normal_equations(self, state: State) -> tuple[Float, Float]:
        """(7 + K, 7 + K) Gauss-Newton matrix and (7 + K,) gradient, both halved."""
        normal, gradient = self._add_marks(state, *self._dense_equations(state))
        normal[CAMERA:, CAMERA:] += np.diag(self.stiff)
        gradient[CAMERA:] += self.stiff * state.shape + self.linear
        normal[6, 6] += self.focal
        gradient[6] += self.focal * (state.log_focal - self.log_focal)
        return normal, gradient

    def _dense_equations(self, state: State) -> tuple[Float, Float]:
        """Of the features: two rows a sample instead of C, J.T J = places.T (slope.T slope) places.

        A feature depends on the unknowns only through the sample's place in the picture.
        """
        focal = float(np.exp(state.log_focal))
        seen = state.seen(self.mean, self.modes)
        at, residual = self.sampled(seen, focal)
        places = projection_jacobian(seen, state.rotation, state.translation, self.modes, focal)
        places = np.matmul(self.matrix[:, :2], places).astype(np.float32)  # (n, 2, P)
        slope = self.slope(at)
        weighted = (slope * self.weight[:, None, None]).transpose(0, 2, 1)
        flat = places.reshape(-1, places.shape[2])
        normal = flat.T @ np.matmul(np.matmul(weighted, slope), places).reshape(flat.shape)
        along = np.matmul(weighted, self.basis)  # (n, 2, K)
        cross = (flat.T @ along.reshape(len(flat), -1)).astype(np.float64)
        pull = np.matmul(weighted, residual[..., None]).reshape(-1)
        gradient = (flat.T @ pull).astype(np.float64)
        return (
            normal.astype(np.float64) - cross @ self.inverse @ cross.T,
            gradient - cross @ (self.inverse @ self._along(residual)),
        )

    def slope(self, at: Float) -> Float32:
        """(n, C, 2) derivative of the features by x and y at places of the feature picture."""

        def value(dx: float, dy: float) -> Float32:
            return sample_features(self.features, at + (dx, dy))[0]

        steps = (value(STEP, 0) - value(-STEP, 0), value(0, STEP) - value(0, -STEP))
        return np.asarray(np.stack(steps, axis=2) / (2 * STEP), np.float32)

    def _add_marks(self, state: State, normal: Float, gradient: Float) -> tuple[Float, Float]:
        seen, error = self._marks(state)
        focal = float(np.exp(state.log_focal))
        jacobian = projection_jacobian(
            seen, state.rotation, state.translation, self.mark_modes, focal
        )
        robust = np.sqrt(1 / (1 + (error**2).sum(1) / self.mark_robust**2))
        flat = (jacobian * (self.mark_weight * robust)[:, None, None]).reshape(136, -1)
        return normal + flat.T @ flat, gradient + flat.T @ (error * robust[:, None]).ravel()
