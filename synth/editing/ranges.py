"""What to edit a face into: an angle, a named expression or a point, and how strong.

Strength may be a range; each picture then draws its own from its own seed, uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synth.editing import check_code
from synth.errors import TargetError, UsageError
from synth.targets import Target
from synth.types import VA

if TYPE_CHECKING:
    from synth.models.polar import PolarSpace

__all__ = [
    "ANY_ANGLE",
    "FIXED",
    "RANGES",
    "Code",
    "EditTarget",
    "code_tags",
    "code_of",
    "make_edit_targets",
    "parse_rho",
]

Range = tuple[float, float]

#: Strengths drawn where none is asked for, by expression. Our own: no published range is
#: known to us. Expressions that are read at a glance begin lower (smile, open mouth); those
#: carried by small movements begin where they can be told from neutral.
RANGES: dict[str, Range] = {
    "neutral": (0.0, 0.0),
    "happiness": (0.4, 0.9),
    "surprise": (0.4, 0.9),
    "anger": (0.5, 1.0),
    "fear": (0.5, 1.0),
    "disgust": (0.5, 1.0),
    "sadness": (0.5, 1.0),
    "contempt": (0.6, 1.0),
}
#: For an angle of which nobody said what it is.
ANY_ANGLE: Range = (0.5, 1.0)
#: The one strength of sets of fixed intensity (``examples/synface_f.toml``).
FIXED = 0.8


@dataclass(frozen=True)
class EditTarget(Target):
    """One edit to make of every photo: by `theta`, by `expression`, or else by `va`.

    Attributes
    ----------
    theta : float, optional
        Degrees, 0 <= theta < 360.
    rho : (low, high), optional
        Strength, 0 to 1, drawn where they differ. Not used with `va`, which has its own.
    by_va : bool
        Whether `va` says what to do; `expression` is then only a name for it.
    """

    theta: float | None = None
    rho: Range | None = None
    by_va: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        ways = (self.theta is not None) + (bool(self.expression) and not self.by_va) + self.by_va
        if ways != 1:
            raise TargetError(
                "target: expected one of theta, expression and va, got "
                f"theta {self.theta}, expression {self.expression!r}, va {self.va}"
            )
        if self.by_va and self.rho is not None:
            raise TargetError(f"rho: expected none with va, which has its own, got {self.rho}")
        check_code(self.theta or 0.0, 0.0)
        for value in self.rho or ():
            check_code(0.0, value)
        if self.rho and self.rho[0] > self.rho[1]:
            raise TargetError(f"rho: expected LOW:HIGH, got {self.rho[0]:g}:{self.rho[1]:g}")

    @property
    def drawn(self) -> bool:
        """Whether the strength differs from picture to picture."""
        if self.by_va:
            return False
        low, high = self.rho or RANGES.get(self.expression, ANY_ANGLE)
        return low < high


@dataclass(frozen=True)
class Code:
    """Where in the space of edits a picture is, and its label.

    Attributes
    ----------
    theta, rho : float, float
        Degrees and strength, rounded to 6 decimals.
    va : VA
    expression : str
        As asked for; for an angle that of the nearest direction, ``neutral`` at rho 0.
    """

    theta: float
    rho: float
    va: VA
    expression: str


def code_of(target: Target, space: PolarSpace, seed: int) -> Code:
    """What one picture is to be edited into.

    Parameters
    ----------
    target : EditTarget or Target
        A plain one by its expression and intensity, or by its valence and arousal.
    space : PolarSpace
    seed : int
        Of the picture.

    Raises
    ------
    TargetError
        If the space has no such place.
    """
    if isinstance(target, EditTarget) and not target.by_va:
        rho = _drawn(target.rho or RANGES.get(target.expression, ANY_ANGLE), seed)
        if target.theta is None:
            theta, rho = space.of_expression(target.expression, rho)
        else:
            theta = target.theta
    else:
        theta, rho = space.of_va(target.va)
    theta, rho = round(float(theta), 6) % 360, min(round(float(rho), 6), 1.0)
    check_code(theta, rho)
    name = target.expression
    if isinstance(target, EditTarget) and target.theta is not None:
        name = space.expression_at(theta) if rho > 0 else "neutral"
    by_va = not isinstance(target, EditTarget) or target.by_va
    va = target.va if by_va else _six_decimals(space.to_va(theta, rho))
    return Code(theta, rho, va, name)


def _drawn(bounds: Range, seed: int) -> float:
    low, high = bounds
    if low == high:
        return low
    return round(float(np.random.default_rng([seed, 0x7E0]).uniform(low, high)), 6)


def _six_decimals(va: VA) -> VA:
    """As it is written; cut towards neutral where rounding would leave the disc."""
    valence, arousal = round(va.valence, 6) + 0.0, round(va.arousal, 6) + 0.0
    if math.hypot(valence, arousal) > 1:
        valence, arousal = (math.trunc(x * 1e6) / 1e6 for x in (va.valence, va.arousal))
    return VA(valence, arousal)


def parse_rho(text: str) -> Range:
    """``"0.8"`` or ``"0.4:0.9"`` as lower and upper bound.

    Raises
    ------
    TargetError
        If it is neither, or out of [0, 1].
    """
    low, _, high = text.partition(":")
    try:
        bounds = float(low), float(high or low)
    except ValueError:
        raise TargetError(
            f"rho: expected a strength such as 0.8 or a range such as 0.4:0.9, got {text!r}"
        ) from None
    for value in bounds:
        check_code(0.0, value)
    if bounds[0] > bounds[1]:
        raise TargetError(f"rho: expected LOW:HIGH, got {text!r}; turn it round")
    return bounds


def make_edit_targets(
    thetas: Iterable[float] = (),
    expressions: Iterable[str] = (),
    points: Iterable[tuple[VA, str]] = (),
    rhos: Sequence[Range] = (),
    samples: int = 1,
) -> tuple[EditTarget, ...]:
    """Targets numbered in the order given: angles, expressions, points.

    Parameters
    ----------
    thetas : iterable of float
        Degrees.
    expressions : iterable of str
        Names in `synth.affect.EXPRESSIONS`.
    points : iterable of (VA, str)
        With the name of an expression, "" for none.
    rhos : sequence of (low, high)
        Each angle and expression has every one of them; `RANGES` when empty.
    samples : int
        Pictures of each target whose strength is drawn; the others have one.

    Raises
    ------
    UsageError
        If there is no target, or nothing to draw for `samples` or `rhos`.
    """
    thetas, expressions, points = list(thetas), list(expressions), list(points)
    if not (thetas or expressions or points):
        raise UsageError(
            "theta: expected at least one target, got none; give --theta 30, "
            "--expression happiness or --va 0.5,0.3"
        )
    if rhos and not (thetas or expressions):
        raise UsageError(
            "rho: expected --theta or --expression with it, got --va alone; a point has its own"
        )
    made: list[EditTarget] = []
    for rho in rhos or (None,):
        made += [EditTarget(theta=theta, rho=rho) for theta in thetas]
        for name in expressions:
            bounds = (0.0, 0.0) if name == "neutral" else rho  # neutral has no strengths
            target = EditTarget(expression=name, rho=bounds)
            made += [target] if target not in made else []
    made += [EditTarget(va=va, expression=name, by_va=True) for va, name in points]
    if samples > 1 and not any(target.drawn for target in made):
        raise UsageError(
            f"samples: expected a range of strengths to draw {samples} from, got fixed ones; "
            "give --rho 0.4:0.9"
        )
    numbered = [
        (target, number)
        for target in made
        for number in (range(1, samples + 1) if samples > 1 and target.drawn else (0,))
    ]
    return tuple(
        EditTarget(
            target.va, index, target.expression, sample=number,
            theta=target.theta, rho=target.rho, by_va=target.by_va,
        )
        for index, (target, number) in enumerate(numbered)
    )  # fmt: skip


def code_tags(targets: Sequence[EditTarget]) -> tuple[str, ...]:
    """The part of the file name that each target gets: ``happiness_r0.40-0.90_s01``."""
    tags = [_tag(target) for target in targets]
    return tuple(
        f"{tag}_t{target.index:03d}" if tags.count(tag) > 1 else tag
        for target, tag in zip(targets, tags, strict=True)
    )


def _tag(target: EditTarget) -> str:
    if target.by_va:
        # + 0.0 turns a rounded -0.0 into 0.0.
        v, a = (round(x, 2) + 0.0 for x in (target.va.valence, target.va.arousal))
        return f"v{v:+.2f}_a{a:+.2f}" + (f"_{target.expression}" if target.expression else "")
    name = target.expression or f"theta{target.theta:05.1f}"
    strength = ""
    if target.rho and target.expression != "neutral":
        low, high = target.rho
        strength = f"_r{low:.2f}" + (f"-{high:.2f}" if high > low else "")
    return name + strength + (f"_s{target.sample:02d}" if target.sample else "")
