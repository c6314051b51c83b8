"""An editor distilled from the 3DMM route: paired, and small enough for a CPU.

GANmut learns from unpaired photos in millions of steps of a large network; the 3DMM
route makes any number of pairs, so that a small network needs only minutes
(`synth.training.distill_pairs`). What it learns is the 3DMM route's own way of
changing faces: it inherits its limits and is no independent second method.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import UsageError
from synth.models.editor import EditorConfig, EditorNet, config_json
from synth.models.tensors import to_pixels
from synth.models.weights import save_weights
from synth.settings import torch_device
from synth.training.distill_basis import fit_basis
from synth.training.distill_batches import draw_batch
from synth.training.distill_losses import compose, distill_losses
from synth.training.distill_pairs import DIRECTIONS, Pairs, make_pairs
from synth.training.grids import draw_grid
from synth.training.loop import TrainingRun, train

__all__ = ["DistillSettings", "DistillTraining", "run_distill"]

Tensor = Any
#: Weight of every term of `distill_losses`.
WEIGHTS = {"flow": 30.0, "gain": 10.0, "mask": 1.0, "mouth": 2.0, "edges": 6.0, "picture": 4.0}
#: Open mouths are hardest: pairs that fill this share of the mouth's box with its inside
#: are drawn so much more often than shut ones.
OPEN, MORE = 0.05, 4.0
#: The run's cache of pairs; removed when the run is finished.
CACHE = ".pairs.npz"
EXAMPLES = 8


@dataclass(frozen=True)
class DistillSettings:
    """What decides a training.

    Attributes
    ----------
    iterations, batch : int
    each : int
        Pairs made of every photo.
    mouth : float
        Share of the iterations, the last ones, in which only what paints the mouth is
        trained: it takes longest to learn, and costs half.
    rate : float
        Learning rate of Adam: reached over 100 iterations, and falling to a twentieth over
        the last 40 %; of both parts alike.
    ema : float
        Decay of the running mean of the weights, which is what is shown and exported.
    width, blocks : int
        Of the network, see `synth.models.editor.EditorConfig`.
    dtype : {"fp32", "bf16"}
    seed : int

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    iterations: int = 5000
    batch: int = 8
    each: int = 64
    mouth: float = 0.6
    rate: float = 1.2e-3
    ema: float = 0.995
    width: int = 48
    blocks: int = 4
    dtype: str = "bf16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "each", "blocks"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 <= self.mouth < 1:
            raise UsageError(f"mouth: expected a share from 0 to below 1, got {self.mouth}")
        if self.width < 16 or self.width % 16:
            raise UsageError(f"width: expected a multiple of 16, got {self.width}")
        if not self.rate > 0:
            raise UsageError(f"rate: expected a learning rate above 0, got {self.rate}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: expected a decay from 0 to below 1, got {self.ema}")
        if self.dtype not in ("fp32", "bf16"):
            raise UsageError(f"dtype: expected fp32 or bf16, got {self.dtype!r}")

    @property
    def whole(self) -> int:
        """Iterations that train the whole network."""
        return max(1, self.iterations - round(self.mouth * self.iterations))

    def rate_at(self, iteration: int) -> float:
        """Learning rate of an iteration."""
        at, length = iteration, self.whole
        if iteration >= self.whole:
            at, length = iteration - self.whole, self.iterations - self.whole
        fall = 0.05 + 0.95 * min(1.0, (1 - at / length) / 0.4)
        return self.rate * min(1.0, (at + 1) / 100) * fall


class DistillTraining:
    """The network with its pairs; a `synth.training.loop.Trainable`.

    Parameters
    ----------
    pairs : Pairs
    settings : DistillSettings
    device : str
    shown : Pairs, optional
        For the sample sheets, best of people that are not trained on; `pairs` without.
    note : str
        Where the photos come from; goes into the weights as their licence.
    """

    def __init__(
        self,
        pairs: Pairs,
        settings: DistillSettings,
        device: str = "cpu",
        shown: Pairs | None = None,
        note: str = "",
    ) -> None:
        self.pairs, self.settings, self.device, self.note = pairs, settings, device, note
        self.config = EditorConfig(width=settings.width, blocks=settings.blocks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.net = EditorNet(self.config)
        fit_basis(self.net, pairs, settings.seed)
        self.net.to(device)
        self.mean = copy.deepcopy(self.net).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.net.parameters(), settings.rate, (0.9, 0.99))
        self.rng = np.random.default_rng([settings.seed, 2])
        share = pairs.mouth[..., 3].mean((1, 2)) / 255
        odds = 1 + (MORE - 1) * np.minimum(share / OPEN, 1.0)
        self._odds = odds / odds.sum()
        shown = shown or pairs
        strong = np.flatnonzero(shown.code[:, 1] > 0.7)
        chosen = strong if len(strong) >= EXAMPLES else np.arange(len(shown))
        places = np.linspace(0, len(chosen) - 1, min(EXAMPLES, len(chosen))).round().astype(int)
        self.shown = draw_batch(shown, chosen[places], None).on(device)

    def step(self, iteration: int) -> dict[str, float]:
        """One batch."""
        s = self.settings
        for group in self.optimiser.param_groups:
            group["lr"] = s.rate_at(iteration)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(iteration < s.whole or name.startswith("mouth_"))
        rows = self.rng.choice(len(self.pairs), s.batch, p=self._odds)
        batch = draw_batch(self.pairs, np.sort(rows), self.rng).on(self.device)
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=s.dtype == "bf16"):
            made = self.net(batch.source, batch.theta, batch.rho)
        made = type(made)(*(x.float() for x in made))
        losses = distill_losses(made, batch, self.config)
        self.optimiser.zero_grad()  # to none: what is not trained stays as it is
        sum(WEIGHTS[name] * loss for name, loss in losses.items()).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        decay = min(s.ema, (iteration + 1) / (iteration + 10))
        with torch.no_grad():
            for old, new in zip(self.mean.parameters(), self.net.parameters(), strict=True):
                old.lerp_(new, 1 - decay)
        return {name: loss.item() for name, loss in losses.items()}

    def state(self) -> dict[str, Any]:
        """Networks, optimiser and the generator of the data."""
        return {
            "net": self.net.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a `state`."""
        self.net.load_state_dict(state["net"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]

    @torch.no_grad()
    def samples(self) -> NDArray[np.uint8]:
        """Before, as the teacher does it, and as the network does: one row a pair."""
        made = self.mean(self.shown.source, self.shown.theta, self.shown.rho)
        edited = compose(self.shown.source, made, self.config)
        columns = [to_pixels(x) for x in (self.shown.source, self.shown.target, edited)]
        return draw_grid(list(zip(*columns, strict=True)), ("photo", "3DMM", "editor"))

    def export(self, folder: Path) -> None:
        """Write ``editor.safetensors``, in 16 bits."""
        save_weights(
            folder / "editor.safetensors",
            {name: tensor.half() for name, tensor in self.mean.state_dict().items()},
            "editor",
            config=config_json(self.config),
            directions=json.dumps(DIRECTIONS),
            licence=self.note,
        )


# ------------------------------------------------------------------------------- run
def run_distill(
    photos: Sequence[str | Path],
    output: Path,
    settings: DistillSettings = DistillSettings(),
    *,
    held_out: Sequence[str] = (),
    device: str = "auto",
    note: str = "",
    save_every: int = 500,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Mapping[str, float]], None] | None = None,
) -> TrainingRun:
    """Distil an editor in the run folder `output`, or go on with the run there.

    Parameters
    ----------
    photos : sequence of str or Path
        Neutral photos: folders, files, globs or ``.txt`` lists. Those that cannot be
        used (no face, not neutral) are left out.
    output : Path
        Run folder, see `synth.training.loop`; ``weights/editor.safetensors`` is what
        ``synth edit --weights`` takes. The pairs wait in it, hidden, until it is finished.
    settings : DistillSettings
    held_out : sequence of str
        Stems of photos that are not trained on.
    device : {"auto", "cpu", "cuda"}
    note : str
        Where the photos come from; goes into the weights as their licence.
    save_every, stop, progress
        See `synth.training.loop.train`.

    Raises
    ------
    UsageError, AssetError, SynthError
        If no photo can be used, or see `train`.
    """
    inputs = [str(photo) for photo in photos]
    cache = Path(output) / CACHE
    if cache.is_file():
        pairs = Pairs.load(cache)
    else:
        pairs, _ = make_pairs(inputs, EditorConfig(), settings.each, settings.seed, held_out)
        if Path(output).is_dir() or not Path(output).exists():
            Path(output).mkdir(parents=True, exist_ok=True)
            pairs.save(cache)
    training = DistillTraining(pairs, settings, torch_device(device), note=note)
    digest = hashlib.sha256(pairs.code.tobytes() + pairs.source[::97].tobytes()).hexdigest()[:16]
    described = {**dataclasses.asdict(settings), "pairs": len(pairs), "data": digest, "note": note}
    done = train(
        training, Path(output), settings.iterations, described, save_every=save_every,
        sample_every=save_every, log_every=max(1, min(50, math.ceil(settings.iterations / 20))),
        stop=stop, progress=progress,
    )  # fmt: skip
    if done.finished:
        cache.unlink(missing_ok=True)
    return done
