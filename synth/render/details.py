"""Eyes, lids and mouth: what is drawn with 2 x 2 samples per pixel, over the warped skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.render.deform import Deformed
from synth.render.eyeball import shade_eye
from synth.render.eyes import edge_rows
from synth.render.gaze import EyeView, view_eye
from synth.render.lashes import draw_lashes, lash_share, skin_share
from synth.render.lids import Lid, visible_edge
from synth.render.mouth import shade_mouth
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.shade import average, shade_samples
from synth.render.teeth import tooth_set
from synth.render.topology import CAVITY, TONGUE, Curves

__all__ = ["around", "bare_lids", "draw_details"]

Float = NDArray[np.float64]
Box = tuple[int, int, int, int]
#: Pixels on either side of closed lips and lids that are drawn with four samples.
SEAM = 3.0


def draw_details(
    rig: FaceRig,
    skin: NDArray[np.float32],
    state: Deformed,
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
        box = around(np.concatenate((old, new)), 0.02 * rig.inter_ocular + 2, size)
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
        if eye < 0:
            drawn |= _seam(state.points[curves.upper, :2], state.points[curves.lower, :2], box)
        elif state.weights[rig.lids[eye].blink] > 0:
            drawn |= _lid_seam(rig.lids[eye].upper, state.points[:, :2], box)
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
    if rig.settings.eyes:
        _lashes(rig, state, out, mask)


def _seam(upper: Float, lower: Float, box: Box) -> NDArray[np.bool_]:
    """(h, w) pixels of a box between two edges (n, 2) and next to them.

    Where one lip lies on the other, one sample per pixel would flicker in a sequence.
    """
    columns, rows = box[0] + np.arange(box[2]), box[1] + np.arange(box[3])[:, None]
    inside = (columns > upper[:, 0].min()) & (columns < upper[:, 0].max())
    top, bottom = edge_rows(upper, columns), edge_rows(lower, columns)
    low, high = np.minimum(top, bottom) - SEAM, np.maximum(top, bottom) + SEAM
    return np.asarray((rows > low) & (rows < high) & inside)


def _lid_seam(lid: Lid, points: Float, box: Box) -> NDArray[np.bool_]:
    """(h, w) pixels of a box at the edge of an upper lid, where it may lie on the lower one."""
    across = points[lid.edge, 0]
    columns = np.linspace(across.min(), across.max(), 40)
    line = np.column_stack((columns, visible_edge(lid, points, columns)))
    return _seam(line, line, box)


def bare_lids(rig: FaceRig, weights: Float) -> NDArray[np.float32]:
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


def _lashes(rig: FaceRig, state: Deformed, out: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    """The lashes of closing eyes."""
    for eye, (lid, skin) in enumerate(zip(rig.lids, rig.skins, strict=True)):
        share = lash_share(state.weights[lid.blink])
        if share > 0:
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


def around(points: Float, pad: float, size: tuple[int, int]) -> Box:
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
    state: Deformed,
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
        colours.lift, teeth.edges, teeth.crowns, teeth.steps, teeth.shades, samples,
    )  # fmt: skip
