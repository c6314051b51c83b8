"""Training of face readers: a `synth.training.loop.Trainable` on faces kept in memory.

`synth.training.fer_run.run_fer` runs it; `synth.training.fer_data.predict` reads faces with
what came of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.metrics.regions import region_weights
from synth.models.fer import FEROutput, build, save_fer
from synth.recognition.faces import FaceSet
from synth.recognition.reader import Readings
from synth.training.fer_augment import apply, draw, noise_bank
from synth.training.fer_batches import Batches, kinds_of
from synth.training.fer_data import forward, predict, prepare, read
from synth.training.fer_identity import draw_identities, neutral_shapes
from synth.training.fer_losses import class_loss, class_weights, va_loss
from synth.training.fer_scores import check_labels, faces_scores, selection, write_scores
from synth.training.fer_settings import FERSettings
from synth.training.grids import draw_grid

__all__ = ["WEIGHTS_FILE", "FERSettings", "FERTraining", "Scorer", "predict"]

Tensor = Any
Scorer = Callable[[FaceSet, Readings], Mapping[str, float]]

WEIGHTS_FILE = "fer.safetensors"
#: Columns of a sheet of examples.
EXAMPLES = 8


class FERTraining:
    """A reader, its faces and its optimiser.

    Parameters
    ----------
    train, val : FaceSet
        To learn from; to choose the best weights by.
    settings : FERSettings
    device : str
        ``cpu`` or ``cuda``.
    watch : mapping of str to FaceSet, optional
        Further sets whose scores are written down at each validation and nothing else.
    scorer : callable, optional
        Scores of the watched sets; `synth.training.fer_scores.faces_scores` if not given.
    init : Module, optional
        A reader of the same configuration, dropout aside, to begin with.
    output : Path, optional
        Folder for ``scores.csv`` and ``scores.png``; none are written without.
    spectrum : {"vis", "nir", "both"}, optional
        What the weights say they are for; that of the faces when not given.

    Raises
    ------
    UsageError
        If a set is empty or lacks the labels, or the settings do not go with the faces.
    """

    def __init__(
        self,
        train: FaceSet,
        val: FaceSet,
        settings: FERSettings,
        device: str = "cpu",
        *,
        watch: Mapping[str, FaceSet] | None = None,
        scorer: Scorer = faces_scores,
        init: Any = None,
        output: Path | None = None,
        spectrum: str | None = None,
    ) -> None:
        self.settings, self.device, self.output = settings, device, output
        self.config = settings.config
        for what, faces in (("data", train), ("val", val)):
            check_labels(faces, settings.task, settings.classes, what)
        self.spectrum = spectrum or spectrum_of(train)
        self.data = prepare(train, self.config).to(device)
        self._sets = {"": val, **(watch or {})}
        self._held = {
            name: prepare(s, self.config, name or "val") for name, s in self._sets.items()
        }
        self._scorer = scorer
        self._weights = self._face_weights(train)
        self._classes = self._class_weights()
        self._build(init)
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.batches = Batches(kinds_of(train, settings.batch, settings.ratio), self.rng)
        self._bank = noise_bank(settings.size).to(device) if settings.views.noise else None
        self._shapes = None
        if settings.views.identity and self.data.points is not None:
            self._shapes = neutral_shapes(train, self.data.points)
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"score": -math.inf, "epoch": 0, "weights": None}
        self._loss_sum = 0.0

    def _build(self, init: Any) -> None:
        s = self.settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(s.seed)
            self.network = build(self.config)
        if init is not None:
            self.network.load_state_dict(init.state_dict())
        # Convolutions of small networks are a third faster so; numbers differ by rounding.
        self.network.to(self.device, memory_format=torch.channels_last).train()
        self._mean = None
        if s.ema:
            self._mean = {k: v.clone() for k, v in self.network.state_dict().items()}
        parameters = list(self.network.parameters())
        if s.optimiser == "sgd":
            self.optimiser: Any = torch.optim.SGD(
                parameters, s.rate, momentum=0.9, weight_decay=s.weight_decay
            )
        else:
            self.optimiser = torch.optim.AdamW(parameters, s.rate, weight_decay=s.weight_decay)

    def _face_weights(self, train: FaceSet) -> Tensor | None:
        if not self.settings.regions or self.settings.task == "expr":
            return None
        known = np.isfinite(train.va).all(1)
        weights = np.zeros(len(train))
        weights[known] = region_weights(train.va[known], power=self.settings.regions)
        return torch.from_numpy(weights).float().to(self.device)

    def _class_weights(self) -> Tensor | None:
        if not self.settings.balance or not self.config.classes:
            return None
        return class_weights(self.data.label, len(self.config.classes)).to(self.device)

    # ------------------------------------------------------------------------- steps
    @property
    def steps(self) -> int:
        """Iterations of an epoch."""
        wanted = self.settings.epoch_size or len(self.data)
        return max(1, math.ceil(wanted / self.batches.size))

    @property
    def iterations(self) -> int:
        """Altogether, where nothing stops it early."""
        return self.steps * self.settings.epochs

    @property
    def stopped(self) -> bool:
        """Whether so many validations brought nothing that patience is out."""
        patience = self.settings.patience
        return bool(patience) and len(self.rows) - self.best["epoch"] >= patience

    def step(self, iteration: int) -> dict[str, float]:
        """Train on a batch; after the last of an epoch, validate."""
        s = self.settings
        self._freeze(iteration < s.freeze * self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = s.rate_at(iteration, self.steps)
        index = self.batches.draw()
        pictures, points = self.augmented(index)
        with torch.autocast(self.device, torch.bfloat16, enabled=s.dtype == "bf16"):
            output = forward(self.network, pictures, points)
        output = _in_full(output)
        total, parts = self._losses(output, index.to(self.device))
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        self._average()
        losses = {name: float(value.detach()) for name, value in parts.items()}
        losses["loss"] = float(total.detach())
        self._loss_sum += losses["loss"]
        if (iteration + 1) % self.steps == 0:
            self._validate((iteration + 1) // self.steps)
        return losses

    def _freeze(self, frozen: bool) -> None:
        """Leave the backbone as it is, its batch norms' means included; or no longer."""
        if self.settings.freeze:
            self.network.backbone.requires_grad_(not frozen).train(not frozen)

    def augmented(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Freshly drawn views of the faces at these positions, and their landmarks."""
        views, data = self.settings.views, self.data
        drawn = draw(len(index), views, self.rng, data.points is not None)
        at = index.to(self.device)
        points = None if data.points is None else data.points[at]
        if self._shapes is not None:
            points = points + draw_identities(len(at), self._shapes, views.identity, self.rng)
        made, points = apply(data.pixels[at], points, drawn.to(self.device), self._bank)
        return made.contiguous(memory_format=torch.channels_last), points

    def _losses(self, output: Any, index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        s, parts = self.settings, dict[str, Tensor]()
        total = output.features.sum() * 0
        if output.va is not None:
            weight = None if self._weights is None else self._weights[index]
            found, parts = va_loss(s.losses, output.va, self.data.va[index], weight)
            total = total + found
        if output.logits is not None:
            parts["expr"] = class_loss(output.logits, self.data.label[index], self._classes)
            total = total + s.expr_weight * parts["expr"]
        if len(output.attention) > 1 and s.attention_weight:
            from synth.models.fer.ddamfn import attention_loss

            parts["attention"] = attention_loss(output.attention)
            total = total + s.attention_weight * parts["attention"]
        return total, parts

    @torch.no_grad()
    def _average(self) -> None:
        if self._mean is None:
            return
        decay = self.settings.ema
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._mean[name].lerp_(value, 1 - decay)
            else:
                self._mean[name].copy_(value)

    # -------------------------------------------------------------------- validation
    def _validate(self, epoch: int) -> None:
        now = self._loaded(self._mean) if self._mean is not None else self.network
        row: dict[str, float] = {"epoch": epoch, "loss": self._loss_sum / self.steps}
        self._loss_sum = 0.0
        for name, faces in self._held.items():
            score = self._scorer if name else faces_scores
            found = score(self._sets[name], read(now, faces))
            row |= {f"{name}/{key}" if name else key: float(v) for key, v in found.items()}
        chosen = selection(row, self.settings.task)
        row["best"] = int(chosen > self.best["score"])
        if row["best"] or self.best["weights"] is None:
            weights = {k: v.detach().cpu().clone() for k, v in now.state_dict().items()}
            self.best = {"score": chosen, "epoch": epoch, "weights": weights}
        self.rows.append(row)
        if self.output is not None:
            write_scores(self.output, self.rows)

    def _loaded(self, weights: Mapping[str, Tensor]) -> Any:
        """A network of its own with these weights."""
        with torch.random.fork_rng(devices=[]):
            network = build(self.config)
        network.load_state_dict(dict(weights))
        return network.to(self.device).eval()

    def best_network(self) -> Any:
        """The reader with the best weights so far, in evaluation mode."""
        return self._loaded(self.best["weights"] or self.network.state_dict())

    # ------------------------------------------------------------------------ keeping
    def state(self) -> dict[str, Any]:
        """See `synth.training.loop.Trainable`."""
        return {
            "network": self.network.state_dict(),
            "mean": self._mean or {},
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.get_state(),
            "batches": self.batches.state(),
            "rows": self.rows,
            "loss_sum": self._loss_sum,
            "best": self.best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `synth.training.loop.Trainable`."""
        self.network.load_state_dict(state["network"])
        if self._mean is not None:
            self._mean = {k: v.to(self.device) for k, v in state["mean"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.set_state(state["rng"])
        self.batches.restore(state["batches"])
        self.rows, self.best = list(state["rows"]), dict(state["best"])
        self._loss_sum = float(state["loss_sum"])
        if self.output is not None and self.rows:
            write_scores(self.output, self.rows)

    def samples(self) -> NDArray[np.uint8]:
        """Faces as they are, and three views of each; from a generator of its own."""
        keep, self.rng = self.rng, torch.Generator().manual_seed(self.settings.seed + 1)
        index = torch.linspace(0, len(self.data) - 1, min(EXAMPLES, len(self.data))).long()
        rows = [self.data.pixels[index.to(self.device)]]
        rows += [((self.augmented(index)[0] + 1) * 127.5).round().byte() for _ in range(3)]
        self.rng = keep
        return draw_grid([[_picture(one) for one in row.cpu().numpy()] for row in rows])

    def export(self, folder: Path) -> None:
        """Write the best weights so far as ``fer.safetensors``."""
        scores = self.rows[self.best["epoch"] - 1] if self.rows else {}
        save_fer(
            folder / WEIGHTS_FILE,
            self.best_network(),
            self.spectrum,
            epoch=str(self.best["epoch"]),
            **{f"val_{k}": f"{v:.4f}" for k, v in scores.items()
               if "/" not in k and k not in ("epoch", "best")},
        )  # fmt: skip


def _in_full(output: FEROutput) -> FEROutput:
    """The same in 32 bits, for the losses."""
    va, logits, features = (None if part is None else part.float() for part in output[:3])
    return FEROutput(va, logits, features, tuple(part.float() for part in output.attention))


def _picture(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def spectrum_of(faces: FaceSet) -> str:
    """The spectrum of all faces, or ``both``."""
    return faces.spectrum[0] if len(set(faces.spectrum)) == 1 else "both"
