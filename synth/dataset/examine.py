"""Labels of a set against their ranges, and against one another in all the places they stand."""

from __future__ import annotations

import csv
import json
import math
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from synth.affect import EXPRESSIONS
from synth.dataset.folder import METADATA
from synth.dataset.layout import picture_name, provenance_name
from synth.dataset.manifest import Manifest
from synth.dataset.provenance import COLUMNS, label_row

__all__ = ["examine_row", "examine_tables"]

Row = dict[str, Any]
#: Where, and what is wrong.
Wrong = Iterator[tuple[str, str]]


def examine_row(row: Row, split: str) -> Iterator[str]:
    """What is wrong with the labels of one provenance row."""
    for names in (("valence", "arousal"), ("class_valence", "class_arousal")):
        point = [row[name] for name in names]
        if not all(map(math.isfinite, point)) or math.hypot(*point) > 1 + 1e-6:
            yield f"{names[0]}: expected a point of the unit disc, got {point[0]}, {point[1]}"
    if not 0 <= row["intensity"] <= 1 + 1e-6:
        yield f"intensity: expected 0 to 1, got {row['intensity']}"
    if row["expression"] != "none" and row["expression"] not in EXPRESSIONS:
        yield f"expression: expected one of {', '.join(EXPRESSIONS)}, got {row['expression']}"
    yield from _units(row["action_units"])
    try:
        record = json.loads(row["record"])
        told = label_row(record)
    except (ValueError, TypeError, AttributeError) as error:
        yield f"record: expected a record as JSON, got {error}"
        return
    for name in different(row, told):
        yield f"{name}: expected {told[name]!r} as in the record, got {row[name]!r}"
    if record.get("split") != split:
        yield f"split: expected {split} in the record, got {record.get('split')!r}"
    if not row["file_name"].startswith(picture_name(split, row["key"], ".")):
        yield f"file_name: expected {split}/{row['key']}, got {row['file_name']}"


def _units(cell: str) -> Iterator[str]:
    for part in [] if cell == "none" else cell.split(","):
        name, _, value = part.partition(":")
        try:
            inside = 0 <= float(value) <= 1.1  # as strong as blendshapes may be
        except ValueError:
            inside = False
        if not name or not inside:
            yield f"action_units: expected unit:intensity, 0 to 1, got {part!r}"


def different(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Columns in which two rows are not the same; a column that `b` lacks is one."""
    return [name for name in COLUMNS if name not in b or a[name] != b[name]]


def examine_tables(root: Path, manifest: Manifest, rows: Sequence[Row], bad: set[str]) -> Wrong:
    """Where the labels beside the pictures are not those of the provenance table.

    Parameters
    ----------
    root : Path
    manifest : Manifest
    rows : sequence of dict
        Of the shard's provenance table.
    bad : set of str
        Files that are known to be missing or damaged: not opened.
    """
    files = [file.path for file in manifest.files[:-1] if file.path not in bad]
    made = manifest.counts.get("made", len(rows))
    if made != len(rows):
        table = provenance_name(manifest.split, manifest.number)
        yield table, f"expected {made} rows as the manifest counts, got {len(rows)}"
    for path in files:
        if path.endswith(".tar"):
            yield from _compare(path, rows, _tar_labels(root / path))
        elif path.endswith(".parquet"):
            yield from _compare(path, rows, _parquet_labels(root / path))
    if files and not files[0].endswith((".tar", ".parquet")):
        yield from _compare_csv(root, manifest.split, rows)


def _compare(path: str, rows: Sequence[Row], found: dict[str, Row]) -> Wrong:
    for row in rows:
        other = found.pop(row["file_name"], None)
        if other is None:
            yield path, f"expected the labels of {row['file_name']}, got none"
            continue
        names = different(row, other) + ["record"] * (row["record"] != other.get("record"))
        if names:
            yield row["file_name"], f"{path} has other values in {', '.join(names)}"
    for name in found:
        yield path, f"has labels of {name}, which the provenance table does not know"


def _tar_labels(path: Path) -> dict[str, Row]:
    found = {}
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".json") and (content := tar.extractfile(member)):
                row = json.load(content)
                found[row.get("file_name", member.name)] = row
    return found


def _parquet_labels(path: Path) -> dict[str, Row]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return {
            row["file_name"]: row for row in file.read(columns=[*COLUMNS, "record"]).to_pylist()
        }


@lru_cache(maxsize=2)
def _csv_labels(path: Path, stamp: int) -> dict[str, dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return {row["file_name"]: row for row in csv.DictReader(file)}


def _compare_csv(root: Path, split: str, rows: Sequence[Row]) -> Wrong:
    path = root / split / METADATA
    if not path.is_file():
        return  # told elsewhere
    found = _csv_labels(path, path.stat().st_mtime_ns)
    for row in rows:
        cells = found.get(Path(row["file_name"]).name)
        if cells is None:
            yield f"{split}/{METADATA}", f"expected a row for {row['file_name']}, got none"
            continue
        names = [
            name
            for name, kind in COLUMNS.items()
            if name in cells and name != "file_name" and not _same(cells[name], row[name], kind)
        ]
        if names:
            yield row["file_name"], f"{split}/{METADATA} has other values in {', '.join(names)}"


def _same(cell: str, value: Any, kind: type) -> bool:
    try:
        return bool(kind(cell) == value)
    except ValueError:
        return False
