"""The morph: every photo bent to the shape in between, once, and mixed.

One inverse map a photo, piecewise affine over the triangles of the shared mesh, leads
from a pixel of the result to the photo's own pixels, alignment included. So a pixel is
sampled once, however many photos are mixed: morphing two apexes and their result with
neutral would blur twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.morphing.layers import FINE, Layer, grid, sample, shared
from synth.morphing.mesh import HAIRLINE, FaceMesh, make_mesh, untangled
from synth.morphing.mouth import mix_mouth
from synth.types import inter_ocular

__all__ = ["face_share", "mix", "morph", "triangle_numbers", "warp_map"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

#: The result fades from the mixture to neutral over this much inside the outline of the
#: face, inter-ocular distances.
FADE = 0.12
#: The mask ends at this share of the way to the hairline, before the hair.
FOREHEAD = 0.8


def triangle_numbers(nodes: Float, mesh: FaceMesh, size: tuple[int, int]) -> NDArray[np.int32]:
    """(H, W) the triangle that each pixel lies in.

    Neighbours share their edge's pixels; which of them wins does not matter, because
    their maps agree there.
    """
    numbers = np.zeros(size, np.int32)
    corners = np.rint(nodes[mesh.triangles] * (1 << FINE)).astype(np.int32)
    for number, triangle in enumerate(corners):
        cv2.fillConvexPoly(numbers, triangle, number, cv2.LINE_8, FINE)
    return numbers


def warp_map(
    nodes: Float, source: Float, mesh: FaceMesh, numbers: NDArray[np.int32]
) -> tuple[Float32, Float32]:
    """x and y (H, W), in the frame of `source`, of what is seen at each pixel.

    Parameters
    ----------
    nodes, source : (N, 2) float64
        Nodes of the result and of the photo, in one frame.
    mesh : FaceMesh
    numbers : (H, W) int32
        Of `triangle_numbers`, for `nodes`.
    """
    corners = nodes[mesh.triangles]
    # Displacements, not positions: where nothing moves the map is exact.
    moves = (source - nodes)[mesh.triangles]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], 1)
    slopes = np.linalg.solve(
        edges, np.stack([moves[:, 1] - moves[:, 0], moves[:, 2] - moves[:, 0]], 1)
    )
    offset = moves[:, 0] - np.einsum("ti,tij->tj", corners[:, 0], slopes)
    height, width = numbers.shape
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    table = np.concatenate([slopes.reshape(-1, 4), offset], 1).astype(np.float32)
    found = []
    for axis, base in ((0, x), (1, y)):
        along, across, shift = (table[:, k][numbers] for k in (axis, 2 + axis, 4 + axis))
        along *= x
        across *= y
        along += across
        along += shift
        along += base
        found.append(along)
    return found[0], found[1]


def face_share(points: Float, size: tuple[int, int]) -> Float32:
    """(H, W) 1 inside the face, 0 outside, fading over `FADE` inside its outline."""
    right = points[45] - points[36]
    middle, down = (points[36] + points[45]) / 2, np.array([-right[1], right[0]])
    hairline = middle + np.array(HAIRLINE) * (1.0, FOREHEAD) @ np.stack([right, -down])
    hull = cv2.convexHull(np.concatenate([points, hairline]).astype(np.float32))
    inside = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(hull * (1 << FINE)).astype(np.int32), 1, cv2.LINE_8, FINE)
    unit = inter_ocular(points)
    depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 5)[1:-1, 1:-1] / unit
    rising = np.clip(depth / FADE, 0, 1)
    return np.asarray(rising * rising * (3 - 2 * rising), np.float32)


def mix(
    layers: Sequence[Layer],
    weights: Sequence[float],
    mesh: FaceMesh,
    size: tuple[int, int],
    background: int | None = None,
) -> UInt8:
    """The photos bent to their weighted mean shape and mixed with the same weights.

    Parameters
    ----------
    layers : sequence of Layer
    weights : sequence of float
        Not negative, sum 1.
    mesh : FaceMesh
        Of the common frame.
    size : (int, int)
        Height and width of the result.
    background : int, optional
        The layer that alone is seen outside the face; None mixes everywhere.

    Returns
    -------
    (H, W, 3) or (H, W) uint8
        With one weight of 1 and no background, that photo, exact where it is the frame.
    """
    points = np.einsum("k,kij->ij", np.asarray(weights, np.float64), [p.points for p in layers])
    nodes = mesh.nodes(points)
    numbers = triangle_numbers(nodes, mesh, size)
    used = [k for k, weight in enumerate(weights) if weight > 0 or k == background]
    maps = {k: warp_map(nodes, mesh.nodes(layers[k].points), mesh, numbers) for k in used}
    if any(layer.residual is not None for layer in layers):
        start = maps.get(0) or warp_map(nodes, mesh.nodes(layers[0].points), mesh, numbers)
        maps = follow_detail(maps, start, layers, weights, points)
    shares: list[Float32 | float] = list(weights)
    if background is not None and len(used) > 1:
        face = face_share(points, size)
        shares = [face * np.float32(share) for share in weights]
        shares[background] = shares[background] + (1 - face)
    total = sum(shared(sample(layers[k], *maps[k]), shares[k]) for k in used)
    if len(used) > 1:
        mix_mouth(np.asarray(total), layers, weights, maps, points)
    return np.asarray(np.clip(np.rint(total), 0, 255), np.uint8)


def follow_detail(
    maps: Mapping[int, tuple[Float32, Float32]],
    start: tuple[Float32, Float32],
    layers: Sequence[Layer],
    weights: Sequence[float],
    points: Float,
) -> dict[int, tuple[Float32, Float32]]:
    """The maps moved so that the photos' detail meets at its weighted mean.

    With ``r_k`` the residual of photo k where the neutral photo shows the pixel and
    ``R = sum w_k r_k``, photo k is seen at ``p + r_k - R`` instead of ``p``: the whole
    photo of a weight of 1 stays as it is.

    Parameters
    ----------
    maps : mapping of int to (x, y)
        Of the photos used.
    start : (x, y)
        That of the first, neutral photo.
    layers, weights, points
        As in `mix`.
    """
    height, width = start[0].shape
    low = np.clip(np.floor(points.min(0) - inter_ocular(points)).astype(int), 0, (width, height))
    high = np.clip(
        np.ceil(points.max(0) + 0.2 * inter_ocular(points)).astype(int), low, (width, height)
    )
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    residuals = {}
    for k in maps:
        found = layers[k].residual
        if found is not None and weights[k] > 0:
            x, y = (
                place[box] - np.float32(c) for place, c in zip(start, found.corner, strict=True)
            )
            residuals[k] = cv2.remap(found.moves, x, y, cv2.INTER_LINEAR)
    if not residuals:
        return dict(maps)
    mean = sum(np.float32(weights[k]) * moves for k, moves in residuals.items())
    here = grid(low, high)
    out = {}
    for k, places in maps.items():
        move = residuals.get(k, np.float32(0)) - mean
        x, y = here[0] + move[..., 0], here[1] + move[..., 1]
        out[k] = (places[0].copy(), places[1].copy())
        for target, place in zip(out[k], places, strict=True):
            target[box] = cv2.remap(place, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out


def morph(
    first: UInt8,
    second: UInt8,
    first_points: Float,
    second_points: Float,
    t: float,
) -> UInt8:
    """What lies the share `t` of the way from one photo to another of the same size.

    Parameters
    ----------
    first, second : (H, W, 3) or (H, W) uint8
    first_points, second_points : (68, 2) float64
        Landmarks, pixels.
    t : float
        0 gives `first`, 1 gives `second`, exactly.

    Raises
    ------
    ShapeError
        If the photos differ in shape, or `t` is outside [0, 1].
    """
    if first.shape != second.shape:
        raise ShapeError(f"photos: expected one shape, got {first.shape} and {second.shape}")
    if not 0 <= t <= 1:
        raise ShapeError(f"t: expected 0 to 1, got {t:g}")
    shapes = [untangled(np.asarray(p, np.float64)) for p in (first_points, second_points)]
    height, width = first.shape[:2]
    mesh = make_mesh(shapes, (height, width))
    layers = [Layer(first, shapes[0]), Layer(second, shapes[1])]
    return mix(layers, (1 - t, t), mesh, (height, width))
