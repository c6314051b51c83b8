"""The variance preserving SDE: drift, diffusion, marginal, prior, loss, reverse sampler.

Pure functions on tensors, named as in the paper [1]_. Time runs from 0 (the data) to
1 (noise) with the linear schedule ``beta(t) = 0.1 + 19.9 t``:

    forward   dx = -beta/2 x dt + sqrt(beta) dw         x_t = alpha(t) x_0 + sigma(t) z
    reverse   dx = (drift - diffusion^2 score) dt + diffusion dw

Guided by an energy E the score is replaced by ``score - grad E`` [2]_ [3]_.

References
----------
.. [1] Song et al., "Score-based generative modeling through stochastic differential
   equations", ICLR 2021 (equations 6 and 11, appendix B and C).
.. [2] Zhao et al., "EGSDE: Unpaired image-to-image translation via energy-guided
   stochastic differential equations", NeurIPS 2022.
.. [3] Luo et al., "Multi-energy guided image translation with stochastic differential
   equations for near-infrared facial expression recognition" (NFER-SDE), AAAI 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from synth.errors import UsageError

__all__ = [
    "BETA_MAX",
    "BETA_MIN",
    "alpha",
    "beta",
    "denoised",
    "denoising_loss",
    "diffusion",
    "drift",
    "marginal",
    "normal_like",
    "perturb",
    "prior",
    "reverse_sample",
    "reverse_step",
    "sigma",
    "times",
]

Tensor = Any
Score = Callable[[Tensor, Tensor], Tensor]

#: Ends of the linear noise schedule, those of [1]_.
BETA_MIN, BETA_MAX = 0.1, 20.0
#: Where sampling ends: the last step takes the expected image at this time.
LAST = 1e-3


def _fit(t: Tensor, x: Tensor) -> Tensor:
    """Times (N,) shaped to be multiplied with (N, ...)."""
    return t.reshape(-1, *[1] * (x.ndim - 1))


def beta(t: Tensor) -> Tensor:
    """Noise added per unit of time, linear in `t`."""
    return BETA_MIN + t * (BETA_MAX - BETA_MIN)


def _log_alpha(t: Tensor) -> Tensor:
    return -0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN


def alpha(t: Tensor) -> Tensor:
    """Share of the data in ``x_t``: the mean of the marginal is ``alpha(t) x_0``."""
    return torch.exp(_log_alpha(t))


def sigma(t: Tensor) -> Tensor:
    """Standard deviation of the marginal; ``alpha^2 + sigma^2 = 1``."""
    return torch.sqrt(-torch.expm1(2 * _log_alpha(t)))


def drift(x: Tensor, t: Tensor) -> Tensor:
    """``-beta(t) x / 2`` for `x` (N, ...) and `t` (N,)."""
    return -0.5 * _fit(beta(t), x) * x


def diffusion(t: Tensor) -> Tensor:
    """``sqrt(beta(t))``."""
    return torch.sqrt(beta(t))


def marginal(x0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N, ...) and standard deviation (N, 1, ...) of ``x_t`` given ``x_0``."""
    return _fit(alpha(t), x0) * x0, _fit(sigma(t), x0)


def perturb(x0: Tensor, t: Tensor, z: Tensor) -> Tensor:
    """``x_t`` from the data and the standard normal noise `z` of its shape."""
    mean, std = marginal(x0, t)
    return mean + std * z


def denoised(x: Tensor, t: Tensor, score: Tensor) -> Tensor:
    """Expected ``x_0`` given ``x_t`` (Tweedie's formula)."""
    return (x + _fit(sigma(t) ** 2, x) * score) / _fit(alpha(t), x)


def denoising_loss(score: Score, x0: Tensor, t: Tensor, z: Tensor, power: float = 2.0) -> Tensor:
    """Denoising score matching, mean over the batch and all values.

    ``lambda(t) |score(x_t, t) + z / sigma(t)|^2`` with ``lambda = sigma^2`` ([1]_,
    equation 7), in which every noise level counts alike as a regression of the noise.

    Parameters
    ----------
    score : (x_t, t) -> (N, ...)
    x0, z : (N, ...) float
        Data and standard normal noise.
    t : (N,) float
        Times in (0, 1].
    power : float
        Of sigma in the weight lambda.
    """
    error = score(perturb(x0, t, z), t) + z / _fit(sigma(t), x0)
    return (_fit(sigma(t), x0) ** power * error**2).mean()


def normal_like(x: Tensor, generators: Sequence[Any] | None = None) -> Tensor:
    """Standard normal noise of the shape of `x`, one generator for each image.

    Drawn on the CPU, so that an image's noise depends neither on the batch it is in
    nor on the device. Without `generators` from torch's global one.
    """
    if generators is None:
        return torch.randn_like(x)
    if len(generators) != len(x):
        raise UsageError(
            f"generators: expected one for each of {len(x)} images, got {len(generators)}"
        )
    drawn = [torch.randn(x.shape[1:], generator=g, dtype=x.dtype) for g in generators]
    return torch.stack(drawn).to(x.device)


def prior(shape: Sequence[int], generators: Sequence[Any] | None = None) -> Tensor:
    """Samples at time 1: standard normal (N, ...), see `normal_like`."""
    return normal_like(torch.empty(tuple(shape)), generators)


def times(steps: int, start: float = 1.0, last: float = LAST, even: bool = False) -> Tensor:
    """(steps + 1,) float64 times from `start` down to `last`.

    Evenly spaced in the logarithm of ``sigma^2 / alpha^2``, so that no step of
    Euler-Maruyama adds more noise than the picture holds at its time. Our choice: with
    steps even in time (`even`), as in the paper, 100 are far too few at the end, where
    they leave grain.
    """
    if steps < 1:
        raise UsageError(f"steps: expected at least 1, got {steps}")
    if not last < start <= 1:
        raise UsageError(f"start: expected a time in ({last:g}, 1], got {start}")
    ends = torch.tensor([start, last], dtype=torch.float64)
    if even:
        return torch.linspace(start, last, steps + 1, dtype=torch.float64)
    first, final = torch.log(torch.expm1(-2 * _log_alpha(ends))).tolist()
    # The integral of beta up to t is BETA_MIN t + rise t^2 = log(1 + sigma^2 / alpha^2).
    integral = torch.nn.functional.softplus(
        torch.linspace(first, final, steps + 1, dtype=torch.float64)
    )
    rise = (BETA_MAX - BETA_MIN) / 2
    return (torch.sqrt(BETA_MIN**2 + 4 * rise * integral) - BETA_MIN) / (2 * rise)


def reverse_step(x: Tensor, t: Tensor, dt: float, score: Tensor, z: Tensor) -> Tensor:
    """One Euler-Maruyama step of the reverse SDE, from `t` (N,) to ``t - dt``."""
    g = _fit(diffusion(t), x)
    return x - (drift(x, t) - g**2 * score) * dt + g * dt**0.5 * z


def reverse_sample(
    score: Score,
    x: Tensor,
    at: Tensor,
    generators: Sequence[Any] | None = None,
    *,
    after: Callable[[Tensor, Tensor], Tensor] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Samples of the data, by Euler-Maruyama along the reverse SDE.

    Parameters
    ----------
    score : (x_t, t) -> (N, ...)
        With the guidance in it, if any. Called under the caller's gradient mode.
    x : (N, ...) float
        Samples at time ``at[0]``.
    at : (K + 1,) float
        Falling times, from `times`.
    generators : N torch generators, optional
        One per image, see `normal_like`.
    after : (x_t, t) -> (N, ...), optional
        Applied to the result of every step (ILVR's refinement).
    progress : (done, of) -> None, optional

    Returns
    -------
    (N, ...)
        The expected image at the last time: no noise is left in it. Not clipped.
    """
    steps = len(at) - 1
    for i in range(steps):
        t = torch.full((len(x),), float(at[i]), dtype=x.dtype, device=x.device)
        dt = float(at[i] - at[i + 1])
        x = reverse_step(x, t, dt, score(x, t), normal_like(x, generators))
        if after is not None:
            x = after(x, torch.full_like(t, float(at[i + 1])))
        if progress is not None:
            progress(i + 1, steps)
    t = torch.full((len(x),), float(at[-1]), dtype=x.dtype, device=x.device)
    return denoised(x, t, score(x, t))
