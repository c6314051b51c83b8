"""Worker processes that may die: each makes one shard at a time.

Not `concurrent.futures`: there one dead worker breaks the whole pool. Here its shard is
given to a new one; a photo that was in work at two deaths is left out and reported.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from synth.augment.jobs import Job
from synth.augment.make import Making
from synth.augment.shard import DiskFull, ShardResult, Stopped, run_shard
from synth.errors import SynthError
from synth.pipeline import Generator
from synth.threads import one_thread_for_good

__all__ = ["Crew", "Finished", "Progress", "run_in_processes"]

_CONTEXT = get_context("spawn")


@dataclass(frozen=True)
class Progress:
    """Pictures of a shard in work have been made."""

    pictures: int


@dataclass(frozen=True)
class Finished:
    """A shard is on disk."""

    job: Job
    result: ShardResult


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: Job | None = None
    photo: str = ""


@dataclass
class Crew:
    """What every worker is told at its start."""

    generator: Generator
    making: Making
    root: Path
    fmt: str
    stopping: Event = field(default_factory=_CONTEXT.Event)


def run_in_processes(
    crew: Crew, jobs: Iterable[Job], workers: int, stop: Callable[[], bool]
) -> Iterator[Progress | Finished]:
    """Make the shards in `workers` processes; yields what happens, as it happens.

    Raises
    ------
    DiskFull, SynthError
        From a worker; the others are stopped first.
    """
    waiting = deque(jobs)
    crashed: set[str] = set()
    deaths: Counter[str] = Counter()
    team = [_start(crew) for _ in range(min(workers, len(waiting)))]
    try:
        for worker in team:
            _give(worker, waiting, crashed)
        while any(worker.job for worker in team):
            if stop():
                crew.stopping.set()
                waiting.clear()
            ready = wait([w.pipe for w in team if w.job], timeout=0.2)
            for position, worker in enumerate(team):
                if worker.pipe not in ready:
                    continue
                try:
                    event = _event(worker, worker.pipe.recv())
                except (EOFError, OSError):  # the process is gone
                    assert worker.job is not None
                    _mourn(worker, deaths, crashed)
                    waiting.appendleft(worker.job)
                    team[position] = worker = _start(crew)
                    event = None
                if event is not None:
                    yield event
                if worker.job is None:
                    _give(worker, waiting, crashed)
    finally:
        crew.stopping.set()
        _dismiss(team)


def _start(crew: Crew) -> _Worker:
    here, there = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=_work, args=(crew, there), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _give(worker: _Worker, waiting: deque[Job], crashed: set[str]) -> None:
    if waiting:
        worker.job, worker.photo = waiting.popleft(), ""
        try:
            worker.pipe.send((worker.job, frozenset(crashed)))
        except OSError:
            pass  # it died: reading from it will tell


def _event(worker: _Worker, message: tuple[str, Any]) -> Progress | Finished | None:
    what, value = message
    if what == "photo":
        worker.photo = value
        return None
    if what == "pictures":
        return Progress(value)
    job, worker.job = worker.job, None
    if what == "error":
        raise value
    assert job is not None
    return Finished(job, value) if what == "done" else None


def _mourn(worker: _Worker, deaths: Counter[str], crashed: set[str]) -> None:
    """Note which photo was in work; before the first one the process itself is at fault."""
    worker.process.join()
    deaths[worker.photo] += 1
    if deaths[worker.photo] < 2:
        return
    if not worker.photo:
        raise SynthError(
            f"workers: expected them to live, got exit code {worker.process.exitcode} before the "
            "first photo, twice; run the same command again with fewer --workers"
        )
    crashed.add(worker.photo)


def _dismiss(team: list[_Worker]) -> None:
    for worker in team:
        worker.pipe.close()
    for worker in team:
        worker.process.join(timeout=20)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


# ------------------------------------------------------------------- in the worker
def _work(crew: Crew, pipe: Connection) -> None:
    # When to stop is the parent's decision; a terminal sends Ctrl-C to all of them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    one_thread_for_good()
    while True:
        try:
            job, crashed = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            result = run_shard(
                crew.generator, crew.making, job, crew.root, crew.fmt,
                lambda what, value: pipe.send((what, value)), crew.stopping.is_set, crashed,
            )  # fmt: skip
            answer: tuple[str, Any] = ("done", result)
        except Stopped:
            answer = ("stopped", None)
        except (DiskFull, SynthError) as error:
            answer = ("error", error)
        except BrokenPipeError:
            return  # the parent is gone
        except Exception as error:
            answer = ("error", SynthError(f"{job.name}: {type(error).__name__}: {error}"))
        try:
            pipe.send(answer)
        except OSError:
            return
