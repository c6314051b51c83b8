"""From a plan to shards: which rows are made and written together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from synth.assets import digest
from synth.errors import UsageError
from synth.expressions.action_units import parse_actions
from synth.images import ImageSource
from synth.plans import Plan, PlanRow
from synth.targets import Moment, Target
from synth.types import VA, Track

__all__ = ["Job", "make_jobs", "photo_digests", "row_target"]

#: Rows of a shard: seconds of work, tens of megabytes.
SHARD_SIZE = 500


@dataclass(frozen=True)
class Job:
    """One shard: rows of one split, in plan order.

    Attributes
    ----------
    split : str
    number : int
        Of the shard in its split.
    groups : tuple of (ImageSource, tuple of PlanRow)
        Rows of each photo.
    tracks : mapping of (str, str) to (int, Track)
        Of the sequences that have frames here, by photo and sequence name: the id of
        the first frame's row, which seeds them all, and the whole path.
    digest : str
        SHA-256 of all that decides the shard's content: settings, rows and photos.
    """

    split: str
    number: int
    groups: tuple[tuple[ImageSource, tuple[PlanRow, ...]], ...]
    tracks: Mapping[tuple[str, str], tuple[int, Track]]
    digest: str

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, rows in self.groups)

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:06d}"


def photo_digests(sources: Sequence[ImageSource]) -> dict[str, str]:
    """SHA-256 of every photo, by name."""
    return {source.name: digest(source.path) for source in sources}


def make_jobs(
    plan: Plan,
    sources: Mapping[str, Path],
    digests: Mapping[str, str],
    settings: str,
    shard_size: int = SHARD_SIZE,
) -> list[Job]:
    """The shards of a plan: split by split, photo by photo in the plan's order.

    Parameters
    ----------
    plan : Plan
    sources : mapping of str to Path
        Photos by name.
    digests : mapping of str to str
        Their SHA-256.
    settings : str
        Digest of everything else that decides the pictures.
    shard_size : int
        Rows per shard at most.

    Raises
    ------
    UsageError
        If the plan names a photo that is not there.
    """
    if missing := sorted({row.source for row in plan.rows} - sources.keys()):
        raise UsageError(
            f"plan: expected photos of the input, got {len(missing)} others "
            f"({', '.join(missing[:3])}); give the --input that the plan was made for"
        )
    tracks = _tracks(plan)
    rank = {name: i for i, name in enumerate(dict.fromkeys(row.source for row in plan.rows))}
    by_split: dict[str, list[PlanRow]] = {}
    for row in plan.rows:
        by_split.setdefault(row.split or "train", []).append(row)
    jobs = []
    for split, rows in by_split.items():
        rows.sort(key=lambda row: rank[row.source])  # stable: plan order within a photo
        for number, start in enumerate(range(0, len(rows), shard_size)):
            chunk = rows[start : start + shard_size]
            groups = tuple(
                (ImageSource(sources[name], name), tuple(group))
                for name, group in groupby(chunk, key=lambda row: row.source)
            )
            keys = dict.fromkeys((row.source, row.sequence) for row in chunk if row.sequence)
            needed = {key: tracks[key] for key in keys}
            text = json.dumps([settings, split, [asdict(row) for row in chunk],
                               [digests[source.name] for source, _ in groups],
                               [track.va.tolist() for _, track in needed.values()]])  # fmt: skip
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            jobs.append(Job(split, number, groups, needed, sha256))
    return jobs


def _tracks(plan: Plan) -> dict[tuple[str, str], tuple[int, Track]]:
    sequences: dict[tuple[str, str], list[PlanRow]] = {}
    for row in plan.rows:
        if row.sequence:
            sequences.setdefault((row.source, row.sequence), []).append(row)
    tracks = {}
    for (source, name), rows in sequences.items():
        rows.sort(key=lambda row: row.frame)
        if [row.frame for row in rows] != list(range(len(rows))):
            raise UsageError(
                f"plan: expected the frames 0 to {len(rows) - 1} of {name} of {source}, got "
                f"{[row.frame for row in rows][:6]}...; keep a sequence whole"
            )
        va = np.array([[row.valence, row.arousal] for row in rows])
        tracks[source, name] = (rows[0].id, Track(name, rows[0].fps, va, rows[0].expression))
    return tracks


def row_target(row: PlanRow, tracks: Mapping[tuple[str, str], tuple[int, Track]]) -> Target:
    """What a row asks for."""
    moment = None
    if row.sequence:
        first, track = tracks[row.source, row.sequence]
        moment = Moment(track, first, row.frame)
    return Target(
        VA(row.valence, row.arousal),
        row.id,
        row.expression,
        parse_actions(row.actions) if row.actions else (),
        sample=row.style,
        moment=moment,
    )
