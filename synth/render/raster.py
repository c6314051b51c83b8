"""Z-buffer rasterisers behind one function: which triangle each pixel sees.

`rasterise` returns triangle ids, barycentric coordinates (of the surface or of the picture)
and depth. The numba loop is the default on CPU; pytorch3d can be selected where
it is installed and gives the same ids (`tests/test_raster.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.optional import require

__all__ = ["BACKENDS", "FAR", "rasterise"]

#: Depth of a pixel that sees nothing.
FAR = np.float32(1e30)

Raster = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]


@njit(cache=True, nogil=True)
def _zbuffer(points: Any, faces: Any, perspective: Any, ids: Any, bary: Any, near: Any) -> None:
    """Fill `ids`, `bary` and `near`, the inverse depth (0 where nothing is seen)."""
    height, width = ids.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ax, ay, bx, by, cx, cy = (
            points[a, 0],
            points[a, 1],
            points[b, 0],
            points[b, 1],
            points[c, 0],
            points[c, 1],
        )
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 1e-6)))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx) + 1e-6)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 1e-6)))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy) + 1e-6)))
        if x0 > x1 or y0 > y1:
            continue
        inverse = 1.0 / area
        za, zb, zc = 1.0 / points[a, 2], 1.0 / points[b, 2], 1.0 / points[c, 2]
        w1_dx, w2_dx = (cy - ay) * inverse, -(by - ay) * inverse
        w1_dy, w2_dy = -(cx - ax) * inverse, (bx - ax) * inverse
        for y in range(y0, y1 + 1):
            w1 = (x0 - ax) * w1_dx + (y - ay) * w1_dy
            w2 = (x0 - ax) * w2_dx + (y - ay) * w2_dy
            for x in range(x0, x1 + 1):
                w0 = 1.0 - w1 - w2
                if w0 >= -1e-7 and w1 >= -1e-7 and w2 >= -1e-7:
                    inverse_depth = w0 * za + w1 * zb + w2 * zc
                    if inverse_depth > near[y, x]:
                        near[y, x] = inverse_depth
                        ids[y, x] = t
                        if perspective:
                            z = 1.0 / inverse_depth
                            bary[y, x, 0] = w1 * zb * z
                            bary[y, x, 1] = w2 * zc * z
                        else:
                            bary[y, x, 0] = w1
                            bary[y, x, 1] = w2
                w1 += w1_dx
                w2 += w2_dx


def _numba(
    points: NDArray[np.float64],
    faces: NDArray[np.int32],
    shape: tuple[int, int],
    perspective: bool,
) -> Raster:
    ids = np.full(shape, -1, np.int32)
    bary = np.zeros((*shape, 2), np.float32)
    near = np.zeros(shape, np.float32)
    _zbuffer(points, faces, perspective, ids, bary, near)
    with np.errstate(divide="ignore"):
        return ids, bary, np.minimum(1 / near, FAR)


def _pytorch3d(
    points: NDArray[np.float64],
    faces: NDArray[np.int32],
    shape: tuple[int, int],
    perspective: bool,
) -> Raster:
    """The same through pytorch3d: its NDC has x left, y up and the short side from -1 to 1."""
    torch = require("torch")
    rasterize = require("pytorch3d.renderer.mesh.rasterize_meshes", extra="pytorch3d")
    structures = require("pytorch3d.structures", extra="pytorch3d")
    height, width = shape
    short = min(height, width)
    ndc = np.column_stack(
        (
            (width - 1 - 2 * points[:, 0]) / short,
            (height - 1 - 2 * points[:, 1]) / short,
            points[:, 2],
        )
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = structures.Meshes(
        torch.as_tensor(ndc, dtype=torch.float32, device=device)[None],
        torch.as_tensor(faces.astype(np.int64), device=device)[None],
    )
    found, zbuf, weights, _ = rasterize.rasterize_meshes(
        mesh, image_size=shape, blur_radius=0.0, faces_per_pixel=1, perspective_correct=True
    )
    ids = found[0, ..., 0].cpu().numpy().astype(np.int32)
    depth = np.where(ids >= 0, zbuf[0, ..., 0].cpu().numpy(), FAR).astype(np.float32)
    bary = weights[0, ..., 0, :].cpu().numpy().astype(np.float64)
    if not perspective:  # in the picture, a corner counts by its depth as well
        bary = bary * points[faces[np.maximum(ids, 0)], 2]
        bary /= np.maximum(bary.sum(2, keepdims=True), 1e-12)
    bary = np.where((ids >= 0)[..., None], bary[..., 1:], 0)
    return ids, bary.astype(np.float32), depth


#: Rasterisers by name.
BACKENDS = {"numba": _numba, "pytorch3d": _pytorch3d}


def rasterise(
    points: NDArray[np.float64],
    faces: NDArray[np.int32],
    box: tuple[int, int, int, int],
    scale: int = 1,
    backend: str = "numba",
    perspective: bool = True,
) -> Raster:
    """Triangle ids, barycentric coordinates and depth of the pixels of a box.

    Parameters
    ----------
    points : (N, 3) float64
        x, y in pixels of the photo, depth in mm.
    faces : (F, 3) int32
    box : (left, top, width, height)
        In photo pixels.
    scale : int
        Samples per pixel and axis.
    backend : str
        A key of `BACKENDS`.
    perspective : bool
        Whether `bary` refers to the surface (perspective-correct) or to the
        picture: the latter interpolates pixel positions exactly.

    Returns
    -------
    ids : (height * scale, width * scale) int32
        Row of `faces`, -1 where nothing is seen.
    bary : (..., 2) float32
        Weights of the second and third corner; the first has the rest.
    depth : (...) float32
        mm, `FAR` where nothing is seen.
    """
    if backend not in BACKENDS:
        raise UsageError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    left, top, width, height = box
    local = np.empty((len(points), 3))
    # Pixel centres are integers, so a pixel's samples sit symmetrically around it.
    local[:, 0] = (points[:, 0] - left + 0.5) * scale - 0.5
    local[:, 1] = (points[:, 1] - top + 0.5) * scale - 0.5
    local[:, 2] = points[:, 2]
    return BACKENDS[backend](local, faces, (height * scale, width * scale), perspective)
