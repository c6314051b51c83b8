"""Building blocks of the translators: instance norm that can be frozen, residual blocks.

References
----------
.. [1] Ulyanov, Vedaldi & Lempitsky, "Instance normalization: the missing ingredient for
   fast stylization", arXiv 1607.08022, 2016.
.. [2] Johnson, Alahi & Fei-Fei, "Perceptual losses for real-time style transfer and
   super-resolution", ECCV 2016 (the residual generator).
.. [3] He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015 (initialisation).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = [
    "InstanceNorm",
    "ResidualBlock",
    "freeze_norms",
    "kaiming_init",
    "luminance",
    "receptive_radius",
    "recording_norms",
    "thaw_norms",
]

Tensor = Any
#: Rec. 601: what "grey" means for gamma-encoded RGB.
REC601 = (0.299, 0.587, 0.114)


class InstanceNorm(nn.Module):
    """Every channel of every picture to mean 0 and variance 1 [1]_; no weights.

    Statistics of a whole picture can be kept and used for parts of it: without that,
    tiles of one picture would be normalised differently and disagree where they meet.

    Attributes
    ----------
    fixed : (mean, variance) or None
        (N, C, 1, 1) each; used instead of the input's own when set.
    recording : bool
        Keep the statistics of what passes in `seen`.
    """

    EPSILON = 1e-5

    def __init__(self) -> None:
        super().__init__()
        self.fixed: tuple[Tensor, Tensor] | None = None
        self.seen: tuple[Tensor, Tensor] | None = None
        self.recording = False

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in and out."""
        if self.recording:
            variance, mean = torch.var_mean(x.float(), (2, 3), correction=0, keepdim=True)
            self.seen = (mean, variance)
        if self.fixed is None:
            return functional.instance_norm(x, eps=self.EPSILON)
        mean, variance = self.fixed
        return ((x.float() - mean) * torch.rsqrt(variance + self.EPSILON)).to(x.dtype)


def _norms(network: nn.Module) -> list[InstanceNorm]:
    return [module for module in network.modules() if isinstance(module, InstanceNorm)]


@contextmanager
def recording_norms(network: nn.Module) -> Iterator[None]:
    """Within it, every `InstanceNorm` of `network` keeps the statistics it sees."""
    for norm in _norms(network):
        norm.recording = True
    try:
        yield
    finally:
        for norm in _norms(network):
            norm.recording = False


def freeze_norms(network: nn.Module) -> None:
    """Use the statistics recorded last from now on."""
    for norm in _norms(network):
        norm.fixed = norm.seen


def thaw_norms(network: nn.Module) -> None:
    """Use every picture's own statistics again, and forget recorded ones."""
    for norm in _norms(network):
        norm.fixed = norm.seen = None


class ResidualBlock(nn.Module):
    """``x + block(x)`` with two 3 x 3 convolutions, reflection padded [2]_.

    The layers' order and names are those of the public CycleGAN code, so that its state
    dicts fit.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm(), nn.ReLU(True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def kaiming_init(network: nn.Module, slope: float = 0.0) -> nn.Module:
    """`network` with He's normal initialisation [3]_, biases 0.

    Parameters
    ----------
    network : Module
    slope : float
        Of the leaky ReLUs behind the convolutions.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def luminance(x: Tensor) -> Tensor:
    """(N, 1, H, W) Rec. 601 grey of (N, 3, H, W) gamma-encoded RGB, in the same range."""
    return (x * x.new_tensor(REC601)[None, :, None, None]).sum(1, keepdim=True)


def receptive_radius(network: nn.Module) -> int:
    """How far an output pixel looks: at most so many input pixels to either side.

    An upper bound from the chain of convolutions; instance norm, which looks at the whole
    picture, is left out (`freeze_norms`).
    """
    radius, step = 0.0, 1.0  # of an output pixel, in input pixels
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            # An output sees the inputs whose spread reaches it: about (k - 1) / stride / 2
            # of them to either side.
            radius += (module.kernel_size[0] - 1) / 2 / module.stride[0] * step + step
            step /= module.stride[0]
        elif isinstance(module, nn.Conv2d):
            radius += (module.kernel_size[0] - 1) / 2 * step
            step *= module.stride[0]
    return int(-(-radius // 1))
