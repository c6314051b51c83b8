"""What is asked of each photo: a point of the circumplex, or a basic expression."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from synth.affect import EXPRESSIONS
from synth.errors import TargetError
from synth.types import VA

__all__ = ["Target", "make_targets", "source_stems", "target_tags"]

#: A named expression whose valence and arousal point elsewhere is a mistake in the list.
MAX_ANGLE = math.radians(20)


@dataclass(frozen=True)
class Target:
    """One thing to make of every photo.

    Attributes
    ----------
    va : VA
    index : int
        Position in the run's list, from 0; part of the seed.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when that expression's own mean face is
        wanted rather than the face of the VA class. `va` must then lie on its ray.
    """

    va: VA
    index: int = 0
    expression: str = ""

    def __post_init__(self) -> None:
        if not self.expression:
            return
        full = EXPRESSIONS.get(self.expression)
        if full is None:
            raise TargetError(
                f"expression: expected one of {', '.join(EXPRESSIONS)}, got {self.expression!r}"
            )
        turn = math.remainder(self.va.angle - full.angle, 2 * math.pi)
        if abs(turn) > MAX_ANGLE and self.va.radius > 0 and full.radius > 0:
            raise TargetError(
                f"va: expected a point in the direction of {self.expression} ({full}), got "
                f"{self.va}; leave valence and arousal empty, or the expression"
            )

    @property
    def intensity(self) -> float:
        """Radius of the target; for a named expression 1 is its full strength."""
        full = EXPRESSIONS[self.expression].radius if self.expression else 1.0
        return self.va.radius / full if full else 0.0


def make_targets(wanted: Iterable[tuple[VA, str]]) -> list[Target]:
    """Targets numbered in the order given: pairs of VA and expression name ("" for none)."""
    return [Target(va, index, name) for index, (va, name) in enumerate(wanted)]


def target_tags(targets: Sequence[Target]) -> list[str]:
    """The part of the file name that each target gets: ``v+0.50_a-0.30``.

    Two decimals, plus the target's number where that is not unique.
    """
    tags = [_tag(target) for target in targets]
    count = Counter(tags)
    return [
        tag if count[tag] == 1 else f"{tag}_t{target.index:03d}"
        for tag, target in zip(tags, targets, strict=True)
    ]


def _tag(target: Target) -> str:
    # + 0.0 turns a rounded -0.0 into 0.0.
    v, a = (round(x, 2) + 0.0 for x in (target.va.valence, target.va.arousal))
    return f"v{v:+.2f}_a{a:+.2f}" + (f"_{target.expression}" if target.expression else "")


def source_stems(names: Sequence[str]) -> dict[str, str]:
    """The part of the file name that each photo gets, unique whatever the file system.

    The name without its extension, folders joined with ``_``, other characters
    than letters, digits, ``.``, ``_`` and ``-`` replaced; where two photos would
    share one, the extension and then a number are added.
    """
    plain = {name: _safe(str(PurePosixPath(name).with_suffix(""))) for name in names}
    count = Counter(stem.casefold() for stem in plain.values())
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = plain[name] if count[plain[name].casefold()] == 1 else _safe(name)
        unique, number = stem, 2
        while unique.casefold() in taken:
            unique, number = f"{stem}-{number}", number + 1
        taken.add(unique.casefold())
        stems[name] = unique
    return stems


def _safe(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip("._")
    # A file name has 255 bytes; the end of a long one tells more than its start.
    return kept.encode()[-150:].decode(errors="ignore") or "photo"
