"""NFER-SDE on a photo of any size.

The face is brought to the network's size with eyes and mouth at their places, translated
there by the guided reverse SDE (`synth.models.nfer`), and carried back as local linear
functions of the photo's own values (`synth.translation.upsampling`): the network decides
how bright skin, lips and brows are, the photo keeps its edges and pores. Away from the
face the photo's grey stays, blended softly.

References
----------
.. [1] Luo et al., "Multi-energy guided image translation with stochastic differential
   equations for near-infrared facial expression recognition", AAAI 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.color import to_grey
from synth.errors import AssetError, ShapeError, SkipPhoto, UsageError
from synth.optional import require
from synth.translation.aligned import aligned_crop, face_weight
from synth.translation.upsampling import apply_model, linear_model

__all__ = ["SDETranslator"]

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
Float32 = NDArray[np.float32]

#: Window and ridge of the guided filter, pixels of the network and squared values in 0..1.
RADIUS, EPSILON = 2, 1e-3
#: Name of the heatmap network's file beside the score network's.
HEATMAP = "heatmap.safetensors"


class SDETranslator:
    """Translates faces with the networks of a ``synth train sde`` run.

    Parameters
    ----------
    weights : Path
        ``score.safetensors``, or the folder that holds it; ``heatmap.safetensors`` lies
        beside it, which only the variants without the landmark energy do without.
    to : {"nir", "vis"}
    steps : int, optional
        Of the sampler; `synth.models.nfer.STEPS` when None.
    device : {"cpu", "cuda"}
    variant : str
        A key of `synth.models.nfer.VARIANTS`.
    lambda_h, lambda_f : float, optional
        Weights of the energies, the paper's when None.
    progress : (done, of) -> None, optional
        Told the steps of each picture.

    Attributes
    ----------
    to, method : str
    digests : dict of str to str
        SHA-256 of each weights file by its name.

    Raises
    ------
    AssetError
        If a file is missing, damaged or for the other direction.
    UsageError
        For an unknown variant, too few steps, or a device that is not there.
    """

    method = "sde"

    def __init__(
        self,
        weights: Path,
        to: str = "nir",
        steps: int | None = None,
        device: str = "cpu",
        variant: str = "both",
        lambda_h: float | None = None,
        lambda_f: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        torch = require("torch")
        from synth.models.nfer import LAMBDA_F, LAMBDA_H, STEPS, VARIANTS, load_net

        if variant not in VARIANTS:
            raise UsageError(f"variant: expected one of {', '.join(VARIANTS)}, got {variant!r}")
        if steps is not None and steps < 1:
            raise UsageError(f"steps: expected at least 1, got {steps}")
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"device: expected one of this machine, got {device}; use cpu")
        path = Path(weights)
        files = [path / "score.safetensors" if path.is_dir() else path]
        self.score_net = load_net(files[0], "score", device)
        self.heatmap_net = None
        if VARIANTS[variant].heatmap:
            files.append(files[0].with_name(HEATMAP))
            if not files[1].is_file():
                raise AssetError(
                    f"weights: expected {HEATMAP} beside {files[0].name} for the variant "
                    f"{variant}, got none; copy it there, or use the variant cond+ef"
                )
            self.heatmap_net = load_net(files[1], "heatmap", device)
        for net in filter(None, (self.score_net, self.heatmap_net)):
            if net.config.to != to:
                raise AssetError(
                    f"weights: expected networks to {to}, got some to {net.config.to} in "
                    f"{path.name}; name the run that was trained in this direction"
                )
        self.to, self.variant, self.steps = to, variant, steps or STEPS
        self.lambda_h = LAMBDA_H if lambda_h is None else lambda_h
        self.lambda_f = LAMBDA_F if lambda_f is None else lambda_f
        self.progress = progress
        self.digests = {file.name: assets.digest(file) for file in files}

    def __call__(self, pixels: UInt8, points: Float | None, seed: int = 0) -> UInt8:
        """The photo in the other spectrum, at its own size.

        Parameters
        ----------
        pixels : (H, W, 3) uint8, or (H, W) uint8 for ``to="vis"``
        points : (68, 2) float64
            Landmarks of the face.
        seed : int
            Of the diffusion's noise.

        Raises
        ------
        SkipPhoto
            Without landmarks: the networks know faces only.
        """
        colour = (3,) if self.to == "nir" else ()
        if pixels.dtype != np.uint8 or pixels.shape[2:] != colour or pixels.ndim < 2:
            raise ShapeError(
                f"pixels: expected (H, W{', 3' if colour else ''}) uint8 to translate to "
                f"{self.to}, got {pixels.shape} {pixels.dtype}"
            )
        if points is None:
            raise SkipPhoto("NO_FACE", "points: expected the landmarks of a face, got none")
        size = self.score_net.config.size
        crop, crop_points, matrix = aligned_crop(pixels, points, size)
        made = self._translate(crop, crop_points, seed)
        carried = _carried(pixels, crop, made, matrix)
        plain = to_grey(pixels)[..., None] if colour else np.repeat(pixels[..., None], 3, 2)
        weight = face_weight(points, matrix, size, pixels.shape[:2])[..., None]
        found = np.round(plain + weight * (carried * 255.0 - plain)).clip(0, 255).astype(np.uint8)
        return found[..., 0] if colour else found

    def _translate(self, crop: UInt8, points: Float, seed: int) -> UInt8:
        from synth.models.nfer import translate_batch

        made: UInt8 = translate_batch(
            self.score_net,
            self.heatmap_net,
            crop[None],
            points[None],
            self.variant,
            self.steps,
            self.lambda_h,
            self.lambda_f,
            [seed],
            progress=self.progress,
        )
        return made[0]


def _carried(pixels: UInt8, crop: UInt8, made: UInt8, matrix: Float) -> Float32:
    """(H, W, C) float32 in about [0, 1]: the translation at the photo's own resolution."""
    guide, full = _unit(crop), _unit(pixels)
    size: Any = pixels.shape[1], pixels.shape[0]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    planes = []
    for target in np.moveaxis(_unit(made), 2, 0):
        model = linear_model(guide, target, RADIUS, EPSILON)
        model = cv2.warpAffine(model, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        planes.append(apply_model(model, full))
    return np.asarray(np.stack(planes, 2), np.float32)


def _unit(pixels: UInt8) -> Float32:
    values = pixels.astype(np.float32) / np.float32(255)
    return values if values.ndim == 3 else values[..., None]
