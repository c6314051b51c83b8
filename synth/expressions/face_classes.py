"""Classes of a gallery on the mesh itself: mean faces and a blendshape model each.

Everything is stored in one basis of vertex offsets, the principal components of the
frames: a class is its mean coefficients and the directions in which its frames differ
most [1]_. What the basis leaves out is part of the record.

References
----------
.. [1] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network Augmentation:
   Generating Faces for Affect Analysis", IJCV 2020, sections 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.affect import expression_name
from synth.archives import read_fields, write_npz
from synth.errors import AssetError, ShapeError, TargetError
from synth.types import VA

__all__ = ["FaceClasses", "class_models", "load_face_classes", "save_face_classes"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

FORMAT = "synth-face-classes-1"


@dataclass(frozen=True, eq=False)
class FaceClasses:
    """K classes of the valence-arousal plane on a mesh of V vertices; class 0 is neutral.

    Attributes
    ----------
    class_va : (K, 2) float64
        Centres; row 0 is (0, 0).
    class_count, class_subjects : (K,) int64
        Frames, and the subjects that they show.
    basis : (P, V, 3) float32
        Orthonormal offsets over 3 V numbers, strongest first.
    mean : (K, P) float64
        Mean offset of each class in the basis, mm; row 0 is zero.
    mean_rest : (K,) float64
        Root mean square over vertices of what the basis leaves of it, mm.
    model : (K, M, P) float32
        Directions in which the frames of a class differ, orthonormal, strongest first.
    model_sd : (K, M) float64
        Standard deviation along them, mm over all 3 V numbers.
    expression_names : tuple of E str
    expression_va, expression_mean : (E, 2), (E, P) float64
        Mean rating and mean offset of the frames of each basic expression.
    neutral : (V, 3) float64
        Mean over subjects of their neutral faces, mm, in the axes of the house.
    faces : (F, 3) int32
    """

    class_va: Float
    class_count: NDArray[np.int64]
    class_subjects: NDArray[np.int64]
    basis: Float32
    mean: Float
    mean_rest: Float
    model: Float32
    model_sd: Float
    expression_names: tuple[str, ...]
    expression_va: Float
    expression_mean: Float
    neutral: Float
    faces: NDArray[np.int32]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __len__(self) -> int:
        return len(self.class_va)

    def class_of(self, va: VA | ArrayLike) -> int:
        """Index of the class whose centre is nearest to a point of the disc."""
        point = (va.valence, va.arousal) if isinstance(va, VA) else np.asarray(va, np.float64)
        return int(((self.class_va - point) ** 2).sum(1).argmin())

    def offsets(self, coefficients: ArrayLike) -> Float:
        """(..., V, 3) offsets in mm of (..., P) coefficients of the basis."""
        given = np.asarray(coefficients, np.float64)
        flat = given.reshape(-1, len(self.basis)) @ self.basis.reshape(len(self.basis), -1)
        return np.asarray(flat.reshape(*given.shape[:-1], *self.basis.shape[1:]))

    def mean_face(self, va: VA | ArrayLike) -> Float:
        """(V, 3) mean offset from neutral, mm, of the class nearest to `va`."""
        return self.offsets(self.mean[self.class_of(va)])

    def face(self, index: int, coefficients: ArrayLike = ()) -> Float:
        """(V, 3) offset from neutral, mm, of a face of a class.

        Parameters
        ----------
        index : int
            The class.
        coefficients : (m,) float, m <= M
            Standard deviations along the directions of the class's own model.

        Raises
        ------
        ShapeError
            If there is no such class, or there are more coefficients than directions.
        """
        c = np.asarray(coefficients, np.float64)
        if not 0 <= index < len(self) or c.ndim != 1 or len(c) > self.model.shape[1]:
            raise ShapeError(
                f"face: expected a class 0 to {len(self) - 1} and at most {self.model.shape[1]} "
                f"coefficients, got class {index} and shape {c.shape}"
            )
        own = (c * self.model_sd[index, : len(c)]) @ self.model[index, : len(c)]
        return self.offsets(self.mean[index] + own)

    def expression(self, name: str) -> Float:
        """(V, 3) mean offset from neutral, mm, of a basic expression.

        Raises
        ------
        TargetError
            If the name is unknown or these classes have no frames of it.
        """
        key = expression_name(name)
        if key not in self.expression_names:
            has = ", ".join(self.expression_names) or "none"
            raise TargetError(f"expression: expected one of those labelled ({has}), got {name!r}")
        return self.offsets(self.expression_mean[self.expression_names.index(key)])


def class_models(
    coefficients: NDArray[Any], label: NDArray[np.int64], classes: int, components: int
) -> tuple[Float, Float32, Float]:
    """Mean, principal directions and spread of the frames of every class.

    Parameters
    ----------
    coefficients : (N, P) float
    label : (N,) int64
        0 to ``classes - 1``.
    classes, components : int

    Returns
    -------
    mean : (classes, P) float64
    model : (classes, M, P) float32
        Orthonormal rows, M the smaller of `components` and P; the sign makes the largest
        entry positive.
    sd : (classes, M) float64
        0 where a class has too few frames.
    """
    size = coefficients.shape[1]
    wanted = min(components, size)
    mean, sd = np.zeros((classes, size)), np.zeros((classes, wanted))
    model = np.zeros((classes, wanted, size), np.float32)
    order = np.argsort(label, kind="stable")
    ends = np.searchsorted(label[order], np.arange(classes + 1))
    for k in range(classes):
        rows = coefficients[order[ends[k] : ends[k + 1]]].astype(np.float64)
        if not len(rows):
            continue
        mean[k] = rows.mean(0)
        offset = rows - mean[k]
        values, vectors = np.linalg.eigh(offset.T @ offset / len(rows))
        basis = vectors[:, ::-1][:, :wanted].T
        largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1)
        model[k] = basis * np.where(largest < 0, -1.0, 1.0)
        sd[k] = np.sqrt(np.maximum(values[::-1][:wanted], 0))
    return mean, model, sd


def save_face_classes(path: str | Path, classes: FaceClasses) -> None:
    """Write the classes as ``.npz``, whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {"format": np.array(FORMAT)}
    for field in fields(FaceClasses):
        value = np.asarray(getattr(classes, field.name))
        if field.name == "expression_names" and not value.size:
            value = np.zeros(0, "U1")
        arrays[field.name] = value.astype(np.float32) if value.dtype == np.float64 else value
    write_npz(path, arrays, level=1)


def load_face_classes(path: str | Path) -> FaceClasses:
    """The classes in a file that `save_face_classes` wrote.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or another kind of file.
    """
    names = [field.name for field in fields(FaceClasses)]
    found = read_fields(path, "face classes", "synth gallery build", FORMAT, names)
    single = {"basis", "model"}
    values: dict[str, Any] = {
        key: array.astype(np.float64) if array.dtype.kind == "f" and key not in single else array
        for key, array in found.items()
    }
    values["expression_names"] = tuple(str(name) for name in found["expression_names"])
    made = FaceClasses(**values)
    k, p = made.mean.shape
    fits = (
        made.class_va.shape == (k, 2)
        and made.basis.shape == (p, *made.neutral.shape)
        and made.model.shape == (k, made.model_sd.shape[1], p)
        and made.expression_mean.shape == (len(made.expression_names), p)
    )
    if not fits:
        raise AssetError(f"face classes: expected arrays that fit each other in {path}; damaged")
    return made
