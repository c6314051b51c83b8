"""How annotations are checked, and what is said of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth.errors import UsageError

__all__ = ["NOTES", "AnnotationSettings"]

#: What a note of a sequence means.
NOTES = {
    "NO_MESHES": "annotated, but no mesh is called so",
    "NO_ANNOTATION": "meshes that nobody annotated",
    "ONE_ANNOTATOR": "labelled by one annotator, no agreement to measure",
    "NEUTRAL": "valence and arousal are 0 by definition",
}


@dataclass(frozen=True)
class AnnotationSettings:
    """How annotations are checked.

    Attributes
    ----------
    fps : float or None
        Meshes per second; needed where annotations are in seconds and meshes are given.
    rate : float or None
        Labels per second where there are no meshes.
    tolerance : float
        Seconds by which a track may start late, end early or run on; the first and the last
        value hold as long.
    first_frame : int or None
        Number, in the names of the meshes, of the frame at time 0. Says too that meshes may
        be missing. None: the first mesh of each sequence is at time 0, and none is missing.
    scale : float
        What ratings are divided by.
    min_correlation : float
        Correlation with the mean of the others below which an annotator is reported.
    drop_outliers : bool
        Leave such annotators out of the mean.
    align_lag : bool
        Take the delays of annotators out.
    longest_lag : float
        Seconds.
    disc : str
        "keep" labels on the square as annotated, or "map" them to the unit disc.
    neutral : str
        Last part of the names of neutral sequences.
    max_z, max_sd : float
        Robust deviations of a point, and mean deviation over annotators of a sequence,
        beyond which they are reported.
    """

    fps: float | None = None
    rate: float | None = None
    tolerance: float = 0.25
    first_frame: int | None = None
    scale: float = 1.0
    min_correlation: float = 0.3
    drop_outliers: bool = False
    align_lag: bool = False
    longest_lag: float = 2.0
    disc: str = "keep"
    neutral: str = "neutral"
    max_z: float = 6.0
    max_sd: float = 0.35

    def __post_init__(self) -> None:
        for name in ("fps", "rate", "scale", "max_z", "max_sd"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise UsageError(f"{name.replace('_', '-')}: expected more than 0, got {value}")
        for name in ("tolerance", "longest_lag"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not -1 <= self.min_correlation <= 1:
            raise UsageError(
                f"min-correlation: expected -1 to 1, got {self.min_correlation}; 0.3 is usual"
            )
        if self.disc not in ("keep", "map"):
            raise UsageError(f"disc: expected keep or map, got {self.disc!r}")
