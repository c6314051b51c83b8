"""Full CycleGAN generators on whole pictures.

The networks know faces at the size they were trained on, usually cut out to 256 x 256
pixels: for good pictures hand in crops of about that size, or train on larger ones.
Larger pictures are not refused, but pass in tiles (`synth.translation.tiles`).

References
----------
.. [1] Zhu, Park, Isola & Efros, "Unpaired image-to-image translation using
   cycle-consistent adversarial networks", ICCV 2017.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth import assets
from synth.errors import ShapeError, UsageError
from synth.models.cyclegan import load_generator
from synth.models.layers import luminance
from synth.models.tensors import to_pixels, to_tensor
from synth.translation.tiles import SMALLEST_TILE, run_tiled

__all__ = ["CycleGANTranslator"]

UInt8 = NDArray[np.uint8]
Tensor = Any
DTYPES = ("fp32", "bf16")


class CycleGANTranslator:
    """A `synth.translation.Translator` with a generator of `synth train cyclegan` [1]_.

    Parameters
    ----------
    weights : path
        ``.safetensors``, or ``.pth`` of the public code; see
        `synth.models.cyclegan.load_generator`.
    to : {"nir", "vis"}
    device : str
        ``cpu`` or ``cuda``.
    dtype : {"fp32", "bf16"}
    tile : int
        Pictures of more than ``tile * tile`` pixels pass in tiles of this side.

    Raises
    ------
    AssetError
        If the weights are damaged, or of another network or direction.
    UsageError
        For an unknown direction or type, or a tile below 64 pixels.
    """

    method = "cyclegan"

    def __init__(
        self,
        weights: str | os.PathLike[str],
        to: str,
        device: str = "cpu",
        dtype: str = "fp32",
        tile: int = 512,
    ) -> None:
        if dtype not in DTYPES:
            raise UsageError(f"dtype: expected one of {', '.join(DTYPES)}, got {dtype!r}")
        if tile < SMALLEST_TILE:
            raise UsageError(f"tile: expected {SMALLEST_TILE} pixels or more, got {tile}; use 512")
        self.to, self.device, self.dtype, self.tile = to, device, dtype, tile
        self._generator = load_generator(weights, to).to(device)
        path = Path(weights)
        self.digests = {path.name: assets.digest(path)}

    def __call__(
        self, pixels: UInt8, points: NDArray[np.float64] | None = None, seed: int = 0
    ) -> UInt8:
        """The picture in the other spectrum, at its own size.

        Parameters
        ----------
        pixels : (H, W, 3) uint8 for ``nir``, (H, W) uint8 for ``vis``
        points, seed
            Not used: the whole picture is translated, and nothing is random.

        Returns
        -------
        (H, W) uint8 for ``nir``, (H, W, 3) uint8 for ``vis``

        Raises
        ------
        ShapeError
            If the picture is of the wrong spectrum.
        """
        wanted = "(H, W, 3) VIS" if self.to == "nir" else "(H, W) NIR"
        right = pixels.shape[2:] == (3,) if self.to == "nir" else pixels.ndim == 2
        if not right or pixels.dtype != np.uint8 or not pixels.size:
            raise ShapeError(
                f"pixels: expected {wanted} uint8 for a translator to {self.to}, got "
                f"{pixels.shape} {pixels.dtype}"
            )
        config = self._generator.config
        x = to_tensor(pixels[None]).to(self.device)
        if x.shape[1] < config.inputs:  # a public generator with 3 channels on both sides
            x = x.expand(-1, config.inputs, -1, -1).contiguous()
        y = run_tiled(self._generator, x, self.tile, self._run)
        if self.to == "nir" and config.outputs == 3:
            y = luminance(y)
        return to_pixels(y)[0]

    def _run(self, x: Tensor) -> Tensor:
        kind = self.device.split(":")[0]
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype == "bf16"):
            return self._generator(x)
