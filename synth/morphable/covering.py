"""What of a rig is covered by another mesh, and how the rest follows.

The uncovered skin and the mouth and sockets that hang on it continue the motion of the
covered skin smoothly; teeth, tongue and eyeballs, which hang on nothing, follow the
affine map that fits the motion of the skin around them best. Both are linear, so that
together they are one sparse matrix. Where people of the rig differ as the covered skin
does, its own people say how the rest goes with it (`companions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from synth.morphable.model import MorphableModel

__all__ = [
    "RIGID",
    "anchors",
    "companions",
    "extension",
    "laplacian",
    "outer_skin",
    "skin_faces",
]

Float = NDArray[np.float64]
Index = NDArray[np.int64]

#: Parts that keep their shape.
RIGID = ("upper_teeth", "lower_teeth", "tongue", "left_eye", "right_eye")
#: How much the uncovered skin resists stretching beside bending (1 / edges squared): far from
#: what is covered it moves as its neighbours do rather than on along their slope.
STRETCH = 0.02
#: Vertices that companions are read from, about, and what the modes leave in each, mm.
READ, NOISE = 1200, 0.5
#: Rows of vertices at lips and lids that lie inside: not to be looked for on a scan.
HIDDEN_ROWS = 2


def vertices_of(model: MorphableModel, *names: str) -> Index:
    """Vertices of the parts with these names."""
    rows = [k for k, name in enumerate(model.part_names) if name in names]
    return np.unique(model.faces[np.isin(model.parts, rows)]).astype(np.int64)


def skin_faces(model: MorphableModel) -> Index:
    """Triangles that may carry skin: skin or lips by name, and hanging together with landmarks."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = [k for k, name in enumerate(model.part_names) if name in ("skin", "lips")]
    named = np.isin(model.parts, rows)
    faces = model.faces[named].astype(np.int64)
    edges = np.concatenate((faces[:, :2], faces[:, 1:]))
    graph = coo_matrix((np.ones(len(edges)), edges.T), (model.n_vertices,) * 2)
    piece = connected_components(graph, directed=False)[1]
    held = np.unique(piece[model.faces[model.landmark_faces, 0]])
    return np.flatnonzero(named & np.isin(piece[model.faces[:, 0]], held))


def outer_skin(rig: MorphableModel) -> NDArray[np.bool_]:
    """(V,) skin and lips that can be seen: without the rows next to the mouth and the sockets."""
    outer = np.zeros(rig.n_vertices, bool)
    outer[vertices_of(rig, "skin", "lips")] = True
    inside = vertices_of(rig, "mouth_cavity", "eye_socket")
    for _ in range(HIDDEN_ROWS):
        outer[inside] = False
        inside = np.unique(rig.faces[np.isin(rig.faces, inside).any(1)])
    return outer


def laplacian(model: MorphableModel) -> csr_matrix:
    """(V, V) differences from the mean of the neighbours on the mesh."""
    from scipy.sparse import coo_matrix, diags

    faces = model.faces.astype(np.int64)
    pairs = np.concatenate((faces[:, :2], faces[:, 1:], faces[:, [2, 0]]))
    length = np.linalg.norm(model.mean[pairs[:, 0]] - model.mean[pairs[:, 1]], axis=1)
    weight = 1 / np.maximum(length, 0.2)
    graph = coo_matrix((weight, pairs.T), (model.n_vertices,) * 2).tocsr()
    graph = graph + graph.T
    degree = np.asarray(graph.sum(1)).ravel()
    return (diags(np.ones(len(degree))) - diags(1 / np.maximum(degree, 1e-12)) @ graph).tocsr()


def anchors(rig: MorphableModel, part: str) -> Index:
    """Skin around a rigid part, which it follows: the lids of an eye, the lips, the chin."""
    skin = vertices_of(rig, "skin", "lips")
    points = rig.landmarks(rig.mean)
    if part.endswith("eye"):
        around = points[42:48] if part == "left_eye" else points[36:42]
        reach = 9.0
    elif part == "upper_teeth":
        around, reach = np.concatenate((points[48:55], points[60:65], points[31:36])), 7.0
    else:
        around, reach = np.concatenate((points[54:61], points[64:68], points[48:49])), 9.0
    near = np.linalg.norm(rig.mean[skin, None] - around, axis=2).min(1) < reach
    return skin[near]


def extension(rig: MorphableModel, placed: Float, covered: Index) -> csr_matrix:
    """(V, V) sparse matrix that carries offsets of the `covered` vertices to all.

    Rows of covered vertices are those of the identity; columns of others are empty.

    Parameters
    ----------
    rig : MorphableModel
    placed : (V, 3) float64
        Where its vertices are.
    covered : (n,) int
    """
    from scipy.sparse import coo_matrix, csr_matrix

    rigid = np.zeros(rig.n_vertices, bool)
    rigid[vertices_of(rig, *RIGID)] = True
    free = ~rigid
    free[covered] = False
    smooth = _smooth_rows(rig, np.flatnonzero(free), covered)
    hold = csr_matrix((np.ones(len(covered)), (covered, covered)), (rig.n_vertices,) * 2)
    skin = (hold + smooth).tocsr()
    rows = [skin]
    for part in RIGID:
        inside, around = vertices_of(rig, part), anchors(rig, part)
        follow = _similar_rows(placed[inside], placed[around])
        r, c = np.repeat(inside, len(around)), np.tile(around, len(inside))
        on = coo_matrix((follow.ravel(), (r, c)), (rig.n_vertices,) * 2).tocsr()
        rows.append(on @ skin)
    total = rows[0]
    for more in rows[1:]:
        total = total + more
    return total.tocsr()


def companions(
    placed: Float, modes: Float, follow: csr_matrix, free: Index, covered: Index
) -> tuple[Index, Float, Float]:
    """What the rig's own people say of the uncovered vertices.

    The identity modes and the motion as a whole that explain the offsets of the covered skin
    best (least squares with the prior of the model) add to what the sparse map gives for the
    others.

    Parameters
    ----------
    placed : (V, 3) float64
        The rig on the face.
    modes : (K, V, 3) float64
        Of the rig, turned to that face.
    follow : (V, V) sparse
        See `extension`.
    free : (m,) int
        Uncovered vertices.
    covered : (n,) int
        Those to read from.

    Returns
    -------
    read : (r,) int64
        Vertices that are read.
    reader : (K + 7, r, 3) float64
        Coefficients are the sum of ``reader * offsets[read]``.
    told : (m, 3, K + 7) float64
        What to add to the offsets of `free` per unit of each coefficient.
    """
    modes = np.concatenate((modes, _whole(placed)))
    read = covered[:: max(1, len(covered) // READ)]
    seen = modes[:, read].reshape(len(modes), -1)
    prior = np.where(np.arange(len(modes)) < len(modes) - 7, NOISE**2, 1e-6)
    gram = seen @ seen.T + np.diag(prior)
    reader = np.linalg.solve(gram, seen).reshape(len(modes), len(read), 3)
    rows = follow[free]
    told = np.stack([mode[free] - rows @ mode for mode in modes], axis=2)
    return read, reader, told


def _whole(placed: Float) -> Float:
    """(7, V, 3) small shifts, turns and growth of everything, about 1 mm each."""
    away = (placed - placed.mean(0)) / 80.0
    shifts = np.broadcast_to(np.eye(3)[:, None], (3, *placed.shape))
    turns = np.cross(np.eye(3)[:, None], away[None])
    return np.concatenate((shifts, turns, away[None]))


def _smooth_rows(rig: MorphableModel, free: Index, covered: Index) -> csr_matrix:
    """Rows of the free vertices: least bending, and a little least stretching."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    if not len(free):
        return coo_matrix((rig.n_vertices,) * 2).tocsr()
    lap = laplacian(rig)
    energy = (lap.T @ lap + STRETCH * (lap + lap.T) / 2).tocsr()
    inner, across = energy[free][:, free], energy[free][:, covered]
    used = np.flatnonzero(np.diff(across.tocsc().indptr))
    solved = -splu(inner.tocsc()).solve(across[:, used].toarray())
    solved[np.abs(solved) < 1e-5] = 0
    # a shift of all that is covered shifts all
    solved /= np.maximum(solved.sum(1, keepdims=True), 1e-3)
    r, c = np.nonzero(solved)
    return coo_matrix((solved[r, c], (free[r], covered[used[c]])), (rig.n_vertices,) * 2).tocsr()


def _similar_rows(inside: Float, around: Float) -> Float:
    """(m, n) weights that carry a motion of the points `around` (n, 3) to those `inside` (m, 3)."""
    middle = around.mean(0)
    spread = around - middle
    # least squares of an affine map, damped: a ring of anchors says little across itself
    gram = spread.T @ spread
    gram += 0.1 * np.trace(gram) / 3 * np.eye(3)
    return np.asarray(1 / len(around) + (inside - middle) @ np.linalg.solve(gram, spread.T))
