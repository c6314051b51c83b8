"""What a picture must satisfy to enter a set, and why one was refused.

Scores come from `synth.quality.measures`; ``docs/quality.md`` shows how they are
spread over good and over deliberately broken pictures, and what the limits catch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from synth.errors import UsageError

__all__ = ["NAMES", "REASONS", "Gates", "Reject", "reasons"]

#: Reason codes of ``rejected.csv`` and what each means.
REASONS: dict[str, str] = {
    "GATE_IDENTITY": "the face is too far from the photo's to be the same person",
    "GATE_LIPS": "one lip has passed through the other",
    "GATE_LIDS": "the lids have crossed, or the iris left the open eye",
    "GATE_MOUTH": "the inside of the mouth shows outside the lips",
    "GATE_SEAM": "a visible edge where the drawn face meets the photo",
    "GATE_SHARPNESS": "the face is much softer than in the photo",
    "GATE_FOLD": "the skin folds over itself",
}

#: Reason code of each score.
_REASON_OF = {
    "identity": "GATE_IDENTITY",
    "lips": "GATE_LIPS",
    "lids": "GATE_LIDS",
    "iris": "GATE_LIDS",
    "mouth": "GATE_MOUTH",
    "seam": "GATE_SEAM",
    "outline": "GATE_SEAM",
    "sharpness": "GATE_SHARPNESS",
    "fold": "GATE_FOLD",
}
#: Scores that must not fall below their limit; all others must not exceed it.
_LEAST = ("sharpness",)


@dataclass(frozen=True)
class Gates:
    """Limits of the scores of a picture; None switches a gate off, and its cost.

    Lengths are in inter-ocular distances of the photo (36-45).

    Attributes
    ----------
    identity : float
        Largest distance of the face embedding from the photo's. Of good pictures 99 %
        measure up to 0.46, another person's face measures 0.56 and more.
    lips : float
        How far the lower lip may lie above the upper one. Of pressed lips
        99 % overlap by up to 0.04, ``mouthClose`` on a shut mouth by 0.3 and more.
    lids : float
        How far the lower lid may lie above the upper one; shut lids overlap by 0.01.
    iris : float
        How far the centre of the iris may lie outside the lids of an open eye.
    mouth : float
        Area (inter-ocular distances squared) of teeth, tongue and cavity outside the lips.
    seam : float
        Grey levels by which neighbours across the border of what was drawn differ
        more than in the photo: mean of the worst of 16 directions.
    outline : float
        The same across the outline of the face (only where the head was not turned):
        mean of the excess.
    sharpness : float
        Least fine detail of the face as a share of the photo's.
    fold : float
        Share of the visible skin, or of its surroundings, whose triangles have
        turned over.

    Raises
    ------
    UsageError
        If a limit is not a finite number above 0.
    """

    identity: float | None = 0.55
    lips: float | None = 0.06
    lids: float | None = 0.02
    iris: float | None = 0.03
    mouth: float | None = 0.004
    seam: float | None = 4.0
    outline: float | None = 3.0
    sharpness: float | None = 0.85
    fold: float | None = 0.01

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise UsageError(
                    f"{name}: expected a finite limit above 0, got {limit!r}; "
                    "None switches the gate off"
                )

    @classmethod
    def named(cls, name: str) -> Gates:
        """``all``; ``fast``, without the identity; or ``off``.

        Raises
        ------
        UsageError
            If there is no such preset.
        """
        if name == "all":
            return cls()
        if name == "fast":
            return cls(identity=None)
        if name == "off":
            return cls(**dict.fromkeys(NAMES))
        raise UsageError(f"gates: expected {', '.join(PRESETS)}, got {name!r}")

    @property
    def needs_embedding(self) -> bool:
        """Whether faces must be embedded, which costs more than all else."""
        return self.identity is not None

    @property
    def on(self) -> tuple[str, ...]:
        """Names of the gates that are on."""
        return tuple(name for name in NAMES if getattr(self, name) is not None)


#: Names that `Gates.named` takes.
PRESETS = ("all", "fast", "off")
#: Gates, in the order in which they are reported.
NAMES = tuple(field.name for field in fields(Gates))


@dataclass(frozen=True)
class Reject:
    """One reason to refuse a picture: a row of ``rejected.csv``.

    Attributes
    ----------
    reason : str
        A key of `REASONS`.
    gate : str
        Which score; a field of `Gates`.
    value : float
        What was measured.
    limit : float
    """

    reason: str
    gate: str
    value: float
    limit: float

    def __str__(self) -> str:
        sign = "at least" if self.gate in _LEAST else "at most"
        return f"{self.gate}: expected {sign} {self.limit:g}, got {self.value:.4g}"


def reasons(scores: Mapping[str, float], gates: Gates) -> tuple[Reject, ...]:
    """Why a picture is refused: the first gate of each reason that it does not pass.

    Parameters
    ----------
    scores : mapping of str to float
        From `synth.quality.measures.measure`; gates without a score are passed, a
        score that is not a number is not.
    gates : Gates

    Returns
    -------
    tuple of Reject
        None when the picture is good.
    """
    found: dict[str, Reject] = {}
    for name in gates.on:
        limit, value = getattr(gates, name), scores.get(name)
        if value is None:
            continue
        good = value >= limit if name in _LEAST else value <= limit
        if not good:
            reject = Reject(_REASON_OF[name], name, float(value), float(limit))
            found.setdefault(reject.reason, reject)
    return tuple(found.values())
