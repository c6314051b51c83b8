"""Who is on which photo, and which person belongs to which split.

Splits are drawn by subject before any picture is made: all pictures of a person, from
all photos, are in one split. Which one depends on the seed and the subject's name alone,
through a hash, so that it does not depend on the order of files, and a subject added
later moves few of the others.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from synth.assets import digest
from synth.errors import UsageError
from synth.image_files import ImageSource
from synth.plans.csv_rows import check_columns, read_rows
from synth.plans.density import apportion
from synth.targets import source_stems

__all__ = ["SPLITS", "assign_splits", "duplicate_sources", "kfold", "subject_of"]

#: Names of the splits, in the order that ratios are written.
SPLITS = ("train", "val", "test")
WAYS = "parent, each, stem:REGEX or a CSV file with the columns file_name and subject"


# --------------------------------------------------------------------- subjects
def subject_of(sources: Sequence[ImageSource], how: str = "parent") -> dict[str, str]:
    """The subject of each photo, by the photo's name.

    Parameters
    ----------
    sources : sequence of ImageSource
    how : str
        ``parent``: the folder the photo lies in, relative to the input; ``each``: every
        photo shows another person; ``stem:REGEX``: what the expression finds in the file
        name without its extension, its first group where it has one; or a CSV file with
        the columns ``file_name`` (the photo's name as the run knows it, or its last part
        where that is unique) and ``subject``.

    Raises
    ------
    UsageError
        If `how` is none of these, or a photo has no subject; the message names the
        first few.
    """
    names = [source.name for source in sources]
    if how == "each":
        return source_stems(names)
    if how == "parent":
        return _parents(sources)
    if how.startswith("stem:"):
        found = _matches(names, how.removeprefix("stem:"))
    elif Path(how).suffix.lower() == ".csv" or Path(how).is_file():
        found = _from_table(names, Path(how))
    else:
        raise UsageError(f"subjects: expected {WAYS}, got {how!r}")
    if missing := [name for name in names if name not in found]:
        raise UsageError(
            f"subjects: expected a subject for each of {len(names)} photos from {how}, got none "
            f"for {_few(missing)}; name them, or leave these photos out"
        )
    return {name: found[name] for name in names}


def _few(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _parents(sources: Sequence[ImageSource]) -> dict[str, str]:
    found: dict[str, str] = {}
    folder_of: dict[str, Path] = {}
    for source in sources:
        folder = source.path.parent.resolve()
        parent = str(PurePosixPath(source.name).parent)
        subject = parent if parent != "." else folder.name or "root"
        if (other := folder_of.setdefault(subject, folder)) != folder:
            raise UsageError(
                f"subjects: expected one folder {subject}, got {other} and {folder}; whether "
                "these are one person is for you to say: give a CSV file"
            )
        found[source.name] = subject
    return found


def _matches(names: Sequence[str], pattern: str) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"subjects: expected a regular expression, got {pattern!r}: {error}"
        ) from None
    hits = {name: compiled.search(PurePosixPath(name).stem) for name in names}
    found = {name: hit[1 if compiled.groups else 0] for name, hit in hits.items() if hit}
    return {name: subject for name, subject in found.items() if subject}


def _from_table(names: Sequence[str], path: Path) -> dict[str, str]:
    table = read_rows(path, "subjects")
    check_columns(table, "subjects", ("file_name", "subject"))
    listed: dict[str, str] = {}
    for line, row in table.rows:
        file_name, subject = row["file_name"], row["subject"]
        if not file_name or not subject:
            raise UsageError(
                f"subjects: {table.place(line)}: expected a file_name and a subject, got "
                f"{file_name!r} and {subject!r}"
            )
        if (other := listed.setdefault(file_name, subject)) != subject:
            raise UsageError(
                f"subjects: {table.place(line)}: expected one subject for {file_name}, got "
                f"{other} and {subject}"
            )
    last: dict[str, list[str]] = defaultdict(list)
    for name in names:
        last[PurePosixPath(name).name].append(name)
    unique = {group[0]: part for part, group in last.items() if len(group) == 1}
    keys = {name: name if name in listed else unique.get(name, "") for name in names}
    return {name: listed[key] for name, key in keys.items() if key in listed}


def duplicate_sources(sources: Sequence[ImageSource]) -> list[tuple[str, ...]]:
    """Names of photos that are the same file, byte for byte; one tuple for each such file.

    Only files of equal size are read. A file that is missing is left out.
    """
    by_size: dict[int, list[ImageSource]] = defaultdict(list)
    for source in sources:
        if source.path.is_file():
            by_size[source.path.stat().st_size].append(source)
    groups: dict[str, list[str]] = defaultdict(list)
    for alike in by_size.values():
        for source in alike if len(alike) > 1 else ():
            groups[digest(source.path)].append(source.name)
    return sorted(tuple(sorted(names)) for names in groups.values() if len(names) > 1)


# ----------------------------------------------------------------------- splits
def assign_splits(
    subjects: Mapping[str, str] | Iterable[str],
    ratios: str = "0.8,0.1,0.1",
    seed: int = 0,
) -> dict[str, str]:
    """A split for each subject.

    Parameters
    ----------
    subjects : mapping of photo to subject, or iterable of subjects
        The mapping as `subject_of` gives it.
    ratios : str
        Shares of train, val and test, in this order, the last ones 0 where left out; or
        by name, ``train=0.9,test=0.1``. The numbers of subjects come as near as they can,
        and every share above 0 gets one at least.
    seed : int

    Returns
    -------
    dict of str to str
        Subjects in alphabetical order.

    Raises
    ------
    UsageError
        If the ratios are not numbers from 0 to 1 with the sum 1, or there are fewer
        subjects than splits.
    """
    shares = _ratios(ratios)
    order = _shuffled(subjects, seed)
    if len(order) < len(shares):
        raise UsageError(
            f"splits: expected at least {len(shares)} subjects for {', '.join(shares)}, got "
            f"{len(order)} ({_few(order)}); give more photos, say who is who with --subjects, "
            "or ask for fewer splits"
        )
    # One for each split first; the others where the shares are farthest from met.
    sizes = _at_least_one(list(shares.values()), len(order))
    found: dict[str, str] = {}
    for split, size in zip(shares, sizes, strict=True):
        found |= dict.fromkeys(order[len(found) : len(found) + size], split)
    return dict(sorted(found.items()))


def _at_least_one(shares: list[float], count: int) -> list[int]:
    sizes = apportion(shares, count, np.random.default_rng(0)).tolist()
    while 0 in sizes:
        surplus = [size - share * count if size > 1 else -math.inf
                   for size, share in zip(sizes, shares, strict=True)]  # fmt: skip
        sizes[surplus.index(max(surplus))] -= 1
        sizes[sizes.index(0)] += 1
    return [int(size) for size in sizes]


def _ratios(text: str) -> dict[str, float]:
    """Splits with a share above 0."""
    parts = [part.strip() for part in text.split(",")]
    named = [part.partition("=") for part in parts]
    if all(equals for _, equals, _ in named):
        pairs = [(name.strip(), value) for name, _, value in named]
    else:
        pairs = list(zip(SPLITS, parts, strict=False))
    wrong = len(parts) > len(SPLITS) or {name for name, _ in pairs} - set(SPLITS)
    try:
        shares = {name: float(value) for name, value in pairs}
    except ValueError:
        shares, wrong = {}, True
    if wrong or len(shares) != len(parts) or not all(0 <= s <= 1 for s in shares.values()):
        raise UsageError(
            "splits: expected up to three shares of 0 to 1 for train, val, test such as "
            f"0.8,0.1,0.1 or train=0.9,test=0.1, got {text!r}"
        )
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(
            f"splits: expected ratios with the sum 1, got {text} with the sum "
            f"{sum(shares.values()):g}"
        )
    return {name: shares[name] for name in SPLITS if shares.get(name, 0) > 0}


def _shuffled(subjects: Mapping[str, str] | Iterable[str], seed: int) -> list[str]:
    """Each subject once, in an order that depends on the seed and the names alone."""
    unique = set(subjects.values() if isinstance(subjects, Mapping) else subjects)
    if not unique:
        raise UsageError("subjects: expected at least one, got none")
    hashed = {name: hashlib.sha256(f"{seed}\0{name}".encode()).digest() for name in unique}
    return sorted(unique, key=hashed.__getitem__)


def kfold(
    subjects: Mapping[str, str] | Iterable[str], k: int = 5, seed: int = 0
) -> list[dict[str, str]]:
    """Splits for person-independent cross-validation: group k-fold.

    Parameters
    ----------
    subjects : mapping of photo to subject, or iterable of subjects
    k : int
        Number of folds, at least 2 and at most the number of subjects.
    seed : int

    Returns
    -------
    list of dict of str to str
        For each fold the split of every subject, ``test`` or ``train``. Each subject is
        in ``test`` in exactly one fold; folds differ by one subject at most.

    Raises
    ------
    UsageError
        If `k` is out of range.
    """
    order = _shuffled(subjects, seed)
    if not 2 <= k <= len(order):
        raise UsageError(
            f"folds: expected 2 to {len(order)} for {len(order)} subjects, got {k}; "
            "every fold needs a subject of its own"
        )
    return [
        dict(sorted((name, "test" if i % k == fold else "train") for i, name in enumerate(order)))
        for fold in range(k)
    ]
