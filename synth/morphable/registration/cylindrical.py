"""Correspondence in a flattened space: what lies at one place of the cylinder is one point.

Template and scan are unrolled from the cylinder that lies best in the template's face [1]_. A
thin-plate spline through the landmarks warps the template's plane to the scan's [2]_; where a
template's vertex then lies, the scan is sampled. Holes, the scan's rim and places where the
warp folds are filled smoothly. One look-up instead of many rounds, but a mouth that opens
tears the plane, so lips are worse than with `nicp`.

References
----------
.. [1] Booth & Zafeiriou, "Optimal UV Spaces for Facial Morphable Model Construction",
   ICIP 2014.
.. [2] Cosker, Krumhuber & Hilton, "A FACS Valid 3D Dynamic Action Unit Database with
   Applications to 3D Dynamic Morphable Facial Modeling", ICCV 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.meshes.nearest import Surface
from synth.morphable.registration.nicp import Stage, stiffness
from synth.morphable.registration.scan import Scan
from synth.morphable.registration.template import Template

__all__ = ["Cylinder", "cylindrical", "fit_cylinder"]

Float = NDArray[np.float64]

#: How much the spline may leave of the landmarks' displacements, in mm squared.
SMOOTHING = 1.0
#: Farther than this from the unrolled scan, mm, there is a hole.
HOLE = 0.3
#: Of height against place: of several layers at one place the outermost is nearest.
LAYER = 1e-3
#: Surfaces seen more sideways than this from the axis are left out (cosine).
SIDEWAYS = 0.15
#: How the samples are held together, and what is missing is filled.
FILL = Stage(stiffness=3.0, reach=0.0, landmarks=10.0, rounds=1)


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A cylinder; unrolled at the side towards which it is open, its front in the middle.

    Attributes
    ----------
    point : (3,) float64
        On the axis.
    frame : (3, 3) float64
        Rows: to the side, along the axis, to the front.
    radius : float
    """

    point: Float
    frame: Float
    radius: float

    def unrolled(self, points: Float) -> Float:
        """(n, 3) arc length, height along the axis and distance from the axis."""
        side, along, front = self.frame @ (points - self.point).T
        arc = self.radius * np.arctan2(side, front)
        return np.column_stack([arc, along, np.hypot(side, front)])


def fit_cylinder(points: Float, weights: Float) -> Cylinder:
    """The cylinder nearest to a face's surface in least squares.

    Parameters
    ----------
    points : (n, 3) float64
        In the axes of a face: y up, z out of it; the axis is sought near y.
    weights : (n,) float64
    """
    from scipy.optimize import least_squares

    centre = np.average(points, axis=0, weights=weights)
    width = np.ptp(points[:, 0])
    root = np.sqrt(weights / weights.sum())

    def made(x: Float) -> Cylinder:
        along = np.array([x[0], 1, x[1]]) / np.sqrt(1 + x[0] ** 2 + x[1] ** 2)
        side = np.cross(along, [0, 0, 1.0])
        side /= np.linalg.norm(side)
        frame = np.stack([side, along, np.cross(side, along)])
        return Cylinder(centre + [x[2], 0, x[3]], frame, abs(x[4]))

    def apart(x: Float) -> Float:
        found = made(x)
        return np.asarray(root * (found.unrolled(points)[:, 2] - found.radius))

    # Held near to where faces are, so that a flat face does not move the axis far away.
    limit = np.array([0.3, 0.3, width, 2 * width, 2 * width])
    start = np.array([0, 0, 0, -width / 2, width / 2])
    return made(least_squares(apart, start, bounds=(-limit, limit)).x)


def cylindrical(template: Template, rest: Float, scan: Scan) -> Float:
    """Vertices of the template where the scan's are, by way of the unrolled cylinder.

    Parameters
    ----------
    template : Template
    rest : (V, 3) float64
        The template where it is relaxed, in the scan's frame.
    scan : Scan

    Returns
    -------
    (V, 3) float64
    """
    known = np.isfinite(scan.landmarks).all(1)
    marks, wanted = template.marks[known], scan.landmarks[known]
    near = template.area * (np.min(
        [np.linalg.norm(rest - point, axis=1) for point in wanted], axis=0
    ) < 0.3 * template.size)  # fmt: skip
    shape = fit_cylinder(rest, near)
    place, warped = shape.unrolled(rest), _warped(shape, rest, marks @ rest, wanted)
    sampled, there = _sampled(shape, scan, warped)
    there &= ~_folded(template, place, warped) & ~template.boundary
    weight = template.area * there
    stiff = stiffness(template, marks, FILL)
    blocks = weight[:, None, None] * np.eye(3)
    right = weight[:, None] * (sampled - rest)
    right += FILL.landmarks * (marks.T @ (wanted - marks @ rest))
    return rest + template.system.factor(stiff, blocks).solve(right)


def _warped(shape: Cylinder, rest: Float, marks: Float, wanted: Float) -> Float:
    """(V, 2) places of the template's vertices on the unrolled scan."""
    from scipy.interpolate import RBFInterpolator

    source, target = shape.unrolled(marks)[:, :2], shape.unrolled(wanted)[:, :2]
    spline = RBFInterpolator(source, target - source, smoothing=SMOOTHING)
    place = shape.unrolled(rest)[:, :2]
    # Where no landmark is near, the spline would go on in straight lines for ever.
    low, high = source.min(0) - 40, source.max(0) + 40
    return np.asarray(place + spline(np.clip(place, low, high)))


def _sampled(shape: Cylinder, scan: Scan, places: Float) -> tuple[Float, NDArray[np.bool_]]:
    """The scan's outermost points at places (n, 2), and which of them there are."""
    v, f = scan.surface.vertices, scan.surface.faces
    flat = shape.unrolled(v)
    outwards = (v - shape.point) - np.outer((v - shape.point) @ shape.frame[1], shape.frame[1])
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    facing = np.sum(outwards * scan.normals, 1) > SIDEWAYS
    whole = np.ptp(flat[f, 0], axis=1) < np.pi * shape.radius  # not across the seam
    kept = f[facing[f].all(1) & whole]
    if not len(kept):
        return np.zeros((len(places), 3)), np.zeros(len(places), bool)
    top = LAYER * (flat[:, 2].max() + 1)
    layered = np.column_stack([flat[:, :2], LAYER * flat[:, 2]])
    near = Surface(layered, kept).nearest(np.column_stack([places, np.full(len(places), top)]))
    corners = kept[near.face]
    off = np.linalg.norm(near.point[:, :2] - places, axis=1)
    rim = ((near.bary < 1e-6) | scan.boundary[corners]).all(1)
    return np.einsum("nc,ncd->nd", near.bary, v[corners]), (off < HOLE) & ~rim


def _folded(template: Template, before: Float, after: Float) -> NDArray[np.bool_]:
    """(V,) vertices of triangles that the warp turns over."""
    f = template.mesh.faces
    signs = []
    for place in (before, after):
        a, b = place[f[:, 1], :2] - place[f[:, 0], :2], place[f[:, 2], :2] - place[f[:, 0], :2]
        signs.append(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    # Also those that face away from the axis on the template itself.
    bad = (signs[1] <= 0) | (signs[0] <= 0)
    found = np.zeros(len(before), bool)
    found[f[bad].ravel()] = True
    return found
