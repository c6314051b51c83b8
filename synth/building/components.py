"""Sparse localised components of your own meshes, of a gallery's faces, and a table of them.

What ``synth model components`` runs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError, MeshError, UsageError
from synth.expressions.storage import FORMAT as GALLERY
from synth.morphable.model import MorphableModel
from synth.morphable.splocs import SparseComponents, SplocsSettings, sparse_components
from synth.morphable.surface import outer_surface
from synth.tables import csv_bytes

__all__ = [
    "ComponentRow", "Deformations", "compare_components", "component_files",
    "gallery_deformations", "mesh_deformations",
]  # fmt: skip

Float = NDArray[np.float64]
Faces = NDArray[np.int32]

#: Numbers of components in the table.
COUNTS = (5, 10, 20, 40)
#: Widths of meshes that are believed: faces in metres to micrometres.
SIZES = (1e-2, 1e7)


@dataclass(frozen=True, eq=False)
class Deformations:
    """Offsets of F frames from a face.

    Attributes
    ----------
    offsets : (F, V, 3) float64
        mm.
    shape : (V, 3) float64
        The face.
    faces : (T, 3) int32
    note : str
        Where they come from, one sentence.
    """

    offsets: Float
    shape: Float
    faces: Faces
    note: str


@dataclass(frozen=True)
class ComponentRow:
    """How well a number of components describes deformations.

    Attributes
    ----------
    count : int
    error, principal : float
        Root mean square over frames and vertices of the distance left, mm: of the sparse
        components, and of as many principal ones, which nothing linear can beat.
    explained : float
        Share of the squared offsets, 0 to 1.
    still, principal_still : float
        Share of vertices that a component leaves in place, mean over components.
    """

    count: int
    error: float
    principal: float
    explained: float
    still: float
    principal_still: float


# --------------------------------------------------------------------------------- sources
def mesh_deformations(
    meshes: str | Path, labels: str | Path | None = None, most: int = 2000
) -> Deformations:
    """Offsets of meshes in correspondence from their mean, or from the subjects' neutrals.

    Parameters
    ----------
    meshes : path-like
        As `synth.meshes.collection.open_collection`.
    labels : path-like, optional
        Labels of a gallery (`synth.expressions.labels`): of every frame its subject's neutral
        face is taken away, after the head's motion.
    most : int
        Frames used, spread evenly over all where there are more.

    Raises
    ------
    MeshError
        If there are no triangles, or fewer than two frames.
    """
    from synth.meshes.collection import open_collection

    found = open_collection(meshes)
    if found.faces is None:
        raise MeshError(f"{meshes}: expected triangles, got none; put STACK.faces.npy beside it")
    if len(found) < 2:
        raise MeshError(f"{meshes}: expected two or more meshes, got {len(found)}")
    size = float(np.ptp(found.read(0), axis=1).max())
    if not SIZES[0] <= size <= SIZES[1]:
        raise MeshError(
            f"{meshes}: expected meshes {SIZES[0]:g} to {SIZES[1]:g} units wide, got {size:.3g}; "
            "scale them"
        )
    place = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    said = f"{len(place)} of {len(found)} meshes" if len(place) < len(found) else "all meshes"
    if labels is None:
        frames = found.read(place).astype(np.float64)
        shape = frames.mean(0)
        return Deformations(
            frames - shape, shape, found.faces, f"{said.capitalize()}, minus their mean."
        )
    from synth.building.mean_faces import read_neutrals
    from synth.expressions.labels import read_labels

    known = read_labels(labels, found.names, square=True)
    rest = found.read(int(np.flatnonzero(known.neutral)[0]))[0].astype(np.float64)
    neutrals = read_neutrals(found, known, rest, True, place)
    place = place[~known.neutral[place]]
    offsets = neutrals.offsets(found.read(place), known.subject[place]).astype(np.float64)
    shape = neutrals.faces.mean(0, dtype=np.float64)
    note = f"{said.capitalize()}, minus the neutral face of each of {len(neutrals.faces)} subjects."
    return Deformations(offsets, shape, found.faces, note)


def gallery_deformations(gallery: str | Path, model: MorphableModel | None = None) -> Deformations:
    """Offsets of a gallery's class mean faces from neutral.

    Parameters
    ----------
    gallery : path-like
        ``NAME_classes.npz`` of ``synth gallery build``, or a gallery of blendshape weights.
    model : MorphableModel, optional
        Whose blendshapes the weights of the latter belong to; only its skin is taken.

    Raises
    ------
    AssetError
        If the file is neither, or damaged.
    """
    from synth.expressions.face_classes import load_face_classes

    path = Path(gallery)
    if not _is_gallery(path):
        classes = load_face_classes(path)
        offsets = classes.offsets(classes.mean)
        note = f"The mean faces of {len(classes)} classes of {path.name}, minus neutral."
        return Deformations(offsets[1:], classes.neutral, classes.faces, note)
    from synth.expressions.storage import load_gallery
    from synth.morphable.landmark_map import embedded_model
    from synth.parts import with_own

    weights = load_gallery(path)
    drawn = with_own(embedded_model() if model is None else model, weights, str(path))
    order = [weights.names.index(name) for name in drawn.blendshape_names]
    vertices, faces = outer_surface(drawn)
    given = weights.class_weights[1:, order]
    flat = given @ drawn.blendshapes[:, vertices].reshape(given.shape[1], -1).astype(np.float64)
    note = f"The mean faces of {len(given)} classes of {path.name} on {drawn.name}, minus neutral."
    return Deformations(
        flat.reshape(len(given), -1, 3), drawn.mean[vertices].astype(np.float64), faces, note
    )


def _is_gallery(path: Path) -> bool:
    """Whether a file is a gallery of blendshape weights and not of faces.

    Raises
    ------
    AssetError
        If it is no archive at all.
    """
    if path.suffix.lower() == ".csv":
        return True
    if not zipfile.is_zipfile(path):
        raise AssetError(
            f"gallery: expected a file of synth gallery build, or a gallery, got {path}; check it"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return "format" in archive.files and str(archive["format"]) == GALLERY
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False  # its reader says what is wrong


# ----------------------------------------------------------------------------------- table
def compare_components(
    given: Deformations,
    count: int,
    settings: SplocsSettings,
    counts: Sequence[int] = COUNTS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[SparseComponents, list[ComponentRow]]:
    """`count` components, and how several numbers of them fare against principal ones.

    Parameters
    ----------
    given : Deformations
    count : int
    settings : SplocsSettings
    counts : sequence of int
        Numbers in the table besides `count`; those that are too many are left out.
    progress : callable
        Told how many turns of how many are done, over all searches.
    """
    frames = len(given.offsets)
    if not 1 <= count <= frames:
        raise UsageError(
            f"components: expected 1 to {frames} for {frames} frames, got {count}; give fewer"
        )
    wanted = sorted({n for n in counts if n <= frames} | {count})
    flat = given.offsets.reshape(frames, -1)
    values, parts = _principal(flat)
    rows, all_found = [], {}
    for number, n in enumerate(wanted):
        start = number * settings.iterations

        def told(done: int, total: int, start: int = start) -> None:
            progress(start + done, len(wanted) * total)

        all_found[n] = sparse_components(
            given.offsets, given.shape, given.faces, n, settings, progress=told
        )
        rows.append(_row(given, all_found[n], values, parts))
    return all_found[count], rows


def _principal(flat: Float) -> tuple[Float, Float]:
    """Squared singular values, and directions as frames: without taking a mean away."""
    values, vectors = np.linalg.eigh(flat @ flat.T)
    return np.maximum(values[::-1], 0), vectors[:, ::-1]


def _row(
    given: Deformations, found: SparseComponents, values: Float, vectors: Float
) -> ComponentRow:
    frames, vertices = given.offsets.shape[:2]
    count = len(found)
    flat = given.offsets.reshape(frames, -1)
    rest = flat - found.weights @ found.components.reshape(count, -1)
    principal = (vectors[:, :count].T @ flat).reshape(count, vertices, 3)
    length = np.linalg.norm(principal, axis=2)
    # Principal components are never exactly 0: what moves less than 0.1 % of the most is still.
    quiet = float((length < 1e-3 * length.max(1, keepdims=True)).mean())
    left, total = float((rest**2).sum()), float(values.sum())
    return ComponentRow(
        count,
        float(np.sqrt(left / (frames * vertices))),
        float(np.sqrt(values[count:].sum() / (frames * vertices))),
        1 - left / total,
        found.still(),
        quiet,
    )


def component_files(
    given: Deformations, found: SparseComponents, rows: Sequence[ComponentRow]
) -> dict[str, bytes]:
    """Contents of ``components.md`` and ``components.csv`` by name."""
    columns = ("components", "error_mm", "pca_error_mm", "explained", "still", "pca_still")
    table = [(r.count, r.error, r.principal, r.explained, r.still, r.principal_still) for r in rows]
    text = [
        "# Sparse localised components",
        f"{given.note} {len(given.offsets)} frames, {len(given.shape)} vertices.",
        f"{len(found)} components; weights {found.constraint}, sparsity {found.sparsity:g}, "
        f"support {found.support[0]:.3g} to {found.support[1]:.3g} mm along the surface"
        + (" (strict)." if found.strict else "."),
        "| components | error, mm | PCA, mm | explained, % | still, % | PCA still, % |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: |\n"
        + "\n".join(
            f"| {r.count} | {r.error:.4f} | {r.principal:.4f} | {100 * r.explained:.1f} | "
            f"{100 * r.still:.1f} | {100 * r.principal_still:.1f} |"
            for r in rows
        ),
        "Error: root mean square distance over frames and vertices of what is left; as many "
        "principal components (of the offsets themselves, no mean taken away) are the least that "
        "is possible. Still: vertices that a component does not move, mean over components; a "
        "principal component that moves a vertex less than 0.1 % of its most leaves it still.",
    ]
    return {
        "components.md": ("\n\n".join(text) + "\n").encode(),
        "components.csv": csv_bytes(columns, ([_short(v) for v in row] for row in table)),
    }


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
