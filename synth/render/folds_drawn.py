"""Folds drawn by hand, where no photo pairs are at hand to learn from.

Coordinates are texture pixels of a 512 x 512 map (197 of them between the outer
eye corners), taken from the model's landmarks. A fold is a soft dark valley
between lighter flanks, with a wide soft shade around it; depth, width and course
vary along it as in skin, from a fixed seed. Depths follow what the study of the
learned smile map measured for the nasolabial fold (0.05 to 0.15 in log ratio).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d
from scipy.ndimage import gaussian_filter1d

__all__ = ["SIZE", "drawn_maps"]

Float = NDArray[np.float64]
SIZE = 512
CENTRE = (SIZE - 1) / 2


def _along(rng: np.random.Generator, n: int, scale: float) -> Float:
    """Smooth noise of unit standard deviation along a fold."""
    noise = gaussian_filter1d(rng.standard_normal(n), scale, mode="reflect")
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-9))


def _fold(
    points: list[tuple[float, float]],
    depth: float,
    width: float,
    rng: np.random.Generator,
    ridge: float = 0.35,
    side: float = 0.0,
    taper: float = 0.9,
) -> Float:
    """(512, 512) log ratio of one fold through `points` (x, y).

    Parameters
    ----------
    depth : float
        Log ratio of the valley.
    width : float
        Standard deviation of the valley's cross-section, texture pixels.
    ridge : float
        Height of the flanks as a share of the depth.
    side : float
        -1..1: how much more the flank to the right of the direction of travel catches light.
    taper : float
        Exponent of the fade towards both ends.
    """
    path = np.array(points, float)
    n = 120
    kind = "quadratic" if len(path) > 2 else "linear"
    q = interp1d(np.linspace(0, 1, len(path)), path, axis=0, kind=kind)(np.linspace(0, 1, n))
    tangent = np.gradient(q, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    normal = np.column_stack((-tangent[:, 1], tangent[:, 0]))
    q = q + normal * (0.55 * _along(rng, n, 9))[:, None]
    strength = np.sin(np.pi * np.linspace(0.01, 0.99, n)) ** taper
    strength = strength * np.clip(1 + 0.22 * _along(rng, n, 7), 0.3, 1.6)
    widths = width * np.clip(1 + 0.18 * _along(rng, n, 12), 0.6, 1.5)
    pad = 8 * width
    x0, y0 = np.maximum(q.min(0) - pad, 0).astype(int)
    x1, y1 = np.minimum(q.max(0) + pad, SIZE - 1).astype(int) + 1
    y, x = np.mgrid[y0:y1, x0:x1]
    dx, dy = x[..., None] - q[:, 0], y[..., None] - q[:, 1]
    nearest = (dx**2 + dy**2).argmin(2)
    pick = np.take_along_axis
    dx, dy = (pick(d, nearest[..., None], 2)[..., 0] for d in (dx, dy))
    signed = dx * normal[nearest, 0] + dy * normal[nearest, 1]
    d = np.hypot(dx, dy) / widths[nearest]
    valley = np.exp(-0.5 * d**2) + 0.30 * np.exp(-0.5 * (d / 3) ** 2)
    flank = ridge * np.exp(-0.5 * ((d - 3.0) / 1.5) ** 2) * (1 + side * np.tanh(signed / width))
    out = np.zeros((SIZE, SIZE))
    out[y0:y1, x0:x1] = depth * strength[nearest] * (flank - valley)
    return out


def _blob(x: float, y: float, sx: float, sy: float, height: float) -> Float:
    """(512, 512) Gaussian."""
    row, column = np.mgrid[0:SIZE, 0:SIZE]
    squared = ((column - x) / sx) ** 2 + ((row - y) / sy) ** 2
    return np.asarray(height * np.exp(-0.5 * squared))


def left_half(values: Float, softness: float = 8.0) -> Float:
    """A symmetric map faded out over the midline: it and its mirror image add up to `values`."""
    column = np.arange(SIZE) - CENTRE
    return np.asarray(values / (1 + np.exp(-column / softness)))


def drawn_maps(landmarks: Float, smile: Float) -> dict[str, Float]:
    """Drawn maps of the subject's left side at strength 1.

    Parameters
    ----------
    landmarks : (68, 2) float64
        Texture pixels of the model's landmarks, 512 px map.
    smile : (512, 512) float64
        The learned smile map; the nasolabial fold of other actions is its fine part.

    Returns
    -------
    dict of str to (512, 512) float64
        Log luminance ratios.
    """
    rng = np.random.default_rng(7)
    q = landmarks
    return {
        "glabella": _glabella(q, rng),
        "nose": _nose(q, rng),
        "forehead": _forehead(q, rng),
        "forehead_outer": _forehead_outer(q, rng),
        "nasolabial": _nasolabial(q, smile),
        "frown": _frown(q, rng),
        "chin": _chin(q, rng),
        "crows_feet": _crows_feet(q, rng),
        "lower_lid": _lower_lid(q, rng),
        "stretch": _stretch(q, rng),
    }


def _glabella(q: Float, rng: np.random.Generator) -> Float:
    """Vertical furrow beside the midline, the brow's bulge, half of the root's cross line."""
    inner, brow = q[22, 0] - CENTRE, q[[21, 22], 1].mean()
    eye = q[[39, 42], 1].mean()
    x = CENTRE
    furrow = [(0.42, 15), (0.50, -6), (0.72, -32)]
    out = _fold([(x + inner * a, brow + b) for a, b in furrow], 0.17, 3.0, rng, 0.30, 0.4)
    out = out + _blob(x + inner * 1.1, brow - 9, 8, 11, 0.05)
    cross = _fold([(x - inner * 0.8, eye - 14), (x, eye - 11), (x + inner * 0.8, eye - 14)],
                  0.06, 2.8, rng, 0.3)  # fmt: skip
    return out + left_half((cross + cross[:, ::-1]) / 2)


def _nose(q: Float, rng: np.random.Generator) -> Float:
    """Bunny lines on the side of the nose, half of the line over its root."""
    x, top = CENTRE, q[27, 1]
    out = _fold([(x + 6, top + 3), (x + 15, top + 14), (x + 21, top + 29)], 0.12, 2.4, rng, 0.35)
    lower = [(x + 5, top + 17), (x + 14, top + 29), (x + 20, top + 42)]
    out = out + _fold(lower, 0.10, 2.4, rng, 0.35)
    root = _fold([(x - 14, top - 6), (x, top - 3), (x + 14, top - 6)], 0.09, 2.6, rng, 0.3)
    return out + left_half((root + root[:, ::-1]) / 2)


def _forehead(q: Float, rng: np.random.Generator) -> Float:
    """Three lines across the forehead, broken and uneven."""
    brow, x, out = q[[21, 22], 1].mean(), CENTRE, np.zeros((SIZE, SIZE))
    for up, half, depth in ((-33, 60, 0.105), (-50, 74, 0.125), (-68, 62, 0.095)):
        wave = rng.normal(0, 1.3, 5) * (1, 1, 0, 1, 1)  # level at the mirror
        course = [(x + t * half, brow + up + 6 * abs(t) ** 1.7 + 2 * np.exp(-((t / 0.35) ** 2)) + w)
                  for t, w in zip((-1, -0.5, 0, 0.5, 1), wave, strict=True)]  # fmt: skip
        out = out + _fold(course, depth, 3.0, rng, 0.40, 0.35)
    return left_half(out)


def _forehead_outer(q: Float, rng: np.random.Generator) -> Float:
    """Arcs above the outer half of the brow."""
    brow, x, out = q[[21, 22], 1].mean(), CENTRE, np.zeros((SIZE, SIZE))
    for up, depth in ((-36, 0.09), (-54, 0.08)):
        course = [(x + 46, brow + up), (x + 84, brow + up - 6), (x + 120, brow + up + 8)]
        out = out + _fold(course, depth, 3.0, rng, 0.40, 0.35)
    return out


def _nasolabial(q: Float, smile: Float) -> Float:
    """The dark nasolabial fold of the learned smile, without its lower end."""
    from scipy.ndimage import gaussian_filter as blur

    row, column = np.mgrid[0:SIZE, 0:SIZE]
    dark = np.minimum(blur(smile, 0.8) - blur(smile, 16), 0)
    aside = np.abs(column - CENTRE)
    window = 1 / (1 + np.exp(-(aside - 22) / 2.5)) / (1 + np.exp((aside - 86) / 4))
    window = window / (1 + np.exp((row - q[48, 1] + 6) / 6))
    window = window / (1 + np.exp(-(row - q[29, 1] + 4) / 5))
    return np.asarray(1.6 * dark * window * (column > CENTRE))


def _frown(q: Float, rng: np.random.Generator) -> Float:
    """From the corner of the mouth downwards."""
    x, y = q[54]
    out = _fold([(x + 2, y + 1), (x + 8, y + 14), (x + 9, y + 36)], 0.11, 4.6, rng, 0.3, -0.3, 0.7)
    return out + _blob(x - 6, y + 17, 7, 9, 0.02)


def _chin(q: Float, rng: np.random.Generator) -> Float:
    """Half of the crease under the lip, and the dimpled ball of the chin."""
    lip, chin = q[57, 1], q[8, 1]
    middle, x = lip + 0.52 * (chin - lip), CENTRE
    dimples = np.zeros((SIZE, SIZE))
    for _ in range(24):
        dx, dy = rng.standard_normal(2) * (17, 9)
        size = rng.uniform(1.9, 3.2)
        dimples += _blob(x + dx, middle + dy, 1.2 * size, size, -0.035)
        dimples += _blob(x + dx, middle + dy - 2 * size, 1.2 * size, size, 0.018)
    under = [(x - 28, lip + 17), (x, lip + 11), (x + 28, lip + 17)]
    crease = _fold(under, 0.11, 4.2, rng, 0.5, 0.5)
    return left_half(dimples) + left_half((crease + crease[:, ::-1]) / 2)


def _crows_feet(q: Float, rng: np.random.Generator) -> Float:
    """Three short lines that fan out from the outer corner of the eye."""
    x, y = q[45]
    out = _fold([(x + 11, y - 3), (x + 20, y - 8), (x + 30, y - 16)], 0.065, 2.3, rng, 0.4)
    out = out + _fold([(x + 10, y + 4), (x + 22, y + 5), (x + 35, y + 4)], 0.085, 2.3, rng, 0.4)
    return out + _fold([(x + 7, y + 10), (x + 19, y + 16), (x + 31, y + 23)], 0.07, 2.4, rng, 0.4)


def _lower_lid(q: Float, rng: np.random.Generator) -> Float:
    """The bulge under the lashes and the crease below it."""
    inner, outer = q[42], q[45]
    low = q[[46, 47], 1].mean()
    middle = (inner[0] + outer[0]) / 2
    out = _fold([(inner[0] + 1, low + 6), (middle, low + 15), (outer[0] + 2, low + 8)],
                0.09, 2.9, rng, 0.35, -0.4)  # fmt: skip
    return out + _blob(middle, low + 6, 15, 2.6, 0.035)


def _stretch(q: Float, rng: np.random.Generator) -> Float:
    """A bracket beside the corner of the mouth."""
    x, y = q[54]
    return _fold([(x + 15, y - 15), (x + 21, y + 2), (x + 17, y + 19)], 0.08, 3.6, rng, 0.35, 0.3)
