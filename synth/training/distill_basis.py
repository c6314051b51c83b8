"""What an expression does to faces on the whole, fitted in closed form.

Principal components of the teacher's motion, shading and mouths, and a ridge regression
of their coefficients on the features of the code. On people left out of the fit, the code
alone explains two thirds of the motion this way; the network starts from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.models.editor import EditorNet, code_features
from synth.training.distill_pairs import Pairs

__all__ = ["fit_basis"]

#: Pairs that components are taken from, at most.
MOST = 2000
#: Ridge, in squared lengths of the features; and the least rho that motion is divided by.
RIDGE, LEAST = 0.1, 0.1


def fit_basis(net: EditorNet, pairs: Pairs, seed: int = 0) -> None:
    """Set the mean face and every `Basis` of a network from pairs, in place.

    Parameters
    ----------
    net : EditorNet
    pairs : Pairs
    seed : int
        Chooses the pairs where there are more than 2000.
    """
    net.shape.copy_(torch.from_numpy(pairs.shape))
    rows = np.arange(len(pairs))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng([seed, 3]).choice(len(rows), MOST, replace=False))
    code = pairs.code[rows]
    theta, rho = torch.from_numpy(np.radians(code[:, 0])), torch.from_numpy(code[:, 1].copy())
    features = code_features(theta, rho).numpy().astype(np.float64)
    strength = np.maximum(code[:, 1], LEAST)[:, None, None, None]
    motion = np.moveaxis(pairs.flow[rows].astype(np.float32), -1, 1)
    _fit(net.motion, motion / strength, features)
    _fit(net.shading, pairs.gain[rows][:, None].astype(np.float32) / strength, features)
    mouth = pairs.mouth[rows].astype(np.float32) / 255
    count, height, width = mouth.shape[:3]
    fine = net.config.detail
    small = mouth.reshape(count, height // fine, fine, width // fine, fine, 4).mean((2, 4))
    small = np.concatenate([small[..., 3:], 2 * small[..., :3] - 1], -1)
    _fit(net.inside, np.moveaxis(small, -1, 1), features)


def _fit(basis: Any, pictures: NDArray[np.floating], features: NDArray[np.float64]) -> None:
    flat = np.ascontiguousarray(pictures, np.float32).reshape(len(pictures), -1)
    # The small Gram matrix has the singular vectors that are wanted.
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    count = min(len(basis.pictures), len(flat))
    largest = np.argsort(values)[::-1][:count]
    components = vectors[:, largest].T @ flat
    length = np.linalg.norm(components, axis=1, keepdims=True)
    components = np.where(length > 1e-6, components / np.maximum(length, 1e-6), 0.0)
    square = features.T @ features + RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(square, features.T @ (flat @ components.T))
    with torch.no_grad():
        basis.pictures[:count] = torch.from_numpy(components).reshape(count, *pictures.shape[1:])
        basis.weights[:count] = torch.from_numpy(weights.T)
