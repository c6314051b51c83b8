"""A small network that edits expressions: where to take pixels from, and what a mouth shows.

It predicts motion, shading and the inside of the mouth, not the face: motion and
shading are applied to the photo at its own resolution (`synth.editing.distilled`), so
that skin, hair and eyes stay the photo's own. Its outputs vanish with the intensity:
rho 0 gives the photo back, by construction.

The design is ours. The polar code is GANmut's (d'Apolito et al., CVPR 2021), its way
into the network feature-wise modulation (Perez et al., "FiLM", AAAI 2018): a constant
map as in StarGAN would be cancelled by normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from synth.errors import AssetError

__all__ = [
    "Basis",
    "EditorConfig",
    "EditorNet",
    "Prediction",
    "code_features",
    "config_json",
    "load_editor",
    "sample_flow",
]

Tensor = Any
#: The code is described with up to so many waves per turn of theta.
WAVES = 6
#: Numbers that describe a code, and channels they are brought to.
FEATURES, INNER = 3 * (2 * WAVES + 1), 96


@dataclass(frozen=True)
class EditorConfig:
    """What decides the network, and how it sees a face.

    Attributes
    ----------
    margin : float
        Side of the square that is cut out, see `synth.editing.paste.square_crop`.
    fade : (x, top, bottom)
        Widths over which edits fade out towards the square's sides, in shares of its own.
    size : int
        Pixels of the view that the network gets, a multiple of 16: the plane of
        `synth.editing.alignment`, in which all faces lie over the mean face.
    mouth : (left, top, right, bottom)
        The part of the view where the inside of a mouth may show: sixteenths of its side.
    detail : int
        Pixels of the mouth picture per pixel of the view.
    width : int
        Channels at a quarter of the size; twice as many at an eighth.
    blocks : int
        Residual blocks at an eighth of the size.
    components : (motion, shading, mouth)
        Principal components.
    """

    margin: float = 2.1
    fade: tuple[float, float, float] = (0.19, 0.25, 0.09)
    size: int = 128
    mouth: tuple[int, int, int, int] = (5, 8, 11, 13)
    detail: int = 3
    width: int = 48
    blocks: int = 4
    components: tuple[int, int, int] = (32, 24, 24)

    def mouth_box(self, size: int) -> tuple[int, int, int, int]:
        """`mouth` in pixels of a view of `size` pixels: left, top, right, bottom."""
        left, top, right, bottom = (size * edge // 16 for edge in self.mouth)
        return left, top, right, bottom


class Prediction(NamedTuple):
    """What to do to a view.

    Attributes
    ----------
    flow : (B, 2, s/2, s/2)
        Where a pixel's colour comes from: offset x, y in shares of the view's side.
    gain : (B, 1, s, s)
        Log of the factor on its brightness.
    mask : (B, 1, d h, d w)
        Share of the inside of a mouth, 0 to 1; h, w those of the mouth's box.
    mouth : (B, 3, d h, d w)
        Its colour in [-1, 1].
    """

    flow: Tensor
    gain: Tensor
    mask: Tensor
    mouth: Tensor


class _Film(nn.Module):
    """Scale and shift of every channel, from the code's features."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * channels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.linear(code)[:, :, None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class _Block(nn.Module):
    """A residual block with the code in its middle."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(8, channels)
        self.film = _Film(features, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        y = functional.silu(self.film(self.norm(self.first(x)), code))
        return x + self.second(y)


class Basis(nn.Module):
    """Pictures as sums of components, whose coefficients follow the code.

    Fixed while the network is trained; `synth.training.distill_basis` fits it.

    Attributes
    ----------
    pictures : (K, C, H, W)
        Components.
    weights : (K, F)
        Coefficients for the features of the code, see `code_features`.
    """

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(count, *shape))
        self.register_buffer("weights", torch.zeros(count, FEATURES))

    def forward(self, features: Tensor, more: Tensor) -> Tensor:
        """(B, C, H, W) the sum, `more` (B, K) added to the coefficients."""
        with torch.autocast(features.device.type, enabled=False):  # sums that nearly cancel
            coefficients = features @ self.weights.T + more.float()
            return torch.einsum("bk,kchw->bchw", coefficients, self.pictures)


def code_features(theta: Tensor, rho: Tensor) -> Tensor:
    """(B, FEATURES) a constant and waves over theta, each also times rho and rho squared.

    Parameters
    ----------
    theta, rho : (B,) float32
        Radians, 0 to 1.
    """
    angles = theta[:, None] * torch.arange(WAVES + 1, device=theta.device)
    waves = torch.cat([angles.cos(), angles[:, 1:].sin()], 1)
    rho = rho[:, None]
    return torch.cat([waves, waves * rho, waves * rho**2], 1)


class EditorNet(nn.Module):
    """Face and code in, `Prediction` out.

    Parameters
    ----------
    config : EditorConfig
    """

    def __init__(self, config: EditorConfig = EditorConfig()) -> None:
        super().__init__()
        self.config = config
        c, f = config.width, INNER
        self.register_buffer("shape", torch.zeros(68, 2))  # landmarks of the mean face
        self.code = nn.Sequential(nn.Linear(FEATURES, f), nn.SiLU(), nn.Linear(f, f), nn.SiLU())
        self.enter = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12 + 2, c // 2, 3, padding=1), nn.SiLU()
        )
        self.quarter = nn.Sequential(
            nn.Conv2d(c // 2, c, 3, stride=2, padding=1), nn.GroupNorm(8, c), nn.SiLU()
        )
        self.eighth = nn.Sequential(
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.GroupNorm(8, 2 * c), nn.SiLU()
        )
        self.inner = nn.ModuleList(_Block(2 * c, f) for _ in range(config.blocks))
        self.up = nn.Conv2d(2 * c, 4 * c, 1)
        self.join = nn.Conv2d(2 * c, c, 1)
        self.outer = nn.ModuleList(_Block(c, f) for _ in range(2))
        self.flow = nn.Conv2d(c, 2, 3, padding=1)
        self.gain = nn.Conv2d(c, 16, 3, padding=1)
        half, (left, top, right, bottom) = config.size // 2, config.mouth_box(config.size)
        moving, shades, mouths = config.components
        self.motion = Basis(moving, (2, half, half))
        self.shading = Basis(shades, (1, config.size, config.size))
        self.inside = Basis(mouths, (4, bottom - top, right - left))
        self.own = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32 * c, f), nn.SiLU(),
            nn.Linear(f, moving + shades + mouths),
        )  # fmt: skip
        # The mouth: from a quarter of the size to the size, and on to `detail` times it.
        m = c // 2
        self.mouth_up = nn.Conv2d(c, 4 * m, 1)
        self.mouth_half = nn.Conv2d(m + c // 2, m, 3, padding=1)
        self.mouth_film = _Film(f, m)
        self.mouth_full = nn.Conv2d(m, 4 * m, 1)
        self.mouth_in = nn.Conv2d(m + 7, m, 3, padding=1)
        self.mouth_block = _Block(m, f)
        self.mouth_last = nn.Conv2d(m, m, 3, padding=1)
        self.mouth_out = nn.Conv2d(m, 4 * config.detail**2, 3, padding=1)
        for last in (self.flow, self.gain, self.mouth_out, self.own[-1]):
            nn.init.normal_(last.weight, std=0.002)
            nn.init.zeros_(last.bias)

    def forward(self, view: Tensor, theta: Tensor, rho: Tensor) -> Prediction:
        """What to do to the views.

        Parameters
        ----------
        view : (B, 3, size, size) float32 in [-1, 1]
        theta : (B,) float32
            Radians.
        rho : (B,) float32
            0 to 1.
        """
        described = code_features(theta.float(), rho.float())
        code = self.code(described)
        half = self.enter[0](view)
        half = self.enter[2](self.enter[1](torch.cat([half, _places(half)], 1)))
        quarter = self.quarter(half)
        x = self.eighth(quarter)
        for block in self.inner:
            x = block(x, code)
        own = self.own(x).float().split(self.config.components, 1)
        x = functional.pixel_shuffle(self.up(x), 2)
        x = self.join(torch.cat([x, quarter], 1))
        for block in self.outer:
            x = block(x, code)
        x = functional.silu(x)
        share = rho.float()[:, None, None, None]
        flow = self.motion(described, own[0]) + functional.interpolate(
            0.1 * self.flow(x).float(), scale_factor=2, mode="bicubic", align_corners=False
        )
        gain = functional.pixel_shuffle(0.2 * self.gain(x).float(), 4)
        gain = self.shading(described, own[1]) + gain
        flow, gain = flow * share, gain * share
        inside = self.inside(described, own[2])
        mask, mouth = self._mouth(x, half, _moved(view, flow), inside, code)
        # Full strength of the mask from a tenth of the intensity on; none at 0.
        return Prediction(flow, gain, mask * (10 * share).clamp(max=1), mouth)

    def _mouth(
        self, x: Tensor, half: Tensor, moved: Tensor, inside: Tensor, code: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mask and colours: those of the code, corrected by what the moved face shows."""
        y = functional.pixel_shuffle(self.mouth_up(self._cut(x)), 2)
        y = self.mouth_half(torch.cat([y, self._cut(half)], 1))
        y = functional.silu(self.mouth_film(y, code))
        y = functional.pixel_shuffle(self.mouth_full(y), 2)
        y = functional.silu(self.mouth_in(torch.cat([y, self._cut(moved), inside], 1)))
        y = functional.silu(self.mouth_last(self.mouth_block(y, code)))
        out = functional.pixel_shuffle(self.mouth_out(y).float(), self.config.detail)
        base = functional.interpolate(
            inside, scale_factor=self.config.detail, mode="bilinear", align_corners=False
        )
        mask = torch.sigmoid(14 * (base[:, :1] - 0.5) + 8 * out[:, :1])
        return mask, (base[:, 1:] + 2 * out[:, 1:]).clamp(-1.5, 1.5)

    def _cut(self, x: Tensor) -> Tensor:
        left, top, right, bottom = self.config.mouth_box(x.shape[-1])
        return x[:, :, top:bottom, left:right]


def _moved(view: Tensor, flow: Tensor) -> Tensor:
    """The views with flow of half their size applied."""
    whole = functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
    return sample_flow(view.float(), whole)


def _places(x: Tensor) -> Tensor:
    """(B, 2, h, w) where each pixel is, -1 to 1 from edge to edge: x, y."""
    height, width = x.shape[-2:]
    rows = (torch.arange(height, device=x.device, dtype=x.dtype) + 0.5) / height * 2 - 1
    columns = (torch.arange(width, device=x.device, dtype=x.dtype) + 0.5) / width * 2 - 1
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    return grid[None].expand(len(x), -1, -1, -1)


def sample_flow(view: Tensor, flow: Tensor) -> Tensor:
    """The views with their pixels moved.

    Parameters
    ----------
    view : (B, C, H, W)
    flow : (B, 2, H, W)
        Offset to where the colour comes from, in shares of the side.
    """
    where = _places(view).to(flow.dtype) + 2 * flow
    return functional.grid_sample(
        view, where.permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    )


def load_editor(tensors: Mapping[str, Tensor], meta: Mapping[str, str], name: str) -> EditorNet:
    """The network of a weights file, for inference in float32.

    Parameters
    ----------
    tensors, meta : mapping
        Of `synth.models.weights.load_weights`.
    name : str
        Of the file, for messages.

    Raises
    ------
    AssetError
        If the file holds another architecture, or its metadata do not make one.
    """
    try:
        net = EditorNet(_read_config(meta["config"]))
        net.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        short = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(
            f"weights: expected those of a distilled editor, got {name}, which do not fit "
            f"({short}); name a file that `synth train ganmut --recipe distill` wrote"
        ) from None
    return net.eval().requires_grad_(False)


def _read_config(text: str) -> EditorConfig:
    given = json.loads(text).items()
    kept: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given}
    return EditorConfig(**kept)


def config_json(config: EditorConfig) -> str:
    """The configuration as it is kept in a weights file."""
    return json.dumps(asdict(config))
