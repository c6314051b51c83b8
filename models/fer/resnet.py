"""ResNet-50: bottlenecks with shortcuts.

The paper's network [1]_ with the stride on the 3 x 3 convolution (usual since, called
"v1.5"); the last batch norm of each block starts at 1, as in the paper.

References
----------
.. [1] He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
   table 1.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn import functional

from synth.models.fer.blocks import FERNetwork, conv_norm, scaled
from synth.models.fer.config import FERConfig
from synth.models.fer.mobilenet import GlobalMean

__all__ = ["Bottleneck", "backbone", "build", "trunk"]

Tensor = Any

#: Inner channels and blocks of each stage; a block puts out four times as many.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


class Bottleneck(nn.Module):
    """``relu(shortcut(x) + body(x))``; the body narrows, filters and widens.

    Parameters
    ----------
    inputs, inside : int
        Channels; ``4 * inside`` come out.
    stride : int
    """

    def __init__(self, inputs: int, inside: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * inside
        self.body = nn.Sequential(
            conv_norm(inputs, inside),
            conv_norm(inside, inside, 3, stride),
            conv_norm(inside, outputs, act=None),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_norm(inputs, outputs, 1, stride, act=None)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def trunk(config: FERConfig) -> tuple[nn.Module, int]:
    """Pictures to maps (N, F, S, S) with S the size over 32, rounded up, and F."""
    now = scaled(64, config.width)
    layers: list[nn.Module] = [conv_norm(config.channels, now, 7, 2), nn.MaxPool2d(3, 2, 1)]
    for stage, (channels, count) in enumerate(STAGES):
        inside = scaled(channels, config.width)
        for i in range(count):
            layers.append(Bottleneck(now, inside, 2 if stage and i == 0 else 1))
            now = 4 * inside
    return nn.Sequential(*layers), now


def backbone(config: FERConfig) -> tuple[nn.Module, int]:
    """Pictures to features (N, F), and F: 2048 at full width."""
    maps, features = trunk(config)
    return nn.Sequential(maps, GlobalMean()), features


def build(config: FERConfig) -> FERNetwork:
    """ResNet-50 as `config` says."""
    return FERNetwork(config, *backbone(config))
