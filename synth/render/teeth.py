"""Teeth: an anatomy that differs between people, and its colour in dental coordinates.

Mesiodistal widths and crown lengths are those of Ash & Nelson, *Wheeler's Dental
Anatomy* (widths 8.5, 6.6, 7.6, 7, 6.8, 10 above and 5.3, 5.8, 6.6, 7, 7, 11 below);
upper crowns are 1.4 mm longer, for the default model's lips bare more than the
book's crowns in a smile. Every person's set varies around them by a few percent,
drawn from the photo's SHA-256, the same on both sides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from synth.render.topology import UPPER_TEETH

__all__ = ["Teeth", "tooth_colour", "tooth_set"]

Float = NDArray[np.float64]

#: Upper and lower teeth from the midline: widths and crown lengths, mm.
WIDTHS = np.array([[8.5, 6.6, 7.6, 7.0, 6.8, 10.0], [5.3, 5.8, 6.6, 7.0, 7.0, 11.0]])
CROWNS = np.array([[11.6, 10.4, 11.4, 9.8, 8.8, 8.0], [8.8, 9.2, 10.2, 8.8, 8.0, 7.5]])
#: How far each biting edge stays above that of the central incisor, mm.
STEPS = np.array([[0.0, 0.7, 0.0, 0.6, 0.9, 1.4], [0.0, 0.1, 0.0, 0.6, 0.9, 1.2]])
#: Relative brightness: canines are darker, lower teeth lie in the lip's shade.
SHADES = np.array([[1.0, 1.0, 0.965, 1.0, 1.0, 1.0], [0.89, 0.89, 0.86, 0.89, 0.89, 0.89]])
#: Standard deviations between people: all widths, one width, all crowns, a step (mm),
#: one tooth's shade, the whole set's shade, its blue.
SPREAD = (0.035, 0.02, 0.05, 0.18, 0.012, 0.02, 0.015)
#: The biting edge lies this far inside the model's band, mm, so that it can be soft.
EDGE = 0.30


@dataclass(frozen=True)
class Teeth:
    """One person's teeth; row 0 above, row 1 below, from the midline outwards.

    Attributes
    ----------
    edges : (2, 6) float64
        Outer edge of each tooth, mm of arc from the midline.
    crowns, steps : (2, 6) float64
        Crown length and height of the biting edge, mm.
    shades : (2, 6) float64
        Relative brightness.
    tint : (3,) float64
        Relative RGB of the whole set.
    """

    edges: Float
    crowns: Float
    steps: Float
    shades: Float
    tint: Float


@lru_cache(maxsize=64)
def tooth_set(name: str) -> Teeth:
    """The teeth of the person called `name` (a photo's SHA-256): always the same ones."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), np.uint32)
    rng = np.random.default_rng(words)
    wide, one_wide, long, step, shade, all_shade, blue = SPREAD
    widths = WIDTHS * (1 + wide * _draw(rng, 1)) * (1 + one_wide * _draw(rng, (2, 6)))
    steps = STEPS + step * _draw(rng, (2, 6)) * (np.arange(6) > 0)
    value = 1 + all_shade * float(_draw(rng, 1)[0])
    return Teeth(
        edges=np.cumsum(widths, axis=1),
        crowns=CROWNS * (1 + long * _draw(rng, 1)),
        steps=np.maximum(steps, 0.0) + EDGE,
        shades=SHADES * (1 + shade * _draw(rng, (2, 6))),
        tint=value * np.array([1.0, 1.0, 1 + blue * float(_draw(rng, 1)[0])]),
    )


def _draw(rng: np.random.Generator, size: int | tuple[int, int]) -> Float:
    """Standard normal numbers, none beyond two deviations."""
    return np.clip(rng.standard_normal(size), -2.0, 2.0)


@njit(cache=True, nogil=True, inline="always")
def _smooth(x: Any) -> Any:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@njit(cache=True, nogil=True)
def tooth_colour(arc: Any, height: Any, edges: Any, crowns: Any, steps: Any, shades: Any,
                 jaw: Any, tooth: Any, gum: Any, dark: Any, out: Any) -> None:  # fmt: skip
    """Colour (3,) of a point of a dental band in dental coordinates (mm).

    Parameters
    ----------
    arc, height : float
        Arc length from the midline; height above the band's edge.
    edges, crowns, steps, shades : (6,) float64
        One row of `Teeth`.
    jaw : int
        Label of the band: `topology.UPPER_TEETH` or the lower one.
    tooth, gum, dark : (3,) float64
        RGB of enamel, of the gum, and of what shows past the biting edge.
    out : (3,) float64
    """
    s = abs(arc)
    n = 0
    while n < len(edges) - 1 and s > edges[n]:
        n += 1
    inner = edges[n - 1] if n > 0 else 0.0
    half = 0.5 * (edges[n] - inner)
    u = (s - inner - half) / half
    if n == 2:  # canines are pointed
        rim = steps[n] + 0.9 * abs(u + 0.1) ** 1.5
    else:
        rim = steps[n] + (0.9 if jaw == UPPER_TEETH else 0.5) * abs(u) ** 4
    collar = crowns[n] - 1.5 * u * u
    to_gap = (1.0 - abs(u)) * half
    gap = np.exp(-((to_gap / 0.30) ** 2))
    soft = np.exp(-((to_gap / 1.1) ** 2))
    shade = (1.0 - 0.15 * gap - 0.09 * soft) * (1.0 - 0.05 * u * u)
    up = min(max((height - rim) / max(collar - rim, 1.0), 0.0), 1.0)
    shade *= 0.95 + 0.07 * _smooth(up / 0.35) - 0.06 * _smooth((up - 0.55) / 0.45)
    # A broad and a narrow highlight on the bulge of the crown.
    shade += 0.05 * np.exp(-((u / 0.45) ** 2) - ((up - 0.55) / 0.22) ** 2)
    shade += 0.05 * np.exp(-(((u + 0.12) / 0.16) ** 2) - ((up - 0.62) / 0.13) ** 2)
    away = np.exp(-max(s - 7.0, 0.0) / 24.0)
    shade *= away * shades[n]
    gum_share = _smooth((height - collar) / 0.9 + 0.5)
    # Towards the gum and back in the mouth, where red tissue lights them, teeth are warmer.
    warm = 0.04 * _smooth(up) + 0.16 * (1.0 - away)
    missing = 1.0 - _smooth((height - rim) / (2 * EDGE) + 0.5)
    pink = (1.0 - 0.06 * gap) * away
    for k in range(3):
        value = tooth[k] * shade * (1.0 - warm * (0.2, 0.5, 1.3)[k])
        value += gum_share * (gum[k] * pink - value)
        out[k] = value + missing * (dark[k] - value)
