"""What a face does beside its expression: blinks, small gaze shifts, small head motion.

A layer of its own: it is added to the weights and to the pose of a frame, and changes
no label. Everything starts from exactly zero, is drawn from a seed, and depends on
time alone: a longer sequence, or one at another frame rate, moves in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError, UsageError
from synth.expressions.arkit import index_of, stem_columns

__all__ = ["Motion", "Smoothness", "draw_motion", "smoothness", "with_motion"]

Float = NDArray[np.float64]

#: Blinks per minute at rest: mean, spread of its logarithm over people, and the range
#: taken. Log-normal: Bentivoglio et al. 1997 (rest 17, n = 150); Doughty 2001 gives 8 to
#: 21 (95 %) for primary gaze and up to 32 in conversation.
BLINK_RATE, BLINK_SPREAD, BLINK_RANGE = 17.0, 0.35, (4.0, 45.0)
#: Seconds between the starts of two blinks, at least; the rest is gamma distributed.
BLINK_GAP, BLINK_SHAPE = 0.45, 2.0
#: Seconds (lowest, highest) that a lid takes to close, stays closed (so that a frame of
#: 30 fps shows it) and takes to open: 0.25 to 0.36 in all.
CLOSING, CLOSED, OPENING = (0.065, 0.09), (0.034, 0.06), (0.15, 0.21)

#: Fixations: mean seconds, spread of the direction in units of the eyeLook weights (1 is
#: about 30 degrees), its limit, and seconds of a saccade.
FIXATION, GAZE_SPREAD, GAZE_LIMIT, SACCADE = 1.2, 0.025, 0.06, 0.045

#: Largest yaw, pitch and roll in degrees.
HEAD_RANGE = (2.0, 1.5, 1.0)
#: Sines per axis, their frequencies in hertz, and seconds until they are at full size.
HEAD_WAVES, HEAD_BAND, FADE_IN = 5, (0.08, 0.6), 0.5


@dataclass(frozen=True, eq=False)
class Motion:
    """Blinks, gaze and head pose of each frame; all zero in the first.

    Attributes
    ----------
    blink : (F,) float64
        0 open to 1 shut.
    gaze : (F, 2) float64
        To the subject's left and up, in units of the eyeLook weights.
    head : (F, 3) float64
        Yaw, pitch and roll in degrees, as in `synth.types.Fit`.
    """

    blink: Float
    gaze: Float
    head: Float

    def __len__(self) -> int:
        return len(self.blink)


def draw_motion(
    frames: int, fps: float, seed: int, blinks: bool = False, head_motion: bool = False
) -> Motion:
    """The motion of one sequence.

    Parameters
    ----------
    frames : int
    fps : float
        Frames per second; frame i is at ``i / fps`` seconds.
    seed : int
        Blinks, gaze and head each have their own stream of it, so that one does not
        change with the other.
    blinks : bool
        Blinks, and small gaze shifts with them.
    head_motion : bool

    Raises
    ------
    UsageError
        If `frames` or `fps` is not above 0.
    """
    if frames < 1 or not 0 < fps < np.inf:
        raise UsageError(f"motion: expected frames and fps above 0, got {frames} at {fps:g}")
    times = np.arange(frames) / fps
    lids, eyes, head = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    none = np.zeros(frames)
    return Motion(
        blink=_blinks(times, lids) if blinks else none,
        gaze=_gaze(times, eyes) if blinks else np.stack([none, none], axis=1),
        head=_head(times, head) if head_motion else np.stack([none, none, none], axis=1),
    )


def _ease(share: Float) -> Float:
    """Half a cosine from 0 to 1, flat outside."""
    return np.sin(np.pi / 2 * np.clip(share, 0, 1)) ** 2


def _blinks(times: Float, rng: np.random.Generator) -> Float:
    blink = np.zeros(len(times))
    for start in _blink_starts(times[-1], rng):
        closing, closed, opening = (rng.uniform(*span) for span in (CLOSING, CLOSED, OPENING))
        since = times - start
        shut = np.minimum(_ease(since / closing), 1 - _ease((since - closing - closed) / opening))
        blink = np.maximum(blink, shut)
    return blink


def _blink_starts(end: float, rng: np.random.Generator) -> Iterator[float]:
    """Starts in (0, end): as if the person had been blinking long before.

    The gap that time 0 falls into is longer than others in proportion to its length,
    and time 0 lies anywhere in it; with that the mean rate holds from the first second.
    """
    mean = 60.0 / np.clip(
        rng.lognormal(np.log(BLINK_RATE) - BLINK_SPREAD**2 / 2, BLINK_SPREAD), *BLINK_RANGE
    )
    scale = (mean - BLINK_GAP) / BLINK_SHAPE
    longer = 0.0 if rng.random() < BLINK_GAP / mean else 1.0
    start = rng.random() * (BLINK_GAP + rng.gamma(BLINK_SHAPE + longer, scale))
    while start < end:
        yield start
        start += BLINK_GAP + rng.gamma(BLINK_SHAPE, scale)


def _gaze(times: Float, rng: np.random.Generator) -> Float:
    gaze = np.zeros((len(times), 2))
    start, here = 0.0, np.zeros(2)
    while True:
        start += SACCADE + rng.gamma(2.0, (FIXATION - SACCADE) / 2)
        if start >= times[-1]:
            return gaze
        there = np.clip(rng.normal(0, GAZE_SPREAD, 2), -GAZE_LIMIT, GAZE_LIMIT)
        moved = _ease((times - start) / SACCADE)[:, None]
        gaze = gaze + moved * (there - here)
        here = there


def _head(times: Float, rng: np.random.Generator) -> Float:
    frequency = rng.uniform(*HEAD_BAND, (3, HEAD_WAVES))
    phase = rng.uniform(0, 2 * np.pi, (3, HEAD_WAVES))
    size = rng.uniform(0.5, 1.0, (3, HEAD_WAVES)) / frequency
    # the sizes of an axis add up to its limit, or less for a quiet person
    size *= rng.uniform(0.5, 1.0) * np.array(HEAD_RANGE)[:, None] / size.sum(1, keepdims=True)
    waves = np.sin(2 * np.pi * frequency * times[:, None, None] + phase)
    return (size * waves).sum(2) * _ease(times / FADE_IN)[:, None]


def with_motion(weights: Float, motion: Motion) -> Float:
    """(F, E) weights with the lids and the gaze of `motion`; the head is the renderer's.

    A blink takes the lid the rest of the way to shut, and the eye is neither wide nor
    squinting where it is shut. Gaze first undoes the opposite look, then adds its own.
    Where `motion` is zero the weights are the same to the last bit.

    Parameters
    ----------
    weights : (F, E) float64
        In the order of `synth.expressions.arkit.NAMES`, then others, which stay.

    Raises
    ------
    ShapeError
        If there are not as many weights as frames.
    """
    if weights.ndim != 2 or len(weights) != len(motion) or weights.shape[1] < 52:
        raise ShapeError(f"weights: expected ({len(motion)}, 52), got {weights.shape}")
    result = weights.astype(np.float64, copy=True)
    for column in stem_columns("eyeBlink"):
        result[:, column] += motion.blink * (1 - result[:, column])
    for stem in ("eyeWide", "eyeSquint"):
        for column in stem_columns(stem):
            result[:, column] *= 1 - motion.blink
    left, up = motion.gaze.T
    _look(result, "eyeLookOutLeft", "eyeLookInLeft", left)
    _look(result, "eyeLookInRight", "eyeLookOutRight", left)
    _look(result, "eyeLookUpLeft", "eyeLookDownLeft", up)
    _look(result, "eyeLookUpRight", "eyeLookDownRight", up)
    return result


def _look(weights: Float, positive: str, negative: str, amount: Float) -> None:
    """Add `amount` (F,) to the pair of opposite blendshapes, in place."""
    there, back = index_of(positive), index_of(negative)
    for same, other, share in (
        (there, back, np.maximum(amount, 0)),
        (back, there, np.maximum(-amount, 0)),
    ):
        undone = np.minimum(weights[:, other], share)
        weights[:, other] -= undone
        room = np.maximum(1 - weights[:, same], 0)
        weights[:, same] += np.minimum(share - undone, room)


@dataclass(frozen=True)
class Smoothness:
    """How smoothly landmarks move.

    Attributes
    ----------
    step : float
        Largest distance that a landmark moves from one frame to the next, as a share
        of the inter-ocular distance.
    jerk : float
        Largest length of a landmark's third difference
        ``p[i] - 3 p[i-1] + 3 p[i-2] - p[i-3]`` times fps^3, in inter-ocular distances
        per second^3. Rounded landmarks alone give up to ``8 e fps^3`` for an error e.
    frame : int
        Frame that the largest step leads to; 0 when nothing moves.
    """

    step: float
    jerk: float
    frame: int = 0


def smoothness(landmarks: Float, inter_ocular: float, fps: float) -> Smoothness:
    """`Smoothness` of (F, 68, 2) landmarks; zero where there are too few frames.

    Parameters
    ----------
    landmarks : (F, 68, 2) float
        Pixels.
    inter_ocular : float
        Pixels.
    fps : float

    Raises
    ------
    ShapeError
        If `landmarks` is not (F, n, 2), or a distance or rate is not above 0.
    """
    points = np.asarray(landmarks, np.float64)
    if points.ndim != 3 or points.shape[2] != 2:
        raise ShapeError(f"landmarks: expected (F, 68, 2), got {points.shape}")
    if not (inter_ocular > 0 and fps > 0):
        raise ShapeError(
            f"inter_ocular, fps: expected values above 0, got {inter_ocular:g} and {fps:g}"
        )
    step = np.linalg.norm(np.diff(points, axis=0), axis=2).max(1, initial=0.0) / inter_ocular
    third = np.linalg.norm(np.diff(points, n=3, axis=0), axis=2) / inter_ocular
    largest = float(step.max(initial=0.0))
    frame = int(step.argmax()) + 1 if largest > 0 else 0
    return Smoothness(largest, float(third.max(initial=0.0)) * fps**3, frame)
