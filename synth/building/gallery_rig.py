"""Mean faces and frames of a gallery on the mesh that the renderer draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.building.gallery_classes import GallerySettings
from synth.building.mean_faces import Frames
from synth.expressions.arkit import NAMES
from synth.expressions.labels import MeshLabels
from synth.expressions.own_gallery import split_faces
from synth.expressions.own_samples import FrameSplit, even_frames, sample_arrays, split_frames
from synth.morphable.carrier import dressed, is_dressed, make_carrier
from synth.morphable.model import MorphableModel
from synth.morphable.surface import outer_surface

__all__ = ["OnRig", "on_rig"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Frames of a class and of an expression that become samples: as many as a class of styles
#: has before it borrows from its neighbours (`synth.expressions.drawing`), and for a person each.
EACH_CLASS, EACH_EXPRESSION = 24, 200


@dataclass(frozen=True, eq=False)
class OnRig:
    """Mean faces and single frames in weights.

    Attributes
    ----------
    faces : FrameSplit
        Of the mean faces and of `rows`.
    spread : (52 + P,) float64
        How much frames of one class differ in every weight.
    size : (52 + P,) float64
        Of the blendshapes, mm rms over the rig's vertices at weight 1.
    rows : (n,) int64
        Frames taken of the classes.
    expression_rows : tuple of (m,) int64
        Frames taken of each expression.
    """

    faces: FrameSplit
    spread: Float
    size: Float
    rows: Int
    expression_rows: tuple[Int, ...]

    def samples(
        self, labels: MeshLabels, label: Int, limit: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """The arrays of samples for the gallery file; `limit` is that of the mean faces."""
        ends = np.cumsum([len(self.rows), *map(len, self.expression_rows)])[:-1]
        weights, *expressions = np.split(self.faces.weights, ends)
        rows = self.rows
        return sample_arrays(
            weights, labels.va[rows], label[rows], labels.subject[rows], limit, expressions
        )


def on_rig(
    means: Float,
    frames: Frames,
    labels: MeshLabels,
    label: Int,
    expressions: tuple[str, ...],
    models: tuple[MorphableModel, MorphableModel],
    settings: GallerySettings,
) -> OnRig:
    """The mean faces and some frames of each class on the renderer's mesh, in weights.

    Parameters
    ----------
    means : (K + E, V, 3) float64
        Mean faces of classes and expressions on the meshes' topology, the first one zero.
    frames : Frames
    labels : MeshLabels
    label : (N,) int64
        Class of every frame.
    expressions : tuple of E str
    models : MorphableModel, MorphableModel
        The meshes' own and the rig.
    settings : GallerySettings
    """
    model, rig = models
    carry: Callable[[ArrayLike], Float]
    if is_dressed(model, rig):
        worn, carry, measured = model, _as_it_is, np.ones(rig.n_vertices, np.bool_)
    else:
        carrier = model.carrier or make_carrier(model, rig)
        worn, carry = dressed(model, rig, carrier), carrier.offsets
        measured = np.zeros(rig.n_vertices, np.bool_)
        outer, _ = outer_surface(rig)
        measured[outer] = carrier.covered[outer]
    shapes = worn.blendshapes[[worn.blendshape_names.index(name) for name in NAMES]]
    carried = carry(means)
    split = split_faces(carried, shapes, rig.faces, measured, settings.bound)
    rows = even_frames(label, labels.subject, EACH_CLASS, settings.seed)
    shown = tuple(
        even_frames(1 * (labels.expression == name), labels.subject, EACH_EXPRESSION, settings.seed)
        for name in expressions
    )
    found = split_frames(
        split, carried, frames.coefficients[np.concatenate([rows, *shown])], carry(frames.basis),
        shapes, rig.faces, measured, bound=settings.bound if settings.samples else None,
    )  # fmt: skip
    apart = found.weights[: len(rows)] - found.split.weights[label[rows]]
    squares = (np.concatenate([shapes, found.split.own]) ** 2).sum(2).mean(1)
    return OnRig(found, np.sqrt((apart**2).mean(0)), np.sqrt(squares), rows, shown)


def _as_it_is(offsets: ArrayLike) -> Float:
    return np.asarray(offsets, np.float64)
