"""Pieces that several readers share: convolutions, inverted residuals, heads, checks.

References
----------
.. [1] Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
.. [2] Howard et al., "Searching for MobileNetV3", ICCV 2019.
.. [3] Hu, Shen & Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
.. [4] Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016.
.. [5] He et al., "Delving Deep into Rectifiers", ICCV 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from synth.errors import ShapeError
from synth.models.fer.config import FERConfig, FEROutput

__all__ = [
    "FERNetwork",
    "Head",
    "InvertedResidual",
    "LandmarkBranch",
    "SqueezeExcite",
    "StochasticDepth",
    "WarmNorm",
    "check_images",
    "conv_norm",
    "initialise",
    "scaled",
]

Tensor = Any
Activation = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]

LANDMARKS = 68


def scaled(channels: float, width: float = 1.0, step: int = 8) -> int:
    """`channels` times `width`, as the nearest multiple of `step` that is at most 10 % less.

    The rounding of the MobileNet papers' code [1]_.
    """
    wanted = channels * width
    near = max(step, int(wanted + step / 2) // step * step)
    return near + step if near < 0.9 * wanted else near


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    act: Activation | None = nn.ReLU,
    norm: Norm = nn.BatchNorm2d,
) -> nn.Sequential:
    """Convolution without bias, padded to keep the size; batch norm; activation, if any."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class WarmNorm(nn.BatchNorm2d):
    """Batch norm whose running statistics follow quickly at first.

    With a momentum of 0.01 those of a new network lag some hundred batches behind it, and a
    short training looks like none when it is evaluated. Here batch n, from 0, counts
    ``max(momentum, 9 / (10 + n))``, the rule that moving averages of weights have in
    TensorFlow. State and answers are else those of `torch.nn.BatchNorm2d`.
    """

    momentum: float
    warm = False

    def forward(self, x: Tensor) -> Tensor:
        slow = self.momentum
        if self.training and not self.warm:
            before = int(self.num_batches_tracked)  # waits for the device: only at first
            self.momentum = max(slow, 9 / (10 + before))
            self.warm = self.momentum == slow
        y = super().forward(x)
        self.momentum = slow
        return y


class SqueezeExcite(nn.Module):
    """Channels scaled by what their means say [3]_.

    Parameters
    ----------
    channels, squeezed : int
    act, gate : callable
        Make the activations: ReLU and hard sigmoid in MobileNetV3, SiLU and sigmoid in
        EfficientNet.
    """

    def __init__(self, channels: int, squeezed: int, act: Activation, gate: Activation) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.excite(self.act(self.squeeze(means))))


class StochasticDepth(nn.Module):
    """Zero for a share of the samples while training, the others scaled up for it [4]_."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x
        kept = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(1 - self.share)
        return x * kept / (1 - self.share)


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow without activation; add where sizes agree [1]_.

    Parameters
    ----------
    inputs, hidden, outputs : int
        Channels; no widening layer where `hidden` equals `inputs`.
    kernel, stride : int
        Of the depthwise convolution.
    act : callable
        Makes the activation.
    excite : SqueezeExcite, optional
        Before the narrowing layer [2]_.
    drop : float
        Share of samples for which a residual branch is left out in training.
    norm : callable
        Makes a norm of so many channels.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        kernel: int,
        stride: int,
        act: Activation,
        excite: SqueezeExcite | None = None,
        drop: float = 0.0,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if hidden != inputs:
            layers.append(conv_norm(inputs, hidden, act=act, norm=norm))
        layers.append(conv_norm(hidden, hidden, kernel, stride, hidden, act=act, norm=norm))
        if excite is not None:
            layers.append(excite)
        layers.append(conv_norm(hidden, outputs, act=None, norm=norm))
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.body(x)) if self.residual else self.body(x)


class Head(nn.Module):
    """Valence and arousal through tanh, and logits, from the same features.

    Parameters
    ----------
    features : int
    config : FERConfig
    """

    def __init__(self, features: int, config: FERConfig) -> None:
        super().__init__()
        self.drop = nn.Dropout(config.dropout)
        self.va = nn.Linear(features, 2) if config.va else None
        self.logits = nn.Linear(features, len(config.classes)) if config.classes else None
        for layer in (self.va, self.logits):
            if layer is not None:  # near 0, where tanh is steep and no class is preferred
                nn.init.normal_(layer.weight, 0, 0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, attention: tuple[Tensor, ...] = ()) -> FEROutput:
        seen = self.drop(features)
        return FEROutput(
            va=None if self.va is None else torch.tanh(self.va(seen)),
            logits=None if self.logits is None else self.logits(seen),
            features=features,
            attention=attention,
        )


class LandmarkBranch(nn.Module):
    """Features (N, 64) of 68 landmarks in an aligned picture: two layers on their places.

    The shape of a face says much of its expression, and says it alike in rendered and in
    real pictures; a ridge on landmarks read real near-infrared faces as well as a small
    network on pixels did (docs/fer_results.md).
    """

    FEATURES = 64

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.norm = nn.BatchNorm1d(2 * LANDMARKS)
        self.layers = nn.Sequential(
            nn.Linear(2 * LANDMARKS, 128), nn.ReLU(), nn.Linear(128, self.FEATURES), nn.ReLU()
        )
        initialise(self.layers)

    def forward(self, points: Tensor) -> Tensor:
        """Of `points` (N, 68, 2) in pixels of pictures of `size`.

        Faces with a NaN among them are read as the mean of the faces it was trained on.
        """
        places = (points / self.size).flatten(1)
        known = places.isfinite().all(1, keepdim=True)
        return self.layers(self.norm(torch.where(known, places, self.norm.running_mean)))


class FERNetwork(nn.Module):
    """A backbone that makes features (N, F) of pictures, and the heads that read them.

    Where the configuration wants landmarks, the heads read the `LandmarkBranch` too.

    Parameters
    ----------
    config : FERConfig
    backbone : Module
        (N, channels, size, size) -> (N, F)
    features : int
        F.
    """

    def __init__(self, config: FERConfig, backbone: nn.Module, features: int) -> None:
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.branch = LandmarkBranch(config.size) if config.landmarks else None
        self.head = Head(features + (self.branch.FEATURES if self.branch else 0), config)
        initialise(backbone)

    def forward(self, images: Tensor, points: Tensor | None = None) -> FEROutput:
        """What it says about `images`, given the landmarks where it reads them.

        Parameters
        ----------
        images : (N, channels, size, size) float
            In [-1, 1].
        points : (N, 68, 2) float, optional
            Landmarks in pixels of `images`; needed with ``config.landmarks``, and refused
            without. NaN where unknown, see `LandmarkBranch`.

        Raises
        ------
        ShapeError
            If the images have other channels or another size than the configuration says,
            or the landmarks are missing, superfluous or of another shape.
        """
        check_images(images, self.config)
        self.check_points(images, points)
        return self.answer(self.backbone(images), points)

    def check_points(self, images: Tensor, points: Tensor | None) -> None:
        """Raise `ShapeError` unless `points` are what goes with `images`: (N, 68, 2), or none."""
        wanted = None if self.branch is None else (len(images), LANDMARKS, 2)
        got = None if points is None else tuple(points.shape)
        if got != wanted:
            raise ShapeError(
                f"points: expected {wanted or 'none'}, got {got or 'none'}; see config.landmarks"
            )

    def answer(
        self, features: Tensor, points: Tensor | None, attention: tuple[Tensor, ...] = ()
    ) -> FEROutput:
        """What the heads say about features of the pictures, and of the landmarks if it reads them.

        The features in the answer are those of both.
        """
        if self.branch is not None and points is not None:
            features = torch.cat([features, self.branch(points.to(features))], dim=1)
        return self.head(features, attention)


def check_images(images: Tensor, config: FERConfig) -> None:
    """Raise unless `images` are what a network of `config` takes.

    Raises
    ------
    ShapeError
    """
    frame = (config.channels, config.size, config.size)
    rank = 5 if config.architecture.video else 4
    if images.ndim != rank or tuple(images.shape[-3:]) != frame:
        axes = "N, T" if rank == 5 else "N"
        raise ShapeError(
            f"images: expected ({axes}, {', '.join(map(str, frame))}), got "
            f"{tuple(images.shape)}; crop and resize the faces, or build another network"
        )


def initialise(network: nn.Module) -> None:
    """Draw He's normal weights [5]_ for convolutions and linear layers, biases 0.

    For the depthwise convolutions fan-out counts the layer's channels, as is usual for
    these networks; a batch norm follows each.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
