"""What a registration is asked for and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import UsageError

__all__ = ["METHODS", "REASONS", "RegisterSettings", "Registration"]

Float = NDArray[np.float64]

#: Ways of registration, the default first.
METHODS = ("nicp", "cylindrical")

#: Why a mesh has no registration, or one that is not accepted.
REASONS: dict[str, str] = {
    "MESH": "the file is not a readable triangle mesh",
    "NO_LANDMARKS": "there is no file of landmarks for the mesh, or it is unreadable",
    "FEW_LANDMARKS": "too few landmarks, or another number than the template has",
    "LANDMARKS_OFF": "the landmarks lie off the mesh, or not as they do on a face",
    "COVERAGE": "too little of the template has a counterpart on the scan",
    "DISTANCE": "the registered mesh is too far from the scan",
    "FLIPPED": "too many triangles are folded over",
    "STRETCHED": "too many edges are stretched or squeezed",
    "OUTLIER": "the shape is unlike all the others of the collection",
    "INTERNAL": "an unexpected error, reported with its type",
}


@dataclass(frozen=True)
class RegisterSettings:
    """How meshes are registered, and when that counts as failed.

    Lengths are millimetres on the template's scale: scans are brought there by their landmarks.

    Attributes
    ----------
    method : str
        One of `METHODS`.
    max_distance : float
        Mean distance of the seen vertices from the scan.
    min_coverage : float
        Least share of the template's landmarks' surroundings that is seen, 0 to 1.
    max_flipped, max_stretched : float
        Share of the seen triangles and edges, 0 to 1.
    max_landmark_error : float
        Root mean square distance of the landmarks after alignment, as a share of the distance
        between the outer eye corners (of the face's size, where there are not 68).
    """

    method: str = "nicp"
    max_distance: float = 1.5
    min_coverage: float = 0.5
    max_flipped: float = 0.02
    max_stretched: float = 0.05
    max_landmark_error: float = 0.25

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        for name in ("min_coverage", "max_flipped", "max_stretched"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        for name in ("max_distance", "max_landmark_error"):
            if not 0 < getattr(self, name) < float("inf"):
                said = name.replace("_", "-")
                raise UsageError(f"{said}: expected more than 0, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class Registration:
    """A template deformed to a scan.

    Attributes
    ----------
    vertices : (V, 3) float64
        On the template's triangles, where the scan is; millimetres if its unit is recognised.
    seen : (V,) bool
        Vertices with a counterpart on the scan; the others follow smoothly.
    unit : float
        Millimetres of one unit of the scan: 1, 10, 1000, or 1 if it is none of these.
    scale : float
        Size of the scan relative to the template.
    distance, distance_95 : float
        Mean and 95th percentile of the distance of the seen vertices from the scan, mm.
    landmark_error : float
        Mean distance between the landmarks of the result and those of the scan, mm.
    coverage, flipped, stretched : float
        Shares, see `RegisterSettings`.
    method : str
    reason : str
        A key of `REASONS`, or "" if accepted.
    message : str
        What was expected and what was found, if not accepted.
    """

    vertices: Float
    seen: NDArray[np.bool_]
    unit: float
    scale: float
    distance: float
    distance_95: float
    landmark_error: float
    coverage: float
    flipped: float
    stretched: float
    method: str
    reason: str = ""
    message: str = ""

    @property
    def accepted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reason
