"""Settings of a GANmut training."""

from __future__ import annotations

from dataclasses import dataclass

from synth.errors import UsageError
from synth.models.ganmut import UNSTATED
from synth.models.ganmut_spaces import SPACES

__all__ = ["CYCLES", "DTYPES", "STARTS", "GanmutSettings"]

DTYPES = ("fp32", "bf16")
#: Where the code comes from with which a fake is edited back.
CYCLES = ("class", "guess")
#: Where classes lie in the plane when a training begins.
STARTS = ("random", "circumplex")


@dataclass(frozen=True)
class GanmutSettings:
    """What decides a training; the defaults are those of the authors' code, for a GPU.

    Attributes
    ----------
    space : {"linear", "gaussian"}
    start : {"random", "circumplex"}
        Where classes lie at first; they are learned from there. Random, as the authors
        have it, leaves them in any order around the plane; ``--va`` then reaches only a
        part of them exactly (`synth.models.polar`). Circumplex, ours, begins in the order
        of valence and arousal, evenly spread.
    iterations : int
        Steps of the critic.
    decay : int
        Over as many at the end, but at most half, the learning rate falls to 0 in a line.
        (In the authors' code it falls by a thousandth: by 1 / decay, every 1000 steps.)
    batch : int
        More than `random`, and in the Gaussian space at least the number of classes.
    n_critic : int
        Steps of the critic to one of the generator.
    size : int
        Side of the pictures, a multiple of ``2 ** critic_layers``.
    flip : bool
        Mirror every other picture.
    conv_dim, blocks : int
        Of the generator.
    critic_dim, critic_layers : int
        Of the critic.
    random : int
        Codes of a batch that are drawn anywhere (linear space; in the Gaussian one all
        but a mean of each class are).
    noise : float
        Standard deviation of codes about their class's direction (linear space).
    cycle : {"class", "guess"}
        With what a fake is edited back: the picture's class at the certainty that the
        critic has of it (the authors' "approximate"), or the code that the critic guesses
        for the picture. The Gaussian space always guesses.
    lambda_class : float, optional
        Of the classification; None for 1, in the Gaussian space 2.
    lambda_rec, lambda_gp, lambda_code : float
        Of the reconstruction, the gradient penalty, the guessed code.
    lambda_strength : float
        Of the certainty that grows with the intensity (linear space).
    lambda_mean : float
        Of the cross entropy at the means of classes (Gaussian space).
    rate : float
        Learning rate of Adam, with momenta 0.5 and 0.999.
    ema : float
        Decay of a running mean of the generator's weights, which is shown and exported;
        0 for none. Ours: the authors have none.
    dtype : {"fp32", "bf16"}
        bf16 computes in 16 bits where that is safe; weights and the gradient penalty
        stay in 32.
    seed : int
    licence : str
        Recorded with the weights.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    space: str = "linear"
    start: str = "random"
    iterations: int = 2_000_000
    decay: int = 100_000
    batch: int = 16
    n_critic: int = 5
    size: int = 128
    flip: bool = True
    conv_dim: int = 64
    blocks: int = 6
    critic_dim: int = 64
    critic_layers: int = 6
    random: int = 5
    noise: float = 0.075
    cycle: str = "class"
    lambda_class: float | None = None
    lambda_rec: float = 10.0
    lambda_gp: float = 10.0
    lambda_code: float = 1.0
    lambda_strength: float = 1.0
    lambda_mean: float = 0.5
    rate: float = 1e-4
    ema: float = 0.999
    dtype: str = "fp32"
    seed: int = 0
    licence: str = UNSTATED

    def __post_init__(self) -> None:
        if self.lambda_class is None:
            object.__setattr__(self, "lambda_class", 2.0 if self.space == "gaussian" else 1.0)
        choices = {"space": tuple(SPACES), "start": STARTS, "cycle": CYCLES, "dtype": DTYPES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        for name in ("iterations", "batch", "n_critic", "conv_dim", "critic_dim", "critic_layers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        weights = [name for name in self.__dataclass_fields__ if name.startswith("lambda_")]
        for name in ("decay", "blocks", "random", "noise", "seed", *weights):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.size < 2**self.critic_layers or self.size % 2**self.critic_layers or self.size % 4:
            raise UsageError(
                f"size: expected a multiple of {max(4, 2**self.critic_layers)} for a critic of "
                f"{self.critic_layers} layers, got {self.size}; use 128, or fewer critic_layers"
            )
        if self.space == "linear" and self.batch <= self.random:
            raise UsageError(
                f"batch: expected more than the {self.random} random codes, got {self.batch}; "
                "use 16"
            )
        if not self.rate > 0:
            raise UsageError(f"rate: expected a learning rate above 0, got {self.rate}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: expected a decay from 0 to below 1, got {self.ema}")

    def rate_at(self, iteration: int) -> float:
        """Learning rate: constant, then down to 0 in a line over the last `decay` steps."""
        decay = min(self.decay, self.iterations // 2)
        return self.rate * min(1.0, (self.iterations - iteration) / max(decay, 1))
