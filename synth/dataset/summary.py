"""What a set holds, counted shard by shard from its tables, with flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.dataset.layout import format_of, split_order
from synth.dataset.manifest import Manifest
from synth.dataset.provenance import read_provenance

__all__ = ["CELLS", "SplitSummary", "Summary", "summarise", "va_counts"]

#: Columns and rows of the histogram over [-1, 1]^2.
CELLS = 20
_READ = ("valence", "arousal", "expression", "subject", "source", "bytes", "frame")


@dataclass
class SplitSummary:
    """Counts of one split.

    Attributes
    ----------
    pictures, bytes, frames : int
        `frames` of the pictures belong to sequences.
    subjects, sources : set of str
    expressions : Counter
        ``none`` where only a point of the circumplex was asked for.
    histogram : (CELLS, CELLS) int64
        Pictures by arousal (rows, from -1 up) and valence (columns, from -1 right).
    """

    pictures: int = 0
    bytes: int = 0
    frames: int = 0
    subjects: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    expressions: Counter[str] = field(default_factory=Counter)
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros((CELLS, CELLS), np.int64))


@dataclass(frozen=True)
class Summary:
    """Counts of a set.

    Attributes
    ----------
    fmt : str
        Format, "" for an empty set.
    splits : dict of str to SplitSummary
        Train, validation and test first.
    skipped, rejected : dict of str to int
        By reason; a rejected row counts for each of its reasons.
    shards : dict of str to int
        Shards of each split.
    """

    fmt: str
    splits: dict[str, SplitSummary]
    skipped: dict[str, int]
    rejected: dict[str, int]
    shards: dict[str, int]

    @property
    def pictures(self) -> int:
        return sum(split.pictures for split in self.splits.values())

    @property
    def histogram(self) -> NDArray[np.int64]:
        """Of all splits together."""
        total = np.zeros((CELLS, CELLS), np.int64)
        return sum((split.histogram for split in self.splits.values()), total)

    @property
    def expressions(self) -> Counter[str]:
        """Of all splits together."""
        return sum((split.expressions for split in self.splits.values()), Counter())


def va_counts(valence: ArrayLike, arousal: ArrayLike, cells: int = CELLS) -> NDArray[np.int64]:
    """(cells, cells) counts over [-1, 1]^2: arousal in rows from -1 up, valence in columns."""
    span = (-1.0, 1.0)
    counts, _, _ = np.histogram2d(
        np.asarray(arousal, np.float64), np.asarray(valence, np.float64), cells, (span, span)
    )
    return counts.astype(np.int64)


def summarise(root: Path, manifests: Sequence[Manifest]) -> Summary:
    """Count a set.

    Raises
    ------
    SynthError
        If a provenance table cannot be read.
    """
    splits = {name: SplitSummary() for name in split_order(m.split for m in manifests)}
    fmt = ""
    for manifest in manifests:
        fmt = fmt or format_of(file.path for file in manifest.files)
        rows = read_provenance(root, manifest.split, manifest.number, _READ)
        split = splits[manifest.split]
        split.pictures += len(rows)
        split.bytes += sum(rows["bytes"].to_pylist())
        split.frames += sum(frame >= 0 for frame in rows["frame"].to_pylist())
        split.subjects |= set(rows["subject"].to_pylist())
        split.sources |= set(rows["source"].to_pylist())
        split.expressions.update(rows["expression"].to_pylist())
        split.histogram += va_counts(rows["valence"].to_numpy(), rows["arousal"].to_numpy())
    return Summary(
        fmt,
        splits,
        _reasons(row for manifest in manifests for row in manifest.skipped),
        _reasons(row for manifest in manifests for row in manifest.rejected),
        dict(Counter(manifest.split for manifest in manifests)),
    )


def _reasons(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    count: Counter[str] = Counter()
    for row in rows:
        reasons = row.get("reasons", row.get("reason", ""))
        if isinstance(reasons, str):
            reasons = reasons.replace(";", ",").split(",")
        count.update(reason.strip() for reason in reasons)
    return dict(sorted(count.items()))
