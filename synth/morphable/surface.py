"""What a scanner sees of a morphable model: skin and lips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synth.morphable.model import MorphableModel

__all__ = ["OUTSIDE", "outer_surface", "outside"]

#: Parts that a scan of a face shows with their shape.
OUTSIDE = ("skin", "lips")


def outer_surface(model: MorphableModel) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Vertices of skin and lips, and the triangles between them, numbered anew.

    Openings of eyes and mouth stay holes.

    Returns
    -------
    vertices : (n,) int64
        In rising order.
    faces : (F, 3) int32
        Indices into `vertices`.
    """
    vertices, faces = np.unique(model.faces[outside(model)], return_inverse=True)
    return vertices.astype(np.int64), faces.reshape(-1, 3).astype(np.int32)


def outside(model: MorphableModel) -> NDArray[np.bool_]:
    """(F,) triangles of skin and lips."""
    rows = [k for k, name in enumerate(model.part_names) if name in OUTSIDE]
    return np.isin(model.parts, rows)
