"""Faces without a photo: the morphable model as a shaded plaster mesh.

Lambert's law with one distant light and a little light from everywhere; no texture
but eyes and teeth, so that the shape alone is seen (as in Kollias et al. 2020, Fig. 6).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.camera import project
from synth.morphable.model import MorphableModel
from synth.render.raster import rasterise
from synth.render.shade import vertex_normals
from synth.render.topology import LIPS, SKIN, topology
from synth.types import Camera

__all__ = ["ASPECT", "shaded_face"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: Width of a picture over its height.
ASPECT = 0.74
#: Middle of the view and its height, mm in model space.
MIDDLE, TALL = -23.0, 212.0
#: The face is cut out like a mask: skin fades within FADE mm of what lies farther back than
#: BACK (depths at heights in mm: cheek, throat), and of half an ellipse around the forehead
#: (height of its middle, half axes).
BACK, FADE = ((-115.0, -45.0), (-24.0, -48.0)), 4.0
ELLIPSE = (-8.0, 89.0, 88.0)
#: Camera distance: far enough for an almost parallel view.
DISTANCE = 1200.0
#: Light from the viewer's upper left; what a surface turned away still gets.
LIGHT, AMBIENT = np.array([-0.50, 0.62, 0.72]), 0.20
#: Samples per pixel and axis.
SUPERSAMPLE = 2

#: Linear grey or colour of each part of the model, by name.
COLOURS = {
    "skin": (0.70, 0.69, 0.68),
    "lips": (0.52, 0.43, 0.41),
    "mouth_cavity": (0.10, 0.05, 0.05),
    "upper_teeth": (0.68, 0.67, 0.64),
    "lower_teeth": (0.62, 0.61, 0.58),
    "tongue": (0.42, 0.20, 0.19),
    "eye_socket": (0.40, 0.33, 0.32),
    "left_eye": (0.84, 0.84, 0.84),
    "right_eye": (0.84, 0.84, 0.84),
}
IRIS, PUPIL = (0.16, 0.17, 0.19), (0.02, 0.02, 0.02)
#: Radii in mm around the eye's front.
IRIS_RADIUS, PUPIL_RADIUS = 5.8, 2.4


def shaded_face(
    model: MorphableModel, weights: ArrayLike, height: int, shape: ArrayLike = ()
) -> tuple[UInt8, Float]:
    """Picture of the model with blendshape `weights`, seen from the front.

    Parameters
    ----------
    model : MorphableModel
    weights : (E,) float
        In the order of the model's `blendshape_names`.
    height : int
        Pixels; the width is `ASPECT` of it.
    shape : (k,) float, optional
        Identity in standard deviations; the mean face when empty.

    Returns
    -------
    pixels : (h, w, 3) uint8
    alpha : (h, w) float64
        Cover, 0 to 1.
    """
    vertices = model.shape(shape) + model.offsets(weights)
    normals = np.empty_like(vertices)
    vertex_normals(vertices, model.faces, topology(model).corner_faces, normals)
    width = round(ASPECT * height)
    ids, bary, _ = rasterise(
        project(vertices, _camera(width, height)), model.faces, (0, 0, width, height), SUPERSAMPLE
    )
    seen = ids >= 0
    corners = model.faces[ids[seen]]
    second, third = bary[seen, 0], bary[seen, 1]
    share = np.stack([1 - second - third, second, third], axis=1).astype(np.float64)
    normal, rest, place = (
        np.einsum("nc,ncd->nd", share, values[corners])
        for values in (normals, model.mean, vertices)
    )
    shown = _albedo(model, ids[seen], rest) * _lambert(normal)[:, None]
    cover = np.zeros(ids.shape)
    inside = ~np.isin(model.parts[ids[seen]], (SKIN, LIPS))
    cover[seen] = np.where(inside, 1.0, _cut(place))
    linear = np.zeros((*ids.shape, 3))
    linear[seen] = shown * cover[seen, None]
    return _downsample(linear, cover)


def _camera(width: int, height: int) -> Camera:
    return Camera(
        quaternion=np.array([0.0, 0.0, 0.0, 1.0]),
        translation=np.array([0.0, MIDDLE, DISTANCE]),
        focal=height / TALL * DISTANCE,
        center=np.array([(width - 1) / 2, (height - 1) / 2]),
    )


def _cut(place: Float) -> Float:
    """(n,) cover of points of the skin, mm: 1 on the mask, 0 off it."""
    x, y, z = place.T
    middle, across, up = ELLIPSE
    forehead = up * (1 - np.hypot(x / across, np.maximum(y - middle, 0) / up))
    edge = np.minimum(z - np.interp(y, *BACK), np.where(y > middle, forehead, np.inf))
    return np.asarray(np.clip(edge / FADE, 0, 1))


def _lambert(normal: Float) -> Float:
    length = np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    lit = normal @ (LIGHT / np.linalg.norm(LIGHT)) / length
    return np.asarray(AMBIENT + (1 - AMBIENT) * np.maximum(lit, 0))


def _albedo(model: MorphableModel, ids: NDArray[np.int32], rest: Float) -> Float:
    """(n, 3) linear colour of points of the triangles `ids`, `rest` mm on the mean face."""
    table = np.array([COLOURS.get(name, COLOURS["skin"]) for name in model.part_names])
    parts = model.parts[ids]
    colour = table[parts]
    for name in ("left_eye", "right_eye"):
        if name not in model.part_names:
            continue
        label = model.part_names.index(name)
        ball = model.mean[np.unique(model.faces[model.parts == label])]
        front = ball[ball[:, 2].argmax()]
        eye = parts == label
        away = np.hypot(rest[:, 0] - front[0], rest[:, 1] - front[1])
        colour[eye & (away < IRIS_RADIUS)] = IRIS
        colour[eye & (away < PUPIL_RADIUS)] = PUPIL
    return colour


def _downsample(linear: Float, cover: Float) -> tuple[UInt8, Float]:
    """Means over the samples of each pixel: sRGB picture and cover."""
    n = SUPERSAMPLE
    height, width = cover.shape[0] // n, cover.shape[1] // n
    alpha = cover.reshape(height, n, width, n).mean((1, 3))
    light = linear.reshape(height, n, width, n, 3).mean((1, 3))
    light = light / np.maximum(alpha, 1e-6)[..., None]
    return np.rint(255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8), alpha
