"""Another light on the drawn face: the quotient of two first-order lights, and exposure.

The photo's own light was fitted to its skin (`synth.render.light`): luminance is
linear in the normal. A distant light is added to it, and each pixel is multiplied
by the ratio of the luminance with and without it (quotient image; Shashua &
Riklin-Raviv, TPAMI 2001). A light that falls straight on the face changes nothing:
how bright the whole picture is, is the exposure's part. Outside the face the ratio
fades with the skirt that carries the motion, so hair and neck go along; the
background does not (`synth.nuisance.matte`).
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from synth.camera import FLIP, rotation_matrix
from synth.nuisance.matte import person_matte
from synth.nuisance.posed import Posed
from synth.render.light import LUMA, Light
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.topology import EYES, INTERIOR
from synth.types import Camera

__all__ = [
    "LightField",
    "apply_gain",
    "exposure",
    "gain_map",
    "light_field",
    "light_ratio",
    "luminance",
]

Float = NDArray[np.float64]
Index = NDArray[np.int64]
#: Samples of the ratio map between the outer eye corners: light on skin is smooth.
DETAIL = 40.0
#: Blur of the ratio map, samples.
SOFT = 1.8
#: Limits of the ratio.
DARKEST, BRIGHTEST = 0.5, 1.6

_INSIDE: dict[int, tuple[tuple[Index, Index], ...]] = {}


def luminance(light: Light, normals: Float, camera: Camera) -> Float:
    """(N,) luminance (0-255) of the photo's light on skin with `normals`.

    Parameters
    ----------
    light : Light
    normals : (N, 3) float64
        Unit, of the viewer.
    camera : Camera
        Of the photo: the light was fitted in its model space.
    """
    model = (normals * FLIP) @ rotation_matrix(camera) * FLIP
    return np.asarray(light.ambient + model @ light.direction)


def light_ratio(light: Light, normals: Float, camera: Camera, added: ArrayLike) -> Float:
    """(N,) luminance with and without the added light, as a ratio.

    ``1 + A (s . n - s_z) / L(n)`` with the photo's luminance ``L``, its value ``A``
    for a normal towards the viewer, and ``s`` the added light.

    Parameters
    ----------
    light : Light
        The photo's.
    normals : (N, 3) float64
        Unit, of the viewer.
    camera : Camera
        Of the photo.
    added : (3,) float
        Towards the added light; its length is the strength.
    """
    s = np.asarray(added, np.float64)
    floor = 0.25 * max(light.level, 1.0)
    front = max(float(luminance(light, np.array([[0.0, 0.0, 1.0]]), camera)[0]), floor)
    old = np.maximum(luminance(light, normals, camera), floor)
    return np.asarray(np.clip(1 + front * (normals @ s - s[2]) / old, DARKEST, BRIGHTEST))


@dataclass(frozen=True)
class LightField:
    """The added light over ``rig.surface.box``, on a coarse grid: it is smooth.

    Attributes
    ----------
    grid : (h, w, 3) float32
        Ratio of the light less 1, and where in the photo the pixel comes from, less
        where it is: x and y in pixels.
    scale : float
        Grid points per pixel.
    matte : (H, W) float32
        Of the person, in the photo.
    left, top : int
        Corner of the box.
    """

    grid: NDArray[np.float32]
    scale: float
    matte: NDArray[np.float32]
    left: int
    top: int


def light_field(rig: FaceRig, head: Posed, added: ArrayLike) -> LightField:
    """The ratio of the light on the drawn face and, fading, around it."""
    surface = rig.surface
    ratio = light_ratio(rig.light, head.normals, rig.fit.camera, added) - 1
    for inner, around in _inside(rig):  # balls and the mouth's inside: as the skin around them
        ratio[inner] = ratio[around].mean()
    skin = len(ratio)
    values = np.empty((skin + len(surface.skirt), 3))
    values[:skin, 0] = ratio
    values[skin:, 0] = surface.follow @ ratio[surface.outline]
    values[:skin, 1:] = rig.neutral[:, :2] - head.seen[:, :2]
    moved = surface.follow @ values[surface.outline, 1:]
    values[skin:, 1:] = moved
    left, top, width, height = surface.box
    scale = min(DETAIL / rig.inter_ocular, 1.0)
    points = np.empty((len(values), 3))
    points[:skin] = head.seen
    points[skin:, :2] = surface.skirt - moved
    points[skin:, 2] = head.seen[:, 2].max() + 50.0
    points[:, :2] = (points[:, :2] - (left, top) + 0.5) * scale - 0.5
    size = (max(math.ceil(width * scale), 1), max(math.ceil(height * scale), 1))
    ids, bary, _ = rasterise(points, surface.faces, (0, 0, *size), perspective=False)
    grid = np.zeros((*ids.shape, 3), np.float32)
    _interpolate(ids, bary, surface.faces, values, grid)
    # Only the light is blurred: where the cheek turns away, the places change within a pixel.
    ratio_map = np.ascontiguousarray(grid[..., 0])
    grid[..., 0] = cv2.GaussianBlur(ratio_map, (0, 0), SOFT, borderType=cv2.BORDER_REPLICATE)
    return LightField(grid, scale, person_matte(rig), left, top)


def _inside(rig: FaceRig) -> tuple[tuple[Index, Index], ...]:
    """Vertices inside mouth and eyes, and those around them; the same for every photo."""
    found = _INSIDE.get(id(rig.topology))
    if found is None:
        lids = np.concatenate([np.concatenate((c.upper, c.lower)) for c in rig.topology.lids])
        lips = np.concatenate((rig.topology.lips.upper, rig.topology.lips.lower))
        model = rig.model
        found = _INSIDE[id(rig.topology)] = tuple(
            (np.setdiff1d(model.faces[np.isin(model.parts, parts)], around), around)
            for parts, around in ((INTERIOR, lips), (EYES, lids))
        )
        weakref.finalize(rig.topology, _INSIDE.pop, id(rig.topology), None)
    return found


@njit(cache=True, nogil=True)
def _interpolate(ids: Any, bary: Any, faces: Any, values: Any, out: Any) -> None:
    """Values at vertices into the pixels of a raster; pixels without a triangle stay."""
    for j in range(ids.shape[0]):
        for i in range(ids.shape[1]):
            t = ids[j, i]
            if t < 0:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            for k in range(values.shape[1]):
                out[j, i, k] = (1 - w1 - w2) * values[a, k] + w1 * values[b, k] + w2 * values[c, k]


def gain_map(field: LightField) -> NDArray[np.float32]:
    """(h, w) float32 factor of every pixel of the box: the ratio on the person, 1 elsewhere."""
    height, width = field.matte.shape
    # Pixel x lies at (x + 0.5) scale - 0.5 of the grid.
    half = 0.5 * field.scale - 0.5
    back = np.array([[field.scale, 0, half], [0, field.scale, half]])
    fine = cv2.warpAffine(
        field.grid, back, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    x = fine[..., 1] + np.arange(width, dtype=np.float32)
    y = fine[..., 2] + np.arange(height, dtype=np.float32)[:, None]
    person = cv2.remap(field.matte, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(1 + fine[..., 0] * person, np.float32)


def exposure(gain: float, warmth: float) -> Float:
    """(3,) factors of red, green and blue; `warmth` leaves the luminance of grey as it is."""
    tint = np.exp(np.array([0.5, 0.0, -0.5]) * warmth)
    return np.asarray(gain * tint / (tint @ LUMA))


@njit(cache=True, nogil=True)
def apply_gain(pixels: Any, ratio: Any, left: Any, top: Any, factors: Any,
               out: Any, mask: Any) -> None:  # fmt: skip
    """Multiply pixels by the light's ratio and by the exposure.

    Brightened colours near white are rolled off together, so that skin does not turn
    yellow where only its red would be cut off.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    ratio : (h, w) float32
        For the box with its corner at (left, top); 1 elsewhere.
    factors : (3,) float64
    out : (H, W, 3) uint8
    mask : (H, W) bool
        True is written where a pixel changes.
    """
    height, width = ratio.shape
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            j, i = y - top, x - left
            g = 1.0
            if 0 <= j < height and 0 <= i < width:
                g = ratio[j, i]
            r = pixels[y, x, 0] * g * factors[0]
            v = pixels[y, x, 1] * g * factors[1]
            b = pixels[y, x, 2] * g * factors[2]
            before = max(pixels[y, x, 0], pixels[y, x, 1], pixels[y, x, 2])
            most = max(r, v, b)
            knee = max(200.0, before * 1.0)
            if most > knee:
                room = 255.5 - knee
                over = (most - knee) / room
                shrink = (knee + room * over / (1 + over)) / most
                r, v, b = r * shrink, v * shrink, b * shrink
            nr, ng, nb = np.uint8(r + 0.5), np.uint8(v + 0.5), np.uint8(b + 0.5)
            if nr != pixels[y, x, 0] or ng != pixels[y, x, 1] or nb != pixels[y, x, 2]:
                mask[y, x] = True
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = nr, ng, nb
