"""Principal components of aligned meshes that need not fit in memory.

Three ways to the same answer; the sizes and the memory decide which is gone.

``gram``
    The N x N inner products between meshes, summed over blocks of vertices in double
    precision: one pass, exact. Modes follow in a second pass. For N up to some 20,000.
``covariance``
    The 3V x 3V covariance, summed over blocks of meshes: exact. For small meshes.
``incremental``
    Where neither fits: the leading components are updated block by block [1]_ (the mean is
    known from the alignment and needs no update), keeping all that memory allows. What is cut
    off on the way is lost, so the result is close and not exact, and says so.

References
----------
.. [1] Ross, Lim, Lin & Yang, "Incremental Learning for Robust Visual Tracking", IJCV 77, 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.errors import MeshError, UsageError
from synth.meshes.collection import MeshCollection
from synth.morphable.statistics import routes
from synth.morphable.statistics.people import People
from synth.morphable.statistics.procrustes import Alignment

__all__ = ["Components", "choose_route", "exact_memory", "principal_components"]

Float = NDArray[np.float64]

#: Bytes that may be used.
MEMORY = 4 << 30
#: Meshes that vary by less than this share of their size (squared) are equal but for rounding.
EQUAL = 1e-10
#: Variances below this share of the largest are rounding.
RANK = 1e-12


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of N meshes, K of them kept as modes.

    Attributes
    ----------
    modes : (K, V, 3) float32
        Millimetres per standard deviation (in the unit of the meshes); the entry of largest
        size of each is positive.
    sigma : (K,) float64
        Standard deviation along each unit mode.
    variances : (R,) float64
        All variances that were found, largest first; unbiased. All there are, R < N and
        R <= 3V, unless the route is ``incremental``.
    total : float
        Variance of the meshes, all components, found or not; unbiased.
    coefficients : (N, R) float64
        The meshes along the unit components, in millimetres.
    squares : (N,) float64
        Squared distance of each mesh to the mean, summed over vertices.
    route : str
        ``gram``, ``covariance`` or ``incremental``.
    """

    modes: NDArray[np.float32]
    sigma: Float
    variances: Float
    total: float
    coefficients: Float
    squares: Float
    route: str

    @property
    def kept(self) -> float:
        """Share of the variance in the modes."""
        return float((self.sigma**2).sum() / self.total)

    @property
    def residuals(self) -> Float:
        """(N,) root mean square over vertices of what the modes leave of each mesh."""
        k, v = self.modes.shape[:2]
        left = self.squares - (self.coefficients[:, :k] ** 2).sum(1)
        return np.asarray(np.sqrt(np.maximum(left, 0) / v))


def choose_route(meshes: int, vertices: int, memory: int = MEMORY) -> str:
    """The name of the way for N meshes of V vertices."""

    gram, covariance = _needs(meshes, vertices)
    if min(gram, covariance) > memory:
        return "incremental"
    return "gram" if gram <= covariance else "covariance"


def exact_memory(meshes: int, vertices: int) -> int:
    """Bytes with which the components of N meshes of V vertices are exact."""
    return min(_needs(meshes, vertices))


def _needs(meshes: int, vertices: int) -> tuple[int, int]:
    """Bytes of the ways ``gram`` and ``covariance``."""
    side = 3 * vertices
    # The matrix, its eigenvectors and a copy, and the coefficients of the meshes.
    return 24 * meshes**2, 24 * side**2 + 8 * meshes * side


def principal_components(
    meshes: MeshCollection,
    alignment: Alignment,
    people: People,
    *,
    variance: float = 0.995,
    modes: int | None = None,
    memory: int = MEMORY,
    route: str | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Components:
    """Principal components of aligned meshes, every subject counting alike.

    Parameters
    ----------
    meshes : MeshCollection
        A stack (see `MeshCollection.stacked`) for the route ``gram``.
    alignment : Alignment
    people : People
    variance : float
        Share of the variance to keep, 0 to 1: as few modes as reach it.
    modes : int, optional
        Modes to keep instead.
    memory : int
        Bytes that may be used.
    route : str, optional
        One of the three ways; by size if not given.
    progress : callable
        Called with the name of the stage and the share of it just done.

    Raises
    ------
    UsageError
        If `variance`, `modes` or `route` is impossible.
    MeshError
        If the meshes do not differ.
    """
    if not 0 < variance <= 1:
        raise UsageError(f"variance: expected a share above 0 and up to 1, got {variance:g}")
    if modes is not None and not 1 <= modes < len(meshes):
        raise UsageError(
            f"modes: expected 1 to {len(meshes) - 1}, one less than meshes, got {modes}"
        )
    route = route or choose_route(len(meshes), meshes.n_vertices, memory)
    if route not in routes.ROUTES:
        raise UsageError(f"route: expected one of {sorted(routes.ROUTES)}, got {route!r}")
    job = routes.Job(meshes, alignment, people.weights, memory, progress or _silent)
    found = routes.ROUTES[route](job)
    if not found.total > EQUAL * float((alignment.mean**2).sum()):
        raise MeshError(f"{meshes.source}: expected meshes that differ, got equal ones")
    rank = int((found.values > RANK * found.values[0]).sum())
    reached = np.cumsum(found.values[:rank]) >= variance * found.total * (1 - RANK)
    wanted = modes or (int(np.argmax(reached)) + 1 if reached.any() else rank)
    return _finished(job, found, rank, min(wanted, rank), people.unbiased, route)


def _finished(
    job: routes.Job, found: routes.Found, rank: int, keep: int, unbiased: float, route: str
) -> Components:
    """Modes with their signs and units."""
    unit = found.directions(keep)  # (K, 3V)
    largest = np.take_along_axis(unit, np.abs(unit).argmax(1)[:, None], 1)[:, 0]
    signs = np.where(largest < 0, -1.0, 1.0)
    variances = found.values[:rank] * unbiased
    sigma = np.sqrt(variances[:keep])
    unit *= (signs * sigma)[:, None]
    found.coefficients[:, :keep] *= signs
    return Components(
        modes=unit.astype(np.float32).reshape(keep, job.meshes.n_vertices, 3),
        sigma=sigma,
        variances=variances,
        total=found.total * unbiased,
        coefficients=found.coefficients[:, :rank],
        squares=found.squares,
        route=route,
    )


def _silent(stage: str, share: float) -> None:
    pass
