"""A scan as a target: its surface, and which of its points are counterparts of a template's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.meshes.mesh import Mesh, vertex_normals
from synth.meshes.nearest import Surface
from synth.morphable.registration.template import boundary_vertices

__all__ = ["Counterparts", "Scan", "counterparts", "prepare_scan"]

Float = NDArray[np.float64]

#: Cosine of the largest angle between the normals of counterparts.
FACING = 0.6


@dataclass(frozen=True, eq=False)
class Scan:
    """A mesh prepared as a target; all in the template's frame."""

    surface: Surface
    normals: Float
    boundary: NDArray[np.bool_]
    landmarks: Float


@dataclass(frozen=True, eq=False)
class Counterparts:
    """Points of the scan for the vertices of the template.

    Attributes
    ----------
    point, normal : (V, 3) float64
    distance : (V,) float64
    good : (V,) bool
        Neither on the scan's rim nor facing elsewhere.
    """

    point: Float
    normal: Float
    distance: Float
    good: NDArray[np.bool_]


def prepare_scan(mesh: Mesh, landmarks: Float) -> Scan:
    """A mesh in the template's frame as a target; `landmarks` (n, 3), NaN where absent."""
    surface = Surface(mesh.vertices, mesh.faces)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return Scan(surface, normals, boundary_vertices(mesh), landmarks)


def counterparts(scan: Scan, vertices: Float, faces: NDArray[np.int32]) -> Counterparts:
    """The nearest points of the scan, and which of them can be trusted."""
    near = scan.surface.nearest(vertices)
    corners = scan.surface.faces[near.face]
    normal = np.einsum("nc,ncd->nd", near.bary, scan.normals[corners])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    rim = ((near.bary < 1e-6) | scan.boundary[corners]).all(1)
    facing = np.sum(normal * vertex_normals(vertices, faces), 1) > FACING
    return Counterparts(near.point, normal, near.distance, facing & ~rim)
