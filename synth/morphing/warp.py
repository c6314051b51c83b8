"""The morph: every photo bent to the shape in between, once, and mixed.

One inverse map a photo, piecewise affine over the triangles of the shared mesh, leads
from a pixel of the result to the photo's own pixels, alignment included. So a pixel is
sampled once, however many photos are mixed: morphing two apexes and their result with
neutral would blur twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def mouth_share(points: Float, size: tuple[int, int]) -> Float32:
    """(H, W) 1 between the inner lips, fading over `LIP_FADE`."""
    mask = np.zeros(size, np.uint8)
    lips = np.rint(points[INNER_LIPS] * (1 << FINE)).astype(np.int32)
    cv2.fillPoly(mask, [lips], 255, cv2.LINE_AA, FINE)
    sigma = max(LIP_FADE * inter_ocular(points) / 2, 0.3)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), np.float32) / np.float32(255)


def mix(
    layers: Sequence[Layer],
    weights: Sequence[float],
    mesh: FaceMesh,
    size: tuple[int, int],
    background: int | None = None,
) -> UInt8:
    """The photos bent to their weighted mean shape and mixed with the same weights.

    Between the lips only photos whose mouth is open count, by how open it is: a shut
    mouth has nothing to show there but stretched lips, and teeth would fade away.

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
    shape = np.einsum(
        "k,kij->ij", np.asarray(weights, np.float64), [layer.points for layer in layers]
    )
    nodes = mesh.nodes(shape)
    numbers = triangle_numbers(nodes, mesh, size)
    used = [k for k, w in enumerate(weights) if w > 0 or k == background]
    seen = {
        k: sample(layers[k], *warp_map(nodes, mesh.nodes(layers[k].points), mesh, numbers))
        for k in used
    }
    shares = pixel_shares(layers, weights, shape, size, background)
    if len(seen) == 1:
        return seen[used[0]]
    total = np.zeros(seen[used[0]].shape, np.float32)
    for k, pixels in seen.items():
        share = shares[k]
        if isinstance(share, np.ndarray) and pixels.ndim == 3:
            share = share[..., None]
        total += share * pixels
    return np.asarray(np.clip(np.rint(total), 0, 255), np.uint8)


def pixel_shares(
    layers: Sequence[Layer],
    weights: Sequence[float],
    shape: Float,
    size: tuple[int, int],
    background: int | None,
) -> list[Float32 | np.float32]:
    """Share of each photo at each pixel; a number where it is the same everywhere."""
    openness = [w * mouth_openness(layer.points) for w, layer in zip(weights, layers, strict=True)]
    shares: list[Float32 | np.float32] = [np.float32(w) for w in weights]
    if sum(openness) > 0:
        mouth = mouth_share(shape, size)
        inner = [np.float32(o / sum(openness)) for o in openness]
        shares = [s + mouth * (i - s) for s, i in zip(shares, inner, strict=True)]
    if background is not None:
        face = face_share(shape, size)
        shares = [face * s for s in shares]
        shares[background] = shares[background] + (1 - face)
    return shares


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
