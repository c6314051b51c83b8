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
from synth.building.gallery_report import report_files
from synth.building.mean_faces import Frames, Neutrals, read_frames, read_neutrals, sample_of
from synth.errors import MeshError, UsageError
from synth.expressions.arkit import NAMES
from synth.expressions.face_classes import FaceClasses, class_models, save_face_classes
from synth.expressions.labels import MeshLabels, basic_expressions, read_labels
from synth.expressions.leak import Leak, identity_leak
from synth.expressions.own_gallery import Split, gallery_arrays, least_weights, split_faces
from synth.expressions.ward import ward_labels
from synth.image_files import write_atomic
from synth.meshes.collection import MeshCollection, open_collection
from synth.morphable.carrier import dressed, is_dressed, make_carrier
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import topology_digest

__all__ = ["BuiltGallery", "GallerySettings", "build_gallery", "classes_of", "write_gallery"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Directions of a class's own model that are kept.
DIRECTIONS = 10
#: Frames whose weights are found for the spread of the classes.
SPREAD = 300
#: A centre must not be neutral itself: what an exactly balanced class gets for valence.
ASIDE = 1e-4
#: Parts of the rig that a scan of a face shows.
OUTSIDE = ("skin", "lips")


@dataclass(frozen=True)
class GallerySettings:
    """How a gallery is built.

    Attributes
    ----------
    classes : int
        Ward classes, the neutral one included.
    components : float
        Components of the basis; below 1 the share of energy that they keep.
    align : bool
        Take the motion of the head out.
    square : bool
        Ratings are points of the square [-1, 1]^2.
    min_subjects : int
        Classes of fewer subjects join their cheapest neighbour (Ward's cost); 0: none do.
    bound : float
        mm rms that drawn mean faces may differ from the true ones.
    seed : int
        Of samples; the classes do not depend on it.
    """

    classes: int = 550
    components: float = 0.999
    align: bool = True
    square: bool = False
    min_subjects: int = 0
    bound: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UsageError(
                f"classes: expected at least 2, neutral and another, got {self.classes}"
            )
        whole = self.components >= 1 and self.components == int(self.components)
        if not (0 < self.components < 1 or whole):
            raise UsageError(
                f"components: expected a whole number, or a share below 1, got {self.components:g}"
            )


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
    split : Split
        The mean faces on the renderer's mesh.
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
    split: Split
    kept: float
    neutral_rms: float
    joined: int


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
    chosen = sample_of(label, settings.seed)
    neutrals = read_neutrals(meshes, labels, model.mean, settings.align, chosen)
    frames = read_frames(
        meshes, labels, label, neutrals, expressions, settings.components, chosen, progress
    )
    classes = _face_classes(labels, label, expressions, neutrals, frames, model.faces)
    sequence = np.unique([name.rpartition("/")[0] for name in labels.names], return_inverse=True)[1]
    leak = identity_leak(
        frames.coefficients, labels.va, label, labels.subject, sequence, meshes.n_vertices,
        settings.seed,
    )  # fmt: skip
    means = np.concatenate([frames.class_mean, frames.expression_mean])
    means[0] = 0.0
    split, spread = _on_rig(means, frames, label, model, rig, settings)
    return BuiltGallery(
        gallery=gallery_arrays(
            classes.class_va, classes.class_count, split, spread, expressions,
            classes.expression_va, topology_digest(rig.faces),
        ),
        classes=classes, label=label, labels=labels, leak=leak, split=split, kept=frames.kept,
        neutral_rms=_rms(frames.coefficients[labels.neutral], meshes.n_vertices),
        joined=joined,
    )  # fmt: skip


def classes_of(labels: MeshLabels, settings: GallerySettings) -> tuple[Int, int]:
    """(N,) class of every frame, 0 the neutral one, and how many classes joined others.

    Class 0 holds the neutral frames and those rated exactly (0, 0); the others are Ward's.

    Raises
    ------
    UsageError
        If there are fewer distinct ratings than classes.
    """
    shown = ~labels.neutral & labels.va.any(1)
    distinct = len(np.unique(labels.va[shown], axis=0))
    if distinct < settings.classes - 1:
        raise UsageError(
            f"classes: expected at most {distinct + 1}, neutral and one for each of {distinct} "
            f"distinct ratings, got {settings.classes}; use --classes"
        )
    label = np.zeros(len(shown), np.int64)
    label[shown] = 1 + ward_labels(labels.va[shown], settings.classes - 1)
    return _joined(label, labels, settings.min_subjects)


def _joined(label: Int, labels: MeshLabels, least: int) -> tuple[Int, int]:
    """Classes of fewer subjects than `least` join the one whose union costs least."""
    if least > len(labels.subjects):
        raise UsageError(
            f"min-subjects: expected at most {len(labels.subjects)}, the number of subjects, "
            f"got {least}"
        )
    label, merged = label.copy(), 0
    while True:
        classes = int(label.max()) + 1
        pairs = np.unique(np.stack([label, labels.subject], 1), axis=0)
        people = np.bincount(pairs[:, 0], minlength=classes)
        poor = 1 + int(people[1:].argmin())
        if people[poor] >= least or classes <= 2:
            return label, merged
        count = np.bincount(label, minlength=classes).astype(np.float64)
        centre = np.stack([np.bincount(label, v, classes) for v in labels.va.T], 1) / count[:, None]
        cost = count * count[poor] / (count + count[poor])
        cost = cost * ((centre - centre[poor]) ** 2).sum(1)
        cost[[0, poor]] = np.inf
        label[label == poor] = int(cost.argmin())
        label[label > poor] -= 1
        merged += 1


def _face_classes(
    labels: MeshLabels,
    label: Int,
    expressions: tuple[str, ...],
    neutrals: Neutrals,
    frames: Frames,
    faces: NDArray[np.int32],
) -> FaceClasses:
    k = int(label.max()) + 1
    count = np.bincount(label, minlength=k)
    va = (
        np.stack([np.bincount(label, v, k) for v in labels.va.T], 1) / np.maximum(count, 1)[:, None]
    )
    va[0] = 0.0
    va[1:][~va[1:].any(1), 0] = ASIDE
    mean, model, sd = class_models(frames.coefficients, label, k, DIRECTIONS)
    mean[0] = 0.0
    exact = frames.class_mean.copy()
    exact[0] = 0.0
    rest = exact.reshape(k, -1) - mean @ frames.basis.reshape(len(frames.basis), -1)
    pairs = np.unique(np.stack([label, labels.subject], 1), axis=0)
    of = [labels.expression == name for name in expressions]
    size = frames.basis.shape[0]
    return FaceClasses(
        class_va=va,
        class_count=count.astype(np.int64),
        class_subjects=np.bincount(pairs[:, 0], minlength=k).astype(np.int64),
        basis=frames.basis,
        mean=mean,
        mean_rest=np.linalg.norm(rest, axis=1) / np.sqrt(frames.basis.shape[1]),
        model=model,
        model_sd=sd,
        expression_names=expressions,
        expression_va=np.array([labels.va[rows].mean(0) for rows in of]).reshape(-1, 2),
        expression_mean=np.array(
            [frames.coefficients[rows].mean(0, dtype=np.float64) for rows in of]
        ).reshape(-1, size),
        neutral=neutrals.faces.mean(0, dtype=np.float64),
        faces=faces,
    )


def _on_rig(
    means: Float,
    frames: Frames,
    label: Int,
    model: MorphableModel,
    rig: MorphableModel,
    settings: GallerySettings,
) -> tuple[Split, Float]:
    """The mean faces on the renderer's mesh, and how frames of one class differ in weights."""
    if is_dressed(model, rig):
        worn, carry, measured = model, np.asarray, np.ones(rig.n_vertices, np.bool_)
    else:
        carrier = model.carrier or make_carrier(model, rig)
        worn, carry = dressed(model, rig, carrier), carrier.offsets
        outside = np.isin(rig.parts, [rig.part_names.index(name) for name in OUTSIDE])
        measured = carrier.covered.copy()
        measured[np.setdiff1d(np.arange(rig.n_vertices), rig.faces[outside])] = False
    shapes = worn.blendshapes[[worn.blendshape_names.index(name) for name in NAMES]]
    split = split_faces(carry(means), shapes, rig.faces, measured, settings.bound)
    # some frames, as they differ from their class's mean, in weights
    chosen = sample_of(label, settings.seed + 1)[:: max(1, len(label[:1200]) // SPREAD)]
    chosen = chosen[label[chosen] > 0]
    basis = carry(frames.basis)[:, measured].reshape(len(frames.basis), -1)
    all_shapes = np.concatenate([shapes, split.own])[:, measured].reshape(-1, basis.shape[1])
    spread = _spread(frames.coefficients[chosen] @ basis, all_shapes, split.weights[label[chosen]])
    return split, spread


def _spread(faces: Float, shapes: Float, mean: Float) -> Float:
    """(52 + P,) root mean square difference of frames' weights from those of their class."""
    arkit = least_weights(faces, shapes[: len(NAMES)])
    own = shapes[len(NAMES) :]
    rest = faces - arkit @ shapes[: len(NAMES)]
    size = np.maximum((own**2).sum(1), 1e-12)
    weights = np.concatenate([arkit, rest @ own.T / size], axis=1)
    return np.asarray(np.sqrt(((weights - mean) ** 2).mean(0)))


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
    files = report_files(built, settings, source)
    classes, report = (output.with_name(output.stem + tail) for tail in ("_classes.npz", "_report"))
    report.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomic(report / name, content)
    save_face_classes(classes, built.classes)
    write_npz(output, built.gallery)
    return classes, report


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
