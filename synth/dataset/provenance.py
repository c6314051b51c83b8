"""The labels of a picture as one typed row, and the table of a shard's rows.

The same columns stand in all formats, so that whatever reader a user has finds the
same names and numbers: in ``metadata.csv``, in the JSON of a tar shard, in the columns
of a Parquet shard, and in the provenance table beside each of them. ``record`` is
the full record as JSON text: its dictionaries have other keys in every picture, which
no table of fixed types can hold.

Text cells are never empty and never look like a number (`text_cell`): readers of
``metadata.csv`` guess types column by column, and a split whose column is empty, or a
subject named 0012, would not match the other splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.dataset.layout import picture_name, provenance_name
from synth.errors import SynthError, UsageError
from synth.records import record_line
from synth.types import Record

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "PLACE",
    "Row",
    "SEQUENCE_COLUMNS",
    "arrow_schema",
    "label_row",
    "make_row",
    "read_provenance",
    "read_rows",
    "text_cell",
    "write_provenance",
]

#: Columns of a picture and their types, in order. ``plan_id`` and ``frame`` are -1
#: where there are none.
COLUMNS: dict[str, type] = {
    "file_name": str,
    "source": str,
    "valence": float,
    "arousal": float,
    "class_valence": float,
    "class_arousal": float,
    "expression": str,
    "intensity": float,
    "seed": int,
    "lookup": str,
    "style": str,
    "action_units": str,
    "spectrum": str,
    "subject": str,
    "plan_id": int,
    "sequence": str,
    "frame": int,
    "time": float,
}
#: Left out of ``metadata.csv`` where a set has no sequences.
SEQUENCE_COLUMNS = ("sequence", "frame", "time")
#: Columns of a provenance table alone: the picture's key, the file that its bytes lie
#: in, where they begin, how many they are, and their digest.
PLACE: dict[str, type] = {"key": str, "file": str, "offset": int, "bytes": int, "sha256": str}

#: What readers of CSV files take for a missing value, in lower case.
_MISSING = {"", "#n/a", "#n/a n/a", "#na", "<na>", "n/a", "na", "nan", "null", "none", "true",
            "false"}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One picture of a shard.

    Attributes
    ----------
    key, extension : str
        Its name is the one with the other behind it.
    labels : dict
        One value for each of `COLUMNS`.
    record : str
        The record as one line of JSON.
    size : int
        Bytes of the encoded picture.
    sha256 : str
        Of them.
    """

    key: str
    extension: str
    labels: dict[str, Any]
    record: str
    size: int
    sha256: str


def text_cell(text: str) -> str:
    """`text` such that no reader of a CSV file takes it for a number or for nothing.

    Empty text becomes ``none``; numbers and words such as ``NA`` get ``id_`` in front.
    """
    if not text:
        return "none"
    looks = text.strip().lower()
    try:
        float(looks)
    except ValueError:
        return f"id_{text}" if looks in _MISSING and text != "none" else text
    return f"id_{text}"


def label_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The `COLUMNS` of a record, given as the dictionary of its fields or of its JSON.

    Action units read as ``--au`` takes them: ``12:0.8,6:0.5``.
    """
    row: dict[str, Any] = {}
    for name, kind in COLUMNS.items():
        value = record.get(name)
        if isinstance(value, Mapping):
            value = ",".join(f"{unit}:{number}" for unit, number in value.items())
        if kind is str:
            row[name] = text_cell(value or "")
        elif kind is int:
            row[name] = -1 if value is None else int(value)
        else:
            row[name] = 0.0 if value is None else float(value)
    return row


def make_row(split: str, key: str, extension: str, record: Record, size: int, sha256: str) -> Row:
    """The row of a picture; fills in the record's ``file_name`` and ``split``.

    Raises
    ------
    UsageError
        If the record says that it belongs elsewhere.
    """
    named = picture_name(split, key, extension)
    for what, got, expected in (
        ("file_name", record.file_name, named),
        ("split", record.split, split),
    ):
        if got not in ("", expected):
            raise UsageError(f"{what}: expected {expected} or none in the record, got {got}")
    record = replace(record, file_name=named, split=split)
    return Row(key, extension, label_row(vars(record)), record_line(record), size, sha256)


def arrow_schema(columns: Mapping[str, type]) -> pa.Schema:
    """Arrow's types of the columns."""
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


def write_provenance(path: Path, rows: Sequence[Row], places: Sequence[tuple[str, int]]) -> None:
    """Write the provenance table of a shard.

    Parameters
    ----------
    path : Path
    rows : sequence of Row
    places : sequence of (str, int)
        File below the set and offset in it, of each row's picture.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {
        "key": [row.key for row in rows],
        "file": [file for file, _ in places],
        "offset": [offset for _, offset in places],
        "bytes": [row.size for row in rows],
        "sha256": [row.sha256 for row in rows],
    }
    columns |= {name: [row.labels[name] for row in rows] for name in COLUMNS}
    columns["record"] = [row.record for row in rows]
    schema = arrow_schema({**PLACE, **COLUMNS, "record": str})
    table = pa.Table.from_pydict(columns, schema=schema)
    pq.write_table(table, path, compression="zstd", write_statistics=list(COLUMNS))


def read_provenance(
    root: Path, split: str, number: int, columns: Sequence[str] | None = None
) -> pa.Table:
    """The provenance table of a shard, or some of its columns.

    Raises
    ------
    SynthError
        If it is missing or not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = provenance_name(split, number)
    try:
        with pq.ParquetFile(root / name) as file:  # one file, whatever lies beside it
            return file.read(columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise SynthError(
            f"set: expected a provenance table {name} in {root}, got {error}; run the same "
            "synth augment again, which makes the shard anew"
        ) from None


def read_rows(root: Path, split: str, number: int) -> Iterator[dict[str, Any]]:
    """The rows of a shard's provenance table as dictionaries.

    Raises
    ------
    SynthError
        If the table cannot be read.
    """
    yield from read_provenance(root, split, number).to_pylist()
