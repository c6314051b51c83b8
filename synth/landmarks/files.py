"""The user's own points: ``.pts`` and ``.ljson`` files, read through menpo.

A PTS file counts pixels from 1, x first; menpo turns that into (y, x) from 0,
and this module into the package's (x, y) from 0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import ShapeError, SkipPhoto, UsageError
from synth.image_files import ImageSource, write_atomic
from synth.optional import require
from synth.types import FaceImage, Landmarks

__all__ = ["EXTENSIONS", "FileDetector", "read_points", "write_pts"]

Float = NDArray[np.float64]

EXTENSIONS = (".pts", ".ljson")


class FileDetector:
    """Reads the points of a photo from the file of the same name.

    Looked for are, in this order, in `folder` when given, else beside the photo:
    ``NAME.pts``, ``NAME.ljson``, ``NAME.jpg.pts``, ``NAME.jpg.ljson``.

    Parameters
    ----------
    folder : path, optional
        May mirror the subfolders of the input, or be flat.
    sources : sequence of ImageSource
        The photos of the run; says where each photo lies.
    """

    name = "file"

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        sources: Sequence[ImageSource] = (),
    ) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"landmarks: expected a folder after file:, got {folder}")
        self.paths = {source.name: source.path for source in sources}

    def detect(self, image: FaceImage) -> list[Landmarks]:
        """The one face of the points file.

        Raises
        ------
        SkipPhoto
            ``NO_FACE`` if there is no such file or it does not hold 68 points.
        """
        path = self._find(image.name)
        try:
            points = read_points(path)
        except ShapeError as error:
            raise SkipPhoto("NO_FACE", str(error)) from None
        box = np.concatenate([points.min(axis=0), points.max(axis=0)])
        return [Landmarks(points=points, detector=f"file:{path.name}", box=box)]

    def _find(self, name: str) -> Path:
        photo = self.paths.get(name, Path(name))
        if self.folder is None:
            stems = [photo]
        else:
            stems = [self.folder / name, self.folder / photo.name]
        tried = [
            path
            for stem in stems
            for path in (
                *(stem.with_suffix(extension) for extension in EXTENSIONS),
                *(stem.with_name(stem.name + extension) for extension in EXTENSIONS),
            )
        ]
        for path in tried:
            if path.is_file():
                return path
        where = self.folder or photo.parent
        raise SkipPhoto(
            "NO_FACE",
            f"{name}: expected its 68 points in {where} as {tried[0].name} or {tried[1].name}, "
            "got no such file",
        )


def read_points(path: str | os.PathLike[str]) -> Float:
    """The (68, 2) points of a ``.pts`` or ``.ljson`` file, x right, y down, from 0.

    Raises
    ------
    ShapeError
        If the file is damaged, or does not hold 68 finite 2-D points.
    DependencyError
        If menpo is missing.
    """
    io = require("menpo.io", extra="menpo", hint="pip install menpo")
    path = Path(path)
    try:
        groups = io.import_landmark_file(path)
        rows = [_rows(group) for group in groups.values()]
    except Exception as error:  # menpo reports a bad file in many ways
        raise ShapeError(
            f"{path.name}: expected a readable {path.suffix} file, got "
            f"{type(error).__name__} ({error})"
        ) from None
    # An LJSON file may hold several groups, such as pupils beside the face.
    for points in rows:
        if points.shape == (68, 2) and np.isfinite(points).all():
            return np.ascontiguousarray(points[:, ::-1])
    got = ", ".join(str(points.shape) for points in rows) or "none"
    raise ShapeError(f"{path.name}: expected 68 finite points (iBUG), got {got}")


def _rows(group: Any) -> Float:
    return np.asarray(group.points, np.float64)


def write_pts(path: str | os.PathLike[str], points: ArrayLike) -> None:
    """Write points as a PTS file, which counts pixels from 1.

    Parameters
    ----------
    path : path
    points : (N, 2) float
        Pixels, x right, y down, from 0.
    """
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ShapeError(f"points: expected (N, 2) pixels, got {array.shape}")
    lines = [f"{x:.6f} {y:.6f}" for x, y in array + 1]
    text = "\n".join(["version: 1", f"n_points: {len(lines)}", "{", *lines, "}", ""])
    write_atomic(path, text.encode())
