"""A run whose set lies at an address: its tables pass through a folder of this machine.

``SetRun.root`` is that folder; pictures never come here, but for those of the contact
sheet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synth.augment.jobs import Job
from synth.augment.run import PLAN_FILE, SetRun
from synth.dataset.finish import DESCRIPTIONS, SHOWN
from synth.dataset.folder import METADATA
from synth.dataset.layout import evenly
from synth.dataset.manifest import Manifest
from synth.dataset.provenance import read_provenance
from synth.dataset.summary import Summary
from synth.distributed.remote import (
    clear_remote,
    fetch,
    fetch_part,
    fetch_tables,
    holds,
    left_at,
    push,
)
from synth.runfile import RUN_FILE

__all__ = ["begin_at", "finish_at"]


def begin_at(run: SetRun, url: str, overwrite: bool = False) -> tuple[list[Job], list[Job]]:
    """Like `SetRun.begin`, for a set at an address: all shards, and those still to be made.

    Parameters
    ----------
    run : SetRun
        Its root is an empty folder of this machine.
    url : str
    overwrite : bool
        Remove the earlier set there.

    Raises
    ------
    UsageError
        If the address cannot be used, or holds something else.
    """
    if not overwrite and holds(url, RUN_FILE):
        run.root.mkdir(parents=True, exist_ok=True)
        fetch(url, run.root, [RUN_FILE])
    jobs, _ = run.begin(overwrite)
    if overwrite:
        clear_remote(url)
    push(run.root, url, [RUN_FILE, PLAN_FILE])
    return jobs, left_at(url, jobs)


def finish_at(run: SetRun, url: str) -> Summary:
    """Like `SetRun.finish`: describe the set from its tables, and upload that.

    Raises
    ------
    SynthError
        If a table is damaged, or the address cannot be used.
    """
    manifests = list(fetch_tables(url, run.root).values())
    splits = {manifest.split for manifest in manifests}
    for split in splits:
        own = sorted((m for m in manifests if m.split == split), key=lambda m: m.number)
        _fetch_examples(url, run.root, own)
    summary = run.finish()
    metadata = [f"{split}/{METADATA}" for split in sorted(splits)]
    written = [name for name in (*DESCRIPTIONS, *metadata) if (run.root / name).is_file()]
    push(run.root, url, written)
    return summary


def _fetch_examples(url: str, local: Path, manifests: Sequence[Manifest]) -> None:
    """The bytes of the pictures of one split that `finish` shows."""
    columns = ["file", "offset", "bytes"]
    sizes = [len(read_provenance(local, m.split, m.number, ["bytes"])) for m in manifests]
    wanted, start = evenly(sum(sizes), SHOWN), 0
    for manifest, size in zip(manifests, sizes, strict=True):
        inside = [index - start for index in wanted if start <= index < start + size]
        if inside:
            table = read_provenance(local, manifest.split, manifest.number, columns)
            for place in table.take(inside).to_pylist():
                fetch_part(url, local, place["file"], place["offset"], place["bytes"])
        start += size
