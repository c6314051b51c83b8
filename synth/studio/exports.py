"""Full-size pictures and videos: jobs, made one after the other, while the page lives on."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.batch import Output, Plan, Written, generate_files
from synth.errors import SkipPhoto, SynthError, UsageError
from synth.images import ImageSource, load_image
from synth.pipeline import Generator
from synth.records import RunWriter, Skip
from synth.studio.photos import Photo
from synth.targets import Target
from synth.types import Record
from synth.video import write_mp4

__all__ = ["KINDS", "Exports", "Job", "LiveFirst", "Wanted"]

log = logging.getLogger(__name__)

#: What can be exported, with the type of the file.
KINDS = {"picture": "image/png", "frames": "application/zip", "video": "video/mp4"}
#: Finished files kept; older ones are deleted.
KEPT = 4


class LiveFirst:
    """Lets a job step aside while the page waits for a picture."""

    def __init__(self) -> None:
        self._waiting, self._changed = 0, threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._waiting += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._waiting -= 1
            self._changed.notify_all()

    def let_pass(self, seconds: float = 0.5) -> None:
        """Return when nothing live is in work, or after some time all the same."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, seconds)


@dataclass(frozen=True)
class Wanted:
    """One export.

    Attributes
    ----------
    kind : str
        A key of `KINDS`.
    photo : Photo
    targets : tuple of Target
        One for a picture, the frames of one track otherwise.
    generator : Generator
        Of this job alone: its detector is not shared with another thread.
    name : str
        Of the file, without ending.
    extra : dict of str to str
        Text files that go into the zip as well.
    """

    kind: str
    photo: Photo
    targets: tuple[Target, ...]
    generator: Generator
    name: str
    extra: dict[str, str] = field(default_factory=dict)


class Job:
    """An export on its way.

    Attributes
    ----------
    key : str
        Unguessable, also the address of the file.
    state : str
        waiting, working, done, failed or cancelled.
    done, total : int
        Pictures.
    message : str
        Why it failed.
    file : Path or None
        Of the result.
    """

    def __init__(self, wanted: Wanted, folder: Path) -> None:
        self.wanted, self.folder = wanted, folder
        self.key = secrets.token_urlsafe(18)
        self.state, self.message = "waiting", ""
        self.done, self.total = 0, len(wanted.targets)
        self.file: Path | None = None
        self.cancel = threading.Event()

    def as_dict(self) -> dict[str, Any]:
        """What the page shows of it."""
        name = self.file.name if self.state == "done" and self.file else ""
        return {
            "key": self.key,
            "state": self.state,
            "message": self.message,
            "done": self.done,
            "total": self.total,
            "file": name,
        }


class Exports:
    """The jobs of a session, one at work at a time.

    Parameters
    ----------
    folder : Path
        For their files; deleted by the owner.
    live : LiveFirst
    """

    def __init__(self, folder: Path, live: LiveFirst) -> None:
        self._folder, self._live = folder, live
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, "export")

    def start(self, wanted: Wanted) -> Job:
        """A new job, begun when the others are finished.

        Raises
        ------
        UsageError
            If several are waiting already.
        """
        with self._lock:
            if sum(job.state in ("waiting", "working") for job in self._jobs.values()) >= KEPT:
                raise UsageError(f"export: expected at most {KEPT} at a time; wait for one to end")
            folder = self._folder / f"export-{secrets.token_hex(8)}"
            job = Job(wanted, folder)
            self._jobs[job.key] = job
            for old in [j for j in self._jobs.values() if j.state not in ("waiting", "working")]:
                if len(self._jobs) <= KEPT:
                    break
                del self._jobs[old.key]
                shutil.rmtree(old.folder, ignore_errors=True)
        self._worker.submit(self._run, job)
        return job

    def get(self, key: str) -> Job:
        """The job of a key.

        Raises
        ------
        UsageError
            If it is not, or no longer, there.
        """
        with self._lock:
            if key not in self._jobs:
                raise UsageError("export: expected one of this session; start it again")
            return self._jobs[key]

    def close(self) -> None:
        """Cancel all jobs and wait for the one at work."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> None:
        state, message = "failed", ""
        try:
            if not job.cancel.is_set():
                job.state = "working"
                job.folder.mkdir(mode=0o700)
                job.file = self._make(job)
            state = "cancelled" if job.cancel.is_set() else "done"
        except SynthError as error:
            message = str(error)
        except Exception as error:  # a bug costs one export, not the session
            log.exception("export failed")
            message = f"{type(error).__name__}: {error}"
        if state != "done":
            shutil.rmtree(job.folder, ignore_errors=True)
        # Last: whoever reads that a job has ended finds its message there and its files gone.
        job.message, job.state = message, state

    def _make(self, job: Job) -> Path | None:
        wanted = job.wanted
        source = ImageSource(job.folder / "photo", wanted.photo.name)
        source.path.write_bytes(wanted.photo.data)
        out = job.folder / "out"
        plan = Plan((source,), wanted.targets)
        sequence = wanted.targets[0].moment is not None
        columns = Record.FRAME_COLUMNS if sequence else Record.COLUMNS
        names = []
        with RunWriter(out, {}, {source.name: source.path}, columns=columns) as writer:
            events = generate_files(
                wanted.generator, plan, Output(out), writer, stop=job.cancel.is_set
            )
            for event in events:
                if isinstance(event, Skip):
                    raise SkipPhoto(event.reason, event.message, event.value)
                if isinstance(event, Written):
                    names.append(event.record.file_name)
                    job.done += 1
                    self._live.let_pass()
        source.path.unlink()
        if job.cancel.is_set():
            return None
        return _ENDINGS[wanted.kind](job, out, names)


def _picture(job: Job, out: Path, names: list[str]) -> Path:
    file = job.folder / f"{job.wanted.name}.png"
    (out / names[0]).replace(file)
    shutil.rmtree(out)
    return file


def _frames(job: Job, out: Path, names: list[str]) -> Path:
    """A zip of what the command writes, without its run file."""
    file = job.folder / f"{job.wanted.name}.zip"
    # PNG does not shrink again: stored, not deflated.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in ["metadata.csv", "provenance.jsonl", *names]:
            archive.write(out / name, name)
        for name, text in job.wanted.extra.items():
            archive.writestr(name, text)
    shutil.rmtree(out)
    return file


def _video(job: Job, out: Path, names: list[str]) -> Path:
    moment = job.wanted.targets[0].moment
    if moment is None:
        raise UsageError("video: expected a path, got a point; draw one")

    def frames() -> Iterator[Any]:
        for name in names:
            yield load_image(out / name).pixels

    file = job.folder / f"{job.wanted.name}.mp4"
    write_mp4(frames(), file, moment.track.fps)
    shutil.rmtree(out)
    return file


_ENDINGS: dict[str, Callable[[Job, Path, list[str]], Path]] = {
    "picture": _picture,
    "frames": _frames,
    "video": _video,
}
