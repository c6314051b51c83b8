"""DDAMFN: mixed kernels, and attention along rows and columns.

The backbone (MFN) is a chain of inverted residuals like MobileFaceNet's, whose depthwise
convolutions split the channels among kernels of 3 to 9 pixels [2]_ and are followed by
coordinate attention [3]_. Each dual-direction attention head sums the maps along rows
and along columns with learned weights and turns the sums into a map of attention; the
largest of the heads' maps scales the features [1]_. `attention_loss` keeps the heads
from looking at the same places.

The numbers are those of the paper's published code for 112 x 112 pixels; other sizes
(ours) change the side of the last kernels. Also ours: no biases where a batch norm
follows, which could not matter, and two heads by default, as in the authors' later
version.

References
----------
.. [1] Zhang, Zhang, Zhang, Wang & Song, "A Dual-Direction Attention Mixed Feature
   Network for Facial Expression Recognition", Electronics 12(17), 2023.
.. [2] Tan & Le, "MixConv: Mixed Depthwise Convolutional Kernels", BMVC 2019.
.. [3] Hou, Zhou & Feng, "Coordinate Attention for Efficient Mobile Network Design",
   CVPR 2021.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import torch
from torch import nn

from synth.errors import ShapeError
from synth.models.fer.blocks import FERNetwork, check_images, conv_norm, scaled
from synth.models.fer.config import FERConfig, FEROutput

__all__ = ["DDAMFN", "HEADS", "attention_loss", "build"]

Tensor = Any

HEADS = 2
#: Of the last maps.
FEATURES = 512
#: Hidden and output channels, kernels, share of the hidden channels of each kernel but
#: the first, stride, blocks.
MFN = (
    (128, 64, (3, 5, 7), 1 / 4, 2, 1),
    (128, 64, (3, 5), 1 / 4, 1, 9),
    (256, 128, (3, 5, 7), 1 / 4, 2, 1),
    (256, 128, (3, 5), 1 / 4, 1, 16),
    (1024, 256, (3, 5, 7, 9), 1 / 4, 2, 1),
    (512, 256, (3, 5, 7), 1 / 3, 1, 6),
)


class MixedDepthwise(nn.Module):
    """Depthwise convolution with another kernel for each group of channels [2]_.

    Parameters
    ----------
    channels : int
    kernels : tuple of int
    share : float
        Part of the channels that each kernel but the first has.
    stride : int
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], share: float, stride: int) -> None:
        super().__init__()
        each = int(channels * share)
        self.parts = (channels - each * (len(kernels) - 1), *[each] * (len(kernels) - 1))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(part, part, kernel, stride, kernel // 2, groups=part, bias=False)
            for part, kernel in zip(self.parts, kernels, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.split(self.parts, 1)
        return torch.cat([f(piece) for f, piece in zip(self.convolutions, pieces, strict=True)], 1)


class DirectionMaps(nn.Module):
    """Attention in (0, 1), a product of one profile down and one across [3]_.

    Parameters
    ----------
    channels : int
    side : int, optional
        Of the maps: sum rows and columns with learned weights [1]_ rather than
        average them.
    """

    def __init__(self, channels: int, side: int | None = None) -> None:
        super().__init__()
        inside = max(8, channels // 32)
        self.joint = conv_norm(channels, inside, act=nn.Hardswish)
        self.down = nn.Conv2d(inside, channels, 1)
        self.across = nn.Conv2d(inside, channels, 1)
        self.rows: nn.Module | None = None
        self.columns: nn.Module | None = None
        if side is not None:
            self.rows = _summed(channels, (1, side))
            self.columns = _summed(channels, (side, 1))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.mean(3, keepdim=True) if self.rows is None else self.rows(x)
        columns = x.mean(2, keepdim=True) if self.columns is None else self.columns(x)
        joint = self.joint(torch.cat([rows, columns.transpose(2, 3)], 2))
        down, across = joint.split([x.shape[2], x.shape[3]], 2)
        return self.down(down).sigmoid() * self.across(across.transpose(2, 3)).sigmoid()


def _summed(channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    """Each channel summed over a window with learned weights, and batch norm."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
    )


class MixedBlock(nn.Module):
    """Widen, filter with mixed kernels, attend, narrow; add where sizes agree [1]_."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        kernels: tuple[int, ...],
        share: float,
        stride: int,
    ) -> None:
        super().__init__()
        self.widen = nn.Sequential(conv_norm(inputs, hidden, act=None), nn.PReLU(hidden))
        self.filter = MixedDepthwise(hidden, kernels, share, stride)
        self.attention = DirectionMaps(hidden)
        self.narrow = conv_norm(hidden, outputs, act=None)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.filter(self.widen(x))
        y = self.narrow(y * self.attention(y))
        return x + y if self.residual else y


def _backbone(config: FERConfig) -> nn.Sequential:
    """Pictures to maps (N, 512, S, S), S the size over 16, rounded up."""
    first = scaled(64, config.width)
    layers: list[nn.Module] = [
        nn.Sequential(conv_norm(config.channels, first, 3, 2, act=None), nn.PReLU(first)),
        nn.Sequential(conv_norm(first, first, 3, 1, first, act=None), nn.PReLU(first)),
    ]
    now = first
    for hidden, channels, kernels, share, stride, count in MFN:
        inside, following = scaled(hidden, config.width), scaled(channels, config.width)
        for _ in range(count):
            layers.append(MixedBlock(now, inside, following, kernels, share, stride))
            now = following
    last = scaled(FEATURES, config.width)
    layers.append(nn.Sequential(conv_norm(now, last, act=None), nn.PReLU(last)))
    return nn.Sequential(*layers)


class DDAMFN(FERNetwork):
    """Mixed features, attended to by `heads` heads.

    Parameters
    ----------
    config : FERConfig
    heads : int
    """

    def __init__(self, config: FERConfig, heads: int = HEADS) -> None:
        features = scaled(FEATURES, config.width)
        super().__init__(config, _backbone(config), features)
        side = -(-config.size // 16)
        self.attention = nn.ModuleList(DirectionMaps(features, side) for _ in range(heads))
        self.gather = nn.Sequential(_summed(features, (side, side)), nn.Flatten())

    def forward(self, images: Tensor, points: Tensor | None = None) -> FEROutput:
        """What it says about `images`, as `FERNetwork.forward`, and its attention.

        Raises
        ------
        ShapeError
            If the images have other channels or another size than the configuration says,
            or the landmarks are missing, superfluous or of another shape.
        """
        check_images(images, self.config)
        self.check_points(images, points)
        maps = self.backbone(images)
        attention = tuple(head(maps) for head in self.attention)
        strongest = attention[0]
        for other in attention[1:]:
            strongest = torch.maximum(strongest, other)
        return self.answer(self.gather(maps * strongest), points, attention)


def attention_loss(attention: tuple[Tensor, ...], eps: float = 1e-4) -> Tensor:
    """How alike the heads' maps are: the inverse of their mean squared difference [1]_.

    Parameters
    ----------
    attention : tuple of (N, F, H, W)
        ``FEROutput.attention``; the paper's code adds 0.1 of this loss.
    eps : float
        Added to the mean (ours), so that heads which agree do not give an endless loss.

    Returns
    -------
    () tensor
        ``1 / (mean over pairs of heads of the mean squared difference + eps)``; 0 with
        one head.

    Raises
    ------
    ShapeError
        Without any maps.
    """
    if not attention:
        raise ShapeError("attention: expected maps of attention heads, got none; use arch ddamfn")
    if len(attention) == 1:
        return attention[0].new_zeros(())
    squares = [((a - b) ** 2).mean() for a, b in combinations(attention, 2)]
    return 1 / (torch.stack(squares).mean() + eps)


def build(config: FERConfig) -> DDAMFN:
    """DDAMFN as `config` says."""
    return DDAMFN(config)
