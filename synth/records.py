"""What a run writes beside its images, so that every output explains and replays itself.

====================  =====================================================
``images/``           the pictures
``metadata.csv``      one row an image: the columns `synth.types.Record.COLUMNS`,
                      or ``FRAME_COLUMNS`` for sequences
``provenance.jsonl``  one line an image: the full record
``skipped.csv``       photos without a result: reason code, measured value, message
``run.toml``          every setting, the versions and the assets' digests
====================  =====================================================

Rows are appended as images finish, so an interrupted run leaves a usable
manifest, and put into input order when the writer closes, so that two runs leave
the same bytes whatever happened in between. ``provenance.jsonl`` is what a later
run trusts; ``metadata.csv`` follows from it.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from synth.assets import digest
from synth.errors import UsageError
from synth.images import write_atomic
from synth.runfile import RUN_FILE, Tables, differences, read_run_file, run_toml
from synth.types import Record

__all__ = [
    "IMAGES",
    "PROVENANCE",
    "VIDEOS",
    "Row",
    "RunWriter",
    "Skip",
    "check_output",
    "record_line",
]

IMAGES, VIDEOS = "images", "videos"
METADATA, PROVENANCE, SKIPPED = "metadata.csv", "provenance.jsonl", "skipped.csv"

Key = tuple[int, int, str]


class Row(Protocol):
    """What a record needs for the tables; any dataclass with these fields will do."""

    @property
    def file_name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def source_sha256(self) -> str: ...
    @property
    def target_index(self) -> int: ...
    @property
    def faces_found(self) -> int: ...


@dataclass(frozen=True)
class Skip:
    """A photo, or one face of it, without a result: one row of ``skipped.csv``.

    Attributes
    ----------
    source : str
        Name of the photo, as in ``metadata.csv``.
    reason : str
        A key of `synth.errors.REASONS`.
    value : float or None
        What was measured, in the unit the message names.
    message : str
    """

    source: str
    reason: str
    value: float | None
    message: str


def record_line(record: Row) -> str:
    """The record as one line of JSON, keys in the order of its fields."""
    return json.dumps(vars(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def check_output(root: Path, tables: Tables, overwrite: bool = False) -> bool:
    """Whether `root` holds an earlier run with these settings, to be continued.

    Raises
    ------
    UsageError
        If it is no folder, or, unless `overwrite`, holds foreign files or a run
        with other settings.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"output: expected a folder, got the file {root}; choose another --output")
    if not root.exists() or overwrite:
        return False
    if (root / RUN_FILE).exists():
        if different := differences(read_run_file(root / RUN_FILE), tables):
            shown = "; ".join(different[:4]) + ("; ..." if len(different) > 4 else "")
            raise UsageError(
                f"output: expected the settings of the run in {root}, got {shown}; "
                "choose another --output, or give --overwrite"
            )
        return True
    if found := sorted(p.name for p in root.iterdir() if not p.name.startswith(".")):
        raise UsageError(
            f"output: expected an empty folder or an earlier run, got {root} with {len(found)} "
            f"files and folders ({', '.join(found[:3])}); choose another --output, or give "
            "--overwrite to write beside them"
        )
    return False


def _csv_row(values: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow([_cell(value) for value in values])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """What a CSV cell holds: action units read as ``--au`` takes them, ``12:0.8,6:0.5``."""
    if isinstance(value, dict):
        return ",".join(f"{name}:{number}" for name, number in value.items())
    return "" if value is None else value


class _Table:
    """An append-only file of rows that is put into key order when it closes."""

    def __init__(self, path: Path, header: bytes = b"") -> None:
        self.path, self.header = path, header
        self.index: list[tuple[Key, int, int]] = []
        self.end = len(header)
        write_atomic(path, header)
        self.file = open(path, "ab")

    def add(self, key: Key, row: bytes) -> None:
        self.file.write(row)
        self.file.flush()
        self.index.append((key, self.end, len(row)))
        self.end += len(row)

    def close(self) -> None:
        self.file.close()
        ordered = sorted(self.index)
        if ordered == self.index:
            return
        temporary = self.path.with_name(f".{self.path.name}.part")
        with open(self.path, "rb") as rows, open(temporary, "wb") as out:
            out.write(self.header)
            for _, start, length in ordered:
                rows.seek(start)
                out.write(rows.read(length))
        os.replace(temporary, self.path)
        self.index = ordered


class RunWriter:
    """Writes the tables of a run, and picks up an earlier, interrupted one.

    Use as a context manager: leaving it, also by an exception, sorts and closes
    the tables.

    Parameters
    ----------
    root : Path
        Output folder; made when absent.
    tables : mapping
        Content of ``run.toml``.
    sources : mapping of str to Path
        The photos by name, in the order the rows shall have. Earlier images of a
        photo whose file has changed since are made again.
    overwrite : bool
        Replace an earlier run with other settings, or write beside foreign
        files, which are never removed.
    columns : tuple of str
        Fields of the records that ``metadata.csv`` shows.

    Raises
    ------
    UsageError
        If `root` cannot be written; see also `check_output`.
    """

    def __init__(
        self,
        root: Path,
        tables: Tables,
        sources: Mapping[str, Path],
        overwrite: bool = False,
        columns: tuple[str, ...] = Record.COLUMNS,
    ) -> None:
        self.root = root
        self.columns = columns
        self._every_face = tables.get("settings", {}).get("face") == "all"
        self._ranks = {name: rank for rank, name in enumerate(sources)}
        self._done: Counter[tuple[str, int]] = Counter()
        self._expected: dict[tuple[str, int], int] = {}
        self._begun: set[str] = set()
        self._skips: set[Skip] = set()
        check_output(root, tables, overwrite)
        try:
            (root / IMAGES).mkdir(parents=True, exist_ok=True)
            lines = _earlier_lines(root, sources)
            if overwrite:
                _remove_images(root, lines)
                lines = []
            self._earlier_skips = [] if overwrite else _read_skips(root / SKIPPED)
            write_atomic(root / RUN_FILE, run_toml(tables).encode())
            self._metadata = _Table(root / METADATA, _csv_row(columns))
            self._provenance = _Table(root / PROVENANCE)
            self._skipped = _Table(root / SKIPPED, _csv_row(f.name for f in fields(Skip)))
            for line in lines:
                self._append(json.loads(line), line)
        except OSError as error:
            raise UsageError(
                f"output: expected a folder that can be written, got {root} "
                f"({error.strerror or error}); choose another --output"
            ) from None

    def __len__(self) -> int:
        """Pictures entered, those of earlier runs included."""
        return len(self._provenance.index)

    def is_done(self, source: str, target_index: int) -> bool:
        """Whether the image of this target, of every face found, is there already."""
        key = (source, target_index)
        return self._done[key] >= self._expected.get(key, 1)

    def add(self, record: Row, line: str | None = None) -> None:
        """Append the rows of an image that is on disk.

        Parameters
        ----------
        record : Record, or another record with the columns asked for
        line : str, optional
            `record_line` of it, where it was computed already.
        """
        self._begun.add(record.source)
        self._append(vars(record), line or record_line(record))

    def skip(self, skip: Skip) -> None:
        """Append a row to ``skipped.csv``, once however often it is reported."""
        self._begun.add(skip.source)
        if skip not in self._skips:
            self._skips.add(skip)
            row = _csv_row(getattr(skip, f.name) for f in fields(Skip))
            self._skipped.add((self._rank(skip.source), 0, skip.source + skip.message), row)

    def close(self) -> None:
        """Put the tables into input order and close them."""
        for skip in self._earlier_skips:
            if skip.source not in self._begun:
                self.skip(skip)
        for table in (self._provenance, self._metadata, self._skipped):
            table.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rank(self, source: str) -> int:
        return self._ranks.get(source, len(self._ranks))

    def _append(self, record: Mapping[str, Any], line: str) -> None:
        source, target = record["source"], record["target_index"]
        key = (self._rank(source), target, record["file_name"])
        self._provenance.add(key, line.encode() + b"\n")
        self._metadata.add(key, _csv_row(record[column] for column in self.columns))
        self._done[source, target] += 1
        if self._every_face:  # one image per face
            self._expected[source, target] = record["faces_found"]


def _earlier_lines(root: Path, sources: Mapping[str, Path]) -> list[str]:
    """Lines of an earlier run that still hold: image there, photo unchanged."""
    file = root / PROVENANCE
    current = cache(lambda name: digest(sources[name]) if sources[name].is_file() else "")
    lines = []
    for line in file.read_text("utf-8").split("\n") if file.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:  # torn by a crash, or the empty end
            continue
        unchanged = (
            record["source"] not in sources or current(record["source"]) == record["source_sha256"]
        )
        if unchanged and (root / record["file_name"]).is_file():
            lines.append(line)
    return lines


def _remove_images(root: Path, lines: Iterable[str]) -> None:
    """Remove the pictures of these records, and the videos of their sequences."""
    names: set[str] = set()
    for record in map(json.loads, lines):
        names.add(record["file_name"])
        if record.get("sequence"):
            names |= {f"{VIDEOS}/{Path(record['sequence']).name}{end}" for end in (".mp4", ".webp")}
    folders = [(root / name).resolve() for name in (IMAGES, VIDEOS)]
    for name in names:
        file = (root / name).resolve()
        if any(map(file.is_relative_to, folders)):  # whatever a record claims, nothing else goes
            file.unlink(missing_ok=True)
            if file.parent not in folders and not any(file.parent.iterdir()):
                file.parent.rmdir()


def _read_skips(path: Path) -> list[Skip]:
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as rows:
        return [
            Skip(
                source=row["source"],
                reason=row["reason"],
                value=float(row["value"]) if row["value"] else None,
                message=row["message"],
            )
            for row in csv.DictReader(rows)
            if row.get("message")  # a torn last row has none
        ]
