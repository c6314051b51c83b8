"""Training of the light translator towards the visible, from pairs that the other one makes.

The generator that closes the cycle of `synth.training.light_cyclegan` reads traces that no real
near-infrared face has, and colours real ones in patches. So the shipped one learns
afresh: visible faces go through the finished translator to the near infrared, are
disturbed as real pictures differ from translated ones (exposure, contrast, sharpness,
noise, uneven light), and coloured back, with the photo as the truth. On real
near-infrared faces only the mean colour and the smoothness of the colours are asked for.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from synth.models.light import LightConfig, LightGenerator
from synth.models.weights import save_weights
from synth.training.light_cyclegan import face_mean, gradients, median_tone
from synth.training.light_data import FaceSet, Views

__all__ = ["BackSettings", "BackTraining"]

Tensor = Any


@dataclass(frozen=True)
class BackSettings:
    """The recipe.

    Attributes
    ----------
    iterations, batch, view : int
    width, coarse, blocks : int
        See `LightConfig`.
    rate : float
        Learning rate of Adam; falls to 0 over the second half.
    around : float
        Weight of what is not face.
    tone, smooth : float
        Weights, on real near-infrared faces, of the mean colour and of steps of colour.
    seed : int
    """

    iterations: int = 500
    batch: int = 2
    view: int = 136
    width: int = 24
    coarse: int = 128
    blocks: int = 6
    rate: float = 1e-3
    around: float = 0.3
    tone: float = 1.0
    smooth: float = 3.0
    seed: int = 0


class BackTraining:
    """Network, data and state: a `synth.training.loop.Trainable`.

    Parameters
    ----------
    vis, nir : FaceSet
    to_nir : LightGenerator
        Finished; makes the pairs.
    settings : BackSettings
    note : str
        Where the data come from; goes into the weights' metadata.
    """

    def __init__(
        self,
        vis: FaceSet,
        nir: FaceSet,
        to_nir: LightGenerator,
        settings: BackSettings,
        note: str = "",
    ) -> None:
        s = self.settings = settings
        self.note, self.to_nir = note, to_nir.eval().requires_grad_(False)
        torch.manual_seed(s.seed)
        self.rng = np.random.default_rng(s.seed)
        self.vis, self.nir = Views(vis, s.view), Views(nir, s.view, light=0.5)
        self.default_tone = median_tone(vis)
        self.network = LightGenerator(LightConfig("vis", s.width, s.coarse, s.blocks))
        self.optimiser = torch.optim.Adam(self.network.parameters(), s.rate)
        self._shown = self._batch(np.random.default_rng(12345), 3)

    def step(self, iteration: int) -> dict[str, float]:
        """See `synth.training.loop.Trainable.step`."""
        s = self.settings
        left = min(1.0, 2 * (1 - iteration / s.iterations) + 0.01)
        self.optimiser.param_groups[0]["lr"] = s.rate * left
        vis, vis_mask, nir, nir_mask = self._batch(self.rng, s.batch)
        own = face_mean(vis, vis_mask)
        with torch.no_grad():
            given = _disturbed(self.to_nir(vis), self.rng)
        coloured = self.network(given, own)
        wanted = own.roll(1, 0)
        real = self.network(nir, wanted)
        weight = vis_mask + s.around * (1 - vis_mask)
        losses = {
            "colour": (weight * (coloured - vis)).abs().mean(),
            "tone": (face_mean(real, nir_mask) - wanted).abs().mean(),
            "smooth": gradients(_chroma(real)).abs().mean(),
        }
        total = losses["colour"] + s.tone * losses["tone"] + s.smooth * losses["smooth"]
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        sides = [[views.draw(rng) for _ in range(count)] for views in (self.vis, self.nir)]
        stacks = (np.stack([pair[i] for pair in side]) for side in sides for i in (0, 1))
        return tuple(torch.from_numpy(stack) for stack in stacks)

    def state(self) -> dict[str, Any]:
        """See `synth.training.loop.Trainable.state`."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `synth.training.loop.Trainable.restore`."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = json.loads(state["rng"])

    @torch.no_grad()
    def samples(self) -> NDArray[np.uint8] | None:
        """Rows VIS, NIR made of it, VIS again; NIR, and it in three tones."""
        vis, vis_mask, nir, _ = self._shown
        tone = face_mean(vis, vis_mask)
        made = self.to_nir(vis)
        again = [self.network(nir, tone[i : i + 1].expand(len(nir), -1)) for i in range(3)]
        rows = (vis, made, self.network(made, tone), nir, *again)
        strips = [row.expand(-1, 3, -1, -1).permute(2, 0, 3, 1).flatten(1, 2) for row in rows]
        sheet = (torch.cat(strips).clamp(-1, 1) + 1) * 127.5
        return np.asarray(sheet.numpy().round().astype(np.uint8))

    def export(self, folder: Path) -> None:
        """See `synth.training.loop.Trainable.export`."""
        save_weights(
            folder / "light_vis.safetensors",
            self.network.state_dict(),
            "light",
            to="vis",
            config=self.network.config.dumps(),
            tone=json.dumps([round(float(v), 4) for v in self.default_tone]),
            settings=json.dumps(asdict(self.settings), sort_keys=True),
            data=self.note,
        )


def _chroma(x: Tensor) -> Tensor:
    """Channels without their mean."""
    return x - x.mean(1, keepdim=True)


def _disturbed(nir: Tensor, rng: np.random.Generator) -> Tensor:
    """Translated faces as other cameras and lamps would give them, (N, 1, H, W) in [-1, 1]."""
    count, _, height, width = nir.shape

    def drawn(spread: float) -> Tensor:
        values = rng.normal(0, spread, (count, 1, 1, 1))
        return torch.from_numpy(values.astype(np.float32))

    light = ((nir + 1) / 2).clamp(0, 1)
    if rng.random() < 0.5:
        light = functional.avg_pool2d(light, 3, 1, 1, count_include_pad=False)
    light = light.clamp_min(1e-3) ** torch.exp(drawn(0.2)) * torch.exp(drawn(0.1))
    slope = (
        torch.linspace(-1, 1, width).view(1, 1, 1, width),
        torch.linspace(-1, 1, height).view(1, 1, height, 1),
    )
    light = light * (1 + drawn(0.1) * slope[0] + drawn(0.1) * slope[1])
    noise = rng.normal(0, 1, nir.shape).astype(np.float32)
    light = light + abs(float(rng.normal(0, 0.015))) * torch.from_numpy(noise)
    return 2 * light.clamp(0, 1) - 1
