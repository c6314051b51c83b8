"""A `MorphableModel` on a mesh of its own, from bare statistics and 68 landmarks.

What importers and the model builder have is a mean, modes and landmarks in some axes; what the
package works with has the axes of the house, texture coordinates, jaw contours and a mirror
map. `native_model` makes the one from the other, `save_model` writes the file that
`synth.morphable.model.load_model` reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.archives import write_npz
from synth.errors import MeshError, ShapeError
from synth.meshes.mesh import Mesh, vertex_normals
from synth.meshes.rigid import similarity
from synth.morphable.derived import cylindrical_uv, jaw_contours, mirror_map
from synth.morphable.landmark_map import (
    as_places,
    complete_places,
    embedded_model,
    read_landmark_map,
)
from synth.morphable.model import PART_NAMES, MorphableModel

__all__ = ["native_model", "read_landmark_map", "save_model", "topology_digest"]

Float = NDArray[np.float64]
Int = NDArray[np.int32]
Places = tuple[ArrayLike, ArrayLike]

#: Millimetres between the outer eye corners of any face that is one.
INTER_OCULAR = (60.0, 120.0)
#: Millimetres from the eyes at which no vertex of a person is.
FARTHEST = 1e4


def native_model(
    name: str,
    version: str,
    mean: ArrayLike,
    faces: ArrayLike,
    modes: ArrayLike,
    sigma: ArrayLike,
    landmarks: ArrayLike | Places,
    *,
    blendshapes: ArrayLike | None = None,
    blendshape_names: Sequence[str] = (),
    parts: ArrayLike | None = None,
    unit: float = 1.0,
    meta: Mapping[str, Any] | None = None,
) -> MorphableModel:
    """A morphable model in the axes of the house, with everything the package needs of one.

    The mean is turned so that its landmarks lie as those of the embedded model do, and put
    with the origin between its outer eye corners; modes and blendshapes turn along. Triangles
    that look inwards are turned round.

    Parameters
    ----------
    name, version : str
    mean : (V, 3) float
        Mean face, right-handed axes.
    faces : (F, 3) int
    modes : (K, V, 3) float
        Per standard deviation (already times sigma), in the mean's axes; K may be 0.
    sigma : (K,) float
        Standard deviation along each unit mode, in the mean's unit.
    landmarks : (68,) int, or triangles (68,) int with weights (68, 3) float
        iBUG-68 as vertices, or as places in triangles; -1 where not known, which is then
        found by geometry and noted in `meta`.
    blendshapes : (E, V, 3) float, optional
        Per unit weight, in the mean's axes.
    blendshape_names : sequence of E str
    parts : (F,) int, optional
        Indices into `synth.morphable.model.PART_NAMES`; all skin if not given.
    unit : float
        Millimetres of one unit of the mean.
    meta : mapping, optional
        Licence, source and so on; plain values, as they go to JSON.

    Raises
    ------
    MeshError
        If the mesh or the landmarks are impossible, or the outer eye corners are not 60 to
        120 mm apart.
    ShapeError
        If arrays do not belong together.
    """
    mesh = Mesh(np.array(mean, np.float64) * unit, np.array(faces, np.int32), name=name)
    modes, sigma, shapes = _checked(mesh, modes, sigma, blendshapes, blendshape_names)
    labels = np.zeros(len(mesh.faces), np.uint8) if parts is None else np.array(parts, np.uint8)
    if labels.shape != (len(mesh.faces),) or labels.max(initial=0) >= len(PART_NAMES):
        raise ShapeError(
            f"parts: expected {len(mesh.faces)} indices into PART_NAMES, got {labels.shape}"
        )
    places, bary = _places(landmarks, mesh.faces)
    skin = np.flatnonzero(labels <= 1)
    places, bary, found = _completed(mesh, skin, places, bary)
    turned, rotation = _in_house_axes(mesh, places, bary)
    if not np.abs(turned).max() < FARTHEST:
        raise MeshError(
            f"{name}: expected vertices within {FARTHEST / 1000:g} m of the eyes, got one "
            f"{np.abs(turned).max() / 1000:.3g} m away; the file is damaged"
        )
    triangles = mesh.faces.copy()
    if _looks_inwards(turned, triangles, skin, places):
        triangles, bary = triangles[:, ::-1].copy(), bary[:, ::-1].copy()
    eyes = np.einsum("lc,lcx->lx", bary, turned[triangles[places]])[[36, 45]]
    on_skin = np.searchsorted(skin, places)
    return MorphableModel(
        name=name,
        version=version,
        mean=turned,
        modes=_turned(modes, rotation, unit),
        sigma=sigma * unit,
        blendshapes=_turned(shapes, rotation, unit),
        blendshape_names=tuple(blendshape_names),
        faces=triangles,
        parts=labels,
        part_names=PART_NAMES,
        uv=cylindrical_uv(turned, float(np.linalg.norm(eyes[0] - eyes[1]))),
        landmark_faces=places,
        landmark_bary=bary,
        mirror=mirror_map(turned, triangles),
        contour=jaw_contours(turned, triangles[skin], on_skin.astype(np.int32), bary),
        meta=MappingProxyType(
            dict(meta or {})
            | {"name": name, "version": version}
            | ({"landmarks_found_by_geometry": found} if found else {})
        ),
    )


def save_model(model: MorphableModel, path: str | PathLike[str]) -> None:
    """Write a model, whole or not at all, as the ``.npz`` that `load_model` reads.

    The carrier, where the model has one, is stored with it as ``carrier_*``.
    """
    meta = dict(model.meta) | {"name": model.name, "version": model.version}
    arrays: dict[str, NDArray[Any]] = {
        "mean": model.mean,
        "modes": model.modes,
        "sigma": model.sigma,
        "blendshapes": model.blendshapes,
        "blendshape_names": np.array(model.blendshape_names, dtype=np.str_),
        "faces": model.faces,
        "parts": model.parts,
        "part_names": np.array(model.part_names),
        "uv": model.uv.astype(np.float32),
        "landmark_faces": model.landmark_faces,
        "landmark_bary": model.landmark_bary,
        "mirror": model.mirror,
        "contour": model.contour,
        "meta": np.array(json.dumps(meta, sort_keys=True)),
    }
    if model.carrier is not None:
        arrays |= model.carrier.arrays()
    write_npz(Path(path), arrays, level=1)


def topology_digest(faces: ArrayLike) -> str:
    """Hex sha256 of the triangles as int32: two meshes in correspondence have the same."""
    return hashlib.sha256(np.ascontiguousarray(faces, "<i4").tobytes()).hexdigest()


def _checked(
    mesh: Mesh,
    modes: ArrayLike,
    sigma: ArrayLike,
    blendshapes: ArrayLike | None,
    names: Sequence[str],
) -> tuple[NDArray[np.float32], Float, NDArray[np.float32]]:
    """Modes (K, V, 3), sigma (K,) and blendshapes (E, V, 3), or a ShapeError."""
    v = len(mesh.vertices)
    k = np.array(modes, np.float32)
    k = k.reshape(0, v, 3) if k.size == 0 else k
    e = np.array([] if blendshapes is None else blendshapes, np.float32)
    e = e.reshape(0, v, 3) if e.size == 0 else e
    s = np.array(sigma, np.float64).reshape(-1)
    for what, array, count in (("modes", k, len(s)), ("blendshapes", e, len(names))):
        if array.shape != (count, v, 3) or not np.isfinite(array).all():
            raise ShapeError(
                f"{what}: expected {(count, v, 3)} finite numbers, got {array.shape}; "
                "they belong to another mesh or the file is damaged"
            )
    if not np.isfinite(s).all() or (s < 0).any() or len(set(names)) != len(names):
        raise ShapeError(
            "sigma, blendshape_names: expected standard deviations >= 0 and names without repeats"
        )
    return k, s, e


def _places(landmarks: ArrayLike | Places, faces: Int) -> tuple[Int, Float]:
    """Triangles (68,), -1 where not known, and weights (68, 3)."""
    if not isinstance(landmarks, tuple):
        return as_places(np.asarray(landmarks), faces)
    places, bary = np.array(landmarks[0], np.int32), np.array(landmarks[1], np.float64)
    sound = places.shape == (68,) and bary.shape == (68, 3) and places.max() < len(faces)
    if not sound or bary.min() < -1e-4 or np.abs(bary[places >= 0].sum(1) - 1).max() > 1e-4:
        raise MeshError(
            "landmarks: expected 68 triangles of the mesh with weights >= 0 of sum 1, got others; "
            "give the map that belongs to this topology"
        )
    return places, np.maximum(bary, 0)


def _completed(
    mesh: Mesh, skin: NDArray[np.intp], places: Int, bary: Float
) -> tuple[Int, Float, list[int]]:
    """Landmarks on the skin, all 68, and which of them were found by geometry."""
    position = np.full(len(mesh.faces) + 1, -1, np.int32)  # the last one for "not known"
    position[skin] = np.arange(len(skin))
    lost = np.flatnonzero((places >= 0) & (position[places] < 0))
    if len(lost):  # a vertex shared with another part, or not skin at all: nearest on the skin
        places = places.copy()
        places[lost] = -1
    local, bary, found = complete_places(mesh.vertices, mesh.faces[skin], position[places], bary)
    return skin[local].astype(np.int32), bary, found


def _in_house_axes(mesh: Mesh, places: Int, bary: Float) -> tuple[Float, Float]:
    """The mean (V, 3) in the axes of the house, and the rotation (3, 3) that took it there."""
    points = np.einsum("lc,lcx->lx", bary, mesh.vertices[mesh.faces[places]])
    gap = float(np.linalg.norm(points[36] - points[45]))
    low, high = INTER_OCULAR
    if not low <= gap <= high:
        raise MeshError(
            f"{mesh.name or 'mean'}: expected outer eye corners {low:.0f} to {high:.0f} mm apart, "
            f"got {gap:.4g}; the unit of the file or the landmark map is another"
        )
    model = embedded_model()
    _, rotation, _ = similarity(points, model.landmarks(model.mean))
    turned = mesh.vertices @ rotation.T
    return turned - (points @ rotation.T)[[36, 45]].mean(0), rotation


def _looks_inwards(mean: Float, faces: Int, skin: NDArray[np.intp], places: Int) -> bool:
    """Whether the triangles are clockwise from outside, as the nose and mouth tell."""
    normals = vertex_normals(mean, faces[skin])
    return bool(np.median(normals[faces[places[27:68]]][..., 2]) < 0)


def _turned(offsets: NDArray[np.float32], rotation: Float, unit: float) -> NDArray[np.float32]:
    return offsets @ (rotation.T * unit).astype(np.float32)
