"""Where things lie in a set: names of files and folders, and which format it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from synth.errors import UsageError

__all__ = [
    "EXTENSIONS",
    "FOLDERS",
    "FORMATS",
    "MANIFESTS",
    "PROVENANCE",
    "SCRATCH",
    "check_key",
    "check_split",
    "evenly",
    "format_of",
    "manifest_name",
    "picture_name",
    "plain",
    "provenance_name",
    "shard_name",
    "split_order",
]

FORMATS = ("folder", "webdataset", "parquet")
#: Extensions of pictures; what the readers decode without being told.
EXTENSIONS = (".jpg", ".png", ".webp")
MANIFESTS, PROVENANCE = "shards", "provenance"
#: Unfinished shards; hidden, so that no reader looks into it.
SCRATCH = ".parts"
#: Whatever their names, the usual splits come in this order.
USUAL = ("train", "val", "validation", "test")
#: Folders of a set with the usual splits.
FOLDERS = (*USUAL, PROVENANCE, MANIFESTS, SCRATCH)
#: No dot: WebDataset ends a key there. At most what fits a plain tar header with the split.
_KEY = re.compile(r"[A-Za-z0-9_+=-]{1,80}")
_SPLIT = re.compile(r"[A-Za-z0-9_]{1,40}")


def check_key(key: str) -> None:
    """Refuse what cannot name a picture in all formats.

    Raises
    ------
    UsageError
        If it has other characters than letters, digits, ``_``, ``+``, ``=`` and ``-``,
        or more than 80 of them.
    """
    if not _KEY.fullmatch(key):
        raise UsageError(
            f"key: expected 1 to 80 letters, digits, _, +, = or -, got {key!r}; dots and "
            "slashes would split it"
        )


def check_split(split: str) -> None:
    """Refuse what cannot name a split.

    Raises
    ------
    UsageError
        If it has other characters than letters, digits and ``_`` (Hugging Face allows
        no others), or is the name of one of the set's own folders.
    """
    if not _SPLIT.fullmatch(split) or split in (MANIFESTS, PROVENANCE):
        raise UsageError(
            f"split: expected letters, digits and _ such as train, got {split!r}; rename it"
        )


def shard_name(split: str, number: int) -> str:
    """``train-000012``."""
    return f"{split}-{number:06d}"


def picture_name(split: str, key: str, extension: str) -> str:
    """``train/KEY.jpg``: the ``file_name`` of a record, whatever the format."""
    return f"{split}/{key}{extension}"


def provenance_name(split: str, number: int) -> str:
    """Path of a shard's provenance table below the set."""
    return f"{PROVENANCE}/{shard_name(split, number)}.parquet"


def manifest_name(split: str, number: int) -> str:
    """Path of a shard's manifest below the set."""
    return f"{MANIFESTS}/{shard_name(split, number)}.json"


def split_order(splits: Iterable[str]) -> list[str]:
    """Without repetitions, train, validation and test first, then by name."""
    return sorted(set(splits), key=lambda s: (USUAL.index(s) if s in USUAL else len(USUAL), s))


def format_of(files: Iterable[str]) -> str:
    """The format of a set, from the names of its files; "" for an empty set."""
    for name in files:
        if not name.startswith((f"{PROVENANCE}/", f"{MANIFESTS}/")):
            end = Path(name).suffix
            return {".tar": "webdataset", ".parquet": "parquet"}.get(end, "folder")
    return ""


def evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` different indices below `count`, evenly spread, in order."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


def plain(value: Any) -> Any:
    """`value` with numpy numbers as Python's, for JSON."""
    return value.item() if isinstance(value, np.generic) else value
