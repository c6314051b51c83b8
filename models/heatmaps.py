"""Landmark heatmaps, and the loss that trains the time-dependent heatmap network.

The network H(x, t) of equation 6 [1]_ finds the 68 points in pictures that carry the
noise of time t: at late times it can only answer with where points usually are.

References
----------
.. [1] Luo et al., NFER-SDE, AAAI 2024.
"""

from __future__ import annotations

from typing import Any

import torch

from synth.errors import ShapeError
from synth.models import sde

__all__ = ["WIDTH", "heatmap_loss", "heatmaps", "peaks"]

Tensor = Any

#: Standard deviation of a point's Gaussian as a share of the picture's side (our choice).
WIDTH = 0.03


def heatmaps(points: Tensor, size: int, patch: int = 1, width: float = WIDTH) -> Tensor:
    """Gaussians of height 1 at points.

    Parameters
    ----------
    points : (N, K, 2) float
        Pixels of a picture of side `size`, (0, 0) the centre of the first.
    size, patch : int
        The maps have side ``size / patch``.
    width : float
        Standard deviation as a share of the side.

    Returns
    -------
    (N, K, S, S)
        Of the type of `points`. Points outside leave what reaches in.
    """
    if points.ndim != 3 or points.shape[2] != 2:
        raise ShapeError(f"points: expected (N, K, 2), got {tuple(points.shape)}")
    side = size // patch
    at = torch.arange(side, dtype=points.dtype, device=points.device)
    centers = (points + 0.5) / patch - 0.5
    across, down = (
        torch.exp(-0.5 * ((at - centers[..., axis, None]) / (width * side)) ** 2) for axis in (0, 1)
    )
    return down[..., :, None] * across[..., None, :]


def peaks(maps: Tensor, patch: int = 1) -> Tensor:
    """(N, K, 2) places of the highest values of maps (N, K, S, S), in picture pixels.

    To a fraction of a pixel, by the Gaussian through the peak and its neighbours.
    """
    n, k, h, w = maps.shape
    best = maps.flatten(2).argmax(2)
    places = []
    for at, side, jump in ((best % w, w, 1), (best // w, h, w)):
        inner = at.clamp(1, side - 2)
        middle = best + (inner - at) * jump
        logs = [
            maps.flatten(2).gather(2, (middle + d * jump)[..., None])[..., 0].clamp(min=1e-6).log()
            for d in (-1, 0, 1)
        ]
        bend = (logs[0] - 2 * logs[1] + logs[2]).clamp(max=-1e-6)
        offset = (0.5 * (logs[0] - logs[2]) / bend).clamp(-1, 1)
        places.append(inner + offset)
    return (torch.stack(places, 2) + 0.5) * patch - 0.5


def heatmap_loss(net: Any, x0: Tensor, target: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """Squared error of H(x_t, t), summed over a map and averaged over points and images.

    Parameters
    ----------
    net : HeatmapNet
    x0, z : (N, C, S, S)
        Pictures in [-1, 1] and standard normal noise.
    target : (N, 68, s, s)
        Their heatmaps.
    t : (N,)
    """
    error = net(sde.perturb(x0, t, z), t) - target
    return (error**2).sum((2, 3)).mean()
