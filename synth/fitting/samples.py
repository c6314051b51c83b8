"""The places of a texture model on the mesh: how they move, and which the camera sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.camera import project, view_directions
from synth.fitting.local import local_modes
from synth.meshes.mesh import vertex_normals
from synth.render.raster import rasterise

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.morphable.texture import TextureModel
    from synth.types import Camera

__all__ = ["Samples", "samples_of", "visible_samples"]

Float = NDArray[np.float64]

#: Resolution of the depth map: coarse, so that only what lies well behind something is hidden.
SIDE = 256
#: How far behind the visible surface a sample may lie, mm.
BEHIND = 6.0


class Samples:
    """The model at the samples of a texture."""

    def __init__(self, model: MorphableModel, texture: TextureModel) -> None:
        texture.check_topology(model.faces)
        corners = model.faces[texture.faces]
        self.model, self.texture = model, texture
        self.mean = np.einsum("nc,ncx->nx", texture.bary, model.mean[corners])
        #: (K + L, V, 3): identity, then local bumps.
        self.all_modes = np.concatenate((model.modes, local_modes(model)))
        self.modes = self.moves(self.all_modes)
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

    def moves(self, modes: NDArray[np.floating]) -> NDArray[np.float32]:
        """(K, n, 3) float32 how modes (K, V, 3) of the mesh move the samples."""
        corners, bary = self.model.faces[self.texture.faces], self.texture.bary
        moved = np.zeros((len(modes), len(corners), 3), np.float32)
        for corner in range(3):
            share = bary[:, corner, None].astype(np.float32)
            moved += share * modes[:, corners[:, corner]].astype(np.float32)
        return moved


_SAMPLES: dict[tuple[int, int], Samples] = {}


def samples_of(model: MorphableModel, texture: TextureModel) -> Samples:
    """The samples of a texture on a model; kept for the next photo."""
    key = id(model), id(texture)
    found = _SAMPLES.get(key)
    if found is None or found.model is not model or found.texture is not texture:
        _SAMPLES.clear()  # large, and a run uses one
        found = _SAMPLES[key] = Samples(model, texture)
    return found


def visible_samples(
    model: MorphableModel,
    texture: TextureModel,
    vertices: Float,
    camera: Camera,
    facing: float = 0.35,
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
    scale = (SIDE - 1) / max(float((high - low).max()), 1e-9)
    local = np.column_stack(((seen[:, :2] - low) * scale, seen[:, 2]))
    depth = rasterise(local, model.faces, (0, 0, SIDE, SIDE))[2]
    at = np.einsum("nc,ncx->nx", texture.bary, local[corners])
    column, row = np.clip(np.rint(at[:, :2]).astype(int), 0, SIDE - 1).T
    hidden = at[:, 2] > depth[row, column] + BEHIND
    return np.asarray(turned & ~hidden)
