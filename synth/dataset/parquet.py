"""Parquet shards in the layout of Hugging Face's ``datasets``: pictures inside the table.

``image`` is a struct of ``bytes`` and ``path``, which the schema's metadata declares
to be an image, so that ``load_dataset`` decodes it. Pictures are compressed already:
their pages are stored as they are, which is faster, and lets a reader fetch one
picture by its offset without opening the table.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from synth.dataset.provenance import COLUMNS, Row, arrow_schema
from synth.dataset.writers import SpooledWriter

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetWriter", "picture_schema"]

#: Rows read at once by those who read tables: a few megabytes of pictures.
GROUP = 100


def picture_schema() -> pa.Schema:
    """Arrow schema of a data shard, with the features for ``datasets`` in its metadata."""
    import pyarrow as pa

    words = {str: "string", int: "int64", float: "float64"}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for name, kind in {**COLUMNS, "record": str}.items():
        features[name] = {"dtype": words[kind], "_type": "Value"}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", image), *arrow_schema({**COLUMNS, "record": str})])
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


class ParquetWriter(SpooledWriter):
    """``SPLIT/shard-000012.parquet``."""

    suffix = ".parquet"

    def _build(self, rows: list[Row]) -> list[tuple[str, int]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not rows:
            return []
        schema, labels = picture_schema(), [*COLUMNS, "record"]
        packing = {"image.bytes": "NONE", "image.path": "ZSTD"} | dict.fromkeys(labels, "ZSTD")
        with pq.ParquetWriter(
            self.file, schema, compression=packing, use_dictionary=labels, write_statistics=labels
        ) as file:
            pictures = self._pictures(rows)
            while group := list(islice(pictures, GROUP)):
                table = pa.Table.from_pylist(
                    [_columns(row, data) for row, data in group], schema=schema
                )
                file.write_table(table, row_group_size=GROUP)
        return [(self.name, start) for start in self._find(rows)]

    def _find(self, rows: list[Row]) -> Iterator[int]:
        """Where each picture's bytes begin in the finished file."""
        with open(self.file, "rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                end = 0
                for row, data in self._pictures(rows):
                    start = content.find(data, end)
                    if start < 0:
                        raise RuntimeError(f"{self.name}: expected {row.key} stored as it is")
                    end = start + row.size
                    yield start


def _columns(row: Row, data: bytes) -> dict[str, Any]:
    image = {"bytes": data, "path": f"{row.key}{row.extension}"}
    return {"image": image, **row.labels, "record": row.record}
