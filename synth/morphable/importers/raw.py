"""What every importer hands over, and what is done alike with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError, UsageError
from synth.meshes.mesh import Mesh
from synth.morphable.landmark_map import FEWEST, as_places, read_landmark_map

__all__ = [
    "Raw",
    "checked_unit",
    "digests",
    "landmark_places",
    "refuse",
    "scaled_modes",
    "shipped_map",
]

Float = NDArray[np.float64]
Int = NDArray[np.int32]

#: Where no unit is published: millimetres of one unit that models are found in.
UNITS = {"mm": 1.0, "µm": 1e-3, "cm": 10.0, "m": 1000.0, "dm": 100.0}
INTER_OCULAR = (60.0, 120.0)


@dataclass(frozen=True, eq=False)
class Raw:
    """A model as its file has it.

    Attributes
    ----------
    name, version, licence, source : str
        Defaults, which the user may replace.
    mean : (V, 3) float
    faces : (F, 3) int
    modes : (K, V, 3) float32
        Per standard deviation.
    sigma : (K,) float64
    landmarks : (68,) int, or triangles and weights, or None
        iBUG-68; -1 where not known.
    landmark_source : str
        Where they are from.
    unit : float or None
        Millimetres of one unit; None where none is published: it is found by plausibility.
    files : mapping of str to Path
        What was read.
    """

    name: str
    version: str
    licence: str
    source: str
    mean: NDArray[Any]
    faces: NDArray[Any]
    modes: NDArray[np.float32]
    sigma: Float
    unit: float | None
    files: Mapping[str, Path]
    landmarks: Int | tuple[Int, Float] | None = None
    landmark_source: str = ""
    blendshapes: NDArray[np.float32] | None = None
    blendshape_names: tuple[str, ...] = ()
    parts: NDArray[np.uint8] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Mesh(self.mean, self.faces, name=self.name)  # a MeshError for one that is none


def refuse(path: Path | None, expected: str, got: str) -> UsageError:
    """The error for a file that is not of its format."""
    return UsageError(
        f"{path}: expected {expected}, got {' '.join(got.split())}; see docs/import.md"
    )


def shipped_map(name: str) -> tuple[Int, str]:
    """A landmark map of the package (68,) and what its record says."""
    file = resources("synth.morphable.importers") / "maps" / f"{name}.txt"
    return read_landmark_map(file.read_text("utf-8"), f"{name}.txt"), f"{name}.txt of synth"


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Name -> hex sha256 of each file."""
    out = {}
    for name, path in sorted(files.items()):
        with open(path, "rb") as file:
            out[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return out


def scaled_modes(basis: NDArray[Any], sigma: NDArray[Any], n_vertices: int) -> NDArray[np.float32]:
    """(K, V, 3) modes per standard deviation from columns (3V, K), x y z of each vertex in turn."""
    k = basis.shape[1]
    out = np.empty((k, n_vertices, 3), np.float32)
    for i in range(k):
        out[i] = (basis[:, i] * sigma[i]).reshape(n_vertices, 3)
    return out


def landmark_places(raw: Raw, given: Path | None) -> tuple[Int, Float]:
    """Triangles (68,), -1 where not known, and weights (68, 3).

    Raises
    ------
    MeshError
        If there is no map for this topology, or it is of another.
    """
    faces = np.asarray(raw.faces, np.int32)
    if given is not None:
        try:
            text = given.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MeshError(f"{given}: expected a landmark map, got {error}") from None
        ids = read_landmark_map(text, given.name)
        if (ids >= 0).sum() < FEWEST:
            raise MeshError(
                f"{given}: expected at least {FEWEST} landmarks, got {(ids >= 0).sum()}; add some"
            )
        return as_places(ids, faces)
    if raw.landmarks is None:
        raise MeshError(
            f"landmarks: expected a map for {len(raw.mean)} vertices, got none for this topology; "
            "give one with --landmarks"
        )
    if isinstance(raw.landmarks, tuple):
        return raw.landmarks
    return as_places(raw.landmarks, faces)


def checked_unit(
    raw: Raw, places: tuple[Int, Float], given: float | None
) -> tuple[float, str | None]:
    """Millimetres of one unit, and how it was found where the format does not say.

    Raises
    ------
    MeshError
        If no usual unit makes a face of human size.
    """
    if given is not None and not 0 < given < np.inf:
        raise UsageError(f"unit: expected millimetres above 0, got {given:g}")
    if given is not None or raw.unit is not None:
        return float(given if given is not None else raw.unit or 1.0), None
    faces, bary = places
    eyes = [k for k in (36, 45) if faces[k] >= 0]
    if len(eyes) < 2:
        raise MeshError("landmarks: expected both outer eye corners in the map, got fewer")
    corners = np.asarray(raw.mean, np.float64)[np.asarray(raw.faces)[faces[eyes]]]
    points = np.einsum("lc,lcx->lx", bary[eyes], corners)
    gap = float(np.linalg.norm(points[0] - points[1]))
    for name, unit in UNITS.items():
        if INTER_OCULAR[0] <= gap * unit <= INTER_OCULAR[1]:
            return unit, f"{name}: outer eye corners {gap * unit:.1f} mm apart"
    raise MeshError(
        f"{raw.name}: expected outer eye corners {INTER_OCULAR[0]:.0f} to {INTER_OCULAR[1]:.0f} mm "
        f"apart in a usual unit, got {gap:.4g}; say the unit with --unit"
    )
