"""Random views of face crops in a batch: drawn first, then applied to all pictures at once.

Every effect has a strength of its own, which is 0 where it is off, and landmarks go where
the pixels go.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from synth.landmarks.mirror import MIRROR
from synth.training.fer_strengths import Augment

__all__ = ["Drawn", "apply", "draw", "noise_bank"]

Tensor = Any

#: Share of the width kept between side stripes; share of the area that is erased.
NARROW, ERASED = (0.6, 0.95), (0.02, 0.2)
#: Patterns of noise to choose from.
PATTERNS = 128


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn for N pictures; None where an effect is off.

    Attributes
    ----------
    flip : (N,) bool
    affine : (N, 2, 3) float
        From places in the picture to where they go, about its centre, in units of half
        its side.
    gamma, contrast, brightness, blur : (N,) float
        Exponent; factors; share of the blurred picture.
    light : (N, 2) float
        Slope across and down.
    erase : (N, 5) float
        Left, top, right, bottom as share of the side, and the grey value; empty rectangles
        where nothing is erased.
    stripes : (N,) float
        Share of the width that is kept.
    noise : (N, 2) float
        Pattern (a whole number) and standard deviation, with either sign.
    jitter : (N, 68, 2) float
        Share of the side.
    """

    flip: Tensor | None = None
    affine: Tensor | None = None
    gamma: Tensor | None = None
    contrast: Tensor | None = None
    brightness: Tensor | None = None
    light: Tensor | None = None
    blur: Tensor | None = None
    erase: Tensor | None = None
    stripes: Tensor | None = None
    noise: Tensor | None = None
    jitter: Tensor | None = None

    def to(self, device: str) -> Drawn:
        """The same on a device."""
        if device == "cpu":
            return self
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Drawn(**{name: v.to(device) for name, v in given.items() if v is not None})


def draw(count: int, augment: Augment, rng: torch.Generator, points: bool = False) -> Drawn:
    """What becomes of `count` pictures; jitter only where there are `points`."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng)

    def either(strength: float, *shape: int) -> Tensor:
        return (2 * uniform(*shape) - 1) * strength

    def half() -> Tensor:
        return (uniform() < 0.5).float()

    a = augment
    made: dict[str, Tensor] = {}
    if a.flip:
        made["flip"] = uniform() < a.flip
    if a.rotation or a.zoom or a.shift:
        made["affine"] = _affine(either(math.radians(a.rotation)), either(a.zoom),
                                 either(2 * a.shift, 2))  # fmt: skip
    if a.gamma:
        made["gamma"] = 2 ** either(a.gamma)
    for name in ("contrast", "brightness"):
        if getattr(a, name):
            made[name] = 1 + either(getattr(a, name))
    if a.light:
        angle, slope = math.tau * uniform(), uniform() * a.light
        made["light"] = torch.stack([angle.cos() * slope, angle.sin() * slope], 1)
    if a.blur:
        made["blur"] = uniform() * half() * a.blur
    if a.erase:
        made["erase"] = _rectangles(uniform(5), uniform() < a.erase)
    if a.stripes:
        low, high = NARROW
        made["stripes"] = torch.where(uniform() < a.stripes, low + (high - low) * uniform(), 1.0)
    if a.noise:
        pattern = torch.floor(uniform() * PATTERNS)
        made["noise"] = torch.stack([pattern, either(a.noise) * half()], 1)
    if a.jitter and points:
        made["jitter"] = torch.randn(count, 68, 2, generator=rng) * a.jitter
    return Drawn(**made)


def _affine(angle: Tensor, zoom: Tensor, shift: Tensor) -> Tensor:
    along, across = (1 + zoom) * angle.cos(), (1 + zoom) * angle.sin()
    turn = torch.stack([along, -across, across, along], 1).reshape(-1, 2, 2)
    return torch.cat([turn, shift[:, :, None]], 2)


def _rectangles(drawn: Tensor, chosen: Tensor) -> Tensor:
    """Left, top, right, bottom and value; area and shape vary as in random erasing [1]_.

    .. [1] Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    """
    low, high = ERASED
    area = low + (high - low) * drawn[:, 0]
    aspect = (2.5 ** (2 * drawn[:, 1] - 1)).sqrt()
    width, height = area.sqrt() * aspect, area.sqrt() / aspect
    left, top = drawn[:, 2] * (1 - width), drawn[:, 3] * (1 - height)
    right = torch.where(chosen, left + width, left)
    return torch.stack([left, top, right, top + height, drawn[:, 4]], 1)


def noise_bank(size: int, seed: int = 0) -> Tensor:
    """(PATTERNS, size, size) float32 normal noise to draw from."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(PATTERNS, size, size, generator=rng)


# ----------------------------------------------------------------------------- applying
def apply(
    pixels: Tensor, points: Tensor | None, drawn: Drawn, bank: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The pictures and their landmarks as drawn.

    Parameters
    ----------
    pixels : (N, C, S, S) uint8
    points : (N, 68, 2) float or None
        Pixels.
    drawn : Drawn
        On the device of the pixels.
    bank : tensor, optional
        From `noise_bank`; needed where there is noise.

    Returns
    -------
    (N, C, S, S) float32 in [-1, 1]
    (N, 68, 2) float or None
    """
    x = pixels.float().mul_(1 / 255)
    if drawn.flip is not None:
        x = torch.where(drawn.flip[:, None, None, None], x.flip(3), x)
    if drawn.affine is not None:
        x = _moved(x, drawn.affine)
    x = _toned(x, drawn)
    if drawn.blur is not None:
        x = x + (_blurred(x) - x) * drawn.blur[:, None, None, None]
    x = _covered(x, drawn)
    if drawn.noise is not None:
        assert bank is not None
        patterns = bank[drawn.noise[:, 0].long()] * drawn.noise[:, 1, None, None]
        x = x + patterns[:, None]
    # Outside [0, 1] there is nothing to see; without any effect nothing is there.
    x = x.clamp_(0, 1).mul_(2).sub_(1)
    return x, None if points is None else _moved_points(points, drawn, pixels.shape[-1])


def _moved(x: Tensor, affine: Tensor) -> Tensor:
    """Pixels at the places that the affine map takes them to; the border is repeated."""
    back = torch.linalg.inv(affine[:, :, :2])
    shift = -back @ affine[:, :, 2:]
    axis = (torch.arange(x.shape[-1], device=x.device) * 2 + 1) / x.shape[-1] - 1
    # As functional.affine_grid, which spends as long on it as the sampling takes.
    down = back[:, :, 1, None] * axis + shift
    across = back[:, :, 0, None] * axis
    grid = (down[:, :, :, None] + across[:, :, None, :]).permute(0, 2, 3, 1)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _moved_points(points: Tensor, drawn: Drawn, side: int) -> Tensor:
    if drawn.flip is not None:
        mirrored = points[:, torch.from_numpy(MIRROR).to(points.device)].clone()
        mirrored[..., 0] = side - 1 - mirrored[..., 0]
        points = torch.where(drawn.flip[:, None, None], mirrored, points)
    if drawn.affine is not None:
        placed = (2 * points + 1) / side - 1
        placed = placed @ drawn.affine[:, :, :2].transpose(1, 2) + drawn.affine[:, None, :, 2]
        points = ((placed + 1) * side - 1) / 2
    if drawn.jitter is not None:
        points = points + drawn.jitter * side
    return points


def _toned(x: Tensor, drawn: Drawn) -> Tensor:
    if drawn.gamma is not None:
        x = x.clamp_(1e-4, 1).pow(drawn.gamma[:, None, None, None])
    factor = None if drawn.brightness is None else drawn.brightness[:, None, None, None]
    if drawn.contrast is not None:
        slope = drawn.contrast[:, None, None, None]
        mean = x.mean((1, 2, 3), keepdim=True)
        x = (x - mean).mul_(slope).add_(mean)
    if drawn.light is not None:
        axis = (torch.arange(x.shape[-1], device=x.device) * 2 + 1) / x.shape[-1] - 1
        across = drawn.light[:, 0, None] * axis
        down = drawn.light[:, 1, None] * axis
        field = (1 + across[:, None, :] + down[:, :, None])[:, None]
        factor = field if factor is None else field * factor
    return x if factor is None else x * factor


def _blurred(x: Tensor) -> Tensor:
    """Binomial means over 5 x 5 pixels, the border repeated; faster as sums than as a pool."""
    for axis in (2, 3):
        for _ in range(2):
            last = x.shape[axis] - 1
            padded = torch.cat([x.narrow(axis, 0, 1), x, x.narrow(axis, last, 1)], axis)
            sides = padded.narrow(axis, 0, last + 1) + padded.narrow(axis, 2, last + 1)
            x = sides.mul_(0.25).add_(x, alpha=0.5)
    return x


def _covered(x: Tensor, drawn: Drawn) -> Tensor:
    side = x.shape[-1]
    place = (torch.arange(side, device=x.device) + 0.5) / side
    if drawn.erase is not None:
        left, top, right, bottom, value = drawn.erase[:, :, None].unbind(1)
        wide, high = (place >= left) & (place < right), (place >= top) & (place < bottom)
        inside = (high[:, :, None] & wide[:, None, :])[:, None]
        x = torch.where(inside, value[:, :, None, None], x)
    if drawn.stripes is not None:
        outside = (place - 0.5).abs() > drawn.stripes[:, None] / 2
        x = torch.where(outside[:, None, None, :], 0.0, x)
    return x
