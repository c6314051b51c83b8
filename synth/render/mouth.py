"""The inside of the mouth: teeth, gums, tongue and throat, lit by the photo.

The model brings the geometry (two dental bands, a tongue, a cavity); this
module paints it (the teeth: `synth.render.teeth`). Light enters through the
opening: it falls with the depth behind the lips, the faster the smaller the opening.
Everything is smooth in what the weights move, so that nothing pops when the mouth
opens.

Brightness of teeth. In 18 smiling studio portraits under one light (London Set,
skin luminance 65 to 170) the bright part of the upper teeth (80th percentile) has
luminance 191, sd 17, whatever the skin (slope 0.02 per grey level of skin, the six
darkest faces 190). The same people's eye whites in the neutral photo (95th
percentile of the eye) give it best: ratio 1.08, against 1.13 to the brightest skin
of light faces, which says nothing on dark ones. One measurement of the whites is
off by 8 % or so, hence the slight pull towards an ordinary exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.render.light import LUMA, Light
from synth.render.mouth_shape import INSET
from synth.render.teeth import tooth_colour
from synth.render.topology import CAVITY, LOWER_TEETH, TONGUE, UPPER_TEETH

__all__ = ["MouthColours", "mouth_colours", "nir_mouth", "shade_mouth"]

Float = NDArray[np.float64]

#: Relative RGB of enamel in white light.
ENAMEL = np.array([1.0, 0.985, 0.975])
#: Exposure (whites' luminance) of an ordinary photo, and the pull towards it.
ORDINARY, PULL = 178.0, 0.25
#: Brightest luminance that teeth may get, and what shading leaves of `tooth`.
BRIGHTEST, SHADED = 215.0, 0.92
#: Grey level of the back of the mouth in near infrared, as a share of the skin's.
NIR_LIFT = 0.40
#: Outer eye corners of the mean face, mm: turns shares of that distance into mm.
EYES_APART = 92.0


@dataclass(frozen=True)
class MouthColours:
    """RGB (0-255) of what the mouth shows in this photo's light.

    Attributes
    ----------
    tooth, gum, tongue, cavity, lip : (3,) float64
    lift : float
        Grey levels that even the back of the mouth has, from a lamp at the camera.
    """

    tooth: Float
    gum: Float
    tongue: Float
    cavity: Float
    lip: Float
    lift: float = 0.0


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
        whites.append(found[luminance >= np.percentile(luminance, 90)])
    white = np.median(np.concatenate(whites), axis=0)
    # The tint of the light: halfway between grey and what the eye's white shows.
    tint = 0.5 + 0.5 * white / max(float(white @ LUMA), 1.0)
    seen = float(white @ LUMA)
    # The whites of dark faces look darker (pigment, lids): 7 % at half their luminance.
    seen *= float(np.clip(seen / max(light.skin @ LUMA, 1.0), 1.0, 3.0)) ** 0.1
    exposure = max(seen, 0.95 * light.level, 1.0)
    level = 1.08 * exposure ** (1 - PULL) * ORDINARY**PULL
    # Light is warm or cold but not magenta; the pink of a white is its vessels, not the light.
    hue = ENAMEL * tint
    hue[1] = max(hue[1], 0.99 * (hue[0] + hue[2]) / 2)
    enamel = np.clip(_of_luminance(hue, min(level, BRIGHTEST) / SHADED), 0, 255)
    flesh = 0.5 * lip + 0.2 * light.skin + 0.3 * np.array([1.0, 0.62, 0.60]) * enamel
    reddish = flesh * np.array([1.02, 0.76, 0.77])
    return MouthColours(
        tooth=enamel,
        gum=flesh * np.array([1.0, 0.79, 0.79]),
        tongue=reddish,
        cavity=reddish * np.array([0.42, 0.25, 0.24]),
        lip=lip * np.array([0.80, 0.70, 0.70]),
    )


def nir_mouth(photo: NDArray[np.uint8], points: Float, light: Light) -> MouthColours:
    """Greys of the mouth in a near-infrared photo lit by a lamp at the camera.

    As shares of the skin's grey level, measured in the five photos of CustomDB (Kalabis
    2024) with the mouth open: teeth 0.8 to 1.06, tongue and throat 0.45 to 0.78. Blood
    absorbs little there, and the lamp shines where the camera looks.

    Parameters
    ----------
    photo : (H, W, 3) uint8
        Of equal channels.
    points : (68, 2) float64
    light : Light
    """
    skin = float(light.skin @ LUMA)
    lip = np.median(_pixels(photo, points[48:60]), axis=0)
    grey = skin * np.ones(3)
    lift = NIR_LIFT * skin
    # What is drawn is `lift` plus this share of the shaded colour: see `shade_mouth`.
    return MouthColours(
        # Enamel knows no melanin: on darker skin it stands out.
        tooth=(1.15 * skin) ** (1 - PULL) * ORDINARY**PULL * np.ones(3) / SHADED,
        gum=0.80 * grey,
        tongue=0.72 * grey,
        cavity=0.40 * grey,
        lip=0.9 * lip,
        lift=lift,
    )


def _of_luminance(colour: Float, luminance: float) -> Float:
    """The colour scaled to a luminance."""
    return colour * (luminance / max(float(colour @ LUMA), 1e-9))


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


@njit(cache=True, nogil=True, inline="always")
def _lattice(i: Any, j: Any) -> Any:
    """Hash of an integer lattice point, 0..1."""
    n = (i * 374761393 + j * 668265263) & 0x7FFFFFFF
    n = ((n ^ (n >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((n ^ (n >> 16)) & 0xFFFF) / 65535.0


@njit(cache=True, nogil=True)
def _grain(x: Any, y: Any) -> Any:
    """Smooth noise with cells of size 1, -1..1; the same for x and -x."""
    x = abs(x)
    ix, iy = int(np.floor(x)), int(np.floor(y))
    fx, fy = _smooth(x - ix), _smooth(y - iy)
    top = _lattice(ix, iy) * (1 - fx) + _lattice(ix + 1, iy) * fx
    low = _lattice(ix, iy + 1) * (1 - fx) + _lattice(ix + 1, iy + 1) * fx
    return 2.0 * (top * (1 - fy) + low * fy) - 1.0


@njit(cache=True, nogil=True)
def _tongue(x: Any, z: Any, nx: Any, ny: Any, nz: Any, tongue: Any, shine: Any,
            out: Any) -> None:  # fmt: skip
    """Colour (3,) of the tongue at rest position `x` (mm from the middle), `z` (mm to the front).

    `nx, ny, nz` is its unit normal, turned to the viewer; the light comes from
    above the camera.
    """
    side = abs(x)
    rough = 0.6 * _grain(x / 1.1, z / 1.1) + 0.4 * _grain(x / 2.7 + 31.0, z / 2.7)
    lit = 0.46 + 0.64 * max(0.45 * ny + 0.89 * nz, 0.0)
    back = _smooth((-z - 1.0) / 10.0)
    lit *= 1.0 - 0.16 * back * np.exp(-((x / 2.2) ** 2))  # the groove
    lit *= 1.0 + 0.05 * np.exp(-(((side - 6.5) / 3.5) ** 2))  # and its swelling sides
    lit *= 1.0 - 0.40 * _smooth((side - 10.0) / 11.0)
    lit *= 1.0 + 0.07 * rough
    # Wet: half-way vector between the viewer and a light high in front.
    gloss = max(0.50 * ny + 0.866 * nz, 0.0) ** 16
    gloss *= (0.5 + 0.5 * rough) * np.exp(-(((side - 5.0) / 4.5) ** 2))
    for k in range(3):
        out[k] = tongue[k] * lit + shine * gloss


@njit(cache=True, nogil=True)
def shade_mouth(photo: Any, ids: Any, bary: Any, faces: Any, labels: Any, rest: Any, normals: Any,
                depth: Any, lip_depth: Any, upper: Any, lower: Any, corners: Any, opening: Any,
                still_x: Any, seam: Any, box_left: Any, box_top: Any, iod: Any, colours: Any,
                lift: Any, edges: Any, crowns: Any, steps: Any, shades: Any,
                out: Any) -> None:  # fmt: skip
    """Colour the mouth samples of a box with 2 x 2 samples per pixel.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    ids, bary, depth : rasterised samples
    rest, normals : (V, 3)
        Rest coordinates of `Topology.rest`; deformed unit normals.
    lip_depth : float
        Depth of the lips, mm.
    corners : (2,) float64
        Columns of the corners of the mouth, pixels.
    upper, lower, opening, still_x, seam : (2m,) float64
        Per sample column: rows of the lip edges, opened height in inter-ocular
        distances, the photo's column, and how far the photo's own lip seam lies
        above the middle of the opening (pixels).
    colours : (4, 3) float64
        tooth, gum, tongue, cavity.
    lift : float
        Of `MouthColours`.
    edges, crowns, steps, shades : (2, 6) float64
        Upper and lower teeth, as in `synth.render.teeth.Teeth`.
    out : (2n, 2m, 3) float32
    """
    tooth, gum, tongue, cavity = colours[0], colours[1], colours[2], colours[3]
    colour = np.empty(3)
    dark = np.empty(3)
    widest = 0.0
    for i in range(len(upper)):
        widest = max(widest, opening[i])
    # Light reaches about as deep as the mouth is open.
    reach = 9.0 + 1.0 * EYES_APART * widest
    shine = 0.38 * tooth[1]
    kept = 1.0 - lift / max(tooth[1], 1.0)
    for j in range(ids.shape[0]):
        y = box_top + (j + 0.5) / 2 - 0.5
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0:
                continue
            part = labels[t]
            if part < CAVITY or part > TONGUE:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            w0 = 1.0 - w1 - w2
            behind = max(depth[j, i] - lip_depth - INSET, 0.0)
            under = EYES_APART * max(y - upper[i], 0.0) / iod  # mm from the lips' edges
            over = EYES_APART * max(lower[i] - y, 0.0) / iod
            gape = EYES_APART * max(lower[i] - upper[i], 0.0) / iod
            x = box_left + (i + 0.5) / 2 - 0.5
            corner = EYES_APART * max(min(x - corners[0], corners[1] - x), 0.0) / iod
            fall = (1.0 + (behind / reach) ** 2) ** -0.6  # of display values, not of light
            # Both lips shade what lies just behind them, the upper one more.
            shadow = 1.0 - 0.34 * np.exp(-under / 1.2) - 0.14 * np.exp(-over / 0.9)
            # A slit lets no light in, nor do the corners.
            shadow *= 0.40 + 0.60 * _smooth(gape / 3.4)
            shadow *= 0.50 + 0.50 * _smooth(corner / 8.0)
            deep = (0.10 + 0.90 * fall) * (0.8 + 0.5 * under / (under + over + 1.0))
            for k in range(3):
                dark[k] = cavity[k] * deep
            across = w0 * rest[a, 0] + w1 * rest[b, 0] + w2 * rest[c, 0]
            if part == UPPER_TEETH or part == LOWER_TEETH:
                rise = w0 * rest[a, 1] + w1 * rest[b, 1] + w2 * rest[c, 1]
                row = 0 if part == UPPER_TEETH else 1
                tooth_colour(across, rise, edges[row], crowns[row], steps[row], shades[row], part,
                             tooth, gum, dark, colour)  # fmt: skip
                shadow *= 0.45 + 0.55 * fall
            else:
                z = w0 * rest[a, 2] + w1 * rest[b, 2] + w2 * rest[c, 2]
                if part == TONGUE:
                    nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
                    ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
                    nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
                    turn = (1.0 if nz >= 0 else -1.0) / max(np.sqrt(nx**2 + ny**2 + nz**2), 1e-6)
                    _tongue(across, z, nx * turn, ny * turn, nz * turn, tongue, shine, colour)
                    shadow *= 1.0 - 0.45 * np.exp(-under / 5.0)
                    for k in range(3):
                        colour[k] *= fall
                else:
                    colour[:] = dark
                # Just inside the lips is moist lip, shading into the dark.
                wet = min(0.60 * np.exp(-under / 0.9) + 0.85 * np.exp(-over / 1.3), 1.0)
                wet *= _smooth(behind / 6.0)
                for k in range(3):
                    colour[k] += wet * (0.55 * gum[k] - colour[k])
            share = _smooth((opening[i] - 0.004) / 0.014)
            px = still_x[i]
            for k in range(3):
                value = lift + kept * colour[k] * max(shadow, 0.0)
                still = _row(photo, px, y + seam[i], k)
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
