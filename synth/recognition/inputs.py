"""What the inputs of ``synth infer`` name: photos and videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from synth.image_files import EXTENSIONS, ImageSource, find_images

__all__ = ["FILMS", "Inputs", "find_inputs", "is_film"]

#: Extensions of videos taken from a folder, in any letter case.
FILMS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv",
         ".3gp")  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Photos and videos, with names that no two of them share.

    Attributes
    ----------
    photos, films : tuple of ImageSource
    """

    photos: tuple[ImageSource, ...]
    films: tuple[ImageSource, ...]


def is_film(path: Path) -> bool:
    """Whether the extension is one of `FILMS`."""
    return path.suffix.lower() in FILMS


def find_inputs(inputs: Sequence[str], recursive: bool = False, limit: int | None = None) -> Inputs:
    """The photos and videos named by `inputs`.

    As `synth.image_files.find_images`, which see, but folders give their videos too.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns or ``.txt`` lists.
    recursive : bool
        Descend into the subfolders of a folder.
    limit : int, optional
        Only the first so many, photos before videos of one folder.

    Raises
    ------
    UsageError
        If an input does not exist, or holds neither.
    """
    named: list[str] = []
    for item in inputs:
        folder = Path(item).expanduser()
        if not folder.is_dir():
            named.append(item)
            continue
        films = _films(folder, recursive)
        if not films or _has_photos(folder, recursive):
            named.append(item)  # complains where there is neither
        named += [str(film) for film in films]
    found = find_images(named, recursive)[:limit]
    films_too = tuple(source for source in found if is_film(source.path))
    return Inputs(tuple(s for s in found if not is_film(s.path)), films_too)


def _films(folder: Path, recursive: bool) -> list[Path]:
    return sorted(path for path in _files(folder, recursive) if is_film(path))


def _has_photos(folder: Path, recursive: bool) -> bool:
    return any(path.suffix.lower() in EXTENSIONS for path in _files(folder, recursive))


def _files(folder: Path, recursive: bool) -> Iterable[Path]:
    """Files of a folder, hidden ones left out."""
    for path in folder.rglob("*") if recursive else folder.iterdir():
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path
