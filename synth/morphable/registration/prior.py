"""Where the template is relaxed: its affine map, and its model's face, nearest to the scan.

What landmarks and smoothness leave open, how skin slides on cheeks and forehead, a morphable
model of the template knows, if there is one: its identity modes and blendshapes are fitted with
the affine map by ridge regression to landmarks and to the scan's tangent planes. The result is
only where the displacements of `nicp` start from and what they are smooth to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.morphable.registration.scan import Scan, counterparts
from synth.morphable.registration.template import Template

__all__ = ["relaxed"]

Float = NDArray[np.float64]

#: Standard deviations assumed: of a landmark and of the scan's surface, mm.
LANDMARK_SD, SURFACE_SD = 1.5, 1.0
#: Square millimetres of surface that count as one observation.
PATCH = 60.0
#: Standard deviation of the entries of the affine map; shifts are free.
AFFINE_SD = 0.05
#: Reach of counterparts from round to round, mm.
REACH = (20.0, 12.0, 8.0, 6.0, 5.0)


def relaxed(template: Template, scan: Scan) -> Float:
    """(V, 3) vertices of the template's relaxed state in the scan's frame."""
    v = template.mesh.vertices
    known = np.isfinite(scan.landmarks).all(1)
    marks, wanted = template.marks[known], scan.landmarks[known]
    centre = (marks @ v).mean(0)
    columns = _columns(template, centre)
    columns_at = np.stack([marks @ columns[:, :, x] for x in range(3)], 2)  # (n, C, 3)
    flat = columns_at.transpose(0, 2, 1).reshape(-1, columns.shape[1])
    fixed = flat.T @ flat / LANDMARK_SD**2 + np.diag(_precision(template))
    pull = flat.T @ (wanted - marks @ v).ravel() / LANDMARK_SD**2
    found = np.linalg.solve(fixed, pull)
    for reach in REACH if template.modes is not None else ():
        now = v + np.einsum("vcx,c->vx", columns, found)
        near = counterparts(scan, now, template.mesh.faces)
        use = np.flatnonzero(near.good & (near.distance < reach))
        if not len(use):
            break
        weight = template.area[use] / PATCH / SURFACE_SD**2
        weight = weight / (1 + (near.distance[use] / (reach / 2)) ** 2) ** 2
        across = np.einsum("vcx,vx->vc", columns[use], near.normal[use])
        target = np.sum((near.point[use] - v[use]) * near.normal[use], 1)
        left = fixed + across.T @ (across * weight[:, None])
        found = np.linalg.solve(left, pull + across.T @ (weight * target))
    return np.asarray(v + np.einsum("vcx,c->vx", columns, found))


def _columns(template: Template, centre: Float) -> Float:
    """(V, C, 3) how each unknown moves each vertex: shift, linear map, modes."""
    v = template.mesh.vertices - centre
    affine = np.zeros((len(v), 12, 3))
    for x in range(3):
        affine[:, x, x] = 1
        affine[:, 3 + 3 * x : 6 + 3 * x, x] = v
    if template.modes is None:
        return affine
    return np.concatenate([affine, template.modes.transpose(1, 0, 2)], 1)


def _precision(template: Template) -> Float:
    """Of each unknown before anything is seen."""
    modes = 0 if template.modes is None else len(template.modes)
    return np.concatenate([np.full(3, 1e-8), np.full(9, AFFINE_SD**-2), np.ones(modes)])
