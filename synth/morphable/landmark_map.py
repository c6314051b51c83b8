"""Which vertices of a mesh are the 68 iBUG landmarks: commented maps, and what they leave out.

A map is text, one landmark a line: its iBUG number and the vertex, both from 0; ``#`` starts a
comment::

    # iBUG  vertex
    30      8156   # tip of the nose
    36      2602   # right eye, outer corner

Landmarks that a map leaves out are found by geometry: the embedded model is fitted to the mean
surface and its known landmarks, its own landmarks are carried over by the smooth warp that takes
the fitted known ones to the given, and put on the nearest place of the surface.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.errors import MeshError
from synth.meshes.rigid import similarity
from synth.morphable.model import N_LANDMARKS, MorphableModel, load_model
from synth.morphable.surface import outer_surface

if TYPE_CHECKING:
    from synth.meshes.nearest import Surface

__all__ = ["as_places", "complete_places", "embedded_model", "read_landmark_map"]

Float = NDArray[np.float64]
Int = NDArray[np.int32]

#: Fewer known landmarks do not tell where the others are.
FEWEST = 6
ITERATIONS = 8
NOISE = 2.0  # millimetres by which a landmark of another model may differ
SURFACE = 60.0  # landmarks that the whole surface counts for
FARTHEST = 15.0  # millimetres; a point farther from the surface than this has no partner on it


@cache
def embedded_model() -> MorphableModel:
    """The model of the package, whose landmarks and axes the others follow."""
    return load_model(assets.path("anny_face"))


def read_landmark_map(text: str, name: str = "landmark map") -> Int:
    """(68,) vertex of each iBUG-68 landmark, -1 for those that the map leaves out.

    Parameters
    ----------
    text : str
        Lines ``landmark vertex``, both from 0; ``#`` starts a comment.
    name : str
        For the message of an error.

    Raises
    ------
    MeshError
        If a line is not that, or names a landmark twice.
    """
    found = np.full(N_LANDMARKS, -1, np.int32)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            landmark, vertex = (int(word) for word in words)
        except ValueError:
            landmark = vertex = -1
        if not (0 <= landmark < N_LANDMARKS and 0 <= vertex < 2**31) or found[landmark] >= 0:
            raise MeshError(
                f"{name}, line {number}: expected a landmark 0 to 67, once, and its vertex, "
                f"got {line.strip()!r}; correct it"
            )
        found[landmark] = vertex
    return found


def as_places(ids: NDArray[np.integer], faces: Int) -> tuple[Int, Float]:
    """Triangles (68,) and weights (68, 3) of landmarks given as vertices (68,).

    A landmark with vertex -1 gets triangle -1.

    Raises
    ------
    MeshError
        If a vertex is not one of the mesh's triangles.
    """
    ids = np.asarray(ids)
    if ids.shape != (N_LANDMARKS,):
        raise MeshError(f"landmarks: expected {N_LANDMARKS} vertices, got shape {ids.shape}")
    order = np.argsort(faces.ravel(), kind="stable")
    corners = faces.ravel()[order]
    at = np.searchsorted(corners, ids)
    there = (at < len(corners)) & (corners[np.minimum(at, len(corners) - 1)] == ids)
    missing = np.flatnonzero((ids >= 0) & ~there)
    if len(missing):
        k = int(missing[0])
        raise MeshError(
            f"landmarks: expected vertices of the mesh's triangles, got {int(ids[k])} for "
            f"landmark {k}; give the map that belongs to this topology (--landmarks)"
        )
    corner = order[np.minimum(at, len(corners) - 1)]
    places = np.where(ids >= 0, corner // 3, -1).astype(np.int32)
    bary = np.zeros((N_LANDMARKS, 3))
    bary[np.arange(N_LANDMARKS), corner % 3] = 1.0
    return places, bary


def complete_places(
    mean: Float, faces: Int, places: Int, bary: Float
) -> tuple[Int, Float, list[int]]:
    """The same landmarks with the missing ones (triangle -1) found by geometry.

    Returns
    -------
    places : (68,) int32
    bary : (68, 3) float64
    found : list of int
        Landmarks that were found by geometry, empty if the map was complete.

    Raises
    ------
    MeshError
        If fewer than `FEWEST` landmarks are known.
    """
    known = places >= 0
    found = np.flatnonzero(~known).tolist()
    if not found:
        return places, bary, found
    if known.sum() < FEWEST:
        raise MeshError(
            f"landmarks: expected at least {FEWEST} known ones, got {int(known.sum())}; "
            "give a map of this topology (--landmarks)"
        )
    from scipy.interpolate import RBFInterpolator

    from synth.meshes.nearest import Surface

    model = embedded_model()
    reference = model.landmarks(model.mean)
    here = np.einsum("lc,lcx->lx", bary[known], mean[faces[places[known]]])
    scale, rotation, shift = similarity(reference[known], here)
    surface = Surface((mean - shift) @ rotation / scale, faces)  # in the embedded model's place
    here = (here - shift) @ rotation / scale
    moved = _fitted_landmarks(model, surface, here, known)
    # What the fit leaves fades to its mean away from the known points: no wild extrapolation.
    warp = RBFInterpolator(moved[known], here - moved[known], kernel="linear", degree=0)
    near = surface.nearest(moved[found] + warp(moved[found]))
    places, bary = places.copy(), bary.copy()
    places[found], bary[found] = near.face, near.bary
    return places, bary, found


def _fitted_landmarks(
    model: MorphableModel, surface: Surface, here: Float, known: NDArray[np.bool_]
) -> Float:
    """(68, 3) landmarks of the embedded model fitted to a surface and its known landmarks.

    Gauss-Newton over identity and a small similarity; skin vertices of the front stay within
    the tangent planes of their nearest points, and together weigh as much as `SURFACE` landmarks.
    """
    skin, _ = outer_surface(model)
    front = skin[(model.mean[skin, 2] > -45) & (np.abs(model.mean[skin, 1] + 30) < 90)][::3]
    corners = model.faces[model.landmark_faces]
    marks = np.einsum("lc,lcx->lx", model.landmark_bary, model.mean[corners])
    mark_modes = np.einsum("lc,klcx->klx", model.landmark_bary, model.modes[:, corners])
    point_modes = model.modes[:, front].astype(np.float64)
    k = model.n_modes
    unknown = np.zeros(k + 7)
    prior = np.concatenate([np.ones(k), np.full(7, 1e-4)])
    triangle = surface.vertices[surface.faces]
    normals = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    for _ in range(ITERATIONS):
        points = _placed(model.mean[front], point_modes, unknown)
        near = surface.nearest(points)
        normal = normals[near.face]
        gap = ((near.point - points) * normal).sum(1)
        used = near.distance < FARTHEST
        rows = np.einsum("jvx,vx->vj", _columns(model.mean[front], point_modes), normal)[used]
        weight = SURFACE / max(int(used.sum()), 1)
        landmark = _columns(marks, mark_modes)[:, known].reshape(k + 7, -1).T
        residual = (here - _placed(marks, mark_modes, unknown)[known]).ravel()
        system = (weight * rows.T @ rows + landmark.T @ landmark) / NOISE**2 + np.diag(prior)
        side = (weight * rows.T @ gap[used] + landmark.T @ residual) / NOISE**2 - prior * unknown
        unknown += np.linalg.solve(system, side)
    return _placed(marks, mark_modes, unknown)


def _columns(mean: Float, modes: Float) -> Float:
    """(K + 7, V, 3) derivatives by identity, shift, turn and scale (per tenth), linearised."""
    turn = [np.cross(axis, mean) / 10 for axis in np.eye(3)]
    shift = [np.broadcast_to(axis, mean.shape) for axis in np.eye(3)]
    return np.concatenate([modes, np.stack([*shift, *turn, mean / 10])])


def _placed(mean: Float, modes: Float, unknown: Float) -> Float:
    return mean + np.einsum("j,jvx->vx", unknown, _columns(mean, modes))
