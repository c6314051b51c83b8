"""A triangle mesh, its normals, and the files it comes from and goes to.

Files are read and written by `trimesh` without any clean-up: vertices keep their number and
order, because correspondence between meshes is nothing but that order.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError

__all__ = ["SUFFIXES", "Mesh", "list_meshes", "read_mesh", "vertex_normals", "write_mesh"]

Float = NDArray[np.float64]

#: File names that are taken for meshes.
SUFFIXES = (".obj", ".ply", ".stl", ".off", ".glb")


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh; every array is read-only.

    Attributes
    ----------
    vertices : (V, 3) float64
        In whatever unit and axes the file has.
    faces : (F, 3) int32
        Triangles, counter-clockwise seen from outside.
    colors : (V, 3) uint8 or None
        sRGB colour of each vertex.
    name : str
        File name without folder and suffix.
    """

    vertices: Float
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        v = np.ascontiguousarray(self.vertices, np.float64)
        f = np.ascontiguousarray(self.faces, np.int32)
        where = self.name or "mesh"
        if f.ndim != 2 or f.shape[1] != 3 or not len(f):
            raise MeshError(
                f"{where}: expected triangles, got none; export the mesh with its faces"
            )
        if v.ndim != 2 or v.shape[1] != 3:
            raise MeshError(f"{where}: expected vertices (V, 3), got {v.shape}; check the file")
        if not np.isfinite(v).all():
            raise MeshError(f"{where}: expected finite vertices, got NaN or infinity; clean it")
        if f.min() < 0 or f.max() >= len(v):
            raise MeshError(
                f"{where}: expected faces that index {len(v)} vertices, got {int(f.max())}; "
                "the file is damaged"
            )
        object.__setattr__(self, "vertices", v)
        object.__setattr__(self, "faces", f)
        for array in (v, f, self.colors):
            if array is not None:
                array.flags.writeable = False


def read_mesh(path: str | os.PathLike[str]) -> Mesh:
    """The mesh in an OBJ, PLY, STL, OFF or GLB file; vertices keep their order.

    Raises
    ------
    MeshError
        If the file is missing or unreadable, has no triangles, or has impossible numbers.
    """
    import trimesh

    path = Path(path)
    if not path.is_file():
        raise MeshError(f"{path}: expected a mesh file, got none")
    if path.suffix.lower() not in SUFFIXES:
        raise MeshError(f"{path}: expected a mesh ({', '.join(SUFFIXES)}), got {path.suffix!r}")
    try:
        found: Any = trimesh.load(path, process=False, maintain_order=True, force="mesh")
    except Exception as error:  # its readers raise whatever their parsers raise
        raise MeshError(
            f"{path}: expected a readable mesh, got {type(error).__name__}: {error}"
        ) from None
    faces = np.asarray(getattr(found, "faces", np.zeros((0, 3), np.int32)))
    colors = None
    if getattr(getattr(found, "visual", None), "kind", None) == "vertex":
        colors = np.ascontiguousarray(found.visual.vertex_colors[:, :3], np.uint8)
    return Mesh(np.asarray(found.vertices), faces, colors, path.stem)


def write_mesh(path: str | os.PathLike[str], mesh: Mesh) -> None:
    """Write a mesh whole or not at all; the format follows from the suffix."""
    import trimesh

    from synth.image_files import write_atomic

    path = Path(path)
    made = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False)
    data = made.export(file_type=path.suffix.lower().lstrip("."))
    write_atomic(path, data.encode() if isinstance(data, str) else bytes(data))


def list_meshes(folder: str | os.PathLike[str]) -> list[Path]:
    """Mesh files below a folder, sorted by their path.

    Raises
    ------
    MeshError
        If there is no such folder or no mesh in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MeshError(f"{folder}: expected a folder of meshes, got none")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise MeshError(f"{folder}: expected meshes ({', '.join(SUFFIXES)}), got none")
    return found


def vertex_normals(vertices: Float, faces: NDArray[np.integer]) -> Float:
    """(V, 3) area-weighted unit normals."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    n = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    corner = faces.ravel()
    out = np.column_stack([np.bincount(corner, n[:, x], len(vertices)) for x in range(3)])
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12))
