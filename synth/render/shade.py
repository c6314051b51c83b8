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

__all__ = ["average", "sample", "shade_samples", "shade_warp", "spline_coefficients", "vertex_normals"]

#: Motion (pixels) and relative change below which a pixel is left as it is.
STILL = 0.02
SAME = 0.002


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
    s = 1.0 - t
    w0 = s * s * s / 6.0
    w3 = t * t * t / 6.0
    w1 = 2.0 / 3.0 - 0.5 * t * t * (2.0 - t)
    return w0, w1, 1.0 - w0 - w1 - w3, w3


@njit(cache=True, nogil=True)
def sample(spline: Any, x: Any, y: Any, out: Any) -> None:
    """Colour (3,) at a pixel position from spline coefficients, mirrored at the border."""
    height, width = spline.shape[0], spline.shape[1]
    x = min(max(x, 0.0), width - 1.0)
    y = min(max(y, 0.0), height - 1.0)
    ix, iy = int(np.floor(x)), int(np.floor(y))
    wx = _basis(x - ix)
    wy = _basis(y - iy)
    r = g = b = 0.0
    if 1 <= ix < width - 2 and 1 <= iy < height - 2:
        k = ix - 1
        for j in range(4):
            row = spline[iy - 1 + j]
            w = wy[j]
            r += w * (wx[0] * row[k, 0] + wx[1] * row[k + 1, 0]
                      + wx[2] * row[k + 2, 0] + wx[3] * row[k + 3, 0])  # fmt: skip
            g += w * (wx[0] * row[k, 1] + wx[1] * row[k + 1, 1]
                      + wx[2] * row[k + 2, 1] + wx[3] * row[k + 3, 1])  # fmt: skip
            b += w * (wx[0] * row[k, 2] + wx[1] * row[k + 1, 2]
                      + wx[2] * row[k + 2, 2] + wx[3] * row[k + 3, 2])  # fmt: skip
    else:
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
    out[0], out[1], out[2] = r, g, b


@njit(cache=True, nogil=True)
def _ratio(folds: Any, u: Any, v: Any, out: Any) -> None:
    """Fold ratio (3,) at texture coordinates in [0, 1], bilinear; 1 outside."""
    size = folds.shape[0]
    x = u * (size - 1)
    y = v * (size - 1)
    if x < 0.0 or y < 0.0 or x > size - 1.0 or y > size - 1.0:
        out[0] = out[1] = out[2] = 1.0
        return
    ix, iy = min(int(x), size - 2), min(int(y), size - 2)
    fx, fy = x - ix, y - iy
    for c in range(3):
        top = folds[iy, ix, c] * (1 - fx) + folds[iy, ix + 1, c] * fx
        bottom = folds[iy + 1, ix, c] * (1 - fx) + folds[iy + 1, ix + 1, c] * fx
        out[c] = top * (1 - fy) + bottom * fy


@njit(cache=True, nogil=True)
def _skin(spline: Any, source: Any, gain: Any, uv: Any, folds: Any, lip: Any, visible: Any,
          a: Any, b: Any, c: Any, w1: Any, w2: Any, ratio: Any, out: Any) -> None:  # fmt: skip
    """Colour of one skin sample: the photo, relit, folded; lip colour where it was hidden."""
    w0 = 1.0 - w1 - w2
    x = w0 * source[a, 0] + w1 * source[b, 0] + w2 * source[c, 0]
    y = w0 * source[a, 1] + w1 * source[b, 1] + w2 * source[c, 1]
    light = w0 * gain[a] + w1 * gain[b] + w2 * gain[c]
    u = w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0]
    v = w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1]
    sample(spline, x, y, out)
    _ratio(folds, u, v, ratio)
    seen = w0 * visible[a] + w1 * visible[b] + w2 * visible[c]
    hidden = min(max(1.0 - 1.6 * seen, 0.0), 1.0)
    for k in range(3):
        value = (out[k] * light + 10.0) * ratio[k] - 10.0
        out[k] = value + hidden * (lip[k] - value)


@njit(cache=True, nogil=True)
def shade_warp(spline: Any, out: Any, mask: Any, ids: Any, bary: Any, faces: Any, carries: Any,
               source: Any, gain: Any, uv: Any, folds: Any, lip: Any, visible: Any,
               left: Any, top: Any) -> None:  # fmt: skip
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
    source, uv : (N, 2) float
        Neutral projection in pixels, texture coordinates.
    gain, visible : (N,) float
        Relighting ratio; 1 where the vertex is seen in the photo.
    folds : (M, M, 3) float32
        Ratio map.
    lip : (3,) float
        Colour of lip skin that the photo does not show.
    """
    colour = np.empty(3)
    ratio = np.empty(3)
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
            w0 = 1.0 - w1 - w2
            dx = w0 * source[a, 0] + w1 * source[b, 0] + w2 * source[c, 0] - x
            dy = w0 * source[a, 1] + w1 * source[b, 1] + w2 * source[c, 1] - y
            if abs(dx) < STILL and abs(dy) < STILL:
                light = w0 * gain[a] + w1 * gain[b] + w2 * gain[c]
                if abs(light - 1.0) < SAME:
                    u = w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0]
                    v = w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1]
                    _ratio(folds, u, v, ratio)
                    if max(abs(ratio[0] - 1), abs(ratio[1] - 1), abs(ratio[2] - 1)) < SAME:
                        continue
            _skin(spline, source, gain, uv, folds, lip, visible, a, b, c, w1, w2, ratio, colour)
            for k in range(3):
                out[y, x, k] = np.uint8(min(max(colour[k] + 0.5, 0.0), 255.0))
            mask[y, x] = True


@njit(cache=True, nogil=True)
def shade_samples(spline: Any, ids: Any, bary: Any, faces: Any, carries: Any, source: Any,
                  gain: Any, uv: Any, folds: Any, lip: Any, visible: Any, drawn: Any,
                  out: Any) -> None:  # fmt: skip
    """The skin samples of a supersampled box that share a pixel with something drawn.

    `drawn` (h, w) bool marks pixels (2 x 2 samples) to colour; `out`
    (2h, 2w, 3) float32 receives them.
    """
    colour = np.empty(3)
    ratio = np.empty(3)
    for j in range(ids.shape[0]):
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0 or not carries[t] or not drawn[j // 2, i // 2]:
                continue
            _skin(spline, source, gain, uv, folds, lip, visible, faces[t, 0], faces[t, 1],
                  faces[t, 2], bary[j, i, 0], bary[j, i, 1], ratio, colour)  # fmt: skip
            for k in range(3):
                out[j, i, k] = colour[k]


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
