"""A light translator between visible and near-infrared faces, for one pass on a CPU.

A U-Net of depthwise-separable convolutions [2]_ with instance norm and residual
blocks, trained as one half of a CycleGAN [1]_ on aligned face crops (`FACE_PX`
between the outer eye corners in a crop of `CROP_PX`). It predicts what to add to a
fixed mixture of the input channels, so that an untrained network already returns
the grey photo.

The network towards the visible has three more input channels with the skin tone
wanted, constant over the picture: melanin absorbs little at 850 nm, so a
near-infrared face does not tell it, and a cycle that had to recover it would make
the near-infrared face hide it.

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using
   Cycle-Consistent Adversarial Networks", ICCV 2017.
.. [2] Howard et al., "MobileNets", arXiv 1704.04861, 2017.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from synth.errors import AssetError, UsageError

__all__ = ["CROP_PX", "FACE_PX", "LightConfig", "LightGenerator", "UnitRange", "light_generator"]

#: Side of the aligned crop and the outer eye corners' distance in it, pixels.
CROP_PX, FACE_PX = 160, 48
#: Share of R, G and B in the grey picture that the near-infrared residual is added to.
#: Red is the channel next to the near infrared.
MIXTURE = (0.55, 0.35, 0.10)
#: Largest residual, in units of the range [-1, 1].
LARGEST = 1.2


@dataclass(frozen=True)
class LightConfig:
    """What rebuilds a `LightGenerator`.

    Attributes
    ----------
    to : {"nir", "vis"}
        What it makes.
    width : int
        Channels at full resolution; twice as many at half of it.
    coarse : int
        Channels at a quarter of the resolution.
    blocks : int
        Residual blocks at the coarsest level.
    """

    to: str = "nir"
    width: int = 24
    coarse: int = 128
    blocks: int = 6

    def __post_init__(self) -> None:
        if self.to not in ("nir", "vis"):
            raise UsageError(f"to: expected nir or vis, got {self.to!r}")
        if min(self.width, self.coarse) < 4 or self.blocks < 0:
            raise UsageError(
                "width, coarse, blocks: expected at least 4, 4 and 0, got "
                f"{self.width}, {self.coarse} and {self.blocks}"
            )

    def dumps(self) -> str:
        """As JSON, for the metadata of a weights file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> LightConfig:
        """Back from JSON.

        Raises
        ------
        AssetError
            If it is not the configuration of a light generator.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, UsageError) as error:
            raise AssetError(
                f"config: expected that of a light generator, got {text[:80]!r} ({error}); "
                "use weights written by synth.training.light"
            ) from None


class _Pointwise(nn.Module):
    """A 1 x 1 convolution as one matrix product: on a CPU faster to train."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Any) -> Any:
        if torch.onnx.is_in_onnx_export():  # tracing would keep the example's size
            return functional.conv2d(x, self.weight[:, :, None, None])
        weight = self.weight.expand(len(x), -1, -1)
        return torch.bmm(weight, x.flatten(2)).unflatten(2, x.shape[2:])


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3 x 3, pointwise, instance norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        _Pointwise(inputs, outputs),
        nn.InstanceNorm2d(outputs, affine=True),
        nn.ReLU(inplace=True),
    )


class _Block(nn.Module):
    """Residual: two separable convolutions, no ReLU after the second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_separable(channels, channels), *list(_separable(channels, channels))[:-1]
        )

    def forward(self, x: Any) -> Any:
        return x + self.body(x)


class LightGenerator(nn.Module):
    """Near-infrared from visible faces, or the reverse; see the module.

    Parameters
    ----------
    config : LightConfig
    """

    mixture: Any

    def __init__(self, config: LightConfig) -> None:
        super().__init__()
        self.config = config
        n, coarse = config.width, config.coarse
        inputs, outputs = (3, 1) if config.to == "nir" else (1 + 3, 3)
        self.register_buffer("mixture", torch.tensor(MIXTURE).view(1, 3, 1, 1), persistent=False)
        self.stem = nn.Sequential(
            nn.Conv2d(inputs, n, 3, 1, 1, bias=False),
            nn.InstanceNorm2d(n, affine=True),
            nn.ReLU(inplace=True),
        )
        self.down1 = _separable(n, 2 * n, 2)
        self.down2 = _separable(2 * n, coarse, 2)
        self.middle = nn.Sequential(*(_Block(coarse) for _ in range(config.blocks)))
        self.up1 = _separable(coarse + 2 * n, 2 * n)
        self.up0 = _separable(3 * n, n)
        self.head = nn.Conv2d(n, outputs, 3, 1, 1)
        nn.init.normal_(self.head.weight, 0, 0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, pixels: Any, tone: Any = None) -> Any:
        """The translated picture, about [-1, 1].

        Parameters
        ----------
        pixels : (N, 3 or 1, H, W) float32
            In [-1, 1]; H and W multiples of 4.
        tone : (N, 3) float32, optional
            Skin colour wanted, in [-1, 1]; only, and always, towards the visible.
        """
        if self.config.to == "nir":
            x, base = pixels, (pixels * self.mixture).sum(1, keepdim=True)
        else:
            plane = tone[:, :, None, None].expand(-1, -1, *pixels.shape[2:])
            x, base = torch.cat([pixels, plane], 1), pixels.expand(-1, 3, -1, -1)
        return base + LARGEST * torch.tanh(self._residual(x))

    def _residual(self, x: Any) -> Any:
        fine = self.stem(x)
        middle = self.down1(fine)
        coarse = self.middle(self.down2(middle))
        middle = self.up1(torch.cat([_double(coarse), middle], 1))
        fine = self.up0(torch.cat([_double(middle), fine], 1))
        return self.head(fine)


def _double(x: Any) -> Any:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class UnitRange(nn.Module):
    """A generator whose pictures and tones lie in [0, 1] instead of [-1, 1]."""

    def __init__(self, generator: LightGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, pixels: Any, tone: Any = None) -> Any:
        """(N, C, H, W) in [0, 1], clipped."""
        scaled = None if tone is None else 2 * tone - 1
        return ((self.generator(2 * pixels - 1, scaled) + 1) / 2).clamp(0, 1)


def light_generator(tensors: dict[str, Any], config: str) -> LightGenerator:
    """The network of a weights file, ready to run.

    Raises
    ------
    AssetError
        If the tensors do not fit the configuration.
    """
    network = LightGenerator(LightConfig.loads(config))
    try:
        network.load_state_dict({key: value.float() for key, value in tensors.items()})
    except RuntimeError as error:
        raise AssetError(
            f"weights: expected those of a light generator, got others ({str(error)[:120]})"
        ) from None
    return network.eval()
