"""What the renderer must know of the mesh itself: lid and lip edges, teeth, neighbours.

Computed once per morphable model; nothing here depends on a photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["CAVITY", "EYES", "INTERIOR", "LIPS", "LOWER_TEETH", "OUTSIDE", "SKIN", "SOCKET",
           "TONGUE", "UPPER_TEETH", "Curves", "Topology", "topology"]  # fmt: skip

SKIN, LIPS, CAVITY, UPPER_TEETH, LOWER_TEETH, TONGUE, SOCKET, LEFT_EYE, RIGHT_EYE = range(9)
#: The arch is normalised to this radius (mm), so that tooth widths fit every model.
ARCH_RADIUS = 30.0
#: Label of the triangles that carry the motion outside the face.
OUTSIDE = 9
EYES = (SOCKET, LEFT_EYE, RIGHT_EYE)
INTERIOR = (CAVITY, UPPER_TEETH, LOWER_TEETH, TONGUE)

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Curves:
    """Upper and lower edge of an opening, from the subject's right to the left.

    Attributes
    ----------
    upper, lower : (n,) int64
        Vertex indices; both start at the right and end at the left corner.
    """

    upper: Index
    lower: Index


@dataclass(frozen=True)
class Topology:
    """Static facts of a morphable model's mesh.

    Attributes
    ----------
    lids : tuple of Curves
        Right eye, left eye (of the subject).
    lips : Curves
        The slit between the lips.
    rest : (V, 3) float32
        Mean face, mm; teeth vertices hold (arc length from the midline, height
        above the biting edge, depth) instead.
    corner_faces : (V, n) int32
        Triangles around each vertex, -1 padded, for normals.
    """

    lids: tuple[Curves, Curves]
    lips: Curves
    rest: NDArray[np.float32]
    corner_faces: NDArray[np.int32]


_CACHE: dict[int, tuple[MorphableModel, Topology]] = {}


def topology(model: MorphableModel) -> Topology:
    """The `Topology` of `model`, computed on first use."""
    found = _CACHE.get(id(model))
    if found is not None and found[0] is model:
        return found[1]
    skin = np.isin(model.parts, (SKIN, LIPS))
    lid_edges = _shared_edges(model.faces[skin], model.faces[model.parts == SOCKET])
    lip_edges = _shared_edges(model.faces[skin], model.faces[model.parts == CAVITY])
    side = model.mean[lid_edges[:, 0], 0] > 0
    built = Topology(
        lids=(_curves(lid_edges[~side], model.mean), _curves(lid_edges[side], model.mean)),
        lips=_curves(lip_edges, model.mean),
        rest=_rest(model),
        corner_faces=_corner_faces(model.faces, len(model.mean)),
    )
    _CACHE[id(model)] = (model, built)
    return built


def _edges(faces: NDArray[np.int32]) -> Index:
    pairs = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])).astype(np.int64)
    return np.sort(pairs, axis=1)


def _shared_edges(first: NDArray[np.int32], second: NDArray[np.int32]) -> Index:
    """(n, 2) edges that triangles of both groups have."""
    a, b = np.unique(_edges(first), axis=0), np.unique(_edges(second), axis=0)
    both, count = np.unique(np.concatenate((a, b)), axis=0, return_counts=True)
    return np.asarray(both[count == 2])


def _curves(edges: Index, mean: NDArray[np.float64]) -> Curves:
    """Split a closed loop of edges at its extreme x into an upper and a lower curve."""
    neighbours: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    odd = [v for v, n in neighbours.items() if len(n) != 2]
    if not edges.size or odd:
        raise AssetError(
            f"model: expected each eye and the mouth to have one closed edge, got {len(edges)} "
            f"edges with {len(odd)} loose ends; check the part labels"
        )
    vertices = np.array(sorted(neighbours))
    start = int(vertices[mean[vertices, 0].argmin()])
    end = int(vertices[mean[vertices, 0].argmax()])
    chains = []
    for first in neighbours[start]:
        chain, here = [start, first], first
        while here != end:
            here = next(v for v in neighbours[here] if v != chain[-2])
            chain.append(here)
            if len(chain) > len(neighbours) + 1:
                raise AssetError("model: expected the lid or lip edge to be one loop, got several")
        chains.append(np.array(chain))
    chains.sort(key=lambda c: -mean[c, 1].mean())
    return Curves(upper=chains[0], lower=chains[1])


def _rest(model: MorphableModel) -> NDArray[np.float32]:
    """Mean positions, with dental coordinates at the teeth."""
    rest = model.mean.astype(np.float32).copy()
    for part, up in ((UPPER_TEETH, 1.0), (LOWER_TEETH, -1.0)):
        index = np.unique(model.faces[model.parts == part])
        tooth = model.mean[index]
        # Arc length along the dental arch: a circle through the front of the band.
        radius = np.abs(tooth[:, 0]).max()
        centre = tooth[:, 2].max() - radius
        angle = np.arctan2(tooth[:, 0], np.maximum(tooth[:, 2] - centre, 0.1 * radius))
        arc = ARCH_RADIUS * angle
        height = tooth[:, 1] * up
        rest[index, 0] = arc
        rest[index, 1] = height - _biting_edge(arc, height)
    return rest


def _biting_edge(arc: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the biting edge at each arc position: the arch curves up at the back.

    Straight lines through the lowest vertices of 10 mm bins (narrower ones miss the front row).
    """
    away = np.abs(arc)
    bins = (away / 10.0).astype(int)
    lowest = [np.flatnonzero(bins == b)[height[bins == b].argmin()] for b in np.unique(bins)]
    return np.interp(away, away[lowest], height[lowest])


def _corner_faces(faces: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    order = np.argsort(faces.ravel(), kind="stable")
    vertex = faces.ravel()[order]
    per = np.bincount(vertex, minlength=count)
    table = np.full((count, int(per.max())), -1, np.int32)
    slot = np.arange(len(vertex)) - np.repeat(np.cumsum(per) - per, per)
    table[vertex, slot] = order // 3
    return table
