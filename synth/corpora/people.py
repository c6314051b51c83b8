"""Dividing the people of a set, so that nobody is in two parts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

from synth.corpora.image import CorpusImage
from synth.errors import UsageError

__all__ = ["split_by_subject"]


def split_by_subject(
    images: Sequence[CorpusImage], shares: Mapping[str, float], seed: int = 0
) -> dict[str, list[CorpusImage]]:
    """The images of each part; every person, in both spectra, is in one part only.

    The order in which people are dealt depends on the seed and their names alone, as in
    `synth.plans.subjects`, which divides the people of a planned set: neither the order of
    files nor the number of photos matters, and the parts are the same there where the
    numbers of people are.

    Parameters
    ----------
    images : sequence of CorpusImage
    shares : mapping of str to float
        Share of the people of each part, above 0 with the sum 1; parts in the order in
        which people are dealt. Every part gets one person at least, and the numbers come as
        near to the shares as they can (largest remainders, ties to the earlier part).
    seed : int

    Returns
    -------
    dict of str to list of CorpusImage
        Parts in the order of `shares`, images in theirs.

    Raises
    ------
    UsageError
        If the shares are not above 0 with the sum 1, or there are fewer people than parts.
    """
    good = all(math.isfinite(share) and share > 0 for share in shares.values())
    if not good or abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(
            f"shares: expected numbers above 0 with the sum 1, got {dict(shares)}; "
            'for example {"train": 0.8, "val": 0.2}'
        )
    people = {image.subject for image in images}
    if len(people) < len(shares):
        raise UsageError(
            f"shares: expected at least {len(shares)} people for {', '.join(shares)}, got "
            f"{len(people)}; ask for fewer parts, or say who is who with the set's options"
        )
    digest = {who: hashlib.sha256(f"{seed}\0{who}".encode()).digest() for who in people}
    order = sorted(people, key=digest.__getitem__)
    part_of: dict[str, str] = {}
    for part, size in zip(shares, _sizes(list(shares.values()), len(order)), strict=True):
        part_of |= dict.fromkeys(order[len(part_of) : len(part_of) + size], part)
    return {part: [i for i in images if part_of[i.subject] == part] for part in shares}


def _sizes(shares: Sequence[float], count: int) -> list[int]:
    """Whole numbers near ``share * count`` with the sum `count`, none of them 0."""
    exact = [share * count for share in shares]
    sizes = [math.floor(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (-round(exact[i] - sizes[i], 9), i))
    for i in by_remainder[: count - sum(sizes)]:
        sizes[i] += 1
    while 0 in sizes:
        surplus = [s - e if s > 1 else -math.inf for s, e in zip(sizes, exact, strict=True)]
        sizes[surplus.index(max(surplus))] -= 1
        sizes[sizes.index(0)] += 1
    return sizes
