"""Which translation belongs to which photo, and whose face it is."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.color import COLOURED, chroma
from synth.errors import SkipPhoto, UsageError
from synth.evaluation.concordance import name_key
from synth.images import find_images, load_image

__all__ = ["Match", "list_pictures", "match_pictures", "read_grey", "read_people"]

#: A run of ``synth`` keeps its pictures' names and where they come from here.
MANIFEST = "metadata.csv"
#: What ``synth translate`` adds to the stem of a photo.
SUFFIXES = ("_nir", "_vis")


@dataclass(frozen=True)
class Match:
    """A photo and its translation.

    Attributes
    ----------
    key : str
        Their common name, without extension.
    photo, translated : Path
    """

    key: str
    photo: Path
    translated: Path


def list_pictures(folder: Path, what: str) -> dict[str, Path]:
    """Pictures of a folder and its subfolders by `name_key`.

    Raises
    ------
    UsageError
        If the folder is missing or empty, or two names only differ in their extension.
    """
    if not folder.is_dir():
        raise UsageError(f"{what}: expected a folder, got none at {folder}")
    try:
        sources = find_images(folder, recursive=True)
    except UsageError:
        raise UsageError(f"{what}: expected pictures in {folder}, got none") from None
    found: dict[str, Path] = {}
    for source in sources:
        key = name_key(source.name)
        if key in found:
            raise UsageError(
                f"{what}: expected names that differ in more than their extension, got "
                f"{found[key].name} and {source.path.name}"
            )
        found[key] = source.path
    return found


def match_pictures(vis: Path, translated: Path) -> tuple[list[Match], list[str]]:
    """Photos with their translations by name, and photos that have none.

    Names agree without their extension and a final ``_nir``; in a run's folder, as
    ``synth translate`` writes it, ``metadata.csv`` says what belongs together.

    Raises
    ------
    UsageError
        If a folder is missing or empty, nothing belongs together, or a photo has
        several translations.
    """
    photos = list_pictures(vis, "vis")
    sources = _sources(translated)
    others: dict[str, Path] = {}
    for key, path in list_pictures(translated, "translated").items():
        source = sources.get(key) or key
        if source not in photos:
            source = next((source.removesuffix(s) for s in SUFFIXES if source.endswith(s)), source)
        if source not in photos:
            continue
        if source in others:
            raise UsageError(
                f"translated: expected one translation of {photos[source].name}, got "
                f"{others[source].name} and {path.name}"
            )
        others[source] = path
    if not others:
        raise UsageError(
            f"translated: expected names of {vis} ({', '.join(sorted(photos)[:3])}, ...), got "
            f"none of them in {translated}"
        )
    matches = [Match(key, photos[key], others[key]) for key in sorted(others)]
    return matches, sorted(set(photos) - set(others))


def _sources(folder: Path) -> dict[str, str]:
    """Picture -> photo it was made of, by `name_key`, where the folder says so."""
    file = folder / MANIFEST
    if not file.is_file():
        return {}
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    return {
        name_key(row["file_name"]): name_key(row["source"])
        for row in rows
        if row.get("file_name") and row.get("source")
    }


def read_grey(path: Path, what: str) -> NDArray[np.uint8]:
    """(H, W) a near-infrared picture.

    Raises
    ------
    UsageError
        If it is unreadable or has colour.
    """
    try:
        pixels = load_image(path).pixels
    except SkipPhoto as error:
        raise UsageError(f"{what}: {error}") from None
    if chroma(pixels) > COLOURED:
        raise UsageError(
            f"{what}: expected grey pictures, got colour in {path.name}; is this the folder of "
            "the visible photos?"
        )
    return np.ascontiguousarray(pixels[..., 1])


def read_people(file: Path) -> dict[str, str]:
    """Person of each picture by `name_key`.

    Parameters
    ----------
    file : Path
        CSV with ``file_name`` and ``person`` (or ``subject``).

    Raises
    ------
    UsageError
        If the file or a column is missing.
    """
    if not file.is_file():
        raise UsageError(f"labels: expected a CSV file, got none at {file}")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        columns = reader.fieldnames or []
        person = next((name for name in ("person", "subject") if name in columns), None)
        if "file_name" not in columns or person is None:
            raise UsageError(
                f"labels: expected columns file_name and person in {file.name}, got "
                f"{', '.join(columns) or 'none'}"
            )
        return {name_key(row["file_name"]): row[person] for row in reader if row[person]}


def people_of(
    keys: Sequence[str], people: Mapping[str, str] | None, what: str, every: bool
) -> list[str]:
    """Person of each picture; of one that is not listed, its own name.

    Raises
    ------
    UsageError
        If `every` picture should be listed and one is not.
    """
    known = people or {}
    listed = [known.get(key) or known.get(key.rpartition("/")[2]) for key in keys]
    if every and people and (missing := [k for k, p in zip(keys, listed, strict=True) if not p]):
        raise UsageError(
            f"labels: expected the person of every picture in {what}, got none for "
            f"{len(missing)} of {len(keys)}, such as {missing[0]}"
        )
    return [person or key for key, person in zip(keys, listed, strict=True)]
