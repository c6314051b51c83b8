"""Every error the package raises on purpose.

::

    SynthError
    ├── UsageError            the caller asked for something impossible (exit code 2)
    │   ├── TargetError       a valence-arousal target out of range, NaN or unreadable
    │   ├── ShapeError        an array of the wrong shape, or an unknown coefficient name
    │   └── MeshError         a mesh, or points on one, that cannot be used
    ├── AssetError            an asset is missing, damaged or not the registered one
    ├── DependencyError       an optional package is not installed
    └── SkipPhoto             this photo cannot be used; the batch goes on
                              (``reason`` is one of `REASONS`, ``value`` what was measured)

Messages read *argument: expected ..., got ...*, then the remedy.
"""

from __future__ import annotations

__all__ = [
    "REASONS",
    "AssetError",
    "DependencyError",
    "MeshError",
    "ShapeError",
    "SkipPhoto",
    "SynthError",
    "TargetError",
    "UsageError",
]

#: Reason codes of ``skipped.csv`` and what each means.
REASONS: dict[str, str] = {
    "DECODE": "the file is not a readable image",
    "TOO_LARGE": "the image has more pixels than allowed",
    "NO_FACE": "no face was found",
    "MULTI_FACE": "several faces were found and --face error was given",
    "FACE_INDEX": "--face INDEX is not among the faces found",
    "SPECTRUM": "the picture is of the spectrum that it was to be translated to",
    "FACE_TOO_SMALL": "the eyes are too few pixels apart",
    "POSE": "the head is turned too far from the camera",
    "BLUR": "the face is not sharp enough",
    "NOT_NEUTRAL": "the mouth is open or the face is clearly not neutral",
    "FIT_FAILED": "the morphable model could not be fitted to the landmarks",
    "NO_NEUTRAL": "the person has no neutral photo to morph from",
    "NO_APEX": "the person has no photo of a basic expression",
    "NO_PLACE": "the expression has no place on the morphing template",
    "MISALIGNED": "two photos of a person differ too much in pose, size or colour to be morphed",
    "FOLDED": "morphing two photos would fold the face",
    "OTHER_PERSON": "two photos said to show one person show two",
    "WRITE": "the result could not be written",
    "CRASHED": "worker processes died while the photo was in work",
    "INTERNAL": "an unexpected error, reported with its type",
}


class SynthError(Exception):
    """Base of all errors of this package."""


class UsageError(SynthError):
    """The caller asked for something impossible; the command line exits with 2."""


class TargetError(UsageError, ValueError):
    """A valence-arousal target that is not a point of the unit disc."""


class ShapeError(UsageError, ValueError):
    """An array of the wrong shape, or an unknown coefficient name."""


class MeshError(UsageError, ValueError):
    """A mesh, or points on one, that cannot be used."""


class AssetError(SynthError):
    """An asset is missing, damaged or not the registered one."""


class DependencyError(SynthError, ImportError):
    """An optional package is not installed."""


class SkipPhoto(SynthError):
    """This photo cannot be used; the batch goes on without it.

    Parameters
    ----------
    reason : str
        A key of `REASONS`.
    message : str
        Expected vs got, then the remedy.
    value : float, optional
        What was measured, in the unit the message names.
    """

    def __init__(self, reason: str, message: str, value: float | None = None) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason: expected one of {sorted(REASONS)}, got {reason!r}")
        super().__init__(message)
        self.reason = reason
        self.value = value

    def __reduce__(self) -> tuple[type[SkipPhoto], tuple[str, str, float | None]]:
        return type(self), (self.reason, str(self), self.value)
