"""Blending a rendered face into its photo: Poisson, harmonic and alpha.

Poisson blending [1]_ keeps the gradients of the source and the border values of
the destination. Where the guidance field is the source's own gradient, the
result is the source plus a *membrane*: the harmonic interpolation of
``destination - source`` from the border of the mask ([1]_, eq. 5). The mask is
fixed per photo, so `Membrane` factorises once and each target costs well under
a millisecond for a face of 180 pixels.

The membrane is smooth away from the border. It is therefore solved on a graded
set of nodes (`synth.harmonic.graded_nodes`, after [2]_) and interpolated
bilinearly in between. The coarse system is the Galerkin
one, ``P.T A P``: of all such surfaces it finds the one of least energy, and it
needs no sweeps. `poisson_blend_exact` and `harmonic_extension` are the slow,
plain solutions that it is tested against.

The border of the image is no border of the mask: no neighbour, no equation
(Neumann). A part of the mask without any known neighbour keeps its values.

References
----------
.. [1] Perez, Gangnet & Blake, "Poisson Image Editing", SIGGRAPH 2003.
.. [2] Agarwala, "Efficient Gradient-Domain Compositing Using Quadtrees", SIGGRAPH 2007.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.ndimage import distance_transform_edt

from synth.errors import ShapeError
from synth.harmonic import (
    HarmonicExtension,
    Mask,
    anchored,
    as_mask,
    factorise,
    graded_nodes,
    harmonic_extension,
    laplace,
)

__all__ = [
    "HarmonicExtension",
    "Membrane",
    "alpha_blend",
    "feather",
    "harmonic_extension",
    "poisson_blend",
    "poisson_blend_exact",
]

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


# --------------------------------------------------------------- arguments
def _as_image(image: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    array = np.asarray(image)
    if array.shape != (*shape, 3):
        raise ShapeError(f"{name}: expected {(*shape, 3)} like the mask, got {array.shape}")
    return array


def _to_bytes(values: NDArray[Any]) -> UInt8:
    """Nearest byte, halves upwards, clipped to 0..255."""
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)


# -------------------------------------------------------------------- oracle
def poisson_blend_exact(source: ArrayLike, destination: ArrayLike, mask: ArrayLike) -> UInt8:
    """The Poisson blend by an exact sparse solve in gradient form: slow, the test oracle.

    Solves ``|N_p| f_p - sum f_q = sum f*_q + sum (g_p - g_q)`` [1]_ (eq. 7, with eq.
    11) for every masked pixel p over its neighbours q in the image.

    Parameters
    ----------
    source, destination : (H, W, 3) uint8 or float, 0 to 255
        The source must be meaningful on the mask and one pixel around it.
    mask : (H, W) bool

    Returns
    -------
    (H, W, 3) uint8
        The destination's own values outside the mask.
    """
    inside = as_mask(mask)
    g = _as_image(source, inside.shape, "source").reshape(-1, 3).astype(np.float64)
    out = _to_bytes(_as_image(destination, inside.shape, "destination")).reshape(-1, 3)
    unknown = anchored(inside, ~inside)
    out[(inside & ~unknown).ravel()] = _to_bytes(g[(inside & ~unknown).ravel()])
    matrix, border = laplace(unknown, ~inside)
    pixels = np.flatnonzero(unknown)
    if pixels.size:
        right = border @ np.asarray(destination, np.float64).reshape(-1, 3)
        right += matrix @ g[pixels] - border @ g
        out[pixels] = _to_bytes(factorise(matrix).solve(right))
    return out.reshape(*inside.shape, 3)


# ------------------------------------------------------------------ membrane
@njit(cache=True, nogil=True, fastmath=True)
def _solve_nodes(
    ring: Any, b_start: Any, b_at: Any, b_value: Any, start: Any, at: Any, value: Any, diagonal: Any
) -> Any:
    """(m, 4) float32 node values: ``L D L.T y = B ring``, rows in the factor's order."""
    m = diagonal.size
    y = np.zeros((m, 4), np.float32)
    for i in range(m):
        for k in range(b_start[i], b_start[i + 1]):
            for c in range(4):
                y[i, c] += b_value[k] * ring[b_at[k], c]
    for i in range(m):
        a0, a1, a2, a3 = y[i, 0], y[i, 1], y[i, 2], y[i, 3]
        for k in range(start[i], start[i + 1]):
            j, v = at[k], value[k]
            y[j, 0] -= v * a0
            y[j, 1] -= v * a1
            y[j, 2] -= v * a2
            y[j, 3] -= v * a3
    for i in range(m - 1, -1, -1):
        d = diagonal[i]
        a0, a1, a2, a3 = y[i, 0] * d, y[i, 1] * d, y[i, 2] * d, y[i, 3] * d
        for k in range(start[i], start[i + 1]):
            j, v = at[k], value[k]
            a0 -= v * y[j, 0]
            a1 -= v * y[j, 1]
            a2 -= v * y[j, 2]
            a3 -= v * y[j, 3]
        y[i, 0], y[i, 1], y[i, 2], y[i, 3] = a0, a1, a2, a3
    return y


@njit(cache=True, nogil=True)
def _ring_difference(destination: Any, source: Any, ring: Any) -> Any:
    """(r, 4) float32 destination minus source on the ring, and whether any is not 0."""
    out = np.zeros((ring.size, 4), np.float32)
    any_other = False
    for i in range(ring.size):
        for c in range(3):
            d = np.float32(destination[ring[i], c]) - np.float32(source[ring[i], c])
            out[i, c] = d
            any_other |= d != 0
    return out, any_other


@njit(cache=True, nogil=True)
def _composite(source: Any, out: Any, pixels: Any, start: Any, at: Any, value: Any, y: Any) -> None:
    """Write source + membrane, rounded and clipped, to the masked pixels of `out`."""
    for i in range(pixels.size):
        p = pixels[i]
        u0 = u1 = u2 = np.float32(0.5)
        for k in range(start[i], start[i + 1]):
            v, j = value[k], at[k]
            u0 += v * y[j, 0]
            u1 += v * y[j, 1]
            u2 += v * y[j, 2]
        u0 += source[p, 0]
        u1 += source[p, 1]
        u2 += source[p, 2]
        out[p, 0] = np.uint8(min(max(u0, np.float32(0)), np.float32(255)))
        out[p, 1] = np.uint8(min(max(u1, np.float32(0)), np.float32(255)))
        out[p, 2] = np.uint8(min(max(u2, np.float32(0)), np.float32(255)))


class Membrane:
    """Poisson blending with a fixed mask: set up once per photo, then fast per target.

    Parameters
    ----------
    mask : (H, W) bool
        Pixels to replace. May touch the border of the image, have holes and
        several parts.

    Raises
    ------
    ShapeError
        If `mask` is not a 2-D boolean array.
    """

    def __init__(self, mask: ArrayLike) -> None:
        inside = as_mask(mask)
        self.shape = inside.shape
        unknown = anchored(inside, ~inside)
        self._pixels = np.flatnonzero(unknown)
        #: Flat masked pixels without any known neighbour: the source is copied there.
        self._loose = np.flatnonzero(inside & ~unknown)
        if self._pixels.size:
            self._prepare(unknown, ~inside)

    def _prepare(self, unknown: Mask, known: Mask) -> None:
        matrix, border = laplace(unknown, known)
        self._ring = np.unique(border.indices).astype(np.int64)
        spread = graded_nodes(unknown, self._pixels)
        lu = factorise(spread.T @ matrix @ spread)
        # Symmetric mode without pivoting gives U = D L.T, and node i is row perm_c[i] of L.
        assert np.array_equal(lu.perm_r, lu.perm_c), "a positive definite matrix was pivoted"
        order = np.argsort(lu.perm_c)
        spread = sparse.csr_matrix(spread[:, order])
        right = sparse.csr_matrix(spread.T @ border[:, self._ring])
        lower = sparse.csc_matrix(sparse.tril(lu.L, -1))
        diagonal = lu.U.diagonal()
        self._right = right.indptr, right.indices, right.data.astype(np.float32)
        self._lower = lower.indptr, lower.indices, lower.data.astype(np.float32)
        self._inverse = (1 / diagonal).astype(np.float32)
        self._spread = spread.indptr, spread.indices, spread.data.astype(np.float32)

    @property
    def nodes(self) -> int:
        """Number of unknowns of the graded system."""
        return int(self._inverse.size) if self._pixels.size else 0

    def _solve(self, ring: Float32) -> Float32:
        return _solve_nodes(ring, *self._right, *self._lower, self._inverse)

    def extend(self, difference: ArrayLike) -> Float32:
        """The membrane itself: `difference` interpolated from around the mask into it.

        Parameters
        ----------
        difference : (H, W, 3) float
            Read on the one-pixel ring around the mask.

        Returns
        -------
        (H, W, 3) float32
            0 outside the mask.
        """
        values = _as_image(difference, self.shape, "difference").reshape(-1, 3)
        out = np.zeros(values.shape, np.float32)
        if self._pixels.size:
            ring = np.zeros((self._ring.size, 4), np.float32)
            ring[:, :3] = values[self._ring]
            start, at, weight = self._spread
            spread = sparse.csr_matrix((weight, at, start), (self._pixels.size, self.nodes))
            out[self._pixels] = (spread @ self._solve(ring))[:, :3]
        return out.reshape(*self.shape, 3)

    def blend(self, source: ArrayLike, destination: ArrayLike) -> UInt8:
        """The Poisson blend of `source` into `destination` within the mask.

        Parameters
        ----------
        source : (H, W, 3) uint8 or float, 0 to 255
            Must be meaningful on the mask and one pixel around it.
        destination : (H, W, 3) uint8

        Returns
        -------
        (H, W, 3) uint8
            Outside the mask the destination, bit for bit.

        Raises
        ------
        ShapeError
            If a picture does not fit the mask.
        """
        new = _as_image(source, self.shape, "source")
        if new.dtype != np.uint8:
            new = np.asarray(new, np.float32)
        old = np.asarray(_as_image(destination, self.shape, "destination"))
        if old.dtype != np.uint8:
            raise ShapeError(f"destination: expected uint8, got {old.dtype}; round it first")
        out = np.ascontiguousarray(old).copy().reshape(-1, 3)
        flat = np.ascontiguousarray(new).reshape(-1, 3)
        if self._loose.size:
            out[self._loose] = _to_bytes(flat[self._loose])
        if self._pixels.size:
            ring, differs = _ring_difference(out, flat, self._ring)
            y = self._solve(ring) if differs else np.zeros((self.nodes, 4), np.float32)
            _composite(flat, out, self._pixels, *self._spread, y)
        return out.reshape(*self.shape, 3)


def poisson_blend(source: ArrayLike, destination: ArrayLike, mask: ArrayLike) -> UInt8:
    """The Poisson blend of one picture; keep a `Membrane` where the mask is used again."""
    return Membrane(mask).blend(source, destination)


# --------------------------------------------------------------------- alpha
def alpha_blend(source: ArrayLike, destination: ArrayLike, alpha: ArrayLike) -> UInt8:
    """``alpha source + (1 - alpha) destination``, rounded to bytes.

    Parameters
    ----------
    source, destination : (H, W, 3) uint8 or float, 0 to 255
    alpha : (H, W) float, 0 to 1
        Where it is 0 or 1 the picture that counts comes back exactly.

    Returns
    -------
    (H, W, 3) uint8
    """
    weight = np.asarray(alpha, np.float32)
    if weight.ndim != 2 or not (weight.min(initial=0) >= 0 and weight.max(initial=1) <= 1):
        raise ShapeError(f"alpha: expected (H, W) in [0, 1], got {weight.shape}; scale it")
    new = _as_image(source, weight.shape, "source").astype(np.float32)
    old = _as_image(destination, weight.shape, "destination").astype(np.float32)
    return _to_bytes(old + weight[..., None] * (new - old))


def feather(mask: ArrayLike, radius: float) -> Float32:
    """(H, W) float32 alpha: 0 outside `mask`, rising smoothly to 1 `radius` pixels inside.

    A smoothstep of the distance to the nearest pixel outside; the border of the
    image does not count as outside.

    Parameters
    ----------
    mask : (H, W) bool
    radius : float
        Pixels, at least 0; 0 gives the mask itself.
    """
    inside = as_mask(mask)
    if not radius >= 0:
        raise ShapeError(f"radius: expected at least 0 pixels, got {radius!r}")
    if radius == 0 or inside.all():
        return inside.astype(np.float32)
    t = np.clip(distance_transform_edt(inside) / (radius + 1), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)
