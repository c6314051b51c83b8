"""The actor: loads the generator once, then makes whole shards."""

from __future__ import annotations

import hashlib
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from synth.assets import digest
from synth.augment.jobs import Job
from synth.augment.make import Making
from synth.augment.shard import ShardResult, Stopped, run_shard
from synth.errors import SynthError
from synth.images import ImageSource
from synth.pipeline import Generator
from synth.threads import one_thread_for_good
from synth.versions import installed

__all__ = ["Answer", "Kit", "Maker", "facts"]

#: Seconds between two notes on the board while a photo is in work.
EVERY = 1.0


@dataclass(frozen=True)
class Kit:
    """What every actor is told at its start.

    Attributes
    ----------
    generator : Generator
    making : Making
    root : str
        Folder of the set, the same on every node, or an address for fsspec.
    fmt : {"folder", "webdataset", "parquet"}
    """

    generator: Generator
    making: Making
    root: str
    fmt: str


@dataclass(frozen=True)
class Answer:
    """What an actor has to say.

    Attributes
    ----------
    kind : {"ready", "done", "stopped", "photos", "error"}
        ``photos``: some are not on this node, or not the same; send their bytes.
    result : ShardResult, optional
    facts : dict of str to str
        Of the node, see `facts`.
    error : SynthError, optional
    """

    kind: Literal["ready", "done", "stopped", "photos", "error"]
    result: ShardResult | None = None
    facts: Mapping[str, str] | None = None
    error: SynthError | None = None


def facts(generator: Generator) -> dict[str, str]:
    """What must be the same on all nodes: versions and data files."""
    return {**installed(), **generator.digests}


class Maker:
    """Makes shards on one node.

    Parameters
    ----------
    kit : Kit
    board : actor handle
        Of `synth.distributed.board.Board`.
    member : int
        Its number there.
    """

    def __init__(self, kit: Kit, board: Any, member: int) -> None:
        from synth.optional import require

        self.ray = require("ray", extra="ray")
        self.kit, self.board, self.member = kit, board, member
        self.photo, self.made, self.noted, self.stopping = "", 0, 0.0, False
        with suppress(ValueError):  # a terminal's Ctrl-C is the head's business
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready(self) -> Answer:
        """Load everything, on one thread."""
        try:
            one_thread_for_good()
            self.kit.generator.preload()
            one_thread_for_good()  # torch may have come with the detector
            return Answer("ready", facts=facts(self.kit.generator))
        except SynthError as error:
            return Answer("error", error=error)
        except Exception as error:
            return Answer("error", error=SynthError(f"actor: {type(error).__name__}: {error}"))

    def make(
        self,
        job: Job,
        digests: Mapping[str, str],
        crashed: frozenset[str],
        photos: Mapping[str, bytes] | None = None,
    ) -> Answer:
        """Make a shard.

        Parameters
        ----------
        job : Job
        digests : mapping of str to str
            SHA-256 of its photos, by name.
        crashed : set of str
            Photos to leave out.
        photos : mapping of str to bytes, optional
            The photos themselves, where this node has no such files.
        """
        self.photo, self.made = "", 0
        with tempfile.TemporaryDirectory(prefix="synth-ray-") as folder:
            try:
                if photos is not None:
                    job = _with_photos(job, photos, Path(folder))
                elif not _same_photos(job, digests):
                    return Answer("photos")
                result = self._make(job, crashed, Path(folder) / "set")
                return Answer("done", result)
            except Stopped:
                return Answer("stopped")
            except SynthError as error:
                return Answer("error", error=error)
            except Exception as error:
                text = f"{job.name}: {type(error).__name__}: {error}"
                return Answer("error", error=SynthError(text))
            finally:
                self.photo = ""
                self._note()

    def _make(self, job: Job, crashed: frozenset[str], scratch: Path) -> ShardResult:
        from synth.distributed.remote import is_url, push

        kit, remote = self.kit, is_url(self.kit.root)
        root = scratch if remote else Path(kit.root)
        if remote:
            scratch.mkdir()
        result = run_shard(
            kit.generator, kit.making, job, root, kit.fmt, self._tell, lambda: self.stopping,
            crashed,
        )  # fmt: skip
        if remote:
            push(scratch, kit.root)
            shutil.rmtree(scratch)
        return result

    def _tell(self, what: str, value: str | int) -> None:
        if what == "photo":
            self.photo = str(value)
            self._note()  # before it is touched: the board must know what killed us
            return
        self.made += int(value)
        if time.monotonic() - self.noted > EVERY:
            self._note()

    def _note(self) -> None:
        note = self.board.note.remote(self.member, self.photo, self.made)
        self.stopping = self.ray.get(note)
        self.made, self.noted = 0, time.monotonic()


def _same_photos(job: Job, digests: Mapping[str, str]) -> bool:
    for source, _ in job.groups:
        expected = digests.get(source.name)
        if expected and (not source.path.is_file() or digest(source.path) != expected):
            return False
    return True


def _with_photos(job: Job, photos: Mapping[str, bytes], folder: Path) -> Job:
    """The job with its photos in files of this node."""
    groups = []
    for source, rows in job.groups:
        if source.name in photos:
            # By content: names may hold slashes, and two may differ in case alone.
            path = folder / hashlib.sha256(source.name.encode()).hexdigest()
            if not path.exists():
                path.write_bytes(photos[source.name])
            source = ImageSource(path, source.name)
        groups.append((source, rows))
    return replace(job, groups=tuple(groups))
