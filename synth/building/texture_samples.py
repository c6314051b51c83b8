"""What a photo shows at places of the face: features, and where they are seen at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from synth.camera import project
from synth.fitting import FitSettings, fit_face, residual_field
from synth.landmarks.mirror import mirror_points
from synth.meshes.mesh import vertex_normals
from synth.morphable.features import (
    SIDE,
    dense_features,
    face_matrix,
    resampled,
    sample_features,
)
from synth.render.raster import rasterise
from synth.types import FaceImage, Landmarks, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["COLOUR", "Layout", "Observation", "observe", "placed", "sampled", "visible"]

Float = NDArray[np.float64]

#: In place of a kind of features: the photo's own colours, 0 to 255, for pictures.
COLOUR = "colour"
#: Resolution of the depth map: pixels between the eye corners.
DEPTH_SCALE = 160.0
#: How far behind the visible surface a place may lie, mm.
BEHIND = 3.0
#: Least cosine between a place's normal and the direction to the camera.
FACING = 0.15
#: Blendshapes that are fitted before the rest of the landmarks' distance is bridged.
EXPRESSIVE = ("mouth", "jawOpen", "cheekSquint", "eyeSquint", "eyeBlink", "eyeWide", "brow")
#: Weight of ``|weights|^2`` against the landmarks' squared distances in inter-ocular ones.
RIDGE = 0.03


@dataclass(frozen=True, eq=False)
class Layout:
    """Which features are taken, and where.

    Attributes
    ----------
    feature : str
        A key of `synth.morphable.features.FEATURES`, or `COLOUR`.
    scale : float
        Pixels between the outer eye corners.
    faces : (n,) int32
        Triangles of the rig mesh.
    bary : (n, 3) float64
    """

    feature: str
    scale: float
    faces: NDArray[np.int32]
    bary: Float


@dataclass(frozen=True, eq=False)
class Observation:
    """Features of one face.

    Attributes
    ----------
    values : (n, C) float32
    seen : (n,) bool
        False where the place is hidden, turned away or outside the photo.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.bool_]


def placed(
    landmarks: Landmarks, size: tuple[int, int], model: MorphableModel
) -> tuple[Float, Float]:
    """The mesh on a face that may show an expression.

    The neutral model is fitted, blendshapes open and move what the landmarks say, and the
    distance that remains is bridged by a smooth field.

    Parameters
    ----------
    landmarks : Landmarks
    size : (height, width)
    model : MorphableModel

    Returns
    -------
    seen : (V, 3) float64
        x, y in pixels, depth in mm.
    residual : (68,) float64
        Distance of the landmarks before the field, share of the inter-ocular distance.

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED``.
    """
    points, iod = landmarks.points, landmarks.inter_ocular
    fit = fit_face(landmarks, size, model, FitSettings(max_residual=0.08))
    neutral = model.shape(fit.shape)
    rest = project(model.landmarks(neutral), fit.camera)[:, :2]
    used = [e for e, n in enumerate(model.blendshape_names) if n.startswith(EXPRESSIVE)]
    columns = [
        project(model.landmarks(neutral + model.blendshapes[e]), fit.camera)[:, :2] - rest
        for e in used
    ]
    trust = np.ones((68, 1))
    trust[:17] = 0.3  # the jaw's points slide along the outline
    matrix = np.array([(c * trust).ravel() / iod for c in columns]).reshape(len(used), 136).T
    goal = np.concatenate((((points - rest) * trust / iod).ravel(), np.zeros(len(used))))
    weights = np.zeros(len(model.blendshape_names))
    if used:
        system = np.vstack((matrix, RIDGE * np.eye(len(used))))
        weights[used] = lsq_linear(system, goal, (0.0, 1.0)).x
    vertices = neutral + model.offsets(weights)
    seen = project(vertices, fit.camera)
    source = project(model.landmarks(vertices), fit.camera)[:, :2]
    seen[:, :2] += residual_field(source, points, iod)(seen[:, :2] / iod)
    return seen, np.linalg.norm(source - points, axis=1) / iod


def visible(seen: Float, model: MorphableModel, layout: Layout, iod: float) -> NDArray[np.bool_]:
    """Which places nothing of the mesh hides, and which face the camera.

    Parameters
    ----------
    seen : (V, 3) float64
        Projected mesh: x, y in pixels, depth in mm.
    model : MorphableModel
    layout : Layout
    iod : float
        Inter-ocular distance, pixels.

    Returns
    -------
    (n,) bool
    """
    scale = DEPTH_SCALE / iod
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    width, height = np.ceil((high - low) * scale).astype(int) + 1
    local = seen.copy()
    local[:, :2] = (seen[:, :2] - (low + high) / 2) * scale + (width / 2 - 0.5, height / 2 - 0.5)
    _, _, depth = rasterise(local, model.faces, (0, 0, int(width), int(height)))
    places = np.einsum("nc,ncd->nd", layout.bary, local[model.faces[layout.faces]])
    at = np.rint(places[:, :2]).astype(int)
    nearest = np.full(len(places), -np.inf)
    for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        found = depth[np.clip(at[:, 1] + dy, 0, height - 1), np.clip(at[:, 0] + dx, 0, width - 1)]
        nearest = np.maximum(nearest, np.where(found < 1e20, found, -np.inf))
    return np.asarray(
        (places[:, 2] < nearest + BEHIND) & (_facing(seen, model, layout, iod) > FACING)
    )


def _facing(seen: Float, model: MorphableModel, layout: Layout, iod: float) -> Float:
    """(n,) cosine between the normals of places and the view, from the projected mesh."""
    # mm over pixels of this face: an orthographic stand-in for the camera's space.
    unit = inter_ocular(model.landmarks(model.mean)) / iod
    space = seen * (unit, -unit, -1.0)
    normals = vertex_normals(space, model.faces)
    local = np.einsum("nc,ncd->nd", layout.bary, normals[model.faces[layout.faces]])
    return np.asarray(local[:, 2] / np.maximum(np.linalg.norm(local, axis=1), 1e-12))


def sampled(
    pixels: NDArray[np.uint8], points: Float, seen: Float, model: MorphableModel, layout: Layout
) -> Observation:
    """Features of a photo at the places of a mesh that lies on its face.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
    points : (68, 2) float64
        Landmarks: they decide size and turn of the picture that features are taken of.
    seen : (V, 3) float64
        Projected mesh: x, y in pixels of the photo, depth in mm.
    model : MorphableModel
    layout : Layout

    Returns
    -------
    Observation
    """
    matrix = face_matrix(points, layout.scale)
    picture = resampled(pixels, matrix, round(SIDE * layout.scale))
    if layout.feature == COLOUR:
        features = picture.astype(np.float32)
    else:
        features = dense_features(picture, layout.feature)
    at = np.einsum("nc,ncd->nd", layout.bary, seen[model.faces[layout.faces], :2])
    values, inside = sample_features(features, at @ matrix[:, :2].T + matrix[:, 2])
    inside &= ((at >= -0.5) & (at <= np.array(pixels.shape[1::-1]) - 0.5)).all(1)
    return Observation(values, inside & visible(seen, model, layout, inter_ocular(points)))


def observe(
    image: FaceImage,
    landmarks: Landmarks,
    model: MorphableModel,
    layouts: Sequence[Layout],
    mirror: bool = False,
) -> list[tuple[Observation, ...]]:
    """What a photo shows at several layouts, and behind it what its mirror image shows.

    Parameters
    ----------
    image : FaceImage
    landmarks : Landmarks
    model : MorphableModel
    layouts : sequence of Layout
    mirror : bool
        Whether the mirror image counts as a second photo.

    Returns
    -------
    list of tuple of Observation
        One observation for each layout.

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED``.
    """
    found = []
    for flipped in (False, True) if mirror else (False,):
        pixels, points = image.pixels, landmarks.points
        if flipped:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
            points = mirror_points(points, image.width)
        marks = Landmarks(points, landmarks.detector, landmarks.box)
        seen, _ = placed(marks, (image.height, image.width), model)
        found.append(tuple(sampled(pixels, points, seen, model, layout) for layout in layouts))
    return found
