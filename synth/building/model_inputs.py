"""Which meshes a model is built from, whose they are, and where its landmarks lie."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError, UsageError
from synth.meshes.collection import MeshCollection
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.native import read_landmark_map

__all__ = ["Places", "Sample", "find_places", "neutral_sample", "whole_sample"]

Ids = NDArray[np.int32]

#: Fewer are no sample of anything; cross-validation needs as many subjects.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Places:
    """The topology of a model, and its landmarks on it.

    Attributes
    ----------
    faces : (F, 3) int32
    landmarks : (68,) int32 vertices, or triangles (68,) with weights (68, 3)
    source : str
        What they were taken from, for the record.
    """

    faces: NDArray[np.int32]
    landmarks: Ids | tuple[Ids, NDArray[np.float64]]
    source: str


@dataclass(frozen=True, eq=False)
class Sample:
    """Meshes and their subjects.

    Attributes
    ----------
    meshes : MeshCollection
    subjects : tuple of N str
    note : str
        How both were found, one sentence.
    """

    meshes: MeshCollection
    subjects: tuple[str, ...]
    note: str

    def __post_init__(self) -> None:
        source, count, people = self.meshes.source, len(self.meshes), len(set(self.subjects))
        if count < FEWEST:
            raise MeshError(
                f"{source}: expected at least {FEWEST} meshes to build a model from, got {count}"
            )
        if people < FEWEST:
            raise MeshError(
                f"{source}: expected meshes of at least {FEWEST} subjects, got {people}; a model "
                "of identity needs different people"
            )


def whole_sample(meshes: MeshCollection) -> Sample:
    """All meshes; the first folder of a name is the subject, where there are three or more."""
    firsts = tuple(name.split("/")[0] for name in meshes.names)
    if all("/" in name for name in meshes.names) and len(set(firsts)) >= FEWEST:
        return Sample(meshes, firsts, "All meshes; the first folder of a name is the subject.")
    return Sample(meshes, meshes.names, "All meshes; each is a subject of its own.")


def neutral_sample(meshes: MeshCollection, labels: Path) -> Sample:
    """The meshes that a table calls neutral, with the subjects it names.

    Parameters
    ----------
    meshes : MeshCollection
    labels : Path
        CSV with ``file_name`` (as in the collection, a suffix is allowed) and ``subject``, and
        with ``expression`` where the expressions of the frames are known: those that are
        ``neutral`` are taken; without this column all that the table names.

    Raises
    ------
    UsageError
        If the table is missing or lacks a column or a subject.
    MeshError
        If fewer than three meshes, or meshes of fewer than three subjects, are left.
    """
    rows, columns = _table(labels)
    place = {name: i for i, name in enumerate(meshes.names)}
    chosen: dict[int, str] = {}
    seen: set[int] = set()
    absent = other = 0
    for number, row in enumerate(rows, 2):
        name = (row["file_name"] or "").strip().replace("\\", "/")
        i = place.get(name, place.get(name.rpartition(".")[0], -1))
        subject = (row["subject"] or "").strip()
        if not subject:
            raise UsageError(f"{labels}, line {number}: expected a subject, got none; fill it in")
        if i in seen:
            raise UsageError(
                f"{labels}, line {number}: expected one row a mesh, got {name!r} again; remove it"
            )
        seen |= {i} - {-1}
        if i < 0:
            absent += 1
        elif "expression" in columns and (row["expression"] or "").strip().lower() != "neutral":
            other += 1
        else:
            chosen[i] = subject
    kind = "neutral meshes" if "expression" in columns else "meshes"
    note = f"The {len(chosen)} {kind} of {labels.name}"
    left = len(meshes) - len(chosen) - other
    notes = [(other, "other expressions"), (left, "without a row"), (absent, "rows without mesh")]
    said = ", ".join(f"{count} {what}" for count, what in notes if count)
    index = np.array(sorted(chosen), np.int64)
    return Sample(
        meshes.take(index), tuple(chosen[i] for i in index), note + (f" ({said})." if said else ".")
    )


def _table(path: Path) -> tuple[list[dict[str, str]], set[str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"labels: expected a readable CSV, got {path} ({error})") from None
    missing = sorted({"file_name", "subject"} - columns)
    if missing:
        raise UsageError(
            f"labels: expected the columns file_name and subject, got {path} without "
            f"{' and '.join(missing)}"
        )
    return rows, columns


def find_places(meshes: MeshCollection, template: Path | None, landmarks: Path | None) -> Places:
    """Triangles and landmarks of the meshes.

    Parameters
    ----------
    meshes : MeshCollection
    template : Path, optional
        A model on the meshes' topology; if neither is given, ``template.npz`` in the folder of
        the meshes or beside it, where `synth model register` puts it.
    landmarks : Path, optional
        Map of iBUG-68 to vertices; goes before the template's landmarks.

    Raises
    ------
    UsageError
        If there is neither, or the map cannot be read.
    MeshError
        If the template has another topology, a stack comes without triangles, or the map is not
        of this mesh.
    """
    if template is None and landmarks is None:
        here = (meshes.source / "template.npz", meshes.source.parent / "template.npz")
        template = next((path for path in here if path.is_file()), None)
        if template is None:
            raise UsageError(
                f"template: expected a template.npz beside {meshes.source}, got none; give one "
                "with --template, or the landmarks of the mesh with --landmarks"
            )
    model = None if template is None else load_model(template)
    faces = meshes.faces
    if model is not None:
        _same_topology(meshes, model, template)
        faces = model.faces if faces is None else faces
    if faces is None:
        raise MeshError(
            f"{meshes.source}: expected triangles in {meshes.source.stem}.faces.npy, got none; "
            "write them there, or give a model on this topology with --template"
        )
    if landmarks is not None:
        return Places(faces, _read_map(landmarks, meshes.n_vertices), landmarks.name)
    assert model is not None and template is not None
    return Places(faces, (model.landmark_faces, model.landmark_bary), template.name)


def _same_topology(meshes: MeshCollection, model: MorphableModel, path: Path | None) -> None:
    same = meshes.n_vertices == model.n_vertices
    if same and meshes.faces is not None:
        same = np.array_equal(meshes.faces, model.faces)
    if not same:
        count = "" if meshes.faces is None else f", {len(meshes.faces)} triangles"
        raise MeshError(
            f"{path}: expected a model on the topology of {meshes.source} ({meshes.n_vertices} "
            f"vertices{count}), got another ({model.n_vertices}, {len(model.faces)}); give the "
            "template that the meshes were registered to"
        )


def _read_map(path: Path, vertices: int) -> Ids:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"landmarks: expected a readable map, got {path} ({error})") from None
    ids = read_landmark_map(text, path.name)
    if ids.max() >= vertices:
        raise MeshError(
            f"{path}: expected vertices of a mesh with {vertices}, got {int(ids.max())}; it is "
            "the map of another mesh"
        )
    return ids
