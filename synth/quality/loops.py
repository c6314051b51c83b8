"""Loops over pixels and triangles behind the scores: numba, one thread, no GIL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["border_jumps", "capped_detail", "folded"]


@njit(cache=True, nogil=True)
def _jump(image: Any, y: Any, x: Any, v: Any, u: Any) -> Any:
    """Mean absolute difference of two pixels, grey levels."""
    total = 0.0
    for k in range(3):
        total += abs(np.int32(image[y, x, k]) - np.int32(image[v, u, k]))
    return total / 3.0


@njit(cache=True, nogil=True)
def _covered(boxes: Any, y: Any, x: Any) -> Any:
    """Whether a pixel lies in one of `boxes` (n, 4): left, top, right, bottom, half open."""
    for b in range(boxes.shape[0]):
        if boxes[b, 0] <= x < boxes[b, 2] and boxes[b, 1] <= y < boxes[b, 3]:
            return True
    return False


@njit(cache=True, nogil=True)
def border_jumps(pixels: Any, photo: Any, mask: Any, spared: Any, centre: Any, sectors: Any) -> Any:
    """Jumps across the border of a mask, by direction.

    Parameters
    ----------
    pixels, photo : (H, W, 3) uint8
    mask : (H, W) bool
    spared : (n, 4) int64
        Boxes (left, top, right, bottom; half open) whose borders do not count.
    centre : (2,) float
        x, y from which directions are seen.
    sectors : int

    Returns
    -------
    (sectors, 2) float64
        Sum of the jump in `pixels` less that in `photo` at the same place, and
        the number of pairs of pixels.
    """
    out = np.zeros((sectors, 2))
    height, width = mask.shape
    for y in range(height - 1):  # pairs along the last row and column are left out
        for x in range(width - 1):
            here = mask[y, x]
            if here == mask[y, x + 1] and here == mask[y + 1, x]:
                continue
            if _covered(spared, y, x):
                continue
            angle = np.arctan2(y - centre[1], x - centre[0]) / (2 * np.pi) + 0.5
            s = min(int(angle * sectors), sectors - 1)
            for step in range(2):
                v, u = y + step, x + 1 - step
                if mask[v, u] != here:
                    out[s, 0] += _jump(pixels, y, x, v, u) - _jump(photo, y, x, v, u)
                    out[s, 1] += 1
    return out


@njit(cache=True, nogil=True)
def capped_detail(image: Any, region: Any, left: Any, top: Any, cap: Any) -> Any:
    """Mean absolute Laplacian of the luma, each pixel's capped, over a region.

    Parameters
    ----------
    image : (H, W, 3) uint8
    region : (h, w) uint8
        Not 0 where it counts.
    left, top : int
        Of the region.
    cap : float
        Grey levels: teeth and lashes count no more than skin.
    """
    height, width = image.shape[:2]
    luma = np.zeros((region.shape[0] + 2, region.shape[1] + 2), np.float32)
    for j in range(luma.shape[0]):
        y = min(max(top + j - 1, 0), height - 1)
        for i in range(luma.shape[1]):
            x = min(max(left + i - 1, 0), width - 1)
            r, g, b = image[y, x, 0], image[y, x, 1], image[y, x, 2]
            luma[j, i] = (
                np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b
            )  # Rec. 601
    total, count = 0.0, 0
    for j in range(region.shape[0]):
        for i in range(region.shape[1]):
            if region[j, i]:
                around = luma[j, i + 1] + luma[j + 2, i + 1] + luma[j + 1, i] + luma[j + 1, i + 2]
                total += min(abs(around - 4 * luma[j + 1, i + 1]), cap)
                count += 1
    return total / max(count, 1)


@njit(cache=True, nogil=True)
def folded(before: Any, after: Any, faces: Any, groups: Any, count: Any) -> Any:
    """Area of triangles that have turned over, by group.

    Parameters
    ----------
    before, after : (N, 2+) float64
        Pixels.
    faces : (F, 3) int32
    groups : (F,) int64
        Group of each triangle, or -1.
    count : int
        Of the groups.

    Returns
    -------
    (count, 2, 2) float64
        By group and by the sign of the area before (negative, positive): area
        before, and how much of it has the other sign after.
    """
    out = np.zeros((count, 2, 2))
    for t in range(faces.shape[0]):
        g = groups[t]
        if g < 0:
            continue
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        old = (before[b, 0] - before[a, 0]) * (before[c, 1] - before[a, 1]) - (
            before[b, 1] - before[a, 1]
        ) * (before[c, 0] - before[a, 0])
        new = (after[b, 0] - after[a, 0]) * (after[c, 1] - after[a, 1]) - (
            after[b, 1] - after[a, 1]
        ) * (after[c, 0] - after[a, 0])
        sign = int(old > 0)
        out[g, sign, 0] += abs(old) / 2
        if (new > 0) != (old > 0):
            out[g, sign, 1] += abs(old) / 2
    return out
