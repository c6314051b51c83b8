"""Training of GANmut: expressions edited in a plane that is learned along with them.

Losses and their weights, the two-part batch and the steps of critic and generator are
those of the authors' code [1]_ [2]_; the deviations are small and named in
`GanmutSettings` and docs/ganmut.md.

References
----------
.. [1] d'Apolito, Paudel, Huang, Romero & Van Gool, "GANmut: Learning interpretable
   conditional space for gamut of emotions", CVPR 2021.
.. [2] https://github.com/stefanodapolito/GANmut, ``core/solver.py``.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.models import ganmut_losses as losses
from synth.models.ganmut import Discriminator, Generator, GeneratorConfig, save_generator
from synth.models.ganmut_spaces import Codes, around
from synth.models.tensors import to_pixels, to_tensor
from synth.training.ganmut_data import LabelledPicture, PictureFeed, order
from synth.training.ganmut_settings import GanmutSettings
from synth.training.grids import draw_grid

__all__ = ["GanmutTraining"]

Tensor = Any
#: Photos on a sample sheet, and the intensity they are shown at.
EXAMPLES, SHOWN = 5, 0.9


class GanmutTraining:
    """Generator, critic and their data: a `synth.training.loop.Trainable`.

    Parameters
    ----------
    pictures : sequence of LabelledPicture
        Those of other classes are left out.
    classes : tuple of str
        Neutral first; see `synth.training.ganmut_data.choose_classes`.
    settings : GanmutSettings
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    UsageError
        If the batch is too small for the classes.
    """

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        classes: tuple[str, ...],
        settings: GanmutSettings,
        device: str = "cpu",
    ) -> None:
        s = self.settings = settings
        if s.space == "gaussian" and s.batch < len(classes):
            raise UsageError(
                f"batch: expected {len(classes)} or more, one for every class, got {s.batch}"
            )
        self.device, self.classes = device, classes
        self.pictures = [p for p in pictures if p.expression in classes]
        self.labels = np.array([classes.index(p.expression) for p in self.pictures], np.int64)
        self.feed = PictureFeed(self.pictures, s.size)
        config = GeneratorConfig(s.space, classes, s.conv_dim, s.blocks, s.size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            self.generator = Generator(config).to(device)
            if s.start == "circumplex":
                self.generator.space.place(around(classes))
            self.critic = Discriminator(len(classes), s.size, s.critic_dim, s.critic_layers)
            self.critic = self.critic.to(device)
        self.mean = copy.deepcopy(self.generator) if s.ema else self.generator
        self.optimisers = {
            "generator": torch.optim.Adam(self.generator.parameters(), s.rate, (0.5, 0.999)),
            "critic": torch.optim.Adam(self.critic.parameters(), s.rate, (0.5, 0.999)),
        }
        self.rng = np.random.default_rng([s.seed, 1])

    @property
    def description(self) -> dict[str, Any]:
        """Settings and data, for ``run.toml``: what must agree for a run to go on."""
        lines = "\n".join(f"{p.name} {p.expression}" for p in self.pictures)
        return {
            **dataclasses.asdict(self.settings),
            "recipe": "paper",
            "classes": list(self.classes),
            "pictures": len(self.pictures),
            "digest": hashlib.sha256(lines.encode()).hexdigest()[:16],
        }

    # ------------------------------------------------------------------------ steps
    def step(self, iteration: int) -> dict[str, float]:
        """One step of the critic, and every `n_critic` of them one of the generator."""
        s = self.settings
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = s.rate_at(iteration)
        real, labels = self._batch(iteration)
        codes = self._draw(labels)
        made = self._critic_step(real, labels, codes)
        if (iteration + 1) % s.n_critic == 0:
            # The space has not changed since, but its graph is needed now.
            made |= self._generator_step(real, labels, codes)
        return made

    def _batch(self, iteration: int) -> tuple[Tensor, Tensor]:
        """(N, 3, S, S) pictures in [-1, 1] and their (N,) classes; the next ones are begun."""
        s = self.settings
        chosen = order(len(self.pictures), s.batch, iteration, s.seed)
        pixels = self.feed.batch(chosen)
        self.feed.expect(order(len(self.pictures), s.batch, iteration + 1, s.seed))
        if s.flip:
            mirrored = self.rng.random(s.batch) < 0.5
            pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
        labels = torch.from_numpy(self.labels[chosen])
        return to_tensor(pixels).to(self.device), labels.to(self.device)

    def _draw(self, labels: Tensor) -> Codes:
        """The two-part batch of codes; classes asked for are those of the batch, shuffled."""
        s, space = self.settings, self.generator.space
        if s.space == "gaussian":
            return space.draw(labels, self.rng)
        shuffled = torch.from_numpy(self.rng.permutation(s.batch)).to(labels.device)
        return space.draw(labels[shuffled], self.rng, s.random, s.noise)

    def _run(self, network: Any, *inputs: Tensor) -> Any:
        """Output in float32, computed in the wished type."""
        bf16 = self.settings.dtype == "bf16"
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=bf16):
            out = network(*inputs)
        return tuple(o.float() for o in out) if isinstance(out, tuple) else out.float()

    def _critic_step(self, real: Tensor, labels: Tensor, codes: Codes) -> dict[str, float]:
        s = self.settings
        with torch.no_grad():
            fake = self._run(self.generator, real, codes.codes)
        score_real, logits, _ = self._run(self.critic, real)
        score_fake, _, guessed = self._run(self.critic, fake)
        share = torch.from_numpy(self.rng.random(len(real))).to(real)
        penalty = losses.gradient_penalty(lambda x: self.critic(x)[0], real, fake, share)
        everyone = torch.ones_like(labels, dtype=torch.bool)
        terms = {
            "critic": (1.0, losses.critic_loss(score_real, score_fake)),
            "penalty": (s.lambda_gp, penalty),
            "critic_class": (s.lambda_class, losses.class_loss(logits, labels, everyone)),
            "critic_code": (s.lambda_code, losses.code_loss(guessed, codes.codes.detach())),
        }
        return self._descend("critic", terms)

    def _generator_step(self, real: Tensor, labels: Tensor, codes: Codes) -> dict[str, float]:
        s = self.settings
        self.critic.requires_grad_(False)
        with torch.no_grad():
            _, logits_real, guessed_real = self._run(self.critic, real)
        fake = self._run(self.generator, real, codes.codes)
        score, logits, guessed = self._run(self.critic, fake)
        if s.space == "gaussian" or s.cycle == "guess":
            way_back = guessed_real
        else:
            way_back = self.generator.space.at(labels, losses.certainty(logits_real))
        back = self._run(self.generator, fake, way_back)
        terms = {
            "generator": (1.0, -score.mean()),
            "reconstruction": (s.lambda_rec, losses.reconstruction_loss(real, back)),
            **self._asked(logits, guessed, codes),
        }
        made = self._descend("generator", terms)
        self.critic.requires_grad_(True)
        self._update_mean()
        return made

    def _asked(self, logits: Tensor, guessed: Tensor, codes: Codes) -> dict[str, Any]:
        """Losses by which a fake shall show what was asked for."""
        s, space = self.settings, self.generator.space
        named = losses.class_loss(logits, codes.labels, codes.classified)
        if s.space == "gaussian":
            membership = space.log_membership(codes.codes)
            return {
                "class": (s.lambda_class, losses.membership_loss(logits, membership)),
                "mean": (s.lambda_mean, named),
            }
        return {
            "class": (s.lambda_class, named),
            "code": (s.lambda_code, losses.code_loss(guessed, codes.codes)),
            "strength": (s.lambda_strength, losses.strength_loss(logits, codes.rho)),
        }

    def _descend(self, kind: str, terms: dict[str, Any]) -> dict[str, float]:
        self.optimisers[kind].zero_grad(set_to_none=True)
        total = sum(weight * loss for weight, loss in terms.values())
        total.backward()
        self.optimisers[kind].step()
        return {name: float(loss.detach()) for name, (_, loss) in terms.items()}

    @torch.no_grad()
    def _update_mean(self) -> None:
        if self.mean is not self.generator:
            now = self.generator.parameters()
            for old, new in zip(self.mean.parameters(), now, strict=True):
                old.lerp_(new, 1 - self.settings.ema)

    # ------------------------------------------------------------------------ state
    def state(self) -> dict[str, Any]:
        """Networks, the running mean, optimisers, and the generator of all that is random."""
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "mean": self.mean.state_dict(),
            "optimisers": {kind: o.state_dict() for kind, o in self.optimisers.items()},
            "rng": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""
        for name in ("generator", "critic", "mean"):
            getattr(self, name).load_state_dict(state[name])
        for kind, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][kind])
        self.rng.bit_generator.state = state["rng"]

    # ----------------------------------------------------------------------- output
    @torch.no_grad()
    def samples(self) -> NDArray[np.uint8]:
        """Photos, each edited into every class; below, the first one at rising intensity."""
        places = np.linspace(0, len(self.pictures) - 1, min(EXAMPLES, len(self.pictures)))
        photos = np.stack([self.feed.decode(round(float(place))) for place in places])
        angles = self.mean.space.angles()
        columns = [photos, self._edited(photos, 0.0, 0.0)]
        columns += [self._edited(photos, angle, SHOWN) for angle in angles]
        rows = [[column[y] for column in columns] for y in range(len(photos))]
        steps = np.linspace(0, 1, len(self.classes))
        for angle in angles:
            shown = [self._edited(photos[:1], angle, float(rho))[0] for rho in steps]
            rows.append([photos[0], *shown])
        return draw_grid(rows, ("photo", *self.classes))

    def _edited(self, photos: NDArray[np.uint8], theta: float, rho: float) -> NDArray[np.uint8]:
        code = torch.tensor([self.mean.space.polar_code(theta, rho)], device=self.device)
        x = to_tensor(photos).to(self.device)
        return to_pixels(self._run(self.mean, x, code.expand(len(photos), 2)))

    def export(self, folder: Path) -> None:
        """Write ``ganmut.safetensors``."""
        save_generator(folder / "ganmut.safetensors", self.mean, self.settings.licence)
