"""CycleGAN's networks: residual generators between VIS and NIR, PatchGAN discriminators.

The generators take and give tensors in [-1, 1]: VIS has 3 channels, NIR 1. The layers'
order is that of the authors' public code, so that its state dicts fit
(`synth.models.public_cyclegan`).

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using
   cycle-consistent adversarial networks", ICCV 2017.
.. [2] Isola, Zhu, Zhou & Efros, "Image-to-image translation with conditional adversarial
   networks", CVPR 2017 (PatchGAN).
.. [3] Miyato, Kataoka, Koyama & Yoshida, "Spectral normalization for generative
   adversarial networks", ICLR 2018.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from synth.errors import AssetError, UsageError
from synth.models.layers import InstanceNorm, ResidualBlock, kaiming_init
from synth.models.public_cyclegan import read_public
from synth.models.weights import load_weights, save_weights

__all__ = [
    "CHANNELS",
    "KIND",
    "Generator",
    "GeneratorConfig",
    "PatchDiscriminator",
    "load_generator",
    "save_generator",
]

Tensor = Any
#: Of a weights file.
KIND = "cyclegan"
CHANNELS = {"vis": 3, "nir": 1}
#: Extensions of the public code's checkpoints.
PUBLIC = (".pth", ".pt")


@dataclass(frozen=True)
class GeneratorConfig:
    """What a generator is built from.

    Attributes
    ----------
    inputs, outputs : int
        Channels; 3 for VIS, 1 for NIR.
    ngf : int
        Channels of the first layer; 64 in the paper.
    blocks : int
        Residual blocks: 6 for 128 px, 9 for 256 px and more, in the paper.
    """

    inputs: int
    outputs: int
    ngf: int = 64
    blocks: int = 9

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int) or value < (0 if name == "blocks" else 1):
                raise UsageError(f"{name}: expected a positive whole number, got {value!r}")

    def to_json(self) -> str:
        """The text kept in a weights file."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> GeneratorConfig:
        """The config in the text of `to_json`."""
        return cls(**json.loads(text))


class Generator(nn.Module):
    """``c7s1-n, d2n, d4n, R4n x blocks, u2n, un, c7s1-outputs`` [1]_.

    Height and width must be multiples of 4.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        n = config.ngf
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(config.inputs, n, 7)]
        layers += [InstanceNorm(), nn.ReLU(True)]
        for width in (n, 2 * n):
            layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), InstanceNorm(), nn.ReLU(True)]
        layers += [ResidualBlock(4 * n) for _ in range(config.blocks)]
        for width in (4 * n, 2 * n):
            up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1)
            layers += [up, InstanceNorm(), nn.ReLU(True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(n, config.outputs, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        kaiming_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, outputs, H, W) in [-1, 1] from (N, inputs, H, W) in [-1, 1]."""
        return self.model(x)


class PatchDiscriminator(nn.Module):
    """Real or made, judged for overlapping patches: 70 x 70 pixels with 3 layers [2]_.

    Parameters
    ----------
    inputs : int
        Channels.
    ndf : int
        Channels of the first layer; 64 in the paper.
    layers : int
        Halvings of the picture; each about doubles the patch.
    spectral : bool
        Spectral norm [3]_ on the convolutions in place of instance norm.
    """

    def __init__(self, inputs: int, ndf: int = 64, layers: int = 3, spectral: bool = False) -> None:
        super().__init__()
        widths = [ndf * min(2**i, 8) for i in range(layers + 1)]
        chain: list[nn.Module] = [nn.Conv2d(inputs, ndf, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        for i in range(1, layers + 1):
            chain.append(nn.Conv2d(widths[i - 1], widths[i], 4, 2 if i < layers else 1, 1))
            chain += [] if spectral else [InstanceNorm()]
            chain.append(nn.LeakyReLU(0.2, True))
        chain.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.model = nn.Sequential(*chain)
        kaiming_init(self, 0.2)
        if spectral:
            for module in self.model:
                if isinstance(module, nn.Conv2d):
                    spectral_norm(module)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, h, w) logits from (N, inputs, H, W) in [-1, 1]."""
        return self.model(x)


# ---------------------------------------------------------------------- weights
def save_generator(path: Path, generator: Generator, to: str, **meta: str) -> None:
    """Write a generator's weights (`synth.models.weights`); `to` is ``nir`` or ``vis``."""
    config = generator.config.to_json()
    save_weights(path, generator.state_dict(), KIND, to=to, config=config, **meta)


def load_generator(path: str | os.PathLike[str], to: str) -> Generator:
    """A generator of either our own files or the public code's, checked for its direction.

    Parameters
    ----------
    path : path
        ``.safetensors`` of `save_generator`, or ``.pth`` of the public code, from which
        ngf and the number of blocks are inferred. One with 3 channels on both sides
        (the public code's default) does not tell its direction and is taken for `to`.
    to : {"nir", "vis"}

    Raises
    ------
    AssetError
        If the file is damaged, not a CycleGAN generator, or one of the other direction.
    """
    path = Path(path)
    state: Mapping[str, Tensor]
    if path.suffix.lower() in PUBLIC:
        state, found = read_public(path)
        config = GeneratorConfig(**found)
    else:
        state, meta = load_weights(path, KIND)
        try:
            config = GeneratorConfig.from_json(meta["config"])
        except (KeyError, TypeError, ValueError) as error:
            raise AssetError(
                f"weights: expected a config that rebuilds the network, got {error!r} in {path}"
            ) from None
    _check_direction(config, to, path)
    generator = Generator(config)
    try:
        generator.load_state_dict(state)
    except RuntimeError as error:
        raise AssetError(
            f"weights: expected the tensors of a CycleGAN generator in {path}, got {error}"
        ) from None
    return generator.eval()


def _check_direction(config: GeneratorConfig, to: str, path: Path) -> None:
    if to not in CHANNELS:
        raise UsageError(f"to: expected nir or vis, got {to!r}")
    source = "vis" if to == "nir" else "nir"
    wanted, got = (CHANNELS[source], CHANNELS[to]), (config.inputs, config.outputs)
    if got in (wanted, (3, 3)):
        return
    remedy = f"give --to {source}, or other weights" if got == wanted[::-1] else "take other ones"
    raise AssetError(
        f"weights: expected {wanted[0]} -> {wanted[1]} channels for a translator to {to}, got "
        f"{got[0]} -> {got[1]} in {path.name}; {remedy}"
    )
