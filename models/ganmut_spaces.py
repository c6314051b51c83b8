"""GANmut's conditional spaces: the plane in which places stand for expressions.

A *code* is a point of the plane, and the same for every pixel of a picture. Both spaces
are learned together with the generator from categorical labels alone [1]_:

linear
    Every class is a direction from the origin, which is neutral; the distance from it is
    the intensity. Codes lie in the unit disc.
gaussian
    Every class, neutral too, is a Gaussian with a mean and a covariance of its own.
    Codes lie in the square [-1, 1]^2.

How classes are parametrised, the noise about them, the ranges of intensities, and which
part of a batch is drawn at random are those of the authors' code [2]_. Polar coordinates
in the Gaussian space (`GaussianSpace.polar_code`) are ours.

References
----------
.. [1] d'Apolito, Paudel, Huang, Romero & Van Gool, "GANmut: Learning interpretable
   conditional space for gamut of emotions", CVPR 2021.
.. [2] https://github.com/stefanodapolito/GANmut, ``models/model_linear_2d.py``,
   ``models/model_gaussian_2d.py``, ``core/solver.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from synth.affect import EXPRESSIONS
from synth.errors import UsageError

__all__ = [
    "NOISE",
    "SPACES",
    "Codes",
    "GaussianSpace",
    "LinearSpace",
    "around",
    "condition_maps",
    "make_space",
]

Tensor = Any
#: Standard deviation of codes about the direction of their class.
NOISE = 0.075
#: Intensities drawn for expressions begin here; those of neutral end here.
LEAST = 0.2


@dataclass(frozen=True)
class Codes:
    """What a batch is to be edited into.

    Attributes
    ----------
    codes : (N, 2) float32
        Differentiable with respect to the space where they belong to a class.
    labels : (N,) int64
        Position of the class asked for; meant only where `classified`.
    rho : (N,) float32
        Intensity; 1 in the Gaussian space, which has none.
    classified : (N,) bool
        Whether the code belongs to its class. The others are random codes, which no
        classifier is asked about.
    """

    codes: Tensor
    labels: Tensor
    rho: Tensor
    classified: Tensor


def condition_maps(codes: Tensor, height: int, width: int) -> Tensor:
    """(N, 2, height, width): every code repeated over the picture.

    Parameters
    ----------
    codes : (N, 2) float
    """
    return codes[:, :, None, None].expand(-1, -1, height, width)


class LinearSpace(nn.Module):
    """Classes as learnable unit vectors; the first class is neutral, the origin.

    Parameters
    ----------
    classes : int
        With neutral.

    Attributes
    ----------
    axes : (classes - 1, 2) parameter
        Of any length; small at first, so that they turn fast (as the authors' code has it).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        bound = 1e-4 / math.sqrt(2)
        self.axes = nn.Parameter(torch.empty(classes - 1, 2).uniform_(-bound, bound))

    @torch.no_grad()
    def place(self, vectors: Tensor) -> None:
        """Begin at (classes - 1, 2) unit vectors instead of random ones."""
        self.axes.copy_(vectors)

    def directions(self) -> Tensor:
        """(classes - 1, 2) unit vectors."""
        return functional.normalize(self.axes, dim=1)

    def at(self, labels: Tensor, rho: Tensor) -> Tensor:
        """(N, 2) codes: the class's direction times the intensity.

        Parameters
        ----------
        labels : (N,) int64
            0 is neutral.
        rho : (N,) float
        """
        vectors = torch.cat([self.axes.new_zeros(1, 2), self.directions()])
        return vectors[labels] * rho[:, None]

    def draw(
        self, labels: Tensor, rng: np.random.Generator, random: int = 5, noise: float = NOISE
    ) -> Codes:
        """Codes for a batch in its two parts.

        The first `random` are points at any angle, the rest lie about the direction of
        their class, with normal noise on both coordinates. Intensities are uniform in
        [0.2, 1], for items whose class is neutral in [0, 0.2].

        Parameters
        ----------
        labels : (N,) int64, N > random
        rng : numpy generator
        random : int
        noise : float
            Standard deviation.
        """
        count = len(labels)
        share = rng.random(count)
        angle = rng.random(random) * 2 * np.pi
        spread = rng.normal(size=(count, 2)) * noise
        rho = np.where(labels.cpu().numpy() == 0, LEAST * share, LEAST + (1 - LEAST) * share)
        anywhere = np.stack([np.cos(angle), np.sin(angle)], 1) * rho[:random, None]
        strength = _like(self.axes, rho)
        near = self.at(labels, strength) + _like(self.axes, spread)
        codes = torch.cat([_like(self.axes, anywhere), near[random:]])
        return Codes(codes, labels, strength, torch.arange(count, device=codes.device) >= random)

    def angles(self) -> list[float]:
        """Degrees from 0 to below 360 of the classes behind neutral."""
        return _degrees(self.directions())

    def polar_code(self, theta: float, rho: float) -> tuple[float, float]:
        """The code at an angle (degrees) and an intensity from 0 to 1."""
        return rho * math.cos(math.radians(theta)), rho * math.sin(math.radians(theta))


class GaussianSpace(nn.Module):
    """Classes as learnable Gaussians; the first class is neutral.

    Parameters
    ----------
    classes : int

    Attributes
    ----------
    mu : (classes, 2) parameter
        ``tanh`` of it is the mean.
    spread : (classes, 2) parameter
        Its absolute values are the eigenvalues of the covariance.
    turn : (classes,) parameter
        Radians from the first axis to the eigenvector of the first eigenvalue.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(2)
        self.mu = nn.Parameter(torch.empty(classes, 2).uniform_(-bound, bound))
        self.spread = nn.Parameter(torch.ones(classes, 2))
        self.turn = nn.Parameter(torch.zeros(classes))

    @torch.no_grad()
    def place(self, vectors: Tensor, radius: float = 0.6) -> None:
        """Begin with neutral at the origin, the others `radius` along (classes - 1, 2) vectors."""
        self.mu.copy_(torch.atanh(radius * torch.cat([vectors.new_zeros(1, 2), vectors])))

    def means(self) -> Tensor:
        """(classes, 2), inside the square."""
        return torch.tanh(self.mu)

    def covariances(self) -> Tensor:
        """(classes, 2, 2), symmetric and positive: a diagonal one, turned."""
        cos, sin = self.turn.cos(), self.turn.sin()
        rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
        return rotation @ torch.diag_embed(self.spread.abs()) @ rotation.mT

    def distances(self, codes: Tensor) -> Tensor:
        """(N, classes) squared Mahalanobis distances of (N, 2) codes."""
        offset = codes[:, None] - self.means()
        inverse = torch.linalg.inv(self.covariances())
        return torch.einsum("nci,cij,ncj->nc", offset, inverse, offset)

    def log_density(self, codes: Tensor) -> Tensor:
        """(N, classes) logarithm of each Gaussian's density at (N, 2) codes."""
        volume = self.spread.abs().log().sum(1)
        return -0.5 * (self.distances(codes) + volume) - math.log(2 * math.pi)

    def log_membership(self, codes: Tensor) -> Tensor:
        """(N, classes) log-probabilities that a code belongs to each class.

        Softmax of the negated squared distances, as in the authors' code: neither the
        half nor the determinants of the densities are in it.
        """
        return functional.log_softmax(-self.distances(codes), dim=1)

    def draw(self, labels: Tensor, rng: np.random.Generator) -> Codes:
        """Codes for a batch: first the mean of every class, then random ones of the square.

        Parameters
        ----------
        labels : (N,) int64, N >= classes
            Only their number and device matter.
        rng : numpy generator
        """
        count, classes = len(labels), len(self.mu)
        random = _like(self.mu, rng.uniform(-1, 1, (count - classes, 2)))
        order = torch.arange(count, device=self.mu.device)
        return Codes(
            torch.cat([self.means(), random]),
            order.clamp(max=classes - 1),
            self.mu.new_ones(count),
            order < classes,
        )

    def angles(self) -> list[float]:
        """Degrees of the classes behind neutral, seen from the mean of neutral."""
        means = self.means()
        return _degrees(means[1:] - means[:1])

    def radii(self) -> list[float]:
        """Distances of their means from neutral's."""
        means = self.means()
        return [float(r) for r in (means[1:] - means[:1]).detach().norm(dim=1)]

    @torch.no_grad()
    def polar_code(self, theta: float, rho: float) -> tuple[float, float]:
        """The code at an angle (degrees) and an intensity from 0 to 1, seen from neutral.

        rho 0 is the mean of neutral, and rho 1 at the angle of a class is its mean; in
        between the distance that 1 stands for follows the angle, linearly from class to
        class. Held inside the square.
        """
        angles, radii = self.angles(), self.radii()
        order = np.argsort(angles)
        radius = np.interp(theta % 360, np.array(angles)[order], np.array(radii)[order], period=360)
        start = self.means()[0].tolist()
        turn = math.radians(theta)
        steps = (math.cos(turn), math.sin(turn))
        x, y = (
            float(np.clip(s + rho * radius * d, -1, 1)) for s, d in zip(start, steps, strict=True)
        )
        return x, y


#: Kinds of conditional spaces.
SPACES: dict[str, type[LinearSpace] | type[GaussianSpace]] = {
    "linear": LinearSpace,
    "gaussian": GaussianSpace,
}


def make_space(kind: str, classes: Sequence[str]) -> LinearSpace | GaussianSpace:
    """An untrained space for the classes, the first of which is neutral.

    Raises
    ------
    UsageError
        If there is no such kind.
    """
    if kind not in SPACES:
        raise UsageError(f"space: expected one of {', '.join(SPACES)}, got {kind!r}")
    return SPACES[kind](len(classes))


def around(classes: Sequence[str]) -> Tensor:
    """(classes - 1, 2) unit vectors, evenly spread, in the classes' order on the circumplex.

    The first class is neutral; the one that lies next behind pleasant is put at its own
    angle, so that the plane resembles the circumplex.
    """
    degrees = [math.degrees(EXPRESSIONS[name].angle) % 360 for name in classes[1:]]
    ranks = np.argsort(np.argsort(degrees))
    turns = np.radians(min(degrees) + ranks * 360 / len(degrees))
    return torch.from_numpy(np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32))


def _like(tensor: Tensor, array: Any) -> Tensor:
    return torch.as_tensor(array, dtype=tensor.dtype, device=tensor.device)


def _degrees(vectors: Tensor) -> list[float]:
    flat = vectors.detach().double().cpu()
    return [float(a) % 360 for a in torch.rad2deg(torch.atan2(flat[:, 1], flat[:, 0]))]
