"""Solid things before the face: rasterised with several samples per pixel, shaded, composited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from synth.camera import project
from synth.nuisance.draw import Nuisance
from synth.nuisance.light import exposure, luminance
from synth.nuisance.posed import Posed, to_viewer
from synth.render.raster import rasterise
from synth.render.rig import FaceRig

__all__ = ["Layer", "Lighting", "Mesh", "composite", "draw_layer", "lighting", "shadow", "tube"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Box = tuple[int, int, int, int]
#: The head is this many mm farther off when it hides things: they press into the skin.
SINK = np.float32(4.0)


@dataclass(frozen=True)
class Mesh:
    """Something solid on the head.

    Attributes
    ----------
    vertices : (N, 3) float64
        Model space of the head, mm.
    faces : (T, 3) int32
    normals : (N, 3) float64
        Unit, model space.
    albedo : (N, 3) float64
        RGB in white light, 0 to 255.
    shown : int
        The first so many triangles are never hidden by the head.
    """

    vertices: Float
    faces: NDArray[np.int32]
    normals: Float
    albedo: Float
    shown: int = 0


@dataclass(frozen=True)
class Lighting:
    """The light on things that are worn.

    Attributes
    ----------
    white : (3,) float64
        RGB of a white thing that faces the viewer.
    rig : FaceRig
    added : (3,) float
        The nuisance's own light.
    """

    white: Float
    rig: FaceRig
    added: tuple[float, float, float]

    def shade(self, normals: Float) -> Float:
        """(N,) brightness of `normals` (N, 3) of the viewer, 1 towards him."""
        camera, light = self.rig.fit.camera, self.rig.light
        front = max(float(luminance(light, np.array([[0.0, 0.0, 1.0]]), camera)[0]), 20.0)
        added = normals @ np.array(self.added) - self.added[2]
        return np.clip(luminance(light, normals, camera) / front + added, 0.3, 1.5)


@dataclass(frozen=True)
class Layer:
    """Part of a picture, to be laid over it.

    Attributes
    ----------
    box : (left, top, width, height)
    colour : (h, w, 3) float32
        RGB times coverage.
    cover : (h, w) float32
        0 to 1.
    skin : (h, w) float32
        Share of the pixel that shows the head.
    """

    box: Box
    colour: Float32
    cover: Float32
    skin: Float32


def lighting(rig: FaceRig, nuisance: Nuisance) -> Lighting:
    """How bright worn things are; white is not taken for darker than the skin suggests."""
    level = float(np.clip(1.6 * rig.light.level, 180.0, 245.0))
    white = np.minimum(level * exposure(nuisance.gain, nuisance.warmth), 252.0)
    return Lighting(white, rig, nuisance.light)


def draw_layer(
    mesh: Mesh, head: Posed, light: Lighting, gloss: float, margin: float, samples: float
) -> Layer | None:
    """A mesh on the posed head; None when it is not in the picture.

    Parameters
    ----------
    mesh : Mesh
    head : Posed
    light : Lighting
    gloss : float
        Strength of the highlight of a light from above, grey levels of white.
    margin : float
        Pixels around the mesh that the layer has room for.
    samples : float
        Between the outer eye corners: how fine the edges are.
    """
    rig = light.rig
    seen = project(mesh.vertices, head.camera)
    height, width = rig.image.height, rig.image.width
    low = np.floor(seen[:, :2].min(0) - margin)
    high = np.ceil(seen[:, :2].max(0) + margin) + 1
    left, top = (int(max(v, 0)) for v in low)
    right, bottom = int(min(high[0], width)), int(min(high[1], height))
    if right <= left or bottom <= top:
        return None
    box = (left, top, right - left, bottom - top)
    normals = to_viewer(mesh.normals, head.camera)
    colour = mesh.albedo / 255 * light.white * light.shade(normals)[:, None]
    if gloss:
        colour = colour + gloss * _highlight(normals)[:, None] * light.white / 255
    scale = int(np.clip(round(samples / rig.inter_ocular), 2, 4))
    ids, bary, depth = rasterise(seen, mesh.faces, box, scale, perspective=False)
    # One sample per pixel will do for the head: what it hides ends softly anyway.
    _, _, face = rasterise(head.seen, rig.model.faces, box, perspective=False)
    out = np.zeros((box[3], box[2], 5), np.float32)
    _resolve(
        ids, bary, depth, face, SINK, mesh.faces, mesh.shown, colour.astype(np.float32), scale, out
    )
    return Layer(box, out[..., :3], out[..., 3], out[..., 4])


def _highlight(normals: Float) -> Float:
    """(N,) Blinn-Phong term of a lamp above the viewer."""
    half = np.array([0.1, 0.42, 0.9])
    return np.maximum(normals @ (half / np.linalg.norm(half)), 0) ** 24


@njit(cache=True, nogil=True)
def _resolve(ids: Any, bary: Any, depth: Any, face: Any, sink: Any, faces: Any, shown: Any,
             colours: Any, scale: Any, out: Any) -> None:  # fmt: skip
    """Average the samples of each pixel: colour times coverage, coverage, share of the head."""
    share = np.float32(1.0 / (scale * scale))
    for j in range(ids.shape[0]):
        for i in range(ids.shape[1]):
            t, y, x = ids[j, i], j // scale, i // scale
            behind = face[y, x] + sink
            if t < 0 or (t >= shown and depth[j, i] > behind):
                if face[y, x] < np.float32(1e20):
                    out[y, x, 4] += share
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            w1, w2 = bary[j, i, 0], bary[j, i, 1]
            for k in range(3):
                value = (
                    (np.float32(1) - w1 - w2) * colours[a, k]
                    + w1 * colours[b, k]
                    + w2 * colours[c, k]
                )
                out[y, x, k] += share * value
            out[y, x, 3] += share


def shadow(layer: Layer, shift: ArrayLike, blur: float, strength: float) -> Float32:
    """(h, w) float32 factor on the pixels below a layer: its soft shadow on the head.

    Parameters
    ----------
    layer : Layer
    shift : (2,) float
        Pixels by which the shadow falls right and down.
    blur : float
        Its standard deviation in pixels.
    strength : float
        Share of light that is kept off at most.
    """
    dx, dy = np.asarray(shift, float)
    move = np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]])
    height, width = layer.cover.shape
    cast = cv2.warpAffine(layer.cover, move, (width, height), flags=cv2.INTER_LINEAR)
    cast = cv2.GaussianBlur(cast, (0, 0), max(blur, 0.3))
    return np.asarray(1 - strength * cast * np.minimum(layer.skin + layer.cover, 1), np.float32)


def composite(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    layer: Layer,
    below: Float32 | None = None,
    glow: Float32 | None = None,
) -> None:
    """Lay `layer` over `pixels`, in place, and mark what changed in `mask`.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    mask : (H, W) bool
    layer : Layer
    below : (h, w) or (h, w, 3) float32, optional
        Factor on what is seen beside and below the layer.
    glow : (h, w, 4) float32, optional
        Something transparent under the layer: RGB times its share, and the share.
    """
    left, top, width, height = layer.box
    window = pixels[top : top + height, left : left + width]
    under = window.astype(np.float32)
    if below is not None:
        under *= below if below.ndim == 3 else below[..., None]
    if glow is not None:
        under = under * (1 - glow[..., 3:]) + glow[..., :3]
    over = layer.colour + under * (1 - layer.cover[..., None])
    done = np.clip(np.floor(over + np.float32(0.5)), 0, 255).astype(np.uint8)
    mask[top : top + height, left : left + width] |= (done != window).any(2)
    window[...] = done


def tube(
    path: Float, side: Float, up: Float, closed: bool
) -> tuple[Float, NDArray[np.int32], Float]:
    """A bar with a four-cornered section along a path: vertices, triangles, normals.

    Parameters
    ----------
    path : (n, 3) float64
    side, up : (n, 3) float64
        Half axes of the section at every point of the path.
    closed : bool
        Whether the last point is followed by the first.
    """
    n = len(path)
    corners = [(1, 1), (1, -1), (-1, -1), (-1, 1)]
    offsets = np.stack([a * side + b * up for a, b in corners], 1)
    vertices = (path[:, None] + offsets).reshape(-1, 3)
    flat = [side / np.linalg.norm(side, axis=1, keepdims=True),
            up / np.linalg.norm(up, axis=1, keepdims=True)]  # fmt: skip
    normals = np.stack([a * flat[0] + b * flat[1] for a, b in corners], 1).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    first = np.arange(n if closed else n - 1)[:, None] * 4 + np.arange(4)
    turn = np.roll(np.arange(4), -1)
    after = (first + 4) % (4 * n)
    a, b = first, first[:, turn]
    c, d = after, after[:, turn]
    faces = np.concatenate(
        (np.stack((a, b, c), 2).reshape(-1, 3), np.stack((b, d, c), 2).reshape(-1, 3))
    )
    return vertices, faces.astype(np.int32), normals
