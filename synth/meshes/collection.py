"""Many meshes in correspondence: a folder of files, or one ``.npy`` stack.

Vertex 17 is the same point of every mesh, because all have the same triangles. Meshes are read
when they are asked for, some at a time, so that a collection may be larger than memory. A
stack is read with plain reads and not through a memory map, whose pages would count as memory
used and be dropped only when the system likes.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError
from synth.meshes.mesh import list_meshes, read_mesh

__all__ = ["MeshCollection", "open_collection"]

Index = slice | NDArray[np.integer] | list[int] | int

#: Root of the sum of squares of a mesh's coordinates from which it is not believed.
LARGEST = 1e9


@dataclass(frozen=True, eq=False)
class MeshCollection:
    """Meshes of one topology, read on demand; made by `open_collection`.

    Attributes
    ----------
    source : Path
        The folder or the stack.
    names : tuple of N str
        Path below the folder without suffix, with ``/``; of a stack what its table says.
    faces : (F, 3) int32 or None
        Triangles of every mesh; None where a stack comes without them.
    n_vertices : int
        Vertices V of every mesh.
    rows : (N,) int64
        Number of each mesh in the source.
    files : tuple of Path
        All files of a folder; empty for a stack.
    """

    source: Path
    names: tuple[str, ...]
    faces: NDArray[np.int32] | None
    n_vertices: int
    rows: NDArray[np.int64]
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: Index) -> NDArray[np.float32]:
        """(n, V, 3) float32 vertices of some meshes, in the order asked for.

        Parameters
        ----------
        index : slice, (n,) int or int

        Raises
        ------
        MeshError
            If a file cannot be read or has another topology, or a vertex is NaN or infinite.
        """
        chosen = np.atleast_1d(np.arange(len(self))[index])
        out = self._from_files(chosen) if self.files else self._from_stack(chosen)
        # One pass and no (n, V, 3) of booleans; NaN is not less than anything.
        good = np.einsum("nvc,nvc->n", out, out) < LARGEST**2
        if not good.all():
            name = self.names[chosen[np.flatnonzero(~good)[0]]]
            raise MeshError(
                f"{self.source}: expected finite vertices, got NaN or infinity in {name!r}, or "
                f"numbers like {LARGEST:g}; leave this mesh out or repair it"
            )
        return out

    def take(self, index: Index) -> MeshCollection:
        """The collection of some of the meshes, in the order given."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        names = tuple(self.names[i] for i in chosen)
        return replace(self, names=names, rows=self.rows[chosen])

    def blocks(self, count: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """All meshes in order, at most `count` at a time, each with where it lies."""
        for start in range(0, len(self), max(1, count)):
            place = slice(start, min(start + max(1, count), len(self)))
            yield place, self.read(place)

    def columns(self, part: slice) -> NDArray[np.float32]:
        """(N, v, 3) float32: some vertices of all meshes, for passes over vertices.

        Only for stacks (see `stacked`): of a folder every file would be read each time. The
        numbers are not checked; a pass with `read` does.
        """
        if self.files:
            raise MeshError(f"{self.source}: expected a stack, got a folder; make one of it")
        _, dtype, offset = _header(self.source)
        first, last, _ = part.indices(self.n_vertices)
        out = np.empty((len(self), last - first, 3), dtype)
        row, start = self.n_vertices * 3 * dtype.itemsize, offset + first * 3 * dtype.itemsize
        with open(self.source, "rb", buffering=0) as file:
            for i, number in enumerate(self.rows):
                if os.preadv(file.fileno(), [out[i].data], start + int(number) * row) != (
                    out[i].nbytes
                ):
                    raise MeshError(f"{self.source}: expected {len(self)} meshes, got fewer")
        return out.astype(np.float32, copy=False)

    def stacked(self, path: Path, progress: Callable[[int], None] | None = None) -> MeshCollection:
        """The same meshes as a stack, which is written to `path`; a stack stays what it is.

        `progress` is called with the number of files just read.
        """
        if not self.files:
            return self
        out = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=(len(self), self.n_vertices, 3)
        )
        for place, vertices in self.blocks(64):
            out[place] = vertices
            if progress is not None:
                progress(len(vertices))
        out.flush()
        del out
        return replace(self, source=path, files=(), rows=np.arange(len(self)))

    def _from_files(self, chosen: NDArray[np.integer]) -> NDArray[np.float32]:
        out = np.empty((len(chosen), self.n_vertices, 3), np.float32)
        for place, i in enumerate(chosen):
            mesh = read_mesh(self.files[self.rows[i]])
            assert self.faces is not None
            if len(mesh.vertices) != self.n_vertices or not np.array_equal(mesh.faces, self.faces):
                raise MeshError(
                    f"{self.files[self.rows[i]]}: expected the topology of {self.files[0].name} "
                    f"({self.n_vertices} vertices, {len(self.faces)} triangles), got another "
                    f"({len(mesh.vertices)}, {len(mesh.faces)}); register it to the same template"
                )
            out[place] = mesh.vertices
        return out

    def _from_stack(self, chosen: NDArray[np.integer]) -> NDArray[np.float32]:
        rows = self.rows[chosen]
        shape, dtype, offset = _header(self.source)
        size = self.n_vertices * 3
        out = np.empty((len(rows), self.n_vertices, 3), np.float32)
        ends = np.flatnonzero(np.diff(rows) != 1) + 1  # runs of neighbours are one read
        with open(self.source, "rb", buffering=0) as file:
            for run in np.split(np.arange(len(rows)), ends):
                if not len(run):
                    continue
                file.seek(offset + int(rows[run[0]]) * size * dtype.itemsize)
                part = np.fromfile(file, dtype, len(run) * size)
                if len(part) != len(run) * size:
                    raise MeshError(f"{self.source}: expected {shape}, got fewer; the file is cut")
                out[run] = part.reshape(-1, self.n_vertices, 3)
        return out


def open_collection(path: str | os.PathLike[str]) -> MeshCollection:
    """The meshes in a folder or in a stack.

    Parameters
    ----------
    path : path-like
        A folder of mesh files of one topology, searched with its subfolders and sorted by
        name; or an array ``STACK.npy`` (N, V, 3) of float. Beside a stack there may be
        ``STACK.csv`` with a column ``file_name`` (otherwise meshes are called 000000,
        000001, ...), and ``STACK.faces.npy`` (F, 3).

    Raises
    ------
    MeshError
        If there is nothing there, the stack is not (N, V, 3) of float, two meshes have one
        name, or its table or triangles do not fit.
    """
    path = Path(path)
    if path.is_file() and path.suffix.lower() == ".npy":
        return _open_stack(path)
    if path.is_file():
        raise MeshError(f"{path}: expected a folder of meshes or a stack (.npy), got another file")
    files = list_meshes(path)
    named = {file: file.relative_to(path).with_suffix("").as_posix() for file in files}
    names = tuple(sorted(named.values()))
    for first, second in zip(names, names[1:], strict=False):
        if first == second:
            raise MeshError(f"{path}: expected one mesh of a name, got two of {first!r}")
    files.sort(key=named.__getitem__)
    mesh = read_mesh(files[0])
    return MeshCollection(
        path, names, mesh.faces, len(mesh.vertices), np.arange(len(files)), tuple(files)
    )


def _header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape, type and start of the numbers of an ``.npy`` file."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
            start = file.tell()
    except (OSError, ValueError, TokenError) as error:
        raise MeshError(f"{path}: expected an .npy array, got {error}") from None
    if len(shape) != 3 or shape[2] != 3 or dtype.kind != "f" or fortran:
        order = " in column order" if fortran else ""
        raise MeshError(
            f"{path}: expected meshes (N, V, 3) of float, got {shape} of {dtype}{order}; "
            "save them with numpy.save"
        )
    if path.stat().st_size < start + math.prod(shape) * dtype.itemsize:
        raise MeshError(f"{path}: expected {shape} of {dtype}, got fewer; the file is cut")
    return shape, dtype, start


def _open_stack(path: Path) -> MeshCollection:
    (count, vertices, _), _, _ = _header(path)
    if not count or not vertices:
        raise MeshError(f"{path}: expected meshes, got none")
    names = tuple(f"{i:06d}" for i in range(count))
    table = path.with_suffix(".csv")
    if table.is_file():
        names = _names(table, count)
    faces = None
    triangles = path.with_suffix(".faces.npy")
    if triangles.is_file():
        try:
            found = np.load(triangles, allow_pickle=False)
        except (OSError, ValueError, EOFError, TokenError) as error:
            raise MeshError(f"{triangles}: expected an .npy array, got {error}") from None
        if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iu" or not len(found):
            raise MeshError(f"{triangles}: expected triangles (F, 3) of int, got {found.shape}")
        if found.min() < 0 or found.max() >= vertices:
            raise MeshError(
                f"{triangles}: expected triangles of {vertices} vertices, got vertex "
                f"{int(found.max())}; it belongs to another stack"
            )
        faces = found.astype(np.int32)
    return MeshCollection(path, names, faces, vertices, np.arange(count))


def _names(table: Path, count: int) -> tuple[str, ...]:
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            found = [row.get("file_name") for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MeshError(f"{table}: expected a readable table of names, got {error}") from None
    if any(not name for name in found):
        raise MeshError(f"{table}: expected a column file_name, got rows without it")
    if len(found) != count or len(set(found)) != count:
        raise MeshError(
            f"{table}: expected {count} names, one a mesh, got {len(found)} rows with "
            f"{len(set(found))} names"
        )
    return tuple(str(name) for name in found)
