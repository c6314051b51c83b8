"""A whole set: what is left to do, who does it, when to stop, what to write at the end."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from synth import __version__
from synth.augment.jobs import SHARD_SIZE, Job, make_jobs, photo_digests
from synth.augment.make import Making
from synth.augment.pool import Crew, Finished, Progress, run_in_processes
from synth.dataset.finish import SetInfo, finish
from synth.dataset.layout import MANIFESTS, PROVENANCE, SCRATCH
from synth.dataset.manifest import read_manifests, shard_done
from synth.dataset.summary import Summary
from synth.errors import SynthError, UsageError
from synth.images import ImageSource, write_atomic
from synth.pipeline import Generator
from synth.plans import Plan, write_plan
from synth.records import check_output
from synth.runfile import DECIDING, RUN_FILE, Tables, run_toml

__all__ = ["PLAN_FILE", "SetRun", "TooManyRejects", "plan_digest"]

PLAN_FILE = "plan.parquet"
#: Pictures judged before `max_reject` may stop a run.
ENOUGH_JUDGED = 200

#: (jobs left, stop) -> events; `run_in_processes` or another engine.
Engine = Callable[[list[Job], Callable[[], bool]], Iterable[Progress | Finished]]


class TooManyRejects(SynthError):
    """The gates refuse more than the run allows."""


@dataclass
class SetRun:
    """One call of ``synth augment``.

    Attributes
    ----------
    root : Path
    generator : Generator
    making : Making
    plan : Plan
    sources : tuple of ImageSource
    tables : Tables
        Content of ``run.toml``.
    fmt : {"folder", "webdataset", "parquet"}
    shard_size, workers : int
    max_reject : float, optional
        Share of the judged pictures.
    name : str
        Of the set; that of the folder when empty.
    plan_text : str
        The plan as it was asked for.
    made, rejected, skipped : int
        So far, by this call.
    """

    root: Path
    generator: Generator
    making: Making
    plan: Plan
    sources: tuple[ImageSource, ...]
    tables: Tables
    fmt: str = "folder"
    shard_size: int = SHARD_SIZE
    workers: int = 1
    max_reject: float | None = None
    name: str = ""
    plan_text: str = ""
    made: int = 0
    rejected: int = 0
    skipped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def begin(self, overwrite: bool = False) -> tuple[list[Job], list[Job]]:
        """Write ``run.toml`` and the plan; all shards, and those still to be made.

        Raises
        ------
        UsageError
            If the folder holds something else, or cannot be written.
        """
        jobs, left = self.look(overwrite)
        try:
            if overwrite:
                clear(self.root)
                left = jobs
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomic(self.root / RUN_FILE, run_toml(self.tables).encode())
            write_plan(self.plan, self.root / PLAN_FILE)
            shutil.rmtree(self.root / SCRATCH, ignore_errors=True)  # of a run that was killed
        except OSError as error:
            raise UsageError(
                f"output: expected a folder that can be written, got {self.root} "
                f"({error.strerror or error}); choose another --output"
            ) from None
        return jobs, left

    def look(self, overwrite: bool = False) -> tuple[list[Job], list[Job]]:
        """All shards, and those still to be made; writes nothing.

        Raises
        ------
        UsageError
            If the folder holds something else.
        """
        check_output(self.root, self.tables, overwrite)
        names = {source.name: source.path for source in self.sources}
        settings = json.dumps({t: self.tables.get(t, {}) for t in DECIDING}, sort_keys=True)
        sha256 = hashlib.sha256(settings.encode()).hexdigest()
        used = {row.source for row in self.plan.rows}
        digests = photo_digests([s for s in self.sources if s.name in used])
        jobs = make_jobs(self.plan, names, digests, sha256, self.shard_size)
        done = [shard_done(self.root, job.split, job.number, job.digest) for job in jobs]
        return jobs, [job for job, is_done in zip(jobs, done, strict=True) if not is_done]

    def run(
        self, left: list[Job], stop: Callable[[], bool], engine: Engine | None = None
    ) -> Iterator[Progress | Finished]:
        """Make the shards that are left; yields what happens.

        Raises
        ------
        DiskFull, TooManyRejects, SynthError
            Finished shards stay; the same command goes on.
        """
        for event in (engine or self._processes)(left, stop):
            if isinstance(event, Finished):
                self._count(event)
            yield event

    def finish(self) -> Summary:
        """Write what describes the set, once all shards are there."""
        info = SetInfo(
            name=self.name or self.root.resolve().name,
            command=f"synth augment --plan {self.plan_text} ...; all settings are in {RUN_FILE}",
            plan=f"{self.plan_text}: {len(self.plan)} rows in {PLAN_FILE}",
            settings={name: self.tables.get(name, {}) for name in DECIDING},
            counts={"planned": len(self.plan)},
            sources=f"{len(self.sources)} neutral photos given by the maker of the set.",
            version=__version__,
        )
        return finish(self.root, info)

    def _count(self, event: Finished) -> None:
        self.made += event.result.made
        self.rejected += event.result.rejected
        self.skipped += event.result.skipped
        for reason, rows in event.result.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + rows
        judged = self.made + self.rejected
        if self.max_reject is None or judged < ENOUGH_JUDGED:
            return
        if self.rejected > self.max_reject * judged:
            raise TooManyRejects(
                f"max-reject: expected at most {self.max_reject:.1%} refused by the gates, got "
                f"{self.rejected} of {judged} ({self.rejected / judged:.1%}); look at the rejected "
                "rows in the manifests under shards/, then mend the photos or loosen --gates"
            )

    def _processes(
        self, jobs: list[Job], stop: Callable[[], bool]
    ) -> Iterator[Progress | Finished]:
        crew = Crew(self.generator, self.making, self.root, self.fmt)
        return run_in_processes(crew, jobs, self.workers, stop)


def plan_digest(plan: Plan) -> str:
    """SHA-256 of a plan's rows."""
    return hashlib.sha256(repr(plan.rows).encode()).hexdigest()


def clear(root: Path) -> None:
    """Remove the files of an earlier set, as its manifests name them; nothing foreign."""
    for manifest in read_manifests(root):
        for file in manifest.files:
            (root / file.path).unlink(missing_ok=True)
    for name in (MANIFESTS, PROVENANCE, SCRATCH):
        shutil.rmtree(root / name, ignore_errors=True)
