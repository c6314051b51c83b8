"""Faces of people who are not there: landmarks moved by how the people of a set differ.

A set made of few people teaches a reader their mouths along with their smiles: a stranger
whose mouth turns up at rest is then read as pleased. Where the landmarks of the expressions
``s = n_i + d`` of person ``i`` are known, so are those of a stranger of the same
expression, ``s + sum_j w_j (n_j - mean n)`` with normal ``w``: neutral shapes drawn from the
Gaussian that the people of the set span. Measured on people left out of generation, 30 in
three folds: AUC of smiling against neutral photos .93 without, .97 with it
(docs/fer_results.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from synth.recognition.faces import CLASSES, FaceSet

__all__ = ["draw_identities", "neutral_shapes"]

Tensor = Any
#: A face is nearly neutral below this distance from the origin of the circumplex.
NEAR = 0.25
NEUTRAL = CLASSES.index("neutral")


def neutral_shapes(faces: FaceSet, points: Tensor) -> Tensor | None:
    """(K, 68, 2) neutral landmarks of K people, less their mean; None for fewer than two.

    Parameters
    ----------
    faces : FaceSet
        Nearly neutral are those named so, and those with an affect below `NEAR`.
    points : (N, 68, 2) tensor
        Of the faces; of any unit, which is the result's too. Faces with NaN are left out.
    """
    near = (faces.label == NEUTRAL) | (np.hypot(*faces.va.T) < NEAR)
    near &= np.isfinite(points.cpu().numpy()).all((1, 2))
    people = np.array(faces.subjects)
    shapes = [
        points[torch.from_numpy(np.flatnonzero(near & (people == person)))].mean(0)
        for person in sorted(set(people[near].tolist()) - {""})
    ]
    if len(shapes) < 2:
        return None
    stacked = torch.stack(shapes)
    return stacked - stacked.mean(0)


def draw_identities(count: int, shapes: Tensor, strength: float, rng: torch.Generator) -> Tensor:
    """(count, 68, 2) displacements: normal, with `strength` times the people's covariance."""
    weights = torch.randn(count, len(shapes), generator=rng) * strength / len(shapes) ** 0.5
    return torch.einsum("nk,kpd->npd", weights.to(shapes), shapes)
