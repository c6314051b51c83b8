"""Many photos into files: in this process or in several, resumable, same bytes either way.

What makes the pictures is a `Maker`: the generator, or a translator of photos. A job
is one photo with a share of the targets. Its pictures are encoded and
written where they are made; the tables are written by the parent alone.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synth.errors import SynthError
from synth.images import ImageSource, encode_image, write_atomic
from synth.records import IMAGES, Row, RunWriter, Skip, record_line
from synth.targets import Target, source_stems, target_tags
from synth.threads import one_thread, one_thread_for_good

__all__ = ["Done", "Made", "Maker", "Output", "Plan", "Written", "generate_files"]

#: Targets of one job at most: little enough to stop quickly and to share one
#: photo among workers, many enough that preparing the photo twice costs nothing.
JOB_TARGETS = 200
EXTENSIONS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


@dataclass(frozen=True)
class Output:
    """Where and how pictures are written.

    Attributes
    ----------
    root : Path
        Folder of the run.
    fmt : {"png", "jpeg", "webp"}
    quality : int
        1 to 100, JPEG and WebP.
    """

    root: Path
    fmt: str = "png"
    quality: int = 95


@dataclass(frozen=True)
class Job:
    """One photo with some targets, and the file name stem of each."""

    source: ImageSource
    stem: str
    targets: tuple[Target, ...]
    tags: tuple[str, ...]


class Made(Protocol):
    """A picture in memory, with its record."""

    @property
    def image(self) -> NDArray[np.uint8]: ...
    @property
    def alpha(self) -> NDArray[np.uint8] | None: ...
    @property
    def record(self) -> Any: ...


class Maker(Protocol):
    """What makes pictures of photos: `synth.pipeline.Generator` or another route."""

    @property
    def face(self) -> str | int:
        """``"all"`` where a photo may give several pictures for one target."""
        ...

    def preload(self) -> None:
        """Load everything now, so that what is missing is said before the first photo."""
        ...

    def run(
        self, photos: Iterable[ImageSource], targets: Iterable[Target]
    ) -> Iterator[Made | Skip]:
        """Every target of every photo; what cannot be used becomes a `Skip`."""
        ...


@dataclass(frozen=True)
class Written:
    """A picture that is on disk, with the line of ``provenance.jsonl``."""

    record: Row
    line: str


@dataclass(frozen=True)
class Done:
    """A job is finished; `targets` of its photo were asked for."""

    targets: int


Event = Written | Skip | Done


@dataclass(frozen=True)
class Plan:
    """Photos and targets of a run, with their file names.

    Attributes
    ----------
    sources : tuple of ImageSource
        All of them: names are made unique over these, whatever the limit.
    targets : tuple of Target
    limit : int, optional
        Use the first `limit` photos only.
    tags : tuple of str
        Ends of the file names, one for each target, where those of
        `synth.targets.target_tags` say nothing.
    """

    sources: tuple[ImageSource, ...]
    targets: tuple[Target, ...]
    limit: int | None = None
    tags: tuple[str, ...] = ()

    @property
    def chosen(self) -> tuple[ImageSource, ...]:
        """The photos to use."""
        return self.sources[: self.limit]

    def jobs(self, writer: RunWriter | None = None) -> Iterator[Job]:
        """What is left to do, photo by photo."""
        stems = source_stems([source.name for source in self.sources])
        tagged = list(zip(self.targets, self.tags or target_tags(self.targets), strict=True))
        for source in self.chosen:
            left = [
                (target, tag)
                for target, tag in tagged
                if writer is None or not writer.is_done(source.name, target.index)
            ]
            for start in range(0, len(left), JOB_TARGETS):
                targets, tags = zip(*left[start : start + JOB_TARGETS], strict=True)
                yield Job(source, stems[source.name], targets, tags)


def run_job(maker: Maker, job: Job, output: Output) -> Iterator[Event]:
    """Make and write the pictures of a job."""
    tags = {target.index: tag for target, tag in zip(job.targets, job.tags, strict=True)}
    seen: dict[int, int] = {}
    for result in maker.run([job.source], job.targets):
        if isinstance(result, Skip):
            yield result
            continue
        target = result.record.target_index
        face = seen.get(target, 0)
        seen[target] = face + 1
        part = f"_face{face}" if maker.face == "all" and result.record.faces_found > 1 else ""
        tag = f"{job.stem}{part}_{tags[target]}"
        name = f"{IMAGES}/{tag}{EXTENSIONS[output.fmt]}"
        record = replace(result.record, file_name=name, sequence=tag.rpartition("/")[0])
        line = record_line(record)
        data = encode_image(
            result.image,
            output.fmt,
            output.quality,
            alpha=result.alpha,
            record_json=line,
            digital_source_type=record.digital_source_type,
        )
        try:
            if record.sequence:
                (output.root / name).parent.mkdir(exist_ok=True)
            write_atomic(output.root / name, data)
        except OSError as error:
            yield Skip(job.source.name, "WRITE", None, f"{name}: {error.strerror or error}")
            continue
        yield Written(record, line)
    yield Done(len(job.targets))


def generate_files(
    maker: Maker,
    plan: Plan,
    output: Output,
    writer: RunWriter,
    workers: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Run a plan and write its tables; yields what happens, as it happens.

    Parameters
    ----------
    maker : Maker
        Picklable, where there are several workers.
    plan : Plan
    output : Output
    writer : RunWriter
        Open, on ``output.root``.
    workers : int
        Processes; 1 works in this one.
    stop : callable
        Asked between pictures, or between jobs where there are several
        processes: when true, what is in work is finished and entered, and no
        more is begun.

    Raises
    ------
    SynthError
        If a worker process died.
    """
    jobs = takewhile(lambda job: not stop(), plan.jobs(writer))
    if workers <= 1:
        events = _in_this_process(maker, jobs, output, stop)
    else:
        events = _in_processes(maker, jobs, output, workers, stop)
    for event in events:
        if isinstance(event, Written):
            writer.add(event.record, event.line)
        elif isinstance(event, Skip):
            writer.skip(event)
        yield event


def _in_this_process(
    maker: Maker, jobs: Iterator[Job], output: Output, stop: Callable[[], bool]
) -> Iterator[Event]:
    with one_thread():
        for job in jobs:
            for event in run_job(maker, job, output):
                yield event
                if stop():
                    return


# ------------------------------------------------------------------- processes
_worker: tuple[Maker, Output] | None = None


def _start_worker(maker: Maker, output: Output) -> None:
    global _worker
    one_thread_for_good()
    _worker = (maker, output)


def _run_in_worker(job: Job) -> list[Event]:
    assert _worker is not None
    return list(run_job(_worker[0], job, _worker[1]))


def _in_processes(
    maker: Maker,
    jobs: Iterator[Job],
    output: Output,
    workers: int,
    stop: Callable[[], bool],
) -> Iterator[Event]:
    """Events of all jobs in order; only a few jobs ahead, so that memory stays flat."""
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (maker, output))
    pending: deque[Future[list[Event]]] = deque()
    with pool:
        while True:
            with _children_ignore_interrupts():
                for job in islice(jobs, 2 * workers - len(pending)):
                    pending.append(pool.submit(_run_in_worker, job))
            if not pending:
                return
            future = pending.popleft()
            if stop() and future.cancel():
                continue  # not begun yet
            try:
                yield from future.result()
            except BrokenProcessPool:
                raise SynthError(
                    "workers: expected them to live, got one that died, perhaps for want of "
                    "memory; run the same command again, with fewer --workers"
                ) from None


@contextmanager
def _children_ignore_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first instruction on.

    A terminal sends it to all of them; when to stop is the parent's decision.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
