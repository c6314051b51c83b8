"""Training of CycleGAN between VIS and NIR.

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using
   cycle-consistent adversarial networks", ICCV 2017: networks, losses, pool, optimiser.
.. [2] Chen & Winkler, VIS to NIR face translation with CycleGAN for expression
   recognition, 2022; Kalabis, thesis, 2024: a weight per direction of the cycle, two
   generator steps per discriminator step, side stripes, partly paired data.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from synth.corpora import CorpusImage
from synth.models.cyclegan import CHANNELS, Generator, GeneratorConfig, PatchDiscriminator
from synth.models.cyclegan import save_generator as write_generator
from synth.models.cyclegan_losses import (
    discriminator_loss,
    gan_loss,
    identity_losses,
    paired_loss,
)
from synth.models.image_pool import ImagePool
from synth.models.tensors import to_pixels, to_tensor
from synth.training.cyclegan_settings import CycleGANSettings
from synth.training.grids import draw_grid
from synth.training.pairs import Batch, PairSampler, PictureCache, View, cut

__all__ = ["CycleGANSettings", "CycleGANTraining"]

Tensor = Any
#: Examples of each spectrum on a sample sheet.
EXAMPLES = 4
TITLES = ("VIS", "NIR'", "VIS''", "NIR", "VIS'", "NIR''")


class CycleGANTraining:
    """Two generators, two discriminators and their data: a `synth.training.loop.Trainable`.

    Parameters
    ----------
    images : sequence of CorpusImage
        To train on.
    settings : CycleGANSettings
    device : str
        ``cpu`` or ``cuda``.
    shown : sequence of CorpusImage
        For the sample sheets, best people that are not trained on; `images` without any.

    Raises
    ------
    UsageError
        If the pictures do not go with the pairing.
    """

    def __init__(
        self,
        images: Sequence[CorpusImage],
        settings: CycleGANSettings,
        device: str = "cpu",
        shown: Sequence[CorpusImage] = (),
    ) -> None:
        self.settings, self.device = settings, device
        self.sampler = PairSampler(images, settings.pairing, settings.views)
        self._images, self._shown = tuple(images), tuple(shown) or tuple(images)
        self.networks = self._build()
        self._means = {
            to: copy.deepcopy(self.networks[f"generator_{to}"]) for to in CHANNELS if settings.ema
        }
        self.optimisers = {
            kind: torch.optim.Adam(self._parameters(kind), settings.rate, (0.5, 0.999))
            for kind in ("generator", "critic")
        }
        self.pools = {
            to: ImagePool(settings.pool, settings.seed + n) for n, to in enumerate(CHANNELS)
        }
        self.rng = np.random.default_rng([settings.seed, 1])

    def _build(self) -> dict[str, Any]:
        s = self.settings
        made: dict[str, Any] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            for to, source in (("nir", "vis"), ("vis", "nir")):
                config = GeneratorConfig(CHANNELS[source], CHANNELS[to], s.ngf, s.blocks)
                made[f"generator_{to}"] = Generator(config)
                made[f"critic_{to}"] = PatchDiscriminator(
                    CHANNELS[to], s.ndf, s.patch_layers, s.spectral
                )
        return {name: network.to(self.device) for name, network in made.items()}

    def _parameters(self, kind: str) -> Iterator[Any]:
        for name, network in self.networks.items():
            if name.startswith(kind):
                yield from network.parameters()

    @property
    def description(self) -> dict[str, Any]:
        """Settings and data, for ``run.toml``: what must agree for a run to go on."""
        lines = sorted(f"{i.spectrum} {i.name} {i.pair}" for i in self._images)
        return {
            **dataclasses.asdict(self.settings),
            "images_vis": len(self.sampler.vis),
            "images_nir": len(self.sampler.nir),
            "pairs": len(self.sampler.pairs),
            "images": hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16],
        }

    # ------------------------------------------------------------------------ steps
    def step(self, iteration: int) -> dict[str, float]:
        """One round: the generators `generator_steps` times, then the discriminators."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = self.settings.rate_at(iteration)
        losses: dict[str, float] = {}
        for _ in range(self.settings.generator_steps):
            batch = self.sampler.draw(self.rng, self.settings.batch).to(self.device)
            fakes, made = self._generator_step(batch)
            losses |= made
        return losses | self._critic_step(batch, fakes)

    def _run(self, name: str, x: Tensor) -> Tensor:
        """Output of a network in float32, computed in the wished type."""
        bf16 = self.settings.dtype == "bf16"
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=bf16):
            y = self.networks[name](x)
        return y.float()

    def _generator_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, float]]:
        s = self.settings
        for parameter in self._parameters("critic"):
            parameter.requires_grad_(False)
        nir, vis = self._run("generator_nir", batch.vis), self._run("generator_vis", batch.nir)
        terms = {
            "gan_nir": (1.0, gan_loss(self._run("critic_nir", nir), True, s.gan)),
            "gan_vis": (1.0, gan_loss(self._run("critic_vis", vis), True, s.gan)),
            "cycle_nir": (
                s.lambda_nir, functional.l1_loss(self._run("generator_nir", vis), batch.nir),
            ),
            "cycle_vis": (
                s.lambda_vis, functional.l1_loss(self._run("generator_vis", nir), batch.vis),
            ),
        }  # fmt: skip
        if s.identity:
            kept = identity_losses(
                lambda x: self._run("generator_nir", x), lambda x: self._run("generator_vis", x),
                batch.vis, batch.nir,
            )  # fmt: skip
            terms["identity_nir"] = (s.identity * s.lambda_nir, kept[0])
            terms["identity_vis"] = (s.identity * s.lambda_vis, kept[1])
        if bool(batch.paired.any()) and s.lambda_paired:
            terms["paired_nir"] = (s.lambda_paired, paired_loss(nir, batch.nir, batch.paired))
            terms["paired_vis"] = (s.lambda_paired, paired_loss(vis, batch.vis, batch.paired))
        self._descend("generator", sum(weight * loss for weight, loss in terms.values()))
        for parameter in self._parameters("critic"):
            parameter.requires_grad_(True)
        self._update_means()
        return {"nir": nir, "vis": vis}, {name: loss.item() for name, (_, loss) in terms.items()}

    def _critic_step(self, batch: Batch, fakes: dict[str, Tensor]) -> dict[str, float]:
        losses = {}
        for to, real in (("nir", batch.nir), ("vis", batch.vis)):
            fake = self.pools[to].exchange(fakes[to])
            judged = (self._run(f"critic_{to}", real), self._run(f"critic_{to}", fake))
            losses[f"critic_{to}"] = discriminator_loss(*judged, self.settings.gan)
        self._descend("critic", sum(losses.values()))
        return {name: loss.item() for name, loss in losses.items()}

    def _descend(self, kind: str, loss: Tensor) -> None:
        self.optimisers[kind].zero_grad()
        loss.backward()
        self.optimisers[kind].step()

    def _update_means(self) -> None:
        with torch.no_grad():
            for to, mean in self._means.items():
                now = self.networks[f"generator_{to}"]
                for old, new in zip(mean.parameters(), now.parameters(), strict=True):
                    old.lerp_(new, 1 - self.settings.ema)

    # ------------------------------------------------------------------------ state
    def state(self) -> dict[str, Any]:
        """Networks, their running means, optimisers, pools and the generator of the data."""
        return {
            "networks": {name: n.state_dict() for name, n in self.networks.items()},
            "means": {to: mean.state_dict() for to, mean in self._means.items()},
            "optimisers": {kind: o.state_dict() for kind, o in self.optimisers.items()},
            "pools": {to: pool.state() for to, pool in self.pools.items()},
            "rng": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for to, mean in self._means.items():
            mean.load_state_dict(state["means"][to])
        for kind, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][kind])
        for to, pool in self.pools.items():
            pool.restore(state["pools"][to], self.device)
        self.rng.bit_generator.state = state["rng"]

    # ----------------------------------------------------------------------- output
    def generator(self, to: str) -> Generator:
        """What is shown and exported: the generator to ``nir`` or ``vis``, or its running mean."""
        found: Generator = self._means.get(to, self.networks[f"generator_{to}"])
        return found

    @torch.no_grad()
    def samples(self) -> NDArray[np.uint8]:
        """VIS, translated, and back again; the same for NIR: one row an example."""
        views = dataclasses.replace(self.settings.views, margin=1.0)
        read = PictureCache(views)
        columns: list[NDArray[np.uint8]] = []
        for spectrum, there in (("vis", "nir"), ("nir", "vis")):
            chosen = _spread([i for i in self._shown if i.spectrum == spectrum], EXAMPLES)
            if not chosen:
                chosen = _spread([i for i in self._images if i.spectrum == spectrum], EXAMPLES)
            real = [cut(read(image), View(), views) for image in chosen]
            made = self.generator(there)(to_tensor(real).to(self.device))
            back = self.generator(spectrum)(made)
            columns += [np.stack(real), to_pixels(made), to_pixels(back)]
        height = max(len(column) for column in columns)
        rows = [[column[y % len(column)] for column in columns] for y in range(height)]
        return draw_grid(rows, TITLES)

    def export(self, folder: Path) -> None:
        """Write ``nir.safetensors`` and ``vis.safetensors``."""
        for to in CHANNELS:
            write_generator(
                folder / f"{to}.safetensors", self.generator(to), to, size=str(self.settings.size)
            )


def _spread(images: Sequence[CorpusImage], count: int) -> list[CorpusImage]:
    """At most `count` of them, evenly spread over the list."""
    places = np.linspace(0, len(images) - 1, min(count, len(images)))
    return [images[round(float(place))] for place in places]
