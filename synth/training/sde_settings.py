"""Settings of NFER-SDE's training, and how its pictures are moved and its times drawn."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from synth.landmarks.mirror import MIRROR
from synth.models import sde
from synth.models.unet import NetConfig

__all__ = ["SDEConfig", "moved", "spread_times"]

Tensor = Any


@dataclass(frozen=True)
class SDEConfig:
    """How a network is built and trained.

    Attributes
    ----------
    size, channels, widths, blocks, patch, to
        See `synth.models.unet.NetConfig`.
    batch : int
        Pairs per step.
    rate : float
        Learning rate of Adam.
    warmup, steady : int
        Steps in which the rate rises from 0; after `steady` steps it falls.
    average : float
        The mean of the weights gives iteration i the weight ``i ** average``.
    dropped : float
        Share of pairs whose condition is left out, for the unconditional score.
    shift, zoom, turn : float
        Largest movement of the pictures: share of the side, factor, degrees.
    """

    size: int = 64
    channels: int = 32
    widths: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    patch: int = 2
    to: str = "nir"
    batch: int = 8
    rate: float = 1e-3
    warmup: int = 100
    steady: int = 1000
    average: float = 7.0
    dropped: float = 0.2
    shift: float = 0.03
    zoom: float = 0.05
    turn: float = 4.0

    def __post_init__(self) -> None:
        _ = self.net  # refuses what no network can be built from

    @property
    def net(self) -> NetConfig:
        """Of the network."""
        return NetConfig(self.size, self.channels, self.widths, self.blocks, self.patch, self.to)

    def settings(self) -> dict[str, Any]:
        """For a run file."""
        return {**asdict(self), "widths": list(self.widths)}


# ---------------------------------------------------------------------- movement
def moved(
    pictures: Tensor, points: Tensor, config: SDEConfig, generator: Any
) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, S, S) and points (N, 68, 2), flipped and moved alike at random.

    Where a picture is left, its border is mirrored.
    """
    n, size = len(pictures), pictures.shape[-1]
    draw = torch.rand(5, n, generator=generator)
    flip = draw[0] < 0.5
    angle = torch.deg2rad((2 * draw[1] - 1) * config.turn)
    scale = 1 + (2 * draw[2] - 1) * config.zoom
    shift = (2 * draw[3:].T - 1) * config.shift * 2  # of coordinates from -1 to 1
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    turn = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1)
    back = torch.cat([turn, -(turn @ shift[:, :, None])], 2)  # new place -> old place
    grid = torch.nn.functional.affine_grid(back, list(pictures.shape), align_corners=False)
    pictures = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
    pictures = torch.nn.functional.grid_sample(
        pictures, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    ).clamp(-1, 1)
    at = (2 * points + 1) / size - 1
    mirrored = at[:, torch.from_numpy(MIRROR)] * torch.tensor([-1.0, 1.0])
    at = torch.where(flip[:, None, None], mirrored, at)
    at = at @ torch.linalg.inv(turn).mT + shift[:, None]
    return pictures, ((at + 1) * size - 1) / 2


def spread_times(n: int, generator: Any) -> Tensor:
    """(N,) times in (0, 1), one from each n-th part, in random order."""
    parts = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)) / n
    return (parts**2).clamp(min=sde.LAST)
