"""Laying the rig's mesh over the mean face of another model.

Landmarks first: a similarity, then a smooth warp through them (the biharmonic spline of
three dimensions). Then nearest points, while the mesh resists bending less and less,
as in non-rigid ICP [1]_. Only what is skin on both sides is held to count: the triangle
hit must face the same way, and rims of lips and lids, which lie inside the mouth or
behind the eye, follow the skin next to them.

References
----------
.. [1] Amberg, Romdhani & Vetter, "Optimal Step Nonrigid ICP Algorithms for Surface
       Registration", CVPR 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError
from synth.meshes.mesh import vertex_normals
from synth.meshes.nearest import Surface
from synth.meshes.rigid import similarity
from synth.morphable.covering import laplacian, outer_skin, skin_faces

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["Placed", "wrap"]

Float = NDArray[np.float64]

#: Stiffness against bending, from stiff to soft.
STIFFNESS = (30.0, 10.0, 3.0, 1.0, 0.4)
#: A rig vertex is taken to lie on the native mesh when it is at most so far from it, its normal
#: at most so far (cosine) from the triangle's, in inter-ocular distances.
FAR, FACING = 0.08, 0.5
#: A nearest point on the rim of the native mesh counts when it is as near as this.
RIM = 0.01
#: The way back from a nearest point to the rig is at least this share of the way there.
MUTUAL = 0.5
#: Least share of the rig's skin around the landmarks that must find its place.
LEAST_COVERED = 0.5
#: Root mean square distance of the inner landmarks from those of the rig, once brought to them, as
#: a share of the inter-ocular distance: of means of other models it is 3 to 6 %.
UNLIKE = 0.2
#: Smoothing of the warp through the landmarks, mm: hands that set landmarks differ by one to two
#: millimetres, which is halved by it; exact landmarks lose a quarter of a millimetre.
SMOOTHING = 20.0


@dataclass(frozen=True, eq=False)
class Placed:
    """The rig's skin on a native mesh.

    Attributes
    ----------
    vertices : (Vrig, 3) float64
        All of the rig; what is not on the surface was carried along smoothly.
    face : (Vrig,) int32
        Native triangle, -1 where there is none.
    bary : (Vrig, 3) float64
    """

    vertices: Float
    face: NDArray[np.int32]
    bary: Float


def wrap(native: MorphableModel, rig: MorphableModel) -> Placed:
    """The rig's mesh on the mean of `native`.

    Raises
    ------
    AssetError
        If the landmarks of the native model are degenerate, or most of the rig's face does not
        find its place.
    """
    if np.array_equal(native.faces, rig.faces):
        return _same_mesh(native, rig)
    target = native.landmarks(native.mean)
    iod = float(np.linalg.norm(target[45] - target[36]))
    off = _unlike(rig.landmarks(rig.mean)[17:], target[17:])
    if not iod > 1 or off > UNLIKE:
        raise AssetError(
            f"{native.name}: expected 68 landmarks that lie as those of a face, got some {off:.0%} "
            "of the distance between the eyes away; give the model another landmark map"
        )
    surface, number = _native_surface(native)
    start = _through_landmarks(rig, target)
    inner = ~outer_skin(rig)
    vertices = start
    for stiffness in STIFFNESS:
        goal, weight, *_ = _goals(surface, rig, vertices, inner, iod, loose=2.0)
        vertices = start + _bend(rig, goal - start, weight, stiffness)
    goal, weight, face, bary = _goals(surface, rig, vertices, inner, iod)
    on = weight > 0
    face_part = np.linalg.norm(rig.mean - rig.landmarks(rig.mean)[30], axis=1) < 90
    share = float(on[face_part & ~inner].mean())
    if share < LEAST_COVERED:
        raise AssetError(
            f"{native.name}: expected a face on which the skin of the rig finds its place, got "
            f"{share:.0%} of it; check the model's landmarks and that its triangles face outwards"
        )
    vertices = start + _bend(rig, goal - start, np.where(on, 1e6, 0.0), 1.0)
    vertices[on] = goal[on]
    return Placed(
        vertices,
        np.where(on, number[face], -1).astype(np.int32),
        np.where(on[:, None], bary, 0.0),
    )


def _unlike(source: Float, target: Float) -> float:
    """Root mean square distance of two sets of landmarks, in inter-ocular distances."""
    try:
        scale, turn, shift = similarity(target, source)
    except (ValueError, np.linalg.LinAlgError):
        return float("inf")
    rest = scale * target @ turn.T + shift - source
    span = np.linalg.norm(source[45 - 17] - source[36 - 17])
    size = float(np.sqrt((rest**2).sum(1).mean()) / span)
    return size if np.isfinite(size) else float("inf")


def _same_mesh(native: MorphableModel, rig: MorphableModel) -> Placed:
    """A native mesh that is the rig's own: its visible skin is where it is, number by number."""
    on = np.flatnonzero(outer_skin(rig))
    row, corner = np.unravel_index(_first_corner(rig), rig.faces.shape)
    face, bary = np.full(rig.n_vertices, -1, np.int32), np.zeros((rig.n_vertices, 3))
    face[on], bary[on, corner[on]] = row[on], 1.0
    weight = np.zeros(rig.n_vertices)
    weight[on] = 1e6
    scale, turn, shift = similarity(rig.mean[on], native.mean[on])
    start = scale * rig.mean @ turn.T + shift
    vertices = start + _bend(rig, native.mean - start, weight, 1.0)
    vertices[on] = native.mean[on]
    return Placed(vertices, face, bary)


def _first_corner(rig: MorphableModel) -> NDArray[np.int64]:
    """(V,) flat position of each vertex among the corners of the triangles."""
    return np.unique(rig.faces, return_index=True)[1]


def _native_surface(native: MorphableModel) -> tuple[Surface, NDArray[np.int64]]:
    """The native skin as a surface, and the numbers of its triangles in the model."""
    number = skin_faces(native)
    return Surface(native.mean, native.faces[number]), number


def _through_landmarks(rig: MorphableModel, target: Float) -> Float:
    """(Vrig, 3) the rig's mean, brought to the native landmarks."""
    from scipy.interpolate import RBFInterpolator

    source = rig.landmarks(rig.mean)
    use = np.r_[np.arange(0, 17, 2), np.arange(17, 68)]
    scale, turn, shift = similarity(source[17:], target[17:])
    at, near = scale * rig.mean @ turn.T + shift, scale * source @ turn.T + shift
    # the outline of a jaw is not a place on the skin: it binds less than the inner points
    smoothing = np.where(use < 17, 5 * SMOOTHING, SMOOTHING)
    field = RBFInterpolator(
        near[use], target[use] - near[use], kernel="linear", degree=1, smoothing=smoothing
    )
    return np.asarray(at + field(at))


def _goals(
    surface: Surface, rig: MorphableModel, vertices: Float, inner: NDArray[np.bool_], iod: float,
    loose: float = 1.0,
) -> tuple[Float, Float, NDArray[np.int32], Float]:  # fmt: skip
    """Nearest points, their weights (0 where they do not count), triangles, coordinates."""
    found = surface.nearest(vertices)
    skin = rig.faces[skin_faces(rig)]
    normals = vertex_normals(vertices, rig.faces)
    tri = surface.vertices[surface.faces[found.face]]
    across = np.cross(tri[:, 1] - tri[:, 0], tri[:, 2] - tri[:, 0])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    facing = (normals * across).sum(1) > FACING / loose
    rim = _on_rim(surface, found.face, found.bary)
    good = facing & (found.distance < loose * FAR * iod) & ~inner
    good &= ~rim | (found.distance < RIM * iod)
    # where another part of the rig lies nearer to the place found, it is that part's place
    back = Surface(vertices, skin).nearest(found.point).distance
    good &= (found.distance < RIM * iod) | (back > MUTUAL * found.distance)
    return found.point, good.astype(np.float64), found.face, found.bary


def _on_rim(surface: Surface, face: NDArray[np.int32], bary: Float) -> NDArray[np.bool_]:
    """(n,) whether a point lies on an edge that only one triangle has."""
    faces = surface.faces.astype(np.int64)
    edges = np.sort(np.stack((faces[:, [1, 2]], faces[:, [2, 0]], faces[:, [0, 1]]), 1), axis=2)
    key = edges[..., 0] * (faces.max() + 1) + edges[..., 1]
    _, back, count = np.unique(key, return_inverse=True, return_counts=True)
    rim = (count[back.reshape(-1)] == 1).reshape(-1, 3)
    return np.asarray((rim[face] & (bary < 1e-6)).any(1))


def _bend(rig: MorphableModel, wanted: Float, weight: Float, stiffness: float) -> Float:
    """(Vrig, 3) smooth displacements that come near to the wanted ones where they have weight."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import splu

    lap = laplacian(rig)
    system = diags(weight) + stiffness * (lap.T @ lap) + 1e-4 * stiffness * lap
    system = system + diags(np.full(len(weight), 1e-9))
    return np.asarray(splu(system.tocsc()).solve(weight[:, None] * wanted))
