"""From a target to what the face does: blendshape weights, head motion, blinks.

A still is one lookup in the gallery. A frame of a sequence belongs to a
`Performance`: the whole path with one person style and one draw of blinks and
head motion, worked out once for a face and a sequence.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.camera import project, turned
from synth.expressions.action_units import action_weights
from synth.expressions.arkit import NAMES
from synth.expressions.gallery import Expression, Gallery, Lookup
from synth.expressions.variation import Variation
from synth.motion import Motion, draw_motion, smoothness, with_motion
from synth.paths import parse_path, sample_path
from synth.render.face import NECK
from synth.render.rig import FaceRig
from synth.targets import Moment, Target
from synth.types import VA, Track

__all__ = ["Act", "Performance", "act", "express", "make_track", "perform"]

Float = NDArray[np.float64]
STILL = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Act:
    """What a face does in one picture.

    Attributes
    ----------
    expression : Expression
        What the gallery gave for the target: the label.
    weights : (52,) float64
        What is drawn, in the order of the gallery's names: with blink and gaze.
    head : (3,) float
        Yaw, pitch and roll added to the head's own, degrees.
    blink : float
        1 where a blink shuts the eyes.
    smoothness : dict of str to float
        Of the sequence that the picture is a frame of.
    """

    expression: Expression
    weights: Float
    head: tuple[float, float, float] = STILL
    blink: float = 0.0
    smoothness: dict[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Performance:
    """One face's way through one sequence.

    Attributes
    ----------
    faces : (F, 52) float64
        The gallery's answer to the path, in the order of its names.
    weights : (F, 52) float64
        The same with blinks and gaze.
    motion : Motion
    smoothness : dict of str to float
    """

    faces: Float
    weights: Float
    motion: Motion
    smoothness: dict[str, float]


def draw_variation(gallery: Gallery, target: Target, seed: int) -> Variation | None:
    """The person style of a target; None is the mean face."""
    if target.style is not None:
        return gallery.draw(target.style, expression=target.expression)
    if not target.sample:
        return None
    # A sequence has one style: that of a person seen where its path leads farthest.
    va = target.va
    if target.moment is not None:
        path = target.moment.track.va
        va = VA(*(float(x) for x in path[np.hypot(path[:, 0], path[:, 1]).argmax()]))
    return gallery.draw(seed, va=va, expression=target.expression)


def express(gallery: Gallery, target: Target, seed: int, lookup: Lookup = "smooth") -> Expression:
    """The face of a target: of the VA class, of the basic expression or of the actions."""
    if target.actions:
        weights = gallery.complete(action_weights(target.actions))
        va = gallery.read_va(weights[: len(NAMES)])
        index = gallery.class_of(va)
        return Expression(weights, va, index, VA(*gallery.class_va[index]), "actions")
    variation = draw_variation(gallery, target, seed)
    if target.expression:
        return gallery.expression(target.expression, target.intensity, variation)
    return gallery.lookup(target.va, lookup, variation)


def path_faces(
    gallery: Gallery, va: Float, expression: str = "", variation: Variation | None = None
) -> Float:
    """(F, 52) faces along the points `va` (F, 2), of an expression on its ray if one is named."""
    if not expression:
        return gallery.smooth_weights(va, variation)
    full = EXPRESSIONS[expression].radius or 1.0
    shares = np.hypot(va[:, 0], va[:, 1]) / full
    return np.stack([gallery.expression(expression, s, variation).weights for s in shares])


def make_track(gallery: Gallery, path: str, fps: float, seconds: float | None) -> Track:
    """The frames of a path, slowed where the gallery's mean faces would move too fast.

    Raises
    ------
    TargetError
        If the path cannot be read, leaves the disc or its times do not increase.
    """
    curve = parse_path(path)
    return sample_path(
        curve, fps, seconds, partial(path_faces, gallery, expression=curve.expression)
    )


def perform(
    gallery: Gallery,
    order: NDArray[np.int64],
    rig: FaceRig,
    target: Target,
    moment: Moment,
    seed: int,
    blinks: bool = False,
    head_motion: bool = False,
) -> Performance:
    """The sequence that a target is a frame of, on one face.

    Parameters
    ----------
    gallery : Gallery
    order : (52,) int
        Where the model's blendshapes stand in the gallery.
    rig : FaceRig
    target : Target
    moment : Moment
        Of the target.
    seed : int
        Of the sequence: draws style, blinks and head motion.
    blinks, head_motion : bool
    """
    track = moment.track
    variation = draw_variation(gallery, target, seed)
    faces = path_faces(gallery, track.va, track.expression, variation)
    motion = draw_motion(len(track), track.fps, seed, blinks, head_motion)
    weights = with_motion(faces, motion)
    points = np.stack(
        [
            _landmarks(rig, w[order], pose)
            for w, pose in zip(weights, motion.head.tolist(), strict=True)
        ]
    )
    measured = asdict(smoothness(points, rig.inter_ocular, track.fps))
    rounded = {name: round(value, 5) for name, value in measured.items()}
    return Performance(faces, weights, motion, rounded)


def _landmarks(rig: FaceRig, weights: Float, pose: tuple[float, ...]) -> Float:
    """(68, 2) pixels, as the renderer will put them."""
    points = rig.model.landmarks(rig.fit.vertices + rig.model.offsets(weights))
    seen: Float = project(points, turned(rig.fit.camera, pose, NECK))[:, :2]
    return seen


def act(gallery: Gallery, performance: Performance, target: Target, moment: Moment) -> Act:
    """One frame of a performance."""
    frame = moment.frame
    index = gallery.class_of(target.va)
    expression = Expression(
        performance.faces[frame],
        target.va,
        index,
        VA(*gallery.class_va[index]),
        "expression" if target.expression else "smooth",
        target.expression,
    )
    yaw, pitch, roll = performance.motion.head[frame].tolist()
    return Act(
        expression,
        performance.weights[frame],
        (yaw, pitch, roll),
        float(performance.motion.blink[frame]),
        performance.smoothness,
    )
