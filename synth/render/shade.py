"""Pixel loops: sample the photo at the neutral projections, relight, draw folds.

The warp is a texture lookup with the photo as a projective texture: a pixel of
the deformed face takes the photo's colour at the neutral projection of the same
surface point, so pores and hairs survive. All loops are numba, one thread,
without the GIL, and free of data-dependent order, so results are reproducible.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "average",
    "sample",
    "shade_samples",
    "shade_warp",
    "spline_coefficients",
    "vertex_normals",
]

#: Motion (pixels) and relative change below which a pixel is left as it is.
STILL = np.float32(0.04)
SAME = np.float32(0.002)


@njit(cache=True, nogil=True)
def vertex_normals(vertices: Any, faces: Any, corner_faces: Any, out: Any) -> None:
    """Area-weighted unit normals of `vertices` (V, 3) into `out` (V, 3)."""
    count = faces.shape[0]
    normal = np.empty((count, 3))
    for t in range(count):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        normal[t, 0] = uy * vz - uz * vy
        normal[t, 1] = uz * vx - ux * vz
        normal[t, 2] = ux * vy - uy * vx
    for v in range(vertices.shape[0]):
        x = y = z = 0.0
        for k in range(corner_faces.shape[1]):
            t = corner_faces[v, k]
            if t < 0:
                break
            x += normal[t, 0]
            y += normal[t, 1]
            z += normal[t, 2]
        length = max((x * x + y * y + z * z) ** 0.5, 1e-12)
        out[v, 0], out[v, 1], out[v, 2] = x / length, y / length, z / length


#: Floating-point freedom given to the compiler: fused multiply-add and reordering of sums.
CONTRACT = {"contract", "reassoc", "nsz"}
F0, F1, F2, F10 = np.float32(0), np.float32(1), np.float32(2), np.float32(10)
F12, F16, F23 = np.float32(0.5), np.float32(1 / 6), np.float32(2 / 3)
F58, F255 = np.float32(5 / 8), np.float32(255)

#: Columns of the per-vertex values.
X, Y, GAIN, SEEN, U, V = range(6)

#: Pole of the cubic B-spline's inverse filter.
_POLE = 3.0**0.5 - 2.0


@njit(cache=True, nogil=True)
def _prefilter_line(line: Any) -> None:
    """B-spline coefficients of a line (n, c) in place, mirrored at its ends."""
    n = line.shape[0]
    if n < 2:
        return
    for k in range(line.shape[1]):
        total, power = 0.0, 1.0
        for i in range(min(n, 14)):  # |pole|^14 < 1e-8
            total += power * line[i, k]
            power *= _POLE
        line[0, k] = 6.0 * total
        for i in range(1, n):
            line[i, k] = 6.0 * line[i, k] + _POLE * line[i - 1, k]
        line[n - 1, k] = _POLE / (_POLE * _POLE - 1.0) * (line[n - 1, k] + _POLE * line[n - 2, k])
        for i in range(n - 2, -1, -1):
            line[i, k] = _POLE * (line[i + 1, k] - line[i, k])


@njit(cache=True, nogil=True)
def spline_coefficients(photo: Any) -> Any:
    """(H, W, 3) float32 cubic B-spline coefficients of a photo.

    Interpolating splines keep fine detail that the usual cubic convolution
    blurs (Unser, "Splines: a perfect fit", IEEE SPM 1999), at the same cost per
    sample: the inverse filter runs once per photo.
    """
    height, width = photo.shape[0], photo.shape[1]
    out = np.empty((height, width, 3), np.float32)
    row = np.empty((width, 3))
    for y in range(height):
        for x in range(width):
            for k in range(3):
                row[x, k] = photo[y, x, k]
        _prefilter_line(row)
        for x in range(width):
            for k in range(3):
                out[y, x, k] = row[x, k]
    column = np.empty((height, 3))
    for x in range(width):
        for y in range(height):
            for k in range(3):
                column[y, k] = out[y, x, k]
        _prefilter_line(column)
        for y in range(height):
            for k in range(3):
                out[y, x, k] = column[y, k]
    return out


@njit(cache=True, nogil=True, inline="always")
def _basis(t: Any) -> Any:
    """Four values of the cubic B-spline at t + 1, t, 1 - t, 2 - t."""
    s = F1 - t
    w0 = s * s * s * F16
    w3 = t * t * t * F16
    w1 = F23 - F12 * t * t * (F2 - t)
    return w0, w1, F1 - w0 - w1 - w3, w3


@njit(cache=True, nogil=True)
def _sample_border(spline: Any, ix: Any, iy: Any, wx: Any, wy: Any) -> Any:
    """As `sample`, where the kernel reaches over the photo's border (mirrored)."""
    height, width = spline.shape[0], spline.shape[1]
    r = g = b = F0
    for j in range(4):
        yy = abs(iy - 1 + j)
        yy = yy if yy < height else 2 * height - 2 - yy
        for i in range(4):
            xx = abs(ix - 1 + i)
            xx = xx if xx < width else 2 * width - 2 - xx
            w = wy[j] * wx[i]
            r += w * spline[yy, xx, 0]
            g += w * spline[yy, xx, 1]
            b += w * spline[yy, xx, 2]
    return r, g, b


@njit(cache=True, nogil=True, fastmath=CONTRACT)
def sample(spline: Any, x: Any, y: Any) -> Any:
    """Red, green, blue (float32) at a pixel position, from spline coefficients."""
    height, width = spline.shape[0], spline.shape[1]
    x = min(max(np.float32(x), F0), np.float32(width - 1))
    y = min(max(np.float32(y), F0), np.float32(height - 1))
    ix, iy = np.int32(x), np.int32(y)
    wx = _basis(x - np.float32(ix))
    wy = _basis(y - np.float32(iy))
    if ix < 1 or iy < 1 or ix >= width - 2 or iy >= height - 2:
        return _sample_border(spline, ix, iy, wx, wy)
    w0, w1, w2, w3 = wx
    k = ix - 1
    r = g = b = F0
    for j in range(4):
        q = iy - 1 + j
        w = wy[j]
        r += w * (w0 * spline[q, k, 0] + w1 * spline[q, k + 1, 0]
                  + w2 * spline[q, k + 2, 0] + w3 * spline[q, k + 3, 0])  # fmt: skip
        g += w * (w0 * spline[q, k, 1] + w1 * spline[q, k + 1, 1]
                  + w2 * spline[q, k + 2, 1] + w3 * spline[q, k + 3, 1])  # fmt: skip
        b += w * (w0 * spline[q, k, 2] + w1 * spline[q, k + 1, 2]
                  + w2 * spline[q, k + 2, 2] + w3 * spline[q, k + 3, 2])  # fmt: skip
    return r, g, b


@njit(cache=True, nogil=True, inline="always")
def _ratio(folds: Any, u: Any, v: Any) -> Any:
    """Fold ratio (three float32) at texture coordinates in [0, 1], bilinear; 1 outside."""
    size = folds.shape[0]
    x, y = u * (size - 1), v * (size - 1)
    if x < 0.0 or y < 0.0 or x > size - 1.0 or y > size - 1.0:
        return F1, F1, F1
    ix, iy = min(int(x), size - 2), min(int(y), size - 2)
    fx, fy = np.float32(x - ix), np.float32(y - iy)
    w00, w01, w10, w11 = (F1 - fx) * (F1 - fy), fx * (F1 - fy), (F1 - fx) * fy, fx * fy
    r = w00 * folds[iy, ix, 0] + w01 * folds[iy, ix + 1, 0]
    r += w10 * folds[iy + 1, ix, 0] + w11 * folds[iy + 1, ix + 1, 0]
    g = w00 * folds[iy, ix, 1] + w01 * folds[iy, ix + 1, 1]
    g += w10 * folds[iy + 1, ix, 1] + w11 * folds[iy + 1, ix + 1, 1]
    b = w00 * folds[iy, ix, 2] + w01 * folds[iy, ix + 1, 2]
    b += w10 * folds[iy + 1, ix, 2] + w11 * folds[iy + 1, ix + 1, 2]
    return r, g, b


@njit(cache=True, nogil=True, inline="always", fastmath=CONTRACT)
def _mix(values: Any, a: Any, b: Any, c: Any, w1: Any, w2: Any, k: Any) -> Any:
    """Barycentric mean of attribute `k` of three vertices."""
    return values[a, k] + w1 * (values[b, k] - values[a, k]) + w2 * (values[c, k] - values[a, k])


@njit(cache=True, nogil=True, inline="always")
def _skin(spline: Any, x: Any, y: Any, light: Any, seen: Any, fold: Any, lip: Any) -> Any:
    """One skin sample: the photo, relit and folded; lip colour where it was hidden."""
    r, g, b = sample(spline, x, y)
    # Ten grey levels of black: dark skin folds less than a pure ratio would have it.
    r = (r * light + F10) * fold[0] - F10
    g = (g * light + F10) * fold[1] - F10
    b = (b * light + F10) * fold[2] - F10
    if seen < F58:
        hidden = F1 - seen / F58
        r += hidden * (lip[0] - r)
        g += hidden * (lip[1] - g)
        b += hidden * (lip[2] - b)
    return r, g, b


@njit(cache=True, nogil=True, inline="always")
def _byte(value: Any) -> Any:
    return np.uint8(min(max(value + F12, F0), F255))


@njit(cache=True, nogil=True, inline="always")
def _fold_of(values: Any, folds: Any, a: Any, b: Any, c: Any, w1: Any, w2: Any) -> Any:
    """Fold ratio of a sample; 1 where one of its corners has no texture coordinates."""
    if values[a, U] < F0 or values[b, U] < F0 or values[c, U] < F0:
        return F1, F1, F1
    return _ratio(folds, _mix(values, a, b, c, w1, w2, U), _mix(values, a, b, c, w1, w2, V))


@njit(cache=True, nogil=True)
def shade_warp(spline: Any, out: Any, mask: Any, ids: Any, bary: Any, faces: Any, carries: Any,
               values: Any, folds: Any, lip: Any, left: Any, top: Any) -> None:  # fmt: skip
    """Draw every pixel of a box that moved or changed; leave the others bit-identical.

    Parameters
    ----------
    spline : (H, W, 3) float32
        `spline_coefficients` of the photo.
    out : (H, W, 3) uint8
        Starts as a copy of the photo.
    mask : (H, W) bool
        Set where `out` was written.
    ids, bary : (h, w) int32, (h, w, 2) float32
        From `rasterise` with one sample per pixel.
    carries : (F,) bool
        Triangles that carry the photo.
    values : (N, 6) float32
        Per vertex: neutral projection x, y in pixels; relighting ratio; 1 where
        the photo shows the vertex; texture coordinates u, v.
    folds : (M, M, 3) float32
        Ratio map.
    lip : (3,) float
        Colour of lip skin that the photo does not show.
    """
    height, width = ids.shape
    for j in range(height):
        y = top + j
        for i in range(width):
            t = ids[j, i]
            if t < 0 or not carries[t]:
                continue
            x = left + i
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            sx = _mix(values, a, b, c, w1, w2, X)
            sy = _mix(values, a, b, c, w1, w2, Y)
            light = _mix(values, a, b, c, w1, w2, GAIN)
            fold = _fold_of(values, folds, a, b, c, w1, w2)
            if (
                abs(sx - x) < STILL
                and abs(sy - y) < STILL
                and abs(light - F1) < SAME
                and max(abs(fold[0] - F1), abs(fold[1] - F1), abs(fold[2] - F1)) < SAME
            ):
                continue
            seen = _mix(values, a, b, c, w1, w2, SEEN)
            colour = _skin(spline, sx, sy, light, seen, fold, lip)
            out[y, x, 0] = _byte(colour[0])
            out[y, x, 1] = _byte(colour[1])
            out[y, x, 2] = _byte(colour[2])
            mask[y, x] = True


@njit(cache=True, nogil=True)
def shade_samples(spline: Any, ids: Any, bary: Any, faces: Any, carries: Any, values: Any,
                  folds: Any, lip: Any, drawn: Any, out: Any) -> None:  # fmt: skip
    """The skin samples of a supersampled box that share a pixel with something drawn.

    `drawn` (h, w) bool marks pixels (2 x 2 samples) to colour; `out`
    (2h, 2w, 3) float32 receives them. The others are as in `shade_warp`.
    """
    for j in range(ids.shape[0]):
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0 or not carries[t] or not drawn[j // 2, i // 2]:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            colour = _skin(
                spline,
                _mix(values, a, b, c, w1, w2, X),
                _mix(values, a, b, c, w1, w2, Y),
                _mix(values, a, b, c, w1, w2, GAIN),
                _mix(values, a, b, c, w1, w2, SEEN),
                _fold_of(values, folds, a, b, c, w1, w2),
                lip,
            )
            out[j, i, 0], out[j, i, 1], out[j, i, 2] = colour


@njit(cache=True, nogil=True)
def average(samples: Any, drawn: Any, out: Any, mask: Any, left: Any, top: Any) -> None:
    """Mean of the 2 x 2 samples of every `drawn` pixel into `out` (H, W, 3) uint8."""
    for j in range(drawn.shape[0]):
        for i in range(drawn.shape[1]):
            if not drawn[j, i]:
                continue
            for k in range(3):
                value = 0.25 * (
                    samples[2 * j, 2 * i, k]
                    + samples[2 * j, 2 * i + 1, k]
                    + samples[2 * j + 1, 2 * i, k]
                    + samples[2 * j + 1, 2 * i + 1, k]
                )
                out[top + j, left + i, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
            mask[top + j, left + i] = True
