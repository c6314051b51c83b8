"""`FaceRig`: everything about a photo that all of its targets share.

Built once per photo: neutral projections, the drawn surface with its skirt, the
light, the completed eyeballs and the mouth's colours. `synth.render.face.render`
then needs only expression weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from synth.camera import project, view_directions
from synth.render.eyes import Eye, complete_eye
from synth.render.folds import FoldMaps, load_fold_maps
from synth.render.lashes import LidSkin, lid_skin
from synth.render.lids import LidMotion, build_lids, visible_edge
from synth.render.light import Light, fit_light
from synth.render.mouth import MouthColours, mouth_colours, nir_mouth
from synth.render.paper import PaperBlend, build_paper_blend
from synth.render.raster import rasterise
from synth.render.settings import RenderSettings
from synth.render.shade import spline_coefficients, vertex_normals
from synth.render.surface import Surface, build_surface
from synth.render.texture import sample_texture, skin_weight
from synth.render.topology import (
    CAVITY,
    EYES,
    LEFT_EYE,
    LIPS,
    OUTSIDE,
    RIGHT_EYE,
    SKIN,
    Topology,
    topology,
)
from synth.types import FaceImage, Fit, Landmarks

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["FaceRig", "build_rig"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class FaceRig:
    """A photo ready to be re-expressed.

    Attributes
    ----------
    image : FaceImage
    spline : (H, W, 3) float32
        Spline coefficients of the photo, for sampling it without blur.
    landmarks : Landmarks
    fit : Fit
    model : MorphableModel
    settings : RenderSettings
    topology : Topology
    surface : Surface
    neutral : (V, 3) float64
        Projection of the fitted mesh: x, y in pixels, depth in mm.
    values : (V + S, 6) float32
        What `shade_warp` needs of mesh and skirt vertices, without relighting.
    normals : (V, 3) float64
        Neutral unit normals, model space.
    guard : (V,) float64
        Where relighting is trusted (0..1).
    carries : (F,) bool
        Triangles that carry the photo.
    eye_faces : (F,) bool
        Triangles of the eyeballs and sockets.
    light : Light
    eyes : tuple of Eye
        Right, left of the subject.
    fronts : tuple of (n,) int64
        Vertices at the front of the eyeballs, right, left.
    lids : tuple of LidMotion
        Right, left of the subject.
    skins : tuple of LidSkin
        Upper lids, right, left.
    mouth : MouthColours
    folds : FoldMaps or None
    """

    image: FaceImage
    spline: NDArray[np.float32]
    landmarks: Landmarks
    fit: Fit
    model: MorphableModel
    settings: RenderSettings
    topology: Topology
    surface: Surface
    neutral: Float
    values: NDArray[np.float32]
    normals: Float
    guard: Float
    carries: NDArray[np.bool_]
    eye_faces: NDArray[np.bool_]
    light: Light
    eyes: tuple[Eye, Eye]
    fronts: tuple[NDArray[np.int64], NDArray[np.int64]]
    lids: tuple[LidMotion, LidMotion]
    skins: tuple[LidSkin, LidSkin]
    mouth: MouthColours
    folds: FoldMaps | None
    paper: PaperBlend | None = None

    @cached_property
    def inter_ocular(self) -> float:
        """Distance between the outer eye corners in pixels."""
        return self.landmarks.inter_ocular


def build_rig(
    image: FaceImage,
    landmarks: Landmarks,
    fit: Fit,
    model: MorphableModel,
    settings: RenderSettings | None = None,
) -> FaceRig:
    """Everything about a photo that all of its targets share.

    Parameters
    ----------
    image : FaceImage
    landmarks : Landmarks
        Of the face that `fit` describes.
    fit : Fit
    model : MorphableModel
    settings : RenderSettings, optional

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED`` when almost nothing of the face can be seen.
    """
    settings = settings or RenderSettings()
    topo = topology(model)
    points, iod = landmarks.points, landmarks.inter_ocular
    neutral = project(fit.vertices, fit.camera)
    normals = np.empty_like(fit.vertices)
    vertex_normals(fit.vertices, model.faces, topo.corner_faces, normals)
    facing = (normals * view_directions(fit.vertices, fit.camera)).sum(1)
    nose = int(model.faces[model.landmark_faces[30]][model.landmark_bary[30].argmax()])
    surface = build_surface(
        model.faces,
        model.parts,
        neutral[:, :2],
        facing,
        landmarks,
        (image.height, image.width),
        nose,
        settings.reach,
    )
    paper = None
    if settings.composite == "poisson":
        paper = build_paper_blend(model, fit, surface, (image.height, image.width), iod)
    seen = _visible(model, neutral, iod)
    skin = np.zeros(len(neutral), bool)
    skin[np.unique(model.faces[model.parts == SKIN])] = True
    eyes_at = np.concatenate([np.concatenate((c.upper, c.lower)) for c in topo.lids])
    guard = _guard(neutral[:, :2], neutral[eyes_at, :2], facing, iod)
    inside = _face_core(points, iod, neutral[:, :2])
    light = fit_light(
        image.pixels, neutral[:, :2], normals, (skin & inside & (facing > 0.3) & (seen > 0.5)) * 1.0
    )
    curves = [(neutral[lid.upper, :2], neutral[lid.lower, :2]) for lid in topo.lids]
    lids = build_lids(model, topo, neutral[:, :2], points, iod)
    return FaceRig(
        image=image,
        spline=spline_coefficients(image.pixels),
        landmarks=landmarks,
        fit=fit,
        model=model,
        settings=settings,
        topology=topo,
        surface=surface,
        neutral=neutral,
        values=_values(neutral, _but_lips(seen, model), model, surface),
        normals=normals,
        guard=guard,
        carries=np.isin(surface.labels, (SKIN, LIPS) if paper else (SKIN, LIPS, OUTSIDE)),
        eye_faces=np.isin(surface.labels, EYES),
        light=light,
        eyes=(
            complete_eye(image.pixels, *curves[0], iod),
            complete_eye(image.pixels, *curves[1], iod),
        ),
        fronts=(_front(model, RIGHT_EYE), _front(model, LEFT_EYE)),
        lids=lids,
        skins=(
            _skin(image, neutral, lids[0], points[17:22], iod),
            _skin(image, neutral, lids[1], points[22:27], iod),
        ),
        mouth=(nir_mouth if settings.nir else mouth_colours)(image.pixels, points, light),
        folds=_folds(image, neutral[:, :2], model, light) if settings.folds else None,
        paper=paper,
    )


def _folds(image: FaceImage, position: Float, model: MorphableModel, light: Light) -> FoldMaps:
    """The fold maps, faded where the photo shows no bare skin."""
    maps = load_fold_maps()
    size = maps.weight.shape[0]
    texture, _ = sample_texture(image.pixels, position, model, size // 2)
    return maps.faded(skin_weight(texture, light.skin, size))


def _skin(image: FaceImage, neutral: Float, lids: LidMotion, brow: Float, iod: float) -> LidSkin:
    """The skin of an upper lid, above its visible edge."""
    across = neutral[lids.upper.edge, 0]
    columns = np.linspace(across.min(), across.max(), 40)
    edge = np.column_stack((columns, visible_edge(lids.upper, neutral[:, :2], columns)))
    return lid_skin(image.pixels, edge, neutral[lids.lower.edge, :2], brow, iod)


def _front(model: MorphableModel, part: int) -> NDArray[np.int64]:
    """Vertices of an eyeball around the pupil: the front third of its depth."""
    index = np.unique(model.faces[model.parts == part]).astype(np.int64)
    depth = model.mean[index, 2]
    return np.asarray(index[depth > depth.max() - np.ptp(depth) / 3])


def _but_lips(seen: Float, model: MorphableModel) -> Float:
    """`seen`, 1 but for the lips: other hidden skin takes the colour that is before it."""
    lips = np.zeros(len(seen), bool)
    lips[np.unique(model.faces[np.isin(model.parts, (LIPS, CAVITY))])] = True
    return np.where(lips, seen, 1.0)


def _values(
    neutral: Float, seen: Float, model: MorphableModel, surface: Surface
) -> NDArray[np.float32]:
    """Columns of `shade_warp`; the skirt is always seen and has no texture coordinates."""
    skin = len(neutral)
    values = np.ones((skin + len(surface.skirt), 6), np.float32)
    values[:, :2] = np.concatenate((neutral[:, :2], surface.skirt))
    values[:skin, 3] = seen
    values[:skin, 4:] = model.uv
    values[skin:, 4:] = -1.0
    return values


def _visible(model: MorphableModel, neutral: Float, iod: float) -> Float:
    """(V,) 1 where nothing of the mesh lies in front of the vertex in the neutral photo."""
    scale = 160.0 / iod  # resolution of the depth map: 160 px between the eye corners
    low, high = neutral[:, :2].min(0), neutral[:, :2].max(0)
    width, height = np.ceil((high - low) * scale).astype(int) + 1
    local = neutral.copy()
    # Centred in the map, so that a mirrored photo gets the mirrored answer.
    middle = np.array([width - 1, height - 1]) / 2
    local[:, :2] = (neutral[:, :2] - (low + high) / 2) * scale + middle
    _, _, depth = rasterise(local, model.faces, (0, 0, int(width), int(height)))
    at = np.round(local[:, :2]).astype(int)
    nearest = np.full(len(neutral), -np.inf)
    for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        x = np.clip(at[:, 0] + dx, 0, width - 1)
        y = np.clip(at[:, 1] + dy, 0, height - 1)
        found = np.where(depth[y, x] < 1e20, depth[y, x], -np.inf)
        nearest = np.maximum(nearest, found)
    # 3 mm of tolerance: a vertex is no farther behind its own surface than that.
    return (neutral[:, 2] < nearest + 3.0).astype(float)


def _guard(position: Float, lid_edge: Float, facing: Float, iod: float) -> Float:
    """Relighting fades out at the lids, where normals swing, and at the grazing rim."""
    distance = cKDTree(lid_edge).query(position)[0] / iod
    near = np.clip((distance - 0.03) / 0.10, 0, 1)
    rim = np.clip((facing - 0.25) / 0.25, 0, 1)
    return near * rim


def _face_core(points: Float, iod: float, position: Float) -> NDArray[np.bool_]:
    """Vertices between brows and chin."""
    low = points.min(0) - 0.1 * iod
    high = points.max(0) + (0.1 * iod, -0.05 * iod)
    return ((position > low) & (position < high)).all(1)
