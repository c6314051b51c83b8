"""The photo's light: first-order spherical harmonics on the skin, and relighting ratios.

Luminance of diffuse skin is close to linear in the surface normal for a distant
light (Basri & Jacobs, TPAMI 2003; the first four harmonics). The ratio of the
model's luminance for the deformed and the neutral normal relights the photo's
own pixels (quotient image; Shashua & Riklin-Raviv, TPAMI 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Light", "fit_light", "relight"]

Float = NDArray[np.float64]
LUMA = np.array([0.299, 0.587, 0.114])
#: Limits of the relighting ratio; beyond them cheeks turn orange (RENDERING.md).
DARKEST, BRIGHTEST = 0.72, 1.16


@dataclass(frozen=True)
class Light:
    """First-order light of one photo.

    Attributes
    ----------
    ambient : float
        Luminance (0-255) independent of the normal.
    direction : (3,) float64
        Added luminance per unit of the normal's x, y, z in model space.
    skin : (3,) float64
        Median RGB of the lit skin.
    level : float
        95th percentile of skin luminance: how bright a white thing would be.
    """

    ambient: float
    direction: Float
    skin: Float
    level: float


def fit_light(photo: NDArray[np.uint8], position: Float, normals: Float, weight: Float) -> Light:
    """The light that explains the skin's luminance.

    Parameters
    ----------
    photo : (H, W, 3) uint8
    position : (N, 2) float64
        Pixels of skin points.
    normals : (N, 3) float64
        Unit, model space.
    weight : (N,) float64
        0 leaves a point out.
    """
    height, width = photo.shape[:2]
    x, y = position.T.astype(np.float32)
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1) & (weight > 0)
    if inside.sum() < 20:
        return Light(128.0, np.zeros(3), np.array([150.0, 120.0, 105.0]), 150.0)
    colours = cv2.remap(photo, x[inside, None], y[inside, None], cv2.INTER_LINEAR)[:, 0].astype(
        float
    )
    luminance = colours @ LUMA
    basis = np.column_stack((np.ones(inside.sum()), normals[inside]))
    robust = weight[inside].copy()
    ridge = np.diag([0.0, 1.0, 1.0, 1.0]) * 1e-3 * len(luminance)
    solution = np.zeros(4)
    for _ in range(5):  # hair, brows and beard are outliers
        normal = (basis * robust[:, None]).T @ basis + ridge
        solution = np.linalg.solve(normal, (basis * robust[:, None]).T @ luminance)
        error = luminance - basis @ solution
        robust = weight[inside] / (1 + (error / 25.0) ** 2)
    lit = robust > np.median(robust)
    return Light(
        ambient=float(solution[0]),
        direction=solution[1:],
        skin=np.median(colours[lit], axis=0),
        level=float(np.percentile(luminance[lit], 95)),
    )


def relight(light: Light, before: Float, after: Float, guard: Float) -> Float:
    """(N,) ratio of luminance after and before a change of normals.

    Parameters
    ----------
    light : Light
    before, after : (N, 3) float64
        Unit normals, model space.
    guard : (N,) float64
        1 where relighting is trusted, 0 where it must not act (lids, rim).
    """
    floor = 0.15 * max(light.level, 1.0)
    old = np.maximum(light.ambient + before @ light.direction, floor)
    new = np.maximum(light.ambient + after @ light.direction, floor)
    return 1 + guard * (np.clip(new / old, DARKEST, BRIGHTEST) - 1)
