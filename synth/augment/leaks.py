"""Is one person in two splits? Asks the faces, whatever names and folders say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth.errors import SkipPhoto, UsageError
from synth.images import ImageSource
from synth.pipeline import Generator
from synth.plans import Plan
from synth.quality import Embedder, Pair, audit

__all__ = ["find_leaks", "refuse_leaks"]


def find_leaks(
    generator: Generator, plan: Plan, sources: Sequence[ImageSource]
) -> list[tuple[str, str, Pair]]:
    """Pairs of the plan's photos that look like one person but are planned as two.

    Photos without a usable face are passed over: they give no picture either.
    """
    rows = {row.source: row for row in plan.rows}
    embedder, found, vectors = Embedder(), [], []
    for source in sources:
        if source.name not in rows:
            continue
        try:
            image, faces = generator.faces(source)
        except SkipPhoto:
            continue
        vectors.append(embedder.embed(image.pixels, faces[0].points))
        found.append(rows[source.name])
    if len(found) < 2:
        return []
    subjects, splits = [row.subject for row in found], [row.split for row in found]
    pairs = audit(np.stack(vectors), subjects, splits)
    return [(found[pair.first].source, found[pair.second].source, pair) for pair in pairs]


def refuse_leaks(generator: Generator, plan: Plan, sources: Sequence[ImageSource]) -> None:
    """Raise a `UsageError` that names the pairs in different splits, if there are any."""
    leaks = [leak for leak in find_leaks(generator, plan, sources) if leak[2].reason == "split"]
    if leaks:
        shown = "; ".join(f"{one} and {two} ({pair.distance:.2f})" for one, two, pair in leaks[:3])
        raise UsageError(
            f"splits: expected different people in them, got {len(leaks)} pairs of photos that "
            f"look like one person: {shown}; name them alike with --subjects, or leave out --audit"
        )
