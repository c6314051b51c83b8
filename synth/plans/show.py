"""A plan in words: how many of what, how flat, how long and how large."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.plans.density import BINS, kl_to_uniform, va_histogram
from synth.plans.reference import Density
from synth.plans.subjects import SPLITS
from synth.plans.table import Plan

__all__ = ["Estimate", "describe", "estimate", "plan_density", "plan_points"]

Float = NDArray[np.float64]


def plan_points(plan: Plan) -> Float:
    """(n, 2) valence and arousal of the rows that have them: those without actions."""
    points = [(row.valence, row.arousal) for row in plan if not row.actions]
    return np.array(points, np.float64).reshape(-1, 2)


def plan_density(plan: Plan, existing: Density | None = None) -> Density:
    """Where a plan's pictures lie in the disc; with those of an existing set, on its bins."""
    counts, edges, inside = va_histogram(
        plan_points(plan), BINS if existing is None else existing.edges
    )
    before = 0.0 if existing is None else existing.counts
    return Density(np.asarray(counts + before, np.float64), edges, inside)


# ------------------------------------------------------------------------- text
def describe(plan: Plan, existing: Density | None = None) -> str:
    """What a plan holds, as text: splits, expressions, subjects, sequences, the disc.

    Parameters
    ----------
    plan : Plan
    existing : Density, optional
        The set that the plan fills up, in pictures (`existing_density`): flatness is then
        told before and after.
    """
    parts = [_splits(plan), _contents(plan), _subjects(plan)]
    if any(row.sequence for row in plan):
        frames = Counter(row.sequence for row in plan if row.sequence)
        parts.append(f"{len(frames):,} sequences of {_range(frames.values())} frames")
    if len(plan_points(plan)):
        parts.append(_disc(plan, existing))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, the first to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in lines
    ]
    return "\n".join(line.rstrip() for line in text)


def _range(numbers: Iterable[int]) -> str:
    values = sorted(numbers)
    return f"{values[0]:,}" if values[0] == values[-1] else f"{values[0]:,} to {values[-1]:,}"


def _names(plan: Plan) -> list[str]:
    found = {row.split for row in plan}
    return [name for name in SPLITS if name in found] + sorted(found - set(SPLITS))


def _splits(plan: Plan) -> str:
    people: dict[str, set[str]] = defaultdict(set)
    photos: dict[str, set[str]] = defaultdict(set)
    for row in plan:
        people[row.split].add(row.subject)
        photos[row.split].add(row.source)
    pictures = Counter(row.split for row in plan)
    names = _names(plan)
    rows = [(n, pictures[n], len(people[n]), len(photos[n])) for n in names]
    rows.append(("total", len(plan), sum(r[2] for r in rows), sum(r[3] for r in rows)))
    cells = [[row[0], *(f"{number:,}" for number in row[1:])] for row in rows]
    return _table(["split", "pictures", "subjects", "photos"], cells)


def _kind(expression: str, actions: str) -> str:
    return expression or ("(actions)" if actions else "(valence, arousal)")


def _contents(plan: Plan) -> str:
    names = _names(plan)
    counts = Counter((_kind(row.expression, row.actions), row.split) for row in plan)
    kinds = sorted({kind for kind, _ in counts}, key=lambda k: (k.startswith("("), k))
    rows = []
    for kind in kinds:
        each = [counts[kind, name] for name in names]
        share = f"{sum(each) / len(plan):.1%}"
        rows.append([kind, *(f"{number:,}" for number in each), f"{sum(each):,}", share])
    return _table(["expression", *names, "total", "share"], rows)


def _subjects(plan: Plan) -> str:
    pictures = Counter(row.subject for row in plan)
    photos: Mapping[str, set[str]] = defaultdict(set)
    for row in plan:
        photos[row.subject].add(row.source)
    each = sorted(pictures.values())
    return (
        f"{len(pictures):,} subjects: {_range(each)} pictures each (median "
        f"{float(np.median(each)):g}), from {_range(len(p) for p in photos.values())} photos"
    )


def _disc(plan: Plan, existing: Density | None) -> str:
    planned = plan_density(plan) if existing is None else None
    after = plan_density(plan, existing)
    lines = []
    if existing is not None:
        lines.append(
            f"{existing.total:,.0f} pictures exist, {len(plan_points(plan)):,} are planned; the "
            "table shows both"
        )
        before = kl_to_uniform(existing.counts, existing.inside)
        lines.append(
            f"divergence from uniform: {before:.3f} bits before, "
            f"{kl_to_uniform(after.counts, after.inside):.3f} bits after"
        )
    elif planned is not None:
        flat = kl_to_uniform(planned.counts, planned.inside)
        lines.append(f"divergence from uniform on the disc: {flat:.3f} bits")
    return "\n".join([*lines, _grid(after)])


def _grid(density: Density) -> str:
    """Per cent of pictures in each bin, arousal upwards; `.` where there are none."""
    share = 100 * density.counts / density.total
    middles = (density.edges[:-1] + density.edges[1:]) / 2
    head = ["arousal \\ valence", *(f"{v:+.2f}" for v in middles)]
    rows = []
    for j in reversed(range(len(middles))):
        cells = [
            "" if density.inside[i, j] == 0 else f"{share[i, j]:.1f}" if share[i, j] else "."
            for i in range(len(middles))
        ]
        rows.append([f"{middles[j]:+.2f}", *cells])
    return "per cent of pictures (bin centres)\n" + _table(head, rows)


# -------------------------------------------------------------------- estimates
@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes
    ----------
    pictures : int
    photos : int
        Different photos: each is prepared once.
    seconds : float
        Wall-clock time.
    bytes : float
        Of the pictures, tables left out.
    """

    pictures: int
    photos: int
    seconds: float
    bytes: float

    def __str__(self) -> str:
        return (
            f"{self.pictures:,} pictures from {self.photos:,} photos: about "
            f"{_duration(self.seconds)}, {_size(self.bytes)}"
        )


def estimate(
    plan: Plan,
    pictures_per_second: float,
    bytes_per_picture: float,
    seconds_per_photo: float = 0.0,
) -> Estimate:
    """Time and room that a plan will take.

    Parameters
    ----------
    plan : Plan
    pictures_per_second : float
        Of all workers together.
    bytes_per_picture : float
        Mean size of an encoded picture.
    seconds_per_photo : float
        To prepare one photo, divided by the number of workers.

    Raises
    ------
    UsageError
        If the rate is not above 0, or another number is below 0.
    """
    if not pictures_per_second > 0 or bytes_per_picture < 0 or seconds_per_photo < 0:
        raise UsageError(
            f"estimate: expected a rate above 0 and sizes of 0 or more, got "
            f"{pictures_per_second:g} pictures/s, {bytes_per_picture:g} bytes"
        )
    photos = len({row.source for row in plan})
    seconds = len(plan) / pictures_per_second + photos * seconds_per_photo
    return Estimate(len(plan), photos, seconds, len(plan) * bytes_per_picture)


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} seconds"


def _size(size: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1e3:.0f} kB"
