"""Where a subject's face is relaxed in a scan: its neutral face moved rigidly and posed.

Who it is stays as it is; what is found is where the head is and the weights of the template's
blendshapes, between bounds, by Gauss and Newton on landmarks and on the scan's tangent planes.
As in `prior`, only where the displacements of `nicp` start from and what they are smooth to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.morphable.registration.prior import LANDMARK_SD, PATCH, SURFACE_SD
from synth.morphable.registration.scan import Scan, counterparts
from synth.morphable.registration.template import Template

__all__ = ["bounded", "posed"]

Float = NDArray[np.float64]

#: Standard deviation of a weight, and its least and largest value.
WEIGHT_SD, LEAST, MOST = 0.3, -0.1, 1.2
#: Reach of counterparts from round to round, mm.
REACH = (12.0, 8.0, 6.0, 5.0)


def posed(template: Template, scan: Scan) -> Float:
    """(V, 3) vertices of a subject's face in the scan's frame, as near as its poses come.

    Parameters
    ----------
    template : Template
        Whose mesh is the subject's neutral face.
    scan : Scan
        Aligned with it.
    """
    v, faces = template.mesh.vertices, template.mesh.faces
    known = np.isfinite(scan.landmarks).all(1)
    marks, wanted = template.marks[known], scan.landmarks[known]
    moves = np.zeros((0, *v.shape)) if template.moves is None else template.moves
    moves_at = np.stack([marks @ moves[:, :, x].T for x in range(3)], 2).transpose(1, 0, 2)
    turn, weights = np.eye(3), np.zeros(len(moves))
    shift = np.zeros(3)
    precision = np.concatenate([np.full(6, 1e-8), np.full(len(moves), WEIGHT_SD**-2)])
    for reach in (None, None, *REACH):
        face = v + np.tensordot(weights, moves, 1)
        now = face @ turn.T + shift
        centre = now.mean(0)
        columns = _columns(np.asarray(marks @ now) - centre, moves_at @ turn.T)
        flat = columns.transpose(0, 2, 1).reshape(-1, columns.shape[1])
        residual = (wanted - marks @ now).ravel()
        left = flat.T @ flat / LANDMARK_SD**2 + np.diag(precision)
        right = flat.T @ residual / LANDMARK_SD**2
        right[6:] -= precision[6:] * weights
        if reach is not None:
            near = counterparts(scan, now, faces)
            use = np.flatnonzero(near.good & (near.distance < reach))
            area = template.area[use] / PATCH / SURFACE_SD**2
            area = area / (1 + (near.distance[use] / (reach / 2)) ** 2) ** 2
            seen = _columns(now[use] - centre, moves[:, use] @ turn.T)
            across = np.einsum("vcx,vx->vc", seen, near.normal[use])
            off = np.sum((near.point[use] - now[use]) * near.normal[use], 1)
            left = left + across.T @ (across * area[:, None])
            right = right + across.T @ (area * off)
        step = bounded(left, right, LEAST - weights, MOST - weights)
        weights = weights + step[6:]
        spun = _rotation(step[3:6])
        # The shift moves the centre; turns are about it.
        turn, shift = spun @ turn, spun @ (shift - centre) + centre + step[:3]
    return np.asarray((v + np.tensordot(weights, moves, 1)) @ turn.T + shift)


def _columns(arms: Float, moves: Float) -> Float:
    """(n, 6 + B, 3) how shift, small turns and weights move points."""
    out = np.zeros((len(arms), 6 + len(moves), 3))
    for x in range(3):
        out[:, x, x] = 1
        axis = np.zeros(3)
        axis[x] = 1
        out[:, 3 + x] = np.cross(axis, arms)
    out[:, 6:] = moves.transpose(1, 0, 2)
    return out


def _rotation(vector: Float) -> Float:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(vector).as_matrix())


def bounded(left: Float, right: Float, low: Float, high: Float) -> Float:
    """The minimum of ``x' left x / 2 - right x`` with all but the first six within bounds."""
    from scipy.optimize import lsq_linear

    if not len(low):
        return np.asarray(np.linalg.solve(left, right))
    root = np.linalg.cholesky(left).T
    free = np.full(6, np.inf)
    limits = (np.concatenate([-free, low]), np.concatenate([free, high]))
    return np.asarray(lsq_linear(root, np.linalg.solve(root.T, right), limits, method="bvls").x)
