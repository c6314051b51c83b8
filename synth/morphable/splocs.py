"""Sparse localised deformation components: what a face does, one place at a time.

Offsets X (F frames) are explained as W C: components C that each move a patch of the
surface, and weights W of at most 1. With a norm over the three numbers of each vertex

    min  |X - W C|^2 + sum_k sum_v  lambda_kv |C_kv|

where ``lambda_kv`` grows from 0 at the middle of a component to the full sparsity beyond a
distance along the surface [1]_ (Eq. 5 of [2]_). Weights and components are improved in turns.

What differs from the authors' program: weights are put onto their constraint by the nearest
point of it, or by scaling component and weights against each other, whichever leaves the
lower objective, and components are kept when the splitting method has not improved them, so
that the objective never rises while the middles stay where they are.

References
----------
.. [1] Neumann, Varanasi, Wenger, Wacker, Magnor & Theobalt, "Sparse Localized Deformation
   Components", ACM Trans. Graphics (SIGGRAPH Asia) 2013.
.. [2] Kollias, Cheng, Ververas, Kotsia & Zafeiriou, "Deep Neural Network Augmentation:
   Generating Faces for Affect Analysis", IJCV 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.archives import read_fields, write_npz
from synth.errors import AssetError, ShapeError, UsageError
from synth.meshes.geodesic import Geodesics
from synth.morphable.splocs_steps import (
    first_components,
    improve_components,
    improve_weights,
    objective,
    support_map,
)

__all__ = [
    "CONSTRAINTS", "SparseComponents", "SplocsSettings", "load_components", "sparse_components",
]  # fmt: skip

Float = NDArray[np.float64]

CONSTRAINTS = ("signed", "non-negative")
FORMAT = "synth-components-1"
#: Default distances of `SplocsSettings.support`, as shares of the mesh's longest side.
SUPPORT = (0.07, 0.25)
#: Default sparsity per frame.
SPARSITY = 0.04


@dataclass(frozen=True)
class SplocsSettings:
    """How components are sought.

    Attributes
    ----------
    constraint : str
        "signed": the largest absolute weight of a component is 1; "non-negative": weights
        are 0 or more and the largest is 1.
    sparsity : float or None
        Lambda of the paper, for offsets of unit standard deviation: more makes components
        smaller and explains less. It weighs against the sum over all frames, so None is
        `SPARSITY` times their number (the 2 of the authors' program at 50 frames).
    support : (float, float) or None
        Distances along the surface from a component's middle, in the unit of the mesh, up to
        which nothing is punished and from which sparsity is in full force; `SUPPORT` when None.
    strict : bool
        Let nothing move from the farther distance on, instead of punishing it.
    iterations : int
        Turns at most.
    settle : int
        Turns after which the middles stay where they are.
    tolerance : float
        Stop when a turn lowers the objective by less than this share.
    admm : int
        Steps of the splitting method for the components in each turn.
    rho : float
        Its penalty.
    """

    constraint: str = "signed"
    sparsity: float | None = None
    support: tuple[float, float] | None = None
    strict: bool = False
    iterations: int = 30
    settle: int = 10
    tolerance: float = 1e-4
    admm: int = 10
    rho: float = 10.0

    def __post_init__(self) -> None:
        if self.constraint not in CONSTRAINTS:
            raise UsageError(
                f"constraint: expected {' or '.join(CONSTRAINTS)}, got {self.constraint!r}"
            )
        if self.sparsity is not None and not 0 <= self.sparsity < np.inf:
            raise UsageError(
                f"lambda: expected 0 or more, got {self.sparsity}; leave it out for the default"
            )
        if self.support is not None and not 0 <= self.support[0] < self.support[1] < np.inf:
            raise UsageError(
                f"support: expected 0 <= MIN < MAX, got {self.support[0]:g} {self.support[1]:g}"
            )
        for name in ("iterations", "admm"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected 1 or more, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class SparseComponents:
    """Components of deformation of a mesh; those that explain most come first.

    Attributes
    ----------
    components : (k, V, 3) float64
        Offsets at weight 1, in the unit of the mesh.
    weights : (F, k) float64
        Of the frames they were found on.
    centers : (k,) int64
        Vertex in the middle of each.
    shape : (V, 3) float64
        What the offsets are added to.
    faces : (F, 3) int32
    constraint : str
    sparsity : float
    support : (2,) float64
        Distances used, in the unit of the mesh.
    strict : bool
    history : (n, 2) float64
        Objective before and after each turn, for offsets of unit standard deviation; after a
        move of middles it may start higher than the turn before ended.
    """

    components: Float
    weights: Float
    centers: NDArray[np.int64]
    shape: Float
    faces: NDArray[np.int32]
    constraint: str
    sparsity: float
    support: Float
    strict: bool
    history: Float

    def __len__(self) -> int:
        return len(self.components)

    def offsets(self, weights: ArrayLike | None = None) -> Float:
        """(..., V, 3) offsets for (..., k) weights; of all frames when none are given."""
        given = self.weights if weights is None else np.asarray(weights, np.float64)
        if given.shape[-1:] != (len(self),):
            raise ShapeError(f"weights: expected (..., {len(self)}), got {given.shape}")
        flat = given.reshape(-1, len(self)) @ self.components.reshape(len(self), -1)
        return np.asarray(flat.reshape(*given.shape[:-1], *self.components.shape[1:]))

    def still(self) -> float:
        """Share of vertices that a component leaves where they are, mean over components."""
        moved = (self.components != 0).any(2)
        return float(1 - moved.mean()) if len(self) else float("nan")

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``, whole or not at all; `load_components` reads it."""
        arrays: dict[str, NDArray[Any]] = {"format": np.array(FORMAT)}
        arrays |= {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        write_npz(path, arrays, level=3)


def load_components(path: str | Path) -> SparseComponents:
    """The components in a file that `SparseComponents.save` wrote.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or another kind of file.
    """
    names = [field.name for field in fields(SparseComponents)]
    found = read_fields(path, "components", "synth model components", FORMAT, names)
    values: dict[str, Any] = {
        key: array if array.ndim else array.item() for key, array in found.items()
    }
    made = SparseComponents(**values)
    if made.components.shape != (made.weights.shape[-1], *made.shape.shape):
        raise AssetError(f"components: expected arrays that fit each other in {path}; damaged")
    return made


def sparse_components(
    offsets: ArrayLike,
    shape: ArrayLike,
    faces: ArrayLike,
    count: int,
    settings: SplocsSettings | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SparseComponents:
    """Sparse localised components of offsets.

    Parameters
    ----------
    offsets : (F, V, 3) float
        From the neutral or the mean face.
    shape : (V, 3) float
        That face, on which distances are measured.
    faces : (T, 3) int
    count : int
        Components k; not more than can be: F or 3 V.
    settings : SplocsSettings, optional
    progress : callable
        Told how many turns of how many are done.

    Raises
    ------
    ShapeError
        If the arrays do not fit, are not finite, or nothing moves.
    """
    settings = settings or SplocsSettings()
    x = np.asarray(offsets, np.float64)
    triangles = np.asarray(faces, np.int32)
    if x.ndim != 3 or x.shape[2] != 3 or not x.size:
        raise ShapeError(f"offsets: expected (F, V, 3), got {x.shape}")
    rest = np.asarray(shape, np.float64)
    if rest.shape != x.shape[1:]:
        raise ShapeError(f"shape: expected {x.shape[1:]}, got {rest.shape}")
    most = min(len(x), x[0].size)
    if not 1 <= count <= most:
        raise UsageError(
            f"components: expected 1 to {most} for {len(x)} frames, got {count}; give fewer"
        )
    scale = float(x.std())
    if not np.isfinite(scale) or scale <= 0:
        raise ShapeError("offsets: expected finite numbers that differ, got none; check the meshes")
    size = float(np.ptp(rest, axis=0).max())
    support = settings.support or (SUPPORT[0] * size, SUPPORT[1] * size)
    sparsity = SPARSITY * len(x) if settings.sparsity is None else settings.sparsity
    flat = (x / scale).reshape(len(x), -1)
    penalties = _Penalties(Geodesics(rest, triangles), support, sparsity, settings.strict)
    components, weights, centers, history = _search(flat, penalties, count, settings, progress)
    order = np.argsort(-(weights**2).sum(0) * (components**2).sum((1, 2)), kind="stable")
    return SparseComponents(
        scale * components[order], weights[:, order], centers[order], rest, triangles,
        settings.constraint, sparsity, np.array(support), settings.strict, history,
    )  # fmt: skip


class _Penalties:
    """What is punished around vertices, each looked up once."""

    def __init__(
        self, geodesics: Geodesics, support: tuple[float, float], sparsity: float, strict: bool
    ) -> None:
        self._geodesics, self._support = geodesics, support
        self._sparsity, self._strict = sparsity, strict
        self._maps: dict[int, Float] = {}

    def around(self, centers: NDArray[np.int64]) -> Float:
        """(k, V) 0 near each center to 1 far away."""
        new = sorted(set(centers.tolist()) - self._maps.keys())
        if new:
            for vertex, away in zip(new, self._geodesics.distances(new), strict=True):
                self._maps[vertex] = support_map(away, self._support)
        return np.array([self._maps[vertex] for vertex in centers.tolist()])

    def __call__(self, centers: NDArray[np.int64]) -> Float:
        """(k, V) lambda; infinite beyond a strict support."""
        grown = self.around(centers)
        return np.where((grown >= 1) & self._strict, np.inf, self._sparsity * grown)


def _search(
    x: Float,
    penalties: _Penalties,
    count: int,
    settings: SplocsSettings,
    progress: Callable[[int, int], None],
) -> tuple[Float, Float, NDArray[np.int64], Float]:
    signed = settings.constraint == "signed"
    w, c, centers = first_components(
        x, count, signed, lambda vertex: 1 - penalties.around(np.array([vertex]))[0]
    )
    square, history = float((x**2).sum()), []
    for turn in range(settings.iterations):
        if turn < settings.settle:
            centers = (c**2).sum(2).argmax(1)
        penalty = penalties(centers)
        c = np.where(np.isinf(penalty)[:, :, None], 0.0, c)
        before = objective(square, x, w, c, penalty)
        w, c = improve_weights(x, w, c, penalty, signed)
        c = improve_components(x, w, c, penalty, settings.rho, settings.admm)
        after = objective(square, x, w, c, penalty)
        history.append((before, after))
        progress(turn + 1, settings.iterations)
        if turn >= settings.settle and before - after < settings.tolerance * before:
            break
    progress(settings.iterations, settings.iterations)
    return c, w, centers.astype(np.int64), np.array(history)
