"""The two energies that guide the reverse SDE, and their gradients.

* landmark heatmaps (equation 6 [1]_): ``E_h = |H(x_t, t) - h(c)|^2``, the network's
  heatmaps of the noised picture against those of the condition's points;
* high frequencies (equation 7 [1]_): ``E_f = |F(x_t) - F(c_t)|^2`` with a high-pass F.

Energies are summed over pixels (E_h averaged over the 68 points), so that a weight
means the same at every size. With the paper's weights of 100 and 0.5 the guidance is
then about a tenth of the score in the middle of time; the paper's own norms are not
known to us. ``c_t`` is the condition with the noise that the score sees in ``x_t``, so
that E_f compares the high frequencies of the expected picture and of the condition; the
choice of this noise is ours.

References
----------
.. [1] Luo et al., NFER-SDE, AAAI 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from synth.models.filters import highpass, luminance

__all__ = ["gradient", "heatmap_energy", "highpass_energy"]

Tensor = Any


def heatmap_energy(net: Any, x: Tensor, t: Tensor, target: Tensor) -> Tensor:
    """(N,) E_h of noised pictures.

    Parameters
    ----------
    net : (x_t, t) -> (N, 68, s, s)
        The heatmap network.
    x : (N, C, S, S)
        ``x_t``.
    t : (N,)
    target : (N, 68, s, s)
        Heatmaps of the condition's points.
    """
    return ((net(x, t) - target) ** 2).sum((2, 3)).mean(1)


def highpass_energy(x: Tensor, reference: Tensor) -> Tensor:
    """(N,) E_f of noised pictures `x` and the condition at the same noise.

    Both (N, C, S, S); of colour only the luminance counts.
    """
    difference = highpass(luminance(x) - luminance(reference))
    return (difference**2).sum((1, 2, 3))


def gradient(energy: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of every picture's own energy at `x`, of the shape of `x`.

    Parameters
    ----------
    energy : (N, ...) -> (N,)
        In which an image's energy depends on that image only.
    x : (N, ...)
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        (found,) = torch.autograd.grad(energy(x).sum(), x)
    return found
