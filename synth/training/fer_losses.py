"""Losses of face readers; faces without the label in question count for nothing.

References
----------
.. [1] Lin, "A Concordance Correlation Coefficient to Evaluate Reproducibility",
   Biometrics 1989.
.. [2] Kalabis, "Facial expression analysis from NIR image", diploma thesis, CTU Prague
   2024: valence and arousal brought from [-1, 1] to [0, 1] and learnt with cross-entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from synth.recognition.faces import UNLABELLED
from synth.shares import parse_shares

__all__ = [
    "VA_LOSSES", "ccc_loss", "class_loss", "class_weights", "cross_entropy_va", "mse_loss",
    "parse_losses", "va_loss",
]  # fmt: skip

Tensor = Any
_EPS = 1e-6


def _labelled(
    estimate: Tensor, target: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with a label, and their weights (n, 1) of sum 1."""
    known = torch.isfinite(target).all(1)
    weight = torch.ones_like(target[:, 0]) if weight is None else weight
    chosen = weight[known][:, None]
    return estimate[known], target[known], chosen / chosen.sum().clamp_min(_EPS)


def mse_loss(estimate: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean of the squared differences of valence and arousal.

    Parameters
    ----------
    estimate, target : (N, 2) tensor
        Targets are NaN where there is no label.
    weight : (N,) tensor, optional

    Returns
    -------
    () tensor
        0 where nothing is labelled.
    """
    e, t, w = _labelled(estimate, target, weight)
    return (w * (e - t) ** 2).sum() / 2


def ccc_loss(estimate: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """One minus the concordance correlation within the batch [1]_, mean of both axes.

    Moments are those of the batch itself (divided by N, not N - 1). Targets that are all
    alike have nothing to agree about: their axis counts 1 at most places and has no pull
    beyond the means'. Parameters as of `mse_loss`.

    Returns
    -------
    () tensor
        0 (agreement) to 2; 0 where fewer than two faces are labelled.
    """
    e, t, w = _labelled(estimate, target, weight)
    if len(e) < 2:
        return e.sum() * 0
    e_mean, t_mean = (w * e).sum(0), (w * t).sum(0)
    covariance = (w * (e - e_mean) * (t - t_mean)).sum(0)
    spread = (w * (e - e_mean) ** 2).sum(0) + (w * (t - t_mean) ** 2).sum(0)
    return (1 - 2 * covariance / (spread + (e_mean - t_mean) ** 2 + _EPS)).mean()


def cross_entropy_va(estimate: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of valence and arousal brought to [0, 1] [2]_.

    With ``p = (estimate + 1) / 2`` and ``q = (target + 1) / 2``:
    ``-q log p - (1 - q) log(1 - p)``, mean of both axes. Its least value is the entropy of
    ``q``, not 0; against tanh outputs its gradient does not fade at the ends, where that of
    `mse_loss` does. Parameters and result as of `mse_loss`.
    """
    e, t, w = _labelled(estimate, target, weight)
    p, q = ((e + 1) / 2).clamp(_EPS, 1 - _EPS), (t + 1) / 2
    return (w * -(q * p.log() + (1 - q) * (1 - p).log())).sum() / 2


#: Name -> loss of valence and arousal.
VA_LOSSES = {"mse": mse_loss, "ccc": ccc_loss, "cross-entropy": cross_entropy_va}


def parse_losses(text: str) -> dict[str, float]:
    """Weights of `VA_LOSSES` by name, of ``"mse:1,ccc:0.5"``; a name alone has weight 1.

    Raises
    ------
    UsageError
        For an unknown name, a weight that is none, or none above 0.
    """
    return parse_shares(text, VA_LOSSES, "loss", "mse:1,ccc:1")


def va_loss(
    losses: Mapping[str, float], estimate: Tensor, target: Tensor, weight: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum of the losses by weight, and each without it."""
    parts = {name: VA_LOSSES[name](estimate, target, weight) for name in losses}
    total = sum((losses[name] * value for name, value in parts.items()), estimate.sum() * 0)
    return total, parts


def class_loss(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy of the classes, weighted by class; 0 where nothing is labelled.

    Parameters
    ----------
    logits : (N, C) tensor
    label : (N,) int64 tensor
        `UNLABELLED` counts for nothing.
    weight : (C,) tensor, optional
    """
    total = functional.cross_entropy(
        logits, label, weight, ignore_index=UNLABELLED, reduction="sum"
    )
    known = label[label != UNLABELLED]
    share = known.new_ones(known.shape, dtype=logits.dtype) if weight is None else weight[known]
    return total / share.sum().clamp_min(_EPS)


def class_weights(label: Tensor, count: int) -> Tensor:
    """(count,) float32 weights by inverse frequency, ``n / (classes present * n of class)``.

    All classes that are there weigh the same in total; the mean over the labelled faces is
    1. Classes that are not there weigh 0.

    Parameters
    ----------
    label : (N,) int64 tensor
        `UNLABELLED` is left out.
    count : int
        Of classes.
    """
    known = label[label != UNLABELLED]
    frequency = torch.bincount(known.cpu(), minlength=count).float()
    present = (frequency > 0).sum().clamp_min(1)
    weights = len(known) / (present * frequency.clamp_min(1))
    return torch.where(frequency > 0, weights, torch.zeros_like(weights))
