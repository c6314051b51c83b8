"""Settings of a CycleGAN training."""

from __future__ import annotations

from dataclasses import dataclass

from synth.errors import UsageError
from synth.models.cyclegan_losses import GAN_LOSSES
from synth.training.pairs import Views

__all__ = ["CycleGANSettings"]

DTYPES = ("fp32", "bf16")


@dataclass(frozen=True)
class CycleGANSettings:
    """What decides a training; the defaults are those of the papers, for a GPU.

    Attributes
    ----------
    iterations : int
        Generator-and-discriminator rounds; the learning rate falls to 0 over the second half.
    batch : int
    pairing : {"unpaired", "half", "paired"}
        See `synth.training.pairs.PairSampler`.
    size, margin, stripes, flip
        See `synth.training.pairs.Views`.
    ngf, blocks : int
        Of the generators; 9 blocks from 256 px on, 6 for less.
    ndf, patch_layers : int
        Of the discriminators; 3 layers see patches of 70 x 70 px.
    spectral : bool
        Spectral norm in the discriminators in place of instance norm.
    gan : {"lsgan", "original"}
    lambda_nir, lambda_vis : float
        Weight of the cycle that begins with NIR and with VIS pictures.
    identity : float
        Of the identity losses, relative to the cycles'; 0 leaves them out.
    lambda_paired : float
        Of the L1 difference to the partner, on items that have one.
    pool : int
        Earlier fakes shown to the discriminators.
    generator_steps : int
        Per step of the discriminators, each on a batch of its own.
    rate : float
        Learning rate of Adam, with momenta 0.5 and 0.999.
    ema : float
        Decay of a running mean of the generators' weights, which is then what is shown
        and exported; 0 for none.
    dtype : {"fp32", "bf16"}
        bf16 computes in 16 bits where that is safe; weights stay in 32.
    seed : int
    """

    iterations: int = 200_000
    batch: int = 1
    pairing: str = "unpaired"
    size: int = 256
    margin: float = 286 / 256
    stripes: float = 0.5
    flip: bool = True
    ngf: int = 64
    blocks: int = 9
    ndf: int = 64
    patch_layers: int = 3
    spectral: bool = False
    gan: str = "lsgan"
    lambda_nir: float = 15.0
    lambda_vis: float = 10.0
    identity: float = 0.5
    lambda_paired: float = 10.0
    pool: int = 50
    generator_steps: int = 2
    rate: float = 2e-4
    ema: float = 0.0
    dtype: str = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "ngf", "ndf", "patch_layers", "generator_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("lambda_nir", "lambda_vis", "identity", "lambda_paired", "seed", "pool"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.size < 3 * 2**self.patch_layers:
            raise UsageError(
                f"size: expected {3 * 2**self.patch_layers} pixels or more for a discriminator "
                f"of {self.patch_layers} layers, got {self.size}; use 256"
            )
        if not self.rate > 0:
            raise UsageError(f"rate: expected a learning rate above 0, got {self.rate}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: expected a decay from 0 to below 1, got {self.ema}")
        for name, known in (("gan", GAN_LOSSES), ("dtype", DTYPES)):
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def views(self) -> Views:
        """How pictures are cut."""
        return Views(self.size, self.margin, self.stripes, self.flip)

    def rate_at(self, iteration: int) -> float:
        """Learning rate: constant over the first half, then down to 0 in a line."""
        return self.rate * min(1.0, 2 * (1 - iteration / self.iterations))
