"""LPIPS: how far apart two pictures look, by the layers of AlexNet.

Zhang et al. [1]_ compare the activations of five layers of a network trained to
recognise objects, each channel with a weight learned from people's judgements. The
weights are not part of this package; you give the two files that carry them:

- AlexNet's convolutions, as torchvision publishes them (``alexnet-owt-*.pth``), and
- the channel weights ``alex.pth`` of the package ``lpips`` (version 0.1),

or one file with both, such as a saved ``lpips.LPIPS(net="alex")``; safetensors or
``torch.save``. Nothing is downloaded.

References
----------
.. [1] Zhang, Isola, Efros, Shechtman & Wang, "The unreasonable effectiveness of deep
   features as a perceptual metric", CVPR 2018.
.. [2] Krizhevsky, "One weird trick for parallelizing convolutional neural networks",
   arXiv 1404.5997 (the AlexNet of torchvision).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from synth.errors import AssetError, ShapeError

__all__ = ["LPIPS", "MIN_SIDE", "load_lpips", "lpips_tensors"]

#: Convolutions by their place in torchvision's ``features``: channels in and out,
#: kernel, stride, padding, and whether a 3 x 3 maximum with stride 2 goes before.
CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2, False),
    3: (64, 192, 5, 1, 2, True),
    6: (192, 384, 3, 1, 1, True),
    8: (384, 256, 3, 1, 1, False),
    10: (256, 256, 3, 1, 1, False),
}
#: Pictures in [-1, 1] are brought to the range that AlexNet was trained on.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
EPSILON = 1e-10
#: Smaller pictures leave nothing of the last layers.
MIN_SIDE = 64
#: A convolution of torchvision or of a whole saved lpips model; a channel weight.
_CONVOLUTION = re.compile(r"(?:features|net\.slice\d)\.(\d+)\.(weight|bias)$")
_CHANNELS = re.compile(r"lin(\d)\.model\.\d\.weight$")


class LPIPS(nn.Module):
    """The distance, with random weights.

    `load_lpips` makes one with the weights in your files.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        self.lins = nn.ModuleList()
        for place, (inputs, width, kernel, stride, padding, _) in CONVOLUTIONS.items():
            self.features[str(place)] = nn.Conv2d(inputs, width, kernel, stride, padding)
            self.lins.append(nn.Conv2d(width, 1, 1, bias=False))
            nn.init.uniform_(self.lins[-1].weight, 0.0, 1.0 / width)  # never negative
        self.register_buffer("shift", torch.tensor(SHIFT)[None, :, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[None, :, None, None], persistent=False)

    def layers(self, pictures: Any) -> list[Any]:
        """Activations behind every rectifier, each pixel's channels of length 1."""
        x, found = (pictures - self.shift) / self.scale, []
        for place, (*_, pooled) in CONVOLUTIONS.items():
            if pooled:
                x = nn.functional.max_pool2d(x, 3, 2)
            x = nn.functional.relu(self.features[str(place)](x))
            found.append(x / (x.pow(2).sum(1, keepdim=True).sqrt() + EPSILON))
        return found

    def forward(self, first: Any, second: Any) -> Any:
        """(N,) distances of (N, 3, H, W) pictures in [-1, 1]; 0 for equal ones."""
        pairs = zip(self.layers(first), self.layers(second), self.lins, strict=True)
        return sum(lin((a - b) ** 2).mean((1, 2, 3)) for a, b, lin in pairs)

    def distance(self, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
        """Of two pictures (H, W) or (H, W, 3) uint8 of one size; grey ones are repeated.

        Raises
        ------
        ShapeError
            If the two differ in size, have a side below 64 pixels or are no pictures.
        """
        if first.shape[:2] != second.shape[:2] or min(first.shape[:2]) < MIN_SIDE:
            raise ShapeError(
                f"pictures: expected one size of at least {MIN_SIDE} pixels a side, got "
                f"{first.shape[:2]} and {second.shape[:2]}"
            )
        with torch.inference_mode():
            return float(self(_tensor(first), _tensor(second))[0])


def _tensor(pixels: NDArray[np.uint8]) -> Any:
    rgb = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ShapeError(
            f"pictures: expected (H, W) or (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}"
        )
    values = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None]
    return values.float() / 127.5 - 1


def lpips_tensors(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `tensors` that belong to `LPIPS`, by its names.

    Knows the names of torchvision's AlexNet, of the channel weights of ``lpips`` and of
    a whole model saved by it; ignores all others (a classifier, say).
    """
    found = {}
    for name, tensor in tensors.items():
        if match := _CONVOLUTION.search(name):
            found[f"features.{match[1]}.{match[2]}"] = tensor
        elif match := _CHANNELS.search(name):
            found[f"lins.{match[1]}.weight"] = tensor
    return found


def load_lpips(files: Sequence[Path | str]) -> LPIPS:
    """The distance with the weights in `files`, ready to use.

    Parameters
    ----------
    files : sequence of path
        One with everything, or AlexNet's and lpips's: see the head of this module.

    Raises
    ------
    AssetError
        If a file is missing or unreadable, or weights are missing or of other shapes.
    """
    found: dict[str, Any] = {}
    for file in files:
        found |= lpips_tensors(_read(Path(file)))
    model = LPIPS()
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(found))
    if missing:
        what = "AlexNet's convolutions" if missing[0].startswith("features") else "channel weights"
        raise AssetError(
            f"lpips weights: expected {what} too, got none ({missing[0]}, ...) in "
            f"{', '.join(str(f) for f in files) or 'no file'}; give torchvision's alexnet file "
            "and alex.pth of the package lpips"
        )
    for name, tensor in wanted.items():
        if tuple(found[name].shape) != tuple(tensor.shape):
            raise AssetError(
                f"lpips weights: expected {name} as {tuple(tensor.shape)}, got "
                f"{tuple(found[name].shape)}; the weights of AlexNet are needed, not VGG's"
            )
    model.load_state_dict({name: found[name] for name in wanted})
    return model.eval().requires_grad_(False)


def _read(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise AssetError(f"lpips weights: expected a file, got none at {file}")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip, safetensors: each fails in classes of its own
        raise _unreadable(file, f"{type(error).__name__}: {error}".split("\n")[0][:90]) from None
    if not isinstance(found, Mapping):
        raise _unreadable(file, type(found).__name__)
    return found


def _unreadable(file: Path, got: str) -> AssetError:
    return AssetError(f"lpips weights: expected a state dict in {file.name}, got {got}")
