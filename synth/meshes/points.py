"""Points on a mesh from files: 3D landmarks of scans."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError

__all__ = ["POINT_SUFFIXES", "points_beside", "read_points", "write_points"]

Float = NDArray[np.float64]


def read_points(path: str | os.PathLike[str]) -> Float:
    """The points of a .txt, .csv, .npy, .json, .ljson or .pts file.

    Text has one point a line, three numbers apart by blanks, commas or semicolons; what follows
    ``#``, a line of column names and numbers or names before the three are skipped. ``nan`` (in
    JSON also null) is an absent point. Of .pts, the lines between the braces are read; of
    .ljson, menpo's ``landmarks.points`` or the first group.

    Returns
    -------
    (n, 3) float64
        In the file's unit; 68 are in the order of iBUG; NaN where absent.

    Raises
    ------
    MeshError
        If the file is missing or unreadable, or its points are not 3D.
    """
    path = Path(path)
    if not path.is_file():
        raise MeshError(f"{path}: expected a file of points, got none")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MeshError(f"{path}: expected points ({', '.join(_READERS)}), got {path.suffix!r}")
    try:
        points = np.asarray(reader(path), np.float64)
    except DAMAGED as error:
        raise MeshError(
            f"{path}: expected three numbers a point, got a file that has none ({error}); "
            "see `synth.meshes.points`"
        ) from None
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise MeshError(f"{path}: expected points (n, 3), got {points.shape}; landmarks are 3D")
    return np.where(np.isfinite(points).all(1, keepdims=True), points, np.nan)


def points_beside(folder: str | os.PathLike[str], name: str) -> Path | None:
    """The file of points below `folder` with a mesh's relative name, or None.

    Parameters
    ----------
    folder : path-like
    name : str
        Relative path of the mesh without its suffix, with ``/``.
    """
    for suffix in _READERS:
        if (path := Path(folder) / f"{name}{suffix}").is_file():
            return path
    return None


def write_points(path: str | os.PathLike[str], points: Float) -> None:
    """Write points as text, one a line, whole or not at all."""
    from synth.image_files import write_atomic

    lines = (" ".join(f"{x:.6g}" for x in row) for row in points)
    write_atomic(Path(path), ("\n".join(lines) + "\n").encode())


def _text(path: Path) -> list[list[float]]:
    return _rows(path.read_text("utf-8-sig").splitlines())


def _rows(lines: Iterable[str]) -> list[list[float]]:
    """The last three numbers of each line; a first line without numbers is a heading."""
    rows: list[list[float]] = []
    for line in lines:
        words = line.split("#")[0].replace(",", " ").replace(";", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words[-3:]]
        except ValueError:
            if rows:
                raise
            continue
        if len(row) != 3:
            raise ValueError(f"{len(row)} numbers in {line.strip()!r}")
        rows.append(row)
    return rows


def _pts(path: Path) -> list[list[float]]:
    text = path.read_text("utf-8-sig")
    if "{" not in text:
        return _rows(line for line in text.splitlines() if ":" not in line)
    return _rows(text.split("{", 1)[1].split("}", 1)[0].splitlines())


def _json(path: Path) -> Any:
    found: Any = json.loads(path.read_text("utf-8-sig"))
    if isinstance(found, dict) and isinstance(found.get("groups"), list):  # menpo's first version
        return _numbers([row["point"] for row in found["groups"][0]["landmarks"]])
    while isinstance(found, dict):
        key = next((k for k in ("groups", "landmarks", "points") if k in found), None)
        found = found[key] if key else list(found.values())[0]
    return _numbers(found)


def _numbers(rows: Any) -> list[list[float]]:
    return [[np.nan if x is None else float(x) for x in (row or [None] * 3)] for row in rows]


_READERS: dict[str, Callable[[Path], Any]] = {
    ".txt": _text,
    ".csv": _text,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".json": _json,
    ".ljson": _json,
    ".pts": _pts,
}
#: What these raise for files that are no points, or cut.
DAMAGED = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    TokenError,  # the header of an .npy is read as Python
)
#: File names that are taken for points.
POINT_SUFFIXES = tuple(_READERS)
