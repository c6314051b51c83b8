"""Eyes: what the lids and the iris hide.

The lids slide over the eyeball, and the iris over its white. Once per photo the
eyeball is completed behind its lids, the iris by its own symmetry, the sclera
from its visible neighbours; and once more without an iris, for other directions
of gaze. `synth.render.eyeball` draws it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.render.light import LUMA

__all__ = ["LOWER_STRIP", "UPPER_STRIP", "Eye", "complete_eye", "edge_rows"]

Float = NDArray[np.float64]

#: Lash and shadow strips along the upper and lower lid, in inter-ocular distances.
UPPER_STRIP, LOWER_STRIP = 0.022, 0.012
#: The soft rim of the iris ends here, in radii of the iris.
LIMBUS = 1.12
#: Grey levels added before ratios are taken, so that black stays black.
BLACK = 8.0


@dataclass(frozen=True)
class Eye:
    """One eye of one photo.

    Attributes
    ----------
    left, top : int
        Of the box that `ball` covers, photo pixels.
    ball : (h, w, 3) float32
        The eyeball as if there were no lids.
    white : (h, w, 3) float32
        The same as if there were no iris either.
    upper, lower : (w,) float64
        Rows of the neutral lid edges in every column of the box, photo pixels.
    iris : (3,) float64
        Centre x, y and radius in photo pixels.
    upper_lashes, lower_lashes : (n, w, 3) float32
        Ratio by which lashes darken what is 0, 1, 2, ... pixels from the lid's edge.
    """

    left: int
    top: int
    ball: NDArray[np.float32]
    white: NDArray[np.float32]
    upper: Float
    lower: Float
    iris: Float
    upper_lashes: NDArray[np.float32]
    lower_lashes: NDArray[np.float32]


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
    ball, white = _fill_sclera(box, clear, iris, iod)
    _fill_iris(ball, box, clear, iris)
    lashes = _lashes(box, white, iris, up - top, low - top, iod)
    return Eye(left, top, ball, white, up, low, iris + (left, top, 0), *lashes)


def edge_rows(curve: Float, cols: NDArray[Any]) -> Float:
    """Row of a lid or lip edge (n, 2) in each column; beyond the corners the corner's row."""
    order = np.argsort(curve[:, 0], kind="stable")
    return np.interp(cols, curve[order, 0], curve[order, 1])


def _off_iris(box: NDArray[np.float32], iris: Float) -> NDArray[np.bool_]:
    """(h, w) where a box shows no iris."""
    y, x = np.mgrid[: box.shape[0], : box.shape[1]]
    return np.asarray(np.hypot(x - iris[0], y - iris[1]) > LIMBUS * iris[2])


def _lashes(
    box: NDArray[np.float32],
    white: NDArray[np.float32],
    iris: Float,
    upper: Float,
    lower: Float,
    iod: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much upper and lower lashes and lids darken the white of the eye.

    Parameters
    ----------
    box, white : (h, w, 3) float32
    iris : (3,) float64
    upper, lower : (w,) float64
        Rows of the lid edges in the box.
    iod : float

    Returns
    -------
    upper, lower : (n, w, 3) float32
        Ratio at 0, 1, 2, ... pixels from the lid's edge; 1 at the last. In front of
        the iris it is that of the lashes beside it.
    """
    ratio = np.clip((box + BLACK) / (white + BLACK), 0, 1)
    columns = np.arange(box.shape[1], dtype=np.float32)
    found = []
    for edge, strip, way, other in (
        (upper, UPPER_STRIP, 1, lower), (lower, LOWER_STRIP, -1, upper)
    ):  # fmt: skip
        away = np.arange(int(np.ceil(1.5 * strip * iod)) + 2, dtype=np.float32)
        rows = (edge[None] + way * away[:, None]).astype(np.float32)
        at = np.broadcast_to(columns, rows.shape).astype(np.float32)
        seen = cv2.remap(_off_iris(box, iris).astype(np.float32), at, rows, cv2.INTER_LINEAR)
        seen *= (way * (other[None] - rows) > 0) * (seen > 0.99)
        value = cv2.remap(ratio, at, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        size = 2 * int(0.12 * iod) + 1
        weight = cv2.GaussianBlur(seen, (size, 1), 0.04 * iod, sigmaY=0.1)[..., None]
        spread = cv2.GaussianBlur(value * seen[..., None], (size, 1), 0.04 * iod, sigmaY=0.1)
        beside = (spread + 1e-3) / (weight + 1e-3)
        value = beside + cv2.GaussianBlur(seen, (3, 3), 0)[..., None] * (value - beside)
        value[-1] = 1.0
        found.append(np.asarray(value, np.float32))
    return found[0], found[1]


def _fill_sclera(
    box: NDArray[np.float32], clear: NDArray[np.bool_], iris: Float, iod: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Visible sclera spread over the hidden part by normalised convolution.

    Returns
    -------
    ball, white : (h, w, 3) float32
        With the visible part of the iris, and with sclera in its place.
    """
    known = clear & _off_iris(box, iris)
    luminance = box @ LUMA.astype(np.float32)
    if known.any():  # not the lashes of the outer corner
        known &= luminance > 0.6 * np.percentile(luminance[known], 90)
    if known.sum() < 8:
        return box.copy(), box.copy()
    total = np.tile(np.median(box[known], axis=0), (*box.shape[:2], 1)).astype(np.float32)
    for sigma in (0.2, 0.08, 0.03, 0.012):
        weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), sigma * iod)
        value = cv2.GaussianBlur(box * known[..., None], (0, 0), sigma * iod)
        trust = (weight / (weight + 0.03))[..., None]
        total = total * (1 - trust) + trust * value / np.maximum(weight, 1e-6)[..., None]
    blur = max(0.5, 0.004 * iod)
    ball, white = (
        np.asarray(total + soft[..., None] * (box - total), np.float32)
        for soft in (
            cv2.GaussianBlur(seen.astype(np.float32), (0, 0), blur) for seen in (clear, known)
        )
    )
    return ball, white


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
    at = distance / radius * 24
    radial = np.stack([np.interp(at, np.arange(32) + 0.5, profile[:, c]) for c in range(3)], -1)
    # Mirror in the horizontal line through the centre keeps the iris' own texture.
    flip_x, flip_y = x.astype(np.float32), (2 * cy - y).astype(np.float32)
    mirrored = cv2.remap(box, flip_x, flip_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.remap(clear.astype(np.float32), flip_x, flip_y, cv2.INTER_LINEAR)[..., None]
    # Only the iris' fibres are mirrored: the pupil would bring a second catchlight.
    fibres = np.clip((distance / radius - 0.55) / 0.2, 0, 1)[..., None] * (seen > 0.99) * 0.7
    fill = fibres * mirrored + (1 - fibres) * radial
    inside = np.clip((1.09 * radius - distance) / (0.18 * radius), 0, 1)[..., None]
    inside = inside * inside * (3 - 2 * inside)
    shown = cv2.GaussianBlur(clear.astype(np.float32), (0, 0), max(0.5, 0.03 * radius))[..., None]
    whole = fill + shown * (box - fill)
    # Where the photo shows the rim of the iris, it is the photo's own rim.
    rim = inside + shown * (1 - inside) * (distance < LIMBUS * radius)[..., None]
    ball += (rim * (whole - ball)).astype(np.float32)
