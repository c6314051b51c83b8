"""Writes small models of known truth in the layouts that other libraries publish.

Every file holds the embedded model's own face, resampled: a mesh of exactly as many vertices as
the layout has, with the landmarks at the vertices that the shipped maps name, so that what an
importer makes of it is a face that can be fitted and drawn. `Truth` is what was written.

    truth = WRITERS["bfm2017"](folder)       # truth.path is the file, or the folder
"""

from __future__ import annotations

import json
import pickle
import struct
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse

from synth.morphable.importers.raw import shipped_map
from synth.morphable.landmark_map import embedded_model

SKIN, LEFT_EYE, RIGHT_EYE = (0, 1), 7, 8
MODES = 6


@dataclass(frozen=True, eq=False)
class Truth:
    """A model in millimetres and house axes, and the file it was written to."""

    mean: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    basis: np.ndarray  # (3V, K) orthonormal
    sigma: np.ndarray  # (K,) millimetres
    shapes: dict[str, np.ndarray]  # name -> (V, 3)
    known: np.ndarray  # landmarks that the shipped map has
    landmarks: np.ndarray  # (68, 3) true places
    path: Path = Path()
    format: str = ""

    @property
    def modes(self) -> np.ndarray:
        """(K, V, 3) per standard deviation."""
        return (self.basis * self.sigma).T.reshape(len(self.sigma), -1, 3)


# ------------------------------------------------------------------ a mesh of a wanted size


def face(
    count: int,
    ids: np.ndarray,
    *,
    front: bool = True,
    shapes: tuple[str, ...] = (),
    extra: tuple[int, ...] = (),
    start: int = 0,
) -> Truth:
    """The embedded face with `count` skin vertices; landmark k at vertex ``ids[k]`` where >= 0.

    front leaves out neck and the back of the head; `extra` are further parts, whose vertices
    come behind, from vertex `start` on.
    """
    model = embedded_model()
    own = np.isin(model.parts, SKIN)
    if front:
        own &= (model.mean[model.faces][..., 2] > -62).all(1)
        own &= (model.mean[model.faces][..., 1] > -128).all(1)
    rows, faces = _with_landmarks(model, np.flatnonzero(own))
    rows, faces = _grown(rows, faces, count, model.mean)
    order = _order(len(ids), count, ids)
    new = np.empty(count, np.int64)
    new[order] = np.arange(count)
    rows, faces = rows[order], new[faces]
    for part in extra:
        chosen = model.faces[model.parts == part]
        used, local = np.unique(chosen, return_inverse=True)
        rows = scipy.sparse.vstack([rows, _unit_rows(used, model.n_vertices)]).tocsr()
        faces = np.concatenate([faces, local.reshape(-1, 3) + rows.shape[0] - len(used)])
    return _truth(rows, faces, ids, shapes)


def _truth(rows: Any, faces: np.ndarray, ids: np.ndarray, shapes: tuple[str, ...]) -> Truth:
    model = embedded_model()
    modes = np.stack([(rows @ m.astype(np.float64)).ravel() for m in model.modes[:MODES]], 1)
    basis, sigma, _ = np.linalg.svd(modes, full_matrices=False)
    index = {n: i for i, n in enumerate(model.blendshape_names)}
    return Truth(
        mean=rows @ model.mean,
        faces=faces,
        basis=basis,
        sigma=sigma,
        shapes={n: rows @ model.blendshapes[index[n]].astype(np.float64) for n in shapes},
        known=ids >= 0,
        landmarks=model.landmarks(model.mean),
    )


def _unit_rows(columns: np.ndarray, width: int) -> Any:
    n = len(columns)
    return scipy.sparse.csr_matrix((np.ones(n), (np.arange(n), columns)), (n, width))


def _with_landmarks(model: Any, own: np.ndarray) -> tuple[Any, np.ndarray]:
    """Sparse rows of vertices and triangles of part of a mesh, its landmarks the first vertices."""
    faces = model.faces[own].astype(np.int64)
    place = np.full(len(model.faces), -1)
    place[own] = np.arange(len(own))
    inside = place[model.landmark_faces]
    assert (inside >= 0).all(), "the part must hold all landmarks"
    width = model.n_vertices
    split: dict[int, list[int]] = {}
    for k, triangle in enumerate(inside.tolist()):
        split.setdefault(triangle, []).append(k)
    marks = scipy.sparse.lil_matrix((68, width))
    pieces = [np.delete(faces, list(split), axis=0)]
    for triangle, held in split.items():
        todo = [faces[triangle].tolist()]
        for k in held:
            marks[k, model.faces[model.landmark_faces[k]]] = model.landmark_bary[k]
            at = model.landmark_bary[k] @ model.mean[model.faces[model.landmark_faces[k]]]
            best = min(todo, key=lambda t: _outside(t, at, model, width))
            todo.remove(best)
            a, b, c = best
            todo += [[a, b, width + k], [b, c, width + k], [c, a, width + k]]
        pieces.append(np.array(todo))
    faces = np.concatenate(pieces)
    used = np.unique(faces[faces < width])
    new = np.full(width + 68, -1)
    new[width:] = np.arange(68)
    new[used] = 68 + np.arange(len(used))
    rows = scipy.sparse.vstack([marks.tocsr(), _unit_rows(used, width)]).tocsr()
    return rows, new[faces]


def _outside(triangle: list[int], at: np.ndarray, model: Any, width: int) -> float:
    """How far a point lies outside of a triangle, in barycentric terms."""
    marks = model.landmarks(model.mean)
    corners = np.array([model.mean[v] if v < width else marks[v - width] for v in triangle])
    u, v, w = corners[1] - corners[0], corners[2] - corners[0], at - corners[0]
    s, t = np.linalg.lstsq(np.stack([u, v], 1), w, rcond=None)[0]
    return float(-min(s, t, 1 - s - t))


def _grown(rows: Any, faces: np.ndarray, count: int, mean: np.ndarray) -> tuple[Any, np.ndarray]:
    """The mesh with exactly `count` vertices, by splitting edges: all, then the longest."""
    if rows.shape[0] > count:
        raise ValueError(f"{rows.shape[0]} vertices already, {count} wanted")
    while rows.shape[0] < count:
        edges, edge = _edges(faces)
        left = count - rows.shape[0]
        if len(edges) <= left:
            chosen = np.ones(len(edges), bool)
        else:
            at = rows @ mean
            length = np.linalg.norm(at[edges[:, 0]] - at[edges[:, 1]], axis=1)
            chosen = np.zeros(len(edges), bool)
            chosen[np.argsort(-length, kind="stable")[:left]] = True
        number = np.full(len(edges), -1)
        number[chosen] = rows.shape[0] + np.arange(chosen.sum())
        middle = (rows[edges[chosen, 0]] + rows[edges[chosen, 1]]) * 0.5
        rows = scipy.sparse.vstack([rows, middle]).tocsr()
        faces = _split(faces, number[edge])
    return rows, faces


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2), axis=2).reshape(-1, 2)
    edges, edge = np.unique(pairs, axis=0, return_inverse=True)
    return edges, edge.reshape(-1, 3)


def _split(faces: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Triangles with new vertices on some edges: middle[f, i] on the edge from corner i, or -1."""
    out = [faces[(middle < 0).all(1)]]
    for turn in range(3):
        f, m = np.roll(faces, -turn, 1), np.roll(middle, -turn, 1)
        (a, b, c), (ab, bc, ca) = f.T, m.T
        one = (ab >= 0) & (bc < 0) & (ca < 0)
        out += [np.stack(t, 1)[one] for t in ((a, ab, c), (ab, b, c))]
        two = (ab >= 0) & (bc >= 0) & (ca < 0)
        out += [np.stack(t, 1)[two] for t in ((ab, b, bc), (a, ab, bc), (a, bc, c))]
    (a, b, c), (ab, bc, ca) = faces.T, middle.T
    three = (middle >= 0).all(1)
    all_ = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return np.concatenate(out + [np.stack(t, 1)[three] for t in all_])


def _order(n_landmarks: int, count: int, ids: np.ndarray) -> np.ndarray:
    """Old vertex at each new place: landmark k (old vertex k) at ``ids[k]``, the others around."""
    order = np.full(count, -1)
    wanted = ids >= 0
    order[ids[wanted]] = np.flatnonzero(wanted)
    rest = np.concatenate([np.flatnonzero(~wanted), np.arange(n_landmarks, count)])
    order[order < 0] = rest
    return order


# ------------------------------------------------------------------ the layouts


def write_lsfm(folder: Path) -> Truth:
    """The published .mat."""
    t = face(53215, shipped_map("lsfm")[0])
    path = folder / "all_all_all.mat"
    scipy.io.savemat(
        path,
        {
            "mean": (t.mean * 1000).ravel(),
            "components": t.basis,
            "eigenvalues": (t.sigma * 1000) ** 2,
            "cumulative_explained_variance": np.cumsum(t.sigma**2) / (t.sigma**2).sum(),
            "trilist": t.faces.astype(np.uint32),
            "n_training_samples": 8402,
        },
    )
    return replace(t, path=path, format="lsfm")


def write_menpo(folder: Path, count: int = 4200) -> Truth:
    """A pickle of menpo's own PCAModel, landmarks on its template."""
    from menpo.model import PCAModel
    from menpo.shape import PointCloud, TriMesh

    t = face(count, np.full(68, -1))
    template = TriMesh(t.mean, trilist=t.faces)
    template.landmarks["ibug68"] = PointCloud(t.landmarks)
    model = PCAModel.init_from_components(t.basis.T.copy(), t.sigma**2, template, 500, True)
    path = folder / "shape_model.pkl"
    path.write_bytes(pickle.dumps(model, protocol=2))
    return replace(t, path=path, format="lsfm", known=np.ones(68, bool))


def write_bfm2009(folder: Path) -> Truth:
    """``01_MorphableModel.mat``: micrometres, standard deviations, clockwise triangles from 1."""
    t = face(53490, shipped_map("bfm2009")[0])
    path = folder / "01_MorphableModel.mat"
    scipy.io.savemat(
        path,
        {
            "shapeMU": (t.mean * 1000).reshape(-1, 1).astype(np.float32),
            "shapePC": t.basis.astype(np.float32),
            "shapeEV": (t.sigma * 1000).reshape(-1, 1).astype(np.float32),
            "tl": (t.faces[:, [0, 2, 1]] + 1).astype(np.float64),
        },
    )
    return replace(t, path=path, format="bfm2009")


def write_bfm2017(folder: Path) -> Truth:
    """``model2017-1_bfm_nomouth.h5``."""
    t = face(53149, shipped_map("bfm2017")[0], shapes=("jawOpen", "mouthSmileLeft"))
    return _write_h5(t, folder / "model2017-1_bfm_nomouth.h5", "bfm2017")


def write_bfm2019(folder: Path) -> Truth:
    """``model2019_face12.h5``: landmarks only by name."""
    t = face(27657, np.full(68, -1), shapes=("jawOpen", "mouthSmileLeft"))
    return _write_h5(t, folder / "model2019_face12.h5", "bfm2019")


def _write_h5(t: Truth, path: Path, format: str) -> Truth:
    import h5py

    from synth.morphable.importers.statismo import NAMED

    own = np.stack([s.ravel() for s in t.shapes.values()], 1)
    basis, sigma, _ = np.linalg.svd(own, full_matrices=False)
    middle = 0.1 * own[:, 0]
    listed = [
        {"id": name, "coordinates": t.landmarks[k].tolist()} for name, k in sorted(NAMED.items())
    ]
    with h5py.File(path, "w") as file:
        for group, mean, b, s in (("shape", t.mean.ravel(), t.basis, t.sigma),
                                  ("expression", middle, basis, sigma)):  # fmt: skip
            file[f"{group}/model/mean"] = mean.astype(np.float32)
            file[f"{group}/model/pcaBasis"] = b.astype(np.float32)
            file[f"{group}/model/pcaVariance"] = (s**2).astype(np.float32)
            file[f"{group}/model/noiseVariance"] = np.float32(0)
            file[f"{group}/representer/cells"] = t.faces.T.astype(np.int32)
            file[f"{group}/representer/points"] = t.mean.T.astype(np.float32)
        file["metadata/landmarks/json"] = np.array([json.dumps(listed).encode()])
    named = np.zeros(68, bool)
    named[list(NAMED.values())] = True
    spread = (basis * sigma).T.reshape(len(sigma), -1, 3)
    shapes = {"expressionMean": middle.reshape(-1, 3)}
    shapes |= {f"expression{k:03d}": m for k, m in enumerate(spread)}
    known = t.known | named if format == "bfm2019" else t.known
    return replace(t, path=path, format=format, shapes=shapes, known=known)


def flame_arrays(t: Truth) -> dict[str, Any]:
    """The members of a FLAME model: metres, 300 + 100 directions, five joints."""
    v = len(t.mean)
    directions = np.zeros((v, 3, 400), np.float32)
    directions[..., :MODES] = np.moveaxis(t.modes, 0, 2) / 1000
    directions[..., 300] = t.shapes["mouthSmileLeft"] / 1000
    weights = np.zeros((v, 5))
    weights[:, 2] = np.clip(-t.shapes["jawOpen"][:, 1] / 21.0, 0, 1)
    weights[:, 1] = 1 - weights[:, 2]
    regressor = np.zeros((5, v))
    hinge = np.argsort(np.linalg.norm(np.abs(t.mean) - (70, 12, 60), axis=1))[:8]
    regressor[2, hinge] = 1 / 8
    correctives = np.zeros((v, 3, 36), np.float32)
    correctives[:, 1, 9 * 1 + 5] = 1e-4  # of the jaw's rotation, row 1 column 2
    return {
        "v_template": t.mean / 1000,
        "f": t.faces.astype(np.uint32),
        "shapedirs": directions,
        "J_regressor": scipy.sparse.csc_matrix(regressor),
        "posedirs": correctives,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": weights,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def flame_face() -> Truth:
    """5023 vertices: the whole head, and the two eyeballs as pieces of their own."""
    model = embedded_model()
    eyes = sum(len(np.unique(model.faces[model.parts == p])) for p in (LEFT_EYE, RIGHT_EYE))
    return face(
        5023 - eyes,
        shipped_map("flame")[0],
        front=False,
        shapes=("jawOpen", "mouthSmileLeft"),
        extra=(LEFT_EYE, RIGHT_EYE),
    )


def write_flame(folder: Path) -> Truth:
    """``generic_model.pkl``: chumpy objects and scipy's sparse matrices in it."""
    t = flame_face()
    made = {n: types.ModuleType(n) for n in ("chumpy", "chumpy.ch")}

    class Ch:
        def __init__(self, x: Any) -> None:
            self.x = x

        def __getstate__(self) -> dict[str, Any]:
            return {"x": self.x, "_dirty_vars": set(), "_itr": None}

    Ch.__module__, Ch.__qualname__, Ch.__name__ = "chumpy.ch", "Ch", "Ch"
    made["chumpy.ch"].Ch = Ch  # type: ignore[attr-defined]
    sys.modules.update(made)
    try:
        arrays = flame_arrays(t)
        for name in ("v_template", "shapedirs", "weights"):
            arrays[name] = Ch(arrays[name])
        path = folder / "generic_model.pkl"
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    finally:
        for name in made:
            del sys.modules[name]
    return replace(t, path=path, format="flame")


def write_flame_npz(folder: Path) -> Truth:
    """The same as ``.npz``, the regressor dense."""
    t = flame_face()
    arrays = flame_arrays(t)
    arrays["J_regressor"] = arrays["J_regressor"].toarray()
    path = folder / "flame2023.npz"
    np.savez(path, **arrays)
    return replace(t, path=path, format="flame")


def eos_matrix(matrix: np.ndarray) -> bytes:
    """An Eigen matrix as cereal writes it."""
    m = np.atleast_2d(np.asarray(matrix, "<f4").T).T
    return struct.pack("<ii", *m.shape) + m.tobytes(order="F")


def eos_pca(mean: np.ndarray, basis: np.ndarray, variance: np.ndarray, faces: np.ndarray) -> bytes:
    """eos' PcaModel."""
    head = eos_matrix(mean.ravel()) + eos_matrix(basis) + eos_matrix(variance)
    return head + struct.pack("<Q", len(faces)) + faces.astype("<i4").tobytes()


def eos_blendshapes(shapes: dict[str, np.ndarray]) -> bytes:
    """eos' vector of Blendshape."""
    out = struct.pack("<Q", len(shapes))
    for name, offsets in shapes.items():
        out += struct.pack("<Q", len(name)) + name.encode() + eos_matrix(offsets.ravel())
    return out


def eos_model(t: Truth, version: int = 4, kind: int | None = None) -> bytes:
    """eos' MorphableModel; kind 0: expressions as PCA, 1: as blendshapes, None: none."""
    none = np.zeros((0, 3), np.int32)
    out = struct.pack("<I", version)
    out += eos_pca(t.mean, t.basis, t.sigma**2, t.faces)
    out += eos_pca(np.zeros(0), np.zeros((0, 0)), np.zeros(0), none)
    if version >= 2:
        out += struct.pack("<B", kind is None)
        if kind == 0:
            own = np.stack([s.ravel() for s in t.shapes.values()], 1)
            basis, sigma, _ = np.linalg.svd(own, full_matrices=False)
            pca = eos_pca(np.zeros(own.shape[0]), basis, sigma**2, t.faces)
            out += struct.pack("<i", 0) + pca
        elif kind == 1:
            out += struct.pack("<i", 1) + eos_blendshapes(t.shapes)
    if version >= 3:
        out += struct.pack("<B", 1)  # no landmark definitions
    out += struct.pack("<Q", 1) + np.array([0.5, 0.25], "<f8").tobytes()
    if version >= 4:
        out += struct.pack("<Q", 1) + np.array([0, 1, 2], "<i4").tobytes()
    return out


def write_surrey(folder: Path) -> Truth:
    """``sfm_shape_3448.bin`` and ``expression_blendshapes_3448.bin``."""
    t = face(3448, shipped_map("surrey")[0], shapes=("mouthSmileLeft", "jawOpen"))
    path = folder / "sfm_shape_3448.bin"
    path.write_bytes(eos_model(t))
    (folder / "expression_blendshapes_3448.bin").write_bytes(eos_blendshapes(t.shapes))
    return replace(t, path=path, format="surrey")


def write_ict(folder: Path) -> Truth:
    """``FaceXModel``: 26719 vertices in centimetres, skin and eyeballs in their ranges."""
    model = embedded_model()
    names = ("jawOpen", "eyeBlinkLeft", "browInnerUp")
    skin = face(11248, shipped_map("ict")[0], front=False, shapes=names)
    count = 26719
    t = skin
    parts = {21451: LEFT_EYE, 23021: RIGHT_EYE}
    mean = np.zeros((count, 3))
    mean[:11248] = t.mean
    basis = np.zeros((count, 3, MODES))
    basis[:11248] = t.basis.reshape(-1, 3, MODES)
    faces = [t.faces]
    for first, part in parts.items():
        used, local = np.unique(model.faces[model.parts == part], return_inverse=True)
        mean[first : first + len(used)] = model.mean[used]
        faces.append(local.reshape(-1, 3) + first)
    shapes = {n: np.zeros((count, 3)) for n in names}
    for name in names:
        shapes[name][:11248] = t.shapes[name]
    t = replace(t, mean=mean, faces=np.concatenate(faces), basis=basis.reshape(-1, MODES),
                shapes=shapes)  # fmt: skip
    root = folder / "FaceXModel"
    root.mkdir(parents=True, exist_ok=True)
    _obj(root / "generic_neutral_mesh.obj", t.mean / 10, t.faces)
    for k, mode in enumerate(t.modes):
        _obj(root / f"identity{k:03d}.obj", (t.mean + mode) / 10, t.faces[:1])
    left = (t.mean[:, 0] > 0)[:, None]
    for stem, offsets in (("jawOpen", shapes["jawOpen"]), ("eyeBlink_L", shapes["eyeBlinkLeft"]),
                          ("browInnerUp_L", shapes["browInnerUp"] * left),
                          ("browInnerUp_R", shapes["browInnerUp"] * ~left)):  # fmt: skip
        _obj(root / f"{stem}.obj", (t.mean + offsets) / 10, t.faces[:1])
    return replace(t, path=root, format="ict")


def _obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    lines = ["# a face", *("v {:.6f} {:.6f} {:.6f}".format(*v) for v in vertices), "vt 0.5 0.5"]
    lines += ["f {}/1 {}/1 {}/1".format(*(f + 1)) for f in faces]
    path.write_text("\n".join(lines) + "\n")


#: Layout -> its writer.
WRITERS: dict[str, Callable[[Path], Truth]] = {
    "lsfm": write_lsfm,
    "menpo": write_menpo,
    "bfm2009": write_bfm2009,
    "bfm2017": write_bfm2017,
    "bfm2019": write_bfm2019,
    "flame": write_flame,
    "flame_npz": write_flame_npz,
    "surrey": write_surrey,
    "ict": write_ict,
}
