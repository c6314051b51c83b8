"""Photo files: finding the ones an input names, and writing whole files only."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.errors import UsageError

__all__ = ["EXTENSIONS", "ImageSource", "find_images", "write_atomic"]

#: Extensions taken from a folder, in any letter case.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class ImageSource:
    """A photo to read.

    Attributes
    ----------
    path : Path
    name : str
        Relative to the input it was found in, with ``/``; unique in one `find_images` result.
    """

    path: Path
    name: str


def find_images(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], recursive: bool = False
) -> list[ImageSource]:
    """The photos named by `inputs`, without duplicates, each input sorted by name.

    Parameters
    ----------
    inputs : one or more str or path
        A file (tried whatever its extension), a folder (photos with one of
        `EXTENSIONS`, hidden files skipped), a glob pattern (``**`` descends), or
        a ``.txt`` list with one path a line, relative to the list; empty lines
        and lines starting with ``#`` are skipped.
    recursive : bool
        Descend into the subfolders of a folder.

    Raises
    ------
    UsageError
        If an input does not exist or holds no photo. A path of a list that does
        not exist is kept: `load_image` reports it, so that it becomes a skip row.
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    sources: list[ImageSource] = []
    seen: set[Path] = set()
    names: set[str] = set()
    for item in inputs:
        root, paths = _expand(os.fspath(item), recursive)
        for path in paths:
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                name = _unique(_relative(path, root), real, names)
                sources.append(ImageSource(path, name))
    if not sources:
        raise UsageError("input: expected at least one photo, got none; name a file or a folder")
    return sources


def _expand(item: str, recursive: bool) -> tuple[Path, list[Path]]:
    """The root that names are relative to, and the files of one input."""
    path = Path(item).expanduser()
    if path.is_dir():
        found = path.rglob("*") if recursive else path.iterdir()
        files = _photos(found, path)
        if not files:
            more = "" if recursive else "; use recursive to look into its subfolders"
            raise UsageError(
                f"input: expected photos ({', '.join(EXTENSIONS)}) in the folder {item}, "
                f"got none{more}"
            )
        return path, files
    if path.is_file():
        return (path.parent, [path]) if path.suffix.lower() != ".txt" else _read_list(path)
    if glob.has_magic(item):
        root = Path(*_plain_parts(path))
        hits = (Path(hit) for hit in glob.glob(str(path), recursive=True))
        files = sorted(hit for hit in hits if hit.is_file())
        if not files:
            raise UsageError(f"input: expected files matching {item}, got none; check the pattern")
        return root, files
    raise UsageError(f"input: expected a file, folder or pattern, got {item}, which does not exist")


def _photos(found: Iterable[Path], root: Path) -> list[Path]:
    return sorted(
        path
        for path in found
        if path.suffix.lower() in EXTENSIONS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )


def _plain_parts(path: Path) -> list[str]:
    """The leading parts of a pattern without wildcards."""
    parts: list[str] = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _read_list(path: Path) -> tuple[Path, list[Path]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"input: expected a UTF-8 text list, got {path}; re-save it") from None
    entries = (line.strip() for line in lines)
    files = [
        path.parent / Path(entry).expanduser()
        for entry in entries
        if entry and not entry.startswith("#")
    ]
    if not files:
        raise UsageError(f"input: expected one path a line in {path}, got an empty list")
    return path.parent, files


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.name


def _unique(name: str, real: Path, names: set[str]) -> str:
    """`name`, with as many parent folders in front as it takes, then a number."""
    candidate, parents = name, list(real.parents)
    depth = name.count("/") + 1
    for parent in parents[depth - 1 : -1]:
        if candidate.casefold() not in names:
            break
        candidate = f"{parent.name}/{candidate}"
    number, stem = 2, Path(candidate)
    while candidate.casefold() in names:
        candidate = stem.with_stem(f"{stem.stem}-{number}").as_posix()
        number += 1
    names.add(candidate.casefold())
    return candidate


def write_atomic(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`: afterwards the file is whole, or as it was before.

    Writes to a hidden temporary name in the same folder, then ``os.replace``.
    An interrupt (Ctrl-C) removes the temporary file.

    Raises
    ------
    OSError
        If the folder is missing, full or not writable.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # Not tempfile.mkstemp: its files are readable by nobody else.
        with open(temporary, "xb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
