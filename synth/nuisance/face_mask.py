"""A surgical mask: a pleated sheet over nose, mouth and chin, and its ear loops."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from synth.nuisance.draw import FaceMask
from synth.nuisance.layers import Lighting, Mesh, composite, draw_layer, shadow, tube
from synth.nuisance.posed import Posed
from synth.render.topology import LIPS, SKIN

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["wear_mask"]

Float = NDArray[np.float64]
Index = NDArray[np.int64]
#: Where the sheet touches the mean face (x to the subject's left, y up, mm), from the
#: edge at the nose to the one below the chin, and from the middle to the cheek.
ANCHORS = np.array(
    [
        [(0, -22), (13, -29), (30, -36), (49, -38), (65, -40)],
        [(0, -38), (17, -44), (36, -50), (53, -52), (66, -52)],
        [(0, -66), (19, -68), (38, -68), (54, -68), (64, -66)],
        [(0, -92), (18, -92), (36, -88), (50, -82), (60, -77)],
        [(0, -113), (17, -112), (32, -105), (44, -97), (53, -88)],
    ],
    float,
)
#: Distance from the skin there, mm.
LIFT = np.array(
    [
        [1.5, 3.0, 3.5, 3.0, 2.0],
        [5.0, 9.0, 5.0, 3.0, 2.0],
        [9.0, 7.0, 5.0, 3.5, 2.0],
        [8.0, 6.5, 5.0, 3.5, 2.0],
        [3.0, 3.0, 3.0, 2.5, 2.0],
    ]
)
ROWS, COLUMNS = 61, 25
#: Samples between the outer eye corners.
SAMPLES = 270.0
#: Rows of the pleats, as shares of the height, and half the width of one.
PLEATS, PLEAT = (0.3, 0.47, 0.64), 0.018

_ANCHORS: dict[int, tuple[Index, Float]] = {}


def _spread(knots: int, count: int) -> Float:
    """(count, knots) matrix of the cubic spline through values at even knots."""
    spline = CubicSpline(np.linspace(0, 1, knots), np.eye(knots), axis=0, bc_type="natural")
    return np.asarray(spline(np.linspace(0, 1, count)))


_DOWN, _ACROSS = _spread(5, ROWS), _spread(9, COLUMNS)


def _anchors(model: MorphableModel) -> tuple[Index, Float]:
    """Vertices (5, 9) at the front of the mean face, right cheek to left, and what they lack.

    The offsets (5, 9, 3) in mm lead from each vertex to its point of `ANCHORS`.
    """
    found = _ANCHORS.get(id(model))
    if found is None:
        skin = np.unique(model.faces[np.isin(model.parts, (SKIN, LIPS))])
        place = model.mean[skin]
        both = np.concatenate((ANCHORS[:, :0:-1] * (-1, 1), ANCHORS), axis=1)
        flat = np.linalg.norm(place[:, None, None, :2] - both, axis=3)
        # The frontmost of those close by: the mesh has lips and nostrils behind its front.
        cost = flat - 0.15 * place[:, 2, None, None]
        index = skin[cost.argmin(0)].astype(np.int64)
        rest = np.zeros((*index.shape, 3))
        rest[..., :2] = both - model.mean[index][..., :2]
        found = _ANCHORS[id(model)] = index, rest
        weakref.finalize(model, _ANCHORS.pop, id(model), None)
    return found


def sheet(model: MorphableModel, head: Posed, worn: FaceMask) -> Float:
    """(ROWS, COLUMNS, 3) points of the mask on the posed face, model space, mm."""
    index, rest = _anchors(model)
    skin = head.vertices[index] + rest
    lift = np.concatenate((LIFT[:, :0:-1], LIFT), axis=1)
    loose = np.ones_like(lift)
    loose[1:4, 2:7] += 0.6 * worn.sag
    outward = skin - (0.0, -40.0, -70.0)  # away from the middle of the head
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    points = skin + (lift * loose)[..., None] * outward
    tip, bridge = head.landmarks[30], head.landmarks[27]
    nose = tip + worn.height * (bridge - tip) + (0.0, 0.0, 2.0)
    shift = nose - points[0, 4]
    points[0] += np.array([0, 0.1, 0.35, 0.8, 1, 0.8, 0.35, 0.1, 0])[:, None] * shift * (0, 1, 0)
    points[0, 4] = nose
    points[4, :, 1] -= 4.0
    down = _DOWN @ points.reshape(5, 27)
    return np.asarray(_ACROSS @ down.reshape(ROWS, 9, 3))


def _grid_faces() -> NDArray[np.int32]:
    cell = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = cell[:-1, :-1], cell[:-1, 1:], cell[1:, :-1], cell[1:, 1:]
    faces = np.concatenate((np.stack((a, c, b), 2), np.stack((b, c, d), 2)))
    return faces.reshape(-1, 3).astype(np.int32)


_FACES = _grid_faces()


def _pattern() -> Float:
    """(ROWS, COLUMNS) brightness of pleats and hems."""
    v = np.linspace(0, 1, ROWS)[:, None]
    u = np.linspace(-1, 1, COLUMNS)[None]
    shade = np.ones((ROWS, COLUMNS))
    for row in PLEATS:
        off = (v - row) / PLEAT
        shade -= 0.2 * np.exp(-(off**2)) - 0.06 * np.exp(-((off + 2.2) ** 2))
    shade -= 0.08 * np.exp(-(((v - 0.055) / 0.012) ** 2))  # the hem that holds the wire
    shade -= 0.06 * np.exp(-(((1 - v - 0.05) / 0.012) ** 2))
    shade -= 0.08 * np.exp(-(((1 - np.abs(u) - 0.06) / 0.02) ** 2))
    return shade


_SHADE = _pattern()


def _mesh(model: MorphableModel, head: Posed, worn: FaceMask) -> Mesh:
    """Sheet and loops."""
    grid = sheet(model, head, worn)
    vertices = grid.reshape(-1, 3)
    normals = _normals(grid)
    colour = np.array(worn.colour, float)
    albedo = np.clip(colour * _SHADE.reshape(-1, 1), 0, 255)
    meshes = [(vertices, _FACES, normals, albedo)]
    for column, ear in ((0, 0), (-1, 16)):
        for row, end in ((1, (1.0, -12.0, -16.0)), (-2, (-1.0, -20.0, -16.0))):
            strap = _loop(grid[row, column], head.landmarks[ear], end, 1 if ear else -1)
            white = np.tile([225.0, 226.0, 228.0], (len(strap[0]), 1))
            meshes.append((*strap, np.minimum(white, colour + 70)))
    starts = np.cumsum([0, *(len(m[0]) for m in meshes)])
    return Mesh(
        np.concatenate([m[0] for m in meshes]),
        np.concatenate([m[1] + s for m, s in zip(meshes, starts, strict=False)]).astype(np.int32),
        np.concatenate([m[2] for m in meshes]),
        np.concatenate([m[3] for m in meshes]),
        shown=len(_FACES),
    )


def _normals(grid: Float) -> Float:
    """(ROWS * COLUMNS, 3) unit normals of the sheet, outwards."""
    down, across = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
    normal = np.cross(down, across).reshape(-1, 3)
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def _loop(
    corner: Float, ear: Float, end: tuple[float, float, float], sign: int
) -> tuple[Float, NDArray[np.int32], Float]:
    """A strap from a corner of the sheet to behind the ear."""
    target = ear + np.array(end) * (sign, 1, 1)
    t = np.linspace(0, 1, 8)[:, None]
    path = corner + (target - corner) * t
    path[:, 0] += sign * 1.5 * np.sin(np.pi * t[:, 0])  # around the cheek
    n = len(path)
    return tube(
        path, np.tile([0.7 * sign, 0.0, 0.0], (n, 1)), np.tile([0.0, 0.9, 0.0], (n, 1)), False
    )


def wear_mask(
    worn: FaceMask, head: Posed, light: Lighting, pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Put a mask on the posed face, in place."""
    pixel = head.scale
    mesh = _mesh(light.rig.model, head, worn)
    layer = draw_layer(mesh, head, light, 0.0, 14 * pixel, SAMPLES)
    if layer is None:
        return
    below = shadow(layer, (0.0, 1.0 * pixel), 3.0 * pixel, 0.45)
    composite(pixels, mask, layer, below)
