"""Weights of the dense fit: the paper's numbers, and what one of each is worth here."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DenseSettings", "Units"]


@dataclass(frozen=True)
class Units:
    """What the paper's weights are multiplied by, since its features and pixels are not ours.

    The paper sums squared differences of descriptors over the visible vertices of its model
    and squared pixels over landmarks. Here the dense term is the mean over the visible
    samples, as a share of the features' own energy, landmarks count in inter-ocular distances,
    and everything is divided by c_s, so that one standard deviation of identity costs 1:

        dense term      samples * energy / c_s            =  874 with the defaults
        landmarks       c_l * pixels^2 / c_s              = 3853
        texture         c_t / c_s, in practice 0: pure project-out

    Attributes
    ----------
    samples : float
        Vertices that the paper's camera sees: about a fifth of the 53,215 of its model.
    energy : float
        Squared length of its descriptor at one vertex: SIFT, 512 long.
    pixels : float
        Between the outer eye corners of its pictures: a face in a high-definition frame.
    """

    samples: float = 10_000.0
    energy: float = 512.0**2
    pixels: float = 340.0


@dataclass(frozen=True)
class DenseSettings:
    """Weights of the dense fit.

    Attributes
    ----------
    landmarks, shape, texture : float
        The paper's c_l, c_s and c_t, in its units.
    units : Units
    facing : float
        Least cosine between surface and view of a sample that takes part.
    follow : float
        How far landmarks go along with a local bump, as a share: a bump is mostly there for
        the features, and a detector's point is not tied to the skin.
    robust : float
        Scale of the Cauchy weight of a sample, in median residuals; 0 for none.
    iterations : int
        At most; it stops earlier when the cost changes by less than 1e-4.
    refresh : int
        Steps after which visibility, jaw and weights are found anew.
    """

    landmarks: float = 1e5
    shape: float = 3e6
    texture: float = 1.0
    units: Units = field(default_factory=Units)
    facing: float = 0.35
    follow: float = 0.5
    robust: float = 0.0
    iterations: int = 20
    refresh: int = 4
