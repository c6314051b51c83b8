"""The polar template: which points of the plane, and which photos mixed how show them.

Angles stand for what is felt, the distance from neutral for how strongly [1]_. An
expression at full strength (an apex) has a place on the plane; a face between two
neighbouring places is a mixture of their apexes, a weaker one a mixture with neutral.

References
----------
.. [1] Vonikakis, Neo & Winkler, "MorphSet: augmenting categorical emotion datasets with
   dimensional affect labels using face morphing", ICIP 2021.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS
from synth.errors import UsageError
from synth.types import VA

__all__ = ["ANGLES", "INTENSITY_STEP", "Cell", "Template", "make_template", "parse_angles"]

#: ``LOW:HIGH:STEP`` in degrees. The ends are where happiness (9.3 degrees) and sadness
#: (205.5) lie; no basic expression lies in the rest of the circle.
ANGLES = "10:205:15"
INTENSITY_STEP = 0.1
LOWEST, HIGHEST = 10.0, 205.0
#: An apex stands for the template's nearest angle when that is no farther, degrees. With
#: steps of 15 degrees this holds for all six; the farthest is anger, 3.8 degrees off.
SNAP = 5.0
#: Neighbours in this order are mixed, those with another between them are not.
ORDER = tuple(sorted(BASIC_EXPRESSIONS, key=lambda name: EXPRESSIONS[name].angle % (2 * math.pi)))
TINY = 1e-9


@dataclass(frozen=True)
class Cell:
    """One point of the template.

    Attributes
    ----------
    index : int
        Position in the template; 0 is neutral.
    angle : float
        Degrees, counter-clockwise from pleasant; 0 for neutral.
    intensity : float
        0 for neutral, 1 for an apex.
    va : VA
        Its label.
    tag : str
        End of its file names: ``a070_i05`` is 70 degrees at intensity 0.5.
    """

    index: int
    angle: float
    intensity: float
    va: VA
    tag: str


@dataclass(frozen=True)
class Template:
    """Angles x intensities, and neutral.

    Attributes
    ----------
    angles : tuple of float
        Degrees within [10, 205], rising.
    intensities : tuple of float
        In (0, 1], rising.
    """

    angles: tuple[float, ...]
    intensities: tuple[float, ...]

    @cached_property
    def places(self) -> dict[str, float]:
        """Degrees at which each basic expression's apex lies, rising.

        Its angle in `synth.affect.EXPRESSIONS`, or the template's angle next to it
        where that is within `SNAP`, so that the person's own photo is the mixture there.
        """
        own = {name: math.degrees(EXPRESSIONS[name].angle) % 360 for name in ORDER}
        taken: dict[float, str] = {}
        for name, angle in own.items():
            near = min(self.angles, key=lambda a: abs(a - angle))
            if abs(near - angle) > SNAP:
                continue
            other = taken.get(near)
            if other is None or abs(near - angle) < abs(near - own[other]):
                taken[near] = name
        return own | {name: angle for angle, name in taken.items()}

    def radius(self, angle: float) -> float:
        """Distance from neutral of the faces of full strength at an angle, 0 to 1.

        That of the expressions at their places, linear in the angle between them.
        """
        radii = [EXPRESSIONS[name].radius for name in self.places]
        return float(np.interp(angle, list(self.places.values()), radii))

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Neutral, then every intensity of every angle."""
        fine = any(abs(10 * i - round(10 * i)) > 1e-6 for i in self.intensities)
        found = [Cell(0, 0.0, 0.0, VA(0.0, 0.0), "neutral")]
        for angle in self.angles:
            turn, full = math.radians(angle), self.radius(angle)
            degrees = f"{angle:03.0f}" if angle == round(angle) else f"{angle:05.1f}"
            for intensity in self.intensities:
                r = intensity * full
                va = VA(round(r * math.cos(turn), 6), round(r * math.sin(turn), 6))
                part = f"{100 * intensity:03.0f}" if fine else f"{10 * intensity:02.0f}"
                found.append(Cell(len(found), angle, intensity, va, f"a{degrees}_i{part}"))
        return tuple(found)

    def recipe(self, cell: Cell, apexes: Mapping[str, float]) -> dict[str, float] | None:
        """Share of each photo in the face of a cell; None where the person's photos do not do.

        At angle ``x`` between the places ``p < q`` of two neighbours and intensity
        ``i``: ``t = (x - p) / (q - p)``, ``s = i / ((1 - t) I_p + t I_q)`` with the apexes'
        own intensities ``I`` (1 unless said otherwise), shares ``1 - s`` of neutral,
        ``s (1 - t)`` and ``s t`` of the apexes.

        Parameters
        ----------
        cell : Cell
        apexes : mapping of str to float
            Intensity in (0, 1] of the photo there is of each basic expression.

        Returns
        -------
        dict of str to float
            Expression -> share, ``neutral`` first; zeros left out, sum 1.
        """
        if cell.intensity == 0:
            return {"neutral": 1.0}
        pair = self._pair(cell.angle, apexes)
        if pair is None:
            return None
        full = sum(share * apexes[name] for name, share in pair.items())
        strength = cell.intensity / full
        if strength > 1 + TINY:
            return None
        strength = 1.0 if strength > 1 - TINY else strength
        shares = {"neutral": 1 - strength} | {n: strength * share for n, share in pair.items()}
        return {name: share for name, share in shares.items() if share > 0}

    def _pair(self, angle: float, apexes: Mapping[str, float]) -> dict[str, float] | None:
        """Shares of the one or two apexes around an angle."""
        for name, place in self.places.items():
            if abs(angle - place) < TINY:
                return {name: 1.0} if name in apexes else None
        names = list(self.places)
        for a, b in zip(names, names[1:], strict=False):
            p, q = self.places[a], self.places[b]
            if p < angle < q:
                t = (angle - p) / (q - p)
                return {a: 1 - t, b: t} if a in apexes and b in apexes else None
        return None

    def possible(self, apexes: Mapping[str, float], originals: bool = False) -> list[Cell]:
        """The cells that a person's photos can show.

        Parameters
        ----------
        apexes : mapping of str to float
            See `recipe`.
        originals : bool
            Also those that are one of the photos as it is: neutral and the apexes.
        """
        found = []
        for cell in self.cells:
            shares = self.recipe(cell, apexes)
            if shares is not None and (originals or len(shares) > 1):
                found.append(cell)
        return found


def parse_angles(text: str) -> tuple[float, ...]:
    """Degrees, rising, of ``LOW:HIGH:STEP`` or of a list ``10,70,205``.

    Raises
    ------
    UsageError
        If it is neither, or an angle lies outside [10, 205].
    """
    try:
        if ":" in text:
            low, high, step = (float(part) for part in text.split(":"))
            if not (step > 0 and high >= low and math.isfinite(high - low)):
                raise ValueError
            found = [low + k * step for k in range(int((high - low) / step + 1e-6) + 1)]
        else:
            found = sorted({float(part) for part in text.split(",")})
    except ValueError:
        raise UsageError(
            f"angles: expected LOW:HIGH:STEP such as {ANGLES}, or degrees such as 10,70,205, got "
            f"{text!r}"
        ) from None
    for angle in found:
        if not LOWEST <= angle <= HIGHEST:
            raise UsageError(
                f"angles: expected {LOWEST:g} to {HIGHEST:g} degrees, where the basic expressions "
                f"lie, got {angle:g}"
            )
    return tuple(round(angle, 1) for angle in found)


def make_template(angles: str = ANGLES, intensity_step: float = INTENSITY_STEP) -> Template:
    """The template of the options; by default 14 angles x 10 intensities, and neutral.

    Raises
    ------
    UsageError
        For angles that `parse_angles` refuses, or a step that does not divide 1.
    """
    steps = round(1 / intensity_step) if 0 < intensity_step <= 1 else 0
    if not 1 <= steps <= 100 or abs(steps * intensity_step - 1) > 1e-6:
        raise UsageError(
            "intensity-step: expected a part of 1 such as 0.1, 0.2 or 0.25, from 0.01 on, got "
            f"{intensity_step:g}"
        )
    return Template(parse_angles(angles), tuple(k / steps for k in range(1, steps + 1)))
