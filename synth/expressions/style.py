"""Person styles: who uses which action, how strongly, how evenly.

Everything random is drawn here, once per person and take, so that a path
through the circumplex with one `Style` is smooth and replays from its seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.expressions.arkit import NAMES, index_of, mirror_order
from synth.expressions.prior import Prior, field

__all__ = ["TAU", "Style", "draw_style"]

Float = NDArray[np.float64]

#: Temperature of the state shares for one person: sharp, so that people show a state, not a blend.
TAU = 0.30
#: Scale of intensity differences between people who show an action.
SPREAD = 0.18
#: Scale of the preferences for states, of the person and of the take each.
PREFERENCE = 0.5
#: Action units used together (PMC5875435, Table 4: AU1 and 2 r .61-.99, AU6 and 12 r .65-.94).
COUPLED = ((2, 1, 0.85), (6, 12, 0.65), (26, 25, 0.5))
#: Rare weak acts that no state uses; one of each group.
IDIOSYNCRATIC = (
    ("cheekPuff",),
    ("jawForward",),
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
    ("mouthPucker",),
    ("mouthFunnel",),
)
_SYMMETRIC = ("eyeLook", "eyeBlink", "jaw", "mouthLeft", "mouthRight")


@dataclass(frozen=True)
class Style:
    """One person, one take.

    Attributes
    ----------
    actions : (S, 52) float64
        The person's face for each state of the prior, at the state's radius.
    preference : (S,) float64
        Added to the log-priors of the states (Gumbel noise).
    gain : float
        Expressivity, 1 on average; already contained in `actions`.
    """

    actions: Float
    preference: Float
    gain: float

    def weights(
        self, prior: Prior, va: ArrayLike, boost: ArrayLike = 0.0, tau: float = TAU
    ) -> Float:
        """(..., 52) weights at `va` (..., 2); `boost` (S,) raises states by name."""
        return field(prior, va, self.actions, self.preference + np.asarray(boost), tau)


def draw_style(prior: Prior, person: int, take: int = 0, seed: int = 0) -> Style:
    """The style of a person in a take; the same for the same three numbers."""
    p = np.random.default_rng([seed, person, 1])
    t = np.random.default_rng([seed, person, 2, take])
    shown = _presence(prior, p, t) * _strength(prior, p, t)
    actions = np.einsum("sj,sjk->sk", shown, prior.to_weights)
    if p.random() < 0.5:  # which side one-sided acts prefer
        actions = actions[:, mirror_order()]
    gain = float(np.clip(np.exp(SPREAD * p.standard_normal()), 0.6, 1.5))
    actions = (actions + _idiosyncratic(t)) * gain * np.exp(_asymmetry(p, t))
    preference = PREFERENCE * (_gumbel(p, len(prior.states)) + _gumbel(t, len(prior.states)))
    return Style(actions=actions, preference=preference, gain=gain)


def _presence(prior: Prior, p: np.random.Generator, t: np.random.Generator) -> Float:
    """(S, J) soft gates: mostly a trait of the person, partly of the take."""
    n = len(prior.action_units)
    z = 0.8 * p.standard_normal(n) + 0.6 * t.standard_normal(n)
    position = {unit: j for j, unit in enumerate(prior.action_units)}
    for follower, leader, r in COUPLED:
        if follower in position and leader in position:
            i, j = position[follower], position[leader]
            z[i] = r * z[j] + sqrt(1 - r * r) * z[i]
    gate: Float = 1 / (1 + np.exp(-np.clip((z - prior.threshold) / 0.15, -40, 40)))
    return gate


def _strength(prior: Prior, p: np.random.Generator, t: np.random.Generator) -> Float:
    """(S, J) strength if shown, never negative."""
    mean = prior.intensity
    person, take = p.standard_normal(mean.shape[1]), t.standard_normal(mean.shape)
    drawn = mean + SPREAD * (0.4 + mean) * 0.7 * (person + take)
    return np.maximum(drawn, 0) * (mean > 0)


def _idiosyncratic(t: np.random.Generator) -> Float:
    """(52,) weak acts, each group with probability .15."""
    weights = np.zeros(len(NAMES))
    for group in IDIOSYNCRATIC:
        name, size, chance = group[t.integers(len(group))], abs(t.normal(0, 0.15)), t.random()
        weights[index_of(name)] = size if chance < 0.15 else 0.0
    return weights


def _asymmetry(p: np.random.Generator, t: np.random.Generator) -> Float:
    """(52,) log-ratios: the left side moves a little more on average (Schmidt et al. 2006)."""
    log_ratio = np.zeros(len(NAMES))
    for left, name in enumerate(NAMES):
        if name.endswith("Left") and not name.startswith(_SYMMETRIC):
            x = 0.03 + 0.07 * p.standard_normal() + 0.04 * t.standard_normal()
            log_ratio[left], log_ratio[index_of(name[:-4] + "Right")] = x, -x
    return log_ratio


def _gumbel(rng: np.random.Generator, n: int) -> Float:
    noise: Float = -np.log(-np.log(rng.random(n)))
    return noise
