"""Basel Face Model 2009 (``01_MorphableModel.mat``).

``shapeMU (3V, 1)`` in micrometres, orthonormal ``shapePC (3V, 199)``, standard deviations
``shapeEV (199, 1)``, and ``tl (F, 3)``: triangles from 1, clockwise [1]_. 53,490 vertices; no
expressions.

References
----------
.. [1] Paysan et al., "A 3D Face Model for Pose and Illumination Invariant Face Recognition",
   AVSS 2009.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synth.morphable.importers.matlab import read_mat
from synth.morphable.importers.raw import Raw, refuse, scaled_modes, shipped_map

__all__ = ["read"]

VERTICES = 53490
KEYS = ("shapeMU", "shapePC", "shapeEV", "tl")


def read(path: Path) -> Raw:
    """The shape model of the ``.mat`` file."""
    found = read_mat(path, KEYS, "the Basel Face Model 2009")
    mean = found["shapeMU"].reshape(-1, 3).astype(np.float64)
    sigma = found["shapeEV"].ravel().astype(np.float64)
    basis, faces = found["shapePC"], found["tl"].astype(np.int64)
    if basis.shape != (mean.size, len(sigma)) or faces.ndim != 2 or faces.shape[1] != 3:
        raise refuse(
            path,
            f"shapePC ({mean.size}, {len(sigma)}) and tl (F, 3)",
            f"{basis.shape}, {faces.shape}",
        )
    landmarks, source = shipped_map("bfm2009") if len(mean) == VERTICES else (None, "")
    return Raw(
        name="bfm2009",
        version="2009",
        licence="non-commercial research (Basel Face Model licence)",
        source="https://faces.dmi.unibas.ch/bfm/",
        mean=mean,
        faces=faces[:, [0, 2, 1]] - 1,
        modes=scaled_modes(basis, sigma, len(mean)),
        sigma=sigma,
        unit=1e-3,
        files={path.name: path},
        landmarks=landmarks,
        landmark_source=source,
    )
