"""Small smooth bumps of the surface that no identity mode describes.

A morphable model of a few dozen modes misses every face by a percent or two of the
inter-ocular distance. What it misses is smooth: a Gaussian process over the mesh with
independent bumps along x and y [1]_, of which the largest eigenfunctions are kept. The
picture tells nothing of bumps along the view, so that there are none along z.

References
----------
.. [1] Luethi et al., "Gaussian Process Morphable Models", TPAMI 2018, sec. 3.3 (augmenting a
   statistical model with a smooth one) and 4 (Nystroem's low-rank approximation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.morphable.surface import outer_surface
from synth.types import inter_ocular

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["local_modes"]

#: Standard deviation and reach of a bump, shares of the inter-ocular distance.
DEVIATION, REACH = 0.010, 0.135
#: Eigenfunctions for each axis, and places they are worked out at.
KEPT, PLACES = 60, 400
#: How far behind the frontmost point the face reaches, share of the inter-ocular distance.
DEPTH = 0.9


def local_modes(model: MorphableModel) -> NDArray[np.float32]:
    """(2 * KEPT, V, 3) float32 bumps along x, then along y, mm per standard deviation.

    They fade out away from the face.

    Parameters
    ----------
    model : MorphableModel
        Its parts tell skin and lips.
    """
    unit = inter_ocular(model.landmarks(model.mean))
    skin, _ = outer_surface(model)
    front = skin[model.mean[skin, 2] > model.mean[:, 2].max() - DEPTH * unit]
    chosen = np.random.default_rng(0).choice(front, min(PLACES, len(front)), replace=False)
    places = model.mean[chosen]

    def kernel(at: NDArray[np.float64]) -> NDArray[np.float64]:
        square = ((at[:, None] - places[None]) ** 2).sum(2)
        return np.asarray(np.exp(-square / (2 * (REACH * unit) ** 2)))

    values, vectors = np.linalg.eigh(kernel(places))
    count = min(KEPT, len(places))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    bumps = (kernel(model.mean) @ vectors / np.sqrt(values) * DEVIATION * unit).T
    modes = np.zeros((2 * count, model.n_vertices, 3), np.float32)
    modes[:count, :, 0] = modes[count:, :, 1] = bumps
    return modes
