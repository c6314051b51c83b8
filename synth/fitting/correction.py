"""Move the fitted face so that its landmarks lie exactly on those of the photo.

A thin-plate spline through what the fit left over, held at zero around the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ThinPlateSpline", "residual_field", "thin_plate_spline"]

Float = NDArray[np.float64]

#: Coincident when the lips are closed: one control point each in the residual field.
INNER_LIP_PAIRS = ((61, 67), (62, 66), (63, 65))


def thin_plate_spline(points: Float, values: Float, smoothing: float) -> ThinPlateSpline:
    """The smooth function through `values` (n, 2) at `points` (n, 2).

    Solves ``(K + smoothing I) w + P a = values, P.T w = 0`` with ``K = r^2 log r``
    and ``P = (1, x, y)`` [1]_; 0 interpolates.

    References
    ----------
    .. [1] Bookstein, "Principal Warps: Thin-Plate Splines and the Decomposition of
       Deformations", TPAMI 1989; smoothing after Wahba, "Spline Models", 1990.
    """
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _plate(points, points) + smoothing * np.eye(n)
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1 :] = points
    system[n + 1 :, :n] = points.T
    right = np.concatenate((values, np.zeros((3, 2))))
    solution = np.asarray(np.linalg.solve(system, right), np.float64)
    return ThinPlateSpline(points, solution[:n], solution[n:])


def _plate(at: Float, points: Float) -> Float:
    """(m, n) kernel ``r^2 log r`` between two sets of points."""
    square = (at[:, :1] - points[:, 0]) ** 2 + (at[:, 1:] - points[:, 1]) ** 2
    return np.asarray(0.5 * square * np.log(np.maximum(square, 1e-300)))


@dataclass(frozen=True)
class ThinPlateSpline:
    """A smooth 2-D field; call it with points (m, 2).

    Attributes
    ----------
    points : (n, 2) float64
    weights : (n, 2) float64
    affine : (3, 2) float64
        Of ``(1, x, y)``.
    """

    points: Float
    weights: Float
    affine: Float

    def __call__(self, at: Float) -> Float:
        """(m, 2) values at `at` (m, 2)."""
        out = self.affine[0] + at @ self.affine[1:]
        for i in range(0, len(at), 256):  # blocks that stay in the cache are six times as fast
            out[i : i + 256] += _plate(at[i : i + 256], self.points) @ self.weights
        return np.asarray(out)


def residual_field(source: Float, target: Float, iod: float, noise: float = 0.0) -> ThinPlateSpline:
    """A smooth 2-D displacement that moves model landmarks onto the photo's.

    A thin-plate spline through the 68 residuals, held at zero
    on a ring around the face. Inner-lip pairs that coincide in a closed mouth
    share one control point, or the spline would fold the lips into steps; jaw
    and brow residuals count half, since they are mostly landmark noise.

    Parameters
    ----------
    source, target : (68, 2) float64
        Projected model landmarks and photo landmarks, pixels.
    iod : float
        Inter-ocular distance, pixels.
    noise : float
        How far landmarks err, share of the inter-ocular distance. A residual r counts
        ``r^2 / (r^2 + noise^2)``, as in Wiener's filter: what may be an error is not followed,
        what cannot be one is, and no landmark stays farther off than half of `noise`.
    """
    source, target = source.copy(), target.copy()
    keep = np.ones(68, bool)
    for upper, lower in INNER_LIP_PAIRS:
        if np.linalg.norm(target[upper] - target[lower]) < 0.06 * iod:
            target[upper] = (target[upper] + target[lower]) / 2
            source[upper] = (source[upper] + source[lower]) / 2
            keep[lower] = False
    move = target - source
    move[:17] *= 0.5
    move[17:27] *= 0.8
    if noise:
        square = ((target - source) ** 2).sum(1, keepdims=True)
        move = move * (square / (square + (noise * iod) ** 2))
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    middle = (source[36] + source[45] + source[8] + source[8]) / 4
    axis = source[45] - source[36]
    # The ring turns with the head, so that a mirrored photo gets the mirrored ring.
    unit = axis / np.linalg.norm(axis)
    normal = np.array([-unit[1], unit[0]])
    ring = middle + 1.9 * iod * (np.outer(np.sin(angle), unit) + np.outer(np.cos(angle), normal))
    return thin_plate_spline(
        np.concatenate((source[keep], ring)) / iod,
        np.concatenate((move[keep], np.zeros((16, 2)))),
        smoothing=1e-4,
    )
