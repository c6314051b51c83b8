"""Templates from models and meshes: the skin, with landmarks, and with modes where it has some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError
from synth.meshes.mesh import SUFFIXES, Mesh, read_mesh
from synth.meshes.nearest import Surface
from synth.meshes.points import read_points
from synth.morphable.landmark_map import embedded_model, read_landmark_map
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import native_model
from synth.morphable.registration.template import Template, prepare_template
from synth.morphable.surface import outer_surface, outside

__all__ = ["bare", "model_template", "read_template", "skin_model"]

Float = NDArray[np.float64]
Places = tuple[NDArray[np.int32], Float]

#: Identity modes that the prior takes.
MODES = 60
#: Standard deviation of a blendshape's weight in the prior.
WEIGHT_SD = 0.4
#: Points of a template's landmarks farther from its surface than this share of their extent.
OFF = 0.1


def skin_model(model: MorphableModel) -> MorphableModel:
    """Only the skin and the lips of a model; mouth and eyes are holes."""
    skin = np.flatnonzero(outside(model))
    used, faces = outer_surface(model)
    if len(skin) == len(model.faces) and len(used) == model.n_vertices:
        return model
    row = np.full(len(model.faces), -1, np.int32)
    row[skin] = np.arange(len(skin))
    if (row[model.landmark_faces] < 0).any():
        raise MeshError(f"{model.name}: expected its landmarks on the skin, got some elsewhere")
    return native_model(
        model.name,
        model.version,
        model.mean[used],
        faces,
        model.modes[:, used],
        model.sigma,
        (row[model.landmark_faces], model.landmark_bary),
        blendshapes=model.blendshapes[:, used],
        blendshape_names=model.blendshape_names,
        parts=model.parts[skin],
        meta={key: model.meta[key] for key in ("licence", "source") if key in model.meta},
    )


def bare(model: MorphableModel) -> MorphableModel:
    """The mesh of a model with its landmarks: without modes and blendshapes."""
    nothing = np.zeros((0, model.n_vertices, 3), np.float32)
    return replace(
        model.keep_modes(0), blendshapes=nothing, blendshape_names=(), carrier=None, sha256=""
    )


def model_template(model: MorphableModel, prior: bool = True) -> Template:
    """A model's whole mesh as a template; see `skin_model`.

    Parameters
    ----------
    model : MorphableModel
    prior : bool
        Whether its modes and blendshapes say how faces differ and move.
    """
    modes = np.concatenate([model.modes[:MODES], WEIGHT_SD * model.blendshapes])
    return prepare_template(
        Mesh(model.mean, model.faces),
        (model.landmark_faces, model.landmark_bary),
        modes if prior and len(modes) else None,
        model.blendshapes if prior and len(model.blendshapes) else None,
    )


def read_template(path: Path | None, landmarks: Path | None = None) -> MorphableModel:
    """The model to register with: the embedded one, a model's file, or a mesh with landmarks.

    Parameters
    ----------
    path : Path, optional
        .npz of a model, or a mesh in mm.
    landmarks : Path, optional
        Of a mesh: a map of iBUG-68 to vertices, or a file of 68 points.

    Raises
    ------
    MeshError
        If a mesh comes without landmarks, or they are not on it.
    AssetError
        If the model cannot be read.
    """
    if path is None or path.suffix.lower() not in SUFFIXES:
        if landmarks is not None:
            raise MeshError(
                "template-landmarks: expected them with a mesh, got a model, which has its own; "
                "leave them out"
            )
        return skin_model(embedded_model() if path is None else load_model(path))
    mesh = read_mesh(path)
    if landmarks is None:
        raise MeshError(
            f"{path}: expected landmarks of the template, got none; give --template-landmarks"
        )
    used, inverse = np.unique(mesh.faces, return_inverse=True)
    vertices, faces = mesh.vertices[used], inverse.reshape(-1, 3).astype(np.int32)
    row = np.full(len(mesh.vertices), -1)
    row[used] = np.arange(len(used))
    marks = _template_marks(landmarks, Mesh(vertices, faces), row)
    return native_model(
        path.stem, "1", vertices, faces, np.zeros((0, len(vertices), 3)), np.zeros(0), marks
    )


def _template_marks(path: Path, mesh: Mesh, row: NDArray[np.intp]) -> NDArray[np.intp] | Places:
    """Landmarks of a template's mesh; `row` tells the number of each vertex of its file."""
    if path.suffix.lower() in (".txt", ".map") and path.is_file():
        try:
            ids = read_landmark_map(path.read_text("utf-8"), path.name)
        except (OSError, UnicodeDecodeError) as error:
            raise MeshError(f"{path}: expected landmarks as text, got {error}") from None
        except MeshError:
            pass  # three numbers a line: points
        else:
            if ids.max() >= len(row):
                raise MeshError(f"{path}: expected vertices below {len(row)}, got {ids.max()}")
            return np.where(ids >= 0, row[ids], -1)
    points = read_points(path)
    if points.shape != (68, 3) or not np.isfinite(points).all():
        raise MeshError(f"{path}: expected 68 points of a template, all known, got {points.shape}")
    near = Surface(mesh.vertices, mesh.faces).nearest(points)
    if near.distance.max() > OFF * np.ptp(points, axis=0).max():
        raise MeshError(
            f"{path}: expected points on the template, got one {near.distance.max():.3g} off; "
            "give both in one unit and one place"
        )
    return near.face, near.bary
