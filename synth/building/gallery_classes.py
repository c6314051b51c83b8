"""Classes of a gallery: which frame belongs to which, and their record on the meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.building.mean_faces import Frames, Neutrals
from synth.errors import UsageError
from synth.expressions.face_classes import FaceClasses, class_models
from synth.expressions.labels import MeshLabels
from synth.expressions.ward import ward_labels

__all__ = ["GallerySettings", "classes_of", "face_classes"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]

#: Directions of a class's own model that are kept.
DIRECTIONS = 10
#: A centre must not be neutral itself: what an exactly balanced class gets for valence.
ASIDE = 1e-4


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
    samples : bool
        Store frames of the people, for person styles.
    """

    classes: int = 550
    components: float = 0.999
    align: bool = True
    square: bool = False
    min_subjects: int = 0
    bound: float = 0.1
    seed: int = 0
    samples: bool = True

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


def face_classes(
    labels: MeshLabels,
    label: Int,
    expressions: tuple[str, ...],
    neutrals: Neutrals,
    frames: Frames,
    faces: NDArray[np.int32],
) -> FaceClasses:
    """The record of the classes on the meshes' own topology."""
    k = int(label.max()) + 1
    count = np.bincount(label, minlength=k)
    va = (
        np.stack([np.bincount(label, v, k) for v in labels.va.T], 1) / np.maximum(count, 1)[:, None]
    )
    va[0] = 0.0
    va[1:][~va[1:].any(1), 0] = ASIDE
    mean, model, sd = class_models(frames.coefficients, label, k, DIRECTIONS)
    mean[0] = 0.0
    rest = frames.class_mean.reshape(k, -1) - mean @ frames.basis.reshape(len(frames.basis), -1)
    rest[0] = 0.0
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
