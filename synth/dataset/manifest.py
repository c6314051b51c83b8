"""Manifests: what a finished shard consists of, and whether it is still there.

A manifest is written last. A shard is done when its manifest is there, speaks of
the same job, and every file it names has the bytes it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from synth.assets import digest as file_digest
from synth.dataset.layout import MANIFESTS, check_split, manifest_name, plain, split_order
from synth.errors import SynthError
from synth.images import write_atomic

__all__ = [
    "Manifest",
    "ShardFile",
    "faults",
    "parse_manifest",
    "read_manifest",
    "read_manifests",
    "shard_done",
    "write_manifest",
]


@dataclass(frozen=True)
class ShardFile:
    """A file of a shard: its path below the set, its SHA-256 and its bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A finished shard.

    Attributes
    ----------
    split, number : str, int
    digest : str
        Of the job: of all that decides the shard's content.
    files : tuple of ShardFile
        The provenance table is the last.
    counts : dict of str to int
        ``pictures``, ``skipped``, ``rejected`` and what else the engine counts.
    skipped, rejected : tuple of dict
        Rows of ``skipped.csv`` and ``rejected.csv``.
    """

    split: str
    number: int
    digest: str
    files: tuple[ShardFile, ...]
    counts: dict[str, int] = field(default_factory=dict)
    skipped: tuple[dict[str, Any], ...] = ()
    rejected: tuple[dict[str, Any], ...] = ()


def write_manifest(
    root: Path,
    split: str,
    number: int,
    digest: str,
    files: Iterable[str],
    counts: Mapping[str, int] | None = None,
    skipped: Iterable[Any] = (),
    rejected: Iterable[Any] = (),
) -> Manifest:
    """Write the manifest of a shard whose files are in place.

    Parameters
    ----------
    root : Path
        Folder of the set.
    split, number : str, int
    digest : str
        Of the job.
    files : iterable of str
        As `ShardWriter.close` returns them.
    counts : mapping, optional
    skipped, rejected : iterable of mappings or dataclasses
        JSON-ready rows.

    Raises
    ------
    OSError
        If a file is missing or the disk is full.
    """
    check_split(split)
    root = Path(root)
    made = Manifest(
        split,
        number,
        digest,
        tuple(
            ShardFile(name, file_digest(root / name), (root / name).stat().st_size)
            for name in files
        ),
        dict(counts or {}),
        tuple(map(_row, skipped)),
        tuple(map(_row, rejected)),
    )
    path = root / manifest_name(split, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(made), ensure_ascii=False, indent=1, allow_nan=False, default=plain)
    write_atomic(path, text.encode() + b"\n")
    return made


def _row(row: Any) -> dict[str, Any]:
    if is_dataclass(row) and not isinstance(row, type):
        return asdict(row)
    return dict(row)


def parse_manifest(text: str | bytes) -> Manifest:
    """The manifest that `write_manifest` wrote; a damaged one raises what its parsing did."""
    content = json.loads(text)
    content["files"] = tuple(ShardFile(**file) for file in content["files"])
    content["skipped"] = tuple(content["skipped"])
    content["rejected"] = tuple(content["rejected"])
    return Manifest(**content)


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises
    ------
    SynthError
        If it is missing or damaged.
    """
    try:
        return parse_manifest(path.read_text("utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SynthError(
            f"manifest: expected a shard's manifest in {path}, got {type(error).__name__} "
            f"({error}); remove it and run the same synth augment again"
        ) from None


def read_manifests(root: Path) -> list[Manifest]:
    """The manifests of a set: train, validation and test first, shards in order.

    Raises
    ------
    SynthError
        If one is damaged.
    """
    found = [read_manifest(path) for path in (Path(root) / MANIFESTS).glob("*.json")]
    rank = {split: i for i, split in enumerate(split_order(m.split for m in found))}
    return sorted(found, key=lambda m: (rank[m.split], m.number))


def faults(root: Path, manifest: Manifest) -> list[tuple[str, str]]:
    """Files of a shard that are not what its manifest says, each with what is wrong."""
    wrong = []
    for file in manifest.files:
        path = Path(root) / file.path
        if not path.is_file():
            wrong.append((file.path, "is missing"))
        elif (size := path.stat().st_size) != file.bytes:
            wrong.append((file.path, f"expected {file.bytes} bytes, got {size}"))
        elif (found := file_digest(path)) != file.sha256:
            wrong.append((file.path, f"expected sha256 {file.sha256[:12]}, got {found[:12]}"))
    return wrong


def shard_done(root: Path, split: str, number: int, digest: str) -> bool:
    """Whether a shard of this job is finished and its files are as they were written."""
    path = Path(root) / manifest_name(split, number)
    if not path.is_file():
        return False
    try:
        manifest = read_manifest(path)
    except SynthError:
        return False  # made anew
    if (manifest.split, manifest.number, manifest.digest) != (split, number, digest):
        return False
    sizes = ((Path(root) / file.path, file.bytes) for file in manifest.files)
    if any(not path.is_file() or path.stat().st_size != size for path, size in sizes):
        return False  # told without reading a byte
    return not faults(root, manifest)
