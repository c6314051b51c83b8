"""The frames of a gallery in one pass: offsets from neutral, class means, coefficients.

Three readings of the meshes, none of which holds more than a few hundred of them: the
neutral frames of every subject; a sample over all classes, for the still vertices and the
basis; and once all, for means (exact) and coefficients in the basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.expressions.alignment import aligned, stillness
from synth.expressions.labels import MeshLabels
from synth.meshes.collection import MeshCollection

__all__ = ["Frames", "Neutrals", "read_frames", "read_neutrals", "sample_of"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Progress = Callable[[int], None]

#: Bytes of vertices read at a time; a few times as much is in work.
BLOCK = 48_000_000
#: Frames of the sample, of how many vertices they may be (fewer frames of larger meshes), how
#: many of them show which vertices are still, and the largest number of components.
SAMPLE, SAMPLE_VERTICES, STILL_SAMPLE, MOST = 1200, 24_000_000, 400, 96
#: Size of the neutral faces over that of the model's mean: outside, the unit is not mm.
RATIO = (0.5, 2.0)


@dataclass(frozen=True, eq=False)
class Neutrals:
    """The neutral face of each subject, in the axes of the house.

    Attributes
    ----------
    faces : (S, V, 3) float32
        mm.
    weights : (V,) float64 or None
        Of the rigid alignment of frames onto them; None where frames are taken as they are.
    """

    faces: Float32
    weights: Float | None

    def offsets(self, frames: Float32, subject: Int) -> Float32:
        """(n, V, 3) what frames add to the neutral faces of their subjects, mm."""
        targets = self.faces[subject]
        if self.weights is None:
            return np.asarray(frames - targets, np.float32)
        return np.asarray(aligned(frames, targets, self.weights) - targets, np.float32)


@dataclass(frozen=True, eq=False)
class Frames:
    """N frames in a basis, and the exact means of their groups.

    Attributes
    ----------
    basis : (P, V, 3) float32
        Orthonormal, strongest first.
    coefficients : (N, P) float32
    kept : float
        Share of the frames' energy (squared offsets) that the basis holds.
    class_mean : (K, V, 3) float64
        mm; exact, not through the basis.
    expression_mean : (E, V, 3) float64
    """

    basis: Float32
    coefficients: Float32
    kept: float
    class_mean: Float
    expression_mean: Float


def read_neutrals(
    meshes: MeshCollection, labels: MeshLabels, mean: Float, align: bool, chosen: Int
) -> Neutrals:
    """The mean of every subject's neutral frames, and how frames are aligned to it.

    Parameters
    ----------
    meshes, labels
    mean : (V, 3) float64
        Mean of the model: its axes are those of the result.
    align : bool
        Take the head's motion out, of neutral frames and all others; otherwise the meshes
        have to be in the axes of the model already.
    chosen : (n,) int64
        Frames of all sorts, from which the still vertices are found.
    """
    total = np.zeros((len(labels.subjects), *mean.shape))
    number = np.bincount(labels.subject[labels.neutral], minlength=len(total))
    even = np.ones(len(mean))
    first: dict[int, Float32] = {}
    for rows, frames in _blocks(meshes, np.flatnonzero(labels.neutral)):
        if align:  # onto the subject's first neutral frame, that one onto the model
            for s, frame in zip(labels.subject[rows], frames, strict=True):
                if s not in first:
                    first[int(s)] = aligned(frame[None], mean, even)[0]
            frames = aligned(frames, np.stack([first[int(s)] for s in labels.subject[rows]]), even)
        np.add.at(total, labels.subject[rows], frames)
    faces = (total / number[:, None, None]).astype(np.float32)
    _check_size(faces, mean)
    if not align:
        return Neutrals(faces, None)
    some = chosen[:: -(-len(chosen) // STILL_SAMPLE)]
    return Neutrals(faces, stillness(meshes.read(some), faces[labels.subject[some]]))


def sample_of(label: Int, seed: int, vertices: int = 1) -> Int:
    """(n,) frames of all classes, as even as there are frames, in their order.

    Parameters
    ----------
    label : (N,) int64
        Class of each frame.
    seed : int
    vertices : int
        Of each mesh; of large ones fewer are taken.
    """
    most = max(2, min(SAMPLE, SAMPLE_VERTICES // vertices))
    rng = np.random.default_rng([seed, len(label)])
    mixed = rng.permutation(len(label))
    grouped = mixed[np.argsort(label[mixed], kind="stable")]
    start = np.searchsorted(label[grouped], np.arange(int(label.max()) + 1))
    turn = np.arange(len(label)) - start[label[grouped]]  # of a frame within its class
    return np.sort(grouped[np.argsort(turn, kind="stable")[:most]])


def read_frames(
    meshes: MeshCollection,
    labels: MeshLabels,
    label: Int,
    neutrals: Neutrals,
    expressions: tuple[str, ...],
    components: float,
    chosen: Int,
    progress: Progress = lambda done: None,
) -> Frames:
    """All frames in the basis of a sample, and exact means of classes and expressions.

    Parameters
    ----------
    meshes, labels
    label : (N,) int64
        Class of each frame.
    neutrals : Neutrals
    expressions : tuple of E str
        Names of the expressions to average.
    components : float
        Number of components, or below 1 the share of the sample's energy that they keep.
    chosen : (n,) int64
        The sample.
    progress : callable
        Called with the number of frames done since the last call.
    """
    basis = _basis(meshes, labels, neutrals, components, chosen)
    flat = basis.reshape(len(basis), -1)
    width = flat.shape[1]
    # an expression's frames are a group of their own behind the classes
    classes = int(label.max()) + 1
    kind = np.full(len(label), -1)
    for e, name in enumerate(expressions):
        kind[labels.expression == name] = classes + e
    total = np.zeros((classes + len(expressions), width))
    coefficients = np.empty((len(label), len(basis)), np.float32)
    energy = held = 0.0
    for rows, frames in _blocks(meshes, np.arange(len(label))):
        offsets = neutrals.offsets(frames, labels.subject[rows]).reshape(len(rows), width)
        coefficients[rows] = offsets @ flat.T
        energy += float(np.einsum("nd,nd->", offsets, offsets, optimize=True))
        held += float((coefficients[rows].astype(np.float64) ** 2).sum())
        _add(total, offsets, label[rows])
        _add(total, offsets, kind[rows])
        progress(len(rows))
    number = np.concatenate(
        [
            np.bincount(label, minlength=classes),
            np.bincount(kind[kind >= 0], minlength=len(total))[classes:],
        ]
    )
    mean = (total / np.maximum(number, 1)[:, None]).reshape(len(total), -1, 3)
    kept = held / energy if energy > 0 else 1.0
    return Frames(basis, coefficients, kept, mean[:classes], mean[classes:])


def _basis(
    meshes: MeshCollection, labels: MeshLabels, neutrals: Neutrals, components: float, chosen: Int
) -> Float32:
    """(P, V, 3) principal components of the sample's offsets, about no offset at all."""
    offsets = neutrals.offsets(meshes.read(chosen), labels.subject[chosen])
    flat = offsets.reshape(len(chosen), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    rank = int((values > 1e-9 * max(values[0], 1e-30)).sum())
    if not rank:
        raise UsageError(
            "meshes: expected faces that differ from neutral, got none; check the labels"
        )
    share = np.cumsum(values) / values.sum()
    wanted = int(np.searchsorted(share, components) + 1) if components < 1 else int(components)
    number = min(wanted, rank, MOST)
    basis = (vectors[:, :number] / np.sqrt(values[:number])).T @ flat
    largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], 1)
    basis = (basis * np.sign(largest)).astype(np.float32)
    return np.asarray(basis.reshape(number, *offsets.shape[1:]), np.float32)


def _add(total: Float, rows: Float32, group: Int) -> None:
    """Add the rows to the sums of their groups; those of group -1 to none."""
    from scipy.sparse import csr_matrix

    used = np.flatnonzero(group >= 0)
    if not len(used):
        return
    found, index = np.unique(group[used], return_inverse=True)
    which = csr_matrix((np.ones(len(used), np.float32), (index, used)), (len(found), len(rows)))
    total[found] += which @ rows


def _blocks(meshes: MeshCollection, rows: Int) -> Iterator[tuple[Int, Float32]]:
    """The meshes of some rows, a few at a time."""
    step = max(1, BLOCK // (12 * meshes.n_vertices))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        yield part, meshes.read(part)


def _check_size(faces: NDArray[Any], mean: Float) -> None:
    def size(points: NDArray[Any]) -> float:
        return float(np.linalg.norm(points - points.mean(-2, keepdims=True), axis=-1).mean())

    ratio = size(faces) / size(mean)
    if not RATIO[0] < ratio < RATIO[1]:
        raise UsageError(
            f"meshes: expected faces in millimetres, about as large as the model's mean, got "
            f"{ratio:.3g} times that; scale them"
        )
