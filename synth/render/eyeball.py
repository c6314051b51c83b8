"""Draws an eye: the completed eyeball, turned as the eyes look, behind moving lids.

Everything is computed on the pixel grid of the neutral photo (`EyeView.back`
takes a pixel of the picture there), so that a turned head carries its eyes along. The
iris is a disc that slides over the white of the eye and foreshortens;
shading and corners of the eye stay. The lash strip next to each lid edge is
shifted with that edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from synth.render.eyes import BLACK, LIMBUS, LOWER_STRIP, UPPER_STRIP
from synth.render.shade import sample

__all__ = ["shade_eye"]

#: A lid raised this far (inter-ocular distances) takes nothing bright along.
RAISED = 0.02
F0 = np.float32(0)


@njit(cache=True, nogil=True, inline="always")
def _smooth(x: Any) -> Any:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@njit(cache=True, nogil=True)
def _texel(image: Any, x: Any, y: Any, k: Any) -> Any:
    """Bilinear value of an image (h, w, 3), border repeated."""
    x = min(max(x, 0.0), image.shape[1] - 1.0)
    y = min(max(y, 0.0), image.shape[0] - 1.0)
    ix, iy = min(int(x), image.shape[1] - 2), min(int(y), image.shape[0] - 2)
    fx, fy = x - ix, y - iy
    top = image[iy, ix, k] * (1 - fx) + image[iy, ix + 1, k] * fx
    low = image[iy + 1, ix, k] * (1 - fx) + image[iy + 1, ix + 1, k] * fx
    return top * (1 - fy) + low * fy


@njit(cache=True, nogil=True)
def _ball(
    ball: Any, white: Any, iris: Any, shift: Any, squeeze: Any, x: Any, y: Any, k: Any
) -> Any:
    """Colour `k` of the eyeball at (x, y) of its box when it looks elsewhere."""
    dx, dy = x - iris[0] - shift[0], y - iris[1] - shift[1]
    u = iris[0] + squeeze[0, 0] * dx + squeeze[0, 1] * dy
    v = iris[1] + squeeze[1, 0] * dx + squeeze[1, 1] * dy
    far = ((u - iris[0]) ** 2 + (v - iris[1]) ** 2) ** 0.5 / iris[2]
    disc = _smooth((LIMBUS + 0.08 - far) / 0.12)
    bare = _texel(white, x, y, k)
    if disc <= 0.0:
        return bare
    return bare + disc * (_texel(ball, u, v, k) - bare)


@njit(cache=True, nogil=True)
def shade_eye(spline: Any, ball: Any, white: Any, iris: Any, upper_lashes: Any,
              lower_lashes: Any, left: Any, top: Any, old_upper: Any, old_lower: Any,
              new_upper: Any, new_lower: Any, back: Any, shift: Any, squeeze: Any, ids: Any,
              eye_faces: Any, box_left: Any, box_top: Any, iod: Any, moved: Any,
              looks: Any, shut: Any, fold: Any, out: Any) -> None:  # fmt: skip
    """Colour the eye samples of a box with 2 x 2 samples per pixel.

    All samples of a pixel take the colour at its centre: the samples soften the
    lid's edge, but must not blur the iris behind it.

    Parameters
    ----------
    spline : (H, W, 3) float32
        `spline_coefficients` of the photo.
    ball, white : (h, w, 3) float32
        Completed eyeball at (`left`, `top`), with and without its iris.
    iris : (3,) float64
        Centre and radius in the photo.
    upper_lashes, lower_lashes : (n, w, 3) float32
        As in `Eye`.
    old_upper, old_lower, new_upper, new_lower : (w,) float64
        Lid edges of the eyeball box's columns before and after, photo rows.
    back : (2, 3) float64
        As in `EyeView`.
    shift, squeeze : (2,), (2, 2) float64
        As in `Gaze`.
    ids : (2n, 2m) int32
    eye_faces : (F,) bool
    box_left, box_top : int
        Of the sampled box, photo pixels.
    iod : float
    moved, looks, shut : float
        As in `EyeView`.
    fold : (3,) float64
        Colour between lids that are shut.
    out : (2n, 2m, 3) float32
    """
    height, width = ball.shape[0], ball.shape[1]
    upper_strip, lower_strip = UPPER_STRIP * iod, LOWER_STRIP * iod
    disc = np.array([iris[0] - left, iris[1] - top, iris[2]])
    straight = np.eye(2)
    colour = np.empty(3)
    for j in range(ids.shape[0] // 2):
        for i in range(ids.shape[1] // 2):
            hit = False
            for s in range(4):
                t = ids[2 * j + s // 2, 2 * i + s % 2]
                hit = hit or (t >= 0 and eye_faces[t])
            if not hit:
                continue
            px, py = box_left + i, box_top + j
            x = back[0, 0] * px + back[0, 1] * py + back[0, 2]
            y = back[1, 0] * px + back[1, 1] * py + back[1, 2]
            bx = min(max(x - left, 0.0), width - 1.0)
            by = min(max(y - top, 0.0), height - 1.0)
            c = min(int(bx), width - 2)
            f = bx - c
            upper = new_upper[c] + f * (new_upper[c + 1] - new_upper[c])
            lower = new_lower[c] + f * (new_lower[c + 1] - new_lower[c])
            rise_up = upper - old_upper[c] - f * (old_upper[c + 1] - old_upper[c])
            rise_low = lower - old_lower[c] - f * (old_lower[c + 1] - old_lower[c])
            a = _smooth(1.5 - (y - upper) / upper_strip)
            b = _smooth(1.5 - (lower - y) / lower_strip)
            if a + b > 1.0:
                a, b = a / (a + b), b / (a + b)
            # Lashes darken what is behind them. A lid that hardly moved shows them with what was
            # behind them in the photo; elsewhere that would be a second iris or catchlight.
            free_up = max(looks, _smooth(-rise_up / (RAISED * iod)))
            still = sample(spline, x, y) if moved < 1.0 else (F0, F0, F0)
            lash_up = sample(spline, x, y - rise_up) if a > 0.0 else still
            lash_low = sample(spline, x, y - rise_low) if b > 0.0 else still
            for k in range(3):
                rest = eye = _texel(ball, bx, by, k)
                if looks > 0.0:
                    eye = _ball(ball, white, disc, shift, squeeze, bx, by, k)
                    if looks < 1.0:
                        ahead = _ball(ball, white, disc, 0.0 * shift, straight, bx, by, k)
                        eye += (1.0 - looks) * (rest - ahead)
                value = (1 - a - b) * eye
                if a > 0.0:
                    lash = np.float64(lash_up[k])
                    if free_up > 0.0:
                        dark = _texel(upper_lashes, bx, y - upper, k)
                        lash -= (rest + BLACK) * dark - BLACK
                        lash = (eye + BLACK) * dark - BLACK + (1.0 - free_up) * lash
                    value += a * lash
                if b > 0.0:
                    lash = np.float64(lash_low[k])
                    if looks > 0.0:
                        dark = _texel(lower_lashes, bx, lower - y, k)
                        lash -= (rest + BLACK) * dark - BLACK
                        lash = (eye + BLACK) * dark - BLACK + (1.0 - looks) * lash
                    value += b * lash
                # What the completed eyeball lacks of the photo fades as things move.
                value += (1.0 - moved) * (1 - a - b) * (still[k] - rest)
                colour[k] = value + shut * (fold[k] - value)
            for s in range(4):
                t = ids[2 * j + s // 2, 2 * i + s % 2]
                if t >= 0 and eye_faces[t]:
                    for k in range(3):
                        out[2 * j + s // 2, 2 * i + s % 2, k] = colour[k]
