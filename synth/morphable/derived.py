"""What a morphable model needs beside its statistics, found from its mean mesh and landmarks.

Texture coordinates, the map to the other side of the face, and the paths along which the jaw
landmarks slide when the head turns: the embedded model has them by construction, a model made
elsewhere gets them here. Everything is in the axes of the house (`synth.morphable.model`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.meshes.mesh import vertex_normals

__all__ = ["CONTOUR_LENGTH", "cylindrical_uv", "jaw_contours", "mirror_map"]

Float = NDArray[np.float64]
Int = NDArray[np.int32]

CONTOUR_LENGTH = 12
CONTOUR_AHEAD = 45.0  # millimetres towards the nose that a jaw landmark may slide
CONTOUR_BEHIND = 30.0  # and backwards, in the embedded model about the same
RISE = 4.0  # a path ends where it stands out this far again: the ear, or the neck

UV_AXIS_BEHIND = 69.0  # the axis of the cylinder, millimetres behind the outer eye corners
UV_BETWEEN_EYES = 195.0 / 512.0  # share of the texture between them


def cylindrical_uv(mean: Float, inter_ocular: float) -> Float:
    """(V, 2) texture coordinates by unrolling a vertical cylinder around the head.

    Parameters
    ----------
    mean : (V, 3) float64
        Millimetres, origin between the outer eye corners.
    inter_ocular : float
        Between the outer eye corners, millimetres.

    Returns
    -------
    (V, 2) float64
        In [0, 1]; u to the subject's left, v down; about isotropic on the front. What lies
        outside (the back of the head, the shoulders) is put on the border.
    """
    depth = mean[:, 2] + UV_AXIS_BEHIND
    angle = np.arctan2(mean[:, 0], depth)
    per_radian = UV_BETWEEN_EYES / (2 * np.arctan2(inter_ocular / 2, UV_AXIS_BEHIND))
    front = (depth > 0) & (np.abs(angle) < 0.5)
    radius = float(np.median(np.hypot(mean[front, 0], depth[front]))) if front.any() else 80.0
    height = -mean[:, 1] * per_radian / radius
    # A neck or shoulders must not push the face off the middle.
    used = height[(mean[:, 1] > -165) & (depth > -35)]
    low, high = (used.min(), used.max()) if len(used) else (0.0, 0.0)
    return np.clip(np.stack([0.5 + angle * per_radian, height - (low + high) / 2 + 0.5], 1), 0, 1)


def mirror_map(mean: Float, faces: Int) -> Int:
    """(V,) vertex on the other side of the face; an involution.

    Two vertices are partners when each is the nearest to the mirror image of the other, within
    a typical edge; a vertex without a partner maps to itself.
    """
    from scipy.spatial import cKDTree

    corners = mean[faces]
    edge = float(np.median(np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)))
    distance, partner = cKDTree(mean).query(mean * (-1, 1, 1))
    index = np.arange(len(mean))
    mutual = (partner[partner] == index) & (distance < edge) & (distance[partner] < edge)
    return np.where(mutual, partner, index).astype(np.int32)


def jaw_contours(mean: Float, faces: Int, landmark_faces: Int, landmark_bary: Float) -> Int:
    """(17, CONTOUR_LENGTH) vertices each jaw landmark may slide along, front to back.

    The path of a landmark follows the surface in the plane of its outward normal and the view
    axis: from the cheek across the silhouette backwards, for the chin from in front of it to
    below. It keeps to the connected surface of the landmark, ends at a border of the mesh, and
    before the ear or the neck.

    Parameters
    ----------
    mean : (V, 3) float64
    faces : (F, 3) int32
        The skin, the landmarks' triangles among it.
    landmark_faces : (68,) int32
        Indices into `faces`.
    landmark_bary : (68, 3) float64
    """
    normals = vertex_normals(mean, faces)
    paths = np.zeros((17, CONTOUR_LENGTH), np.int32)
    for k in range(17):
        corners = faces[landmark_faces[k]]
        point = landmark_bary[k] @ mean[corners]
        normal = landmark_bary[k] @ normals[corners]
        outward = np.array([normal[0], normal[1], 0.0]) if k != 8 else np.array([0.0, -1.0, 0.0])
        size = float(np.linalg.norm(outward))
        outward = outward / size if size > 1e-6 else np.array([np.sign(point[0]) or 1.0, 0, 0])
        walks = _walks(mean, faces, int(landmark_faces[k]), point, outward)
        start = int(corners[landmark_bary[k].argmax()])
        paths[k] = _resampled(mean, walks, start, point, outward)
    return paths


def _resampled(
    mean: Float, walks: tuple[list[int], list[int]], start: int, point: Float, outward: Float
) -> Int:
    """`CONTOUR_LENGTH` vertices at about equal steps along the two walks, front to back."""
    ahead = walks[0]
    behind = _before_rising(walks[1], mean @ outward, float(point @ outward) + RISE)
    path = np.array(list(dict.fromkeys([*ahead[::-1], start, *behind])))
    here = int(np.flatnonzero(path == start)[0])
    steps = np.linalg.norm(np.diff(mean[path], axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    along -= along[here]
    wanted = np.linspace(-CONTOUR_AHEAD, CONTOUR_BEHIND, CONTOUR_LENGTH)
    kept = [int(path[np.abs(along - w).argmin()]) for w in wanted]
    unique = list(dict.fromkeys(kept))
    return np.array([unique[0]] * (CONTOUR_LENGTH - len(unique)) + unique, np.int32)


def _walks(
    mean: Float, faces: Int, start: int, point: Float, outward: Float
) -> tuple[list[int], list[int]]:
    """Vertices along the cut of a plane with the surface, walking forwards and backwards.

    The plane contains `point`, the view axis and `outward`. Each crossed edge contributes its
    nearer end.
    """
    across = np.cross(outward, [0.0, 0.0, 1.0])
    inside = point + 1e-3 * (mean[faces[start]].mean(0) - point)  # never through a vertex
    side = (mean - inside) @ across
    above = side > 0
    cut = np.flatnonzero(np.ptp(above[faces].astype(np.int8), axis=1) > 0)
    crossed: dict[tuple[int, int], list[int]] = {}
    edges_of: dict[int, list[tuple[int, int]]] = {}
    for face, (a, b, c) in zip(cut.tolist(), faces[cut].tolist(), strict=True):
        for p, q in ((a, b), (b, c), (c, a)):
            if above[p] != above[q]:
                edge = (min(p, q), max(p, q))
                crossed.setdefault(edge, []).append(face)
                edges_of.setdefault(face, []).append(edge)
    walks: list[list[int]] = []
    first = sorted(edges_of.get(start, []), key=lambda e: -(mean[e[0], 2] + mean[e[1], 2]))
    for edge in first:
        walk, face, seen = [], start, {start}
        while True:
            walk.append(min(edge, key=lambda v: abs(side[v])))
            onward = [f for f in crossed[edge] if f not in seen]
            if not onward:
                break
            face = onward[0]
            seen.add(face)
            edge = next(e for e in edges_of[face] if e != edge)
        walks.append(walk)
    return (walks[0], walks[1]) if len(walks) == 2 else ([], [])


def _before_rising(path: list[int], height: Float, limit: float) -> list[int]:
    """The beginning of a path, until it stands out again: the ear, or the neck."""
    lowest = np.inf
    for i, vertex in enumerate(path):
        lowest = min(lowest, float(height[vertex]))
        if height[vertex] > min(limit, lowest + RISE):
            return path[:i]
    return path
