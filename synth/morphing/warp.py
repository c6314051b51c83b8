"""The morph: every photo bent to the shape in between, once, and mixed.

One inverse map a photo, piecewise affine over the triangles of the shared mesh, leads
from a pixel of the result to the photo's own pixels, alignment included. So a pixel is
sampled once, however many photos are mixed: morphing two apexes and their result with
neutral would blur twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.errors import ShapeError
from synth.morphing.mesh import HAIRLINE, FaceMesh, make_mesh, untangled
from synth.types import inter_ocular

__all__ = ["Layer", "face_share", "mix", "mouth_openness", "morph", "warp_map"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

#: Bits behind the binary point that OpenCV draws polygons with.
FINE = 6
#: The result fades from the mixture to neutral between these distances inside the outline of
#: the face, and the mixture of the mouth over this width; inter-ocular distances.
FADE = (-0.02, 0.12)
LIP_FADE = 0.02
#: The mask ends at this share of the way from brows to hairline, before the hair.
FOREHEAD = 0.8
#: Lips open less than this share of the squared eye distance count as shut.
SHUT = 0.004
INNER_LIPS = slice(60, 68)
#: Photos larger than this multiple of the result are smoothed first.
SHRINK = 1.2


@dataclass(frozen=True)
class Layer:
    """A photo to be mixed.

    Attributes
    ----------
    pixels : (h, w, 3) or (h, w) uint8
    points : (68, 2) float64
        Landmarks in the common frame.
    matrix : (2, 3) float64 or None
        Common frame to the photo's pixels; None where it is the same.
    """

    pixels: UInt8
    points: Float
    matrix: Float | None = None


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


def sample(layer: Layer, x: Float32, y: Float32) -> UInt8:
    """The photo at places of the common frame."""
    pixels = layer.pixels
    if layer.matrix is not None:
        m = layer.matrix.astype(np.float32)
        x, y = m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]
        scale = math.hypot(*layer.matrix[:, 0])
        if scale > SHRINK:  # area filter: blur to the new Nyquist before sampling
            pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 * scale)
    found = cv2.remap(pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found)


def mouth_openness(points: Float) -> float:
    """Area between the inner lips per squared inter-ocular distance, 0 where they are shut."""
    x, y = points[INNER_LIPS].T
    area = 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    return max(area / inter_ocular(points) ** 2 - SHUT, 0.0)


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
    rising = np.clip((depth - max(FADE[0], 0)) / (FADE[1] - max(FADE[0], 0)), 0, 1)
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
    shares: list[Float32 | float] = list(weights)
    if background is not None and len(used) > 1:
        face = face_share(points, size)
        shares = [face * np.float32(share) for share in weights]
        shares[background] = shares[background] + (1 - face)
    total = sum(_shared(sample(layers[k], *maps[k]), shares[k]) for k in used)
    if len(used) > 1:
        mix_mouth(np.asarray(total), layers, weights, maps, points)
    return np.asarray(np.clip(np.rint(total), 0, 255), np.uint8)


def _shared(pixels: UInt8, share: Float32 | float) -> Float32:
    if not isinstance(share, np.ndarray):
        return pixels * np.float32(share)
    return np.asarray(pixels * (share[..., None] if pixels.ndim == 3 else share))


def mix_mouth(
    total: Float32,
    layers: Sequence[Layer],
    weights: Sequence[float],
    maps: Mapping[int, tuple[Float32, Float32]],
    points: Float,
) -> None:
    """Put what is seen between the lips into a mixture, in place.

    Only photos with an open mouth count, by how open it is: a shut one has nothing to
    show there but stretched lips, and teeth would fade away. Teeth stay where they are
    in the head, and the lips open over them; bent with the lips they would be squeezed.
    """
    open_ = {k: weights[k] * mouth_openness(layers[k].points) for k in maps}
    area = sum(open_.values())
    low = np.floor(points[INNER_LIPS].min(0) - 2 * LIP_FADE * inter_ocular(points)).astype(int)
    high = np.ceil(points[INNER_LIPS].max(0) + 2 * LIP_FADE * inter_ocular(points)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, total.shape[1::-1])
    if area <= 0 or (high <= low).any():
        return
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    inner: Any = 0
    for k, part in open_.items():
        if part > 0:
            still = _still_inside(layers[k].points, low, high)
            places = (
                grid + (1 - still) * (place[box] - grid)
                for grid, place in zip(_grid(low, high), maps[k], strict=True)
            )
            inner = inner + _shared(sample(layers[k], *places), part / area)
    share = mouth_share(points, low, high)
    total[box] += (share[..., None] if total.ndim == 3 else share) * (inner - total[box])


def _grid(low: NDArray[np.int64], high: NDArray[np.int64]) -> tuple[Float32, Float32]:
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    return x, y


def _lips(points: Float, low: NDArray[np.int64], high: NDArray[np.int64]) -> UInt8:
    """Coverage, 0 to 255, of the pixels of a box by the opening between the inner lips."""
    mask = np.zeros(high[::-1] - low[::-1], np.uint8)
    lips = np.rint((points[INNER_LIPS] - low) * (1 << FINE)).astype(np.int32)
    cv2.fillPoly(mask, [lips], 255, cv2.LINE_AA, FINE)
    return mask


def _still_inside(points: Float, low: NDArray[np.int64], high: NDArray[np.int64]) -> Float32:
    """1 well inside the opening of a photo's own lips, 0 outside it."""
    opening = (_lips(points, low, high) > 127).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(opening, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(np.clip(depth / (LIP_FADE * inter_ocular(points)), 0, 1), np.float32)


def mouth_share(points: Float, low: NDArray[np.int64], high: NDArray[np.int64]) -> Float32:
    """1 between the inner lips, fading over `LIP_FADE`, in a box of pixels."""
    sigma = max(LIP_FADE * inter_ocular(points) / 2, 0.3)
    share = cv2.GaussianBlur(_lips(points, low, high), (0, 0), sigma)
    return np.asarray(share, np.float32) / np.float32(255)


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
