"""Jobs on a team of Ray actors, some of which may die."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

from synth.assets import digest
from synth.augment.jobs import Job
from synth.augment.make import Making
from synth.augment.pool import Finished, Progress
from synth.distributed.board import Board
from synth.distributed.cluster import check_cluster, connected, count_actors
from synth.distributed.maker import Answer, Kit, Maker, facts
from synth.errors import SynthError, UsageError
from synth.pipeline import Generator

__all__ = ["RayEngine", "ray_engine"]

#: Seconds between two looks at the board and at `stop`.
LOOK = 0.3
#: Seconds that actors have to finish a picture and drop their shards.
FAREWELL = 60.0


@dataclass
class _Member:
    """A place in the team: its actor of now, what that does, and how often it died at once."""

    number: int
    actor: Any = None
    ref: Any = None
    job: Job | None = None
    ready: bool = False
    sees_photos: bool = True
    stillborn: int = 0


@dataclass
class RayEngine:
    """Runs jobs on Ray; an `Engine` of `synth.augment.run`. See `ray_engine`."""

    kit: Kit
    address: str | None = None
    actors: int | None = None
    gpus_per_actor: float = 0
    team: list[_Member] = field(default_factory=list)

    def __call__(self, jobs: list[Job], stop: Callable[[], bool]) -> Iterator[Progress | Finished]:
        if not jobs:
            return
        with connected(self.address, self.actors) as ray:
            size = count_actors(ray, self.actors, self.gpus_per_actor, len(jobs))
            shift = _Shift(ray, self, deque(jobs), size)
            try:
                yield from shift.work(stop)
            finally:
                shift.end()


def ray_engine(
    generator: Generator,
    making: Making,
    root: Path | str,
    fmt: str,
    address: str | None = None,
    actors: int | None = None,
    gpus_per_actor: float = 0,
) -> RayEngine:
    """An engine that makes shards on Ray: call it with jobs and `stop`.

    An actor that dies is replaced and its shard made again; a photo that was in work at
    two deaths is left out and reported. Which actor makes a shard never changes a byte.

    Parameters
    ----------
    generator : Generator
    making : Making
    root : Path or str
        Folder of the set, the same on every node, or an address for fsspec.
    fmt : {"folder", "webdataset", "parquet"}
    address : str, optional
        Of a cluster, see `synth.distributed.cluster.connected`.
    actors : int, optional
        By default one per CPU of the cluster, or per GPU share.
    gpus_per_actor : float
        GPUs that each actor gets, for a generator with a device.

    Raises
    ------
    DependencyError, UsageError
        Ray is not installed, or there is no cluster at the address.
    DiskFull, SynthError
        While it runs, from an actor; the others are stopped first.
    """
    check_cluster(address)
    return RayEngine(Kit(generator, making, str(root), fmt), address, actors, gpus_per_actor)


class _Shift:
    """One call of the engine."""

    def __init__(self, ray: ModuleType, engine: RayEngine, waiting: deque[Job], size: int) -> None:
        self.ray, self.engine, self.waiting = ray, engine, waiting
        self.numbers = count()
        self.crashed: set[str] = set()
        self.deaths: Counter[str] = Counter()
        self.digests: dict[str, str] = {}
        self.facts = facts(engine.kit.generator)
        self.kit = ray.put(engine.kit)
        self.board = ray.remote(Board).options(num_cpus=0).remote()
        self.start = partial(
            ray.remote(Maker).options(num_cpus=1, num_gpus=engine.gpus_per_actor or None).remote
        )
        self.team = engine.team = [_Member(-1) for _ in range(size)]
        for member in self.team:
            self._hire(member)

    def work(self, stop: Callable[[], bool]) -> Iterator[Progress | Finished]:
        stopping = False
        while self.waiting or any(member.job for member in self.team):
            if not stopping and stop():
                stopping = True
                self.waiting.clear()
                self.ray.get(self.board.stop.remote())
            busy = {m.ref: m for m in self.team if m.ref is not None}
            done, _ = self.ray.wait(list(busy), num_returns=len(busy), timeout=0)
            if not done:
                done, _ = self.ray.wait(list(busy), num_returns=1, timeout=LOOK)
            if pictures := self.ray.get(self.board.read.remote()):
                yield Progress(pictures)
            for ref in done:
                event = self._hear(busy[ref])
                if event is not None:
                    yield event

    def end(self) -> None:
        """Let those at work drop their shards, then dismiss all."""
        working = [member.ref for member in self.team if member.job and member.ref is not None]
        with suppress(Exception):  # the cluster may be gone
            if working:
                self.ray.get(self.board.stop.remote())
                self.ray.wait(working, num_returns=len(working), timeout=FAREWELL)
        for actor in (*(member.actor for member in self.team), self.board):
            with suppress(Exception):
                self.ray.kill(actor)

    # ------------------------------------------------------------------- the members
    def _hire(self, member: _Member) -> None:
        member.number, member.ready, member.sees_photos = next(self.numbers), False, True
        member.actor = self.start(self.kit, self.board, member.number)
        member.ref = member.actor.ready.remote()

    def _give(self, member: _Member) -> None:
        """The next job, or the same again for one that has not seen its photos."""
        member.ref = None
        if member.job is None and self.waiting:
            member.job = self.waiting.popleft()
        if member.job is None:
            return
        sources = {source.name: source.path for source, _ in member.job.groups}
        for name in sources.keys() - self.digests.keys():
            self.digests[name] = _digest(sources[name])
        digests = {name: self.digests[name] for name in sources}
        photos = None
        if not member.sees_photos:
            photos = {name: path.read_bytes() for name, path in sources.items() if path.is_file()}
        crashed = frozenset(self.crashed & sources.keys())
        member.ref = member.actor.make.remote(member.job, digests, crashed, photos)

    def _hear(self, member: _Member) -> Finished | None:
        try:
            answer: Answer = self.ray.get(member.ref)
        except self.ray.exceptions.RayError as error:  # the actor, or its node, is gone
            self._mourn(member, error)
            self._hire(member)
            return None
        event = None
        if answer.error is not None:
            raise answer.error
        if answer.kind == "ready":
            self._compare(answer)
            member.ready = True
        elif answer.kind == "photos":
            self._no_photos(member)
        else:
            job, member.job, member.stillborn = member.job, None, 0
            if answer.result is not None:
                assert job is not None
                event = Finished(job, answer.result)
        self._give(member)
        return event

    def _mourn(self, member: _Member, error: Exception) -> None:
        """Note which photo was in work; before the first one the actor itself is at fault."""
        with suppress(Exception):
            self.ray.kill(member.actor)  # it may only be out of reach
        if member.job is not None:
            self.waiting.appendleft(member.job)
            member.job = None
        photo = self.ray.get(self.board.last_photo.remote(member.number))
        if photo:
            self.deaths[photo] += 1
            if self.deaths[photo] >= 2:
                self.crashed.add(photo)
            return
        member.stillborn += 1
        if member.stillborn >= 2:
            text = " ".join(str(error).split())[:300]
            raise SynthError(
                "ray: expected actors to live, got two deaths in a row before the first photo: "
                f"{text}; is synth installed on every node, and is there memory for as many?"
            )

    def _compare(self, answer: Answer) -> None:
        """Refuse a node with other packages or data: its pictures would differ."""
        there = answer.facts or {}
        for name in sorted(self.facts.keys() | there.keys()):
            if self.facts.get(name) != there.get(name):
                raise SynthError(
                    f"ray: expected {name} {self.facts.get(name)} on every node as on this one, "
                    f"got {there.get(name)}; install the same on all, or the pictures would differ"
                )

    def _no_photos(self, member: _Member) -> None:
        if self.engine.kit.generator.landmarks.startswith("file"):
            raise UsageError(
                "landmarks: expected photos and landmark files at the same place on every node, "
                "got a node without them; put them on a shared file system"
            )
        member.sees_photos = False


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError:
        return ""  # the shard will say so
