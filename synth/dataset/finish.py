"""What is written when all shards are done: everything that describes the set.

All of it follows from the manifests, the provenance tables and `SetInfo`, so that
finishing twice writes the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from synth.dataset.card import SetInfo, dataset_card
from synth.dataset.croissant import croissant
from synth.dataset.folder import METADATA, metadata_columns, metadata_lines
from synth.dataset.layout import SCRATCH, evenly
from synth.dataset.manifest import Manifest, read_manifests
from synth.dataset.pictures import contact_sheet, va_histogram
from synth.dataset.provenance import COLUMNS, read_provenance, read_rows
from synth.dataset.summary import Summary, summarise
from synth.images import encode_image, load_image, write_atomic

__all__ = ["DESCRIPTIONS", "SetInfo", "finish", "picture_bytes"]

SKIPPED, REJECTED = "skipped.csv", "rejected.csv"
CARD, CROISSANT = "README.md", "croissant.json"
HISTOGRAM, SHEET = "va_histogram.png", "contact_sheet.jpg"
#: Files that `finish` writes at the top of the set.
DESCRIPTIONS = (SKIPPED, REJECTED, CARD, CROISSANT, HISTOGRAM, SHEET)
#: Columns of the tables of missing rows that come first, when they are there.
FIRST = ("id", "source", "subject", "split", "reason", "reasons", "value", "limit", "message")
#: Pictures of each split on the contact sheet.
SHOWN = 16


def finish(root: Path, info: SetInfo) -> Summary:
    """Write the descriptions of a set whose shards are done, and count it.

    Removes what interrupted shards left behind.

    Raises
    ------
    SynthError
        If a manifest or a provenance table is damaged.
    OSError
        If the set cannot be written.
    """
    root = Path(root)
    shutil.rmtree(root / SCRATCH, ignore_errors=True)
    manifests = read_manifests(root)
    summary = summarise(root, manifests)
    if summary.fmt == "folder":
        for split in summary.splits:
            _write_metadata(root, split, manifests, summary)
    _write_missing(root / SKIPPED, [row for m in manifests for row in m.skipped])
    _write_missing(root / REJECTED, [row for m in manifests for row in m.rejected])
    title = f"{summary.pictures} pictures"
    write_atomic(root / HISTOGRAM, encode_image(va_histogram(summary.histogram, title), "png"))
    sheet = contact_sheet([(split, _examples(root, split, manifests)) for split in summary.splits])
    write_atomic(root / SHEET, encode_image(sheet, "jpeg", 90))
    kinds = {Path(file.path).suffix[1:] for m in manifests for file in m.files[:-1]}
    write_atomic(root / CROISSANT, croissant(info, summary, kinds).encode())
    write_atomic(root / CARD, dataset_card(info, summary).encode())
    return summary


def _write_metadata(
    root: Path, split: str, manifests: Sequence[Manifest], summary: Summary
) -> None:
    """``metadata.csv`` of a split, shard by shard."""
    columns = metadata_columns(any(part.frames for part in summary.splits.values()))
    temporary = root / split / f".{METADATA}.part"
    (root / split).mkdir(exist_ok=True)
    with open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(",".join(columns) + "\n")
        for manifest in manifests:
            if manifest.split == split:
                table = read_provenance(root, split, manifest.number, list(COLUMNS))
                file.write(metadata_lines(table.to_pylist(), columns))
    os.replace(temporary, root / split / METADATA)


def _write_missing(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table of rows without a picture; all columns that any of them has."""
    known = {name: None for row in rows for name in row}
    columns = [name for name in FIRST if name in known] or ["id", "source", "reason"]
    columns += sorted(known.keys() - set(columns))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    write_atomic(path, text.getvalue().encode())


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, (list, tuple)):
        return ";".join(map(str, value))
    return "" if value is None else value


def _examples(root: Path, split: str, manifests: Iterable[Manifest]) -> list[tuple[Any, str]]:
    """Pictures spread evenly over a split, with their labels."""
    own = [manifest for manifest in manifests if manifest.split == split]
    sizes = [len(read_provenance(root, split, m.number, ["bytes"])) for m in own]
    wanted, start, shown = evenly(sum(sizes), SHOWN), 0, []
    for manifest, size in zip(own, sizes, strict=True):
        inside = [index - start for index in wanted if start <= index < start + size]
        rows = list(read_rows(root, split, manifest.number)) if inside else []
        for row in (rows[index] for index in inside):
            pixels = load_image(picture_bytes(root, row), name=row["key"]).pixels
            label = f"{row['valence']:+.2f} {row['arousal']:+.2f}"
            name = "" if row["expression"] == "none" else f" {row['expression']}"
            shown.append((pixels, label + name))
        start += size
    return shown


def picture_bytes(root: Path, row: dict[str, Any]) -> bytes:
    """The encoded picture of a provenance row.

    Raises
    ------
    OSError
        If its file is missing.
    """
    with open(Path(root) / row["file"], "rb") as file:
        file.seek(row["offset"])
        return file.read(row["bytes"])
