"""Curves with a name: onset-apex-offset, circle, line, and the basic expressions.

Their durations are defaults, scaled to the length asked for. Facial actions start and
end like half a cosine; an onset lasts 0.5 to 0.75 s, an apex 0.5 to 4 s, an offset
1 to 2 s (Ambadar et al. 2009, Schmidt et al. 2006 for smiles).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS, expression_name
from synth.errors import TargetError
from synth.paths.curve import Curve
from synth.types import VA

__all__ = ["FORMS", "named_curve"]

Float = NDArray[np.float64]

#: Default length in seconds, and how it is divided.
SECONDS = 4.0
ONSET, OFFSET = 0.75, 1.5
#: How each named path is written.
FORMS = (
    "onset-apex-offset:V,A",
    "circle:R",
    "line:V0,A0:V1,A1",
    "EXPRESSION or EXPRESSION:INTENSITY",
)


def named_curve(text: str) -> Curve | None:
    """The curve that `text` names, or None when it begins with no known name.

    Raises
    ------
    TargetError
        If the name is known but what follows it is not valid.
    """
    head, colon, rest = text.strip().partition(":")
    make = _MAKERS.get(head.strip().lower())
    if make is not None:
        return make(rest)
    try:
        name = expression_name(head)
    except TargetError:
        return None
    return _expression(name, _number(rest, "intensity", 0, 1) if colon else 1.0)


def _number(text: str, what: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise TargetError(f"path: expected a number as {what}, got {text!r}") from None
    if not low <= value <= high:
        raise TargetError(f"path: expected a {what} of {low:g} to {high:g}, got {text.strip()}")
    return value


def _point(text: str, form: str) -> VA:
    try:
        return VA.parse(text)
    except TargetError as error:
        raise TargetError(f"path: {form}: {error}") from None


def _tag(va: VA) -> str:
    valence, arousal = (round(x, 2) + 0.0 for x in (va.valence, va.arousal))
    return f"v{valence:+.2f}_a{arousal:+.2f}"


def _ease(share: Float) -> Float:
    """Half a cosine from 0 to 1; exactly 0 and 1 at the ends and outside."""
    return np.sin(np.pi / 2 * np.clip(share, 0, 1)) ** 2


def _ramps(peak: tuple[float, float], seconds: Float) -> Float:
    """Neutral, `peak`, neutral."""
    up, down = _ease(seconds / ONSET), _ease((SECONDS - seconds) / OFFSET)
    return np.minimum(up, down)[:, None] * np.array(peak)


def _turn(radius: float, seconds: Float) -> Float:
    # the remainder makes the end the same point as the start
    angle = 2 * np.pi * (seconds / SECONDS % 1.0)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _straight(start: tuple[float, float], end: tuple[float, float], seconds: Float) -> Float:
    share = _ease(seconds / SECONDS)[:, None]
    return (1 - share) * np.array(start) + share * np.array(end)


def _rise_and_fall(peak: VA, name: str, expression: str = "") -> Curve:
    shape = partial(_ramps, (peak.valence, peak.arousal))
    knots = np.array([0, ONSET, SECONDS - OFFSET, SECONDS])
    return Curve(name, SECONDS, shape, expression, knots)


def _onset(rest: str) -> Curve:
    peak = _point(rest, FORMS[0])
    return _rise_and_fall(peak, f"onset-apex-offset_{_tag(peak)}")


def _circle(rest: str) -> Curve:
    radius = _number(rest, "radius", 0, 1)
    if radius == 0:
        raise TargetError("path: expected a radius above 0, got 0; use the path neutral")
    knots = np.array([0, SECONDS])
    return Curve(f"circle_{radius:.2f}", SECONDS, partial(_turn, radius), knots=knots)


def _line(rest: str) -> Curve:
    ends = rest.split(":")
    if len(ends) != 2:
        raise TargetError(f"path: expected {FORMS[2]}, got 'line:{rest}'")
    start, end = (_point(part, FORMS[2]) for part in ends)
    shape = partial(_straight, (start.valence, start.arousal), (end.valence, end.arousal))
    return Curve(f"line_{_tag(start)}_{_tag(end)}", SECONDS, shape, knots=np.array([0, SECONDS]))


def _expression(name: str, intensity: float) -> Curve:
    full = EXPRESSIONS[name]
    peak = VA(full.valence * intensity, full.arousal * intensity)
    return _rise_and_fall(peak, name if intensity == 1 else f"{name}_{intensity:.2f}", name)


_MAKERS: dict[str, Callable[[str], Curve]] = {
    "onset-apex-offset": _onset,
    "circle": _circle,
    "line": _line,
}
