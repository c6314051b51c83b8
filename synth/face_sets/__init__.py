"""Labelled faces from whatever holds them, as a `synth.recognition.faces.FaceSet`.

`read_face_set` is the whole room; `sources` lists what it reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from synth.errors import AssetError, UsageError
from synth.face_sets.cut import cut_rows
from synth.face_sets.rows import FaceRow
from synth.face_sets.sources import GROUPS, TABLE, WAYS, Source, open_source
from synth.image_files import write_atomic
from synth.landmarks import get_detector
from synth.recognition.faces import FaceSet
from synth.records import Skip

__all__ = ["CROPS", "GROUPS", "TABLE", "WAYS", "join_sets", "read_face_set", "read_face_sets"]

CROPS = ("auto", "aligned", "as-is")
#: Of the files in the cache; a change makes them anew.
FORMAT = 1


def read_face_set(
    source: str | os.PathLike[str],
    *,
    size: int = 96,
    channels: int = 1,
    split: str | None = None,
    landmarks: str = "dlib",
    crop: str = "auto",
    points: bool = False,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FaceSet, list[Skip]]:
    """The faces of a set, cut out by the profile ``aligned``, and what could not be used.

    Parameters
    ----------
    source : str
        See `synth.face_sets.sources`.
    size : int
        Side of the crops, pixels.
    channels : {1, 3}
        Grey or colour; near-infrared pictures look the same in both.
    split : str, optional
        A part of the set; all of it when not given.
    landmarks : str
        Detector: a key of `synth.landmarks.DETECTORS`.
    crop : {"auto", "aligned", "as-is"}
        ``aligned``: find the face and align it. ``as-is``: the pictures are such crops
        already and are resized. ``auto``: as-is where the set's own run file says that it
        was made with ``--crop aligned``, else aligned.
    points : bool
        Find the landmarks in crops that are read as they are too; where faces are
        aligned they are known anyway.
    cache : Path, optional
        Folder for what was read; the same set is read from there the next time.
    progress : callable, optional
        Told how many of how many pictures are done.

    Returns
    -------
    FaceSet
    list of Skip
        A row for each picture without a face, or that cannot be read.

    Raises
    ------
    UsageError
        If the set or an option is not as expected, or no picture of it could be used.
    SynthError
        If a set of ``synth augment`` is damaged.
    """
    if crop not in CROPS:
        raise UsageError(f"crop: expected one of {', '.join(CROPS)}, got {crop!r}")
    if channels not in (1, 3):
        raise UsageError(f"channels: expected 1 (grey) or 3 (colour), got {channels}")
    found = open_source(os.fspath(source), split)
    as_is = crop == "as-is" or (crop == "auto" and found.crop == "aligned")
    detects = points or not as_is
    options = [FORMAT, size, channels, as_is, landmarks if detects else ""]
    kept = None if cache is None else cache / f"{_key(found, options)}.npz"
    if kept is not None and (known := _load(kept)) is not None:
        return known
    detector = get_detector(landmarks) if detects else None
    faces, skips = cut_rows(found.rows, size, channels, detector, as_is, progress)
    if not len(faces):
        raise UsageError(
            f"data: expected faces in {source}, got none in {len(found.rows)} pictures: "
            f"{skips[0].message}"
        )
    if kept is not None:
        _store(kept, faces, skips)
    return faces, skips


def read_face_sets(sources: Sequence[str], **options: object) -> tuple[FaceSet | None, list[Skip]]:
    """Several sets as one; None without any. Options as of `read_face_set`.

    Raises
    ------
    UsageError, SynthError
        See `read_face_set`.
    """
    made = [read_face_set(source, **options) for source in sources]  # type: ignore[arg-type]
    skips = [skip for _, found in made for skip in found]
    return (join_sets([faces for faces, _ in made]) if made else None), skips


def join_sets(sets: Sequence[FaceSet]) -> FaceSet:
    """All faces of several sets; names that recur are numbered by set, ``1/photo.jpg``."""
    names = [name for faces in sets for name in faces.names]
    if len(set(names)) < len(names):
        sets = [
            dataclasses.replace(faces, names=tuple(f"{number}/{n}" for n in faces.names))
            for number, faces in enumerate(sets)
        ]
    return sets[0].joined(*sets[1:])


# ----------------------------------------------------------------------------- cache
def _key(source: Source, options: Sequence[object]) -> str:
    """Of everything that decides the result: rows with their labels, files, options."""
    digest = hashlib.sha256(json.dumps(list(options)).encode())
    for row in source.rows:
        digest.update(repr(_facts(row)).encode())
    return digest.hexdigest()[:32]


def _facts(row: FaceRow) -> tuple[object, ...]:
    labels = (row.name, row.valence, row.arousal, row.label, row.subject, row.origin,
              row.spectrum, row.groups)  # fmt: skip
    # What a shard's bytes are fetched by is a `partial` of file, offset and size.
    place = (row.source,) if isinstance(row.source, Path) else getattr(row.source, "args", ())
    path = place[0] if place else Path()
    try:
        stat = path.stat()
    except OSError:
        return (*labels, str(path))
    return (*labels, str(path.resolve()), stat.st_size, stat.st_mtime_ns, *map(str, place[1:]))


def _load(path: Path) -> tuple[FaceSet, list[Skip]] | None:
    try:
        faces = FaceSet.load(path)
        skips = [Skip(**row) for row in json.loads(path.with_suffix(".json").read_text("utf-8"))]
    except (AssetError, OSError, ValueError, TypeError):
        return None  # made anew
    return faces, skips


def _store(path: Path, faces: FaceSet, skips: Sequence[Skip]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps([dataclasses.asdict(skip) for skip in skips])
        write_atomic(path.with_suffix(".json"), text.encode())
        faces.save(path)
    except OSError as error:
        raise UsageError(
            f"cache: expected a folder that can be written, got {path.parent} "
            f"({error.strerror or error}); name another"
        ) from None
