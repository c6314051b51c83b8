"""Draw one expression on a prepared photo.

``s_new = s_orig + delta_s`` (Kollias et al., IJCV 2020, sec. 4.5): the gallery's
motion is added to the fitted face; no identity of the gallery leaks in. The
deformed mesh is rasterised, every pixel looks up the photo at the neutral
projection of the surface point it sees, and lips, lids, teeth and eyes are drawn
with 2 x 2 samples per pixel.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from synth.camera import FLIP, project, rotation_matrix, turned
from synth.errors import ShapeError
from synth.render.eyeball import shade_eye
from synth.render.eyes import edge_rows
from synth.render.folds import fold_ratio, fold_strengths
from synth.render.gaze import EyeView, view_eye
from synth.render.lashes import draw_lashes, lash_share, skin_share
from synth.render.lids import Lid, meet, visible_edge
from synth.render.light import relight
from synth.render.mouth import shade_mouth
from synth.render.mouth_shape import mouth_shape, shape_mouth
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.shade import GAIN, average, shade_samples, shade_warp, vertex_normals
from synth.render.teeth import tooth_set
from synth.render.topology import CAVITY, TONGUE, Curves
from synth.types import Camera

__all__ = ["Rendered", "render"]

Float = NDArray[np.float64]
Box = tuple[int, int, int, int]
#: The joint of head and neck in the model, mm: a turn about it moves the outline least.
NECK = (0.0, -35.0, -80.0)


@dataclass(frozen=True)
class Rendered:
    """One drawn face.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
    mask : (H, W) bool
        Pixels that were written; the others equal the photo.
    landmarks : (68, 2) float64
        Where the expression put the landmarks, pixels.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    landmarks: Float


@dataclass(frozen=True)
class _Deformed:
    """The mesh of one expression: positions, and what shading needs of it."""

    points: Float  # (V + S, 3) pixels and depth
    normals: Float  # (V, 3)
    values: NDArray[np.float32]  # (V + S, 6), see `shade_warp`
    folds: NDArray[np.float32]  # (M, M, 3) ratio
    camera: Camera
    weights: Float  # (52,)


_NO_FOLDS = np.ones((2, 2, 3), np.float32)


class _Timer:
    """Adds up seconds per stage into a caller's dictionary."""

    def __init__(self, profile: MutableMapping[str, float] | None) -> None:
        self.profile, self.last = profile, perf_counter()

    def __call__(self, stage: str) -> None:
        now = perf_counter()
        if self.profile is not None:
            self.profile[stage] = self.profile.get(stage, 0.0) + now - self.last
        self.last = now


def render(
    rig: FaceRig,
    weights: NDArray[np.float64],
    pose: Sequence[float] | Float = (0.0, 0.0, 0.0),
    profile: MutableMapping[str, float] | None = None,
) -> Rendered:
    """The photo of `rig` with an expression.

    Parameters
    ----------
    rig : FaceRig
    weights : (52,) float
        ARKit blendshape weights.
    pose : (3,) float
        Yaw, pitch and roll in degrees, added to the head's own (signs of
        `synth.types.Fit.pose`); meant for small turns. With all weights and
        angles zero the photo is returned unchanged.
    profile : dict, optional
        Seconds per stage are added to it.

    Returns
    -------
    Rendered

    Raises
    ------
    ShapeError
        If `weights` or `pose` has another shape or is not finite.
    """
    weights = np.asarray(weights, np.float64)
    if weights.shape != rig.fit.expression.shape or not np.isfinite(weights).all():
        raise ShapeError(
            f"weights: expected {rig.fit.expression.shape} finite, got {weights.shape}"
        )
    turn = np.asarray(pose, np.float64)
    if turn.shape != (3,) or not np.isfinite(turn).all():
        raise ShapeError(f"pose: expected three finite degrees (yaw, pitch, roll), got {pose!r}")
    out = rig.image.pixels.copy()
    mask = np.zeros(out.shape[:2], bool)
    if not weights.any() and not turn.any():
        at = project(rig.model.landmarks(rig.fit.vertices), rig.fit.camera)[:, :2]
        return Rendered(out, mask, at)
    timer = _Timer(profile)
    camera = turned(rig.fit.camera, turn, NECK) if turn.any() else rig.fit.camera
    state = _deform(rig, weights, camera)
    skin = _bare_lids(rig, weights)
    timer("deform")
    _warp(rig, skin, state, out, mask, timer)
    _details(rig, skin, state, out, mask)
    _lashes(rig, state, out, mask)
    timer("eyes and mouth")
    if rig.paper is not None:
        out, mask = rig.paper.apply(rig.image.pixels, out)
        timer("blend")
    corners = rig.model.faces[rig.model.landmark_faces]
    at = (rig.model.landmark_bary[:, :, None] * state.points[corners][..., :2]).sum(1)
    return Rendered(out, mask, at)


def _deform(rig: FaceRig, weights: Float, camera: Camera) -> _Deformed:
    """Mesh and skirt of an expression seen by `camera`, relit and with its folds."""
    vertices = rig.fit.vertices + rig.model.offsets(weights)
    for lid in rig.lids:
        if weights[lid.blink]:
            vertices[lid.index] -= weights[lid.blink] * lid.excess
    mouth = mouth_shape(rig.model)
    shape_mouth(mouth, rig.fit.vertices, vertices, rig.fit.camera)
    seen = project(vertices, camera)
    seen[:, 2] += mouth.inset
    for lid in rig.lids:
        meet(lid, seen, vertices, camera, weights[lid.blink])
    surface = rig.surface
    motion = seen[surface.outline, :2] - rig.neutral[surface.outline, :2]
    skirt = np.empty((len(surface.skirt), 3))
    skirt[:, :2] = surface.skirt + surface.follow @ motion
    skirt[:, 2] = seen[:, 2].max() + 50.0  # behind everything
    normals = np.empty_like(vertices)
    vertex_normals(vertices, rig.model.faces, rig.topology.corner_faces, normals)
    values = rig.values.copy()
    if rig.settings.relight:
        lit = normals
        if camera is not rig.fit.camera:  # the light stays with the camera
            back = rotation_matrix(rig.fit.camera).T @ rotation_matrix(camera)
            lit = (normals * FLIP) @ back.T * FLIP
        values[: len(vertices), GAIN] = relight(rig.light, rig.normals, lit, rig.guard)
    values[-len(surface.outline) :, GAIN] = values[surface.outline, GAIN]  # no seam
    folds = _folds(rig, weights, vertices)
    return _Deformed(np.concatenate((seen, skirt)), normals, values, folds, camera, weights)


def _folds(rig: FaceRig, weights: Float, vertices: Float) -> NDArray[np.float32]:
    """(M, M, 3) ratio of the folds of an expression."""
    if rig.folds is None:
        return _NO_FOLDS
    model = rig.model
    before, after = model.landmarks(rig.fit.vertices), model.landmarks(vertices)
    strengths = fold_strengths(weights, model.blendshape_names, rig.folds, before, after)
    return fold_ratio(rig.folds, strengths, rig.settings.fold_gain)


def _warp(
    rig: FaceRig,
    skin: NDArray[np.float32],
    state: _Deformed,
    out: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    timer: _Timer,
) -> None:
    """Skin and surroundings, one sample per pixel."""
    surface = rig.surface
    # Weights of the picture: where nothing moves, every pixel finds itself again.
    ids, bary, _ = rasterise(
        state.points, surface.faces, surface.box, 1, rig.settings.backend, perspective=False
    )
    timer("rasterise")
    shade_warp(
        skin, out, mask, ids, bary, surface.faces, rig.carries,
        state.values, state.folds, rig.mouth.lip.astype(np.float32), surface.box[0], surface.box[1],
    )  # fmt: skip
    timer("shade")


def _details(
    rig: FaceRig,
    skin: NDArray[np.float32],
    state: _Deformed,
    out: NDArray[np.uint8],
    mask: NDArray[np.bool_],
) -> None:
    """Eyes and mouth, four samples per pixel, so that lids and lips have soft edges."""
    surface, size = rig.surface, (rig.image.height, rig.image.width)
    mouth_faces = (surface.labels >= CAVITY) & (surface.labels <= TONGUE)
    jobs: list[tuple[Curves, int]] = []
    if rig.settings.eyes:
        jobs += [(rig.topology.lids[0], 0), (rig.topology.lids[1], 1)]
    if rig.settings.mouth:
        jobs += [(rig.topology.lips, -1)]
    for curves, eye in jobs:
        edge = np.concatenate((curves.upper, curves.lower))
        old, new = rig.neutral[edge, :2], state.points[edge, :2]
        box = _box(np.concatenate((old, new)), 0.02 * rig.inter_ocular + 2, size)
        view = view_eye(rig, state.points, state.camera, state.weights, eye) if eye >= 0 else None
        still = view.still if view else np.abs(new - old).max() < 1e-4 * rig.inter_ocular
        if still or box[2] < 1 or box[3] < 1:
            continue
        ids, bary, depth = rasterise(
            state.points, surface.faces, box, 2, rig.settings.backend, perspective=False
        )
        wanted = mouth_faces if eye < 0 else rig.eye_faces
        hit = wanted[ids] & (ids >= 0)
        drawn = hit.reshape(box[3], 2, box[2], 2).any((1, 3))
        if eye >= 0 and state.weights[rig.lids[eye].blink] > 0:
            drawn |= _line_of(rig.lids[eye].upper, state.points[:, :2], box)
        if not drawn.any():
            continue
        samples = np.zeros((*ids.shape, 3), np.float32)
        if view is None:
            _draw_mouth(rig, state, box, ids, bary, depth, samples)
        else:
            _draw_eye(rig, view, eye, box, ids, samples)
        shade_samples(
            skin, ids, bary, surface.faces, rig.carries, state.values,
            state.folds, rig.mouth.lip.astype(np.float32), drawn, samples,
        )  # fmt: skip
        average(samples, drawn, out, mask, box[0], box[1])


def _line_of(lid: Lid, points: Float, box: Box) -> NDArray[np.bool_]:
    """(h, w) pixels of a box at a lid's edge, where one lid may lie on the other."""
    columns, rows = box[0] + np.arange(box[2]), box[1] + np.arange(box[3])
    across = points[lid.edge, 0]
    inside = (columns > across.min()) & (columns < across.max())
    line = visible_edge(lid, points, columns.astype(float))
    return np.asarray((np.abs(rows[:, None] - line) < 3) & inside)


def _bare_lids(rig: FaceRig, weights: Float) -> NDArray[np.float32]:
    """Spline coefficients of the photo, with the standing lashes of closing lids fading."""
    spline = rig.spline
    for lid, skin in zip(rig.lids, rig.skins, strict=True):
        share = skin_share(weights[lid.blink])
        if share > 0 and rig.settings.eyes:
            spline = spline.copy() if spline is rig.spline else spline
            height, width = skin.change.shape[:2]
            window = np.s_[skin.top : skin.top + height, skin.left : skin.left + width]
            spline[window] += np.float32(share) * skin.change
    return spline


def _lashes(
    rig: FaceRig, state: _Deformed, out: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> None:
    """The lashes of closing eyes."""
    for eye, (lid, skin) in enumerate(zip(rig.lids, rig.skins, strict=True)):
        share = lash_share(state.weights[lid.blink])
        if share > 0 and rig.settings.eyes:
            across = state.points[lid.upper.edge, 0]
            start, end = across.min(), across.max()
            beyond = int(0.05 * rig.inter_ocular) + 1
            columns = np.arange(int(start) - beyond, int(end) + beyond + 1)
            line = visible_edge(lid.upper, state.points[:, :2], columns.astype(float))
            outer = 1 if eye else -1
            draw_lashes(
                out, mask, line, int(columns[0]), start, end, outer, skin.lash, share,
                rig.inter_ocular,
            )  # fmt: skip


def _box(points: Float, pad: float, size: tuple[int, int]) -> Box:
    """Whole pixels around `points`, clipped to the photo."""
    left, top = (int(max(0, v)) for v in np.floor(points.min(0) - pad))
    high = np.ceil(points.max(0) + pad).astype(int) + 1
    return left, top, int(min(high[0], size[1]) - left), int(min(high[1], size[0]) - top)


def _draw_eye(
    rig: FaceRig,
    view: EyeView,
    eye: int,
    box: Box,
    ids: NDArray[np.int32],
    samples: NDArray[np.float32],
) -> None:
    ball = rig.eyes[eye]
    shade_eye(
        rig.spline, ball.ball, ball.white, ball.iris, ball.upper_lashes, ball.lower_lashes,
        ball.left, ball.top, ball.upper, ball.lower, view.upper, view.lower, view.back,
        view.gaze.shift, view.gaze.back, ids, rig.eye_faces,
        box[0], box[1], rig.inter_ocular, view.moved, view.looks,
        view.shut, rig.skins[eye].lash, samples,
    )  # fmt: skip


def _draw_mouth(
    rig: FaceRig,
    state: _Deformed,
    box: Box,
    ids: NDArray[np.int32],
    bary: NDArray[np.float32],
    depth: NDArray[np.float32],
    samples: NDArray[np.float32],
) -> None:
    lips, iod = rig.topology.lips, rig.inter_ocular
    columns = box[0] + (np.arange(2 * box[2]) + 0.5) / 2 - 0.5
    upper = edge_rows(state.points[lips.upper, :2], columns)
    lower = edge_rows(state.points[lips.lower, :2], columns)
    # The neutral seam, carried sideways with the corners of the mouth.
    ends = lips.upper[[0, -1]]
    back = np.interp(columns, state.points[ends, 0], rig.neutral[ends, 0])
    old_upper = edge_rows(rig.neutral[lips.upper, :2], back)
    old_lower = edge_rows(rig.neutral[lips.lower, :2], back)
    opening = ((lower - upper) - np.maximum(old_lower - old_upper, 0)) / iod
    seam = (old_upper + old_lower) / 2 - (upper + lower) / 2
    colours, teeth = rig.mouth, tooth_set(rig.image.sha256)
    shade_mouth(
        rig.image.pixels, ids, bary, rig.surface.faces, rig.surface.labels, rig.topology.rest,
        state.normals, depth, float(np.median(state.points[lips.upper, 2])), upper, lower,
        state.points[ends, 0], opening, back, seam, box[0], box[1], iod,
        np.stack((colours.tooth * teeth.tint, colours.gum, colours.tongue, colours.cavity)),
        teeth.edges, teeth.crowns, teeth.steps, teeth.shades, samples,
    )  # fmt: skip
