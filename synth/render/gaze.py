"""Where the eyes look, and where a turned head carries them.

The morphable model turns its eyeballs with the eyeLook* actions, but its eyes
carry no picture: the iris is painted (`synth.render.eyeball`). This module says
where to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.camera import FLIP, project, rotation_matrix
from synth.render.eyes import edge_rows
from synth.types import Camera

if TYPE_CHECKING:
    from synth.render.rig import FaceRig

__all__ = ["EyeView", "Gaze", "aim", "carried", "view_eye"]

Float = NDArray[np.float64]

#: Degrees that the eye turns at weight 1. ARKit gives no numbers; these are comfortable limits
#: of gaze without the head, and a little less upwards, where the lids follow less.
DEGREES = {"In": 28.0, "Out": 28.0, "Up": 20.0, "Down": 24.0}
#: From the eye's centre of rotation to the plane of the iris, mm.
IRIS_DEPTH = 10.5
#: An eye is drawn wholly anew when a lid or its iris has moved this far (inter-ocular
#: distances); before, part of the photo's own look stays.
LID_MOVED, IRIS_MOVED = 0.012, 0.03


@dataclass(frozen=True)
class Gaze:
    """Where one eye looks, seen in the neutral photo.

    Attributes
    ----------
    shift : (2,) float64
        Motion of the centre of the iris, pixels.
    back : (2, 2) float64
        Undoes the foreshortening of the iris.
    """

    shift: Float
    back: Float


@dataclass(frozen=True)
class EyeView:
    """How an eye of the neutral photo is to be seen.

    Attributes
    ----------
    back : (2, 3) float64
        Pixel of the picture to pixel of the neutral photo, for the front of the eyeball.
    gaze : Gaze
    upper, lower : (w,) float64
        Rows of the lid edges in every column of the eyeball's box, neutral photo.
    moved : float
        0..1: how far lids and iris have left the neutral photo.
    looks : float
        0..1: how far the iris has.
    shut : float
        0..1: how far what is left between the lids is a fold of skin.
    still : bool
        Whether nothing is to be drawn.
    """

    back: Float
    gaze: Gaze
    upper: Float
    lower: Float
    moved: float
    looks: float
    shut: float
    still: bool


def aim(weights: Float, names: Sequence[str], side: str, camera: Camera, depth: float) -> Gaze:
    """The gaze of one eye.

    Parameters
    ----------
    weights : (52,) float
    names : sequence of 52 str
        Their ARKit names.
    side : {"Right", "Left"}
        Of the subject.
    camera : Camera
        Of the neutral photo.
    depth : float
        Of the eye, mm.
    """
    turn = {
        way: most * min(max(float(weights[names.index(f"eyeLook{way}{side}")]), 0.0), 1.2)
        for way, most in DEGREES.items()
    }
    if not any(turn.values()):
        return Gaze(np.zeros(2), np.eye(2))
    outwards = 1.0 if side == "Left" else -1.0  # model x is to the subject's left
    across = np.radians(outwards * (turn["Out"] - turn["In"]))
    up = np.radians(turn["Up"] - turn["Down"])
    ahead = np.array([np.sin(across) * np.cos(up), np.sin(up), np.cos(across) * np.cos(up)])
    motion = (IRIS_DEPTH * (ahead - (0, 0, 1)) * FLIP) @ rotation_matrix(camera).T
    shift = motion[:2] * camera.focal / depth
    length = float(np.linalg.norm(shift))
    if length < 1e-9:
        return Gaze(np.zeros(2), np.eye(2))
    along = shift / length
    return Gaze(shift, np.eye(2) + (1 / max(ahead[2], 0.5) - 1) * np.outer(along, along))


def carried(rig: FaceRig, front: NDArray[np.int64], camera: Camera) -> Float:
    """(2, 3) affine map, least squares, from pixels of a turned head back to the neutral photo.

    `front` (n,) are the vertices at the front of the eyeball that it follows.
    """
    after = project(rig.fit.vertices[front], camera)[:, :2]
    basis = np.column_stack((after, np.ones(len(after))))
    return np.asarray(np.linalg.lstsq(basis, rig.neutral[front, :2], rcond=None)[0].T)


def view_eye(rig: FaceRig, points: Float, camera: Camera, weights: Float, eye: int) -> EyeView:
    """How the subject's right (0) or left (1) eye is to be seen.

    Parameters
    ----------
    rig : FaceRig
    points : (V + S, 3) float64
        Mesh and skirt of the picture.
    camera : Camera
        That sees the picture; another one than the fit's when the head was turned.
    weights : (52,) float64
    """
    ball, lids, iod = rig.eyes[eye], rig.topology.lids[eye], rig.inter_ocular
    front = rig.fronts[eye]
    names, depth = rig.model.blendshape_names, float(rig.neutral[front, 2].mean())
    gaze = aim(weights, names, ("Right", "Left")[eye], rig.fit.camera, depth)
    back = np.eye(2, 3)
    turned = camera is not rig.fit.camera
    if turned:
        back = carried(rig, front, camera)
    edge = np.concatenate((lids.upper, lids.lower))
    new = points[edge, :2] @ back[:, :2].T + back[:, 2] if turned else points[edge, :2]
    lid = float(np.abs(new - rig.neutral[edge, :2]).max()) / iod
    iris = float(np.linalg.norm(gaze.shift)) / iod
    columns = ball.left + np.arange(ball.ball.shape[1], dtype=float)
    looks = _smooth(iris / IRIS_MOVED)
    return EyeView(
        back=back,
        gaze=gaze,
        upper=edge_rows(new[: len(lids.upper)], columns),
        lower=edge_rows(new[len(lids.upper) :], columns),
        moved=max(_smooth(lid / LID_MOVED), looks),
        looks=looks,
        shut=_smooth((weights[rig.lids[eye].blink] - 0.6) / 0.4),
        still=not turned and max(lid, iris) < 1e-4,
    )


def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)
