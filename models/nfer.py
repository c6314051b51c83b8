"""NFER-SDE: pictures of one spectrum translated to the other by the guided reverse SDE.

The variants of the paper's ablation (table 3 [1]_) and two well-known baselines are
one sampler with different parts switched on:

=================  ==========================================================
variant            what
=================  ==========================================================
``unconditional``  the score without the condition, from pure noise
``cond``           the score network sees the condition (equation 9)
``cond+eh``        ... and the landmark-heatmap energy guides it (equation 6)
``cond+ef``        ... and the high-pass energy guides it (equation 7)
``both``           ... and both energies: NFER-SDE
``ilvr``           unconditional, low frequencies replaced by the condition's [2]_
``sdedit``         unconditional, from the noised condition [3]_
=================  ==========================================================

References
----------
.. [1] Luo et al., NFER-SDE, AAAI 2024.
.. [2] Choi et al., "ILVR: Conditioning method for denoising diffusion probabilistic
   models", ICCV 2021.
.. [3] Meng et al., "SDEdit: Guided image synthesis and editing with stochastic
   differential equations", ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.errors import AssetError, ShapeError, UsageError
from synth.models import sde
from synth.models.energies import gradient, heatmap_energy, highpass_energy
from synth.models.filters import lowpass, luminance
from synth.models.heatmaps import heatmaps
from synth.models.unet import HeatmapNet, NetConfig, ScoreNet
from synth.models.weights import load_weights, save_weights

__all__ = [
    "LAMBDA_F",
    "LAMBDA_H",
    "STEPS",
    "VARIANTS",
    "Variant",
    "as_pictures",
    "as_tensor",
    "load_net",
    "save_net",
    "translate_batch",
]

Tensor = Any
UInt8 = NDArray[np.uint8]

#: Weights of the energies in the paper.
LAMBDA_H, LAMBDA_F = 100.0, 0.5
#: Our default at 64 pixels: half as many cost half a decibel (docs/model_cards/sde.md).
STEPS = 100
KINDS: dict[str, Any] = {"score": ScoreNet, "heatmap": HeatmapNet}


@dataclass(frozen=True)
class Variant:
    """Which parts of the sampler are on; see the module.

    Attributes
    ----------
    conditional : bool
        The network sees the condition.
    heatmap, highpass : bool
        The energy guides.
    start : float
        Time at which the noised condition is the start; 1 starts from pure noise.
    refine : bool
        Low frequencies are replaced by the condition's after every step.
    """

    conditional: bool = True
    heatmap: bool = False
    highpass: bool = False
    start: float = 1.0
    refine: bool = False


VARIANTS = {
    "unconditional": Variant(conditional=False),
    "cond": Variant(),
    "cond+eh": Variant(heatmap=True),
    "cond+ef": Variant(highpass=True),
    "both": Variant(heatmap=True, highpass=True),
    "ilvr": Variant(conditional=False, refine=True),
    "sdedit": Variant(conditional=False, start=0.5),
}


# ---------------------------------------------------------------------- pictures
def as_tensor(pixels: UInt8) -> Tensor:
    """(N, C, H, W) float32 in [-1, 1] from (N, H, W) or (N, H, W, 3) uint8."""
    values = torch.from_numpy(np.ascontiguousarray(pixels)).float() / 127.5 - 1
    return values[:, None] if values.ndim == 3 else values.permute(0, 3, 1, 2)


def as_pictures(values: Tensor) -> UInt8:
    """The reverse of `as_tensor`: rounded, clipped to 0..255."""
    levels = ((values.detach().cpu().float() + 1) * 127.5).round().clamp(0, 255).byte()
    found: UInt8 = (levels[:, 0] if levels.shape[1] == 1 else levels.permute(0, 2, 3, 1)).numpy()
    return np.ascontiguousarray(found)


# ----------------------------------------------------------------------- weights
def save_net(path: Path, net: Any) -> None:
    """Write a `ScoreNet` or `HeatmapNet` with what rebuilds it."""
    kind = next(kind for kind, cls in KINDS.items() if isinstance(net, cls))
    save_weights(path, net.state_dict(), kind, to=net.config.to, config=net.config.as_json())


def load_net(path: Path, kind: str, device: str = "cpu") -> Any:
    """The network of a weights file, ready to run.

    Parameters
    ----------
    path : Path
    kind : str
        ``score`` or ``heatmap``.
    device : str
        Of torch.

    Raises
    ------
    AssetError
        If the file is missing, damaged, of another kind, or does not fit its own
        description.
    """
    tensors, meta = load_weights(path, kind)
    net = KINDS[kind](NetConfig.from_json(meta.get("config", "")))
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise AssetError(
            f"weights: expected those of the network described in {path.name}, got others "
            f"({str(error).splitlines()[0]}); export them again"
        ) from None
    return net.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


# ---------------------------------------------------------------------- sampling
def translate_batch(
    score_net: ScoreNet,
    heatmap_net: HeatmapNet | None,
    vis: UInt8,
    points: NDArray[np.float64] | None,
    variant: str = "both",
    steps: int = STEPS,
    lambda_h: float = LAMBDA_H,
    lambda_f: float = LAMBDA_F,
    seeds: Sequence[int] | None = None,
    *,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> UInt8:
    """Pictures of the network's size translated to its spectrum.

    Parameters
    ----------
    score_net : ScoreNet
    heatmap_net : HeatmapNet or None
        For the variants with the landmark energy.
    vis : (N, S, S, 3) uint8
        What is translated (NIR, (N, S, S), for a network that makes VIS).
    points : (N, 68, 2) float64 or None
        Their landmarks in pixels, for the variants with the landmark energy.
    variant : str
        A key of `VARIANTS`.
    steps : int
        Of the sampler.
    lambda_h, lambda_f : float
        Weights of the energies.
    seeds : N int, optional
        One per picture: the noise of a picture follows from its own seed, whatever
        the batch. 0, 1, 2 ... when not given.
    batch : int
        Pictures at a time.
    progress : (done, of) -> None, optional
        Told steps over all batches.

    Returns
    -------
    (N, S, S) uint8
        Or (N, S, S, 3) for a network that makes VIS.
    """
    chosen = _check(score_net, heatmap_net, vis, points, variant)
    seeds = range(len(vis)) if seeds is None else seeds
    if len(seeds) != len(vis):
        raise UsageError(f"seeds: expected one for each of {len(vis)} images, got {len(seeds)}")
    at = sde.times(steps, chosen.start)
    made, batches = [], range(0, len(vis), batch)
    for number, first in enumerate(batches):
        part = slice(first, first + batch)
        sampler = _Sampler(score_net, heatmap_net, chosen, lambda_h, lambda_f)
        sampler.prepare(vis[part], None if points is None else points[part], seeds[part])

        def told(done: int, of: int, before: int = number * steps) -> None:
            if progress is not None:
                progress(before + done, len(batches) * steps)

        made.append(as_pictures(sampler.run(at, told)))
    return np.concatenate(made)


class _Sampler:
    """The parts of a variant around one batch."""

    def __init__(
        self, score: ScoreNet, heatmap: HeatmapNet | None, variant: Variant, h: float, f: float
    ) -> None:
        self.score_net, self.heatmap_net, self.variant = score, heatmap, variant
        self.lambda_h, self.lambda_f = h, f

    def prepare(
        self, pixels: UInt8, points: NDArray[np.float64] | None, seeds: Sequence[int]
    ) -> None:
        parameter = next(self.score_net.parameters())
        like = {"device": parameter.device, "dtype": parameter.dtype}
        self.condition = as_tensor(pixels).to(**like)
        config = self.score_net.config
        self.reference = luminance(self.condition).expand(-1, config.made, -1, -1)
        self.generators = [torch.Generator().manual_seed(int(s) % 2**63) for s in seeds]
        if self.variant.heatmap and points is not None and self.heatmap_net is not None:
            net = self.heatmap_net.config
            self.target = heatmaps(torch.from_numpy(points).to(**like), net.size, net.patch)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's score, of an expected picture within range, less the energies."""
        condition = self.condition if self.variant.conditional else None
        a, s = sde.marginal(torch.ones_like(x[:, :1, :1, :1]), t)
        picture = sde.denoised(x, t, self.score_net.score(x, t, condition)).clamp(-1, 1)
        noise = (x - a * picture) / s
        guided = -noise / s
        if self.variant.highpass:
            reference = a * self.reference + s * noise
            guided -= self.lambda_f * gradient(lambda v: highpass_energy(v, reference), x)
        if self.variant.heatmap:
            guided -= self.lambda_h * gradient(
                lambda v: heatmap_energy(self.heatmap_net, v, t, self.target), x
            )
        return guided

    def refine(self, x: Tensor, t: Tensor) -> Tensor:
        """ILVR: the low frequencies of the noised condition in place of those of `x`."""
        noised = sde.perturb(self.reference, t, sde.normal_like(x, self.generators))
        return x + lowpass(noised - x)

    def run(self, at: Tensor, progress: Callable[[int, int], None]) -> Tensor:
        with torch.no_grad():
            z = sde.normal_like(self.reference, self.generators)
            start = torch.full((len(z),), self.variant.start, dtype=z.dtype, device=z.device)
            begin = z if self.variant.start == 1 else sde.perturb(self.reference, start, z)
            after = self.refine if self.variant.refine else None
            found = sde.reverse_sample(
                self.score, begin, at, self.generators, after=after, progress=progress
            )
        return found + lowpass(self.reference - found) if self.variant.refine else found


def _check(
    score_net: ScoreNet,
    heatmap_net: HeatmapNet | None,
    pixels: UInt8,
    points: NDArray[np.float64] | None,
    variant: str,
) -> Variant:
    if variant not in VARIANTS:
        raise UsageError(f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}")
    config, chosen = score_net.config, VARIANTS[variant]
    colour = (3,) if config.seen == 3 else ()
    wanted = (len(pixels), config.size, config.size, *colour)
    if pixels.dtype != np.uint8 or pixels.shape != wanted:
        raise ShapeError(f"pixels: expected {wanted} uint8, got {pixels.shape} {pixels.dtype}")
    if chosen.heatmap and (heatmap_net is None or points is None):
        raise UsageError(
            f"variant: expected a heatmap network and landmarks for {variant}, got none; "
            "give them, or use cond+ef"
        )
    if points is not None and points.shape != (len(pixels), 68, 2):
        raise ShapeError(f"points: expected ({len(pixels)}, 68, 2), got {points.shape}")
    return chosen
