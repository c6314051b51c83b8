"""Settings of a reader's training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from synth.errors import UsageError
from synth.models.fer import FERConfig
from synth.models.fer.config import TASKS, architecture_of
from synth.recognition.faces import CLASSES
from synth.training.fer_losses import parse_losses
from synth.training.fer_strengths import Augment, parse_augment

__all__ = ["DECAYS", "DTYPES", "OPTIMISERS", "FERSettings"]

DECAYS = ("none", "linear", "exponential", "cosine")
OPTIMISERS = ("adamw", "sgd")
DTYPES = ("fp32", "bf16")


@dataclass(frozen=True)
class FERSettings:
    """What decides a training, together with the faces.

    Attributes
    ----------
    arch, size, channels, width, dropout, landmarks
        Of the network, see `synth.models.fer.FERConfig`; size 0: that of the paper.
    task : {"va", "expr", "both"}
    classes : tuple of str
        Among `synth.recognition.faces.CLASSES`; faces of other classes count as unlabelled.
    loss : str
        Of valence and arousal: names of `synth.training.fer_losses.VA_LOSSES` and weights.
    expr_weight, attention_weight : float
        Of the loss of classes, and of that between attention heads (DDAMFN).
    balance : bool
        Weigh classes by inverse frequency.
    regions : float
        Weigh faces by how empty their region of the valence-arousal plane is, to this
        power; 0: all alike. See `synth.metrics.regions.region_weights`.
    augment : str
        See `synth.training.fer_strengths.parse_augment`.
    epochs, batch : int
        At most so many epochs.
    epoch_size : int
        Faces that make an epoch; 0: as many as there are.
    ratio : float, optional
        Share of real photos in each batch; without it, faces come as they are.
    optimiser : {"adamw", "sgd"}
        SGD with momentum 0.9.
    rate, weight_decay : float
    decay : {"none", "linear", "exponential", "cosine"}
        Of the rate: to 0 at the end, or by `gamma` each epoch.
    gamma : float
    warmup : float
        Epochs over which the rate rises from 0.
    freeze : int
        Epochs in which the backbone is left as it is.
    ema : float
        Decay of a running mean of the weights, which is then validated and exported; 0: none.
    patience : int
        Validations without a better score after which training stops; 0: never.
    dtype : {"fp32", "bf16"}
        bf16 computes in 16 bits where that is safe; weights stay in 32, and so do
        validations. Twice as fast on processors that have it.
    seed : int
    """

    arch: str = "small_cnn"
    task: str = "va"
    classes: tuple[str, ...] = CLASSES
    size: int = 0
    channels: int = 1
    width: float = 1.0
    dropout: float = 0.2
    landmarks: bool = False
    loss: str = "mse:1,ccc:1"
    expr_weight: float = 1.0
    attention_weight: float = 0.1
    balance: bool = True
    regions: float = 0.0
    augment: str = "default"
    epochs: int = 20
    batch: int = 64
    epoch_size: int = 0
    ratio: float | None = None
    optimiser: str = "adamw"
    rate: float = 1e-3
    weight_decay: float = 0.01
    decay: str = "cosine"
    gamma: float = 0.9
    warmup: float = 0.0
    freeze: int = 0
    ema: float = 0.0
    patience: int = 0
    dtype: str = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        for name, known in (("task", TASKS), ("decay", DECAYS), ("optimiser", OPTIMISERS),
                            ("dtype", DTYPES)):  # fmt: skip
            if (value := getattr(self, name)) not in known:
                raise UsageError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        if unknown := [name for name in self.classes if name not in CLASSES]:
            raise UsageError(
                f"classes: expected names among {', '.join(CLASSES)}, got {unknown[0]!r}"
            )
        architecture = architecture_of(self.arch)
        if self.size == 0:
            object.__setattr__(self, "size", architecture.size)
        for name, low in (("epochs", 1), ("batch", 2), ("epoch_size", 0), ("freeze", 0),
                          ("patience", 0), ("seed", 0), ("expr_weight", 0), ("regions", 0),
                          ("attention_weight", 0), ("weight_decay", 0), ("warmup", 0)):  # fmt: skip
            if not getattr(self, name) >= low:
                raise UsageError(f"{name}: expected {low} or more, got {getattr(self, name)}")
        if not 0 < self.rate < math.inf:
            raise UsageError(f"rate: expected a learning rate above 0, got {self.rate}")
        if not 0 < self.gamma <= 1:
            raise UsageError(f"gamma: expected more than 0 and at most 1, got {self.gamma}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: expected a decay from 0 to below 1, got {self.ema}")
        if self.ratio is not None and not 0 < self.ratio < 1:
            raise UsageError(f"ratio: expected a share between 0 and 1, got {self.ratio}")
        _ = self.config, self.losses, self.views  # refuse what they refuse

    @property
    def config(self) -> FERConfig:
        """Of the network."""
        return FERConfig(
            arch=self.arch,
            va=self.task != "expr",
            classes=() if self.task == "va" else self.classes,
            size=self.size,
            channels=self.channels,
            width=self.width,
            dropout=self.dropout,
            landmarks=self.landmarks,
        )

    @cached_property
    def losses(self) -> dict[str, float]:
        """Weight of each loss of valence and arousal."""
        return parse_losses(self.loss)

    @cached_property
    def views(self) -> Augment:
        """How pictures are changed."""
        return parse_augment(self.augment)

    def rate_at(self, iteration: int, steps: int) -> float:
        """Learning rate of an iteration, counted from 0, where an epoch has `steps`."""
        done = iteration / (steps * self.epochs)
        epoch = iteration / steps
        factor = {
            "none": 1.0,
            "linear": 1 - done,
            "exponential": self.gamma**epoch,
            "cosine": (1 + math.cos(math.pi * done)) / 2,
        }[self.decay]
        if self.warmup and epoch < self.warmup:
            factor *= (iteration + 1) / (self.warmup * steps + 1)
        return self.rate * factor
