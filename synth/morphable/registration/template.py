"""A template mesh prepared for registration: what depends on it alone, computed once.

Displacements of the template are smooth in the sense of the thin plate: the integral of their
squared Laplacian, with cotangent weights and lumped vertex areas [1]_.

References
----------
.. [1] Botsch & Kobbelt, "An Intuitive Framework for Real-Time Freeform Modeling",
   SIGGRAPH 2004.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import MeshError
from synth.meshes.mesh import Mesh
from synth.morphable.registration.cholesky import BlockCholesky

__all__ = ["Template", "boundary_vertices", "prepare_template"]

Float = NDArray[np.float64]
#: `(faces (n,), bary (n, 3))`, or the numbers (n,) of vertices.
LandmarkPlaces = tuple[ArrayLike, ArrayLike] | ArrayLike

OUTER_EYES = (36, 45)


@dataclass(frozen=True, eq=False)
class Template:
    """A mesh with landmarks and the operators of its surface.

    Attributes
    ----------
    mesh : Mesh
    marks : sparse (n, V)
        Rows of barycentric coordinates: ``marks @ vertices`` are the landmarks.
    area : (V,) float64
        Share of each vertex in the surface.
    boundary : (V,) bool
        Vertices on an edge of one triangle.
    laplacian : sparse (V, V)
        Cotangent, positive semi-definite.
    bilaplacian : sparse (V, V)
    system : BlockCholesky
        Of matrices with the pattern of the bilaplacian and the landmarks.
    modes : (M, V, 3) float64 or None
        How such faces differ and move, each per standard deviation; see `prior`.
    moves : (B, V, 3) float64 or None
        How they move, at weight 1: blendshapes, by which a subject's face is posed; see `motion`.
    size : float
        Between the outer eye corners, of other than 68 landmarks twice their spread.
    """

    mesh: Mesh
    marks: Any
    area: Float
    boundary: NDArray[np.bool_]
    laplacian: Any
    bilaplacian: Any
    system: BlockCholesky
    modes: Float | None
    moves: Float | None
    size: float

    @property
    def landmarks(self) -> Float:
        """(n, 3) the landmarks of the template itself."""
        return np.asarray(self.marks @ self.mesh.vertices)


def prepare_template(
    mesh: Mesh,
    landmarks: LandmarkPlaces,
    modes: ArrayLike | None = None,
    moves: ArrayLike | None = None,
) -> Template:
    """The operators of a template.

    Parameters
    ----------
    mesh : Mesh
        Every vertex used by a triangle.
    landmarks : (faces (n,), bary (n, 3)) or (n,) int
        Where the landmarks are; 68 are in the order of iBUG.
    modes : (M, V, 3) float, optional
        Displacements by which the faces of a model of the template differ and move, each of
        one standard deviation.
    moves : (B, V, 3) float, optional
        Blendshapes at weight 1.

    Raises
    ------
    MeshError
        If a landmark is not on the mesh or a vertex is in no triangle.
    """
    import scipy.sparse as sp

    marks = _marks(mesh, landmarks)
    v, f = mesh.vertices, mesh.faces
    doubled = np.linalg.norm(np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]), axis=1)
    area = np.bincount(f.ravel(), np.repeat(doubled / 6, 3), len(v)).astype(np.float64)
    if (area <= 0).any():
        raise MeshError(
            f"template: expected every vertex in a triangle, got {int((area <= 0).sum())} in none; "
            "take the loose ones out"
        )
    laplacian = _cotangent(v, f)
    points = np.asarray(marks @ v)
    size = (
        float(np.linalg.norm(points[OUTER_EYES[0]] - points[OUTER_EYES[1]]))
        if len(points) == 68
        else 2 * float(np.sqrt(points.var(0).sum()))
    )
    known = _displacements("modes", modes, v), _displacements("moves", moves, v)
    bilaplacian = (laplacian @ sp.diags(1 / area) @ laplacian).tocsr()
    system = BlockCholesky(abs(bilaplacian) + abs(marks.T @ marks))
    rim = boundary_vertices(mesh)
    return Template(mesh, marks, area, rim, laplacian, bilaplacian, system, *known, size)


def _displacements(name: str, given: ArrayLike | None, v: Float) -> Float | None:
    if given is None:
        return None
    found = np.asarray(given, np.float64)
    if found.shape[1:] != v.shape:
        raise MeshError(f"{name}: expected (M, {len(v)}, 3), got {found.shape}")
    return found


def boundary_vertices(mesh: Mesh) -> NDArray[np.bool_]:
    """(V,) whether an edge of only one triangle ends at the vertex."""
    f = mesh.faces.astype(np.int64)
    edges = np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]), 1)
    size = len(mesh.vertices)
    codes, count = np.unique(edges[:, 0] * size + edges[:, 1], return_counts=True)
    found = np.zeros(size, bool)
    found[codes[count == 1] // size] = True
    found[codes[count == 1] % size] = True
    return found


def _marks(mesh: Mesh, landmarks: LandmarkPlaces) -> Any:
    import scipy.sparse as sp

    if isinstance(landmarks, tuple):
        face, bary = np.asarray(landmarks[0]), np.asarray(landmarks[1], np.float64)
        good = face.ndim == 1 and bary.shape == (len(face), 3)
        if not good or (len(face) and not 0 <= face.min() <= face.max() < len(mesh.faces)):
            raise MeshError("template landmarks: expected (n,) triangles and (n, 3) coordinates")
        columns = mesh.faces[face]
    else:
        columns = np.asarray(landmarks)
        if columns.ndim != 1 or not np.issubdtype(columns.dtype, np.integer):
            raise MeshError(
                f"template landmarks: expected (n,) numbers of vertices, got {columns.dtype} "
                f"{columns.shape}"
            )
        if len(columns) and not 0 <= columns.min() <= columns.max() < len(mesh.vertices):
            raise MeshError(
                f"template landmarks: expected vertices below {len(mesh.vertices)}, got up to "
                f"{columns.max()}"
            )
        columns, bary = columns[:, None], np.ones((len(columns), 1))
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    shape = (len(columns), len(mesh.vertices))
    return sp.csr_matrix((bary.ravel(), (rows, columns.ravel())), shape)


def _cotangent(v: Float, f: NDArray[np.int32]) -> Any:
    """The cotangent Laplacian; weights limited, so that slivers do no harm."""
    import scipy.sparse as sp

    rows, columns, weights = [], [], []
    for k in range(3):
        a, b, c = f[:, k], f[:, (k + 1) % 3], f[:, (k + 2) % 3]
        p, q = v[a] - v[c], v[b] - v[c]
        sine = np.linalg.norm(np.cross(p, q), axis=1)
        weight = np.clip(np.sum(p * q, 1) / np.maximum(sine, 1e-12), 0.05, 5) / 2
        rows += [a, b]
        columns += [b, a]
        weights += [weight, weight]
    joined = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    matrix = sp.csr_matrix(joined, (len(v), len(v)))
    return (sp.diags(np.asarray(matrix.sum(1)).ravel()) - matrix).tocsr()
