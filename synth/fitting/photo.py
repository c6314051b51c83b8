"""The model on the face of a photo, by landmarks or by the picture itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.camera import camera_offset, pose_degrees, project
from synth.errors import SkipPhoto
from synth.fitting.correction import residual_field
from synth.fitting.dense import DenseSettings, fit_dense
from synth.fitting.expression import fit_expression
from synth.fitting.landmarks import fit_face
from synth.types import Camera, FaceImage, Fit, Landmarks

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel
    from synth.morphable.texture import TextureModel

__all__ = ["beyond_neutral", "fit_photo"]

Float = NDArray[np.float64]

#: Residuals of about this size are not followed after a dense fit, which knows better where
#: the face is than a detector; share of the inter-ocular distance.
NOISE = 0.01


def fit_photo(
    image: FaceImage,
    landmarks: Landmarks,
    model: MorphableModel,
    texture: TextureModel | None = None,
    settings: DenseSettings | None = None,
    neutralise: bool = False,
) -> Fit:
    """Camera, identity, surface and expression of the face in a photo.

    Parameters
    ----------
    image : FaceImage
    landmarks : Landmarks
    model : MorphableModel
    texture : TextureModel, optional
        With it the picture itself is fitted (`fit_dense`), without it the landmarks alone.
    settings : DenseSettings, optional
    neutralise : bool
        The surface is that of identity and expression together, so that taking the expression
        off leaves the person's own neutral face.

    Returns
    -------
    Fit
        ``expression`` is what `fit_expression` finds, or with texture and `neutralise` what the
        picture made of that. Without either everything else is what `fit_face` finds.

    Raises
    ------
    SkipPhoto
        ``FIT_FAILED`` when the landmarks do not look like a face to the model.
    MeshError
        If model and texture are not of the same triangles.
    """
    size = (image.height, image.width)
    fit = fit_face(landmarks, size, model)
    camera, shape, weights = fit_expression(landmarks.points, size, model, fit.camera, fit.shape)
    fit = replace(fit, expression=weights)
    if texture is not None:
        start, shown = ((camera, shape), weights) if neutralise else ((fit.camera, fit.shape), None)
        found = fit_dense(
            image.pixels, landmarks.points, model, texture, *start, settings, expression=shown
        )
        if shown is not None:
            fit = replace(fit, expression=found.expression)
        return _placed(fit, landmarks, model, *found[:3], NOISE)
    if neutralise and weights.any():
        vertices = model.shape(shape) + model.offsets(weights)
        return _placed(fit, landmarks, model, camera, shape, vertices)
    return fit


def beyond_neutral(
    skip: SkipPhoto, image: FaceImage, landmarks: Landmarks, model: MorphableModel
) -> SkipPhoto:
    """The same refusal of a face that is not neutral, with the weights that it shows."""
    try:
        fit = fit_photo(image, landmarks, model)
    except SkipPhoto:
        return skip
    largest = np.argsort(-fit.expression)[:4]
    shown = ", ".join(
        f"{model.blendshape_names[e]} {fit.expression[e]:.2f}"
        for e in largest
        if fit.expression[e] >= 0.05
    )
    text = str(skip).partition(";")[0]
    return SkipPhoto(
        skip.reason,
        f"{text}, too much to be neutralised ({shown or 'no blendshape fits'}); "
        "use a photo with a relaxed, closed mouth, or allow any expression",
        skip.value,
    )


def _placed(
    fit: Fit,
    landmarks: Landmarks,
    model: MorphableModel,
    camera: Camera,
    shape: Float,
    vertices: Float,
    noise: float = 0.0,
) -> Fit:
    """The fit with another camera, identity and surface, its landmarks moved onto the photo's."""
    points, iod = landmarks.points, landmarks.inter_ocular
    seen = project(vertices, camera)
    source = project(model.landmarks(vertices), camera)[:, :2]
    move = residual_field(source, points, iod, noise)(seen[:, :2] / iod)
    vertices = vertices + camera_offset(move, seen[:, 2], camera)
    after = project(model.landmarks(vertices), camera)[:, :2]
    return replace(
        fit,
        shape=shape,
        camera=camera,
        residual=np.linalg.norm(source - points, axis=1) / iod,
        vertices=vertices,
        corrected=np.linalg.norm(after - points, axis=1) / iod,
        pose=pose_degrees(camera),
    )
