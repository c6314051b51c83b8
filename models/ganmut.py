"""GANmut's networks: a generator conditioned on a point of the plane, and its critic.

The generator is StarGAN's [2]_ with two condition maps, the code's coordinates, in place
of one a class; the critic judges a picture, names its expression and guesses its code.
Sizes and the order of layers are those of the authors' code (see
`synth.models.ganmut_public`, which reads its checkpoints). Ours are: one critic with
three heads for both spaces (the authors' Gaussian one has class and code in a single
convolution, which is the same function), RGB instead of BGR, and instance norms that keep
no running statistics, which the authors' notebook does not use either: it edits in
training mode.

A code that is constant over the picture would be taken out again by the first instance
norm if it were not for the zero padding at the border; that is so in StarGAN and in
GANmut alike, and one reason why both need long training.

References
----------
.. [1] d'Apolito, Paudel, Huang, Romero & Van Gool, "GANmut: Learning interpretable
   conditional space for gamut of emotions", CVPR 2021.
.. [2] Choi, Choi, Kim, Ha, Kim & Choo, "StarGAN: Unified generative adversarial networks
   for multi-domain image-to-image translation", CVPR 2018, tables 4 and 5.
.. [3] Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, "Improved training of Wasserstein
   GANs", NeurIPS 2017.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from synth.affect import CLASSES as AFFECTNET
from synth.errors import AssetError, UsageError
from synth.models.ganmut_public import PUBLIC, read_public
from synth.models.ganmut_spaces import SPACES, condition_maps, make_space
from synth.models.weights import load_weights, save_weights

__all__ = [
    "CLASSES",
    "KIND",
    "UNSTATED",
    "Discriminator",
    "Generator",
    "GeneratorConfig",
    "directions_of",
    "load_generator",
    "save_generator",
]

Tensor = Any
#: Of a weights file.
KIND = "ganmut"
#: The seven classes of the paper in AffectNet's order.
CLASSES = AFFECTNET[:7]
#: Licence of weights about which none was given.
UNSTATED = "not stated; no freer than that of the pictures trained on"


@dataclass(frozen=True)
class GeneratorConfig:
    """What a generator is built from; the defaults are the paper's.

    Attributes
    ----------
    space : {"linear", "gaussian"}
    classes : tuple of str
        Names of expressions, neutral first.
    conv_dim : int
        Channels of the first layer.
    blocks : int
        Residual blocks.
    size : int
        Side of the pictures trained on, pixels; a multiple of 4.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    space: str = "linear"
    classes: tuple[str, ...] = CLASSES
    conv_dim: int = 64
    blocks: int = 6
    size: int = 128

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise UsageError(f"space: expected one of {', '.join(SPACES)}, got {self.space!r}")
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise UsageError(f"classes: expected neutral and others, got {list(self.classes)}")
        if self.classes[0] != "neutral":
            raise UsageError(f"classes: expected neutral first, got {self.classes[0]!r}")
        for name, least in (("conv_dim", 1), ("blocks", 0), ("size", 8)):
            if getattr(self, name) < least:
                raise UsageError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if self.size % 4:
            raise UsageError(f"size: expected a multiple of 4, got {self.size}")

    def to_json(self) -> str:
        """Text from which `from_json` makes it again."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> GeneratorConfig:
        """The config of a text of `to_json`; TypeError or ValueError for another text."""
        values = json.loads(text)
        return cls(**{**values, "classes": tuple(values["classes"])})


class Residual(nn.Module):
    """``x + norm(conv(relu(norm(conv(x)))))``, as wide as its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            _norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


class Generator(nn.Module):
    """Edits (N, 3, H, W) pictures in [-1, 1] into those of their (N, 2) codes.

    Parameters
    ----------
    config : GeneratorConfig

    Attributes
    ----------
    space : LinearSpace or GaussianSpace
        Learned along with it.
    """

    def __init__(self, config: GeneratorConfig = GeneratorConfig()) -> None:
        super().__init__()
        self.config = config
        self.space = make_space(config.space, config.classes)
        width = config.conv_dim
        layers: list[nn.Module] = [*_layer(nn.Conv2d(3 + 2, width, 7, 1, 3, bias=False), width)]
        for _ in range(2):
            layers += _layer(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), 2 * width)
            width *= 2
        layers += [Residual(width) for _ in range(config.blocks)]
        for _ in range(2):
            half = width // 2
            layers += _layer(nn.ConvTranspose2d(width, half, 4, 2, 1, bias=False), half)
            width = half
        layers += [nn.Conv2d(width, 3, 7, 1, 3, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor, codes: Tensor) -> Tensor:
        maps = condition_maps(codes.to(x.dtype), x.shape[2], x.shape[3])
        return self.main(torch.cat([x, maps], dim=1))


class Discriminator(nn.Module):
    """Judges pictures: how real, which expression, which code.

    Parameters
    ----------
    classes : int
    size : int
        Side of the pictures, a multiple of ``2 ** layers``.
    conv_dim : int
        Channels of the first layer; doubled by each further one.
    layers : int
        Convolutions that halve the side.
    """

    def __init__(self, classes: int, size: int = 128, conv_dim: int = 64, layers: int = 6) -> None:
        super().__init__()
        if size % 2**layers:
            raise UsageError(f"size: expected a multiple of {2**layers}, got {size}")
        body: list[nn.Module] = [nn.Conv2d(3, conv_dim, 4, 2, 1), nn.LeakyReLU(0.01)]
        width = conv_dim
        for _ in range(1, layers):
            body += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.01)]
            width *= 2
        rest = size // 2**layers
        self.main = nn.Sequential(*body)
        self.source = nn.Conv2d(width, 1, 3, 1, 1, bias=False)
        self.expression = nn.Conv2d(width, classes, rest, bias=False)
        self.code = nn.Conv2d(width, 2, rest, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 1, h, w) scores of patches, (N, classes) logits, (N, 2) codes."""
        h = self.main(x)
        return self.source(h), self.expression(h).flatten(1), self.code(h).flatten(1)


def _norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def _layer(convolution: nn.Module, channels: int) -> list[nn.Module]:
    return [convolution, _norm(channels), nn.ReLU(inplace=True)]


# ---------------------------------------------------------------------- weights
def directions_of(generator: Generator) -> dict[str, float]:
    """Degrees of every class but neutral in the generator's polar coordinates."""
    names = generator.config.classes[1:]
    return dict(zip(names, generator.space.angles(), strict=True))


def save_generator(
    path: str | os.PathLike[str], generator: Generator, licence: str = UNSTATED, **meta: str
) -> None:
    """Write a generator's weights with all that an editor needs (`synth.models.weights`).

    Parameters
    ----------
    path : path
    generator : Generator
    licence : str
        Under which the weights may be used.
    **meta : str
        More metadata.
    """
    angles = {name: round(angle, 4) for name, angle in directions_of(generator).items()}
    save_weights(
        path, generator.state_dict(), KIND, space=generator.config.space,
        config=generator.config.to_json(), directions=json.dumps(angles), licence=licence, **meta,
    )  # fmt: skip


def load_generator(
    path: str | os.PathLike[str], device: str = "cpu"
) -> tuple[Generator, dict[str, str]]:
    """A generator and its metadata, from our own files or the authors' checkpoints.

    Parameters
    ----------
    path : path
        ``.safetensors`` of `save_generator`, or ``.ckpt``, ``.pth``, ``.pt`` of the
        authors' code, whose sizes are inferred from its tensors.
    device : str

    Raises
    ------
    AssetError
        If the file is damaged, holds code, or is not a generator of GANmut.
    """
    path = Path(path)
    state: Mapping[str, Tensor]
    if path.suffix.lower() in PUBLIC:
        state, found, meta = read_public(path)
        config = GeneratorConfig(**found)
        meta["config"] = config.to_json()
    else:
        state, meta = load_weights(path, KIND)
        try:
            config = GeneratorConfig.from_json(meta["config"])
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise AssetError(
                f"weights: expected a config that rebuilds the network, got {error!r} in {path}"
            ) from None
    generator = Generator(config)
    try:
        generator.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        raise AssetError(
            f"weights: expected the tensors of a GANmut generator in {path}, got {error}"
        ) from None
    meta.setdefault("directions", json.dumps(directions_of(generator)))
    return generator.to(device).eval(), meta
