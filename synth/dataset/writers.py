"""Shards: the unit of writing and of resuming, one writer per format.

A shard is made in a hidden folder of its own and moved into place when it is whole,
file by file, its provenance table last; what is not named by a manifest
(`synth.dataset.manifest`) does not count. Rows are sorted by key, and nothing holds
a time stamp: the bytes depend on the pictures alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from synth.dataset.layout import (
    EXTENSIONS,
    FORMATS,
    SCRATCH,
    check_key,
    check_split,
    provenance_name,
    shard_name,
)
from synth.dataset.provenance import Row, make_row, write_provenance
from synth.errors import UsageError
from synth.types import Record

__all__ = ["ShardWriter", "shard_writer"]


class ShardWriter(ABC):
    """Writes one shard of a set: `add` pictures, then `close`, or `abort`.

    As a context manager it closes, or after an error aborts.

    Parameters
    ----------
    root : Path
        Folder of the set.
    split : str
    number : int
        Of the shard in its split, from 0.

    Raises
    ------
    UsageError
        If the split has a name that the formats do not allow.
    OSError
        If the set cannot be written, there and in all methods.
    """

    def __init__(self, root: Path, split: str, number: int) -> None:
        check_split(split)
        self.root, self.split, self.number = Path(root), split, number
        self.scratch = self.root / SCRATCH / shard_name(split, number)
        self._rows: dict[str, Row] = {}
        shutil.rmtree(self.scratch, ignore_errors=True)  # of a run that was killed
        self.scratch.mkdir(parents=True)

    def __len__(self) -> int:
        """Pictures added."""
        return len(self._rows)

    def add(self, key: str, data: bytes, extension: str, record: Record) -> None:
        """Put a picture into the shard.

        Parameters
        ----------
        key : str
            Its name, without extension; unique in the split.
        data : bytes
            The encoded picture.
        extension : str
            ``.jpg``, ``.png`` or ``.webp``, the dot may be left out.
        record : Record
            ``file_name`` and ``split`` may be left empty.

        Raises
        ------
        UsageError
            If the key is taken or cannot be a name, or the record belongs elsewhere.
        """
        check_key(key)
        extension = f".{extension.removeprefix('.')}"
        if extension not in EXTENSIONS:
            raise UsageError(f"extension: expected {', '.join(EXTENSIONS)}, got {extension!r}")
        if key in self._rows:
            raise UsageError(f"key: expected one picture a key, got {key!r} twice")
        digest = hashlib.sha256(data).hexdigest()
        row = make_row(self.split, key, extension, record, len(data), digest)
        self._store(row, data)
        self._rows[key] = row

    def close(self) -> list[str]:
        """Finish the shard; its files below `root`, moved into place.

        An empty shard has no data file, but a provenance table without rows.
        """
        rows = [self._rows[key] for key in sorted(self._rows)]
        places = self._build(rows)
        table = provenance_name(self.split, self.number)
        write_provenance(self.scratch / "provenance", rows, places)
        moved = sorted({file for file, _ in places})
        for name in moved:
            self._move(self.scratch / Path(name).name, name)
        self._move(self.scratch / "provenance", table)
        self.abort()
        return [*moved, table]

    def abort(self) -> None:
        """Drop what was not finished; what is in place stays."""
        # Not their parent: another writer may be about to make a folder there; `finish` does.
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _move(self, source: Path, name: str) -> None:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)

    @abstractmethod
    def _store(self, row: Row, data: bytes) -> None:
        """Keep the picture in the scratch folder."""

    @abstractmethod
    def _build(self, rows: list[Row]) -> list[tuple[str, int]]:
        """Make the data files in the scratch folder; file and offset of each picture."""

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


class SpooledWriter(ShardWriter):
    """A writer that needs all pictures in order before it can write its one file.

    Until then they lie in a file of the scratch folder, so that memory stays flat and
    a full disk is noticed at once.
    """

    #: Of the shard's file.
    suffix = ""

    def __init__(self, root: Path, split: str, number: int) -> None:
        super().__init__(root, split, number)
        self._spool: IO[bytes] = open(self.scratch / "spool", "w+b")
        self._starts: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The shard's file below the set."""
        return f"{self.split}/shard-{self.number:06d}{self.suffix}"

    @property
    def file(self) -> Path:
        """The shard's file while it is made."""
        return self.scratch / Path(self.name).name

    def _store(self, row: Row, data: bytes) -> None:
        self._starts[row.key] = self._spool.seek(0, os.SEEK_END)
        self._spool.write(data)

    def _pictures(self, rows: list[Row]) -> Iterator[tuple[Row, bytes]]:
        for row in rows:
            self._spool.seek(self._starts[row.key])
            yield row, self._spool.read(row.size)

    def abort(self) -> None:
        self._spool.close()
        super().abort()


def shard_writer(fmt: str, root: Path, split: str, number: int) -> ShardWriter:
    """A writer of one shard.

    Parameters
    ----------
    fmt : {"folder", "webdataset", "parquet"}
    root : Path
        Folder of the set.
    split : str
    number : int
        Of the shard in its split, from 0.

    Raises
    ------
    UsageError
        For an unknown format or a bad name of a split.
    """
    from synth.dataset.folder import FolderWriter
    from synth.dataset.parquet import ParquetWriter
    from synth.dataset.shards import TarWriter

    writers: dict[str, type[ShardWriter]] = {
        "folder": FolderWriter,
        "webdataset": TarWriter,
        "parquet": ParquetWriter,
    }
    if fmt not in writers:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {fmt!r}")
    return writers[fmt](root, split, number)
