"""VGG-Face: VGG-16, the network of the first deep face descriptors.

The layers are the paper's [1]_ (configuration D of [2]_). The first linear layer sees
7 x 7 places at the paper's 224 pixels and ``(size // 32)**2`` at others (ours), so that
small faces do not pay for its 100 million weights. Weights trained on faces are not
shipped; without them the network is drawn by He's rule.

References
----------
.. [1] Parkhi, Vedaldi & Zisserman, "Deep Face Recognition", BMVC 2015.
.. [2] Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
   Recognition", ICLR 2015.
"""

from __future__ import annotations

from torch import nn

from synth.models.fer.blocks import FERNetwork, scaled
from synth.models.fer.config import FERConfig

__all__ = ["backbone", "build"]

#: Channels of the convolutions between poolings.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def backbone(config: FERConfig) -> tuple[nn.Module, int]:
    """Pictures to features (N, F), and F: 4096 at full width."""
    layers: list[nn.Module] = []
    now = config.channels
    for stage in STAGES:
        for channels in stage:
            following = scaled(channels, config.width)
            layers += [nn.Conv2d(now, following, 3, padding=1), nn.ReLU(inplace=True)]
            now = following
        layers.append(nn.MaxPool2d(2))
    features = scaled(4096, config.width)
    drop = config.dropout
    layers += [nn.Flatten(), nn.Linear(now * (config.size // 32) ** 2, features)]
    layers += [nn.ReLU(inplace=True), nn.Dropout(drop), nn.Linear(features, features), nn.ReLU()]
    return nn.Sequential(*layers), features


def build(config: FERConfig) -> FERNetwork:
    """VGG-Face as `config` says; the head drops features itself."""
    return FERNetwork(config, *backbone(config))
