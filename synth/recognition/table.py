"""Readings as CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from synth.errors import UsageError
from synth.recognition.face_reading import FaceReading

__all__ = ["FORMATS", "columns", "csv_bytes", "rows", "table_bytes"]

#: Format -> extension.
FORMATS = {"csv": ".csv", "json": ".json", "parquet": ".parquet"}
BEFORE = ("file_name", "face", "frame", "time", "track", "valence", "arousal", "expression",
          "confidence")  # fmt: skip
AFTER = ("left", "top", "right", "bottom", "spectrum", "weights")
RAW = ("valence_raw", "arousal_raw")
_WHOLE, _WORDS = ("face", "frame", "track"), ("file_name", "expression", "spectrum", "weights")

Row = dict[str, Any]


def columns(classes: Sequence[str], smoothed: bool = False) -> tuple[str, ...]:
    """Names of the columns, one ``p_CLASS`` for each class."""
    raw = RAW if smoothed else ()
    return (*BEFORE, *(f"p_{name}" for name in classes), *raw, *AFTER)


def rows(readings: Iterable[FaceReading]) -> list[Row]:
    """One row a face: the keys `columns`; what is not known is None."""
    return [_row(reading) for reading in readings]


def _row(reading: FaceReading) -> Row:
    left, top, right, bottom = (round(float(v), 2) for v in reading.box)
    row: Row = {name: getattr(reading, name) for name in BEFORE}
    row |= {f"p_{name}": share for name, share in reading.probabilities.items()}
    row |= dict(zip(RAW, reading.raw or (None, None), strict=True))
    row |= {"left": left, "top": top, "right": right, "bottom": bottom}
    return row | {"spectrum": reading.spectrum, "weights": reading.weights}


def table_bytes(readings: Sequence[FaceReading], fmt: str = "csv", smoothed: bool = False) -> bytes:
    """The table of readings as the content of a file.

    Parameters
    ----------
    readings : sequence of FaceReading
    fmt : {"csv", "json", "parquet"}
        JSON is a list of objects. What is not known is an empty cell, or null.
    smoothed : bool
        Whether valence and arousal before smoothing have columns too.

    Raises
    ------
    UsageError
        For another format.
    """
    if fmt not in FORMATS:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {fmt!r}")
    names = dict.fromkeys(name for reading in readings for name in reading.probabilities)
    head = columns(tuple(names), smoothed)
    table = [{name: row.get(name) for name in head} for row in rows(readings)]
    if fmt == "csv":
        return csv_bytes(head, table)
    if fmt == "json":
        return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    return _parquet(head, table)


def csv_bytes(head: Sequence[str], table: Iterable[Row]) -> bytes:
    """CSV with a header, UTF-8; None is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in table:
        writer.writerow(["" if row[name] is None else row[name] for name in head])
    return text.getvalue().encode()


def _parquet(head: Sequence[str], table: list[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(name: str) -> Any:
        return pa.string() if name in _WORDS else pa.int64() if name in _WHOLE else pa.float64()

    schema = pa.schema([(name, kind(name)) for name in head])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table, schema=schema), sink)
    return sink.getvalue()
