"""The steps of `synth.morphable.splocs`: initial components, weights, components.

Offsets are flat here, (F, 3 V) of unit standard deviation; weights (F, k), components
(k, V, 3) and what is punished (k, V).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "constrained", "first_components", "improve_components", "improve_weights", "objective",
    "shrunk", "support_map",
]  # fmt: skip

Float = NDArray[np.float64]

#: Squared length below which a component is nothing.
NOTHING = 1e-12


def support_map(distance: Float, support: tuple[float, float]) -> Float:
    """(V,) 0 up to the nearer distance, 1 from the farther one on, linear between."""
    near, far = support
    return np.asarray((np.clip(distance, near, far) - near) / (far - near))


def constrained(weights: Float, signed: bool) -> Float:
    """(F,) the nearest weights whose largest (absolute) value is 1; 0 or more unless signed."""
    out = np.clip(weights, -1.0 if signed else 0.0, 1.0)
    size = np.abs(weights) if signed else weights
    top = int(size.argmax())
    if size[top] < 1:
        out[top] = -1.0 if signed and weights[top] < 0 else 1.0
    return np.asarray(out)


def objective(square: float, x: Float, w: Float, c: Float, penalty: Float) -> float:
    """``|X - W C|^2 + sum penalty |C_kv|``, `square` being ``|X|^2``."""
    flat = c.reshape(len(c), -1)
    fit = square - 2 * float(((w.T @ x) * flat).sum())
    fit += float(((w.T @ w) * (flat @ flat.T)).sum())
    return fit + _sparsity(c, penalty)


def _sparsity(c: Float, penalty: Float) -> float:
    length = np.sqrt((c**2).sum(-1))
    # An infinite penalty on what does not move costs nothing.
    return float((np.where(length > 0, penalty, 0.0) * length).sum())


def first_components(
    x: Float, count: int, signed: bool, window: Callable[[int], Float]
) -> tuple[Float, Float, NDArray[np.int64]]:
    """Weights, components and their vertices, one after the other from what is left.

    The vertex with the most motion left gives the weights, by its strongest direction; the
    component is what goes along with them inside ``window(vertex)``.
    """
    rest = x.copy()
    frames = len(x)
    w, c, centers = np.zeros((frames, count)), np.zeros((count, x.shape[1])), []
    for k in range(count):
        energy = np.einsum("fn,fn->n", rest, rest).reshape(-1, 3).sum(1)
        center = int(energy.argmax())
        own = rest[:, 3 * center : 3 * center + 3]
        along = own @ np.linalg.eigh(own.T @ own)[1][:, -1]
        w[:, k] = _scaled(along, signed)
        # Weights of one sign may be all zero where nothing is left to explain.
        norm = max(float(w[:, k] @ w[:, k]), NOTHING)
        c[k] = (w[:, k] @ rest) / norm * np.repeat(window(center), 3)
        rest -= np.outer(w[:, k], c[k])
        centers.append(center)
    return w, c.reshape(count, -1, 3), np.array(centers, np.int64)


def _scaled(along: Float, signed: bool) -> Float:
    """Weights with the largest at 1; of one sign the side that says more."""
    if not signed:
        up, down = np.maximum(along, 0), np.maximum(-along, 0)
        along = up if up @ up >= down @ down else down
    size = float(np.abs(along).max())
    if size <= 0:
        along = along.copy()
        along[0] = size = 1.0
    return along / size


def improve_weights(
    x: Float, w: Float, c: Float, penalty: Float, signed: bool
) -> tuple[Float, Float]:
    """Weights of one component after the other, each the best while the others stay.

    The best weights are put onto the constraint by its nearest point, the component staying;
    or scaled onto it and the component against them, which costs or saves sparsity. The
    cheaper one is taken, so that neither raises the objective.
    """
    w, c = w.copy(), c.copy()
    flat = c.reshape(len(c), -1)
    towards, gram = x @ flat.T, flat @ flat.T
    sparse = np.array([_sparsity(c[k : k + 1], penalty[k : k + 1]) for k in range(len(c))])
    for k in range(len(c)):
        if gram[k, k] <= NOTHING:
            w[:, k] = constrained(w[:, k], signed)
            continue
        best = w[:, k] + (towards[:, k] - w @ gram[:, k]) / gram[k, k]
        near = constrained(best, signed)
        legal = best if signed else np.maximum(best, 0)
        size = float(np.abs(legal).max())
        # The fit of weights u and component c s is that of u s and c.
        cost = gram[k, k] * float(((near - best) ** 2).sum()) + sparse[k]
        scaled = gram[k, k] * float(((legal - best) ** 2).sum()) + sparse[k] * size
        if size <= 1e-6 or cost <= scaled:
            w[:, k] = near
            continue
        w[:, k] = constrained(legal / size, signed)
        flat[k] *= size
        towards[:, k] *= size
        gram[k] *= size
        gram[:, k] *= size
        sparse[k] *= size
    return w, c


def shrunk(c: Float, amount: Float) -> Float:
    """Vectors (k, V, 3) shortened by (k, V); those not longer become 0."""
    length = np.sqrt((c**2).sum(-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(length > amount, 1 - amount / length, 0.0)
    return np.asarray(c * share[:, :, None])


def improve_components(
    x: Float, w: Float, c: Float, penalty: Float, rho: float, steps: int
) -> Float:
    """Components by the alternating direction method, weights staying.

    Where its result is not better than `c`, one round of exact updates of one component
    after the other is taken instead, which cannot be worse.
    """
    from scipy.linalg import cho_factor, cho_solve

    gram, towards = w.T @ w, w.T @ x
    count = len(c)
    factor = cho_factor(2 * gram + rho * np.eye(count))
    z, u = c.copy(), np.zeros_like(c)
    for _ in range(steps):
        right = 2 * towards + rho * (z - u).reshape(count, -1)
        free = cho_solve(factor, right, overwrite_b=True, check_finite=False).reshape(c.shape)
        z = shrunk(free + u, penalty / rho)
        u += free - z
    flat, old = z.reshape(count, -1), c.reshape(count, -1)

    def cost(inner: Float) -> float:
        fit = -2 * float((towards * inner).sum()) + float((gram * (inner @ inner.T)).sum())
        return fit + _sparsity(inner.reshape(c.shape), penalty)

    if cost(flat) <= cost(old):
        return z
    return _one_by_one(towards, gram, c, penalty)


def _one_by_one(towards: Float, gram: Float, c: Float, penalty: Float) -> Float:
    out = c.copy()
    flat = out.reshape(len(out), -1)
    for k in range(len(out)):
        if gram[k, k] <= NOTHING:
            continue
        best = flat[k] + (towards[k] - gram[k] @ flat) / gram[k, k]
        flat[k] = shrunk(best.reshape(1, -1, 3), penalty[k : k + 1] / (2 * gram[k, k])).ravel()
    return out
