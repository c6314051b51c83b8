"""How far each nuisance may go: `Ranges`, the presets, and the text that changes them.

A nuisance is what varies between photos of the same face with the same
expression: head pose, light, camera, things worn. Its ranges say what
`synth.nuisance.draw.draw_nuisance` may draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from synth.errors import UsageError

__all__ = ["PRESETS", "Ranges", "parse_ranges", "preset"]

Pair = tuple[float, float]

#: Least and greatest value that a range may name, what it is, and how a lone number reads.
#: ``amount`` X means 0:X, ``around`` X means -X:X, ``factor`` X means 1/X:X, ``exact`` X X:X.
LIMITS: dict[str, tuple[float, float, str, str]] = {
    "light": (0.0, 1.0, "strength of the added light", "amount"),
    "gain": (0.25, 4.0, "exposure factor", "factor"),
    "warmth": (-0.6, 0.6, "logarithm of red over blue", "around"),
    "blur": (0.0, 8.0, "standard deviation in pixels", "amount"),
    "motion": (0.0, 40.0, "length in pixels", "amount"),
    "noise": (0.0, 60.0, "standard deviation in grey levels", "amount"),
    "jpeg": (0.0, 100.0, "quality, 0 for none", "exact"),
    "gamma": (0.25, 4.0, "exponent", "factor"),
    "contrast": (0.25, 4.0, "factor", "factor"),
    "brightness": (-80.0, 80.0, "grey levels", "around"),
}
#: The largest turns that still look like a photo, degrees (yaw, pitch, roll).
MAX_POSE = (25.0, 15.0, 30.0)
CHANCES = ("glasses", "mask", "share")


@dataclass(frozen=True)
class Ranges:
    """What may be drawn; the defaults change nothing.

    Values are drawn uniformly between the two numbers of a pair; `gain`, `gamma`
    and `contrast` uniformly in their logarithm.

    Attributes
    ----------
    pose : (3,) float
        Largest yaw, pitch and roll, degrees to either side, added to the head's own.
        Drawn inside the ellipsoid of these half axes.
    light : pair of float
        Strength of a directional light, as a share of the light on frontal skin; its
        direction is drawn from the sides and from above.
    gain : pair of float
        Factor on all grey levels.
    warmth : pair of float
        Natural logarithm of red over blue, relative to the photo; above 0 is warmer.
    blur : pair of float
        Standard deviation of the defocus, pixels of the output.
    motion : pair of float
        Length of the motion blur, pixels of the output; any direction.
    noise : pair of float
        Standard deviation of the sensor noise at mid grey, grey levels.
    jpeg : pair of float
        Quality of one more JPEG compression, 1 to 100; 0 for none.
    gamma : pair of float
        Exponent of the grey-level curve; above 1 is darker.
    contrast : pair of float
        Slope of the grey-level curve about mid grey.
    brightness : pair of float
        Grey levels added.
    glasses, mask : float
        Probability of eyeglasses and of a face mask.
    share : float
        Probability, for each of the others on its own, that it is drawn at all.
    """

    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    light: Pair = (0.0, 0.0)
    gain: Pair = (1.0, 1.0)
    warmth: Pair = (0.0, 0.0)
    blur: Pair = (0.0, 0.0)
    motion: Pair = (0.0, 0.0)
    noise: Pair = (0.0, 0.0)
    jpeg: Pair = (0.0, 0.0)
    gamma: Pair = (1.0, 1.0)
    contrast: Pair = (1.0, 1.0)
    brightness: Pair = (0.0, 0.0)
    glasses: float = 0.0
    mask: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if len(self.pose) != 3 or not all(
            0 <= x <= most for x, most in zip(self.pose, MAX_POSE, strict=True)
        ):
            raise UsageError(
                "pose: expected the largest yaw, pitch and roll, at most "
                f"{','.join(f'{x:g}' for x in MAX_POSE)} degrees, got {_show(self.pose)}"
            )
        for name, (least, most, what, _) in LIMITS.items():
            low, high = getattr(self, name)
            if not (least <= low <= high <= most):
                raise UsageError(
                    f"{name}: expected LOW:HIGH within {least:g}:{most:g} ({what}), "
                    f"got {_show((low, high))}"
                )
        if self.jpeg[0] < 1 and self.jpeg != (0.0, 0.0):
            raise UsageError(
                f"jpeg: expected qualities from 1 to 100, or 0 for none, got {_show(self.jpeg)}"
            )
        for name in CHANCES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(
                    f"{name}: expected a probability from 0 to 1, got {getattr(self, name):g}"
                )

    @property
    def varies(self) -> bool:
        """Whether anything can be drawn that changes a picture."""
        return any(
            getattr(self, field.name) != field.default
            for field in fields(self)
            if field.name != "share"
        )

    def as_text(self) -> str:
        """What `parse_ranges` turns back into these ranges; "none" for the defaults."""
        parts = [
            f"{field.name}={_show(getattr(self, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ";".join(parts) or "none"


#: Presets by name. `mild` is what separates two careful photos of one session; `strong`
#: is what separates photos from the wild, at the edge of what still looks like a photo.
PRESETS: dict[str, Ranges] = {
    "none": Ranges(),
    "mild": Ranges(
        pose=(6.0, 4.0, 4.0),
        light=(0.0, 0.2),
        gain=(0.9, 1.1),
        warmth=(-0.08, 0.08),
        blur=(0.0, 0.6),
        motion=(0.0, 1.5),
        noise=(0.0, 3.0),
        jpeg=(70.0, 95.0),
        gamma=(0.9, 1.11),
        contrast=(0.93, 1.08),
        brightness=(-6.0, 6.0),
        share=0.5,
    ),
    "strong": Ranges(
        pose=(15.0, 10.0, 15.0),
        light=(0.0, 0.4),
        gain=(0.75, 1.2),
        warmth=(-0.16, 0.16),
        blur=(0.0, 1.2),
        motion=(0.0, 4.0),
        noise=(0.0, 7.0),
        jpeg=(35.0, 90.0),
        gamma=(0.75, 1.33),
        contrast=(0.8, 1.2),
        brightness=(-15.0, 15.0),
        glasses=0.12,
        mask=0.06,
        share=0.6,
    ),
}


def preset(name: str) -> Ranges:
    """The ranges called `name`.

    Raises
    ------
    UsageError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"nuisance: expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def parse_ranges(text: str, base: Ranges | None = None) -> Ranges:
    """`base` with the ranges that `text` names.

    Parameters
    ----------
    text : str
        Entries ``KEY=VALUE`` between semicolons. A value is ``LOW:HIGH``, or one
        number: 0 to it for `light`, `blur`, `motion` and `noise`; to either side of 0
        for `warmth` and `brightness`, of 1 for `gain`, `gamma` and `contrast`; just it
        for `jpeg`. ``pose=YAW,PITCH,ROLL``, or one number for all. `glasses`, `mask`
        and `share` are probabilities. The name of a preset starts over from it.
        Example: ``mild;pose=15,10,5;light=0.3;jpeg=40:95;glasses=0.1``.
    base : Ranges, optional
        Where `text` says nothing; nothing varies by default.

    Raises
    ------
    UsageError
        For an unknown key, a value that is no number or out of range.
    """
    found = base or Ranges()
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, value = (part.strip() for part in entry.partition("="))
        if not equals and key in PRESETS:
            found = PRESETS[key]
            continue
        names = [field.name for field in fields(Ranges)]
        if key not in names:
            raise UsageError(
                f"nuisance: expected KEY=VALUE with one of {', '.join(names)}, or a preset "
                f"({', '.join(PRESETS)}), got {entry!r}"
            )
        changes: dict[str, Any] = {key: _value(key, value)}
        found = replace(found, **changes)
    return found


def _value(key: str, text: str) -> Any:
    """The range or probability that `text` gives for `key`."""
    if key == "pose":
        angles = _numbers(key, text, ",", "YAW,PITCH,ROLL in degrees")
        if len(angles) not in (1, 3):
            raise UsageError(f"pose: expected YAW,PITCH,ROLL in degrees, got {text!r}")
        return angles * 3 if len(angles) == 1 else angles
    if key in CHANCES:
        chance = _numbers(key, text, ",", "a probability from 0 to 1")
        if len(chance) != 1:
            raise UsageError(f"{key}: expected a probability from 0 to 1, got {text!r}")
        return chance[0]
    numbers = _numbers(key, text, ":", "LOW:HIGH")
    if len(numbers) > 2:
        raise UsageError(f"{key}: expected LOW:HIGH, got {text!r}")
    return numbers if len(numbers) == 2 else _LONE[LIMITS[key][3]](key, numbers[0])


def _factor(key: str, x: float) -> Pair:
    if x <= 0:
        raise UsageError(f"{key}: expected a factor above 0, got {x:g}")
    return (1 / x, x) if x >= 1 else (x, 1 / x)


_LONE: dict[str, Callable[[str, float], Pair]] = {
    "amount": lambda key, x: (0.0, x),
    "around": lambda key, x: (-abs(x), abs(x)),
    "factor": _factor,
    "exact": lambda key, x: (x, x),
}


def _numbers(key: str, text: str, separator: str, what: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(separator))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(x) for x in numbers):
        raise UsageError(f"{key}: expected {what}, got {text!r}")
    return numbers


def _show(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return ("," if len(value) == 3 else ":").join(f"{x!r}".removesuffix(".0") for x in value)
    return f"{value!r}".removesuffix(".0")
