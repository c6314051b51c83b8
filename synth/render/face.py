"""Draw one expression on a prepared photo.

``s_new = s_orig + delta_s`` (Kollias et al., IJCV 2020, sec. 4.5): the gallery's
motion is added to the fitted face; no identity of the gallery leaks in. The
deformed mesh is rasterised, every pixel looks up the photo at the neutral
projection of the surface point it sees, and lips, lids, teeth and eyes are drawn
with 2 x 2 samples per pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.camera import project, turned
from synth.errors import ShapeError
from synth.render.deform import Deformed, deform
from synth.render.details import around, bare_lids, draw_details
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.shade import shade_warp

__all__ = ["Rendered", "render"]

Float = NDArray[np.float64]
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
    points : (V + S, 3) float64, optional
        Mesh and skirt of the expression, pixels and depth.
    edited : mapping, optional
        How a network edited it afterwards, see `synth.routes`.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    landmarks: Float
    points: Float | None = None
    edited: Mapping[str, Any] | None = None


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
    state = deform(rig, weights, camera)
    skin = bare_lids(rig, weights)
    timer("deform")
    _warp(rig, skin, state, out, mask, timer)
    draw_details(rig, skin, state, out, mask)
    timer("eyes and mouth")
    if rig.paper is not None:
        out, mask = rig.paper.apply(rig.image.pixels, out)
        timer("blend")
    corners = rig.model.faces[rig.model.landmark_faces]
    at = (rig.model.landmark_bary[:, :, None] * state.points[corners][..., :2]).sum(1)
    return Rendered(out, mask, at, state.points)


def _warp(
    rig: FaceRig,
    skin: NDArray[np.float32],
    state: Deformed,
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
    _without_inside(rig, state, ids, bary)
    timer("rasterise")
    shade_warp(
        skin, out, mask, ids, bary, surface.faces, rig.carries,
        state.values, state.folds, rig.mouth.lip.astype(np.float32), surface.box[0], surface.box[1],
    )  # fmt: skip
    timer("shade")


def _without_inside(
    rig: FaceRig, state: Deformed, ids: NDArray[np.int32], bary: NDArray[np.float32]
) -> None:
    """Look past the inside of mouth and eyes where it shows outside the lips and lids, in place.

    A lifted chin would show the floor of the mouth below it.
    """
    surface = rig.surface
    left, top, _, _ = surface.box
    hidden = (ids >= 0) & ~rig.carries[ids]
    for curves in (rig.topology.lips, *rig.topology.lids):
        loop = np.concatenate((curves.upper, curves.lower))
        x, y, width, height = around(state.points[loop, :2] - (left, top), 2.0, ids.shape)
        hidden[y : y + height, x : x + width] = False
    rows, columns = np.nonzero(hidden)
    if not len(rows):
        return
    carriers = np.flatnonzero(rig.carries).astype(np.int32)
    x, y = columns.min(), rows.min()
    box = (left + x, top + y, int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
    found, weights, _ = rasterise(
        state.points, surface.faces[carriers], box, 1, rig.settings.backend, perspective=False
    )
    ids[hidden] = np.where(found >= 0, carriers[found], -1)[rows - y, columns - x]
    bary[hidden] = weights[rows - y, columns - x]
