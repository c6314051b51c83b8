"""Pictures as files, with one ``metadata.csv`` a split: Hugging Face's ImageFolder as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synth.dataset.layout import picture_name
from synth.dataset.provenance import COLUMNS, SEQUENCE_COLUMNS, Row
from synth.dataset.writers import ShardWriter

__all__ = ["METADATA", "FolderWriter", "metadata_columns", "metadata_lines"]

METADATA = "metadata.csv"


class FolderWriter(ShardWriter):
    """``SPLIT/KEY.jpg``."""

    def _store(self, row: Row, data: bytes) -> None:
        (self.scratch / f"{row.key}{row.extension}").write_bytes(data)

    def _build(self, rows: list[Row]) -> list[tuple[str, int]]:
        return [(picture_name(self.split, row.key, row.extension), 0) for row in rows]


def metadata_columns(sequences: bool) -> list[str]:
    """Columns of ``metadata.csv``, with those of sequences or without."""
    return [name for name in COLUMNS if sequences or name not in SEQUENCE_COLUMNS]


def metadata_lines(rows: Iterable[Mapping[str, Any]], columns: list[str]) -> str:
    """Lines of ``metadata.csv``; file names are relative to the split's folder."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        # repr: a float keeps its point and all its digits, and is read as one
        writer.writerow(
            Path(row[name]).name if name == "file_name" else
            row[name] if COLUMNS[name] is str else repr(row[name])
            for name in columns
        )  # fmt: skip
    return text.getvalue()
