"""Recurrent readers of video: VGG-Face-GRU and ResNet-50-GRU.

Each frame passes the same convolutional network; two layers of gated recurrent units
with 128 states each read the sequence of features and answer for every frame, from it
and those before it, as in the Aff-Wild papers [1]_. Left out is what those papers also
feed in, the landmarks of each frame. The states start at zero with each sequence.

References
----------
.. [1] Kollias et al., "Deep Affect Prediction in-the-Wild: Aff-Wild Database and
   Challenge, Deep Architectures, and Beyond", IJCV 2019.
.. [2] Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from synth.models.fer import resnet, vggface
from synth.models.fer.blocks import FERNetwork, check_images, scaled
from synth.models.fer.config import FERConfig, FEROutput

__all__ = ["STATES", "VideoNetwork", "build"]

Tensor = Any

#: Units of a recurrent layer, and layers.
STATES, LAYERS = 128, 2


class VideoNetwork(FERNetwork):
    """Features of each frame, read in order.

    Parameters
    ----------
    config : FERConfig
    backbone : Module
        (N, channels, size, size) -> (N, F)
    features : int
        F.
    """

    def __init__(self, config: FERConfig, backbone: nn.Module, features: int) -> None:
        states = scaled(STATES, config.width)
        super().__init__(config, backbone, states)
        self.memory = nn.GRU(features, states, LAYERS, batch_first=True)
        _initialise(self.memory)
        for layer in (self.head.va, self.head.logits):
            if layer is not None:  # states lie within 1: the usual small weights learn slowly
                nn.init.normal_(layer.weight, 0, states**-0.5)

    def forward(self, images: Tensor, points: Tensor | None = None) -> FEROutput:
        """What it says about each frame of `images` (N, T, channels, size, size).

        Raises
        ------
        ShapeError
            If they have other channels or another size than the configuration says, or
            landmarks are given.
        """
        check_images(images, self.config)
        self.check_points(images, points)
        seen = self.backbone(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        # Said explicitly, the start follows the batch in exported networks too.
        start = seen.new_zeros(LAYERS, images.shape[0], self.memory.hidden_size)
        return self.head(self.memory(seen, start)[0])


def _initialise(memory: nn.GRU) -> None:
    """Draw Glorot's weights for what comes in, orthogonal ones for the states, biases 0.

    Torch's own rule knows the number of states only; with thousands of features the gates
    would begin shut.
    """
    for name, parameter in memory.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            for gate in parameter.data.chunk(3):
                nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)


def build(config: FERConfig) -> VideoNetwork:
    """The recurrent network that `config` names."""
    frames = vggface if config.arch == "vgg_face_gru" else resnet
    return VideoNetwork(config, *frames.backbone(config))
