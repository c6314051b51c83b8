"""A plain network of 0.3 million parameters: trains in minutes on one core of a laptop.

Four stages of two 3 x 3 convolutions, each stage at half the resolution of the one before;
the mean over the last. Ours, after no paper: a yardstick for sets, where what is compared is
the data (docs/fer_results.md).
"""

from __future__ import annotations

from torch import nn

from synth.models.fer.blocks import FERNetwork, conv_norm, scaled
from synth.models.fer.config import FERConfig
from synth.models.fer.mobilenet import GlobalMean

__all__ = ["build"]

#: Channels of the stages.
STAGES = (16, 32, 64, 128)


def build(config: FERConfig) -> FERNetwork:
    """The plain network, its stages `config.width` times as wide."""
    now, layers = config.channels, list[nn.Module]()
    for channels in STAGES:
        following = scaled(channels, config.width)
        layers += [conv_norm(now, following, 3, 2), conv_norm(following, following, 3)]
        now = following
    return FERNetwork(config, nn.Sequential(*layers, GlobalMean()), now)
