"""Make one shard: the rows of a job into files, the manifest last."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synth.augment.jobs import Job
from synth.augment.make import (
    Making,
    Picture,
    Shot,
    draw_shots,
    key_of,
    make_picture,
    shot_of,
)
from synth.dataset.manifest import write_manifest
from synth.dataset.writers import shard_writer
from synth.errors import AssetError, DependencyError, SkipPhoto, SynthError
from synth.images import ImageSource
from synth.pipeline import Generator, PreparedFace
from synth.plans import PlanRow
from synth.quality import Embedder
from synth.records import Skip
from synth.render.draw import BATCH
from synth.render.face import Rendered

__all__ = ["DiskFull", "ShardResult", "Stopped", "Told", "run_shard"]

#: What happens while a shard is made: ("photo", name) and ("pictures", count).
Told = Callable[[str, str | int], None]


class Stopped(Exception):
    """The run was asked to stop; the shard is dropped."""


class DiskFull(SynthError):
    """No room for the set."""


@dataclass
class ShardResult:
    """What became of the rows of a shard.

    Attributes
    ----------
    made, rejected, skipped : int
        Rows: written, refused by a gate, without a usable photo.
    """

    made: int = 0
    rejected: int = 0
    skipped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, reason: str, rows: int = 1) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + rows


def run_shard(
    generator: Generator,
    making: Making,
    job: Job,
    root: Path,
    fmt: str,
    tell: Told = lambda what, value: None,
    stop: Callable[[], bool] = lambda: False,
    crashed: frozenset[str] = frozenset(),
) -> ShardResult:
    """Make the rows of a job and write them as one shard of format `fmt`.

    Parameters
    ----------
    generator : Generator
    making : Making
    job : Job
    root : Path
        Folder of the set.
    fmt : {"folder", "webdataset", "parquet"}
    tell : callable
        Told the photo in work and the pictures made.
    stop : callable
        Asked between pictures.
    crashed : set of str
        Photos that killed a worker twice: they become skips.

    Raises
    ------
    Stopped
        If `stop` said so; nothing of the shard is left.
    DiskFull
        If there is no room; nothing of the shard is left.
    """
    result = ShardResult()
    skips: list[dict[str, object]] = []
    rejects: list[dict[str, object]] = []
    writer = shard_writer(fmt, root, job.split, job.number)
    embedder = Embedder() if making.gates.needs_embedding else None
    try:
        for row, made in _pictures(generator, making, job, embedder, tell, crashed):
            if stop():
                raise Stopped
            if isinstance(made, Skip):
                result.skipped += 1
                result.count(made.reason)
                skips.append({"id": row.id, **vars(made)})
            elif made.data is None:
                result.rejected += 1
                result.count(made.rejects[0].reason)
                rejects += [
                    {"id": row.id, "source": row.source, "reason": reject.reason,
                     "value": round(reject.value, 5), "limit": reject.limit}
                    for reject in made.rejects
                ]  # fmt: skip
            else:
                result.made += 1
                extension = made.record.file_name.rpartition(".")[2]
                writer.add(key_of(row), made.data, extension, made.record)
            tell("pictures", 1)
        files = writer.close()
        counts = {"made": result.made, "rejected": result.rejected, "skipped": result.skipped}
        write_manifest(root, job.split, job.number, job.digest, files, counts, skips, rejects)
    except OSError as error:
        writer.abort()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"output: expected room for the set, got a full disk at {root}; finished shards "
                "are kept: make room and give the same command again"
            ) from None
        raise
    except BaseException:
        writer.abort()
        raise
    return result


def _pictures(
    generator: Generator,
    making: Making,
    job: Job,
    embedder: Embedder | None,
    tell: Told,
    crashed: frozenset[str],
) -> Iterator[tuple[PlanRow, Picture | Skip]]:
    for source, rows in job.groups:
        tell("photo", source.name)
        face = _prepare(generator, source, crashed)
        if isinstance(face, Skip):
            yield from ((row, face) for row in rows)
            continue
        size = BATCH.get(generator.backend, 1)
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            firsts: list[tuple[Shot, Rendered] | None] = [None] * len(batch)
            if size > 1:
                firsts = _drawn_together(generator, face, batch, job, making) or firsts
            for row, first in zip(batch, firsts, strict=True):
                try:
                    made = make_picture(generator, face, row, job.tracks, making, embedder, first)
                except (AssetError, DependencyError, OSError):
                    raise  # every other row would fail alike
                except Exception as error:
                    yield row, _bug(source, error)
                else:
                    yield row, made


def _drawn_together(
    generator: Generator,
    face: PreparedFace,
    rows: Sequence[PlanRow],
    job: Job,
    making: Making,
) -> list[tuple[Shot, Rendered] | None] | None:
    """The first attempt at each row; None where that fails, to find out which row it is."""
    try:
        shots = [shot_of(generator, face, row, job.tracks, making) for row in rows]
        return list(zip(shots, draw_shots(generator, face, shots), strict=True))
    except (AssetError, DependencyError, OSError):
        raise
    except Exception:
        return None


def _prepare(
    generator: Generator, source: ImageSource, crashed: frozenset[str]
) -> PreparedFace | Skip:
    if source.name in crashed:
        return Skip(
            source.name, "CRASHED", None, "two worker processes died while this photo was in work"
        )
    try:
        image, faces = generator.faces(source)
        return generator.prepare(image, faces[0])
    except SkipPhoto as skip:
        return Skip(source.name, skip.reason, skip.value, str(skip))
    except (AssetError, DependencyError):
        raise
    except Exception as error:
        return _bug(source, error)


def _bug(source: ImageSource, error: Exception) -> Skip:
    return Skip(source.name, "INTERNAL", None, f"{type(error).__name__}: {error}")
