"""What is asked of each photo: a point of the circumplex, a basic expression, action
units, or a frame of a path."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from synth.affect import EXPRESSIONS
from synth.errors import TargetError
from synth.types import VA, Track

__all__ = [
    "Moment",
    "Target",
    "as_target",
    "frame_targets",
    "make_targets",
    "source_stems",
    "target_tags",
]

#: A named expression whose valence and arousal point elsewhere is a mistake in the list.
MAX_ANGLE = math.radians(20)
#: Letters of a file name that actions may take; longer lists are cut and numbered.
MAX_TAG = 80


@dataclass(frozen=True)
class Moment:
    """Which frame of which sequence a target is.

    Attributes
    ----------
    track : Track
    number : int
        Of the sequence in the run, from 0; part of the seed of all its frames.
    frame : int
    """

    track: Track
    number: int
    frame: int

    @property
    def time(self) -> float:
        """Seconds since the first frame."""
        return self.frame / self.track.fps


@dataclass(frozen=True)
class Target:
    """One thing to make of every photo.

    Attributes
    ----------
    va : VA
        Not used with `actions`, whose valence and arousal are read from the face.
    index : int
        Position in the run's list, from 0; part of the seed.
    expression : str
        Name in `synth.affect.EXPRESSIONS` when that expression's own mean face is
        wanted rather than the face of the VA class. `va` must then lie on its ray.
    actions : tuple of (str, float)
        Action units and blendshapes asked for directly, as `parse_actions` of
        `synth.expressions.action_units` gives them.
    style : int, optional
        Seed of a person style; the mean face when None.
    sample : int
        From 1 on, the style is drawn from the picture's own seed instead.
    moment : Moment, optional
        When the target is a frame of a sequence.
    attempt : int
        Counts new draws of its style.
    """

    va: VA = VA(0.0, 0.0)
    index: int = 0
    expression: str = ""
    actions: tuple[tuple[str, float], ...] = ()
    style: int | None = None
    sample: int = 0
    moment: Moment | None = None
    attempt: int = 0

    def __post_init__(self) -> None:
        if self.style is not None and self.style < 0:
            raise TargetError(f"style: expected 0 or more, got {self.style}")
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


def as_target(target: VA | tuple[float, float] | str | Target) -> Target:
    """A target from what stands for one: a point, two numbers or ``"0.5,0.3"``."""
    if isinstance(target, Target):
        return target
    if isinstance(target, str):
        return Target(VA.parse(target))
    return Target(target if isinstance(target, VA) else VA(*target))


def make_targets(
    wanted: Iterable[tuple[VA, str]],
    actions: Iterable[tuple[tuple[str, float], ...]] = (),
    samples: int = 1,
    style: int | None = None,
) -> list[Target]:
    """Targets numbered in the order given.

    Parameters
    ----------
    wanted : iterable of (VA, str)
        Points with the name of an expression, "" for none.
    actions : iterable of actions
        One target each, after the others; no style changes them.
    samples : int
        Person styles per point; 1 is the mean face, or `style`. Neutral has one face only.
    style : int, optional
        Seed of one person style for all points.

    Raises
    ------
    TargetError
        If both several samples and a style are asked for.
    """
    if samples > 1 and style is not None:
        raise TargetError(
            f"style: expected either one style or several samples, got style {style} and "
            f"{samples} samples; leave one out"
        )
    numbers = range(1, samples + 1)
    points = [
        (va, name, number)
        for va, name in wanted
        for number in (numbers if samples > 1 and va.radius > 0 else (0,))
    ]
    targets = [
        Target(va, index, name, style=style, sample=number)
        for index, (va, name, number) in enumerate(points)
    ]
    return targets + [Target(index=len(points) + i, actions=a) for i, a in enumerate(actions)]


def frame_targets(
    track: Track, number: int = 0, first: int = 0, style: int | None = None, sample: int = 0
) -> list[Target]:
    """The frames of a sequence as targets, numbered from `first`."""
    # Six decimals are written; cut towards neutral, so that no point leaves the disc.
    points = np.trunc(track.va * 1e6) / 1e6 + 0.0
    return [
        Target(
            VA(float(valence), float(arousal)),
            first + frame,
            track.expression,
            style=style,
            sample=sample,
            moment=Moment(track, number, frame),
        )
        for frame, (valence, arousal) in enumerate(points)
    ]


def target_tags(targets: Sequence[Target]) -> list[str]:
    """The part of the file name that each target gets: ``v+0.50_a-0.30``.

    Two decimals, plus the target's number where that is not unique. A frame of a
    sequence gets ``NAME/00012``: a folder for the sequence.
    """
    tags = [_tag(target) for target in targets]
    folders = [tag.rpartition("/")[0] for tag in tags]
    names = {target.moment.number: folder for target, folder in zip(targets, folders, strict=True)
             if target.moment}  # fmt: skip
    taken = Counter(names.values())
    count = Counter(tags)
    unique = []
    for target, tag, folder in zip(targets, tags, folders, strict=True):
        if target.moment and taken[folder] > 1:
            tag = f"{folder}_q{target.moment.number:02d}/{target.moment.frame:05d}"
        elif not target.moment and count[tag] > 1:
            tag = f"{tag}_t{target.index:03d}"
        unique.append(tag)
    return unique


def _tag(target: Target) -> str:
    style = f"_s{target.sample:02d}" if target.sample else ""
    style += f"_style{target.style}" if target.style is not None else ""
    if target.moment:
        return f"{target.moment.track.name}{style}/{target.moment.frame:05d}"
    if target.actions:
        tag = "_".join(f"{name}-{value:.2f}" for name, value in target.actions)
        return f"au_{tag}"[:MAX_TAG]
    # + 0.0 turns a rounded -0.0 into 0.0.
    v, a = (round(x, 2) + 0.0 for x in (target.va.valence, target.va.arousal))
    name = f"_{target.expression}" if target.expression else ""
    return f"v{v:+.2f}_a{a:+.2f}{name}{style}"


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
