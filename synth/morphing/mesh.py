"""Triangles over a face and its surroundings, the same ones in every photo of a person.

Nodes are the 68 landmarks and nodes that stand still: the hairline, a ring around
the head, the border of the picture. All photos share one frame, that of the neutral
photo's pixels, to which the others are aligned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from synth.types import inter_ocular

__all__ = ["HAIRLINE", "FaceMesh", "least_area", "make_mesh", "untangled"]

Float = NDArray[np.float64]

#: Upper and lower points that lie over each other: inner lips, lids of either eye.
PAIRS = ((61, 67), (62, 66), (63, 65), (37, 41), (38, 40), (43, 47), (44, 46))
#: Least gap of a pair; below `OPEN` its two points move to one column. Inter-ocular distances.
GAP, OPEN = 0.006, 0.04
#: Places that expressions do not move, in inter-ocular distances from the middle of the outer
#: eye corners: to the picture's right, up. The hairline, where a detector has no points:
HAIRLINE = ((-0.80, 0.38), (-0.62, 0.72), (-0.33, 0.94), (0.0, 1.0), (0.33, 0.94), (0.62, 0.72),
            (0.80, 0.38))  # fmt: skip
#: and a ring outside the head: centre, half axes, number of nodes.
RING_CENTER, RING_AXES, RING_NODES = (0.0, -0.25), (1.55, 2.05), 16
#: Nodes along each side of the picture, corners included, and how far the ring stays from it.
SIDE_NODES, CLEAR = 5, 0.15


@dataclass(frozen=True)
class FaceMesh:
    """Triangles over a picture.

    Attributes
    ----------
    still : (S, 2) float64
        Nodes besides the 68 landmarks, pixels.
    triangles : (T, 3) intp
        Nodes of each, in the order that gives a positive `areas`.
    """

    still: Float
    triangles: NDArray[np.intp]

    def nodes(self, points: Float) -> Float:
        """(68 + S, 2) all nodes for landmarks (68, 2)."""
        return np.concatenate([points, self.still])

    def areas(self, points: Float) -> Float:
        """(T,) twice the signed areas, px^2; one of 0 or less is folded over."""
        corners = self.nodes(points)[self.triangles]
        return _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _cross(a: Float, b: Float) -> Float:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _axes(points: Float) -> tuple[Float, Float, Float]:
    """Middle of the outer eye corners, and a (2,) step right and one down, an eye distance long."""
    right = points[45] - points[36]
    return (points[36] + points[45]) / 2, right, np.array([-right[1], right[0]])


def untangled(points: Float) -> Float:
    """(68, 2) landmarks whose lips and lids do not cross.

    A detector puts the inner lips of a closed mouth within its noise of each other,
    often the wrong way round, which would fold the triangles between them. The two
    points of a pair that is nearly closed come to lie over each other, `GAP` apart or
    more; they slide along the line of the lips, where it does not show.
    """
    _, right, down = _axes(points)
    unit = float(right @ right)
    out = points.copy()
    for upper, lower in PAIRS:
        a, b = points[upper], points[lower]
        gap, slip = float((b - a) @ down) / unit, float((b - a) @ right) / unit
        closed = min(max(1 - gap / OPEN, 0.0), 1.0)
        move = (-closed * slip * right + (max(gap, GAP) - gap) * down) / 2
        out[upper], out[lower] = a - move, b + move
    return out


def make_mesh(shapes: Sequence[Float], size: tuple[int, int]) -> FaceMesh:
    """The mesh of faces (68, 2) in one frame, triangulated on their mean.

    Delaunay triangles of the mean are as round as can be for all of them.

    Parameters
    ----------
    shapes : sequence of (68, 2) float64
        Landmarks of each photo in the common frame, `untangled`.
    size : (int, int)
        Height and width of the picture in pixels.
    """
    mean = np.mean(np.stack(shapes), axis=0)
    still = _still_nodes(mean, np.stack(shapes), size)
    nodes = np.concatenate([mean, still])
    triangles = Delaunay(nodes).simplices.astype(np.intp)
    corners = nodes[triangles]
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    return FaceMesh(still, triangles[np.abs(area) > 1e-9])


def _still_nodes(mean: Float, shapes: Float, size: tuple[int, int]) -> Float:
    middle, right, down = _axes(mean)
    unit = inter_ocular(mean)
    turn = np.stack([right, -down])
    angles = 2 * np.pi * np.arange(RING_NODES) / RING_NODES
    ring = np.array(RING_CENTER) + np.stack([np.cos(angles), np.sin(angles)], 1) * RING_AXES
    around = middle + np.concatenate([np.array(HAIRLINE), ring]) @ turn
    # The picture, and whatever of a face lies outside it.
    everything = np.concatenate([shapes.reshape(-1, 2)])
    low = np.minimum((0.0, 0.0), everything.min(0) - 2 * CLEAR * unit)
    high = np.maximum((size[1] - 1.0, size[0] - 1.0), everything.max(0) + 2 * CLEAR * unit)
    inside = ((around > low + CLEAR * unit) & (around < high - CLEAR * unit)).all(1)
    steps = [np.linspace(low[axis], high[axis], SIDE_NODES) for axis in (0, 1)]
    border = [(x, y) for x, y in itertools.product(*steps)
              if x in (low[0], high[0]) or y in (low[1], high[1])]  # fmt: skip
    return np.concatenate([around[inside], np.array(border)])


def least_area(mesh: FaceMesh, first: Float, second: Float) -> float:
    """The least of twice the signed areas, px^2, of any triangle on the way between two shapes.

    Along ``(1 - t) first + t second`` an area is quadratic in t; its least value over
    [0, 1] is at an end or where its derivative is 0.
    """
    a, b = mesh.nodes(first)[mesh.triangles], mesh.nodes(second)[mesh.triangles]
    u, v = a[:, 1] - a[:, 0], a[:, 2] - a[:, 0]
    du, dv = b[:, 1] - b[:, 0] - u, b[:, 2] - b[:, 0] - v
    constant, linear, square = _cross(u, v), _cross(u, dv) + _cross(du, v), _cross(du, dv)
    with np.errstate(divide="ignore", invalid="ignore"):
        turning = np.where(square > 0, -linear / (2 * square), 0.0)
    t = np.clip(np.nan_to_num(turning), 0.0, 1.0)
    inner = constant + linear * t + square * t * t
    return float(np.minimum(np.minimum(constant, constant + linear + square), inner).min())
