"""Models on meshes of their own with known truth, made from the embedded model.

They stand in for models that cannot be shipped: skin alone, a face without skull and neck, a
denser mesh in other axes and units whose mouth and eyes are grown over as those of many
scanned means, and a face outside the embedded model's people with landmarks set by a
less than perfect hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from synth.meshes.nearest import Surface
from synth.morphable.native import native_model

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["closed_dense", "face_crop", "skin_model", "warped"]

Float = NDArray[np.float64]
Int = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Bare:
    """Mean (V, 3), triangles (F, 3) and modes (K, V, 3)."""

    mean: Float
    faces: Int
    modes: NDArray[np.float32]


def skin_model(rig: MorphableModel, name: str = "skin_only") -> MorphableModel:
    """The rig without inner parts and blendshapes; its vertices keep their order."""
    return _part_of(rig, np.isin(rig.parts, (0, 1)), name)


def face_crop(rig: MorphableModel) -> MorphableModel:
    """From ear to ear, without the top of the head, the back of it and the neck."""
    v = rig.mean
    inside = (v[:, 1] > -125) & (v[:, 1] < 62) & (v[:, 2] > -92) & (np.abs(v[:, 0]) < 82)
    return _part_of(rig, np.isin(rig.parts, (0, 1)) & inside[rig.faces].all(1), "face_crop")


def closed_dense(rig: MorphableModel) -> MorphableModel:
    """Four times the triangles, mouth and eyes closed with a membrane, turned, in decimetres."""
    skin = skin_model(rig)
    bare = _subdivided(_closed(skin))
    turn = Rotation.from_euler("xyz", (20, -35, 15), degrees=True).as_matrix()
    places = Surface(bare.mean, bare.faces).nearest(skin.landmarks(skin.mean))
    return native_model(
        "closed_dense",
        "1",
        0.01 * bare.mean @ turn.T + (3, 4, 5),
        bare.faces,
        0.01 * bare.modes @ turn.T,
        0.01 * skin.sigma,
        (places.face, places.bary),
        unit=100.0,
    )


def warped(rig: MorphableModel, noise: float = 1.5, seed: int = 3) -> MorphableModel:
    """A face bent at random, four times the triangles, landmarks `noise` mm off their places."""
    from scipy.interpolate import RBFInterpolator

    rng = np.random.default_rng(seed)
    skin = skin_model(rig)
    bare = _subdivided(_closed(skin))
    low, high = (-90, -150, -90), (90, 110, 40)
    field = RBFInterpolator(
        rng.uniform(low, high, (40, 3)), rng.normal(0, 5, (40, 3)),
        kernel="gaussian", epsilon=1 / 35, smoothing=1.0,
    )  # fmt: skip
    share = np.where(np.arange(68) < 17, 2.5, 1.0)[:, None]
    wanted = skin.landmarks(skin.mean) + noise * share * rng.normal(size=(68, 3))
    places = Surface(bare.mean, bare.faces).nearest(wanted)
    bent = (bare.mean + 0.8 * field(bare.mean)) * (1.04, 1.08, 1.02)
    return native_model(
        "warped", "1", bent, bare.faces, bare.modes, skin.sigma, (places.face, places.bary)
    )


def _part_of(rig: MorphableModel, kept: NDArray[np.bool_], name: str) -> MorphableModel:
    """The triangles `kept` of a model, as a model without blendshapes."""
    used = np.unique(rig.faces[kept])
    vertex, face = np.full(rig.n_vertices, -1), np.cumsum(kept) - 1
    vertex[used] = np.arange(len(used))
    return replace(
        rig,
        name=name,
        mean=rig.mean[used],
        modes=rig.modes[:, used],
        blendshapes=np.zeros((0, len(used), 3), np.float32),
        blendshape_names=(),
        faces=vertex[rig.faces[kept]].astype(np.int32),
        parts=np.zeros(int(kept.sum()), np.uint8),
        uv=rig.uv[used],
        landmark_faces=face[rig.landmark_faces].astype(np.int32),
        mirror=np.arange(len(used), dtype=np.int32),
        contour=np.zeros((17, 1), np.int32),
        sha256="",
        meta=MappingProxyType({"name": name, "version": "1"}),
    )


def _closed(model: MorphableModel) -> _Bare:
    """Mouth and eyes grown over: a fan in every small hole of the face, bulging by 2 mm."""
    mean, faces, modes = [model.mean], [model.faces], [model.modes]
    for loop in _holes(model.faces):
        middle = model.mean[loop].mean(0)
        if len(loop) < 80 and abs(middle[0]) < 60 and middle[2] > -30:
            centre = sum(len(part) for part in mean)
            ahead = np.roll(loop, -1)
            fan = np.column_stack((ahead, loop, np.full(len(loop), centre)))
            mean.append(middle[None] + (0, 0, 2.0))
            faces.append(fan.astype(np.int32))
            modes.append(model.modes[:, loop].mean(1, keepdims=True))
    return _Bare(np.concatenate(mean), np.concatenate(faces), np.concatenate(modes, axis=1))


def _holes(faces: Int) -> list[NDArray[np.int64]]:
    """Loops of directed edges that have no triangle on their other side."""
    pairs = np.concatenate((faces[:, :2], faces[:, 1:], faces[:, [2, 0]])).tolist()
    known = {(a, b) for a, b in pairs}
    follow = {a: b for a, b in known if (b, a) not in known}
    loops = []
    while follow:
        loop = [min(follow)]
        while (ahead := follow.pop(loop[-1], None)) not in (None, loop[0]):
            loop.append(ahead)
        loops.append(np.array(loop))
    return loops


def _subdivided(bare: _Bare) -> _Bare:
    """Every triangle in four; the old vertices come first."""
    f, n, m = bare.faces, len(bare.mean), len(bare.faces)
    sides = np.sort(np.concatenate((f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]])), axis=1)
    pairs, number = np.unique(sides, axis=0, return_inverse=True)
    ab, bc, ca = (n + number[k * m : (k + 1) * m] for k in range(3))
    a, b, c = f.T
    quarters = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
    return _Bare(
        np.concatenate((bare.mean, bare.mean[pairs].mean(1))),
        np.concatenate([np.stack(q, 1) for q in quarters]).astype(np.int32),
        np.concatenate((bare.modes, bare.modes[:, pairs].mean(2)), axis=1),
    )
