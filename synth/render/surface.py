"""The surface that carries the photo: the reliable part of the mesh, and a skirt around it.

Pixels outside the face must follow the jaw without a seam. Instead of solving a
Laplace equation per image, a flat *skirt* of triangles continues the mesh's
outline to where nothing moves any more. Its vertices follow the outline by a
harmonic (graph-Laplacian) map that is factorised once per photo, so that one
image costs one small matrix product, and mesh and skirt share their vertices:
no seam by construction.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

from synth.errors import SkipPhoto
from synth.render.raster import rasterise
from synth.render.topology import LIPS, OUTSIDE, SKIN
from synth.types import Landmarks

__all__ = ["Surface", "build_surface"]

Float = NDArray[np.float64]
#: Skin seen at less than this cosine is left to the skirt (RENDERING.md: under the jaw).
GRAZING = 0.22
#: Distance over which the motion outside the face fades, in inter-ocular distances.
FADE = 0.35
#: Spacing of skirt vertices in inter-ocular distances.
SPACING = 0.09


@dataclass(frozen=True)
class Surface:
    """Triangles and vertices that are drawn.

    Attributes
    ----------
    faces : (F, 3) int32
        Into the model's vertices followed by the skirt's.
    labels : (F,) uint8
        Part of each triangle; the skirt is `OUTSIDE`.
    skirt : (S, 2) float64
        Neutral positions of the skirt's own vertices, pixels; the last ones are
        copies of `outline`.
    outline : (B,) int64
        Model vertices that drive the skirt.
    follow : (S, B) float64
        Harmonic weights: skirt motion = follow @ outline motion.
    box : (left, top, width, height)
        Pixels that may change, clipped to the photo.
    """

    faces: NDArray[np.int32]
    labels: NDArray[np.uint8]
    skirt: Float
    outline: NDArray[np.int64]
    follow: Float
    box: tuple[int, int, int, int]


def _face_polygon(points: Float, iod: float) -> Float:
    """Jaw contour and forehead: the part of the head whose motion is trusted, pixels."""
    across = (points[45] - points[36]) / iod
    up = np.array([across[1], -across[0]])
    out = points[:17] + 0.05 * (points[:17] - points[30])
    temples = [points[16] + 0.55 * iod * up, points[0] + 0.55 * iod * up]
    brow = (points[19] + points[24]) / 2
    top = [brow + 0.42 * iod * up + s * 0.52 * iod * across for s in (1, 0.55, 0, -0.55, -1)]
    return np.vstack((out, temples[:1], top, temples[1:]))


def _inside(polygon: Float, points: Float) -> NDArray[np.bool_]:
    """Which `points` lie inside `polygon`."""
    path = polygon.astype(np.float32).reshape(-1, 1, 2)
    return np.array(
        [cv2.pointPolygonTest(path, (float(x), float(y)), False) >= 0 for x, y in points]
    )


def _reliable(
    faces: NDArray[np.int32],
    parts: NDArray[np.uint8],
    position: Float,
    facing: Float,
    landmarks: Landmarks,
    nose: int,
) -> NDArray[np.bool_]:
    """Skin triangles whose photo pixels can be moved with the mesh."""
    skin = np.isin(parts, (SKIN, LIPS))
    vertices = np.unique(faces[skin])
    iod = landmarks.inter_ocular
    inside = np.zeros(len(position), bool)
    inside[vertices] = _inside(_face_polygon(landmarks.points, iod), position[vertices])
    core = np.zeros(len(position), bool)
    hull = cv2.convexHull(landmarks.points[17:].astype(np.float32))[:, 0].astype(float)
    middle = hull.mean(0)
    core[vertices] = _inside(middle + 1.05 * (hull - middle), position[vertices])
    good = (inside & (facing > GRAZING)) | (core & (facing > -0.9))
    keep = skin & good[faces].all(1)
    # Only what hangs together with the nose: no ears, no strip of neck.
    rows = faces[keep]
    edges = np.concatenate((rows[:, :2], rows[:, 1:]))
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), (len(position),) * 2)
    component = connected_components(graph, directed=False)[1]
    result = keep.copy()
    result[keep] = component[rows[:, 0]] == component[nose]
    return result


def _border(faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """(n, 2) edges that only one triangle has."""
    directed = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    undirected = np.sort(directed, axis=1).astype(np.int64)
    key = undirected[:, 0] * (undirected.max() + 1) + undirected[:, 1]
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    return np.asarray(undirected[first[count == 1]])


def _outline(faces: NDArray[np.int32], position: Float) -> NDArray[np.int64]:
    """The outermost closed boundary of the kept skin, in order."""
    border = _border(faces)
    graph = sparse.coo_matrix((np.ones(len(border)), border.T), (len(position),) * 2)
    component = connected_components(graph, directed=False)[1]
    start = border[position[border[:, 0], 0].argmin(), 0]
    loop = border[component[border[:, 0]] == component[start]]
    return np.unique(loop)


def build_surface(
    faces: NDArray[np.int32],
    parts: NDArray[np.uint8],
    position: Float,
    facing: Float,
    landmarks: Landmarks,
    image_size: tuple[int, int],
    nose: int,
    reach: float,
) -> Surface:
    """The drawn surface of one photo.

    Parameters
    ----------
    faces : (F, 3) int32
    parts : (F,) uint8
    position : (V, 2) float64
        Neutral projections, pixels.
    facing : (V,) float64
        Cosine between normal and view.
    landmarks : Landmarks
    image_size : (height, width)
    nose : int
        A vertex at the nose: the kept part must be connected to it.
    reach : float
        Width of the skirt in inter-ocular distances.

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED`` when nothing of the face can be seen.
    """
    iod = landmarks.inter_ocular
    skin = _reliable(faces, parts, position, facing, landmarks, nose)
    if skin.sum() < 0.1 * len(faces):
        raise SkipPhoto("FIT_FAILED", "surface: expected a visible face, got almost none of it")
    kept = faces[skin]
    outline = _outline(kept, position)
    low = position[outline].min(0) - (reach + SPACING) * iod
    high = position[outline].max(0) + (reach + SPACING) * iod
    grid = _lattice(low, high, landmarks.points[27], SPACING * iod)
    distance = _distance_outside(kept, position, grid, iod)
    near = (distance > 0.5 * SPACING) & (distance < reach + 1.5 * SPACING)
    grid, distance = grid[near], distance[near]
    nodes, tri, backing = _stitch(kept, outline, position, grid, iod)
    at = np.concatenate((position[nodes], grid))
    follow = _harmonic(tri, len(nodes), at, distance < reach, FADE * iod)
    # The skirt hangs on copies of the model's vertices, as deep as itself: where one of its
    # triangles reaches across the face it must stay behind the mesh, the tongue included.
    skirt = np.concatenate((grid, position[nodes]))
    follow = np.concatenate((follow, np.eye(len(nodes))))
    copies = len(position) + len(grid) + np.arange(len(nodes))
    index = np.concatenate((copies, len(position) + np.arange(len(grid)))).astype(np.int32)
    outside = np.concatenate((index[tri], index[backing]))
    interior = ~np.isin(parts, (SKIN, LIPS))
    drawn = skin | interior
    height, width = image_size
    left, top = (int(max(0, np.floor(v))) for v in low)
    right = int(min(width, np.ceil(high[0]) + 1))
    bottom = int(min(height, np.ceil(high[1]) + 1))
    return Surface(
        faces=np.concatenate((faces[drawn], outside)).astype(np.int32),
        labels=np.concatenate((parts[drawn], np.full(len(outside), OUTSIDE, np.uint8))),
        skirt=skirt,
        outline=nodes,
        follow=follow,
        box=(left, top, max(right - left, 0), max(bottom - top, 0)),
    )


def _lattice(low: Float, high: Float, middle: Float, spacing: float) -> Float:
    """(n, 2) triangular lattice between `low` and `high`, symmetric around the column of `middle`.

    Its Delaunay triangles are unique, unlike those of a square grid, so that a
    mirrored photo gets the mirrored skirt.
    """
    step = np.array([spacing, spacing * np.sqrt(3) / 2])
    first = np.floor((low - middle) / step).astype(int)
    last = np.ceil((high - middle) / step).astype(int)
    reach = max(-first[0], last[0]) + 1
    rows, columns = np.mgrid[first[1] : last[1] + 1, -reach : reach + 1]
    odd = rows % 2
    x = (columns + 0.5 * odd) * step[0]
    keep = ~((odd == 1) & (columns == reach))  # as many on either side
    points = middle + np.stack((x[keep], rows[keep] * step[1]), 1)
    return points[((points > low) & (points < high)).all(1)]


def _distance_outside(kept: NDArray[np.int32], position: Float, grid: Float, iod: float) -> Float:
    """Distance of `grid` points from the drawn mesh in inter-ocular distances; 0 inside."""
    a, b = position[_border(kept)].transpose(1, 0, 2)
    along = b - a
    square = np.maximum((along**2).sum(1), 1e-12)
    nearest = np.empty(len(grid))
    for i in range(0, len(grid), 256):
        rows = grid[i : i + 256, None]
        t = np.clip(((rows - a) * along).sum(2) / square, 0, 1)
        off = rows - a - t[..., None] * along
        nearest[i : i + 256] = np.sqrt((off**2).sum(2).min(1))
    # A coarse picture will do: near the border it does not matter.
    return np.where(_covered(kept, position, grid, 64 / iod), 0.0, nearest / iod)


def _covered(
    kept: NDArray[np.int32], position: Float, points: Float, scale: float
) -> NDArray[np.bool_]:
    """Which `points` the mesh covers, by a picture of it with `scale` samples per pixel."""
    if not len(points):
        return np.zeros(0, bool)
    low = points.min(0)
    flat = np.column_stack(((position - low) * scale, np.ones(len(position))))
    size = np.ceil((points.max(0) - low) * scale).astype(int) + 1
    ids = rasterise(flat, kept, (0, 0, int(size[0]), int(size[1])))[0]
    at = np.minimum(np.round((points - low) * scale).astype(int), size - 1)
    return np.asarray(ids[at[:, 1], at[:, 0]] >= 0)


def _stitch(
    kept: NDArray[np.int32], outline: NDArray[np.int64], position: Float, grid: Float, iod: float
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """The model vertices that drive the skirt, its triangles, and what closes its notches.

    Returns
    -------
    nodes : (B,) int64
        The outline, and vertices behind it that a notch of the outline lays bare.
    tri : (T, 3) int32
        Into `nodes` followed by `grid`; each has a corner in `grid`.
    backing : (N, 3) int32
        Into `nodes`: triangles that the mesh covers not at all or not wholly. To be
        drawn behind the mesh, where it does no harm if a little of them is covered.
    """
    ring = np.unique(kept[np.isin(kept, outline).any(1)])
    nodes = np.concatenate((outline, np.setdiff1d(ring, outline)))
    at = np.concatenate((position[nodes], grid))
    tri = Delaunay(at).simplices.astype(np.int32)
    is_skirt = (tri >= len(nodes)).any(1)
    inner = tri[~is_skirt]
    corners = at[inner]
    middle = corners.mean(1, keepdims=True)
    # Looked for near the middles of the sides, and in the middle.
    sides = 0.8 * (corners + np.roll(corners, 1, axis=1)) / 2 + 0.2 * middle
    looked = np.concatenate((sides, middle), axis=1)
    covered = _covered(kept, position, looked.reshape(-1, 2), 192 / iod).reshape(-1, 4).all(1)
    backing, tri = inner[~covered], tri[is_skirt]
    used = np.zeros(len(at), bool)
    used[tri] = used[backing] = used[: len(outline)] = used[len(nodes) :] = True
    row = (np.cumsum(used) - 1).astype(np.int32)
    return nodes[used[: len(nodes)]], row[tri], row[backing]


def _harmonic(
    tri: NDArray[np.int32], known: int, position: Float, moving: NDArray[np.bool_], fade: float
) -> Float:
    """(S, known) weights of the screened harmonic extension, zero at the outer rim.

    Solves ``laplace(u) = u / fade^2``: smooth as a harmonic field near the face,
    but fading exponentially, so that little of the background moves. The first
    `known` positions are driven, the others follow where they are `moving`.
    """
    total = len(position)
    pairs = np.concatenate((tri[:, :2], tri[:, 1:], tri[:, [2, 0]]))
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    length = np.linalg.norm(position[pairs[:, 0]] - position[pairs[:, 1]], axis=1)
    weight = 1 / np.maximum(length, 0.2 * np.median(length))
    graph = sparse.coo_matrix((weight, pairs.T), (total, total)).tocsr()
    graph = graph + graph.T
    free = np.concatenate((np.zeros(known, bool), moving))
    follow = np.zeros((total - known, known))
    if free.any():
        # On a triangular lattice of spacing h with weights 1/h the graph Laplacian is 1.5 h times
        # the continuous one.
        screen = 1.5 * np.median(length) / fade**2
        laplacian = sparse.diags(np.asarray(graph.sum(1)).ravel() + screen) - graph
        solve = splu(laplacian[free][:, free].tocsc())
        follow[moving] = solve.solve(-laplacian[free][:, :known].toarray())
    return follow
