"""A gallery for the renderer from mean faces on its mesh.

A mean face of measured vertices is split in two: what ARKit's blendshapes can do, with
weights within their bounds, so that teeth, tongue and lids follow as they should; and
what they leave, kept in a few blendshapes of the gallery's own (the principal components
of what is left), whose weights are signed. Together they draw the mean face itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from synth.expressions.arkit import NAMES, OPPOSITES
from synth.expressions.storage import FORMAT

__all__ = ["Split", "faded", "gallery_arrays", "growth", "least_weights", "seen", "split_faces"]

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

#: Largest weight of an ARKit blendshape, as in every gallery.
LARGEST = 1.1
#: A blendshape is asked for when the measured vertices hold this share of its motion; gaze and
#: tongue only when eyeballs and tongue were measured: from the lids alone gaze is a guess.
SEEN, WHOLE = 0.3, 0.9
INNER = np.array([name.startswith("eyeLook") or name == "tongueOut" for name in NAMES])
#: Ridge of the least squares, as a share of the median squared size of a blendshape: of two
#: ways to make a face the one with smaller weights.
RIDGE = 3e-3
#: Rounds over the weights; they stop when none moves.
SWEEPS = 5000
#: How fast what is left fades into vertices that were not measured, per edge.
FADING = 0.15
#: Tried growths along a ray and widths of the smoothing kernel.
EXPONENTS = np.arange(1.0, 2.01, 0.1)
BANDWIDTHS = (0.03, 0.045, 0.06, 0.08, 0.11, 0.15)


@dataclass(frozen=True, eq=False)
class Split:
    """Faces in ARKit weights and blendshapes of their own.

    Attributes
    ----------
    weights : (n, 52 + P) float64
        ARKit's between 0 and 1.1, the own ones signed, -1 to 1.
    own : (P, V, 3) float32
        The own blendshapes, mm at weight 1.
    arkit_rest, rest : (n,) float64
        What ARKit alone and what both leave of each face, mm rms over measured vertices.
    worst : float
        Largest distance that both leave of any measured vertex of any face, mm.
    """

    weights: Float
    own: NDArray[np.float32]
    arkit_rest: Float
    rest: Float
    worst: float


def least_weights(
    faces: Float, blendshapes: Float, largest: Float | None = None, tolerance: float = 1e-7
) -> Float:
    """(n, E) weights in [0, 1.1] of the blendshapes (E, D) nearest to the faces (n, D).

    With `largest` (n, E) between 0 and that. Done when no weight moves by more than `tolerance`.

    Bounded least squares with a small ridge; of two blendshapes that undo each other only
    the excess of the stronger is kept. Blendshapes of zeros get zero.
    """
    gram = blendshapes @ blendshapes.T
    used = np.flatnonzero(np.diag(gram) > 0)
    gram = gram[np.ix_(used, used)]
    gram[np.diag_indices(len(used))] += RIDGE * np.median(np.diag(gram))
    weights = np.zeros((len(faces), len(blendshapes)))
    high = np.full(weights.shape, LARGEST) if largest is None else largest
    weights[:, used] = _bounded(gram, faces @ blendshapes[used].T, high[:, used], tolerance)
    for a, b in OPPOSITES:
        common = np.minimum(weights[:, a], weights[:, b])
        weights[:, a] -= common
        weights[:, b] -= common
    return weights


@numba.njit(cache=True)
def _bounded(gram: Float, sides: Float, high: Float, tolerance: float) -> Float:  # pragma: no cover
    """Rows x in [0, high] of least ``x G x / 2 - side x``, one coordinate after the other."""
    out = np.zeros_like(sides)
    for row in range(len(sides)):
        x, slope, top = out[row], -sides[row], high[row]
        for _ in range(SWEEPS):
            largest = 0.0
            for i in range(len(x)):
                step = min(max(x[i] - slope[i] / gram[i, i], 0.0), top[i]) - x[i]
                if step != 0.0:
                    x[i] += step
                    slope += step * gram[i]
                    largest = max(largest, abs(step))
            if largest < tolerance:
                break
    return out


def split_faces(
    faces: NDArray[Any],
    blendshapes: NDArray[Any],
    triangles: NDArray[np.integer],
    measured: Bool,
    bound: float = 0.1,
    most: int = 64,
) -> Split:
    """Mean faces on the rig mesh as weights of ARKit's and of own blendshapes.

    Parameters
    ----------
    faces : (n, V, 3) float
        Offsets from neutral, mm; zero faces get zero weights.
    blendshapes : (52, V, 3) float
        In the order of `synth.expressions.arkit.NAMES`, mm per unit weight.
    triangles : (F, 3) int
    measured : (V,) bool
        Vertices whose offsets were measured; elsewhere ARKit's rule, and own blendshapes
        fade out.
    bound : float
        Own blendshapes are added until every face is met within this, mm rms.
    most : int
        But never more of them.
    """
    known = np.flatnonzero(measured)
    target = np.asarray(faces, np.float64)[:, known].reshape(len(faces), -1)
    shapes_here = seen(blendshapes, measured)
    arkit = least_weights(target, shapes_here)
    left = target - arkit @ shapes_here
    basis, coefficients = _components(left, bound * np.sqrt(len(known)), most)
    coefficients[~target.any(1)] = 0.0  # neutral is zero to the last bit
    after = left - coefficients @ basis
    size = np.maximum(np.abs(coefficients).max(0, initial=0), 1e-12)
    own = np.zeros((len(basis), *faces.shape[1:]))
    own[:, known] = (basis * size[:, None]).reshape(len(basis), len(known), 3)
    own = faded(own, triangles, measured)
    distance = np.linalg.norm(after.reshape(len(faces), -1, 3), axis=-1)
    return Split(
        weights=np.concatenate([arkit, coefficients / size], axis=1),
        own=own.astype(np.float32),
        arkit_rest=np.linalg.norm(left, axis=1) / np.sqrt(len(known)),
        rest=np.linalg.norm(after, axis=1) / np.sqrt(len(known)),
        worst=float(distance.max(initial=0)),
    )


def seen(blendshapes: NDArray[Any], measured: Bool) -> Float:
    """(52, D) ARKit's blendshapes at the measured vertices, zero where these do not show them."""
    shapes = np.asarray(blendshapes, np.float64)
    here = shapes[:, measured].reshape(len(shapes), -1)
    unseen = (here**2).sum(1) < np.where(INNER, WHOLE, SEEN) * (shapes**2).sum((1, 2))
    return np.where(unseen[:, None], 0.0, here)


def _components(rows: Float, bound: float, most: int) -> tuple[Float, Float]:
    """Fewest principal directions that leave no row longer than `bound`, and coefficients."""
    u, s, vt = np.linalg.svd(rows, full_matrices=False)
    scores = u * s
    left = (rows**2).sum(1)[:, None] - np.cumsum(scores**2, axis=1)
    worst = np.sqrt(np.maximum(np.concatenate([(rows**2).sum(1)[:, None], left], 1), 0)).max(0)
    number = int(min(most, len(s), np.argmax(worst <= bound) if (worst <= bound).any() else most))
    return vt[:number], scores[:, :number]


def faded(own: Float, triangles: NDArray[np.integer], measured: Bool) -> Float:
    """Own blendshapes continued into vertices that were not measured, where they fade out.

    The solution of ``(L + FADING * D) x = 0`` with the measured vertices fixed, L the graph
    Laplacian and D the degrees: what hangs together with the skin follows it a little
    (lids, the lips' inner side), what does not (teeth, eyeballs) stays.
    """
    if not len(own) or measured.all():
        return own
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import splu

    count = own.shape[1]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ones = np.ones(len(edges))
    near = coo_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    near = ((near + near.T) > 0).astype(np.float64)
    degree = np.maximum(np.asarray(near.sum(1)).ravel(), 1)
    matrix = (diags((1 + FADING) * degree) - near).tocsr()
    open_, fixed = np.flatnonzero(~measured), np.flatnonzero(measured)
    known = own[:, fixed].transpose(1, 0, 2).reshape(len(fixed), -1)
    solved = splu(matrix[open_][:, open_].tocsc()).solve(-(matrix[open_][:, fixed] @ known))
    out = own.copy()
    out[:, open_] = solved.reshape(len(open_), len(own), 3).transpose(1, 0, 2)
    return out


def growth(va: Float, weights: Float, count: Int, size: Float) -> tuple[Float, float]:
    """Growth along a ray of every weight, and the kernel's width, that predict classes best.

    Every class is predicted by the smooth lookup from the others (see
    `synth.expressions.gallery`); errors count by class size.

    Parameters
    ----------
    va : (K, 2) float64
        Centres other than neutral.
    weights : (K, E) float64
    count : (K,) int64
    size : (E,) float64
        Of the blendshapes, mm at weight 1: what an error in a weight counts.

    Returns
    -------
    exponent : (E,) float64
        1 to 2.
    bandwidth : float
    """
    if len(va) < 3:
        return np.full(weights.shape[1], 1.2), 0.06
    radius = np.hypot(*va.T)[:, None]
    squared = ((va[:, None] - va) ** 2).sum(-1)
    np.fill_diagonal(squared, np.inf)
    share = count / count.sum()
    error = np.empty((len(BANDWIDTHS), len(EXPONENTS), weights.shape[1]))
    for i, width in enumerate(BANDWIDTHS):
        nearest = squared.min(1, keepdims=True)
        kernel = np.exp(-(squared - nearest) / (2 * width**2)) * count
        for j, exponent in enumerate(EXPONENTS):
            power = radius**exponent
            slope = (kernel @ (power * weights)) / (kernel @ power**2)
            error[i, j] = share @ (slope * power - weights) ** 2 * size**2
    width = int(error.min(1).sum(1).argmin())
    return EXPONENTS[error[width].argmin(0)], BANDWIDTHS[width]


def gallery_arrays(
    class_va: Float,
    class_count: Int,
    split: Split,
    spread: Float,
    expressions: tuple[str, ...],
    expression_va: Float,
    topology: str,
    size: Float,
) -> dict[str, NDArray[Any]]:
    """The arrays of a gallery file (see `synth.expressions.storage`).

    Parameters
    ----------
    class_va, class_count : (K, 2) float64, (K,) int64
        Class 0 is neutral.
    split : Split
        Of the K mean faces, the neutral one a face of zeros, then those of the expressions.
    spread : (52 + P,) float64
        How much frames of one class differ in every weight.
    expressions : tuple of E str
    expression_va : (E, 2) float64
    topology : str
        Digest of the rig's triangles, to which own blendshapes belong.
    size : (52 + P,) float64
        Of the blendshapes, mm at weight 1.
    """
    classes, own = len(class_va), len(split.own)
    faces = split.weights[:classes]
    exponent, bandwidth = growth(class_va[1:], faces[1:], class_count[1:], size)
    # beyond the outermost class a weight may grow a little, never from nothing
    limit = np.minimum(
        1.15 * np.abs(split.weights).max(0), np.r_[np.full(52, LARGEST), np.full(own, np.inf)]
    )
    sd = np.tile(spread, (classes, 1))
    sd[0] = 0
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "names": np.array([*NAMES, *(f"own_{i + 1}" for i in range(own))]),
        "class_va": class_va.astype(np.float32),
        "class_weights": faces.astype(np.float32),
        "class_sd": sd.astype(np.float32),
        "class_count": np.maximum(class_count, 1).astype(np.int32),
        "radial_exponent": exponent.astype(np.float32),
        "limit": limit.astype(np.float32),
        "bandwidth": np.array(bandwidth),
    }
    if expressions:
        arrays |= {
            "expression_names": np.array(expressions),
            "expression_va": np.round(expression_va, 6),
            "expression_weights": split.weights[classes:].astype(np.float32),
            "expression_sd": np.tile(spread, (len(expressions), 1)).astype(np.float32),
        }
    if own:
        arrays |= {"own_blendshapes": split.own, "own_topology": np.array(topology)}
    return arrays
