"""Sets on disk: shards in three formats, what describes them, and their readers.

====================================  ================================================
``SPLIT/``                            the pictures (`synth.dataset.writers`)
``provenance/SPLIT-000012.parquet``   one row a picture: labels, full record, digest,
                                      where its bytes lie (`synth.dataset.provenance`)
``shards/SPLIT-000012.json``          the shard's manifest, written last
                                      (`synth.dataset.manifest`)
``README.md``, ``croissant.json``     what the set is, for people and for machines
``va_histogram.png``                  where on the circumplex the labels lie
``contact_sheet.jpg``                 some pictures of each split
``skipped.csv``, ``rejected.csv``     rows of the plan without a picture, and why
====================================  ================================================

``AffectDataset`` reads a set of any format in PyTorch; it is loaded when asked for,
so that writing sets does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synth.dataset.finish import SetInfo, finish
from synth.dataset.layout import FOLDERS, FORMATS
from synth.dataset.manifest import read_manifests, shard_done, write_manifest
from synth.dataset.writers import ShardWriter, shard_writer

if TYPE_CHECKING:
    from synth.dataset.reader import AffectDataset

__all__ = [
    "FOLDERS",
    "FORMATS",
    "AffectDataset",
    "SetInfo",
    "ShardWriter",
    "finish",
    "read_manifests",
    "shard_done",
    "shard_writer",
    "write_manifest",
]


def __getattr__(name: str) -> Any:
    if name == "AffectDataset":
        from synth.dataset.reader import AffectDataset

        return AffectDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
