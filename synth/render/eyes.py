"""Eyes: what the lids hid, and the strip of lashes that must travel with a lid.

The eyeball stands still and the lids slide over it. Once per photo the eyeball
is completed behind its lids: the iris by its own symmetry, the sclera from its
visible neighbours. Per image the lash strip next to each lid edge is shifted
with that edge, and below it the completed eyeball shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.render.shade import sample

__all__ = ["Eye", "complete_eye", "edge_rows", "shade_eye"]

Float = NDArray[np.float64]

#: Lash and shadow strips along the upper and lower lid, in inter-ocular distances.
UPPER_STRIP, LOWER_STRIP = 0.022, 0.012


@dataclass(frozen=True)
class Eye:
    """One eye of one photo.

    Attributes
    ----------
    left, top : int
        Of the box that `ball` covers, photo pixels.
    ball : (h, w, 3) float32
        The eyeball as if there were no lids.
    upper, lower : (w,) float64
        Rows of the neutral lid edges in every column of the box, photo pixels.
    iris : (3,) float64
        Centre x, y and radius in photo pixels.
    """

    left: int
    top: int
    ball: NDArray[np.float32]
    upper: Float
    lower: Float
    iris: Float


def _find_iris(red: NDArray[np.float32], inside: NDArray[np.bool_], iod: float) -> Float:
    """Centre and radius of the iris: where the boundary jumps most from dark to bright."""
    rows, cols = np.nonzero(inside)
    if len(rows) == 0:
        return np.array([red.shape[1] / 2, red.shape[0] / 2, 0.065 * iod])
    dark = red[inside] <= np.percentile(red[inside], 35)
    start = np.array([np.average(cols[dark]), np.average(rows[dark])])
    step_y, step_x = np.gradient(cv2.GaussianBlur(red, (0, 0), max(0.6, 0.006 * iod)))
    # Only the left and right arcs: top and bottom of the iris are behind the lids.
    angle = np.radians(np.r_[-48:49:8, 132:229:8])
    unit = np.stack((np.cos(angle), np.sin(angle)), 1)
    reach = 0.035 * iod
    radius, dx, dy = np.meshgrid(
        np.linspace(0.055, 0.078, 6) * iod,
        np.linspace(-reach, reach, 9),
        np.linspace(-reach, reach, 7),
        indexing="ij",
    )
    centre = start + np.stack((dx, dy), -1)
    at = np.round(centre[..., None, :] + radius[..., None, None] * unit).astype(int)
    x = np.clip(at[..., 0], 0, red.shape[1] - 1)
    y = np.clip(at[..., 1], 0, red.shape[0] - 1)
    valid = inside[y, x]
    out = (step_x[y, x] * unit[:, 0] + step_y[y, x] * unit[:, 1]) * valid
    # A mild pull to the centre of the dark pixels.
    score = out.sum(-1) / len(unit) - 0.02 * (dx * dx + dy * dy) / reach**2 * red.std()
    score[valid.sum(-1) < 6] = -np.inf
    best = np.unravel_index(score.argmax(), score.shape)
    if not np.isfinite(score[best]):
        return np.array([*start, 0.065 * iod])
    return np.array([*centre[best], radius[best]])


def complete_eye(photo: NDArray[np.uint8], upper: Float, lower: Float, iod: float) -> Eye:
    """The eyeball of a photo without its lids.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    upper, lower : (n, 2) float64
        Neutral lid edges from right to left corner of the subject, pixels.
    iod : float
        Inter-ocular distance, pixels.
    """
    pad = 0.07 * iod
    edge = np.concatenate((upper, lower))
    height, width = photo.shape[:2]
    left = int(np.clip(np.floor(edge[:, 0].min() - pad), 0, width - 2))
    right = int(np.clip(np.ceil(edge[:, 0].max() + pad), left + 2, width))
    top = int(np.clip(np.floor(edge[:, 1].min() - pad), 0, height - 2))
    bottom = int(np.clip(np.ceil(edge[:, 1].max() + pad), top + 2, height))
    box = photo[top:bottom, left:right].astype(np.float32)
    cols = np.arange(left, right)
    up, low = edge_rows(upper, cols), edge_rows(lower, cols)
    y = np.arange(top, bottom)[:, None]
    between = (cols >= edge[:, 0].min()) & (cols <= edge[:, 0].max())
    aperture = (y > up) & (y < low) & between
    clear = (y > up + UPPER_STRIP * iod) & (y < low - LOWER_STRIP * iod) & between
    iris = _find_iris(box[..., 0], aperture, iod)
    ball = _fill_sclera(box, clear, iris, iod)
    _fill_iris(ball, box, clear, iris)
    return Eye(left, top, ball, up, low, iris + (left, top, 0))


def edge_rows(curve: Float, cols: NDArray[Any]) -> Float:
    """Row of a lid or lip edge (n, 2) in each column; beyond the corners the corner's row."""
    order = np.argsort(curve[:, 0], kind="stable")
    return np.interp(cols, curve[order, 0], curve[order, 1])


def _fill_sclera(
    box: NDArray[np.float32], clear: NDArray[np.bool_], iris: Float, iod: float
) -> NDArray[np.float32]:
    """Visible sclera spread over the hidden part by normalised convolution."""
    y, x = np.mgrid[: box.shape[0], : box.shape[1]]
    off_iris = np.hypot(x - iris[0], y - iris[1]) > 1.12 * iris[2]
    known = clear & off_iris
    out = box.copy()
    if known.sum() < 8:
        return out
    total = np.tile(np.median(box[known], axis=0), (*box.shape[:2], 1)).astype(np.float32)
    for sigma in (0.08, 0.03, 0.012):
        weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma * iod)
        value = cv2.GaussianBlur(box * known[..., None], (0, 0), sigma * iod)
        trust = (weight / (weight + 0.03))[..., None]
        total = total * (1 - trust) + trust * value / np.maximum(weight, 1e-6)[..., None]
    soft = cv2.GaussianBlur(clear.astype(np.float32), (0, 0), max(0.5, 0.004 * iod))[..., None]
    return np.asarray(total * (1 - soft) + box * soft, np.float32)


def _fill_iris(
    ball: NDArray[np.float32], box: NDArray[np.float32], clear: NDArray[np.bool_], iris: Float
) -> None:
    """Hidden iris from the point mirrored in its centre line, else from its ring's mean."""
    cx, cy, radius = iris
    y, x = np.mgrid[: box.shape[0], : box.shape[1]]
    distance = np.hypot(x - cx, y - cy)
    ring = np.clip(distance / radius * 24, 0, 31).astype(int)
    weight = clear.astype(float)
    count = np.bincount(ring.ravel(), weight.ravel(), 32)
    if count[:12].sum() < 6:
        return
    profile = np.empty((32, 3))
    for c in range(3):
        total = np.bincount(ring.ravel(), (weight * box[..., c]).ravel(), 32)
        have = count > 0
        profile[:, c] = np.interp(np.arange(32), np.flatnonzero(have), total[have] / count[have])
    radial = profile[ring]
    # Mirror in the horizontal line through the centre keeps the iris' own texture.
    flip_x, flip_y = x.astype(np.float32), (2 * cy - y).astype(np.float32)
    mirrored = cv2.remap(box, flip_x, flip_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap(clear.astype(np.float32), flip_x, flip_y, cv2.INTER_LINEAR)[..., None]
    # Only the iris' fibres are mirrored: the pupil would bring a second catchlight.
    fibres = np.clip((distance / radius - 0.55) / 0.2, 0, 1)[..., None] * (seen > 0.99) * 0.7
    fill = fibres * mirrored + (1 - fibres) * radial
    inside = np.clip((1.06 * radius - distance) / (0.10 * radius), 0, 1)[..., None]
    hidden = (
        1 - cv2.GaussianBlur(clear.astype(np.float32), (0, 0), max(0.5, 0.03 * radius))[..., None]
    )
    blend = inside * hidden
    ball += (blend * (fill - ball)).astype(np.float32)


@njit(cache=True, nogil=True)
def shade_eye(spline: Any, ball: Any, left: Any, top: Any, old_upper: Any, old_lower: Any,
              new_upper: Any, new_lower: Any, ids: Any, eye_faces: Any, box_left: Any,
              box_top: Any, iod: Any, moved: Any, out: Any) -> None:  # fmt: skip
    """Colour the eye samples of a box with 2 x 2 samples per pixel.

    All samples of a pixel take the colour at its centre: the samples soften the
    lid's edge, but must not blur the iris behind it.

    Parameters
    ----------
    spline : (H, W, 3) float32
        `spline_coefficients` of the photo.
    ball : (h, w, 3) float32
        Completed eyeball at (`left`, `top`).
    old_upper, old_lower, new_upper, new_lower : (w,) float64
        Lid edges of the eyeball box's columns before and after, photo rows.
    ids : (2n, 2m) int32
    eye_faces : (F,) bool
    box_left, box_top : int
        Of the sampled box, photo pixels.
    iod : float
    moved : float
        0..1: how far the lids have left the neutral photo.
    out : (2n, 2m, 3) float32
    """
    height, width = ball.shape[0], ball.shape[1]
    upper_strip, lower_strip = UPPER_STRIP * iod, LOWER_STRIP * iod
    for j in range(ids.shape[0]):
        y = box_top + j // 2
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0 or not eye_faces[t]:
                continue
            x = box_left + i // 2
            bx, by = x - left, y - top
            if bx < 0 or by < 0 or bx > width - 1 or by > height - 1:
                continue
            rise_up = new_upper[bx] - old_upper[bx]
            rise_low = new_lower[bx] - old_lower[bx]
            to_upper = y - new_upper[bx]
            to_lower = new_lower[bx] - y
            a = min(max(1.5 - to_upper / upper_strip, 0.0), 1.0)
            b = min(max(1.5 - to_lower / lower_strip, 0.0), 1.0)
            a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
            if a + b > 1.0:
                a, b = a / (a + b), b / (a + b)
            still = sample(spline, x, y)
            for k in range(3):
                out[j, i, k] = (1 - a - b) * ball[by, bx, k]
            if a > 0:
                lash = sample(spline, x, y - rise_up)
                for k in range(3):
                    out[j, i, k] += a * lash[k]
            if b > 0:
                lash = sample(spline, x, y - rise_low)
                for k in range(3):
                    out[j, i, k] += b * lash[k]
            for k in range(3):
                out[j, i, k] = still[k] + moved * (out[j, i, k] - still[k])
