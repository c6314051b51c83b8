"""Blendshapes that exclude each other, and how the stronger one wins."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.expressions.arkit import NAMES, stem_columns

__all__ = ["antagonise", "exclusive"]

Float = NDArray[np.float64]

#: How hard blendshapes exclude each other that never act together.
_HARD = 2.0


def _pairs() -> tuple[NDArray[np.int64], NDArray[np.int64], Float]:
    """Antagonists: positions x, y and how hard they exclude each other.

    Hard pairs never act together; soft ones do (AU1+2+4, AU5+7 are coded in
    FACS) but weaken each other.
    """
    hard, soft = _HARD, 0.6
    named: list[tuple[str, str, float]] = [
        ("mouthSmile", "mouthFrown", hard), ("jawOpen", "mouthPress", hard),
        ("eyeWide", "eyeBlink", hard), ("mouthPress", "mouthLowerDown", hard),
        ("mouthSmile", "mouthStretch", soft), ("browDown", "browOuterUp", soft),
        ("eyeWide", "eyeSquint", soft), ("mouthPress", "mouthUpperUp", soft),
        ("eyeLookIn", "eyeLookOut", hard), ("eyeLookUp", "eyeLookDown", hard),
        ("jawOpen", "mouthRollLower", hard), ("jawOpen", "mouthRollUpper", hard),
        ("jawOpen", "mouthShrugLower", hard), ("jawOpen", "mouthShrugUpper", hard),
        ("jawLeft", "jawRight", hard), ("mouthLeft", "mouthRight", hard),
        ("cheekPuff", "jawOpen", hard), ("mouthRollLower", "mouthLowerDown", hard),
        ("mouthRollUpper", "mouthUpperUp", hard), ("mouthShrugLower", "mouthLowerDown", hard),
        ("mouthPucker", "mouthSmile", hard), ("mouthPucker", "mouthStretch", hard),
        ("mouthFunnel", "mouthSmile", hard), ("mouthFunnel", "mouthStretch", hard),
        ("mouthFunnel", "mouthPress", hard),
    ]  # fmt: skip
    out = []
    for a, b, strength in named:
        left, right = stem_columns(a), stem_columns(b)
        sides = max(len(left), len(right))
        out += [(left[i % len(left)], right[i % len(right)], strength) for i in range(sides)]
    x, y, c = zip(*out, strict=True)
    return np.array(x), np.array(y), np.array(c, np.float64)


_X, _Y, _C = _pairs()


def exclusive() -> NDArray[np.bool_]:
    """(52, 52) which blendshapes never act together."""
    table = np.zeros((len(NAMES), len(NAMES)), np.bool_)
    hard = _C >= _HARD
    table[_X[hard], _Y[hard]] = table[_Y[hard], _X[hard]] = True
    return table


def antagonise(weights: ArrayLike, hard_only: bool = False) -> Float:
    """(..., 52) weights in which the stronger of two antagonists suppresses the other.

    Each weight ``x`` is multiplied by ``(x^2 + e) / (x^2 + e + (c y)^2)`` for
    each of its antagonists ``y``: smooth, symmetric and free of order. With
    `hard_only` the pairs that may act together are left alone, so that faces
    to which this was done before hardly change.
    """
    values = np.asarray(weights, np.float64)
    faces = values.reshape(-1, values.shape[-1]).T
    pairs = np.flatnonzero(_C >= _HARD) if hard_only else np.arange(len(_C))
    floor, hardness = 2e-3, _C[pairs, None] ** 2
    x, y = faces[_X[pairs]] ** 2, faces[_Y[pairs]] ** 2
    on_x = (x + floor) / (x + floor + hardness * y)
    on_y = (y + floor) / (y + floor + hardness * x)
    factor = np.ones_like(faces)
    np.multiply.at(factor, np.concatenate([_X[pairs], _Y[pairs]]), np.concatenate([on_x, on_y]))
    result: Float = (faces * factor).T.reshape(values.shape)
    return result
