"""GANmut's losses.

The critic is Wasserstein's with a gradient penalty [2]_. What asks for the expression,
the code and the intensity follows the authors' code [1]_.

References
----------
.. [1] d'Apolito, Paudel, Huang, Romero & Van Gool, "GANmut: Learning interpretable
   conditional space for gamut of emotions", CVPR 2021; ``core/solver.py`` of
   github.com/stefanodapolito/GANmut.
.. [2] Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, "Improved training of Wasserstein
   GANs", NeurIPS 2017, equation 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

__all__ = [
    "certainty",
    "class_loss",
    "code_loss",
    "critic_loss",
    "gradient_penalty",
    "membership_loss",
    "reconstruction_loss",
    "strength_loss",
]

Tensor = Any


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean score of fakes less that of real pictures; the generator's is ``-fake.mean()``."""
    return fake.mean() - real.mean()


def gradient_penalty(
    score: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor
) -> Tensor:
    """Mean squared distance from 1 of the gradient's norm, between real and fake [2]_.

    Parameters
    ----------
    score : callable
        The critic's scores, of any number a picture; they are summed.
    real, fake : (N, C, H, W) float
    share : (N,) float
        Of the real picture, 0 to 1.
    """
    mixed = torch.lerp(fake.detach(), real.detach(), share[:, None, None, None])
    mixed.requires_grad_(True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(score(mixed).sum(), mixed, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def class_loss(logits: Tensor, labels: Tensor, classified: Tensor) -> Tensor:
    """Cross entropy of those (N, C) logits whose code belongs to a class; 0 without any."""
    if not bool(classified.any()):
        return logits.sum() * 0
    return functional.cross_entropy(logits[classified], labels[classified])


def code_loss(guessed: Tensor, codes: Tensor) -> Tensor:
    """Mean squared difference of (N, 2) codes."""
    return functional.mse_loss(guessed, codes)


def certainty(logits: Tensor) -> Tensor:
    """(N,) probability of the likeliest class of (N, C) logits."""
    return functional.softmax(logits, dim=1).amax(dim=1)


def strength_loss(logits: Tensor, rho: Tensor, least: float = 0.2) -> Tensor:
    """Mean squared difference between certainty and intensity, where that exceeds `least`.

    How sure the critic is of an expression shall grow as its intensity; neutral, with
    intensities of at most 0.2, is left out.

    Parameters
    ----------
    logits : (N, C) float
    rho : (N,) float
    least : float
    """
    asked = (rho > least).to(logits.dtype)
    error = (certainty(logits) - rho) ** 2
    return (error * asked).sum() / asked.sum().clamp(min=1)


def membership_loss(logits: Tensor, log_membership: Tensor) -> Tensor:
    """Both Kullback-Leibler divergences between guessed and given class probabilities.

    Parameters
    ----------
    logits : (N, C) float
        Of the critic.
    log_membership : (N, C) float
        Logarithms of what the Gaussian space says of the codes.
    """
    guessed = functional.log_softmax(logits, dim=1)
    there = functional.kl_div(guessed, log_membership, reduction="batchmean", log_target=True)
    back = functional.kl_div(log_membership, guessed, reduction="batchmean", log_target=True)
    return there + back


def reconstruction_loss(real: Tensor, back: Tensor) -> Tensor:
    """Mean absolute difference."""
    return functional.l1_loss(back, real)
