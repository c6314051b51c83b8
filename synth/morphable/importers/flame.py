"""FLAME 2017, 2020 and 2023 (``generic_model.pkl``, ``flame2023.pkl``, or the same as ``.npz``).

``v_template (V, 3)`` in metres, ``f (F, 3)``, ``shapedirs (V, 3, 400)``: 300 identity and then 100
expression directions, each per standard deviation, ``J_regressor (5, V)``, ``posedirs (V, 3, 36)``,
``kintree_table (2, 5)``, skinning ``weights (V, 5)`` [1]_. The pickle is read as data: neither
chumpy nor scipy's classes are needed or run.

The jaw is a joint in FLAME: its opening is baked as the blendshape ``jawOpen``, skinned about the
jaw joint with its pose corrective, so that neutral and open can be told apart by weights alone.

References
----------
.. [1] Li et al., "Learning a model of facial shape and expression from 4D scans", SIGGRAPH Asia
   2017.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.meshes.mesh import Mesh
from synth.morphable.importers.pickles import dense, load_pickle, loads
from synth.morphable.importers.raw import Raw, refuse, shipped_map
from synth.morphable.model import PART_NAMES

__all__ = ["JAW_OPEN", "jaw_open", "read"]

VERTICES = 5023
SHAPES = 300  # of the directions, the first; the others are expressions
JAW = 2  # joints: head, neck, jaw, two eyes
#: Radians of the jaw at weight 1 of jawOpen: as far as the embedded model's.
JAW_OPEN = 0.35

Float = NDArray[np.float64]


def read(path: Path) -> Raw:
    """The model in a ``.pkl`` or ``.npz`` file."""
    found = _npz(path) if path.suffix == ".npz" else load_pickle(path)
    if not isinstance(found, dict):
        raise refuse(path, "the dictionary of a FLAME model", type(found).__name__)
    arrays = {str(k): a for k, v in found.items() if (a := dense(v)) is not None}
    missing = [k for k in ("v_template", "f", "shapedirs") if k not in arrays]
    if missing:
        raise refuse(path, f"a FLAME model with {', '.join(missing)}", f"{sorted(found)[:12]}")
    mean = arrays["v_template"].astype(np.float64)
    directions, faces = arrays["shapedirs"], arrays["f"].astype(np.int64)
    if mean.ndim != 2 or directions.ndim != 3 or directions.shape[:2] != mean.shape:
        raise refuse(path, "shapedirs (V, 3, N)", f"{directions.shape} for {mean.shape}")
    Mesh(mean, faces.astype(np.int32), name=path.name)
    modes = np.moveaxis(directions, 2, 0).astype(np.float32)
    split = min(SHAPES, len(modes))
    names = [f"expression{k:03d}" for k in range(len(modes) - split)]
    shapes = modes[split:]
    opening = jaw_open(arrays, mean)
    if opening is not None:
        names.append("jawOpen")
        shapes = np.concatenate([shapes, opening[None].astype(np.float32)])
    landmarks, source = shipped_map("flame") if len(mean) == VERTICES else (None, "")
    return Raw(
        name=path.stem,
        version="2023" if "2023" in path.name else "2020" if "2020" in str(path) else "",
        licence="CC-BY-4.0" if "2023" in path.name else "non-commercial research (FLAME licence)",
        source="https://flame.is.tue.mpg.de/",
        mean=mean,
        faces=faces,
        modes=modes[:split],
        sigma=np.linalg.norm(modes[:split].reshape(split, -1).astype(np.float64), axis=1),
        unit=1000.0,
        files={path.name: path},
        landmarks=landmarks,
        landmark_source=source,
        blendshapes=shapes,
        blendshape_names=tuple(names),
        parts=_parts(mean, faces),
        meta={"jaw_open_radians": JAW_OPEN} if opening is not None else {},
    )


def jaw_open(arrays: dict[str, NDArray[Any]], mean: Float, angle: float = JAW_OPEN) -> Float | None:
    """(V, 3) offsets of the opened jaw, in the unit of `mean`; None if the file has no joints.

    Linear blend skinning of the one joint, as in SMPL (Loper et al. 2015, eq. 2-9): the joint lies
    at ``J_regressor @ mean``; the rotation minus identity, flattened, weighs the joint's nine pose
    correctives.
    """
    v = len(mean)
    regressor, weights = arrays.get("J_regressor"), arrays.get("weights")
    if regressor is None or weights is None or weights.shape[0] != v or weights.shape[1] <= JAW:
        return None
    regressor = regressor if regressor.shape[-1] == v else regressor.T
    if regressor.shape != (weights.shape[1], v):
        return None
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) - np.eye(3)
    posed = mean
    correctives = arrays.get("posedirs")
    if correctives is not None and correctives.shape == (v, 3, 9 * (weights.shape[1] - 1)):
        first = 9 * (JAW - 1)
        posed = mean + correctives[..., first : first + 9] @ turn.ravel()
    joint = regressor[JAW] @ mean
    moved = posed + weights[:, JAW, None] * ((posed - joint) @ turn.T)
    return np.asarray(moved - mean, np.float64)


def _parts(mean: Float, faces: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Part of each triangle: the largest piece is the head, the balls beside its middle eyes."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    n = len(mean)
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (n, n))
    piece = connected_components(graph, directed=False)[1][faces[:, 0]]
    out = np.zeros(len(faces), np.uint8)
    head = int(np.bincount(piece).argmax())
    for other in np.unique(piece[piece != head]):
        own = piece == other
        side = "left_eye" if mean[np.unique(faces[own]), 0].mean() > 0 else "right_eye"
        out[own] = PART_NAMES.index(side)
    return out


def _npz(path: Path) -> dict[str, Any]:
    """Arrays of an ``.npz``; those of objects go through the reader of pickles."""
    out: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    if version[0] > 1:
                        read = np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(file)
                    if dtype.hasobject:
                        value = loads(file.read(), f"{path.name}: {member}")
                        out[member[:-4]] = value.item() if shape == () else value
                        continue
                with archive.open(member) as file:
                    out[member[:-4]] = np.lib.format.read_array(file, allow_pickle=False)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise refuse(path, "the .npz of a FLAME model", str(error)) from None
    return out
