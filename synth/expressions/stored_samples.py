"""Annotated samples and basic expressions of a gallery file (see `synth.expressions.storage`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.expressions.arkit import NAMES
from synth.expressions.faces import BasicExpression, Samples
from synth.types import VA

__all__ = ["CEILING", "numbers", "read_expressions", "read_limits", "read_samples", "read_weights"]

Arrays = dict[str, NDArray[Any]]
Int = NDArray[np.int64]
Faces = NDArray[np.uint8] | NDArray[np.float32]

#: No weight of ARKit's 52 ever exceeds this, whatever the file says.
CEILING = 1.1
ARKIT = len(NAMES)


def numbers(
    data: Arrays, key: str, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf
) -> NDArray[np.float64]:
    """The array `key`, checked for shape and range; a ValueError says what is wrong."""
    array = np.asarray(data[key], np.float64)
    if array.shape != shape:
        raise ValueError(f"{key} of shape {array.shape}, expected {shape}")
    if not np.isfinite(array).all() or (array < low - 1e-6).any() or (array > high + 1e-6).any():
        raise ValueError(f"{key} with values that are not finite or outside [{low:g}, {high:g}]")
    return array


def read_weights(data: Arrays, key: str, rows: int, order: Int) -> NDArray[np.float64]:
    """Weights in our order: those of the 52 in their range, own ones anywhere."""
    weights = numbers(data, key, (rows, len(order)))[:, order]
    numbers({key: weights[:, :ARKIT]}, key, (rows, ARKIT), 0, CEILING)
    return weights


def read_limits(data: Arrays, key: str, order: Int) -> NDArray[np.float64]:
    """Limits in our order; those of own blendshapes may be infinite."""
    limit = np.asarray(data[key], np.float64)
    known = np.isfinite(limit) | (limit == np.inf)
    if limit.shape == order.shape and known.all() and limit.min() >= 0:
        return limit[order]
    return numbers(data, key, (len(order),), 0, np.inf)[order]


def read_expressions(data: Arrays, order: Int) -> Mapping[str, BasicExpression]:
    """The basic expressions of a gallery file, with their samples if there are any."""
    if "expression_names" not in data:
        return MappingProxyType({})
    n = len(data["expression_names"])
    va = numbers(data, "expression_va", (n, 2), -1, 1)
    weights = read_weights(data, "expression_weights", n, order)
    sd = numbers(data, "expression_sd", (n, len(order)), 0, np.inf)[:, order]
    samples, count = None, np.ones(n)
    if "expression_samples" in data:
        samples = _faces(data, "expression_samples", "expression_own", order, 3)
        if len(samples) != n or not samples.shape[1]:
            raise ValueError(f"expression_samples for {len(samples)} expressions, expected {n}")
        most = samples.shape[1]
        full = {"expression_count": np.full(n, most)}
        count = numbers(full | data, "expression_count", (n,), 1, most)
    found = {}
    for i, name in enumerate(str(text) for text in data["expression_names"]):
        if name not in EXPRESSIONS:
            raise ValueError(f"expression_names with {name!r}, expected {', '.join(EXPRESSIONS)}")
        size = int(count[i])
        own = None if samples is None else samples[i, :size]
        point = VA(float(va[i, 0]), float(va[i, 1]))
        found[name] = BasicExpression(point, weights[i], sd[i], size, own)
    return MappingProxyType(found)


def read_samples(data: Arrays, order: Int, classes: int) -> Samples | None:
    """The annotated samples of a gallery file, or None."""
    if "sample_weights" not in data:
        return None
    weights = _faces(data, "sample_weights", "sample_own", order, 2)
    n = len(weights)
    return Samples(
        weights=weights,
        va=numbers(data, "sample_va", (n, 2), -1, 1),
        class_index=numbers(data, "sample_class", (n,), 0, classes - 1).astype(np.int64),
        style=numbers(data, "sample_style", (n,), 0, np.inf).astype(np.int64),
        limit=read_limits(data, "sample_limit", order) if "sample_limit" in data else None,
        mirrored=len(order) == ARKIT and bool(data.get("sample_mirror", True)),
    )


def _faces(data: Arrays, key: str, own_key: str, order: Int, ndim: int) -> Faces:
    """(..., E) samples in our order, weight * 255: uint8, or float32 with own blendshapes."""
    weights = np.asarray(data[key])
    if weights.dtype != np.uint8 or weights.ndim != ndim or weights.shape[-1] != ARKIT:
        raise ValueError(
            f"{key} {weights.dtype} {weights.shape}, expected uint8 ({'..., ' * (ndim - 2)}N, 52)"
        )
    if len(order) == ARKIT:
        return np.ascontiguousarray(weights[..., order])
    if order[:ARKIT].max() >= ARKIT:
        raise ValueError("names with own ones before ARKit's, beside samples")
    own = numbers(data, own_key, (*weights.shape[:-1], len(order) - ARKIT)) * 255
    both = np.concatenate([weights, own.astype(np.float32)], axis=-1, dtype=np.float32)
    return np.ascontiguousarray(both[..., order])
