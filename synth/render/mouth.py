"""The inside of the mouth: teeth, gums, tongue and cavity, lit by the photo.

The model brings the geometry (two dental bands, a tongue, a cavity); this
module paints it. Teeth are drawn in dental coordinates (arc length from the
midline, height above the biting edge, in mm) with the mesiodistal widths of
Ash & Nelson, *Wheeler's Dental Anatomy*: 8.5, 6.6, 7.6, 7, 6.8, 10 above and
5.3, 5.8, 6.6, 7, 7, 11 below. Colours come from the photo's own whites, lips
and skin, darkened by the lips' shadow and by depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.render.light import LUMA, Light
from synth.render.topology import CAVITY, LOWER_TEETH, TONGUE, UPPER_TEETH

__all__ = ["MouthColours", "mouth_colours", "shade_mouth"]

Float = NDArray[np.float64]

#: Outer edge of each tooth from the midline, mm of arc, and crown heights.
UPPER_EDGES = np.cumsum([8.5, 6.6, 7.6, 7.0, 6.8, 10.0])
LOWER_EDGES = np.cumsum([5.3, 5.8, 6.6, 7.0, 7.0, 11.0])
UPPER_CROWN = np.array([10.2, 9.0, 10.0, 8.6, 7.8, 7.2])
LOWER_CROWN = np.array([8.8, 9.2, 10.2, 8.8, 8.0, 7.5])
#: How far each biting edge stays above that of the central incisor, mm.
UPPER_STEP = np.array([0.0, 0.7, 0.0, 0.6, 0.9, 1.4])
LOWER_STEP = np.array([0.0, 0.1, 0.0, 0.6, 0.9, 1.2])


@dataclass(frozen=True)
class MouthColours:
    """RGB (0-255) of what the mouth shows in this photo's light.

    Attributes
    ----------
    tooth, gum, tongue, cavity, lip : (3,) float64
    """

    tooth: Float
    gum: Float
    tongue: Float
    cavity: Float
    lip: Float


def mouth_colours(photo: NDArray[np.uint8], points: Float, light: Light) -> MouthColours:
    """Colours read from the photo's lips, eye whites and skin.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    points : (68, 2) float64
    light : Light
    """
    lip = np.median(_pixels(photo, points[48:60]), axis=0)
    whites = []
    for eye in (points[36:42], points[42:48]):
        found = _pixels(photo, eye)
        luminance = found @ LUMA
        whites.append(found[luminance >= np.percentile(luminance, 80)])
    white = np.median(np.concatenate(whites), axis=0)
    # The tint of the light: halfway between grey and what the eye's white shows.
    tint = 0.5 + 0.5 * white / max(float(white @ LUMA), 1.0)
    level = float(np.clip(1.2 * max(white @ LUMA, 0.92 * light.level), 60, 230))
    enamel = np.array([1.0, 0.965, 0.895])
    pink = 0.65 * lip + 0.35 * light.skin
    reddish = pink * np.array([1.02, 0.80, 0.82])
    return MouthColours(
        tooth=np.clip(level * tint * enamel / (enamel @ LUMA), 0, 245),
        gum=reddish * 0.95,
        tongue=reddish,
        cavity=lip * np.array([0.30, 0.17, 0.17]),
        lip=lip * np.array([0.80, 0.70, 0.70]),
    )


def _pixels(photo: NDArray[np.uint8], polygon: Float) -> Float:
    """(n, 3) colours inside a polygon, at least one."""
    height, width = photo.shape[:2]
    low = np.clip(np.floor(polygon.min(0)).astype(int), 0, (width - 1, height - 1))
    high = np.clip(np.ceil(polygon.max(0)).astype(int) + 1, low + 1, (width, height))
    inside = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(inside, [np.round(polygon - low).astype(np.int32)], 1)
    found = photo[low[1] : high[1], low[0] : high[0]][inside > 0].astype(float)
    return found if len(found) else np.full((1, 3), 128.0)


@njit(cache=True, nogil=True, inline="always")
def _smooth(x: Any) -> Any:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@njit(cache=True, nogil=True)
def _tooth(arc: Any, height: Any, edges: Any, crowns: Any, steps: Any, jaw: Any,
           tooth: Any, gum: Any, dark: Any, out: Any) -> None:  # fmt: skip
    """Colour (3,) of a point of a dental band in dental coordinates (mm)."""
    s = abs(arc)
    n = 0
    while n < len(edges) - 1 and s > edges[n]:
        n += 1
    inner = edges[n - 1] if n > 0 else 0.0
    half = 0.5 * (edges[n] - inner)
    u = (s - inner - half) / half
    if n == 2:  # canines are pointed
        rim = steps[n] + 0.9 * abs(u + 0.1) ** 1.5
    else:
        rim = steps[n] + (0.9 if jaw == UPPER_TEETH else 0.5) * abs(u) ** 4
    collar = crowns[n] - 1.5 * u * u
    to_gap = (1.0 - abs(u)) * half
    gap = np.exp(-((to_gap / 0.32) ** 2))
    soft = np.exp(-((to_gap / 1.1) ** 2))
    shade = (1.0 - 0.17 * gap - 0.10 * soft) * (1.0 - 0.05 * u * u)
    shade *= np.exp(-max(s - 7.0, 0.0) / 26.0)
    if n == 2:
        shade *= 0.965
    if jaw == LOWER_TEETH:
        shade *= 0.90
    up = min(max((height - rim) / max(collar - rim, 1.0), 0.0), 1.0)
    shade *= 0.95 + 0.07 * _smooth(up / 0.35) - 0.06 * _smooth((up - 0.55) / 0.45)
    shade += 0.05 * np.exp(-((u / 0.45) ** 2) - ((up - 0.55) / 0.22) ** 2)
    gum_share = _smooth((height - collar) / 0.9 + 0.5)
    warm = 0.05 * _smooth(up)
    missing = 1.0 - _smooth((height - rim) / 0.55 + 0.5)
    pink = (1.0 - 0.06 * gap) * np.exp(-max(s - 7.0, 0.0) / 26.0)
    for k in range(3):
        value = tooth[k] * shade * (1.0 - warm * (0.2, 0.5, 1.3)[k])
        value += gum_share * (gum[k] * pink - value)
        out[k] = value + missing * (dark[k] - value)


@njit(cache=True, nogil=True)
def shade_mouth(photo: Any, ids: Any, bary: Any, faces: Any, labels: Any, rest: Any, normals: Any,
                depth: Any, lip_depth: Any, upper: Any, lower: Any, opening: Any, seam: Any,
                box_left: Any, box_top: Any, iod: Any, colours: Any, edges: Any, crowns: Any,
                steps: Any, out: Any) -> None:  # fmt: skip
    """Colour the mouth samples of a box with 2 x 2 samples per pixel.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    ids, bary, depth : rasterised samples
    rest, normals : (V, 3)
        Rest coordinates of `Topology.rest`; deformed unit normals.
    lip_depth : float
        Depth of the lips, mm.
    upper, lower, opening, seam : (2m,) float64
        Per sample column: rows of the lip edges, opened height in inter-ocular
        distances, and how far the photo's own lip seam lies above the middle of
        the opening (pixels).
    colours : (4, 3) float64
        tooth, gum, tongue, cavity.
    edges, crowns, steps : (2, 6) float64
        Upper and lower teeth.
    out : (2n, 2m, 3) float32
    """
    tooth, gum, tongue, cavity = colours[0], colours[1], colours[2], colours[3]
    colour = np.empty(3)
    dark = np.empty(3)
    for j in range(ids.shape[0]):
        y = box_top + (j + 0.5) / 2 - 0.5
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0:
                continue
            part = labels[t]
            if part < CAVITY or part > TONGUE:
                continue
            x = box_left + (i + 0.5) / 2 - 0.5
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            w0 = 1.0 - w1 - w2
            behind = max(depth[j, i] - lip_depth, 0.0)
            under = max(y - upper[i], 0.0) / iod
            over = max(lower[i] - y, 0.0) / iod
            gape = max(lower[i] - upper[i], 0.0) / iod
            fall = np.exp(-behind / 34.0)
            for k in range(3):
                dark[k] = cavity[k] * (0.35 + 0.65 * fall)
            if part == UPPER_TEETH or part == LOWER_TEETH:
                arc = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0]
                rise = w0 * rest[a, 1] + w1 * rest[b, 1] + w2 * rest[c, 1]
                row = 0 if part == UPPER_TEETH else 1
                _tooth(
                    arc, rise, edges[row], crowns[row], steps[row], part, tooth, gum, dark, colour
                )
                # The upper lip shades the teeth; a small opening shades all of them.
                shadow = 1.0 - 0.30 * np.exp(-under / 0.016) - 0.08 * np.exp(-over / 0.014)
                shadow *= 0.84 + 0.16 * _smooth(gape / 0.06)
            elif part == TONGUE:
                nz = abs(w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2])
                ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
                lit = 0.60 + 0.28 * nz + 0.30 * max(ny, 0.0)
                across = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0]
                lit *= 1.0 - 0.10 * np.exp(-((across / 1.6) ** 2))
                wet = 10.0 * max(ny * 0.6 + nz * 0.5 - 0.45, 0.0)
                for k in range(3):
                    colour[k] = tongue[k] * lit * (0.25 + 0.75 * fall) + wet
                shadow = 1.0 - 0.50 * np.exp(-under / 0.06) - 0.12 * np.exp(-over / 0.02)
            else:
                # Just inside the lips is moist lip, not a black hole.
                wall = 0.75 * np.exp(-under / 0.012) + 0.75 * np.exp(-over / 0.018)
                wall = min(wall, 1.0) * np.exp(-behind / 22.0)
                for k in range(3):
                    colour[k] = dark[k] + wall * (0.62 * gum[k] - dark[k])
                shadow = 1.0
            # Towards the corners the light goes, and at the very corner the photo stays.
            shadow *= 0.55 + 0.45 * _smooth(gape / 0.05)
            share = _smooth((opening[i] - 0.004) / 0.014)
            for k in range(3):
                value = colour[k] * max(shadow, 0.0)
                still = _row(photo, x, y + seam[i], k)
                out[j, i, k] = still + share * (value - still)


@njit(cache=True, nogil=True)
def _row(photo: Any, x: Any, y: Any, k: Any) -> Any:
    """Bilinear photo value, border repeated."""
    x = min(max(x, 0.0), photo.shape[1] - 1.0)
    y = min(max(y, 0.0), photo.shape[0] - 1.0)
    ix, iy = min(int(x), photo.shape[1] - 2), min(int(y), photo.shape[0] - 2)
    fx, fy = x - ix, y - iy
    top = photo[iy, ix, k] * (1 - fx) + photo[iy, ix + 1, k] * fx
    low = photo[iy + 1, ix, k] * (1 - fx) + photo[iy + 1, ix + 1, k] * fx
    return top * (1 - fy) + low * fy
