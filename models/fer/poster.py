"""POSTER: a face and its landmarks, fused by cross-attention at three scales.

As in the paper [1]_: tokens of the picture and of the landmarks, each the mean token in
front; blocks in which the landmarks ask the picture and the picture the landmarks, at
full, half and a quarter of the features (`Pyramid`), the coarser added to the finer;
a squeeze-and-excite gate on the picture's first token. `poster` has 8 blocks,
`poster_tiny` 4.

Ours: ResNet-50 makes the picture's tokens rather than a pretrained IR-50; the landmark
stream is a small network on 68 maps rather than a frozen, pretrained MobileFaceNet. The
maps are Gaussians at the points where `points` are given, else what three more layers
draw from the picture (`Poster.landmark_maps`, which `heatmaps.heatmaps` can teach).
All tokens have learned positions.

References
----------
.. [1] Zheng, Mendieta & Chen, "POSTER: A Pyramid Cross-Fusion Transformer Network for
   Facial Expression Recognition", ICCV Workshops 2023, equations 1-4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from synth.errors import ShapeError
from synth.models.fer import resnet
from synth.models.fer.blocks import (
    FERNetwork,
    StochasticDepth,
    check_images,
    conv_norm,
    initialise,
    scaled,
)
from synth.models.fer.config import FERConfig, FEROutput
from synth.models.heatmaps import heatmaps

__all__ = ["DEPTHS", "POINTS", "CrossFusion", "Poster", "Pyramid", "build"]

Tensor = Any

DEPTHS = {"poster": 8, "poster_tiny": 4}
#: Features of a token, landmarks, heads of each attention, widening of its perceptron.
FEATURES, POINTS, HEADS, WIDENING = 512, 68, 8, 2
#: Picture pixels to a pixel of the landmark maps.
PATCH = 4


class CrossAttention(nn.Module):
    """Tokens rewritten by what the other stream's tokens ask of them [1]_, equation 2."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.keys_values = nn.Linear(features, 2 * features)
        self.project = nn.Linear(features, features)

    def forward(self, tokens: Tensor, queries: Tensor) -> Tensor:
        keys, values = self.keys_values(tokens).chunk(2, 2)
        q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (queries, keys, values))
        answers = functional.scaled_dot_product_attention(q, k, v)
        return self.project(answers.transpose(1, 2).flatten(2))


def _perceptron(features: int) -> nn.Sequential:
    hidden = WIDENING * features
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features))


class CrossFusion(nn.Module):
    """One exchange between the streams, and a mixture of all tokens.

    Parameters
    ----------
    features, count : int
        Of a token; tokens of one stream.
    drop : float
        Share of samples for which a residual branch is left out in training.
    """

    def __init__(self, features: int, count: int, drop: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(4))
        self.attend = nn.ModuleList(CrossAttention(features) for _ in range(2))
        self.think = nn.ModuleList(_perceptron(features) for _ in range(2))
        self.mix = nn.Conv1d(2 * count, 2 * count, 1)
        self.drop = StochasticDepth(drop)
        self.count = count

    def forward(self, tokens: Tensor) -> Tensor:
        streams = tokens.split(self.count, 1)
        done = []
        for i, stream in enumerate(streams):
            before, after = self.norms[2 * i], self.norms[2 * i + 1]
            asked = self.attend[i](before(stream), before(streams[1 - i]))
            stream = stream + self.drop(asked)
            done.append(stream + self.drop(self.think[i](after(stream))))
        return self.mix(torch.cat(done, 1))


class Pyramid(nn.Module):
    """An exchange at each of three scales, the coarser added to the finer.

    Parameters
    ----------
    features, count : int
        Of a token at the finest scale; tokens of one stream.
    drop : float
        See `CrossFusion`.
    """

    def __init__(self, features: int, count: int, drop: float) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            CrossFusion(features // part, count, drop) for part in (1, 2, 4)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose1d(2 * count, 2 * count, 2, stride=2) for _ in range(2)
        )

    def forward(self, levels: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        fine, half, quarter = (f(x) for f, x in zip(self.scales, levels, strict=True))
        half = half + self.up[1](quarter)
        return fine + self.up[0](half), half, quarter


class Fusion(nn.Module):
    """Tokens of both streams to one vector.

    Parameters
    ----------
    features, count, depth : int
        Of a token; tokens of a stream without its mean; pyramids.
    drop : float
        Of the deepest pyramid's branches; less in the others.
    """

    def __init__(self, features: int, count: int, depth: int, drop: float) -> None:
        super().__init__()
        both = 2 * (count + 1)
        self.positions = nn.Parameter(torch.zeros(1, both, features))
        self.to_half = nn.Conv1d(both, both, 2, stride=2)
        self.to_quarter = nn.Conv1d(both, both, 4, stride=4)
        self.pyramids = nn.ModuleList(
            Pyramid(features, count + 1, drop * i / max(1, depth - 1)) for i in range(depth)
        )
        self.norm = nn.LayerNorm(features)
        self.gate = nn.Sequential(
            nn.Linear(features, features), nn.ReLU(), nn.Linear(features, features), nn.Sigmoid()
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, picture: Tensor, landmarks: Tensor) -> Tensor:
        streams = [torch.cat([x.mean(1, keepdim=True), x], 1) for x in (picture, landmarks)]
        fine = torch.cat(streams, 1) + self.positions
        levels = (fine, self.to_half(fine), self.to_quarter(fine))
        for pyramid in self.pyramids:
            levels = pyramid(levels)
        first = self.norm(levels[0][:, 0])
        return first * self.gate(first)


class Poster(FERNetwork):
    """Two streams and their fusion; ``backbone`` is the picture's.

    Parameters
    ----------
    config : FERConfig
    depth : int
        Pyramids.
    """

    def __init__(self, config: FERConfig, depth: int) -> None:
        features = scaled(FEATURES, config.width, 4 * HEADS)
        trunk, channels = resnet.trunk(config)
        super().__init__(config, trunk, features)
        self.picture = nn.Linear(channels, features)
        thin, middle = scaled(64, config.width), scaled(128, config.width)
        self.draw = nn.Sequential(
            conv_norm(config.channels, thin // 2, 3, 2),
            conv_norm(thin // 2, thin, 3, 2),
            nn.Conv2d(thin, POINTS, 3, padding=1),
            nn.Sigmoid(),
        )
        self.landmarks = nn.Sequential(
            conv_norm(POINTS, thin, 3, 2),
            conv_norm(thin, middle, 3, 2),
            conv_norm(middle, features, 3, 2),
        )
        for module in (self.picture, self.draw, self.landmarks):
            initialise(module)
        self.fusion = Fusion(features, (config.size // 32) ** 2, depth, config.dropout)

    def landmark_maps(self, images: Tensor) -> Tensor:
        """(N, 68, size / 4, size / 4) in [0, 1]: where it takes the landmarks to be."""
        return self.draw(images)

    def forward(self, images: Tensor, points: Tensor | None = None) -> FEROutput:
        """What it says about `images` (N, channels, size, size), given the landmarks.

        Parameters
        ----------
        images : (N, channels, size, size) float
            In [-1, 1].
        points : (N, 68, 2) float, optional
            Landmarks in pixels of `images`, NaN where unknown: those are in no map. By
            default it looks for them itself.

        Raises
        ------
        ShapeError
            If the images are not what the configuration says, or the points not 68 each.
        """
        check_images(images, self.config)
        if points is None:
            maps = self.landmark_maps(images)
        elif points.shape != (len(images), POINTS, 2):
            raise ShapeError(
                f"points: expected ({len(images)}, {POINTS}, 2), got {tuple(points.shape)}; "
                "give the 68 landmarks of each picture"
            )
        else:
            maps = heatmaps(points.to(images), self.config.size, PATCH).nan_to_num(0.0)
        picture = self.picture(self.backbone(images).flatten(2).transpose(1, 2))
        landmarks = self.landmarks(maps).flatten(2).transpose(1, 2)
        return self.head(self.fusion(picture, landmarks))


def build(config: FERConfig) -> Poster:
    """POSTER as `config` says."""
    return Poster(config, DEPTHS[config.arch])
