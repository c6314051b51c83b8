"""Synthetic faces of known truth: the model itself, painted simply, seen by a known camera.

They test the landmark fit and the renderer without a photo of anyone. The jaw
landmarks of a turned head are found here from the mesh's outline as a detector
would see it, not by the fit's own sliding rule, so that the two can disagree.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from synth.camera import FLIP, pose_degrees, project
from synth.render.raster import rasterise
from synth.render.shade import vertex_normals
from synth.render.topology import (
    CAVITY,
    EYES,
    LEFT_EYE,
    LIPS,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    TONGUE,
    UPPER_TEETH,
    topology,
)
from synth.types import Camera, FaceImage, Fit, Landmarks, inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["SKIN_TONES", "synthetic_camera", "synthetic_face", "visible_jaw"]

Float = NDArray[np.float64]

#: RGB, light to dark.
SKIN_TONES = np.array([[226, 184, 160], [205, 158, 130], [160, 112, 84], [104, 70, 52]], float)
#: Share of the picture's width between the outer eye corners.
EYES_SHARE = 0.34
#: Focal length in inter-ocular distances: a portrait lens, as in `FitSettings`.
FOCAL_RATIO = 10.0
#: Of the mean face, mm.
MEAN_IOD = 88.8
#: Rays: samples per inter-ocular distance, and the step in depth (mm) that ends a face.
SAMPLES, DROP = 240, 3.0
#: No landmark is farther inside the outline than this, in inter-ocular distances.
MAX_INSET = 0.06


def synthetic_camera(
    model: MorphableModel,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    size: int = 512,
    focal_ratio: float = FOCAL_RATIO,
) -> Camera:
    """A camera in front of the model whose `pose_degrees` are the angles given.

    Parameters
    ----------
    model : MorphableModel
    yaw, pitch, roll : float
        Degrees: to the subject's left, up, clockwise for the viewer.
    size : int
        Width and height of the picture in pixels.
    focal_ratio : float
        Focal length in inter-ocular distances of the frontal face.
    """
    head = Rotation.from_euler("YXZ", [yaw, -pitch, -roll], degrees=True).as_matrix()
    rotation = FLIP[:, None] * head * FLIP[None, :]
    marks = model.landmarks(model.mean)
    iod = EYES_SHARE * size
    focal = focal_ratio * iod
    depth = focal * inter_ocular(marks) / iod
    # The middle of the face, not the eyes, stays in the middle of the picture.
    middle = rotation @ (marks.mean(0) * FLIP)
    return Camera(
        quaternion=Rotation.from_matrix(rotation).as_quat(),
        translation=np.array([0.0, 0.0, depth]) - middle,
        focal=focal,
        center=np.full(2, (size - 1) / 2),
    )


def synthetic_face(
    model: MorphableModel,
    identity: ArrayLike | np.random.Generator | int = 0,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    size: int = 512,
    expression: ArrayLike | None = None,
    focal_ratio: float = FOCAL_RATIO,
) -> tuple[FaceImage, Landmarks, Fit]:
    """A picture of the model, its 68 landmarks, and the fit that made it.

    Parameters
    ----------
    model : MorphableModel
    identity : (k,) float, Generator or int
        Shape coefficients in standard deviations, or a generator or seed to
        draw them from N(0, 1).
    yaw, pitch, roll : float
        Degrees, as in `synth.types.Fit.pose`.
    size : int
        Width and height in pixels.
    expression : (52,) float, optional
        Blendshape weights.
    focal_ratio : float
        Focal length in inter-ocular distances.

    Returns
    -------
    image : FaceImage
    landmarks : Landmarks
        Exact; the jaw lies where the viewer sees the cheek end.
    truth : Fit
        ``residual`` and ``corrected`` are zero.
    """
    rng = np.random.default_rng(0)
    if isinstance(identity, (int, np.integer, np.random.Generator)):
        rng = np.random.default_rng(identity)
        shape = rng.standard_normal(model.n_modes)
    else:
        shape = np.zeros(model.n_modes)
        given = np.asarray(identity, np.float64)
        shape[: len(given)] = given
    weights = np.zeros(len(model.blendshape_names))
    vertices = model.shape(shape)
    if expression is not None:
        weights = np.asarray(expression, np.float64)
        vertices = vertices + model.offsets(weights)
    camera = synthetic_camera(model, yaw, pitch, roll, size, focal_ratio)
    seen = project(vertices, camera)
    points = model.landmarks(seen)[:, :2]
    points[:17] = visible_jaw(model, vertices, camera)
    pixels = _paint(model, vertices, camera, points, size, rng)
    truth = Fit(
        shape=shape,
        expression=weights,
        camera=camera,
        residual=np.zeros(68),
        vertices=vertices,
        corrected=np.zeros(68),
        pose=pose_degrees(camera),
    )
    box = np.concatenate((points.min(0), points.max(0)))
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    landmarks = Landmarks(points=points, detector="truth", box=box)
    return FaceImage(pixels, "synthetic", digest), landmarks, truth


def visible_jaw(model: MorphableModel, vertices: Float, camera: Camera) -> Float:
    """(17, 2) jaw landmarks where a viewer sees them, pixels.

    Annotators click at the outline of the face, a little inside. So here: from
    each jaw landmark of the mesh a ray runs outwards over the rasterised depth
    until the face ends (at the wall, or at a neck `DROP` mm behind). A landmark
    that has gone behind the outline, or is nearer to it than on the frontal mean
    face, is put at the frontal distance from the outline; the others stay.
    """
    inset = _to_outline(model, model.mean, synthetic_camera(model))[0]
    inset = np.minimum(np.minimum(inset, inset[::-1]), MAX_INSET)
    distance, outward, hidden = _to_outline(model, vertices, camera)
    push = np.where(np.isfinite(distance) & (hidden | (distance < inset)), distance - inset, 0.0)
    seen = model.landmarks(project(vertices, camera))
    return np.asarray(seen[:17, :2] + (_scale(seen, camera) * push)[:, None] * outward)


def _scale(seen: Float, camera: Camera) -> float:
    """Inter-ocular distance in pixels of a frontal face as far away as this one."""
    return MEAN_IOD * camera.focal / float(seen[:, 2].mean())


def _to_outline(
    model: MorphableModel, vertices: Float, camera: Camera
) -> tuple[Float, Float, NDArray[np.bool_]]:
    """From the jaw landmarks to the outline: distance in inter-ocular distances, ray, hidden."""
    projected = project(vertices, camera)
    marks = model.landmarks(projected)
    iod = _scale(marks, camera)
    jaw = marks[:17, :2]
    along = np.gradient(jaw, axis=0)
    outward = np.column_stack((-along[:, 1], along[:, 0]))
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    low = jaw.min(0) - 0.5 * iod
    size = np.ceil((jaw.max(0) + 0.5 * iod - low) / iod * SAMPLES).astype(int)
    local = projected.copy()
    local[:, :2] = (projected[:, :2] - low) / iod * SAMPLES
    depth = rasterise(local, model.faces, (0, 0, int(size[0]), int(size[1])))[2]
    steps = np.arange(0, 0.4 * SAMPLES, 0.5)
    at = (jaw - low)[:, None] / iod * SAMPLES + steps[:, None] * outward[:, None]
    x, y = np.clip(np.round(at).astype(int), 0, size - 1).transpose(2, 0, 1)
    ends = np.diff(depth[y, x], axis=1) > DROP
    distance = np.where(ends.any(1), steps[ends.argmax(1)] / SAMPLES, np.inf)
    hidden = marks[:17, 2] > depth[y[:, 0], x[:, 0]] + DROP
    return distance, outward, hidden


def _paint(
    model: MorphableModel,
    vertices: Float,
    camera: Camera,
    points: Float,
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """(size, size, 3) picture: 2 x 2 samples per pixel, one soft light, brows and irises."""
    seen = project(vertices, camera)
    ids, bary, _ = rasterise(seen, model.faces, (0, 0, size, size), 2)
    hit = ids >= 0
    corner = model.faces[np.maximum(ids, 0)]
    weight = np.stack((1 - bary.sum(2), bary[..., 0], bary[..., 1]), 2)[..., None]
    normals = np.empty_like(vertices)
    vertex_normals(vertices, model.faces, topology(model).corner_faces, normals)
    normal = (weight * normals[corner]).sum(2)
    place = (weight * vertices[corner]).sum(2)
    label = np.where(hit, model.parts[np.maximum(ids, 0)], 255)
    tone = SKIN_TONES[rng.integers(len(SKIN_TONES))] * rng.uniform(0.94, 1.04, 3)
    grain = gaussian_filter(rng.standard_normal(label.shape), 1.2) * 6
    albedo = _albedo(model, label, place, vertices, tone)
    albedo[np.isin(label, (SKIN, LIPS))] += grain[np.isin(label, (SKIN, LIPS)), None]
    light = np.array([0.25, 0.35, 0.9])
    shade = 0.45 + 0.6 * np.clip(normal @ (light / np.linalg.norm(light)), 0, 1)
    picture = albedo * shade[..., None]
    rows, cols = np.mgrid[: 2 * size, : 2 * size] / 2 - 0.25
    iod = inter_ocular(points)
    for brow in (points[17:22], points[22:27]):
        near = _near(brow, np.stack((cols, rows), -1))
        hair = np.clip(1.5 - near / (0.022 * iod), 0, 1) * 0.75 * (label == SKIN)
        picture += hair[..., None] * (0.25 * tone - picture)
    wall = 205.0 - 40.0 * rows / size
    picture[~hit] = np.stack((wall, wall, wall + 6), -1)[~hit]
    small = picture.reshape(size, 2, size, 2, 3).mean((1, 3))
    return np.clip(np.floor(small + 0.5), 0, 255).astype(np.uint8)


def _albedo(
    model: MorphableModel,
    label: NDArray[np.integer],
    place: Float,
    vertices: Float,
    tone: Float,
) -> Float:
    """(..., 3) colour of every sample before light."""
    colours = np.zeros((256, 3))
    colours[SKIN] = tone
    colours[LIPS] = tone * (0.92, 0.68, 0.70)
    colours[CAVITY] = (50, 20, 20)
    colours[UPPER_TEETH] = colours[LOWER_TEETH] = (225, 218, 200)
    colours[TONGUE] = (170, 90, 90)
    colours[list(EYES)] = (225, 220, 216)
    albedo = colours[label]
    for eye in (LEFT_EYE, RIGHT_EYE):
        index = np.unique(model.faces[model.parts == eye])
        ball = vertices[index]
        middle, front = (ball.min(0) + ball.max(0)) / 2, ball[ball[:, 2].argmax()]
        across = np.hypot(place[..., 0] - middle[0], place[..., 1] - front[1])
        here = label == eye
        albedo[here & (across < 5.9)] = (92, 70, 50)
        albedo[here & (across < 2.2)] = (18, 16, 15)
    return albedo


def _near(line: Float, at: Float) -> Float:
    """Distance of every pixel `at` (H, W, 2) from a polyline (n, 2)."""
    best = np.full(at.shape[:2], np.inf)
    for a, b in zip(line[:-1], line[1:], strict=True):
        along = np.clip(((at - a) @ (b - a)) / max(float((b - a) @ (b - a)), 1e-9), 0, 1)
        best = np.minimum(best, np.linalg.norm(at - a - along[..., None] * (b - a), axis=2))
    return best
