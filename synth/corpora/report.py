"""What is in a set: its pairs, and a table of counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from synth.affect import EXPRESSIONS
from synth.corpora.image import SPECTRA, SPLITS, CorpusImage
from synth.errors import UsageError

__all__ = ["check_pairs", "describe", "pairs"]


def pairs(images: Sequence[CorpusImage]) -> list[tuple[CorpusImage, CorpusImage]]:
    """VIS and NIR images of the same moment, sorted by the name of the VIS image."""
    by_pair: dict[str, dict[str, CorpusImage]] = {}
    for image in images:
        if image.pair:
            by_pair.setdefault(image.pair, {})[image.spectrum] = image
    whole = [(both["vis"], both["nir"]) for both in by_pair.values() if len(both) == 2]
    return sorted(whole, key=lambda both: both[0].name)


def check_pairs(images: Sequence[CorpusImage]) -> list[tuple[CorpusImage, CorpusImage]]:
    """The pairs of a set in which every image has a partner.

    Raises
    ------
    UsageError
        If one has none, or its partner is another person; the message says how many match.
    """
    found = pairs(images)
    lonely = sorted(
        {image.name for image in images} - {image.name for both in found for image in both}
    )
    if lonely or not found:
        count = Counter(image.spectrum for image in images)
        more = f" (without one: {_few(lonely)})" if lonely else ""
        raise UsageError(
            f"pairs: expected a partner in the other spectrum for each of {count['vis']} VIS and "
            f"{count['nir']} NIR images, got {len(found)} pairs{more}; give partners the same "
            "name, leave the others out, or use the set as unpaired"
        )
    for vis, nir in found:
        if vis.subject != nir.subject:
            raise UsageError(
                f"pairs: expected one person on {vis.name} and {nir.name}, got {vis.subject} and "
                f"{nir.subject}; correct the names or the labels"
            )
    return found


def _few(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def describe(images: Sequence[CorpusImage]) -> str:
    """A Markdown table of what a set holds, one column a spectrum.

    Images, people, people in both spectra, pairs, sequences, images with valence and
    arousal, then images of each light, split, group and expression that occurs.
    """
    of = {s: [image for image in images if image.spectrum == s] for s in SPECTRA}
    people = {s: {image.subject for image in of[s]} for s in SPECTRA}
    rows: list[tuple[str, list[int]]] = [
        ("images", [len(of[s]) for s in SPECTRA]),
        ("people", [len(people[s]) for s in SPECTRA]),
        ("people in both", [len(people["vis"] & people["nir"])] * 2),
        ("paired images", [len(pairs(images))] * 2),
        ("sequences", [len({i.sequence for i in of[s] if i.sequence}) for s in SPECTRA]),
        ("with VA", [sum(i.valence is not None for i in of[s]) for s in SPECTRA]),
    ]
    lights = sorted({image.light for image in images if image.light})
    rows += [(f"light: {x}", [sum(i.light == x for i in of[s]) for s in SPECTRA]) for x in lights]
    parts = [part for part in SPLITS if any(image.split == part for image in images)]
    rows += [(f"split: {x}", [sum(i.split == x for i in of[s]) for s in SPECTRA]) for x in parts]
    groups = {s: Counter(pair for image in of[s] for pair in image.groups) for s in SPECTRA}
    rows += [
        (f"{name}: {value}", [groups[s][name, value] for s in SPECTRA])
        for name, value in sorted({*groups["vis"], *groups["nir"]})
    ]
    for word in (*EXPRESSIONS, ""):
        counts = [sum(i.expression == word for i in of[s]) for s in SPECTRA]
        if any(counts):
            rows.append((word or "no expression", counts))
    width = max(len(label) for label, _ in rows)
    lines = [
        f"| {'':{width}} | {'VIS':>7} | {'NIR':>7} |",
        f"|{'-' * (width + 2)}|--------:|--------:|",
    ]
    lines += [f"| {label:{width}} | {a:7} | {b:7} |" for label, (a, b) in rows]
    return "\n".join(lines)
