"""Lids that meet: the blink of the model, made exact for the eye in the photo.

The model's blinks close the eyes of its mean face. On a photo's own eyes, and on
top of other actions, they would leave a slit or push one lid through the other.
So the blink only says how skin and lid travel, and the picture says how far: of
the opening that the other actions leave, a blink of weight b leaves the share
1 - b. The skin around the lids takes part, less and less with distance, and none
of it beyond the brow, which does not blink.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.camera import project
from synth.render.eyes import edge_rows
from synth.render.topology import EYES, LIPS, SKIN, Curves, Topology
from synth.types import Camera

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["Lid", "LidMotion", "build_lids", "meet", "visible_edge"]

Float = NDArray[np.float64]
Index = NDArray[np.int64]

#: Blendshapes that shut the subject's right and left eye.
BLINKS = ("eyeBlinkRight", "eyeBlinkLeft")
#: How far the lower lid comes up to meet the upper one, as a share of the opening.
LOWER_SHARE = 0.2
#: A shut upper lid covers this much of the lower one, in inter-ocular distances.
OVERLAP = 0.006
#: Reach of the correction above and below the eye, in inter-ocular distances.
REACH_UP, REACH_DOWN = 0.16, 0.10
#: Distance between the outer eye corners in widths of an eye.
EYES_APART = 3.2
#: Width of the rim that moves with the edge, in inter-ocular distances.
RIM = 0.05
#: Width of the corners of the eye, in inter-ocular distances.
CORNER = 0.04
#: Half the thickness of a brow, in inter-ocular distances.
BROW = 0.06
#: What is behind the lids is sorted this much deeper (mm): no eyeball pokes through.
BEHIND = 8.0


@dataclass(frozen=True, eq=False)
class Lid:
    """One lid of one eye.

    Attributes
    ----------
    edge : (e,) int64
        Vertices of its edge.
    near : (n,) int64
        Vertices that take part when it moves.
    rows : (e,) int64
        Rows of `edge` in `near`.
    offsets : (n, 3) float64
        Motion of `near` by a blink of weight 1, mm.
    along : (n, e) float64
        Weights that carry values from the edge to `near`.
    share : (n,) float64
        How much of a correction of the edge `near` follows.
    rigid : (n,) float64
        How much `near` moves as the edge next to it does: the rim of a lid does not fold.
    slack : (e,) float64
        Pixels by which the lids cross in the neutral photo (at most 0).
    rings : tuple of (k,) int64
        The next rows of vertices on the skin: the rim of the lid may hang over its edge.
    """

    edge: Index
    near: Index
    rows: Index
    offsets: Float
    along: Float
    share: Float
    rigid: Float
    slack: Float
    rings: tuple[Index, Index]


@dataclass(frozen=True, eq=False)
class LidMotion:
    """How the lids of one eye of one photo shut.

    Attributes
    ----------
    blink : int
        Row of the eye's blink among the blendshapes.
    index : (n,) int64
        Vertices that the blink moves.
    excess : (n, 3) float64
        What the model's own blink has too much of it, mm.
    upper, lower : Lid
    inside : (m,) int64
        Vertices behind the lids.
    """

    blink: int
    index: Index
    excess: Float
    upper: Lid
    lower: Lid
    inside: Index

    @property
    def pair(self) -> tuple[Lid, Lid]:
        """Upper and lower lid."""
        return self.upper, self.lower


def build_lids(
    model: MorphableModel, topology: Topology, neutral: Float, points: Float, iod: float
) -> tuple[LidMotion, LidMotion]:
    """The lids of a photo, right and left of the subject.

    Parameters
    ----------
    model : MorphableModel
    topology : Topology
    neutral : (V, 2) float64
        Projection of the fitted mesh, pixels.
    points : (68, 2) float64
        Landmarks, pixels.
    iod : float
        Inter-ocular distance, pixels.
    """
    eyes = np.unique(model.faces[np.isin(model.parts, EYES)]).astype(np.int64)
    right, left = (
        _build(model, topology.lids[k], neutral, points[brow], iod, eyes, BLINKS[k])
        for k, brow in enumerate((slice(17, 22), slice(22, 27)))
    )
    return right, left


def _build(
    model: MorphableModel, curves: Curves, neutral: Float, brow: Float, iod: float,
    eyes: Index, name: str,
) -> LidMotion:  # fmt: skip
    row = model.blendshape_names.index(name)
    blink = model.blendshapes[row].astype(np.float64)
    calm = _below_the_brow(neutral, neutral[curves.upper], brow, iod)
    offsets = calm[:, None] * blink
    index = np.flatnonzero(np.abs(blink).max(1) > 1e-6)
    edges = np.union1d(curves.upper, curves.lower)
    skin = np.setdiff1d(np.arange(len(neutral)), np.setdiff1d(eyes, edges))
    away = [
        np.linalg.norm(neutral[skin, None] - neutral[edge], axis=2).min(1) / iod
        for edge in (curves.upper, curves.lower)
    ]
    ends = np.isin(skin, np.intersect1d(curves.upper, curves.lower))
    faces = model.faces[np.isin(model.parts, (SKIN, LIPS))]
    above = away[0] <= away[1]
    mine = ends | (above & (away[0] < REACH_UP)), ends | (~above & (away[1] < REACH_DOWN))
    across = neutral[curves.upper, 0]
    own = np.abs(neutral[eyes, 0] - across.mean()) < 0.75 * np.ptp(across)
    return LidMotion(
        blink=row,
        index=index,
        excess=blink[index] - offsets[index],
        upper=_lid(
            curves.upper, curves.lower, skin[mine[0]], away[0][mine[0]], neutral, iod,
            offsets, REACH_UP, calm, faces,
        ),
        lower=_lid(
            curves.lower, curves.upper, skin[mine[1]], away[1][mine[1]], neutral, iod,
            offsets, REACH_DOWN, np.ones(len(calm)), faces,
        ),
        inside=np.setdiff1d(eyes[own], edges),
    )  # fmt: skip


def _lid(
    edge: Index, other: Index, near: Index, away: Float, neutral: Float, iod: float,
    offsets: Float, reach: float, calm: Float, faces: NDArray[np.int32],
) -> Lid:  # fmt: skip
    """One lid; `away` is the distance of `near` from its `edge`, in inter-ocular distances."""
    crossing = edge_rows(neutral[other], neutral[edge, 0]) - neutral[edge, 1]
    free = np.maximum(_off_corners(neutral[near, 0], neutral[edge, 0], iod), away == 0)
    return Lid(
        edge=edge,
        near=near,
        rows=np.searchsorted(near, edge),
        offsets=offsets[near],
        along=_along(neutral[near], neutral[edge]),
        share=_fade(away / reach) * calm[near],
        rigid=_fade(away / RIM) * free,
        slack=np.minimum(crossing if reach == REACH_UP else -crossing, 0),
        rings=_rings(faces, edge, near[away < RIM], np.union1d(edge, other)),
    )


def _fade(x: Float) -> Float:
    """1 at 0, 0 from 1 on, smooth."""
    x = np.clip(x, 0, 1)
    return np.asarray((1 - x) ** 2 * (1 + 2 * x))


def _below_the_brow(points: Float, upper: Float, brow: Float, iod: float) -> Float:
    """(n,) 1 at the lids, 0 from the lower edge of the brow upwards."""
    lid = edge_rows(upper, points[:, 0])
    room = np.maximum(lid - edge_rows(brow, points[:, 0]) - BROW * iod, 0.04 * iod)
    return _fade(((lid - points[:, 1]) / room - 0.15) / 0.85)


def _along(points: Float, edge: Float) -> Float:
    """(n, e) weights that interpolate values at the vertices of `edge` linearly in x."""
    order = np.argsort(edge[:, 0], kind="stable")
    at = edge[order, 0]
    rows = np.eye(len(edge))[order]
    return np.stack([np.interp(points[:, 0], at, rows[:, k]) for k in range(len(edge))], 1)


def _off_corners(across: Float, edge: Float, iod: float) -> Float:
    """(n,) 0 at and beyond the corners of an edge, 1 away from them."""
    inside = np.minimum(across - edge.min(), edge.max() - across)
    return 1 - _fade(inside / (CORNER * iod))


def _rings(
    faces: NDArray[np.int32], edge: Index, allowed: Index, edges: Index
) -> tuple[Index, Index]:
    """The first and second row of vertices next to an edge."""
    first = _neighbours(faces, edge, allowed, edges)
    second = _neighbours(faces, first, allowed, np.union1d(edges, first))
    return first, second


def _neighbours(faces: NDArray[np.int32], of: Index, allowed: Index, old: Index) -> Index:
    found = np.unique(faces[np.isin(faces, of).any(1)])
    return np.asarray(np.setdiff1d(np.intersect1d(found, allowed), old))


def visible_edge(lid: Lid, points: Float, columns: Float) -> Float:
    """(w,) rows at which an upper lid ends in the picture.

    Parameters
    ----------
    lid : Lid
    points : (V, 2) float64
        Projected mesh, pixels.
    columns : (w,) float64
    """
    rows = edge_rows(points[lid.edge], columns)
    for ring in lid.rings:
        at = points[ring]
        if len(ring) > 1:
            inside = (columns > at[:, 0].min()) & (columns < at[:, 0].max())
            rows = np.where(inside, np.maximum(rows, edge_rows(at, columns)), rows)
    return rows


def meet(lid: LidMotion, seen: Float, vertices: Float, camera: Camera, blink: float) -> None:
    """Move the lids of a projected mesh to where a blink of this weight has them, in place.

    Without a blink they are only kept from crossing.

    Parameters
    ----------
    lid : LidMotion
    seen : (V, 3) float64
        Projection of `vertices`; y is changed around the lids.
    vertices : (V, 3) float64
        Model space, mm, the blink included.
    camera : Camera
    blink : float
        0..1; beyond, the lids stay shut.
    """
    lids = lid.pair
    # Where everything but the blink puts the skin.
    near = np.concatenate([k.near for k in lids])
    open_at = seen[near, :2]
    if blink:
        offsets = np.concatenate([k.offsets for k in lids])
        open_at = project(vertices[near] - blink * offsets, camera)[:, :2]
    bare = open_at[: len(lids[0].near)], open_at[len(lids[0].near) :]
    edges = [at[k.rows] for k, at in zip(lids, bare, strict=True)]
    share = min(max(blink, 0.0), 1.0)
    cover = share**4 * OVERLAP * EYES_APART * float(np.ptp(edges[0][:, 0]))
    for row, k in enumerate(lids):
        top, bottom = (edge_rows(edge, edges[row][:, 0]) for edge in edges)
        gap = bottom - top - k.slack
        # Where the lids would cross they meet half way.
        moved = (0.5, -0.5)[row] * np.minimum(gap, 0)
        moved += share * (1 - LOWER_SHARE, -LOWER_SHARE)[row] * np.maximum(gap, 0)
        if row == 0:
            moved += cover
        if not moved.any():
            continue
        error = edges[row][:, 1] + moved - seen[k.edge, 1]
        rows = seen[k.near, 1] + k.share * (k.along @ error)
        seen[k.near, 1] = rows + k.rigid * (bare[row][:, 1] + k.along @ moved - rows)
    seen[lid.inside, 2] += BEHIND
