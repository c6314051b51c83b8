"""Training of NFER-SDE's two networks on paired pictures: the score and the heatmaps.

Both draw pairs, flip them at random and move them a little (shift, zoom, turn; pixels
and points alike), noise them at random times and take an Adam step; the weights that
are used are a running mean of the trained ones.

The score network is trained to predict v (`synth.models.unet.ScoreNet`), a mean squared
error that equals denoising score matching with the weight ``sigma^2 / alpha^2``: v has
about unit variance at every time, so none is neglected. Times are spread over the batch,
even in ``sqrt(t)``: the sampler takes many of its steps at early times. The learning rate
falls with the square root of the iteration, and the mean of the weights reaches over a
constant share of the run [1]_, so that neither needs to know how long the run will be.
These are our choices: the paper gives none.

References
----------
.. [1] Karras et al., "Analyzing and improving the training dynamics of diffusion models",
   CVPR 2024.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import ShapeError, UsageError
from synth.models import sde
from synth.models.heatmaps import heatmap_loss, heatmaps, peaks
from synth.models.nfer import as_pictures, as_tensor, save_net, translate_batch
from synth.models.unet import HeatmapNet, ScoreNet
from synth.training.sde_settings import SDEConfig, moved, spread_times

__all__ = ["HeatmapTraining", "SDEConfig", "SDETraining", "ScoreTraining"]

Tensor = Any
UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]


# ---------------------------------------------------------------------- trainers
class _Training:
    """What both trainers share: data, optimiser, running mean, own generator."""

    def __init__(
        self,
        net: Any,
        data: list[UInt8],
        points: Float | None,
        config: SDEConfig,
        seed: int,
        device: str,
    ) -> None:
        count = len(data[0])
        for pixels in data:
            if len(pixels) != count or pixels.shape[1:3] != (config.size, config.size):
                raise ShapeError(
                    f"pictures: expected {count} of {config.size} x {config.size} pixels, "
                    f"got {pixels.shape}; align and resize them first"
                )
        if count == 0:
            raise UsageError("pictures: expected at least one pair, got none")
        if points is None:
            points = np.zeros((count, 68, 2))
        if points.shape != (count, 68, 2):
            raise ShapeError(f"points: expected ({count}, 68, 2), got {points.shape}")
        self.config, self.device, self.seed = config, device, seed
        self.pictures = torch.cat([as_tensor(pixels) for pixels in data], 1)
        self.points = torch.from_numpy(points).float()
        self.generator = torch.Generator().manual_seed(seed)
        self.net = net.to(device, memory_format=torch.channels_last).train()
        #: The running mean of the weights: what is used.
        self.network = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.rate)
        self.order: list[int] = []

    def batch(self) -> tuple[Tensor, Tensor]:
        """The next pictures and points: all of them, in random order, before any again."""
        while len(self.order) < self.config.batch:
            more = torch.randperm(len(self.pictures), generator=self.generator)
            self.order += more.tolist()
        chosen, self.order = self.order[: self.config.batch], self.order[self.config.batch :]
        pictures, points = moved(
            self.pictures[chosen], self.points[chosen], self.config, self.generator
        )
        return pictures.to(self.device), points.to(self.device)

    def noise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Times and standard normal noise for a batch."""
        t = spread_times(len(x), self.generator)
        z = torch.randn(x.shape, generator=self.generator)
        return t.to(x), z.to(x)

    def update(self, loss: Tensor, iteration: int) -> float:
        """One step of Adam, and of the running mean."""
        rise = (iteration + 1) / self.config.warmup
        fall = (self.config.steady / (iteration + 1)) ** 0.5
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * min(1.0, rise, fall)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        memory = (iteration / (iteration + 1)) ** (self.config.average + 1)
        with torch.no_grad():
            for mean, now in zip(self.network.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, 1 - memory)
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """See `synth.training.loop.Trainable`."""
        return {
            "net": self.net.state_dict(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "order": list(self.order),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `synth.training.loop.Trainable`."""
        self.net.load_state_dict(state["net"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.order = list(state["order"])


class ScoreTraining(_Training):
    """Trains a `ScoreNet` on pairs.

    Parameters
    ----------
    vis : (N, S, S, 3) uint8
    nir : (N, S, S) uint8
        The same moments.
    points : (N, 68, 2) float64 or None
        Landmarks in pixels; only for the sheet of samples.
    config : SDEConfig
        ``config.to`` says which of the two is made from the other.
    seed : int
    device : str
        Of torch.
    shown : pair of arrays as `vis` and `nir`, optional
        Whose first four the sample sheets show; those trained on when not given.
    """

    def __init__(
        self,
        vis: UInt8,
        nir: UInt8,
        points: Float | None,
        config: SDEConfig | None = None,
        seed: int = 0,
        device: str = "cpu",
        shown: tuple[UInt8, UInt8] | None = None,
    ) -> None:
        config = config or SDEConfig()
        made, seen = (nir, vis) if config.to == "nir" else (vis, nir)
        if len(made) != len(seen):
            raise UsageError(
                f"pairs: expected as many VIS as NIR pictures, got {len(vis)} and {len(nir)}; "
                "NFER-SDE needs paired data"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = ScoreNet(config.net)
        super().__init__(net, [made, seen], points, config, seed, device)
        vis, nir = shown or (vis, nir)
        self.shown = (vis[:4], nir[:4]) if config.to == "nir" else (nir[:4], vis[:4])

    def step(self, iteration: int) -> dict[str, float]:
        """See `synth.training.loop.Trainable`."""
        pictures, _ = self.batch()
        x0, c = pictures.split([self.config.net.made, self.config.net.seen], 1)
        t, z = self.noise(x0)
        there = torch.rand(len(x0), generator=self.generator) >= self.config.dropped
        a, s = sde.marginal(torch.ones_like(x0[:, :1, :1, :1]), t)
        v = self.net(sde.perturb(x0, t, z), t, c, there.to(c))
        loss = ((v - (a * z - s * x0)) ** 2).mean()
        return {"score": self.update(loss, iteration)}

    def samples(self) -> UInt8:
        """Seen, made with the condition in 25 steps, and true, side by side."""
        seen, true = self.shown
        made = translate_batch(self.network, None, seen, None, "cond", 25)
        rows = [
            np.hstack([x if x.ndim == 3 else np.repeat(x[..., None], 3, 2) for x in row])
            for row in zip(seen, made, true, strict=True)
        ]
        return np.ascontiguousarray(np.vstack(rows))

    def export(self, folder: Path) -> None:
        """Write ``score.safetensors``."""
        save_net(folder / "score.safetensors", self.network)


class HeatmapTraining(_Training):
    """Trains a `HeatmapNet` on pictures of the spectrum that is made.

    Parameters
    ----------
    nir : (N, S, S) uint8
        Or (N, S, S, 3), where ``config.to`` is ``vis``.
    points : (N, 68, 2) float64
        Landmarks in pixels.
    config : SDEConfig
    seed : int
    device : str
        Of torch.
    """

    def __init__(
        self,
        nir: UInt8,
        points: Float,
        config: SDEConfig | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        config = config or SDEConfig()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = HeatmapNet(config.net)
        super().__init__(net, [nir], points, config, seed, device)
        self.shown = nir[:4]

    def step(self, iteration: int) -> dict[str, float]:
        """See `synth.training.loop.Trainable`."""
        x0, points = self.batch()
        t, z = self.noise(x0)
        target = heatmaps(points, self.config.size, self.config.patch)
        return {"heatmap": self.update(heatmap_loss(self.net, x0, target, t, z), iteration)}

    def samples(self) -> UInt8:
        """Pictures at four times, with the points found in them in red."""
        x0 = as_tensor(self.shown).to(self.device)
        z = torch.randn(x0.shape, generator=torch.Generator().manual_seed(0)).to(x0)
        columns = []
        for time in (sde.LAST, 0.1, 0.25, 0.5):
            t = torch.full((len(x0),), time, device=x0.device)
            x = sde.perturb(x0, t, z)
            with torch.no_grad():
                found = peaks(self.network(x, t), self.config.patch).round().long().cpu().numpy()
            pixels = as_pictures(x)
            pixels = pixels if pixels.ndim == 4 else np.repeat(pixels[..., None], 3, 3)
            for picture, points in zip(pixels, found.clip(0, self.config.size - 1), strict=True):
                picture[points[:, 1], points[:, 0]] = (255, 0, 0)
            columns.append(np.vstack(list(pixels)))
        return np.hstack(columns)

    def export(self, folder: Path) -> None:
        """Write ``heatmap.safetensors``."""
        save_net(folder / "heatmap.safetensors", self.network)


class SDETraining:
    """Both networks in one run: a step trains the score, and every second the heatmaps.

    Parameters
    ----------
    vis, nir : (N, S, S, 3) and (N, S, S) uint8
        Pairs.
    points : (N, 68, 2) float64
        Landmarks of the pictures that are made, in pixels.
    config : SDEConfig
    seed : int
    device : str
        Of torch.
    shown : pair of arrays, optional
        See `ScoreTraining`.
    """

    def __init__(
        self,
        vis: UInt8,
        nir: UInt8,
        points: Float,
        config: SDEConfig | None = None,
        seed: int = 0,
        device: str = "cpu",
        shown: tuple[UInt8, UInt8] | None = None,
    ) -> None:
        config = config or SDEConfig()
        self.score = ScoreTraining(vis, nir, points, config, seed, device, shown)
        made = nir if config.to == "nir" else vis
        self.heatmap = HeatmapTraining(made, points, config, seed + 1, device)

    def step(self, iteration: int) -> dict[str, float]:
        """See `synth.training.loop.Trainable`."""
        losses = self.score.step(iteration)
        return losses if iteration % 2 else {**losses, **self.heatmap.step(iteration // 2)}

    def state(self) -> dict[str, Any]:
        """See `synth.training.loop.Trainable`."""
        return {"score": self.score.state(), "heatmap": self.heatmap.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """See `synth.training.loop.Trainable`."""
        self.score.restore(state["score"])
        self.heatmap.restore(state["heatmap"])

    def samples(self) -> UInt8:
        """See `synth.training.loop.Trainable`."""
        return np.hstack([self.score.samples(), self.heatmap.samples()])

    def export(self, folder: Path) -> None:
        """Write both networks."""
        self.score.export(folder)
        self.heatmap.export(folder)
