"""Calibrates where the 68 iBUG landmarks lie on the mesh of the default model.

``python -m synth.morphable.calibrate --model M.npz --predictor P.dat --photos DIR``

A landmark of a detector is a habit of its annotators, not an anatomical point,
so it has to be learnt. First guess: the detector runs on plain renderings of
random identities, and each landmark becomes the surface point that stays
nearest to the detections. Second pass, on frontal neutral photos: the model is
fitted to the detections of every photo, and each landmark is moved over the
surface by the mean of its residuals. Lid landmarks stay on the lid edge, inner
lip landmarks on the lip edge, outer lip landmarks near the vermilion border;
left and right stay mirror images. Only the resulting 68 points are kept
(``ibug68.csv``), never the photos.

Needs dlib, opencv and numba, none of which the library itself needs here.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.morphable.model import MorphableModel, load_model

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TO_CAMERA = np.array([1.0, -1.0, -1.0])  # camera: x right, y down, z away
MIRROR_68 = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)  # fmt: skip
SIGMA_68 = np.repeat([0.04, 0.03, 0.015], [17, 10, 41])
GROUPS = {"all": slice(0, 68), "inner": slice(27, 68), "brow": slice(17, 27), "contour": slice(17)}


@dataclass(frozen=True)
class Track:
    """The part of the mesh a landmark may lie on: triangles, or edges of triangles.

    Parameters
    ----------
    faces : (N,) int
        Triangles of the mesh.
    corners : (N, 3) int
        Their vertices; for an edge the third is the second again, so that the
        triangle has no area.
    """

    faces: Ints
    corners: Ints

    def closest(self, points: Floats, target: Floats) -> tuple[int, Floats]:
        """Triangle and barycentric coordinates of the point of the track nearest to `target`."""
        bary = closest_in_triangles(points[self.corners], target)
        found = np.einsum("nc,ncd->nd", bary, points[self.corners])
        best = int(np.linalg.norm(found - target, axis=1).argmin())
        return int(self.faces[best]), self._in_face_order(best, bary[best])

    def _in_face_order(self, row: int, bary: Floats) -> Floats:
        return np.concatenate([bary, self.corners[row]]).reshape(2, 3)


def main(arguments: list[str] | None = None) -> int:
    """Run both passes and write ``ibug68.csv``; 0."""
    here = Path(__file__).with_name("ibug68.csv")
    parser = argparse.ArgumentParser(prog="synth.morphable.calibrate", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--predictor", type=Path, required=True, help="dlib 68-point predictor")
    parser.add_argument("--photos", type=Path, help="folder of frontal neutral photos (.jpg)")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--regularisation", type=float, default=0.5)
    parser.add_argument("--start", type=Path, help="begin with these points, skip the renderings")
    parser.add_argument("--out", type=Path, default=here)
    options = parser.parse_args(arguments)
    model = load_model(options.model)
    tracks = landmark_tracks(model)
    if options.start:
        faces, bary = read_points(options.start)
    else:
        faces, bary = first_guess(model, tracks, str(options.predictor))
    if options.photos:
        people = detect_photos(options.photos, str(options.predictor))
        for turn in range(options.rounds + 1):
            fits = [fit(model, faces, bary, p, s, options.regularisation) for p, s in people]
            report(f"round {turn}", fits)
            if turn < options.rounds:
                faces, bary = shift(model, tracks, faces, bary, fits)
    write_points(options.out, faces, bary)
    return 0


# ---------------------------------------------------------------- where a landmark may lie


def landmark_tracks(model: MorphableModel) -> list[Track]:
    """The part of the mesh each of the 68 landmarks is bound to.

    Parameters
    ----------
    model : MorphableModel
        Model with the parts skin, lips, mouth_cavity and eye_socket.

    Returns
    -------
    list of 68 Track
        Lid edges, lip edges, the vermilion border, the midline or the frontal skin.
    """
    part = {name: i for i, name in enumerate(model.part_names)}
    outside = np.isin(model.parts, [part["skin"], part["lips"]])
    centre = model.mean[model.faces].mean(1)
    frontal = np.flatnonzero(outside & (centre[:, 2] > -85) & (centre[:, 1] > -115))
    lids = [_ring(model, part["skin"], part["eye_socket"], steps) for steps in (2, 1)]
    inner = _ring(model, part["lips"], part["mouth_cavity"], 1)
    vermilion = _border(model, part["lips"], part["skin"])
    tracks = [Track(frontal, model.faces[frontal].astype(np.int64))] * 68
    for side, first in ((-1, 36), (1, 42)):
        rims = [_where(lid, model.mean[lid[1]].mean(1)[:, 0] * side > 0) for lid in lids]
        eye, upper, lower = rims[1], _arcs(model, rims[0])[0], _arcs(model, rims[1])[1]
        corners = (0, 3)
        for i in range(6):
            k = first + i
            tracks[k] = Track(*eye) if i in corners else Track(*(upper if i < 3 else lower))
    upper, lower = _arcs(model, inner)
    for k in range(60, 68):
        tracks[k] = Track(*(inner if k in (60, 64) else upper if k < 64 else lower))
    upper, lower = _arcs(model, vermilion)
    for k in range(48, 60):
        tracks[k] = Track(*(vermilion if k in (48, 54) else upper if k < 54 else lower))
    return tracks


def _border(model: MorphableModel, one: int, other: int) -> tuple[Ints, Ints]:
    """Triangles of part `one` with an edge on part `other`, and these edges as flat triangles."""
    owners: dict[tuple[int, int], list[int]] = defaultdict(list)
    for face, corners in enumerate(model.faces.tolist()):
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            owners[min(a, b), max(a, b)].append(face)
    faces, edges = [], []
    for (a, b), both in sorted(owners.items()):
        if len(both) == 2 and {int(model.parts[f]) for f in both} == {one, other}:
            faces.append(next(f for f in both if model.parts[f] == one))
            edges.append((a, b, b))
    return np.array(faces), np.array(edges)


def _ring(model: MorphableModel, part: int, other: int, steps: int) -> tuple[Ints, Ints]:
    """The closed line in `part` that runs `steps` rings of triangles away from part `other`.

    One ring from the mouth cavity closed lips touch; two rings from the eye
    socket is the visible edge of the upper lid, one ring that of the lower.
    """
    faces = model.faces.astype(np.int64)
    own = np.flatnonzero(model.parts == part)
    seen = np.unique(faces[model.parts == other])
    for _ in range(steps):
        inside = np.isin(faces[own], seen)
        strip, corners = own[inside.sum(1) == 1], inside[inside.sum(1) == 1]
        seen = np.union1d(seen, faces[own[inside.any(1)]])
    edges = faces[strip][~corners].reshape(-1, 2)
    return strip, np.column_stack([np.sort(edges, 1), np.max(edges, 1)])


def _where(border: tuple[Ints, Ints], keep: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    return border[0][keep], border[1][keep]


def _arcs(model: MorphableModel, border: tuple[Ints, Ints]) -> list[tuple[Ints, Ints]]:
    """The upper and the lower half of a closed border, between its outermost points."""
    neighbours: dict[int, list[int]] = defaultdict(list)
    for a, b, _ in border[1].tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    x = {v: model.mean[v, 0] for v in neighbours}
    start, end = min(x, key=x.__getitem__), max(x, key=x.__getitem__)
    halves = []
    for first in neighbours[start]:
        path = [start, first]
        while path[-1] != end:
            path.append(next(v for v in neighbours[path[-1]] if v != path[-2]))
        halves.append(path)
    halves.sort(key=lambda path: -model.mean[path, 1].mean())
    result = []
    for path in halves:
        edges = {frozenset(pair) for pair in zip(path, path[1:], strict=False)}
        on_path = [frozenset(edge[:2]) in edges for edge in border[1].tolist()]
        result.append(_where(border, np.array(on_path)))
    return result


def closest_in_triangles(triangles: Floats, point: Floats) -> Floats:
    """Barycentric coordinates of the nearest point of each triangle, (N, 3).

    Projected gradient-free: the plane's foot point if it lies inside, else the
    best point of the three edges. Flat triangles (edges) are allowed.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    options = []
    for i, (p, q) in enumerate(((a, b), (b, c), (c, a))):
        along = q - p
        t = ((point - p) * along).sum(1) / np.maximum((along**2).sum(1), 1e-12)
        t = np.clip(t, 0, 1)
        bary = np.zeros((len(a), 3))
        bary[:, i], bary[:, (i + 1) % 3] = 1 - t, t
        options.append(bary)
    e1, e2, d = b - a, c - a, point - a
    g11, g12, g22 = (e1 * e1).sum(1), (e1 * e2).sum(1), (e2 * e2).sum(1)
    h1, h2 = (d * e1).sum(1), (d * e2).sum(1)
    det = g11 * g22 - g12**2
    det_ok = det > 1e-9 * np.maximum(g11 * g22, 1e-12)
    safe = np.where(det_ok, det, 1)
    u, v = (g22 * h1 - g12 * h2) / safe, (g11 * h2 - g12 * h1) / safe
    inside = det_ok & (u >= 0) & (v >= 0) & (u + v <= 1)
    options.append(np.where(inside[:, None], np.stack([1 - u - v, u, v], 1), options[0]))
    stacked = np.stack(options)
    foot = np.einsum("onc,ncd->ond", stacked, triangles)
    best = np.linalg.norm(foot - point, axis=2).argmin(0)
    return stacked[best, np.arange(len(a))]


def snap(model: MorphableModel, track: Track, target: Floats) -> tuple[int, Floats]:
    """Triangle and barycentric coordinates (in its vertex order) of the nearest allowed point."""
    face, (bary, corners) = track.closest(model.mean, target)
    ordered = [
        sum(b for b, v in zip(bary, corners, strict=True) if int(v) == corner)
        for corner in model.faces[face]
    ]
    return face, np.array(ordered, dtype=np.float64)


def snap_all(model: MorphableModel, tracks: list[Track], targets: Floats) -> tuple[Ints, Floats]:
    """All 68 landmarks snapped to their tracks, made exactly symmetric."""
    targets = (targets + targets[MIRROR_68] * (-1, 1, 1)) / 2
    faces, bary = np.zeros(68, np.int64), np.zeros((68, 3))
    index = {frozenset(f): i for i, f in enumerate(model.faces.tolist())}
    for k in range(68):
        partner = MIRROR_68[k]
        if partner < k:
            corners = model.mirror[model.faces[faces[partner]]].tolist()
            faces[k] = index[frozenset(corners)]
            bary[k] = [bary[partner][corners.index(v)] for v in model.faces[faces[k]].tolist()]
        else:
            faces[k], bary[k] = snap(model, tracks[k], targets[k])
            if partner == k:
                faces[k], bary[k] = _on_midline(model, faces[k], bary[k])
    return faces, bary


def _on_midline(model: MorphableModel, face: int, bary: Floats) -> tuple[int, Floats]:
    """The same point moved onto the edge of its triangle that lies in the plane x = 0."""
    corners = model.mean[model.faces[face]]
    middle = np.abs(corners[:, 0]) < 1e-3
    bary = np.where(middle, bary, 0)
    if bary.sum() < 1e-6:
        raise SystemExit(f"triangle {face} under a midline landmark does not touch the midline")
    return face, bary / bary.sum()


# ---------------------------------------------------------------- first pass: renderings


def first_guess(
    model: MorphableModel, tracks: list[Track], predictor: str, count: int = 60
) -> tuple[Ints, Floats]:
    """Landmarks from detections on renderings of random identities.

    Parameters
    ----------
    model : MorphableModel
        Model to render.
    tracks : list of 68 Track
        Where each landmark may lie.
    predictor : str
        dlib's 68-point predictor.
    count : int
        Number of renderings.

    Returns
    -------
    faces : (68,) int
        Triangles.
    bary : (68, 3) float64
        Barycentric coordinates.
    """
    detector = Detector(predictor)
    rng = np.random.default_rng(1)
    views, found = [], []
    for i in range(count):
        vertices = model.shape(rng.normal(size=model.n_modes) * (i > 0))
        turn = Rotation.from_euler("yx", rng.normal(0, (0.12, 0.05))).as_matrix()
        image, points = render(model, vertices @ turn.T)
        detected = detector(np.asarray(image, np.uint8))
        if detected is not None:
            views.append(points)
            found.append(detected)
    print(f"detected {len(found)} of {count} renderings")
    seen, detections = np.stack(views), np.stack(found)
    targets = np.zeros((68, 3))
    for k, track in enumerate(tracks):
        bary = np.array([[1, 1, 1], [4, 1, 1], [1, 4, 1], [1, 1, 4]], float)
        bary /= bary.sum(1, keepdims=True)
        points = np.einsum("sc,vncd->vsnd", bary, seen[:, track.corners]).reshape(len(seen), -1, 2)
        positions = np.einsum("sc,ncd->snd", bary, model.mean[track.corners]).reshape(-1, 3)
        gap = np.median(np.linalg.norm(points - detections[:, None, k], axis=2), 0)
        gap -= positions[:, 2] * 0.03
        if MIRROR_68[k] == k:
            gap += np.abs(positions[:, 0])
        targets[k] = positions[gap.argmin()]
    return snap_all(model, tracks, targets)


def render(model: MorphableModel, vertices: Floats, size: int = 420) -> tuple[Floats, Floats]:
    """A plain shaded RGB picture of a face with tinted lips, and the projected vertices."""
    depth = 900 - vertices[:, 2]
    pixels = np.stack([vertices[:, 0], -vertices[:, 1] - 15], 1) * (1650 / depth[:, None])
    pixels += size / 2
    faces = model.faces.astype(np.int64)
    corner = vertices[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    smooth = np.zeros_like(vertices)
    for c in range(3):
        np.add.at(smooth, faces[:, c], normal)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-9)
    shade = np.clip(smooth @ (np.array([0.2, 0.35, 0.9]) / 0.986), 0, 1) * 0.75 + 0.25
    colours = np.full((len(model.part_names), 3), (210.0, 175.0, 150.0))
    colours[1] = (185, 115, 105)
    colours[2:6] = (90, 40, 40)
    colours[7:9] = 235
    triangle, bary = rasterise(np.column_stack([pixels, depth]), faces, size)
    image = colours[model.parts[triangle]]
    image = image * np.einsum("hwc,hwc->hw", bary, shade[faces[triangle]])[..., None]
    where = np.einsum("hwc,hwcd->hwd", bary, vertices[faces[triangle]])
    for part in (7, 8):
        ball = vertices[np.unique(faces[model.parts == part])]
        pole, radius = ball[ball[:, 2].argmax()], np.ptp(ball[:, 0]) / 2
        on = model.parts[triangle] == part
        off = np.linalg.norm(where - pole, axis=2)
        image[on] = 235
        image[on & (off < 0.5 * radius)] = (90, 70, 60)
        image[on & (off < 0.2 * radius)] = 10
    image[triangle < 0] = 215
    return np.clip(image, 0, 255).astype(np.uint8), pixels


def rasterise(points: Floats, faces: Ints, size: int) -> tuple[Ints, Floats]:
    """Triangle index (-1 outside) and barycentric coordinates at each pixel, nearest first."""
    import numba

    @numba.njit
    def fill(points: Floats, faces: Ints, size: int) -> tuple[Ints, Floats]:
        depth = np.full((size, size), np.inf)
        triangle = np.full((size, size), -1)
        bary = np.zeros((size, size, 3))
        for t in range(len(faces)):
            a, b, c = points[faces[t, 0]], points[faces[t, 1]], points[faces[t, 2]]
            area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
            if abs(area) < 1e-12:
                continue
            left, top = int(min(a[0], b[0], c[0])), int(min(a[1], b[1], c[1]))
            right, bottom = int(max(a[0], b[0], c[0])) + 1, int(max(a[1], b[1], c[1])) + 1
            for y in range(max(0, top), min(size, bottom + 1)):
                for x in range(max(0, left), min(size, right + 1)):
                    w1 = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / area
                    w2 = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / area
                    w0 = 1 - w1 - w2
                    if min(w0, w1, w2) < -1e-9:
                        continue
                    z = w0 * a[2] + w1 * b[2] + w2 * c[2]
                    if z < depth[y, x]:
                        depth[y, x], triangle[y, x] = z, t
                        bary[y, x, 0], bary[y, x, 1], bary[y, x, 2] = w0, w1, w2
        return triangle, bary

    global _fill  # compiled once
    if _fill is None:
        _fill = fill
    return _fill(points, faces, size)


_fill = None


class Detector:
    """dlib's face detector and 68-point predictor on RGB pictures."""

    def __init__(self, predictor: str) -> None:
        import dlib

        self._find = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(predictor)
        self._box = dlib.rectangle

    def __call__(self, image: NDArray[np.uint8]) -> Floats | None:
        """Landmarks (68, 2) in pixels of the largest face, None if there is no face."""
        import cv2

        scale = min(1.0, 600 / image.shape[0])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = self._find(small, 1 if scale == 1 else 0)
        if not boxes:
            return None
        box = max(boxes, key=lambda b: b.area())
        edges = [int(e / scale) for e in (box.left(), box.top(), box.right(), box.bottom())]
        found = self._predict(image, self._box(*edges)).parts()
        return np.array([[p.x, p.y] for p in found], dtype=np.float64)


# ---------------------------------------------------------------- second pass: photos


@dataclass(frozen=True)
class PhotoFit:
    """A fitted photo: `residual` (68, 2) as shares of inter-ocular distance, and in model mm."""

    residual: Floats
    correction: Floats
    coefficients: Floats


def detect_photos(folder: Path, predictor: str) -> list[tuple[Floats, tuple[int, int]]]:
    """Landmarks and (height, width) of every photo with a face."""
    import cv2

    detector = Detector(predictor)
    people = []
    for path in sorted(folder.glob("*.jpg")):
        image = cv2.imread(str(path))[..., ::-1].copy()
        points = detector(image)
        if points is not None:
            people.append((points, image.shape[:2]))
    return people


def fit(
    model: MorphableModel,
    faces: Ints,
    bary: Floats,
    observed: Floats,
    size: tuple[int, int],
    regularisation: float,
    rounds: int = 25,
) -> PhotoFit:
    """Camera and identity of one face by Levenberg-Marquardt.

    Unknowns: rotation, translation, log focal length and the shape
    coefficients, with priors N(0, 1) on the coefficients and
    N(log(10 inter-ocular distances), 0.2) on log focal, which frontal
    landmarks cannot tell.
    """
    corners = model.faces[faces]
    mean = np.einsum("lc,lcd->ld", bary, model.mean[corners])
    modes = np.einsum("lc,klcd->kld", bary, model.modes[:, corners].astype(np.float64))
    centre = np.array([size[1], size[0]]) / 2
    inter_ocular = np.linalg.norm(observed[36] - observed[45])
    weight = 1 / (SIGMA_68 * inter_ocular)
    prior_focal = np.log(10 * inter_ocular)
    shift_xy = (observed.mean(0) - centre) / np.exp(prior_focal)
    distance = np.exp(prior_focal) * np.linalg.norm(mean[36] - mean[45]) / inter_ocular
    rotation = np.eye(3)
    x = np.concatenate([distance * np.append(shift_xy, 1) - (mean * TO_CAMERA).mean(0),
                        [prior_focal], np.zeros(len(modes))])  # fmt: skip
    prior = np.concatenate([np.zeros(6), [25.0], np.full(len(modes), regularisation)])
    goal = np.zeros(len(prior))
    goal[6] = prior_focal

    def evaluate(rotation: Floats, x: Floats) -> tuple[Floats, Floats, Floats, float]:
        shape = (mean + np.tensordot(x[4:], modes, 1)) * TO_CAMERA
        seen = shape @ rotation.T + x[:3]
        pixels = np.exp(x[3]) * seen[:, :2] / seen[:, 2:] + centre
        gap = pixels - observed
        penalty = prior[6:] @ (x[3:] - goal[6:]) ** 2
        return gap, seen, shape, float(((gap * weight[:, None]) ** 2).sum() + penalty)

    damping = 1e-3
    gap, seen, shape, cost = evaluate(rotation, x)
    for _ in range(rounds):
        jacobian = _jacobian(rotation, x, seen, shape, modes) * weight[:, None, None]
        jacobian = jacobian.reshape(136, -1)
        hessian = jacobian.T @ jacobian + np.diag(prior)
        slope = jacobian.T @ (gap * weight[:, None]).ravel()
        slope[6:] += prior[6:] * (x[3:] - goal[6:])
        while True:
            step = -np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), slope)
            turned = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation
            trial = evaluate(turned, x + step[3:])
            if trial[3] < cost or damping > 1e6:
                break
            damping *= 5
        finished = cost - trial[3] < 1e-5 * cost
        rotation, x = turned, x + step[3:]
        gap, seen, shape, cost = trial
        damping = max(damping / 5, 1e-6)
        if finished:
            break
    back = np.column_stack([-gap * seen[:, 2:] / np.exp(x[3]), np.zeros(68)])
    return PhotoFit(gap / inter_ocular, (back @ rotation) * TO_CAMERA, x[4:])


def _jacobian(rotation: Floats, x: Floats, seen: Floats, shape: Floats, modes: Floats) -> Floats:
    """Derivative (68, 2, 7 + K) of the pixels by rotation vector, translation, log focal, shape."""
    focal, inverse = np.exp(x[3]), 1 / seen[:, 2]
    by_point = np.zeros((68, 2, 3))
    by_point[:, 0, 0] = by_point[:, 1, 1] = focal * inverse
    by_point[:, :, 2] = -focal * seen[:, :2] * inverse[:, None] ** 2
    z = shape @ rotation.T
    cross = np.zeros((68, 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = z[:, 2], -z[:, 1], z[:, 0]
    cross -= cross.transpose(0, 2, 1)
    jacobian = np.zeros((68, 2, 7 + len(modes)))
    jacobian[:, :, :3] = by_point @ cross
    jacobian[:, :, 3:6] = by_point
    jacobian[:, :, 6] = focal * seen[:, :2] * inverse[:, None]
    jacobian[:, :, 7:] = np.einsum("lij,klj->lik", by_point, (modes * TO_CAMERA) @ rotation.T)
    return jacobian


def shift(
    model: MorphableModel,
    tracks: list[Track],
    faces: Ints,
    bary: Floats,
    fits: list[PhotoFit],
    gain: float = 0.8,
) -> tuple[Ints, Floats]:
    """Landmarks moved over the surface by the mean residual of the fits."""
    position = np.einsum("lc,lcd->ld", bary, model.mean[model.faces[faces]])
    mean = np.median([f.correction for f in fits], axis=0)
    mean[:, 2] = 0
    return snap_all(model, tracks, position + gain * mean)


def report(title: str, fits: list[PhotoFit]) -> None:
    """Print the mean error per group in per cent of inter-ocular distance, and the spread."""
    error = np.stack([np.linalg.norm(f.residual, axis=1) for f in fits])
    groups = "  ".join(f"{name} {100 * error[:, part].mean():.2f}" for name, part in GROUPS.items())
    spread = np.sqrt(np.mean([f.coefficients**2 for f in fits], 0))
    rms, leading = np.sqrt((spread**2).mean()), np.sqrt((spread[:20] ** 2).mean())
    print(f"{title}: {groups} %  rms {rms:.2f}, first twenty {leading:.2f}")


def read_points(path: Path) -> tuple[Ints, Floats]:
    """Triangles and barycentric coordinates from a file of `write_points`."""
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    return table[:, 1].astype(np.int64), table[:, 2:5]


def write_points(path: Path, faces: Ints, bary: Floats) -> None:
    """Store the 68 points: landmark, face, three barycentric coordinates."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["landmark", "face", "b0", "b1", "b2"])
        for k in range(68):
            rounded = np.round(bary[k], 5)
            rounded[rounded.argmax()] += 1 - rounded.sum()
            writer.writerow([k, int(faces[k]), *(f"{b:.5f}" for b in rounded)])


if __name__ == "__main__":
    raise SystemExit(main())
