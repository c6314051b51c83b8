"""A small set of '4-D' scans of which everything is known.

It stands in for the 4-D data that cannot be shipped (4DFAB and its like): people drawn
from the embedded 3DMM show paths through the valence-arousal plane as the embedded gallery
knows them, each in a style of their own; every frame is scanned on another triangulation,
with noise and head motion; three annotators follow the affect, each late, biased and noisy
in their own way. The truth lies beside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from synth.affect import EXPRESSIONS
from synth.expressions.gallery import Gallery
from synth.morphable.model import MorphableModel
from synth.types import VA

__all__ = [
    "ANNOTATORS", "NEUTRAL", "SIZES", "Annotator", "ScanPlan", "Shot", "annotate",
    "annotation_csv", "frames_of", "shots",
]  # fmt: skip

Float = NDArray[np.float64]

#: Samples a second of the annotators' tracks: not the scans', as in life.
RATE = 16.0
#: Name of the sequence that shows a neutral face.
NEUTRAL = "neutral"
#: Identity modes that differ between the people.
MODES = 12
#: Sequences of basic expressions come first, in this order.
POSED = ("happiness", "surprise", "anger", "sadness", "fear", "disgust")
#: A frame shows the basic expression of its sequence from this share of its strength on.
APEX = 0.95


@dataclass(frozen=True)
class ScanPlan:
    """How much is made.

    Attributes
    ----------
    subjects, sequences : int
        People, and sequences of each beside the neutral one.
    frames, neutral : int
        Frames of a sequence, and of a neutral one.
    classes : int
        VA classes for a set of this size; 550 ask for many thousand frames.
    fps : float
        Frames a second; a sequence lasts some seconds, as people take.
    photos : int
        Portraits that pictures are compared on.
    """

    subjects: int
    sequences: int
    frames: int
    neutral: int
    classes: int
    fps: float
    photos: int


#: ``tiny`` is for tests, ``small`` for a laptop.
SIZES = {
    "tiny": ScanPlan(4, 2, 3, 1, 5, 0.5, 1),
    "small": ScanPlan(12, 8, 8, 2, 40, 2.0, 3),
    "full": ScanPlan(60, 20, 40, 4, 550, 10.0, 6),
}


@dataclass(frozen=True)
class Annotator:
    """How somebody follows what they see.

    Attributes
    ----------
    gain, bias : float
        The track is ``gain * truth + bias``.
    lag : float
        Seconds behind.
    noise : float
        Standard deviation of a slow wandering, in units of VA.
    """

    gain: float
    bias: float
    lag: float
    noise: float


#: About as far apart as those of 4DFAB, whose mean correlations were 0.68 and 0.60.
ANNOTATORS = {
    "a1": Annotator(1.0, 0.0, 0.2, 0.17),
    "a2": Annotator(0.85, 0.04, 0.35, 0.2),
    "a3": Annotator(1.1, -0.04, 0.1, 0.23),
}


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame and its truth.

    Attributes
    ----------
    name : str
        ``S01/happiness_01/0001``.
    subject : str
    va : VA
    expression : str
        ``neutral``, or the basic expression at its apex, or empty.
    vertices : (V, 3) float64
        On the model's topology, head at rest, mm.
    pose : (3, 4) float64
        The scanner sees ``pose[:, :3] @ v + pose[:, 3]``.
    """

    name: str
    subject: str
    va: VA
    expression: str
    vertices: Float
    pose: Float

    def seen(self, points: Float) -> Float:
        """(..., 3) points of the head at rest, as the scanner sees them."""
        return np.asarray(points @ self.pose[:, :3].T + self.pose[:, 3])


def shots(plan: ScanPlan, model: MorphableModel, gallery: Gallery, seed: int) -> Iterator[Shot]:
    """The frames of all people, in the order of their names.

    Parameters
    ----------
    plan : ScanPlan
    model : MorphableModel
        With the gallery's blendshapes.
    gallery : Gallery
    seed : int
        Of people, paths and head motion.
    """
    order = np.array([gallery.names.index(name) for name in model.blendshape_names])
    for number in range(plan.subjects):
        rng = np.random.default_rng([seed, number])
        subject = f"S{number + 1:02d}"
        modes = min(MODES, model.n_modes)
        face = model.shape(np.clip(rng.normal(size=modes), -2.5, 2.5))
        style = int(rng.integers(2**31))
        for kind, affect in sequences_of(plan, number, rng):
            if kind == NEUTRAL:
                track = np.zeros((plan.neutral, 2))
            else:
                track = np.outer(np.sin(np.pi * np.linspace(0, 1, plan.frames)), affect)
            poses = _head_motion(len(track), rng)
            variation = gallery.draw(style, va=VA(*affect)) if np.any(affect) else None
            weights = gallery.smooth_weights(track, variation)
            posed = kind.partition("_")[0]
            top = np.hypot(*affect)
            for i, (va, w) in enumerate(zip(track, weights, strict=True)):
                at_apex = top and posed in POSED and np.hypot(*va) >= APEX * top
                shown = NEUTRAL if kind == NEUTRAL else posed if at_apex else ""
                yield Shot(
                    f"{subject}/{kind}/{i + 1:04d}", subject, VA(float(va[0]), float(va[1])),
                    shown, face + model.offsets(w[order]), poses[i],
                )  # fmt: skip


def sequences_of(
    plan: ScanPlan, number: int, rng: np.random.Generator
) -> list[tuple[str, tuple[float, float]]]:
    """Name and apex of each sequence of a person: neutral, basic expressions, points anywhere."""
    found = [(NEUTRAL, (0.0, 0.0))]
    for i in range(plan.sequences):
        if i < min(len(POSED), max(plan.sequences // 2, 1)):
            name = POSED[(i + number) % len(POSED)]
            full = EXPRESSIONS[name]
            found.append((f"{name}_{i + 1:02d}", (full.valence, full.arousal)))
        else:
            angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 0.9)
            point = (float(radius * np.cos(angle)), float(radius * np.sin(angle)))
            found.append((f"spontaneous_{i + 1:02d}", point))
    return sorted(found)


def _head_motion(frames: int, rng: np.random.Generator) -> Float:
    """(frames, 3, 4) slow turns of some degrees and shifts of some millimetres."""
    slow = rng.normal(size=2)[0] + np.linspace(0, 1, frames)[:, None] * rng.normal(size=(1, 6))
    start = rng.normal(size=6) * (6, 8, 4, 20, 20, 40)
    moved = start + slow * (2, 2, 2, 4, 4, 4)
    turn = Rotation.from_euler("xyz", moved[:, :3], degrees=True).as_matrix()
    return np.concatenate([turn, moved[:, 3:, None]], axis=2)


def frames_of(names: list[str]) -> dict[str, list[int]]:
    """Positions of the frames of each sequence (the name without its last part)."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name.rpartition("/")[0], []).append(i)
    return found


def annotate(
    va: Float, who: Annotator, fps: float, rng: np.random.Generator
) -> tuple[Float, Float]:
    """Times (T,) in seconds and the track (T, 2) of an annotator of frames `va` (F, 2)."""
    seconds = max((len(va) - 1) / fps, 1 / RATE)
    count = int(np.ceil(seconds * RATE)) + 1
    times = np.linspace(0, seconds, count)
    at = np.clip(times - who.lag, 0, None)
    frame_times = np.arange(len(va)) / fps
    truth = np.column_stack([np.interp(at, frame_times, va[:, k]) for k in range(2)])
    noise = gaussian_filter1d(rng.normal(size=(count, 2)), RATE * 0.15, axis=0)
    noise /= max(float(noise.std()), 1e-9)
    track = who.gain * truth + who.bias + who.noise * noise
    # Their joysticks move in a disc.
    return times, track / np.maximum(np.linalg.norm(track, axis=1, keepdims=True), 1)


def annotation_csv(times: Float, track: Float) -> str:
    """The text of an annotation file: time in seconds, valence, arousal."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("time", "valence", "arousal"))
    writer.writerows(
        (f"{t:.4f}", f"{v:.4f}", f"{a:.4f}") for t, (v, a) in zip(times, track, strict=True)
    )
    return out.getvalue()
