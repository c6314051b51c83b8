"""EfficientNet-B0: the reader of the near-infrared thesis, with a tanh head.

The network is the paper's [1]_; the thesis [2]_ put two tanh outputs for valence and
arousal on it, and ours may have classes too. Stochastic depth grows with depth up to
the configuration's `dropout` (0.2 in the paper).

References
----------
.. [1] Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
   Networks", ICML 2019, table 1.
.. [2] Kalabis, "Facial Expression Analysis from NIR Image", CTU Prague 2024.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from synth.models.fer.blocks import (
    FERNetwork,
    InvertedResidual,
    SqueezeExcite,
    WarmNorm,
    conv_norm,
    scaled,
)
from synth.models.fer.config import FERConfig
from synth.models.fer.mobilenet import GlobalMean

__all__ = ["build"]

#: Expansion, kernel, channels, layers, stride of the first.
B0 = (
    *((1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2)),
    *((6, 5, 112, 3, 1), (6, 5, 192, 4, 2), (6, 3, 320, 1, 1)),
)
NORM = partial(WarmNorm, eps=1e-3, momentum=0.01)


def build(config: FERConfig) -> FERNetwork:
    """EfficientNet-B0 as `config` says."""
    now = scaled(32, config.width)
    layers: list[nn.Module] = [conv_norm(config.channels, now, 3, 2, act=nn.SiLU, norm=NORM)]
    total = sum(count for _, _, _, count, _ in B0)
    for expansion, kernel, channels, count, first in B0:
        following = scaled(channels, config.width)
        for i in range(count):
            # The squeezed channels are a quarter of the block's inputs, not of the widened.
            inside = now * expansion
            excite = SqueezeExcite(inside, max(1, now // 4), nn.SiLU, nn.Sigmoid)
            drop = config.dropout * (len(layers) - 1) / total
            stride = first if i == 0 else 1
            layers.append(
                InvertedResidual(
                    now, inside, following, kernel, stride, nn.SiLU, excite, drop, norm=NORM
                )
            )
            now = following
    last = scaled(1280, config.width)
    layers += [conv_norm(now, last, act=nn.SiLU, norm=NORM), GlobalMean()]
    return FERNetwork(config, nn.Sequential(*layers), last)
