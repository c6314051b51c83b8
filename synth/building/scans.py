"""Raw scans of a known face: another triangulation, noise, a crop, what a scanner does not see.

For trying out registration with the truth at hand: the scan lies in the space of the vertices
it is made of, so a registered mesh can be compared with them point by point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import UsageError
from synth.meshes.mesh import Mesh, vertex_normals
from synth.render.raster import rasterise

__all__ = ["ScanSettings", "raw_scan"]

Float = NDArray[np.float64]
Faces = NDArray[np.int32]

#: Directions the scanner looks from, degrees of yaw and pitch.
VIEWS = ((0, 0), (-40, 0), (40, 0), (0, -25), (0, 15))
#: Millimetres between its rays.
RAY = 1.0


@dataclass(frozen=True)
class ScanSettings:
    """How raw a scan is; lengths in millimetres.

    Attributes
    ----------
    spacing : float
        Longest edge; 2 mm makes about 20,000 vertices of a face.
    noise : float
        Standard deviation of every vertex along its normal.
    landmark_noise : float
        Root mean square distance of the landmarks from where they should be.
    jitter : float
        How far vertices slide on the surface, as a share of the way to a neighbour, 0 to 0.4.
    radius : (float, float)
        Least and largest distance of the crop from the nose; 0 keeps everything.
    """

    spacing: float = 2.0
    noise: float = 0.15
    landmark_noise: float = 1.0
    jitter: float = 0.35
    radius: tuple[float, float] = (95.0, 120.0)

    def __post_init__(self) -> None:
        if self.spacing <= 0 or min(self.noise, self.landmark_noise, *self.radius) < 0:
            raise UsageError("scan: expected a positive spacing and no negative length; see help")
        if not 0 <= self.jitter <= 0.4:
            raise UsageError(f"jitter: expected 0 to 0.4, got {self.jitter}; pass a share")


def raw_scan(
    vertices: ArrayLike,
    faces: ArrayLike,
    landmarks: ArrayLike,
    rng: np.random.Generator,
    settings: ScanSettings | None = None,
) -> tuple[Mesh, Float]:
    """A scan of a face, and its landmarks as somebody would click them.

    Only what is seen from the front and the sides is kept, so of eyeballs, teeth and mouth
    cavity, if the mesh has them, what a scanner would catch.

    Parameters
    ----------
    vertices : (V, 3) float
        mm, y up, the face looks roughly along z.
    faces : (F, 3) int
    landmarks : (68, 3) float
        In the same space.
    rng : Generator
    settings : ScanSettings, optional

    Returns
    -------
    mesh : Mesh
        In the same space.
    points : (68, 3) float64
        The landmarks with noise.
    """
    settings = settings or ScanSettings()
    v, f = np.asarray(vertices, np.float64), np.asarray(faces, np.int32)
    marks = np.asarray(landmarks, np.float64)
    v, f = _split(v, f, settings.spacing, rng)
    v, f = _compact(v, _seen(v, f))
    if settings.radius[1] > 0:
        v, f = _compact(v, _cropped(v, f, marks[30], settings, rng))
    v = _slid(v, f, settings.jitter, rng)
    v = v + vertex_normals(v, f) * rng.normal(0, settings.noise, (len(v), 1))
    order = rng.permutation(len(v))
    place = np.argsort(order).astype(np.int32)
    points = marks + rng.normal(0, settings.landmark_noise / np.sqrt(3), marks.shape)
    return Mesh(v[order], place[f][rng.permutation(len(f))]), points


def _edges(f: Faces) -> tuple[Faces, NDArray[np.intp]]:
    """The edges (E, 2) of the triangles, and (F, 3) which edge goes from corner k to k + 1."""
    pairs = np.sort(np.stack([f, np.roll(f, -1, 1)], 2).reshape(-1, 2), 1).astype(np.int64)
    size = int(f.max()) + 1
    codes, inverse = np.unique(pairs[:, 0] * size + pairs[:, 1], return_inverse=True)
    return np.column_stack(np.divmod(codes, size)).astype(np.int32), inverse.reshape(-1, 3)


def _split(v: Float, f: Faces, spacing: float, rng: np.random.Generator) -> tuple[Float, Faces]:
    """Triangles with no edge longer than `spacing`: long edges split near their middle."""
    for _ in range(12):
        edges, of_face = _edges(f)
        length = np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1)
        long = np.flatnonzero(length > spacing)
        if not len(long):
            break
        share = rng.uniform(0.4, 0.6, (len(long), 1))
        middle = np.full(len(edges), -1, np.int32)
        middle[long] = len(v) + np.arange(len(long))
        v = np.vstack([v, v[edges[long, 0]] * share + v[edges[long, 1]] * (1 - share)])
        f = _split_faces(f, middle[of_face])
    return v, f


def _split_faces(f: Faces, middle: Faces) -> Faces:
    """Triangles split at the new vertices `middle` (F, 3) of their edges, -1 where none."""
    cut = middle >= 0
    count = cut.sum(1)
    parts = [f[count == 0]]
    for wanted in (1, 2, 3):
        rows = np.flatnonzero(count == wanted)
        # Turned so that the first edge is cut (of two: the last one is not).
        first = np.argmax(cut[rows], 1) if wanted < 2 else (np.argmin(cut[rows], 1) + 1) % 3
        turn = (np.arange(3)[None] + first[:, None]) % 3
        a, b, c = np.take_along_axis(f[rows], turn, 1).T
        x, y, z = np.take_along_axis(middle[rows], turn, 1).T
        if wanted == 1:
            made = [(a, x, c), (x, b, c)]
        elif wanted == 2:
            made = [(x, b, y), (a, x, y), (a, y, c)]
        else:
            made = [(a, x, z), (x, b, y), (z, y, c), (x, y, z)]
        parts += [np.column_stack(corners) for corners in made]
    return np.concatenate(parts).astype(np.int32)


def _compact(v: Float, f: Faces) -> tuple[Float, Faces]:
    """Only the vertices that triangles use."""
    used, inverse = np.unique(f, return_inverse=True)
    return v[used], inverse.reshape(-1, 3).astype(np.int32)


def _seen(v: Float, f: Faces) -> Faces:
    """Triangles whose neighbourhood is seen from one of the views."""
    found = np.zeros(len(v), bool)
    for yaw, pitch in np.radians(VIEWS):
        c, s = np.cos(yaw), np.sin(yaw)
        turned = v @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        c, s = np.cos(pitch), np.sin(pitch)
        turned = turned @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
        # Far away: depth hardly changes the place.
        points = turned * (1, -1, -1) / RAY
        points = points - points.min(0) + (1, 1, 2000)
        a, b = points[f[:, 1]] - points[f[:, 0]], points[f[:, 2]] - points[f[:, 0]]
        area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        facing = np.flatnonzero(area < 0)
        width, height = np.ceil(points[:, :2].max(0)).astype(int) + 2
        ids, _, _ = rasterise(points, f, (0, 0, int(width), int(height)), perspective=False)
        hit = np.unique(ids[ids >= 0])
        found[f[np.intersect1d(hit, facing)]] = True
    return f[found[f].all(1)]


def _cropped(
    v: Float, f: Faces, nose: Float, settings: ScanSettings, rng: np.random.Generator
) -> Faces:
    """The triangles within a wavy distance of a point near the nose, without crumbs."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    away = v - (nose + rng.normal(0, 5, 3))
    angle = np.arctan2(away[:, 1], away[:, 0])
    phase = rng.uniform(0, 2 * np.pi, 4)
    wave = sum(rng.uniform(0, 2) * np.sin((k + 2) * angle + phase[k]) for k in range(4))
    keep = np.linalg.norm(away, axis=1) < rng.uniform(*settings.radius) + wave
    f = f[keep[f].all(1)]
    pairs = np.concatenate([f[:, :2], f[:, 1:]])
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(v), len(v)))
    _, piece = connected_components(graph, directed=False)
    sizes = np.bincount(piece[f[:, 0]])
    return f[sizes[piece[f[:, 0]]] > 0.002 * len(f)]  # eyeballs and teeth stay, crumbs go


def _slid(v: Float, f: Faces, jitter: float, rng: np.random.Generator) -> Float:
    """Vertices moved into one of their triangles."""
    face = np.zeros(len(v), np.int64)
    order = rng.permutation(len(f))
    face[f[order].ravel()] = np.repeat(order, 3)
    towards = np.einsum("vc,vcd->vd", rng.dirichlet((1, 1, 1), len(v)), v[f[face]])
    return v + jitter * rng.uniform(0.5, 1, (len(v), 1)) * (towards - v)
