"""Registrations that are unlike all the others: what passed alone may still have failed.

As LSFM does [1]_: shapes are seen in their own principal components, and those with an
improbable distance from the middle are thrown out. Medians and deviations from them stand for
means and variances, so that the failures do not decide what is normal.

References
----------
.. [1] Booth, Roussos, Zafeiriou, Ponniah & Dunaway, "A 3D Morphable Model Learnt from 10,000
   Faces", CVPR 2016, section 4.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FEWEST", "THRESHOLD", "outlier_scores"]

#: Fewer shapes do not tell what is normal.
FEWEST = 20
#: Scores above are failures; ordinary faces stay below 2.2, frames of only four people below 4.5.
THRESHOLD = 5.0
#: Share of the variance in the components.
KEPT = 0.95
#: Deviations of this root mean square, mm, are usual however small the others' are.
USUAL = 0.25
#: Share of the shapes, the nearest ones, that say how large deviations are.
CENTRAL = 0.95
#: Rounds of leaving out and looking again.
ROUNDS = 3


def outlier_scores(shapes: ArrayLike) -> NDArray[np.float64]:
    """How far each shape is from the others, in robust standard deviations; about 1 is usual.

    Parameters
    ----------
    shapes : (N, D) float
        Coordinates of the same points in one frame.

    Returns
    -------
    (N,) float64
        Root mean square over components and what they leave, the larger of both; zeros for
        fewer than `FEWEST` shapes.
    """
    x = np.asarray(shapes, np.float64)
    if len(x) < FEWEST:
        return np.zeros(len(x))
    x = x - np.median(x, 0)
    inside = np.ones(len(x), bool)
    scores = np.zeros(len(x))
    for _ in range(ROUNDS):
        values, vectors = np.linalg.eigh(x[inside].T @ x[inside])
        share = np.cumsum(values[::-1]) / max(values.sum(), 1e-300)
        # With few shapes, fewer components: each must be known from several.
        count = min(int(np.searchsorted(share, KEPT)) + 1, max(1, int(inside.sum()) // 4))
        basis = vectors[:, ::-1][:, :count]
        z = x @ basis
        # A median alone is blind to faces that come in clusters, such as frames of few people.
        size = np.sort(np.abs(z[inside]), 0)
        central = size[: max(1, int(CENTRAL * len(size)))]
        spread = np.maximum(1.4826 * np.median(size, 0), np.sqrt(np.mean(central**2, 0)))
        spread = np.maximum(spread, USUAL * np.sqrt(x.shape[1]))
        within = np.sqrt(np.mean((z / spread) ** 2, 1))
        rest = np.sqrt(np.mean((x - z @ basis.T) ** 2, 1))
        scores = np.maximum(
            within / max(float(np.median(within[inside])), 0.5),
            rest / max(float(np.sqrt(np.mean(np.sort(rest[inside])[: len(central)] ** 2))), USUAL),
        )
        inside = scores <= 2 * THRESHOLD  # generous, or heavy tails would be eaten up
    return scores
