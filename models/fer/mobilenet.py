"""MobileNet V1, V2 and V3: small readers, the default for phones and browsers.

The networks are the papers', at any width; ours are the heads. The last layers before
the classifier (the 1280 channels of V2, the linear layer of V3) count as backbone.
V3's batch norms have the paper's epsilon of 0.001 and its momentum of 0.01, which they
reach with the first 900 batches.

References
----------
.. [1] Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile
   Vision Applications", arXiv 1704.04861, 2017, table 1.
.. [2] Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR
   2018, table 2.
.. [3] Howard et al., "Searching for MobileNetV3", ICCV 2019, tables 1 and 2.
"""

from __future__ import annotations

from functools import partial
from typing import Any

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

__all__ = ["build"]

Tensor = Any

#: V1: channels and stride of each depthwise-separable layer.
V1 = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
#: V2: expansion, channels, layers, stride of the first.
V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
#: V3: kernel, hidden channels, channels, squeeze-and-excite, hard swish, stride.
V3_LARGE = (
    *((3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1)),
    *((5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1)),
    *((3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1)),
    *((3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1)),
    *((5, 672, 160, 1, 1, 2), (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)),
)
V3_SMALL = (
    *((3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1)),
    *((5, 96, 40, 1, 1, 2), (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1)),
    *((5, 120, 48, 1, 1, 1), (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2)),
    *((5, 576, 96, 1, 1, 1), (5, 576, 96, 1, 1, 1)),
)
V3_NORM = partial(WarmNorm, eps=1e-3, momentum=0.01)


class GlobalMean(nn.Module):
    """(N, C) means of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def build(config: FERConfig) -> FERNetwork:
    """The MobileNet that `config` names."""
    if config.arch == "mobilenet_v1":
        return _v1(config)
    if config.arch == "mobilenet_v2":
        return _v2(config)
    large = config.arch == "mobilenet_v3_large"
    return _v3(config, V3_LARGE, 1280) if large else _v3(config, V3_SMALL, 1024)


def _v1(config: FERConfig) -> FERNetwork:
    now = scaled(32, config.width)
    layers: list[nn.Module] = [conv_norm(config.channels, now, 3, 2)]
    for channels, stride in V1:
        following = scaled(channels, config.width)
        layers += [conv_norm(now, now, 3, stride, now), conv_norm(now, following)]
        now = following
    return FERNetwork(config, nn.Sequential(*layers, GlobalMean()), now)


def _v2(config: FERConfig) -> FERNetwork:
    now = scaled(32, config.width)
    layers: list[nn.Module] = [conv_norm(config.channels, now, 3, 2, act=nn.ReLU6)]
    for expansion, channels, count, first in V2:
        following = scaled(channels, config.width)
        for i in range(count):
            stride = first if i == 0 else 1
            layers.append(InvertedResidual(now, now * expansion, following, 3, stride, nn.ReLU6))
            now = following
    last = scaled(1280, max(1.0, config.width))  # never thinner, says the paper
    layers += [conv_norm(now, last, act=nn.ReLU6), GlobalMean()]
    return FERNetwork(config, nn.Sequential(*layers), last)


def _v3(config: FERConfig, table: tuple[tuple[int, ...], ...], last: int) -> FERNetwork:
    size = partial(scaled, width=config.width)
    now = size(16)
    stem = conv_norm(config.channels, now, 3, 2, act=nn.Hardswish, norm=V3_NORM)
    layers: list[nn.Module] = [stem]
    for kernel, hidden, channels, excited, swish, stride in table:
        inside, following = size(hidden), size(channels)
        act = nn.Hardswish if swish else nn.ReLU
        excite = (
            SqueezeExcite(inside, scaled(inside / 4), nn.ReLU, nn.Hardsigmoid) if excited else None
        )
        layers.append(
            InvertedResidual(now, inside, following, kernel, stride, act, excite, norm=V3_NORM)
        )
        now = following
    features = size(last)
    layers += [conv_norm(now, 6 * now, act=nn.Hardswish, norm=V3_NORM), GlobalMean()]
    layers += [nn.Linear(6 * now, features), nn.Hardswish()]
    return FERNetwork(config, nn.Sequential(*layers), features)
