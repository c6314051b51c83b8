"""Kinds of plans: what each wishes for, before it is known on whose face.

Wishes stand class by class, or bin by bin, because they are dealt to the identities in
turn: every class is then spread evenly over these too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS, expression_name, va_grid
from synth.errors import UsageError
from synth.plans.density import apportion, cut, sample_bins, sample_disc, water_fill
from synth.plans.explicit import read_wishes
from synth.plans.reference import Density, read_classes_or_density, read_density
from synth.plans.wish import PlanOptions, Wish

__all__ = ["KINDS", "Draw", "existing_density", "kind_of", "make_wishes"]

Float = NDArray[np.float64]

#: Range of intensities of expressions, as shares of full strength.
INTENSITY = (0.4, 1.0)
GRID = 7


@dataclass(frozen=True)
class Draw:
    """What a kind works with.

    Attributes
    ----------
    argument : str
        What follows the kind's colon.
    count : int or None
        Pictures asked for.
    options : PlanOptions
    rng : numpy Generator
    photos : sequence of str
        Names of all photos.
    """

    argument: str
    count: int | None
    options: PlanOptions
    rng: np.random.Generator
    photos: Sequence[str]

    def needed_count(self, kind: str) -> int:
        """The count, where the kind has none of its own."""
        if self.count is None:
            raise UsageError(f"count: expected how many pictures {kind} shall plan, got none")
        return self.count


def kind_of(text: str) -> tuple[str, str]:
    """Name and argument of a kind as it is written: ``grid:7`` -> ``grid``, ``7``.

    Raises
    ------
    UsageError
        If there is no such kind, or it has no argument where it needs one.
    """
    name, _, argument = text.partition(":")
    name, argument = name.strip().lower(), argument.strip()
    if name not in KINDS:
        raise UsageError(f"plan: expected one of {', '.join(FORMS.values())}, got {text!r}")
    needs = FORMS[name].partition(":")[2] != "" and "[" not in FORMS[name]
    if needs and not argument:
        raise UsageError(f"plan: expected {FORMS[name]}, got {text!r}")
    if argument and ":" not in FORMS[name]:
        raise UsageError(f"plan: expected {FORMS[name]} alone, got {text!r}")
    return name, argument


def make_wishes(kind: str, draw: Draw) -> list[Wish]:
    """The wishes of the kind with this name."""
    return KINDS[kind](draw)


def existing_density(text: str, count: int, options: PlanOptions | None = None) -> Density | None:
    """The set that ``balance:CSV`` fills up, in pictures; None for other kinds.

    A table of shares is taken as ``options.existing`` pictures, or else as `count`.
    ``balance:CSV:N`` says that the set has N pictures.
    """
    options = options or PlanOptions()
    name, argument = kind_of(text)
    if name != "balance":
        return None
    path, _, number = argument.rpartition(":")
    known = options.existing
    if path and number.isdecimal():
        argument, known = path, int(number)
        if not known:
            raise UsageError(f"plan: expected balance:CSV:N with N of 1 or more, got {text!r}")
    found = read_density(argument, options.bins)
    if found.shares or known is not None:
        found = found.of(known or count)
    return found


# ------------------------------------------------------------------------ kinds
def _uniform_disc(draw: Draw) -> list[Wish]:
    count = draw.needed_count("uniform-disc")
    radii = draw.options.intensity or (0.0, 1.0)
    return _points(sample_disc(count, radii, draw.rng))


def _grid(draw: Draw) -> list[Wish]:
    try:
        size = int(draw.argument or GRID)
    except ValueError:
        raise UsageError(f"plan: expected grid:N such as grid:7, got {draw.argument!r}") from None
    points = va_grid(size)
    wishes = [Wish(va.valence, va.arousal) for va in points]
    if draw.count is None:
        return _on_every_photo(wishes, draw.photos)
    return _repeated(wishes, np.ones(len(wishes)), draw.count, draw.rng)


def _basic(draw: Draw) -> list[Wish]:
    numbers = dict.fromkeys(BASIC_EXPRESSIONS, 1)
    count = draw.count
    if draw.argument:
        numbers = _expression_counts(draw.argument)
        count = count or sum(numbers.values())
    return _expressions(numbers, draw.needed_count("basic") if count is None else count, draw)


def _expression_counts(text: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for part in text.split(","):
        word, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or not number.isdecimal():
            raise UsageError(
                f"plan: expected basic:NAME=COUNT,... such as happiness=100,anger=50, got {part!r}"
            )
        name = expression_name(word)
        if name in numbers:
            raise UsageError(f"plan: expected each expression once, got {name} twice")
        numbers[name] = int(number)
    if not sum(numbers.values()):
        raise UsageError(f"plan: expected a count above 0, got basic:{text}")
    return numbers


def _match(draw: Draw) -> list[Wish]:
    count = draw.needed_count("match")
    found = read_classes_or_density(draw.argument, draw.options.bins)
    if isinstance(found, Density):
        return _in_bins(found.counts, found, count, draw.rng)
    return _expressions(found, count, draw)


def _balance(draw: Draw) -> list[Wish]:
    count, most = draw.needed_count("balance"), draw.options.max_per_bin or np.inf
    existing = existing_density(f"balance:{draw.argument}", count, draw.options)
    assert existing is not None
    added = water_fill(existing.counts, existing.inside, count, most)
    return _in_bins(added, existing, count, draw.rng, most)


def _csv(draw: Draw) -> list[Wish]:
    wishes, numbers = read_wishes(draw.argument, draw.photos)
    count = draw.count or sum(numbers)
    return _repeated(wishes, np.array(numbers), count, draw.rng)


#: Commas between paths; one before a number belongs to a path's own (``line:0,0:0.5,0.3``).
_BETWEEN_PATHS = re.compile(r";|,(?!\s*[-+]?\.?\d)")


def _paths(draw: Draw) -> list[Wish]:
    texts = [text.strip() for text in _BETWEEN_PATHS.split(draw.argument)]
    wishes = [Wish(track=draw.options.make_track(text)) for text in texts]
    if draw.count is None:
        return _on_every_photo(wishes, draw.photos)
    frames = [len(wish.track) for wish in wishes if wish.track is not None]
    # Whole sequences, path after path, while they fit.
    rounds, left = divmod(draw.count, sum(frames))
    numbers = np.full(len(frames), rounds)
    for i, length in enumerate(frames):
        if length > left:
            break
        numbers[i] += 1
        left -= length
    if not numbers.any():
        raise UsageError(
            f"count: expected at least the {frames[0]} frames of {texts[0]}, got {draw.count}"
        )
    return [wish for wish, number in zip(wishes, numbers, strict=True) for _ in range(number)]


# ---------------------------------------------------------------------- helpers
def _points(points: Float) -> list[Wish]:
    return [Wish(valence, arousal) for valence, arousal in points.tolist()]


def _on_every_photo(wishes: Iterable[Wish], photos: Sequence[str]) -> list[Wish]:
    return [
        Wish(w.valence, w.arousal, w.expression, w.actions, w.style, photo, w.track)
        for w in wishes
        for photo in photos
    ]


def _repeated(
    wishes: Sequence[Wish], weights: NDArray[np.generic], count: int, rng: np.random.Generator
) -> list[Wish]:
    """Each wish as often as its weight says, `count` in all."""
    numbers = apportion(weights, count, rng)
    return [wish for wish, number in zip(wishes, numbers, strict=True) for _ in range(number)]


def _expressions(numbers: Mapping[str, int], count: int, draw: Draw) -> list[Wish]:
    """`count` faces with the shares of `numbers`, each as strong as it is drawn."""
    wishes: list[Wish] = []
    low, high = draw.options.intensity or INTENSITY
    shares = apportion(list(numbers.values()), count, draw.rng)
    for name, number in zip(numbers, shares.tolist(), strict=True):
        full = EXPRESSIONS[name]
        strength = draw.rng.uniform(low, high, number)
        points = cut(strength[:, None] * (full.valence, full.arousal))
        wishes += [Wish(valence, arousal, name) for valence, arousal in points.tolist()]
    return wishes


def _in_bins(
    weights: Float, density: Density, count: int, rng: np.random.Generator, most: float = np.inf
) -> list[Wish]:
    numbers = apportion(weights.ravel(), count, rng, most).reshape(weights.shape)
    return _points(sample_bins(numbers, density.edges, rng))


#: Name of each kind -> what makes its wishes.
KINDS: dict[str, Callable[[Draw], list[Wish]]] = {
    "uniform-disc": _uniform_disc,
    "grid": _grid,
    "basic": _basic,
    "match": _match,
    "balance": _balance,
    "csv": _csv,
    "paths": _paths,
}
#: How each kind is written; square brackets where the argument may be left out.
FORMS: dict[str, str] = {
    "uniform-disc": "uniform-disc",
    "grid": "grid[:N]",
    "basic": "basic[:NAME=COUNT,...]",
    "match": "match:CSV",
    "balance": "balance:CSV",
    "csv": "csv:FILE",
    "paths": "paths:PATH,...",
}
