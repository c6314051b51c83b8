"""Fit the morphable model to the picture itself: project-out Gauss-Newton on dense features.

Starting from the landmark fit, rotation, translation, focal length, identity and small local
bumps of the surface (`synth.fitting.local`) minimise,
after Kollias et al. (IJCV 2020, Eq. 4) and Booth et al. (TPAMI 2018, sec. 4),

    |F(W(p, c)) - mean - U lambda|^2 + c_l |landmarks|^2 + c_s |p|^2 + c_t |lambda|^2

where F(W) are the dense features of the photo at the places where the surface samples of
the texture model are seen, U its modes, and p and lambda count in standard deviations. The
texture coefficients lambda are eliminated in every step: what U explains is projected out
of residual and Jacobian, so that the unknowns are those of the landmark fit. Only samples
that face the camera and are not hidden take part. Weights of blendshapes can be unknowns as
well, between 0 and 1.

The energy is in `synth.fitting.energy`. The weights keep the paper's numbers; `Units` says
what one of each is worth here.
``docs/fitting.md`` derives it and tells what the fit is good for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from synth.camera import rotation_matrix
from synth.fitting.energy import CAMERA, Energy, State
from synth.fitting.expression import shown_blendshapes
from synth.fitting.landmarks import FitSettings
from synth.fitting.samples import visible_samples
from synth.fitting.weights import DenseSettings, Units
from synth.types import Camera

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.morphable.texture import TextureModel

__all__ = ["DenseFit", "DenseSettings", "Units", "fit_dense", "visible_samples"]

Float = NDArray[np.float64]

#: Relative change of the energy at which the fit stops.
ENOUGH = 1e-4


class DenseFit(NamedTuple):
    """What the dense fit finds.

    Attributes
    ----------
    camera : Camera
    shape : (K,) float64
        Identity, standard deviations.
    vertices : (V, 3) float64
        With local bumps, and with the expression, mm.
    expression : (E,) float64
        Weights of the blendshapes, 0 to 1.
    """

    camera: Camera
    shape: Float
    vertices: Float
    expression: Float


def fit_dense(
    pixels: NDArray[np.uint8],
    points: Float,
    model: MorphableModel,
    texture: TextureModel,
    camera: Camera,
    shape: Float,
    settings: DenseSettings | None = None,
    prior: FitSettings | None = None,
    expression: Float | None = None,
) -> DenseFit:
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
        Robust scale of the landmarks, and the prior of the focal length.
    expression : (E,) float64, optional
        Weights of blendshapes to start from. Those that are not zero are fitted too; without
        it the face is taken for neutral.

    Returns
    -------
    DenseFit

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
    s, f = settings or DenseSettings(), prior or FitSettings()
    weights = np.zeros(len(model.blendshape_names)) if expression is None else expression.copy()
    shown = shown_blendshapes(model)
    shown = shown.only(weights[shown.index] > 0)
    energy = Energy(pixels, points, model, texture, s, f, shown)
    bumps = np.zeros(len(energy.samples.mark_modes))
    state = State(
        rotation_matrix(camera),
        camera.translation,
        float(np.log(camera.focal)),
        np.concatenate((shape, bumps, weights[shown.index])),
    )
    state = _descend(energy, state, s)
    weights[:] = 0
    weights[shown.index] = state.shape[energy.bounded]
    identity = state.shape[: model.n_modes].copy()
    return DenseFit(state.camera(energy.center), identity, energy.vertices(state), weights)


def _descend(energy: Energy, state: State, settings: DenseSettings) -> State:
    """Gauss-Newton with Levenberg's damping, to where the energy hardly falls."""
    damping, cost = 1e-3, np.inf
    for iteration in range(settings.iterations):
        if iteration % settings.refresh == 0:
            energy.refresh(state)
            cost = energy.cost(state)
        normal, gradient = energy.normal_equations(state)
        while True:
            new = state.stepped(_step(normal, gradient, damping, state, energy.bounded))
            new_cost = energy.cost(new)
            if new_cost <= cost or damping > 1e4:
                break
            damping *= 5
        done = cost - new_cost < ENOUGH * cost and iteration >= settings.refresh
        if new_cost <= cost:
            state, cost = new, new_cost
        damping = max(damping / 5, 1e-6)
        if done:
            break
    return state


def _step(normal: Float, gradient: Float, damping: float, state: State, bounded: slice) -> Float:
    """(7 + K,) damped step that leaves the weights of blendshapes between 0 and 1.

    Weights at a bound that the energy pushes against stay there (projected Newton: Bertsekas,
    SIAM J. Control Optim. 1982); the others are cut off at the bound.
    """
    damped = normal + damping * np.diag(np.diag(normal))
    inside = slice(CAMERA + bounded.start, CAMERA + bounded.stop)
    now, pull = state.shape[bounded], gradient[inside]
    free = np.ones(len(gradient), bool)
    free[inside] = ~(((now <= 0) & (pull > 0)) | ((now >= 1) & (pull < 0)))
    step = np.zeros(len(gradient))
    step[free] = -np.linalg.solve(damped[np.ix_(free, free)], gradient[free])
    step[inside] = np.clip(now + step[inside], 0, 1) - now
    return step
