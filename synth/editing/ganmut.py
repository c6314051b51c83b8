"""Edits by the paper's GANmut: the whole face goes through the network at its own size.

The crop is shrunk to the network's 128 px and the result enlarged again, so a large
photo loses detail inside the square; what `synth.editing` does afterwards is about
colours and seams, not about sharpness.

References
----------
.. [1] d'Apolito, Paudel, Huang, Romero & Van Gool, "GANmut: Learning interpretable
   conditional space for gamut of emotions", CVPR 2021.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synth import assets
from synth.editing import check_code
from synth.errors import AssetError, ShapeError
from synth.models.ganmut import load_generator
from synth.models.polar import PolarSpace
from synth.models.tensors import to_pixels, to_tensor

__all__ = ["GanmutEditor"]

UInt8 = NDArray[np.uint8]
_log = logging.getLogger(__name__)


class GanmutEditor:
    """A `synth.editing.Editor` of GANmut's weights.

    Parameters
    ----------
    weights : Path
        ``.safetensors`` of ``synth train ganmut``, or a checkpoint of the authors' code.
    device : {"cpu", "cuda"}

    Attributes
    ----------
    licence : str
        Under which the weights may be used; logged as a warning when it is restricted.

    Raises
    ------
    AssetError
        If the weights cannot be used, see `synth.models.ganmut.load_generator`.
    """

    method = "ganmut"

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        self.generator, self.meta = load_generator(weights, device)
        self._device = device
        try:
            self._space = PolarSpace(json.loads(self.meta["directions"]))
        except (TypeError, ValueError) as error:
            raise AssetError(
                f"weights: expected directions of expressions, got {error} in {weights}; export "
                "the weights again"
            ) from None
        self._digests = {Path(weights).name: assets.digest(Path(weights))}
        self.licence = self.meta.get("licence", "not stated")
        if self.licence.startswith("non-commercial"):
            _log.warning("%s: %s", Path(weights).name, self.licence)

    @property
    def space(self) -> PolarSpace:
        """What the angles mean."""
        return self._space

    @property
    def size(self) -> int:
        """Side at which the network sees a face, pixels."""
        return self.generator.config.size

    @property
    def digests(self) -> Mapping[str, str]:
        """SHA-256 by name of the weights."""
        return self._digests

    def __call__(self, crop: UInt8, theta: float, rho: float) -> UInt8:
        """The face edited, at its own side.

        Parameters
        ----------
        crop : (S, S, 3) uint8
        theta : float
            Degrees, 0 <= theta < 360.
        rho : float
            0 (neutral) to 1.

        Returns
        -------
        (S, S, 3) uint8

        Raises
        ------
        ShapeError
            If the crop is no square picture.
        TargetError
            If theta or rho is out of range.
        """
        check_code(theta, rho)
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape != (len(crop), len(crop), 3):
            raise ShapeError(f"crop: expected (S, S, 3) uint8, got {crop.shape} {crop.dtype}")
        small = _resized(crop, self.size)
        with torch.inference_mode():
            code = torch.tensor([self.generator.space.polar_code(theta, rho)])
            made = self.generator(to_tensor(small[None]).to(self._device), code.to(self._device))
        return _resized(to_pixels(made)[0], len(crop))


def _resized(picture: UInt8, side: int) -> UInt8:
    """(side, side, 3): by areas when it shrinks, cubic when it grows."""
    if len(picture) == side:
        return picture
    how = cv2.INTER_AREA if side < len(picture) else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
