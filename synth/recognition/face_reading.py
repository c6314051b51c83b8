"""What one face of one picture shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.recognition.reader import Readings
from synth.types import Landmarks

__all__ = ["DIGITS", "FaceReading", "face_reading"]

Float = NDArray[np.float64]

#: Digits kept of the numbers that a network gives: more than its weights justify, and
#: fewer than depend on the order of a sum.
DIGITS = 4


@dataclass(frozen=True, eq=False)
class FaceReading:
    """What one face of one picture shows.

    Attributes
    ----------
    file_name : str
        Of the picture or video.
    face : int
        Position among the faces of the picture, the largest first.
    valence, arousal : float or None
        -1 to 1 each; None where the network has no such head.
    expression : str
        The most probable class; empty without a class head.
    confidence : float or None
        Its probability.
    probabilities : dict of str to float
        By class.
    box : (4,) float64
        Left, top, right, bottom in pixels of the picture.
    points : (68, 2) float64
        iBUG landmarks in pixels of the picture.
    spectrum : {"vis", "nir"}
        What the picture was taken for.
    weights : str
        First 16 hexadecimal digits of the SHA-256 of the network's file.
    frame, time : int, float or None
        Of a video: number from 0, and seconds.
    track : int or None
        Of a video: the same for the same face in all frames, from 1.
    raw : (float, float) or None
        Valence and arousal before they were smoothed over time.
    """

    file_name: str
    face: int
    valence: float | None
    arousal: float | None
    expression: str
    confidence: float | None
    probabilities: dict[str, float]
    box: Float
    points: Float
    spectrum: str
    weights: str
    frame: int | None = None
    time: float | None = None
    track: int | None = None
    raw: tuple[float, float] | None = None

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """The most probable classes with their probabilities, best first."""
        ranked = sorted(self.probabilities.items(), key=lambda item: -item[1])
        return ranked[:count]


def face_reading(
    readings: Readings, row: int, name: str, face: int, found: Landmarks, spectrum: str
) -> FaceReading:
    """One row of what a reader said, in numbers of `DIGITS` digits."""
    valence = arousal = confidence = None
    expression, shares = "", {}
    if readings.va is not None:
        valence, arousal = (round(float(v), DIGITS) + 0.0 for v in readings.va[row])
    if readings.probabilities is not None:
        values = readings.probabilities[row]
        shares = {
            name: round(float(p), DIGITS) for name, p in zip(readings.classes, values, strict=True)
        }
        expression = readings.classes[int(values.argmax())]
        confidence = shares[expression]
    box = np.asarray(found.box, np.float64)
    return FaceReading(
        name,
        face,
        valence,
        arousal,
        expression,
        confidence,
        shares,
        box,
        found.points,
        spectrum,
        "",
    )
