"""From wishes to a plan: every wish gets a photo, evenly over identities."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from synth.errors import UsageError
from synth.image_files import ImageSource
from synth.plans.density import cut
from synth.plans.kinds import Draw, kind_of, make_wishes
from synth.plans.table import Plan, PlanRow, check_plan
from synth.plans.wish import PlanOptions, Wish
from synth.targets import source_stems
from synth.types import Track

__all__ = ["make_plan"]


def make_plan(
    kind: str,
    sources: Sequence[ImageSource],
    subjects: Mapping[str, str],
    splits: Mapping[str, str],
    count: int | None = None,
    seed: int = 0,
    options: PlanOptions | None = None,
) -> Plan:
    """The plan of a set.

    The wishes of a kind are dealt to the identities in turn, and to the photos of each
    in turn: pictures per subject differ by one at most, of all and of each class, unless
    the wishes name their photos. Rows stand photo by photo, so that what is prepared for
    a photo is used while it is at hand, and are numbered in this order.

    Parameters
    ----------
    kind : str
        ``uniform-disc``; ``grid`` or ``grid:N``, the points of an N x N lattice in the
        disc; ``basic``, the six basic expressions equally often, or
        ``basic:happiness=100,anger=50``; ``match:CSV``, the shares of the classes, or of
        the bins of the disc, of another set; ``balance:CSV``, what flattens a set's
        density when it is added (``balance:CSV:N`` when the table holds shares of N
        pictures); ``csv:FILE``, explicit wishes; ``paths:PATH,...``, sequences.
    sources : sequence of ImageSource
        The photos; their order does not matter, their names do.
    subjects : mapping of photo name to subject
        From `subject_of`.
    splits : mapping of subject to split
        From `assign_splits`.
    count : int, optional
        Pictures. Without, ``grid`` and ``paths`` give every photo every point or path,
        ``basic:...`` and ``csv`` have counts of their own, which become shares when a
        count is given. ``paths`` plans as many whole sequences as fit.
    seed : int
        Of the run.
    options : PlanOptions, optional

    Raises
    ------
    UsageError
        If something is not valid; the message says what was expected.
    """
    options = options or PlanOptions()
    name, argument = kind_of(kind)
    if count is not None and count < 1:
        raise UsageError(f"count: expected 1 or more, got {count}")
    if seed < 0:
        raise UsageError(f"seed: expected 0 or more, got {seed}")
    names = sorted(source.name for source in sources)
    _check_known(names, subjects, splits)
    # One stream for what is drawn and one for who gets it.
    root = np.random.SeedSequence([seed, *name.encode()])
    draw_rng, deal_rng = (np.random.default_rng(s) for s in root.spawn(2))
    wishes = make_wishes(name, Draw(argument, count, options, draw_rng, names))
    dealt = _deal(wishes, names, subjects, deal_rng)
    rows = _rows(wishes, dealt, names, subjects, splits, options.style)
    _check_cap(rows, options.max_per_subject)
    plan = Plan(tuple(rows))
    check_plan(plan)
    return plan


def _check_known(
    names: Sequence[str], subjects: Mapping[str, str], splits: Mapping[str, str]
) -> None:
    if not names:
        raise UsageError("input: expected at least one photo, got none; name a file or a folder")
    if missing := [name for name in names if name not in subjects]:
        raise UsageError(
            f"subjects: expected a subject for every photo, got none for {', '.join(missing[:3])} "
            f"({len(missing)} of {len(names)})"
        )
    people = sorted({subjects[name] for name in names})
    if missing := [person for person in people if person not in splits]:
        raise UsageError(
            f"splits: expected a split for every subject, got none for {', '.join(missing[:3])} "
            f"({len(missing)} of {len(people)})"
        )


def _deal(
    wishes: Sequence[Wish],
    names: Sequence[str],
    subjects: Mapping[str, str],
    rng: np.random.Generator,
) -> list[str]:
    """The photo of each wish: of the subject that has the fewest pictures so far.

    Where no wish names its photo, this is one round after the other through the
    subjects, in an order drawn once.
    """
    photos: dict[str, list[str]] = defaultdict(list)
    for name in names:
        photos[subjects[name]].append(name)
    people = [sorted(photos)[i] for i in rng.permutation(len(photos))]
    used = Counter(subjects[wish.source] for wish in wishes if wish.source)
    heap = [(used[person], rank, person) for rank, person in enumerate(people)]
    heapq.heapify(heap)
    turns: Counter[str] = Counter()
    dealt: list[str] = []
    for wish in wishes:
        if wish.source:
            dealt.append(wish.source)
            continue
        number, rank, person = heap[0]
        heapq.heapreplace(heap, (number + 1, rank, person))
        dealt.append(photos[person][turns[person] % len(photos[person])])
        turns[person] += 1
    return dealt


def _rows(
    wishes: Sequence[Wish],
    dealt: Sequence[str],
    names: Sequence[str],
    subjects: Mapping[str, str],
    splits: Mapping[str, str],
    style: int,
) -> list[PlanRow]:
    """Rows photo by photo, numbered from 0; a sequence has one for each frame."""
    rank = {name: i for i, name in enumerate(names)}
    stems = source_stems(names)
    taken: set[str] = set()
    rows: list[PlanRow] = []
    for i in sorted(range(len(wishes)), key=lambda i: (rank[dealt[i]], i)):
        wish, source = wishes[i], dealt[i]
        first = PlanRow(
            id=len(rows),
            source=source,
            subject=subjects[source],
            split=splits[subjects[source]],
            valence=wish.valence,
            arousal=wish.arousal,
            expression=wish.expression,
            actions=wish.actions,
            style=style if wish.style is None else wish.style,
        )
        if wish.track is None:
            rows.append(first)
        else:
            name = _unique(f"{stems[source]}_{wish.track.name}", taken)
            rows += _frames(first, wish.track, name)
    return rows


def _frames(first: PlanRow, track: Track, name: str) -> Iterator[PlanRow]:
    """The rows of a sequence, numbered on from `first`."""
    for frame, (valence, arousal) in enumerate(cut(track.va).tolist()):
        yield replace(
            first,
            id=first.id + frame,
            valence=valence,
            arousal=arousal,
            expression=track.expression,
            sequence=name,
            frame=frame,
            fps=track.fps,
        )


def _unique(name: str, taken: set[str]) -> str:
    """`name`, numbered when a folder of that name is taken on any file system."""
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate, number = f"{name}_q{number:02d}", number + 1
    taken.add(candidate.casefold())
    return candidate


def _check_cap(rows: Sequence[PlanRow], most: int | None) -> None:
    used = Counter(row.subject for row in rows)
    person, number = used.most_common(1)[0]
    if most is not None and number > most:
        raise UsageError(
            f"max-per-subject: expected at least {number} for {len(rows)} pictures of "
            f"{len(used)} subjects, got {most} ({person} has {number}); raise it, add photos, or "
            f"lower count to {most * len(used)}"
        )
