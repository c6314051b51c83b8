"""The documented prior: a field from valence-arousal to 52 blendshape weights.

Not measured data. Which facial actions belong to a state and how often are
published (Du, Tao & Martinez 2014 and the sources named in the tables), where
the states lie on the circumplex is published or computed, how strongly they
act is the author's judgement against real posed expressions.

All numbers live in four tables (``assets/facts``), which are the one place to
tune:

``states.csv``
    state, its valence and arousal, and its prior (how common it is among the
    states of its sector).
``anchors_au.csv``
    per state and FACS action unit: share of people who show it, and how
    strongly if they do (1 = the full blendshape) at the state's own radius.
``au_to_arkit.csv``
    what an action unit does to the blendshapes.
``coefficients.csv``
    per blendshape: how it grows along a ray (`radial_exponent`), its limit,
    and the general arousal trend added at the upper and lower pole.

Columns ``source_*`` keep the published or earlier value beside the one used.

The field at a point of radius ``r`` and angle ``t`` is
``limit(antagonise(sum_s share_s(t) top_s + trend(t))) * r**exponent``: exactly
zero at the origin and non-decreasing along every ray, because the shares of
the states depend on the angle alone.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import AssetError
from synth.expressions.antagonists import antagonise
from synth.expressions.arkit import NAMES, index_of, stem_columns

__all__ = ["KERNEL_DEGREES", "Prior", "field", "load_prior", "mean_field", "shares"]

Float = NDArray[np.float64]

#: Angular width (standard deviation) of a state on the circumplex, degrees.
KERNEL_DEGREES = 10.5
#: Share of a one-sided action that the other side shows too.
BLEED = 0.15


@dataclass(frozen=True)
class Prior:
    """The tables as arrays: S states, J action units, 52 blendshapes.

    Attributes
    ----------
    states : tuple of S str
    va : (S, 2) float64
        Valence and arousal of each state.
    log_prior : (S,) float64
    action_units : tuple of J int
    presence, intensity : (S, J) float64
        Share of people who show the unit; strength if they do, at the state's radius.
    threshold : (S, J) float64
        Standard normal quantile above which a person shows the unit.
    to_weights : (S, J, 52) float64
        What each unit of each state does (one-sided units act on one side).
    exponent, limit : (52,) float64
        Growth along a ray, and the largest weight.
    high, high_pleasant, low : (52,) float64
        Arousal trend at the upper pole, its pleasant part, and at the lower pole.
    """

    states: tuple[str, ...]
    va: Float
    log_prior: Float
    action_units: tuple[int, ...]
    presence: Float
    intensity: Float
    threshold: Float
    to_weights: Float
    exponent: Float
    limit: Float
    high: Float
    high_pleasant: Float
    low: Float

    @property
    def radius(self) -> Float:
        """(S,) distance of each state from neutral."""
        return np.hypot(self.va[:, 0], self.va[:, 1])

    @property
    def angle(self) -> Float:
        """(S,) direction of each state, radians."""
        return np.arctan2(self.va[:, 1], self.va[:, 0])

    @property
    def mean_actions(self) -> Float:
        """(S, 52) mean weights over people, at each state's radius."""
        mean: Float = np.einsum("sj,sjk->sk", self.presence * self.intensity, self.to_weights)
        return mean


def load_prior(folder: str | Path) -> Prior:
    """The prior from the four tables in `folder`.

    Raises
    ------
    AssetError
        If a table is missing, lacks a column or names an unknown state, unit
        or blendshape.
    """
    folder = Path(folder)
    try:
        states = _read(folder / "states.csv")
        actions = _read(folder / "anchors_au.csv")
        units = _read(folder / "au_to_arkit.csv")
        coefficients = _read(folder / "coefficients.csv")
        return _assemble(states, actions, units, coefficients)
    except (OSError, KeyError, ValueError) as error:
        raise AssetError(
            f"facts: expected the four tables of the prior in {folder}, got "
            f"{type(error).__name__}: {error}; restore assets/facts"
        ) from error


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _assemble(
    states: list[dict[str, str]],
    actions: list[dict[str, str]],
    units: list[dict[str, str]],
    coefficients: list[dict[str, str]],
) -> Prior:
    names = tuple(row["state"] for row in states)
    codes = tuple(sorted({int(row["au"]) for row in actions}))
    shape = (len(names), len(codes))
    presence, intensity = np.zeros(shape), np.zeros(shape)
    to_weights = np.zeros((*shape, len(NAMES)))
    for row in actions:
        s, j = names.index(row["state"]), codes.index(int(row["au"]))
        presence[s, j], intensity[s, j] = float(row["p_present"]), float(row["intensity"])
        effect = _unit_effect(row["au"], row["side"], units)
        if not effect.any():
            raise ValueError(f"action unit {row['au']} is not in au_to_arkit.csv")
        to_weights[s, j] = effect
    per_shape = {
        key: _spread(coefficients, key)
        for key in ("radial_exponent", "limit", "high_arousal", "high_arousal_pleasant")
    }
    return Prior(
        states=names,
        va=np.array([[float(row["valence"]), float(row["arousal"])] for row in states]),
        log_prior=np.log([float(row["prior"]) for row in states]),
        action_units=codes,
        presence=presence,
        intensity=intensity,
        threshold=_thresholds(presence),
        to_weights=to_weights,
        exponent=per_shape["radial_exponent"],
        limit=per_shape["limit"],
        high=per_shape["high_arousal"],
        high_pleasant=per_shape["high_arousal_pleasant"],
        low=_spread(coefficients, "low_arousal"),
    )


def _thresholds(presence: Float) -> Float:
    """Standard normal quantiles of 1 - presence; 9 sd stand for never and always."""
    normal = NormalDist()
    flat = [
        normal.inv_cdf(1 - p) if 0 < p < 1 else (9.0 if p <= 0 else -9.0) for p in presence.ravel()
    ]
    return np.array(flat).reshape(presence.shape)


def _unit_effect(unit: str, side: str, units: list[dict[str, str]]) -> Float:
    """(52,) effect of a full action unit; one side only when `side` is L or R."""
    effect = np.zeros(len(NAMES))
    for row in units:
        if row["au"] != unit:
            continue
        name, weight = row["blendshape"], float(row["weight"])
        if side and name.endswith(("Left", "Right")):
            weight *= 1.0 if name.endswith("Left") == (side == "L") else BLEED
        elif side:
            weight *= (1.0 + BLEED) / 2
        effect[index_of(name)] = weight
    return effect


def _spread(rows: Sequence[dict[str, str]], key: str) -> Float:
    """(52,) values of a column given per stem."""
    out = np.full(len(NAMES), np.nan)
    for row in rows:
        out[list(stem_columns(row["stem"]))] = float(row[key])
    if np.isnan(out).any():
        missing = [NAMES[i] for i in np.flatnonzero(np.isnan(out))]
        raise ValueError(f"coefficients.csv has no row for {missing}")
    return out


def shares(prior: Prior, angle: ArrayLike, noise: ArrayLike = 0.0, tau: float = 1.0) -> Float:
    """(..., S) share of each state in a direction; sums to 1.

    A softmax of the von Mises log-density around each state's direction plus
    its log-prior plus `noise` (Gumbel noise makes people differ in *which*
    state they show), divided by the temperature `tau`.
    """
    direction = np.asarray(angle, np.float64)[..., None]
    kappa = 1 / np.radians(KERNEL_DEGREES) ** 2
    logits = (kappa * (np.cos(direction - prior.angle) - 1) + prior.log_prior + noise) / tau
    logits -= logits.max(axis=-1, keepdims=True)
    weights = np.exp(logits)
    total: Float = weights / weights.sum(axis=-1, keepdims=True)
    return total


def _soft_limit(values: Float, limit: Float) -> Float:
    """Smooth, monotone approach to `limit`; a limit of 0 gives 0."""
    safe = np.where(limit > 0, limit, 1.0)
    ratio = values / safe
    bounded: Float = np.where(limit > 0, safe * ratio / (1 + ratio**8) ** 0.125, 0.0)
    return bounded


def trend(prior: Prior, angle: ArrayLike) -> Float:
    """(..., 52) what arousal alone adds at the edge of the disc, whatever the state."""
    angle = np.asarray(angle, np.float64)[..., None]
    up = np.maximum(np.sin(angle), 0) ** 2
    down = np.maximum(-np.sin(angle), 0) ** 2
    pleasant = np.maximum(np.cos(angle + np.radians(15)) + 0.5, 0) / 1.5
    added: Float = up * (prior.high + pleasant * prior.high_pleasant) + down * prior.low
    return added


def field(
    prior: Prior, va: ArrayLike, actions: ArrayLike, noise: ArrayLike = 0.0, tau: float = 1.0
) -> Float:
    """Weights at each point of the circumplex for one person and take.

    Parameters
    ----------
    va : (..., 2) float
        Valence and arousal; the radius is cut at 1.
    actions : (S, 52) float
        The person's face for each state, at the state's own radius.
    noise : (S,) float
        The person's preference for states, added to the log-priors.
    tau : float
        Temperature; small values make one state win.

    Returns
    -------
    (..., 52) float64
        Between 0 and ``prior.limit``; exactly 0 at the origin.
    """
    point = np.asarray(va, np.float64)
    radius = np.minimum(np.hypot(point[..., 0], point[..., 1]), 1.0)
    angle = np.arctan2(point[..., 1], point[..., 0])
    at_edge = np.asarray(actions, np.float64) / prior.radius[:, None] ** prior.exponent
    top = shares(prior, angle, noise, tau) @ at_edge + trend(prior, angle)
    top = _soft_limit(antagonise(top), prior.limit)
    return top * radius[..., None] ** prior.exponent


def mean_field(prior: Prior, va: ArrayLike) -> Float:
    """(..., 52) field of the mean person: population mean actions, no noise."""
    return field(prior, va, prior.mean_actions)
