"""Fine detail brought together after the landmarks: brows, lashes, pores and moles.

68 points leave the skin between them a few pixels apart, and mixing then blurs it. The
apex, bent to the neutral shape, is compared with the neutral photo by dense inverse
search optical flow [1]_; the small displacements that remain move along with the morph.

References
----------
.. [1] Kroeger, Timofte, Dai & Van Gool, "Fast Optical Flow using Dense Inverse Search",
   ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.morphing.layers import Layer, Residual, sample
from synth.morphing.mesh import FaceMesh
from synth.morphing.mouth import mouth_share
from synth.morphing.warp import face_share, triangle_numbers, warp_map
from synth.types import inter_ocular

__all__ = ["refined"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Box = tuple[slice, slice]

#: Inter-ocular distance in pixels at which the flow is sought; larger faces are shrunk.
FLOW_EYES = 200.0
#: Inter-ocular distances: largest displacement kept, smoothing (sd), how far from the
#: inner lips nothing moves, and over what distance it is judged whether it helped.
LARGEST, SMOOTH, MOUTH, WINDOW = 0.04, 0.012, 0.03, 0.03


def refined(layers: Sequence[Layer], mesh: FaceMesh, size: tuple[int, int]) -> list[Layer]:
    """The photos with the displacement of their detail from the first one's.

    Parameters
    ----------
    layers : sequence of Layer
        The first is the neutral photo, whose pixels are the common frame.
    mesh : FaceMesh
    size : (int, int)
        Height and width of the neutral photo.
    """
    first = layers[0]
    nodes = mesh.nodes(first.points)
    numbers = triangle_numbers(nodes, mesh, size)
    share = face_share(first.points, size)
    rows, columns = np.nonzero(share.any(1))[0], np.nonzero(share.any(0))[0]
    if not len(rows):
        return list(layers)
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    found = [first]
    for layer in layers[1:]:
        x, y = warp_map(nodes, mesh.nodes(layer.points), mesh, numbers)
        bent = sample(layer, np.ascontiguousarray(x[box]), np.ascontiguousarray(y[box]))
        moved = _displacement(first, bent, share[box], box)
        found.append(replace(layer, residual=Residual((columns[0], rows[0]), moved)))
    return found


def _displacement(first: Layer, bent: UInt8, share: Float32, box: Box) -> Float32:
    """(h, w, 2) from the neutral photo's detail to that of a photo bent to its shape."""
    unit = inter_ocular(first.points)
    here, there = _luma(first.pixels[box]), _luma(bent)
    scale = min(1.0, FLOW_EYES / unit)
    small = [cv2.resize(p, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
             for p in (here, there)]  # fmt: skip
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*small, None)
    flow = cv2.GaussianBlur(flow, (0, 0), SMOOTH * unit * scale)
    length = np.linalg.norm(flow, axis=2, keepdims=True)
    limit = LARGEST * unit * scale
    flow *= np.minimum(1.0, limit / np.maximum(length, 1e-6))
    flow = cv2.resize(flow, here.shape[::-1], interpolation=cv2.INTER_LINEAR) / np.float32(scale)
    keep = share * (1 - _around_mouth(first.points, box, unit))
    keep *= _helped(here, there, flow, WINDOW * unit)
    return np.asarray(flow * keep[..., None], np.float32)


def _luma(pixels: UInt8) -> UInt8:
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(grey)


def _around_mouth(points: Float, box: Box, unit: float) -> Float32:
    low, high = np.array([b.start for b in box[::-1]]), np.array([b.stop for b in box[::-1]])
    lips = (mouth_share(points, low, high) > 0.05).astype(np.uint8)
    wide = cv2.dilate(lips, np.ones((2 * int(MOUTH * unit) + 1,) * 2, np.uint8))
    return np.asarray(cv2.GaussianBlur(wide.astype(np.float32), (0, 0), MOUTH * unit / 2))


def _helped(here: UInt8, there: UInt8, flow: Float32, sigma: float) -> Float32:
    """1 where the flow brings the detail of two pictures nearer to each other, else 0."""
    y, x = np.mgrid[: here.shape[0], : here.shape[1]].astype(np.float32)
    after = cv2.remap(there, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    detail = [p - cv2.GaussianBlur(p, (0, 0), sigma) for p in
              (q.astype(np.float32) for q in (here, there, after))]  # fmt: skip
    off = [cv2.GaussianBlur(np.abs(detail[0] - d), (0, 0), sigma) for d in detail[1:]]
    gain = (off[0] - off[1]) / (off[0] + 1.0)
    return np.asarray(cv2.GaussianBlur(np.clip(gain / 0.1, 0, 1), (0, 0), sigma), np.float32)
