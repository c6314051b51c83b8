"""Places spread evenly over the face of a model's mesh, the same on both sides.

Greedy Poisson-disk sampling [1]_ of the mean face: candidates at random, kept when no kept one
is nearer than the wanted spacing. One half is drawn, the other is its mirror image.

References
----------
.. [1] Cook, "Stochastic Sampling in Computer Graphics", TOG 1986.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synth.errors import MeshError
from synth.types import inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["face_outline", "face_samples", "in_polygon"]

Float = NDArray[np.float64]

#: The forehead's top above the line of the eyes, inter-ocular distances; hair is above it.
FOREHEAD = 0.72
#: The jaw's outline is drawn in towards the middle of the face by this share.
INSET = 0.04
#: Steepest surface: cosine between its normal and straight ahead on the mean face.
STEEP = 0.12
#: Candidates for each disc of the spacing's radius.
CROWD = 24
EYE_LANDMARKS = ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))


def in_polygon(points: Float, corners: Float) -> NDArray[np.bool_]:
    """(n,) whether points (n, 2) lie inside a closed polygon (m, 2), by the even-odd rule."""
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = corners.T, np.roll(corners, -1, 0).T
    crosses = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = ax + (y - ay) * (bx - ax) / (by - ay)
    return np.asarray((crosses & (x < at)).sum(1) % 2 == 1)


def face_outline(marks: Float) -> Float:
    """(m, 2) outline of the sampled region, of the mean face's landmarks, from the front."""
    iod = inter_ocular(marks)
    jaw = marks[:17, :2]
    middle = np.array([0.0, jaw[:, 1].mean()])
    jaw = middle + (jaw - middle) * (1 - INSET)
    # A half ellipse from temple to temple.
    angle = np.linspace(0, np.pi, 16)[1:-1]
    width, base = (jaw[16, 0] - jaw[0, 0]) / 2, (jaw[0, 1] + jaw[16, 1]) / 2
    arc = np.column_stack(
        (width * np.cos(angle), base + (FOREHEAD * iod - base) * np.sin(angle) ** 0.7)
    )
    return np.concatenate((jaw, arc))


def face_samples(
    model: MorphableModel, spacing: float
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Places on skin, lips and the open eyes, about `spacing` apart on the mean face.

    Parameters
    ----------
    model : MorphableModel
        Its parts tell skin, lips and eyeballs.
    spacing : float
        As a share of the inter-ocular distance.

    Returns
    -------
    faces : (n,) int32
        Triangles; sample ``n // 2 + i`` is the mirror image of sample i.
    bary : (n, 3) float64

    Raises
    ------
    MeshError
        If nothing of the mesh can be sampled, or its triangles are not mirrored.
    """
    marks = model.landmarks(model.mean)
    distance = spacing * inter_ocular(marks)
    faces, bary, points = _candidates(model, marks, distance)
    kept = _thinned(points, distance)
    faces, bary = faces[kept], bary[kept]
    other, other_bary = _mirrored(model, faces, bary)
    return np.concatenate((faces, other)).astype(np.int32), np.concatenate((bary, other_bary))


def _candidates(
    model: MorphableModel, marks: Float, distance: float
) -> tuple[NDArray[np.intp], Float, Float]:
    """Random places on the subject's left half, by area."""
    names = np.array(model.part_names)
    corners = model.mean[model.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.maximum(np.linalg.norm(cross, axis=1), 1e-12)
    part = names[model.parts]
    eye = np.isin(part, ("left_eye", "right_eye"))
    usable = (eye | np.isin(part, ("skin", "lips"))) & (cross[:, 2] / double > STEEP)
    usable &= corners[:, :, 0].max(1) > 0
    area = np.where(usable, double / 2, 0)
    if not area.sum() > 0:
        raise MeshError("model: expected skin to sample, got none; check its part labels")
    rng = np.random.default_rng(0)
    count = int(CROWD * area.sum() / (np.pi * (distance / 2) ** 2))
    faces = rng.choice(len(area), count, p=area / area.sum())
    # Uniform on a triangle: Osada et al., "Shape Distributions", TOG 2002, eq. 1.
    root, share = np.sqrt(rng.random(count)), rng.random(count)
    bary = np.column_stack((1 - root, root * (1 - share), root * share))
    points = np.einsum("nc,ncd->nd", bary, corners[faces])
    inside = in_polygon(points[:, :2], face_outline(marks)) & (points[:, 0] > distance / 2)
    openings = [in_polygon(points[:, :2], marks[list(eye), :2]) for eye in EYE_LANDMARKS]
    inside &= ~eye[faces] | np.any(openings, axis=0)
    return faces[inside], bary[inside], points[inside]


def _thinned(points: Float, distance: float) -> NDArray[np.intp]:
    """Indices of points of which no two are nearer than `distance`, first come first kept."""
    tree = cKDTree(points)
    free = np.ones(len(points), bool)
    kept = []
    for i in range(len(points)):
        if free[i]:
            kept.append(i)
            free[tree.query_ball_point(points[i], distance)] = False
    return np.array(kept, np.intp)


def _mirrored(
    model: MorphableModel, faces: NDArray[np.intp], bary: Float
) -> tuple[NDArray[np.intp], Float]:
    """The same places on the other side of the mesh."""
    rows = {tuple(sorted(row)): i for i, row in enumerate(model.faces.tolist())}
    other = np.empty(len(faces), np.intp)
    turned = np.empty_like(bary)
    for n, (face, weights) in enumerate(zip(faces, bary, strict=True)):
        partner = model.mirror[model.faces[face]]
        found = rows.get(tuple(sorted(partner.tolist())))
        if found is None:
            raise MeshError(
                "model: expected a mesh whose triangles mirror each other, got one without "
                f"partner ({int(face)}); use a model dressed with the embedded one"
            )
        other[n] = found
        turned[n] = weights[[int(np.flatnonzero(partner == v)[0]) for v in model.faces[found]]]
    return other, turned
