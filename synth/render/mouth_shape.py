"""Where an opening mouth goes beyond its blendshapes: rounded lips, a tongue that lies down.

The blendshapes of the default model drop the lower lip along a bell, which opens
the mouth to a hexagon with a V below, and leave the back of the tongue up, which
fills the opening. Real lips are a stretched ring (*orbicularis oris*): opened, they
round out into the corners, and the tongue lies on the floor behind the lower teeth.
Both corrections vanish smoothly with the opening, so a closed mouth is untouched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from synth.camera import project
from synth.render.topology import (
    CAVITY,
    INTERIOR,
    LIPS,
    LOWER_TEETH,
    SKIN,
    TONGUE,
    UPPER_TEETH,
    topology,
)

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.types import Camera

__all__ = ["MouthShape", "mouth_shape", "shape_mouth"]

Float = NDArray[np.float64]
Index = NDArray[np.int64]

#: How far a moved lip edge takes the skin along, mm along the surface.
UPPER_REACH, LOWER_REACH = 9.0, 24.0
#: Exponent of ``(1 - s^2)^p`` across the lip: 1/2 is an ellipse, 1 a parabola.
UPPER_ROUND, LOWER_ROUND = 0.60, 0.80
#: Share of the way to that curve, and of the V of the lower lip that is kept.
UPPER_SHARE, LOWER_SHARE, LOWER_DEPTH = 0.5, 0.85, 0.88
#: Opening of the lips (mm) at which they are fully rounded, and the tongue lies.
ROUNDED_AT, LAID_AT = 9.0, 14.0
#: How much farther back the inside is drawn, so that no tooth pokes through the chin, mm.
INSET = 8.0
#: Height of the tongue's back between lower teeth (0) and upper lip (1) in an open
#: mouth, how far behind the tip it is reached (mm), and how far the tip goes with it.
TONGUE_HEIGHT, TONGUE_BACK, TIP = 0.42, 36.0, 0.3

#: Limit of the slope at which the tongue is looked at (no face is seen more from below).
STEEPEST = 0.6


@dataclass(frozen=True)
class MouthShape:
    """Static facts of a model for `shape_mouth`.

    Attributes
    ----------
    upper, lower : (n,) int64
        Lip edge vertices, right to left corner.
    skin : tuple of (index (m,), weights (m, n))
        Vertices that follow the upper and the lower edge, and how.
    tongue : (t,) int64
    back : (t,) float64
        How far a vertex of the tongue goes with its back: `TIP` at the tip to 1.
    jaw : int
        A vertex at the biting edge of the lower front teeth.
    inset : (V,) float64
        Millimetres that the inside is drawn farther back.
    """

    upper: Index
    lower: Index
    skin: tuple[tuple[Index, Float], tuple[Index, Float]]
    tongue: Index
    back: Float
    jaw: int
    inset: Float


_CACHE: dict[int, tuple[MorphableModel, MouthShape]] = {}


def mouth_shape(model: MorphableModel) -> MouthShape:
    """The `MouthShape` of `model`, computed on first use."""
    found = _CACHE.get(id(model))
    if found is not None and found[0] is model:
        return found[1]
    lips, mean = topology(model).lips, model.mean
    tongue = np.unique(model.faces[model.parts == TONGUE])
    teeth = np.unique(model.faces[model.parts == LOWER_TEETH])
    front = teeth[mean[teeth, 2] > mean[teeth, 2].max() - 4.0]
    to_upper, to_lower = _distance(model, lips.upper), _distance(model, lips.lower)
    built = MouthShape(
        upper=lips.upper,
        lower=lips.lower,
        skin=(
            _follow(mean, lips.upper, to_upper, to_lower, UPPER_REACH),
            _follow(mean, lips.lower, to_lower, to_upper, LOWER_REACH),
        ),
        tongue=tongue,
        back=TIP + (1 - TIP) * _smooth((mean[tongue, 2].max() - mean[tongue, 2]) / TONGUE_BACK),
        jaw=int(front[mean[front, 1].argmax()]),
        inset=_inset(model, np.minimum(to_upper, to_lower)),
    )
    _CACHE[id(model)] = (model, built)
    return built


def shape_mouth(shape: MouthShape, neutral: Float, moved: Float, camera: Camera) -> None:
    """Round the opening and lay the tongue down, in place.

    Parameters
    ----------
    shape : MouthShape
    neutral, moved : (V, 3) float64
        Vertices without and with the expression, mm; `moved` is changed.
    camera : Camera
        Of the photo: seen from below, the tongue has to lie higher to be seen.
    """
    upper, lower = moved[shape.upper], moved[shape.lower]
    opening = _gap(upper, lower) - max(_gap(neutral[shape.upper], neutral[shape.lower]), 0.0)
    open_share = float(_smooth(np.array(opening / ROUNDED_AT)))
    if open_share == 0.0:
        return
    laid = float(_smooth(np.array(opening / LAID_AT)))
    _lay_tongue(shape, moved, laid, _slope(moved[shape.jaw], camera))
    edges = (
        (upper, shape.skin[0], UPPER_ROUND, UPPER_SHARE, 1.0),
        (lower, shape.skin[1], LOWER_ROUND, LOWER_SHARE, LOWER_DEPTH),
    )
    for edge, (index, weights), power, share, depth in edges:
        change = open_share * share * (_rounded(edge, power, depth) - edge[:, 1])
        moved[index, 1] += weights @ change


def _lay_tongue(shape: MouthShape, moved: Float, share: float, slope: float) -> None:
    """Move the tongue's back to its height between lower teeth and upper lip, in place."""
    tooth, lip = moved[shape.jaw], moved[shape.upper]
    floor, ceiling = tooth[1], _middle(lip) + slope * (tooth[2] - lip[:, 2].max())
    wanted = floor + TONGUE_HEIGHT * max(ceiling - floor, 0.0)
    tongue = moved[shape.tongue]
    seen = (tongue[:, 1] + slope * (tooth[2] - tongue[:, 2]))[shape.back > 0.65]
    moved[shape.tongue, 1] -= share * (seen.max() - wanted) * shape.back


def _slope(at: Float, camera: Camera) -> float:
    """How much higher a point seems per mm farther back, as seen at a point of the model."""
    here, behind, above = project(at + np.array([[0, 0, 0], [0, 0, -30.0], [0, 30.0, 0]]), camera)
    rise = (here[1] - behind[1]) / max(here[1] - above[1], 1e-6)
    return float(np.clip(rise, -STEEPEST, STEEPEST))


def _gap(upper: Float, lower: Float) -> float:
    """Height of the opening at its middle, mm."""
    return float(_middle(upper) - _middle(lower))


def _middle(edge: Float) -> float:
    """Height of the middle third of a lip edge, mm."""
    half = 0.5 * abs(edge[-1, 0] - edge[0, 0])
    near = np.abs(edge[:, 0] - 0.5 * (edge[0, 0] + edge[-1, 0])) < half / 3
    return float(edge[near, 1].mean()) if near.any() else float(edge[len(edge) // 2, 1])


def _rounded(edge: Float, power: float, depth: float) -> Float:
    """(n,) heights of a smooth curve through the corners and the middle of a lip edge."""
    run = (edge[:, 0] - edge[0, 0]) / (edge[-1, 0] - edge[0, 0])
    line = edge[0, 1] + run * (edge[-1, 1] - edge[0, 1])
    s = np.clip(2 * run - 1, -1.0, 1.0)
    bulge = (1 - s * s) ** power
    middle = len(edge) // 2
    return np.asarray(line + bulge * depth * (edge[middle, 1] - line[middle]))


def _smooth(x: Float) -> Float:
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))


def _distance(model: MorphableModel, start: Index) -> Float:
    """(V,) distance along the edges of skin and cavity from vertices `start`, mm."""
    faces = model.faces[np.isin(model.parts, (SKIN, LIPS, CAVITY))].astype(np.int64)
    pairs = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    length = np.linalg.norm(model.mean[pairs[:, 0]] - model.mean[pairs[:, 1]], axis=1)
    graph = coo_array((length, pairs.T), shape=(len(model.mean),) * 2).tocsr()
    return np.asarray(dijkstra(graph, directed=False, indices=start, min_only=True))


def _follow(
    mean: Float, edge: Index, distance: Float, other: Float, reach: float
) -> tuple[Index, Float]:
    """Vertices nearer to `edge` than to the other lip, and the share of its vertices in them."""
    index = np.flatnonzero((distance < reach) & (distance <= other))
    falloff = 1 - _smooth(distance[index] / reach)
    x = mean[edge, 0]
    unit = np.eye(len(edge))
    across = np.stack([np.interp(mean[index, 0], x, u, 0.0, 0.0) for u in unit], axis=1)
    return index, falloff[:, None] * across


def _inset(model: MorphableModel, distance: Float) -> Float:
    """(V,) `INSET` inside the mouth, running out at the lips, 0 on the skin."""
    inset = np.zeros(len(model.mean))
    inside = np.unique(model.faces[np.isin(model.parts, INTERIOR)])
    inset[inside] = INSET * _smooth(np.minimum(distance[inside], 6.0) / 6.0)
    teeth = np.isin(model.parts, (UPPER_TEETH, LOWER_TEETH, TONGUE))
    inset[np.unique(model.faces[teeth])] = INSET
    inset[np.unique(model.faces[np.isin(model.parts, (SKIN, LIPS))])] = 0.0
    return inset
