"""A gallery from registered meshes with ratings, as Kollias et al. 2020 built theirs.

Every frame becomes an offset from its subject's own neutral face; ratings are clustered
with Ward's method; every class gets its mean face and a blendshape model [1]_. The mean
faces are then carried to the renderer's mesh and split into blendshapes that it has and
some of the gallery's own.

References
----------
.. [1] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network Augmentation:
   Generating Faces for Affect Analysis", IJCV 2020, sections 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.archives import write_npz
from synth.building.gallery_classes import GallerySettings, classes_of, face_classes
from synth.building.gallery_report import report_files
from synth.building.gallery_rig import on_rig
from synth.building.mean_faces import read_frames, read_neutrals, sample_of
from synth.errors import MeshError
from synth.expressions.face_classes import FaceClasses, save_face_classes
from synth.expressions.labels import MeshLabels, basic_expressions, read_labels
from synth.expressions.leak import Leak, identity_leak
from synth.expressions.own_gallery import Split, gallery_arrays
from synth.expressions.own_samples import FrameSplit
from synth.image_files import write_atomic
from synth.meshes.collection import MeshCollection, open_collection
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import topology_digest

__all__ = [
    "BuiltGallery",
    "GallerySettings",
    "beside",
    "build_gallery",
    "classes_of",
    "read_inputs",
    "write_gallery",
]

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BuiltGallery:
    """A gallery and what it was made of.

    Attributes
    ----------
    gallery : dict of arrays
        What the gallery file holds (`synth.expressions.storage`).
    classes : FaceClasses
        On the meshes' own topology.
    label : (N,) int64
        Class of every frame.
    labels : MeshLabels
    leak : Leak
    frames : FrameSplit
        Mean faces and some frames on the renderer's mesh; the frames are among the gallery's
        samples if it has any.
    kept : float
        Share of the frames' energy in the basis.
    neutral_rms : float
        How far neutral frames are from their subjects' means in the basis, mm rms a vertex.
    joined : int
        Classes that joined another for want of subjects.
    """

    gallery: dict[str, NDArray[np.generic]]
    classes: FaceClasses
    label: Int
    labels: MeshLabels
    leak: Leak
    frames: FrameSplit
    kept: float
    neutral_rms: float
    joined: int

    @property
    def split(self) -> Split:
        """The mean faces on the renderer's mesh."""
        return self.frames.split


def build_gallery(
    meshes: MeshCollection,
    labels: MeshLabels,
    model: MorphableModel,
    rig: MorphableModel,
    settings: GallerySettings | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> BuiltGallery:
    """A gallery of meshes in correspondence.

    Parameters
    ----------
    meshes : MeshCollection
        On the topology of `model`, mm.
    labels : MeshLabels
        In the order of the meshes.
    model : MorphableModel
        Whose axes the result has.
    rig : MorphableModel
        The embedded model, which the renderer draws.
    settings : GallerySettings
    progress : callable
        Called with the number of frames done since the last call.

    Raises
    ------
    MeshError
        If the meshes are of another topology than the model.
    UsageError
        If there are fewer distinct ratings than classes, or the unit is not mm.
    """
    settings = settings or GallerySettings()
    _check_topology(meshes, model)
    label, joined = classes_of(labels, settings)
    expressions = basic_expressions(labels)
    chosen = sample_of(label, settings.seed, meshes.n_vertices)
    neutrals = read_neutrals(meshes, labels, model.mean, settings.align, chosen)
    frames = read_frames(
        meshes, labels, label, neutrals, expressions, settings.components, chosen, progress
    )
    classes = face_classes(labels, label, expressions, neutrals, frames, model.faces)
    sequence = np.unique([name.rpartition("/")[0] for name in labels.names], return_inverse=True)[1]
    leak = identity_leak(
        frames.coefficients, labels.va, label, labels.subject, sequence, meshes.n_vertices,
        settings.seed,
    )  # fmt: skip
    means = np.concatenate([frames.class_mean, frames.expression_mean])
    means[0] = 0.0
    worn = on_rig(means, frames, labels, label, expressions, (model, rig), settings)
    gallery = gallery_arrays(
        classes.class_va, classes.class_count, worn.faces.split, worn.spread, expressions,
        classes.expression_va, topology_digest(rig.faces), worn.size,
    )  # fmt: skip
    if settings.samples:
        gallery |= worn.samples(labels, label, gallery["limit"])
    return BuiltGallery(
        gallery=gallery, classes=classes, label=label, labels=labels, leak=leak,
        frames=worn.faces, kept=frames.kept,
        neutral_rms=_rms(frames.coefficients[labels.neutral], meshes.n_vertices),
        joined=joined,
    )  # fmt: skip


def write_gallery(
    built: BuiltGallery, output: Path, settings: GallerySettings, source: str
) -> tuple[Path, Path]:
    """Write the gallery, its classes on the meshes' own topology, and the report.

    Parameters
    ----------
    built : BuiltGallery
    output : Path
        ``NAME.npz``; beside it come ``NAME_classes.npz`` and the folder ``NAME_report``.
    settings : GallerySettings
    source : str
        What the report says that the gallery was made of.

    Returns
    -------
    classes, report : Path
    """
    classes, report = beside(output)
    files = report_files(built, settings, source)
    report.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomic(report / name, content)
    save_face_classes(classes, built.classes)
    write_npz(output, built.gallery)
    return classes, report


def beside(output: Path) -> tuple[Path, Path]:
    """The file of classes and the folder of the report that come with a gallery."""
    return output.with_name(f"{output.stem}_classes.npz"), output.with_name(f"{output.stem}_report")


def read_inputs(
    meshes: Path, labels: Path, model: Path, square: bool
) -> tuple[MeshCollection, MeshLabels, MorphableModel]:
    """The three inputs of a gallery, each checked."""
    collection = open_collection(meshes)
    native = load_model(model)
    _check_topology(collection, native)
    return collection, read_labels(labels, collection.names, square), native


def _check_topology(meshes: MeshCollection, model: MorphableModel) -> None:
    same = meshes.n_vertices == model.n_vertices
    if same and meshes.faces is not None:
        same = np.array_equal(meshes.faces, model.faces)
    if not same:
        triangles = "" if meshes.faces is None else f", {len(meshes.faces)} triangles"
        raise MeshError(
            f"meshes: expected the topology of the model ({model.n_vertices} vertices, "
            f"{len(model.faces)} triangles), got another ({meshes.n_vertices} vertices"
            f"{triangles}); register them to the model's mean, or name the model they belong to"
        )


def _rms(coefficients: NDArray[np.float32], vertices: int) -> float:
    return float(np.sqrt((coefficients.astype(np.float64) ** 2).sum(1).mean() / vertices))
