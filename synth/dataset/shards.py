"""Tar shards as WebDataset reads them [1]_: ``KEY.jpg`` and ``KEY.json`` side by side.

The JSON has the columns of `synth.dataset.provenance.COLUMNS`, and the full record
as text in ``record``.

References
----------
.. [1] Aizman, Maltby & Breuel, "High performance I/O for large scale deep learning",
   IEEE Big Data 2019; https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import io
import json
import tarfile

from synth.dataset.provenance import Row
from synth.dataset.writers import SpooledWriter

__all__ = ["TarWriter", "json_of"]


def json_of(row: Row) -> bytes:
    """Content of ``KEY.json``."""
    content = {**row.labels, "record": row.record}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


class TarWriter(SpooledWriter):
    """``SPLIT/shard-000012.tar``."""

    suffix = ".tar"

    def _build(self, rows: list[Row]) -> list[tuple[str, int]]:
        places = []
        if not rows:
            return []
        # Keys are short and plain: every member has a header of one block.
        with tarfile.open(self.file, "w", format=tarfile.USTAR_FORMAT) as tar:
            for row, data in self._pictures(rows):
                start = _add(tar, row.key + row.extension, data)
                _add(tar, f"{row.key}.json", json_of(row))
                places.append((self.name, start))
        return places


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> int:
    """Where the member's bytes begin."""
    member = tarfile.TarInfo(name)  # mtime 0, no owner
    member.size = len(data)
    start = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(member, io.BytesIO(data))
    return start
