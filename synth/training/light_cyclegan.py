"""The light translator towards the near infrared: a small CycleGAN on aligned faces.

`synth.training.light` runs it. Departures from the CycleGAN of the paper [1]_, each because
the data are a few dozen people and the training is an hour of one CPU core:

- the critics see the face only, softly cut out of its surroundings, at two scales, and
  are bounded by spectral normalisation [2]_;
- the generator towards the visible is told the skin's tone (mean colour of the face),
  since the near infrared hardly shows it: without, the cycle would make dark skin hide
  its tone in dark patches of the near-infrared face;
- outside the face the near-infrared picture is the photo's tone curve
  (`synth.translation.light`), so that the result can be laid into the whole photo;
- edges are kept: the gradients of both pictures should agree, up to a factor;
- what is exported is a running mean of the generators' weights.

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using
   Cycle-Consistent Adversarial Networks", ICCV 2017.
.. [2] Miyato et al., "Spectral normalization for generative adversarial networks",
   ICLR 2018.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from synth.models.light import LightConfig, LightGenerator
from synth.models.weights import save_weights
from synth.training.light_data import FaceSet, Views
from synth.translation.light import LIFT, POWER, RANGE

__all__ = ["LightSettings", "LightTraining", "face_mean", "gradients", "median_tone"]

Tensor = Any
UInt8 = NDArray[np.uint8]

#: Width, coarse channels and blocks of the generator that closes the cycle.
BACK = (16, 64, 3)


@dataclass(frozen=True)
class LightSettings:
    """The recipe.

    Attributes
    ----------
    iterations, batch, view : int
        `view` is the side of a training view, pixels.
    width, coarse, blocks : int
        Of the generator towards the near infrared, see `LightConfig`.
    critic : int
        Channels of the critics' first layer.
    rate, critic_rate : float
        Learning rates of Adam; constant, and falling to 0 over the second half.
    cycle, edges, around, tone : float
        Weights of the losses beside the adversarial ones.
    contrast : float
        Of edges in the near-infrared, as a share of the photo's.
    mean_after, mean : int, float
        The running mean of the weights forgets by 0.1 a step up to `mean_after`
        iterations, and by `mean` later.
    seed : int
    """

    iterations: int = 1500
    batch: int = 2
    view: int = 136
    width: int = 24
    coarse: int = 128
    blocks: int = 6
    critic: int = 32
    rate: float = 4e-4
    critic_rate: float = 8e-4
    cycle: float = 6.0
    edges: float = 1.5
    around: float = 3.0
    tone: float = 2.0
    contrast: float = 0.65
    mean_after: int = 200
    mean: float = 0.005
    seed: int = 0


class _Patches(nn.Module):
    """PatchGAN of three halvings, spectrally normalised."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(3):
            convolution = nn.Conv2d(inputs, width << level, 4, 2, 1)
            layers += [nn.utils.parametrizations.spectral_norm(convolution), nn.LeakyReLU(0.2)]
            inputs = width << level
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Critic(nn.Module):
    """Patches at full and at half resolution."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.fine, self.coarse = _Patches(inputs, width), _Patches(inputs, width)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.fine(x), self.coarse(functional.avg_pool2d(x, 2))]


def least_squares(answers: list[Tensor], wanted: float) -> Tensor:
    """Mean squared distance of a critic's answers from `wanted`, mean over its scales."""
    return sum(((a - wanted) ** 2).mean() for a in answers) / len(answers)


def face_mean(x: Tensor, mask: Tensor) -> Tensor:
    """(N, C) mean of the channels on the face."""
    return (x * mask).sum((2, 3)) / mask.sum((2, 3)).clamp_min(1)


def face_only(x: Tensor, mask: Tensor) -> Tensor:
    """The face before its own mean colour."""
    return x * mask + face_mean(x, mask)[..., None, None] * (1 - mask)


def gradients(x: Tensor) -> Tensor:
    """(N, 2 C, H - 1, W - 1) differences to the pixel above and to the left."""
    here = x[..., 1:, 1:]
    return torch.cat([here - x[..., :-1, 1:], here - x[..., 1:, :-1]], 1)


def toned(grey: Tensor) -> Tensor:
    """`synth.translation.light.tone_curve` on [-1, 1]."""
    return 2 * (LIFT + RANGE * ((grey + 1) / 2).clamp(1e-3, 1) ** POWER) - 1


class LightTraining:
    """Generators, critics, their data and state: a `synth.training.loop.Trainable`.

    Parameters
    ----------
    vis, nir : FaceSet
    settings : LightSettings
    note : str
        Where the data come from; goes into the weights' metadata.
    """

    def __init__(self, vis: FaceSet, nir: FaceSet, settings: LightSettings, note: str = "") -> None:
        s = self.settings = settings
        self.note = note
        torch.manual_seed(s.seed)
        self.rng = np.random.default_rng(s.seed)
        self.vis, self.nir = Views(vis, s.view), Views(nir, s.view, light=0.0)
        self.networks: dict[str, Any] = {
            "to_nir": LightGenerator(LightConfig("nir", s.width, s.coarse, s.blocks)),
            "to_vis": LightGenerator(LightConfig("vis", *BACK)),
            "critic_nir": Critic(1, s.critic),
            "critic_vis": Critic(3, s.critic),
        }
        self.means = {
            name: {k: v.clone() for k, v in self.networks[name].state_dict().items()}
            for name in ("to_nir", "to_vis")
        }
        groups = (("to_nir", "to_vis", s.rate), ("critic_nir", "critic_vis", s.critic_rate))
        self.optimisers = [
            torch.optim.Adam(
                [p for name in (first, second) for p in self.networks[name].parameters()],
                rate,
                (0.5, 0.99),
            )
            for first, second, rate in groups
        ]
        self._shown = self._batch(np.random.default_rng(12345), 3)

    # ------------------------------------------------------------------- one step
    def step(self, iteration: int) -> dict[str, float]:
        """See `synth.training.loop.Trainable.step`."""
        s = self.settings
        left = min(1.0, 2 * (1 - iteration / s.iterations) + 0.01)
        for optimiser, rate in zip(self.optimisers, (s.rate, s.critic_rate), strict=True):
            optimiser.param_groups[0]["lr"] = rate * left
        batch = self._batch(self.rng, s.batch)
        losses, made = self._generators(batch)
        total = losses["adversarial"] + sum(
            getattr(s, name) * losses[name] for name in ("cycle", "edges", "around", "tone")
        )
        self._descend(0, total)
        losses["critics"] = self._critics(batch, *made)
        self._descend(1, losses["critics"])
        self._follow(iteration)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _generators(
        self, batch: tuple[Tensor, ...]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        vis, vis_mask, nir, nir_mask = batch
        to_nir, to_vis = self.networks["to_nir"], self.networks["to_vis"]
        for name in ("critic_nir", "critic_vis"):
            self.networks[name].requires_grad_(False)
        own = face_mean(vis, vis_mask)
        wanted = own.roll(1, 0)  # real tones, for other faces
        made_nir, made_vis = to_nir(vis), to_vis(nir, wanted)
        again_vis, again_nir = to_vis(made_nir, own), to_nir(made_vis.clamp(-1, 1))
        grey = (vis * to_nir.mixture).sum(1, keepdim=True)
        made_grey = (made_vis * to_nir.mixture).sum(1, keepdim=True)
        gain = self._gain(grey, made_nir, vis_mask)
        critic_nir, critic_vis = self.networks["critic_nir"], self.networks["critic_vis"]
        losses = {
            "adversarial": least_squares(critic_nir(face_only(made_nir, vis_mask)), 1)
            + least_squares(critic_vis(face_only(made_vis, nir_mask)), 1),
            "cycle": (again_vis - vis).abs().mean() + (again_nir - nir).abs().mean(),
            "edges": (gradients(made_nir) - gain * gradients(grey)).abs().mean()
            + 0.5 * (gradients(made_grey) - gradients(nir)).abs().mean(),
            "around": ((1 - vis_mask) * (made_nir - toned(grey))).abs().mean(),
            "tone": (face_mean(made_vis, nir_mask) - wanted).abs().mean(),
        }
        return losses, (made_nir.detach(), made_vis.detach())

    def _gain(self, grey: Tensor, made: Tensor, mask: Tensor) -> Tensor:
        """How steep edges should be: in proportion to the face's brightness, capped."""
        before, after = face_mean(grey, mask) + 1, face_mean(made, mask) + 1
        ratio = (after / before.clamp_min(0.1)).clamp(0.5, 1.6).detach()[..., None, None]
        return self.settings.contrast * (mask * ratio + (1 - mask) * 0.9)[..., 1:, 1:]

    def _critics(self, batch: tuple[Tensor, ...], made_nir: Tensor, made_vis: Tensor) -> Tensor:
        vis, vis_mask, nir, nir_mask = batch
        total: Tensor = 0.0
        for name, real, real_mask, made, made_mask in (
            ("critic_nir", nir, nir_mask, made_nir, vis_mask),
            ("critic_vis", vis, vis_mask, made_vis, nir_mask),
        ):
            critic = self.networks[name].requires_grad_(True)
            total = total + least_squares(critic(face_only(real, real_mask)), 1)
            total = total + least_squares(critic(face_only(made, made_mask)), 0)
        return total

    def _descend(self, which: int, loss: Tensor) -> None:
        self.optimisers[which].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers[which].step()

    @torch.no_grad()
    def _follow(self, iteration: int) -> None:
        share = 0.1 if iteration < self.settings.mean_after else self.settings.mean
        for name, mean in self.means.items():
            for key, value in self.networks[name].state_dict().items():
                mean[key].lerp_(value, share)

    def _batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, ...]:
        vis = [self.vis.draw(rng) for _ in range(count)]
        nir = [self.nir.draw(rng) for _ in range(count)]
        stacks = (np.stack([pair[i] for pair in side]) for side in (vis, nir) for i in (0, 1))
        return tuple(torch.from_numpy(stack) for stack in stacks)

    # -------------------------------------------------------------- state and results
    def state(self) -> dict[str, Any]:
        """See `synth.training.loop.Trainable.state`."""
        return {
            "networks": {k: v.state_dict() for k, v in self.networks.items()},
            "means": self.means,
            "optimisers": [o.state_dict() for o in self.optimisers],
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `synth.training.loop.Trainable.restore`."""
        for name, tensors in state["networks"].items():
            self.networks[name].load_state_dict(tensors)
        self.means = state["means"]
        for optimiser, own in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(own)
        self.rng.bit_generator.state = json.loads(state["rng"])

    def generator(self, name: str) -> LightGenerator:
        """The running mean of a generator, ``to_nir`` or ``to_vis``, ready to run."""
        network = LightGenerator(self.networks[name].config)
        network.load_state_dict(self.means[name])
        return network.eval()

    @torch.no_grad()
    def samples(self) -> UInt8 | None:
        """Rows VIS, NIR made of it, VIS again; NIR, VIS made of it, NIR again."""
        to_nir, to_vis = self.generator("to_nir"), self.generator("to_vis")
        vis, vis_mask, nir, _ = self._shown
        tone = face_mean(vis, vis_mask)
        made_nir, made_vis = to_nir(vis), to_vis(nir, tone)
        rows = (vis, made_nir, to_vis(made_nir, tone), nir, made_vis, to_nir(made_vis))
        grey = [row.expand(-1, 3, -1, -1).permute(2, 0, 3, 1).flatten(1, 2) for row in rows]
        sheet = (torch.cat(grey).clamp(-1, 1) + 1) * 127.5
        return np.asarray(sheet.numpy().round().astype(np.uint8))

    def export(self, folder: Path) -> None:
        """See `synth.training.loop.Trainable.export`."""
        save_weights(
            folder / "light_nir.safetensors",
            self.means["to_nir"],
            "light",
            to="nir",
            config=self.networks["to_nir"].config.dumps(),
            settings=json.dumps(asdict(self.settings), sort_keys=True),
            data=self.note,
        )


def median_tone(vis: FaceSet) -> NDArray[np.float64]:
    """(3,) in [0, 1]: median over the people of the mean colour of the face."""
    weights = vis.masks[..., None]
    tones = (vis.pixels * weights).sum((1, 2)) / weights.sum((1, 2)) / 255
    names = np.array(vis.people)
    people = [tones[names == name].mean(0) for name in sorted(set(vis.people))]
    return np.asarray(np.median(people, 0), np.float64)
