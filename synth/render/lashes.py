"""The skin and the lashes of a closing upper lid.

In a photo of open eyes the upper lid is a narrow band that lashes stand across. A
blink stretches the band over the eye; its lashes would become a fence. So the
band is freed from its lashes as the lid comes down, and lashes are drawn along
the line where the lids meet, pointing down as they do on a closed eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.render.eyes import edge_rows
from synth.render.light import LUMA
from synth.render.shade import spline_coefficients

__all__ = ["LidSkin", "draw_lashes", "lash_share", "lid_skin", "skin_share"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: All in inter-ocular distances. Where bare lid is looked for above the lid's edge; the band
#: that takes its colour; how far up lashes reach.
BARE = (0.03, 0.10)
#: Where skin is looked for below the lower lid; a lid is at least this bright beside it.
BELOW = (0.08, 0.13)
DIMMEST = 0.8
BAND, BAND_END = 0.030, 0.062
STANDING, STANDING_END = 0.05, 0.11
#: Width of what counts as a lash (crossing the lid), not as its crease (along it).
LASH = 0.04
#: The lid darkens by this towards its edge.
TURN = 0.10
#: Lash line and drawn lashes: half thickness, length, hairs to an eye.
LINE, LENGTH, HAIRS = 0.007, 0.040, 34
#: The line is at least this much darker than the lid.
DARKER = 0.62
#: The lash line ends here, in widths of the eye from its inner corner.
OUTWARDS = 1.08


@dataclass(frozen=True, eq=False)
class LidSkin:
    """The upper lid of one eye of one photo.

    Attributes
    ----------
    left, top : int
        Of the box that `change` covers, photo pixels.
    change : (h, w, 3) float32
        Spline coefficients of the lid without lashes, less those of the photo.
    lash : (3,) float64
        Colour of the lashes.
    """

    left: int
    top: int
    change: Float32
    lash: Float


def lid_skin(
    photo: NDArray[np.uint8], upper: Float, lower: Float, brow: Float, iod: float
) -> LidSkin:
    """The upper lid of a photo without its lashes.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    upper, lower : (n, 2) float64
        Edges of the lids, pixels.
    brow : (m, 2) float64
        Landmarks of the brow, pixels.
    iod : float
        Inter-ocular distance, pixels.
    """
    height, width = photo.shape[:2]
    x0, x1 = upper[:, 0].min(), upper[:, 0].max()
    left = int(np.clip(x0 - 0.06 * iod, 0, width - 4))
    right = int(np.clip(x1 + 0.06 * iod, left + 4, width))
    top = int(np.clip(upper[:, 1].min() - 0.16 * iod, 0, height - 4))
    bottom = int(np.clip(upper[:, 1].max() + 0.05 * iod, top + 4, height))
    box = photo[top:bottom, left:right].astype(np.float32)
    columns = np.arange(left, right, dtype=float)
    edge = edge_rows(upper, columns) - top
    room = edge - (edge_rows(brow, columns) - top) - 0.04 * iod
    base = _bare(box, edge, room, iod)
    base = _lit(base, _below(photo, lower, iod))
    above = (edge[None] - np.arange(bottom - top)[:, None]) / iod
    # Narrow dark things that stand across the lid; the crease runs along it and stays.
    size = 2 * round(0.5 * LASH * iod) + 1
    free = cv2.morphologyEx(box, cv2.MORPH_CLOSE, np.ones((1, size), np.uint8))
    free = cv2.GaussianBlur(free, (0, 0), max(0.5, 0.006 * iod))
    standing = _fade((above - STANDING) / (STANDING_END - STANDING)) * (room[None] / iod > above)
    clean = box + standing[..., None] * (free - box)
    lid = base[None] * (1 - TURN * _fade(above / BAND_END))[..., None]
    band = _fade((above - BAND) / (BAND_END - BAND))
    clean += band[..., None] * (lid - clean)
    inside = _fade((x0 - columns) / (0.05 * iod)) * _fade((columns - x1) / (0.05 * iod))
    inside = inside[None] * _fade((-above - 0.001) / 0.008)
    change = spline_coefficients((inside[..., None] * (clean - box)).astype(np.float32))
    near = (np.abs(above) < 0.012) & (columns > x0) & (columns < x1)
    dark = box[near] if near.any() else box.reshape(-1, 3)
    dark = dark[dark @ LUMA <= np.percentile(dark @ LUMA, 15)].mean(0)
    return LidSkin(left, top, change, np.minimum(dark, DARKER * base.mean(0)).astype(float))


def _bare(box: Float32, edge: Float, room: Float, iod: float) -> Float32:
    """(w, 3) colour of the lid in every column: the brighter half of what is above the edge."""
    away = np.linspace(*BARE, 16)[:, None] * iod
    away = np.minimum(away, np.maximum(room, BARE[0] * iod)[None])
    rows = (edge[None] - away).astype(np.float32)
    at = np.broadcast_to(np.arange(box.shape[1], dtype=np.float32), rows.shape)
    found = cv2.remap(box, at.copy(), rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rank = (found @ LUMA).argsort(0)[8:14]
    bright = np.take_along_axis(found, rank[..., None], 0).mean(0)
    smooth = cv2.GaussianBlur(bright[None], (0, 0), 0.04 * iod, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth[0], np.float32)


def _below(photo: NDArray[np.uint8], lower: Float, iod: float) -> Float32:
    """(3,) colour of the skin below an eye."""
    first, last = np.percentile(lower[:, 0], (20, 80))
    x = np.linspace(float(first), float(last), 12)
    rows = edge_rows(lower, x) + np.linspace(*BELOW, 5)[:, None] * iod
    at = np.broadcast_to(x, rows.shape).astype(np.float32)
    found = cv2.remap(photo, at, rows.astype(np.float32), cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return np.median(found.reshape(-1, 3), axis=0).astype(np.float32)


def _lit(base: Float32, below: Float32) -> Float32:
    """`base` (w, 3) mixed with the skin below the eye where it is too dark for a lid.

    What is above a deep-set eye is the brow and its shadow; a lid that comes down
    comes out of it.
    """
    luma = LUMA.astype(np.float32)
    have, wanted = base @ luma, DIMMEST * float(below @ luma)
    share = np.clip((wanted - have) / np.maximum(below @ luma - have, 1.0), 0, 1)
    return np.asarray(base + share[:, None] * (below - base), np.float32)


def _fade(x: Float) -> Float:
    """1 up to 0, 0 from 1 on, smooth."""
    x = np.clip(x, 0, 1)
    return np.asarray(1 - x * x * (3 - 2 * x))


def skin_share(blink: float) -> float:
    """How far a lid has lost its standing lashes at a weight of the blink, 0..1."""
    return float(1 - _fade(np.array((blink - 0.2) / 0.5)))


def lash_share(blink: float) -> float:
    """How strongly the lashes of the closed eye are drawn at a weight of the blink, 0..1."""
    return float(1 - _fade(np.array((blink - 0.2) / 0.6)))


@njit(cache=True, nogil=True)
def _noise(x: Any) -> Any:
    """Smooth noise in 0..1 with knots at the integers."""
    n = np.floor(x)
    f = x - n
    f = f * f * (3.0 - 2.0 * f)
    a = np.sin(n * 127.1 + 11.7) * 43758.5453
    b = np.sin((n + 1.0) * 127.1 + 11.7) * 43758.5453
    a -= np.floor(a)
    b -= np.floor(b)
    return a + f * (b - a)


@njit(cache=True, nogil=True)
def draw_lashes(out: Any, mask: Any, line: Any, left: Any, start: Any, end: Any, outer: Any,
                lash: Any, share: Any, iod: Any) -> None:  # fmt: skip
    """Draw the lash line and the lashes of a closing eye over the picture, in place.

    Parameters
    ----------
    out : (H, W, 3) uint8
    mask : (H, W) bool
    line : (w,) float64
        Rows of the edge of the upper lid in columns `left`, `left` + 1, ...
    start, end : float
        Columns of the eye's corners.
    outer : int
        1 when the outer corner is at `end`, else -1.
    lash : (3,) float64
    share : float
        Opacity, 0..1.
    iod : float
    """
    height, width = out.shape[0], out.shape[1]
    thick = max(LINE * iod, 0.7)
    span = max(end - start, 1.0)
    for i in range(line.shape[0]):
        x = left + i
        if x < 0 or x >= width:
            continue
        s = (x - start) / span
        t = s if outer > 0 else 1.0 - s  # 0 at the inner corner, 1 at the outer one
        if t <= 0.0 or t >= OUTWARDS:
            continue
        taper = min(t / 0.25, (OUTWARDS - t) / 0.16, 1.0)
        long = LENGTH * iod * min(max((t - 0.12) / 0.5, 0.0), 1.0) * (0.55 + 0.45 * t)
        low = max(int(np.floor(line[i] - 3.0 * thick)), 0)
        high = min(int(np.ceil(line[i] + max(long, 3.0 * thick))) + 1, height)
        for y in range(low, high):
            d = y - line[i]
            dark = 0.85 * np.exp(-((d / thick) ** 2)) * (0.35 + 0.65 * taper)
            if d > 0.0 and d < long:
                # Hairs lean towards the outer corner, and end at different lengths.
                hair = (t - (0.25 + 0.5 * t) * d / span) * HAIRS
                strand = _noise(hair)
                reach = 1.0 - d / (long * (0.45 + 0.55 * _noise(0.7 * hair + 50.0)))
                if reach > 0.0:
                    dark = max(
                        dark, (0.15 + 0.6 * strand) * min(reach * 1.5, 1.0) * min(taper, 1.0)
                    )
            dark *= share
            if dark < 0.004:
                continue
            for k in range(3):
                value = out[y, x, k] + dark * (lash[k] - out[y, x, k])
                if value < out[y, x, k]:
                    out[y, x, k] = np.uint8(value + 0.5)
            mask[y, x] = True
