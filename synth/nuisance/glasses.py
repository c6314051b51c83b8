"""Eyeglasses: rims, bridge and temples as thin bars in space, lenses that tint and reflect."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.camera import project
from synth.nuisance.draw import Glasses
from synth.nuisance.layers import Layer, Lighting, Mesh, composite, draw_layer, shadow, tube
from synth.nuisance.posed import Posed

__all__ = ["lens_outlines", "wear_glasses"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
#: Width and height in mm, exponent of the superellipse, and how far the lower half is drawn in.
SHAPES: dict[str, tuple[float, float, float, float]] = {
    "rectangle": (52.0, 33.0, 3.4, 0.06),
    "round": (47.0, 45.0, 2.0, 0.0),
    "square": (52.0, 42.0, 2.9, 0.1),
    "aviator": (56.0, 48.0, 2.4, 0.22),
    "browline": (51.0, 41.0, 2.5, 0.14),
}
#: Distance of the pupils that the shapes are made for, mm.
PUPILS = 65.0
#: Lens before the eye, its tilt (top forwards) and its wrap around the face.
BEFORE, TILT, WRAP = 14.0, 0.12, 0.0022
#: The lens's middle lies below the eye's, mm.
BELOW = 3.0
POINTS = 72
#: Bits after the point of OpenCV's polygon corners.
FRACTION = 4
#: Samples between the outer eye corners: a thin rim is some samples wide.
SAMPLES = 360.0


def _outline(frame: str) -> Float:
    """(POINTS, 2) mm: away from the nose, up; around the lens's middle."""
    width, height, power, drawn_in = SHAPES[frame]
    angle = np.arange(POINTS) / POINTS * 2 * np.pi
    c, s = np.cos(angle), np.sin(angle)
    out = width / 2 * np.sign(c) * np.abs(c) ** (2 / power)
    up = height / 2 * np.sign(s) * np.abs(s) ** (2 / power)
    # The nose takes away the lower inner corner; the cheek less of the outer one.
    low = np.maximum(-up / (height / 2), 0) ** 1.3
    out = np.where(out < 0, out * (1 - (drawn_in + 0.1) * low), out * (1 - 0.5 * drawn_in * low))
    return np.column_stack((out, up))


def _size(head: Posed, glasses: Glasses) -> tuple[Float, float]:
    """(2, 3) middles of right and left eye, and the scale of the glasses."""
    marks = head.landmarks
    eyes = np.stack((marks[[36, 39]].mean(0), marks[[42, 45]].mean(0)))
    return eyes, float(np.linalg.norm(eyes[1] - eyes[0])) / PUPILS * glasses.width


def _place(flat: Float, side: int, eyes: Float, scale: float) -> Float:
    """(n, 3) model points of lens points (n, 2): tilted and wrapped before one eye."""
    sign = -1.0 if side == 0 else 1.0
    middle = eyes.mean(0)
    apart = abs(float(eyes[side, 0] - middle[0])) + 1.0
    x = sign * (apart + flat[:, 0] * scale)
    y = flat[:, 1] * scale - BELOW
    z = BEFORE + TILT * y - WRAP * x * x + WRAP * apart**2
    return np.asarray(np.column_stack((middle[0] + x, middle[1] + y, eyes[:, 2].mean() + z)))


def lens_outlines(head: Posed, glasses: Glasses) -> tuple[Float, Float]:
    """Outlines (n, 3) of the right and the left lens, model space, mm."""
    eyes, scale = _size(head, glasses)
    flat = _outline(glasses.frame)
    return _place(flat, 0, eyes, scale), _place(flat, 1, eyes, scale)


def wear_glasses(
    glasses: Glasses, head: Posed, light: Lighting, pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Put glasses on the posed face, in place."""
    pixel = head.scale
    layer = draw_layer(_frame(head, glasses), head, light, 70.0, 14 * pixel, SAMPLES)
    if layer is None:
        return
    side = -float(np.clip(light.added[0], -0.5, 0.5)) * 6
    below = shadow(layer, (side * pixel, 4.0 * pixel), 2.2 * pixel, 0.4)[..., None]
    clear, glow = _lenses(head, glasses, light, layer)
    composite(pixels, mask, layer, below * clear, glow)


def _frame(head: Posed, glasses: Glasses) -> Mesh:
    """Rims, bridge and temples."""
    eyes, scale = _size(head, glasses)
    flat = _outline(glasses.frame)
    half = glasses.rim / 2
    thick = np.full(POINTS, half)
    if glasses.frame == "browline":  # a heavy brow over a thin rim
        thick = 0.5 + (half + 1.6) * np.clip(flat[:, 1] / SHAPES["browline"][1] * 4 - 0.4, 0, 1)
    depth = max(1.1, 0.6 * glasses.rim)
    parts = []
    along = np.roll(flat, -1, 0) - np.roll(flat, 1, 0)
    outward = np.column_stack((along[:, 1], -along[:, 0]))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    for side in (0, 1):
        outer = _place(flat + 2 * thick[:, None] / scale * outward, side, eyes, scale)
        inner = _place(flat, side, eyes, scale)
        up = np.tile([0.0, 0.0, depth], (POINTS, 1))
        parts.append(tube((outer + inner) / 2, (outer - inner) / 2, up, True))
        parts.append(_temple(head, outer, side, min(half + 0.6, 1.7)))
    parts.append(_bridge(flat, eyes, scale, max(half, 0.7), depth))
    if glasses.frame == "aviator":
        parts.append(_bridge(flat, eyes, scale, 0.7, depth, 0.42))
    counts = np.cumsum([0, *(len(p[0]) for p in parts)])
    vertices = np.concatenate([p[0] for p in parts])
    faces = np.concatenate([p[1] + c for p, c in zip(parts, counts, strict=False)])
    normals = np.concatenate([p[2] for p in parts])
    albedo = np.tile(np.array(glasses.colour, float), (len(vertices), 1))
    return Mesh(vertices, faces.astype(np.int32), normals, albedo)


def _bridge(
    flat: Float, eyes: Float, scale: float, half: float, depth: float, height: float = 0.16
) -> tuple[Float, NDArray[np.int32], Float]:
    """The bar over the nose."""
    inner = flat[flat[:, 0] < 0]
    target = height * (flat[:, 1].max() - flat[:, 1].min())
    at = inner[np.abs(inner[:, 1] - target).argmin()][None]
    right, left = _place(at, 0, eyes, scale)[0], _place(at, 1, eyes, scale)[0]
    t = np.linspace(0, 1, 12)[:, None]
    path = right + (left - right) * t
    rise = np.sin(np.pi * t)
    path = path + rise * np.array([0.0, 1.5, 2.5])
    n = len(path)
    return tube(path, np.tile([0.0, half, 0.0], (n, 1)), np.tile([0.0, 0.0, depth], (n, 1)), False)


def _temple(
    head: Posed, outer: Float, side: int, half: float
) -> tuple[Float, NDArray[np.int32], Float]:
    """The bar from the rim to the ear."""
    sign = -1.0 if side == 0 else 1.0
    height = outer[:, 1].max() - outer[:, 1].min()
    row = np.abs(outer[:, 1] - (outer[:, 1].max() - 0.25 * height))
    start = outer[np.where(sign * (outer[:, 0] - outer[:, 0].mean()) > 0, row, np.inf).argmin()]
    ear = head.landmarks[0 if side == 0 else 16]
    end = np.array([ear[0] + sign * 5.0, max(ear[1] + 4.0, start[1] - 10.0), ear[2] - 22.0])
    wide = max(abs(start[0]) + 2.5, abs(ear[0]) - 6.0)
    hinge = np.array([wide * sign, start[1], start[2] - 6.0])
    path = np.stack((start, hinge, *(hinge + (end - hinge) * t for t in (0.33, 0.66, 1.0))))
    n = len(path)
    across = np.tile([0.9 * sign, 0.0, 0.0], (n, 1))
    across[0] = across[1] = (0.6 * sign, 0.0, 0.8)
    return tube(path, across, np.tile([0.0, half, 0.0], (n, 1)), False)


def _lenses(
    head: Posed, glasses: Glasses, light: Lighting, layer: Layer
) -> tuple[Float32, Float32]:
    """What the lenses let through (h, w, 3), and what they reflect (h, w, 4)."""
    left, top, width, height = layer.box
    clear = np.ones((height, width, 3), np.float32)
    glow = np.zeros((height, width, 4), np.float32)
    tint = (glasses.tint * np.array([0.9, 1.0, 1.1])).astype(np.float32)
    sky = np.minimum(light.white * (1.12, 1.14, 1.18), 255.0).astype(np.float32)
    for outline in lens_outlines(head, glasses):
        seen = project(outline, head.camera)[:, :2] - (left, top)
        cover = np.zeros((height, width), np.uint8)
        corners = np.round(seen * (1 << FRACTION)).astype(np.int32)
        cv2.fillPoly(cover, [corners], 255, cv2.LINE_AA, FRACTION)
        low, high = seen.min(0), seen.max(0)
        middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1.0)
        _reflect(cover, middle, half, glasses.glare, glasses.glare_at, tint, sky, clear, glow)
    return clear, glow


@njit(cache=True, nogil=True)
def _reflect(cover: Any, middle: Any, half: Any, glare: Any, glare_at: Any, tint: Any, sky: Any,
             clear: Any, glow: Any) -> None:  # fmt: skip
    """One lens: its tint, a faint sheen, and the slanted image of a window and its edge."""
    for j in range(cover.shape[0]):
        y = (j - middle[1]) / half[1]
        for i in range(cover.shape[1]):
            if cover[j, i] == 0:
                continue
            share = cover[j, i] / 255.0
            x = (i - middle[0]) / half[0]
            bright = 0.03 + 0.03 * min(max(-y, -1.0), 1.0)
            if glare > 0:
                across = x + 0.4 * y - 0.55 * glare_at
                window = math.exp(-((across / 0.34) ** 4)) * max(0.75 - 0.55 * y, 0.0)
                second = 0.5 * math.exp(-(((across - 0.52) / 0.08) ** 4)) * max(0.7 - 0.6 * y, 0.0)
                bright += 0.5 * glare * max(window, second)
            alpha = np.float32(share * min(bright, 1.0))
            for k in range(3):
                clear[j, i, k] *= np.float32(1 - share * tint[k])
                glow[j, i, k] += alpha * sky[k]
            glow[j, i, 3] += alpha
