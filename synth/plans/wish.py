"""One wish of a plan, and the options that kinds of plans share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from synth.errors import UsageError
from synth.paths import parse_path, sample_path
from synth.plans.density import BINS
from synth.types import Track

__all__ = ["PlanOptions", "Wish"]


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A picture, or a sequence of them, before it is known on which photo.

    Attributes
    ----------
    valence, arousal : float
    expression, actions : str
        As in `synth.plans.PlanRow`.
    style : int, optional
        The plan's own when None.
    source : str
        Name of the photo when it must be that one.
    track : Track, optional
        A sequence; the fields above but `style` and `source` are then its own.
    """

    valence: float = 0.0
    arousal: float = 0.0
    expression: str = ""
    actions: str = ""
    style: int | None = None
    source: str = ""
    track: Track | None = None


@dataclass(frozen=True)
class PlanOptions:
    """What can be chosen about a plan, whatever its kind.

    Attributes
    ----------
    intensity : (float, float), optional
        Range that intensities are drawn from, evenly: 0 to 1 of an expression's full
        strength (``basic``, ``match`` by class; default 0.4 to 1), or of the disc's
        radius, evenly in area (``uniform-disc``; default 0 to 1). Other kinds say
        themselves how strong a face is.
    style : int
        1: every picture has its own person style. 0: mean faces.
    max_per_subject : int, optional
        Pictures of one subject at most.
    max_per_bin : int, optional
        Pictures that ``balance`` adds to one bin at most.
    bins : int
        Along each axis, for ``match`` and ``balance`` by labels.
    existing : int, optional
        Pictures of the set that ``balance`` is given as shares; as many as planned when
        None.
    fps : float
        Frames per second of ``paths``.
    seconds : float, optional
        Length of named ``paths``; their own when None.
    track : callable, optional
        Path as written -> `Track`, in place of `fps` and `seconds`; the pipeline's own
        also limits the speed of the face.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    intensity: tuple[float, float] | None = None
    style: int = 1
    max_per_subject: int | None = None
    max_per_bin: int | None = None
    bins: int = BINS
    existing: int | None = None
    fps: float = 30.0
    seconds: float | None = None
    track: Callable[[str], Track] | None = None

    def __post_init__(self) -> None:
        if self.intensity is not None:
            low, high = self.intensity
            if not (math.isfinite(low) and 0 <= low <= high <= 1):
                raise UsageError(
                    f"intensity: expected 0 <= LOW <= HIGH <= 1, got {low:g} and {high:g}"
                )
        if self.style < 0:
            raise UsageError(f"style: expected 0 (mean face) or 1, got {self.style}")
        for name in ("max_per_subject", "max_per_bin", "existing"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name.replace('_', '-')}: expected 1 or more, got {value}")
        if not 1 <= self.bins <= 200:
            raise UsageError(f"bins: expected 1 to 200 along each axis, got {self.bins}")

    def make_track(self, path: str) -> Track:
        """The frames of a path."""
        if self.track is not None:
            return self.track(path)
        return sample_path(parse_path(path), self.fps, self.seconds)
