"""Whether a set is what it says: `check_set` reads every byte of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.dataset.examine import examine_row, examine_tables
from synth.dataset.finish import CARD, CROISSANT, REJECTED, SKIPPED, picture_bytes
from synth.dataset.folder import METADATA
from synth.dataset.layout import (
    MANIFESTS,
    PROVENANCE,
    format_of,
    provenance_name,
    split_order,
)
from synth.dataset.manifest import Manifest, faults, read_manifest
from synth.dataset.provenance import read_rows
from synth.dataset.summary import va_counts
from synth.errors import SkipPhoto, SynthError, UsageError
from synth.images import load_image, read_record

__all__ = ["Problem", "Report", "check_set"]

#: Problems of one kind that a report spells out.
SHOWN = 10
#: Cells of the histogram that is printed.
CELLS = 10
_SHADES = " .:-=+*#%@"


@dataclass(frozen=True)
class Problem:
    """Something wrong.

    Attributes
    ----------
    kind : str
        ``checksum``, ``decode``, ``label``, ``mismatch``, ``subject``, ``duplicate``,
        ``missing``, ``extra`` or ``damaged``.
    where : str
        File or picture.
    message : str
    """

    kind: str
    where: str
    message: str


@dataclass
class Report:
    """What was found.

    Attributes
    ----------
    fmt : str
    pictures, subjects : dict of str to int
        By split.
    problems : list of Problem
    notes : list of str
        What is odd without being wrong.
    histogram : (CELLS, CELLS) int64
        See `synth.dataset.summary.va_counts`.
    """

    root: Path
    fmt: str = ""
    pictures: Counter[str] = field(default_factory=Counter)
    subjects: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros((CELLS, CELLS), np.int64))

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, kind: str, where: str, message: str) -> None:
        self.problems.append(Problem(kind, where, message))

    def lines(self) -> Iterator[str]:
        """The report as text, the verdict last."""
        for split in split_order(self.pictures):
            yield f"{split}: {self.pictures[split]} pictures of {self.subjects[split]} people"
        yield "labels, valence to the right and arousal up:"
        most = max(int(self.histogram.max(initial=0)), 1)
        for row in self.histogram[::-1]:
            marks = (_SHADES[-(-int(n) * (len(_SHADES) - 1) // most)] * 2 for n in row)
            yield f"  |{''.join(marks)}|"
        yield from (f"note: {note}" for note in self.notes)
        kinds = Counter(problem.kind for problem in self.problems)
        for kind, count in sorted(kinds.items()):
            same = [problem for problem in self.problems if problem.kind == kind]
            for problem in same[:SHOWN]:
                yield f"{kind}: {problem.where}: {problem.message}"
            if count > SHOWN:
                yield f"{kind}: ... and {count - SHOWN} more"
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        total = sum(self.pictures.values())
        name = self.fmt or "empty"
        yield f"{total} pictures, {name} format: " + (f"problems: {found}" if found else "all well")


@dataclass
class _Seen:
    """What is compared across pictures."""

    files: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    pixels: dict[bytes, tuple[str, str]] = field(default_factory=dict)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    alike: int = 0


def check_set(root: Path) -> Report:
    """Check every file of a set.

    Manifests against files (sizes, SHA-256), files against manifests (missing, extra),
    every picture (decodes, digest), every label (range, the same in tables, record and
    picture), subjects (one split each), duplicates (the same bytes; the same pixels in
    two splits; within a split the latter are only noted: neutral faces of one photo
    are alike).

    Raises
    ------
    UsageError
        If `root` holds no set.
    """
    root = Path(root)
    if not (root / MANIFESTS).is_dir():
        raise UsageError(f"set: expected a folder made by synth augment, got {root}")
    report, seen = Report(root), _Seen()
    manifests = _manifests(report)
    report.fmt = next(filter(None, (format_of(f.path for f in m.files) for m in manifests)), "")
    bad = {path for manifest in manifests for path in _checksums(report, manifest)}
    for manifest in manifests:
        _check_shard(report, manifest, seen, bad)
    for subject, splits in sorted(seen.subjects.items()):
        if len(splits) > 1 and subject != "none":
            report.add("subject", subject, f"is in {' and '.join(split_order(splits))}")
    report.subjects = {
        split: sum(split in splits for splits in seen.subjects.values())
        for split in report.pictures
    }
    if seen.alike:
        report.notes.append(f"pictures with the pixels of another one of their split: {seen.alike}")
    _check_files(report, manifests)
    return report


def _manifests(report: Report) -> list[Manifest]:
    found = []
    for path in sorted((report.root / MANIFESTS).glob("*.json")):
        try:
            found.append(read_manifest(path))
        except SynthError as error:
            report.add("damaged", f"{MANIFESTS}/{path.name}", str(error))
    rank = {split: i for i, split in enumerate(split_order(m.split for m in found))}
    return sorted(found, key=lambda m: (rank[m.split], m.number))


def _checksums(report: Report, manifest: Manifest) -> set[str]:
    wrong = faults(report.root, manifest)
    for path, message in wrong:
        report.add("missing" if message == "is missing" else "checksum", path, message)
    return {path for path, _ in wrong}


def _check_shard(report: Report, manifest: Manifest, seen: _Seen, bad: set[str]) -> None:
    report.pictures[manifest.split] += 0
    try:
        rows = list(read_rows(report.root, manifest.split, manifest.number))
    except SynthError as error:
        report.add("damaged", provenance_name(manifest.split, manifest.number), str(error))
        return
    for place, message in examine_tables(report.root, manifest, rows, bad):
        report.add("mismatch", place, message)
    valence, arousal = (
        np.nan_to_num([row[name] for row in rows]) for name in ("valence", "arousal")
    )
    report.histogram += va_counts(valence, arousal, CELLS)
    for row in rows:
        report.pictures[manifest.split] += 1
        seen.subjects.setdefault(row["subject"], set()).add(manifest.split)
        where = (manifest.split, row["key"])
        if where in seen.keys:
            report.add("duplicate", row["file_name"], "the key is there twice")
        seen.keys.add(where)
        for message in examine_row(row, manifest.split):
            report.add("label", row["file_name"], message)
        _check_picture(report, row, where, seen)


def _check_picture(
    report: Report, row: dict[str, Any], where: tuple[str, str], seen: _Seen
) -> None:
    name = row["file_name"]
    try:
        data = picture_bytes(report.root, row)
        digest = hashlib.sha256(data)
        if digest.hexdigest() != row["sha256"]:
            report.add("checksum", name, f"not the bytes that were written to {row['file']}")
        pixels = load_image(data, name=name).pixels
    except OSError:
        report.add("decode", name, f"not readable in {row['file']}")
        return
    except SkipPhoto as skip:
        report.add("decode", name, str(skip))
        return
    inside = read_record(data)
    if inside is not None and inside != json.loads(row["record"]):
        report.add("mismatch", name, "the record inside the picture is another one")
    first = seen.files.setdefault(digest.digest(), where)
    if first != where:
        report.add("duplicate", name, f"the same file as {first[0]}/{first[1]}")
        return
    shape = repr(pixels.shape).encode()
    like = hashlib.blake2b(shape + pixels.tobytes(), digest_size=16).digest()
    first = seen.pixels.setdefault(like, where)
    if first[0] != where[0]:
        report.add("duplicate", name, f"the same pixels as {first[0]}/{first[1]}")
    elif first != where:
        seen.alike += 1


def _check_files(report: Report, manifests: list[Manifest]) -> None:
    """Files that no manifest names, and descriptions that are not there."""
    root, known = report.root, {file.path for m in manifests for file in m.files}
    splits = {manifest.split for manifest in manifests}
    if report.fmt == "folder":
        metadata = {f"{split}/{METADATA}" for split in splits}
        known |= metadata
        for name in sorted(metadata):
            if not (root / name).is_file():
                report.add("missing", name, "run the same synth augment again to write it")
    for folder in sorted({*splits, PROVENANCE}):
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and name not in known and not path.name.startswith("."):
                report.add("extra", name, "no manifest names it")
    for name in (CARD, CROISSANT, SKIPPED, REJECTED):
        if not (root / name).is_file():
            report.add("missing", name, "run the same synth augment again to write it")
