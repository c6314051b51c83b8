"""Visible light (VIS) to near infrared (NIR) and back: one small protocol, a table of methods.

==========  ==================================================================
cyclegan    CycleGAN (Zhu et al., ICCV 2017). The weights that come with the
            package are of a light generator that works on the aligned face and
            carries its result to the photo's own resolution
            (`synth.translation.light`); ``.safetensors`` of ``synth train
            cyclegan`` and ``.pth`` files of the authors' public code run on the
            whole picture (`synth.translation.cyclegan`).
sde         NFER-SDE (Luo et al., AAAI 2024): score-based diffusion under the
            guidance of energies (`synth.translation.sde`); bring weights of
            ``synth train sde``.
==========  ==================================================================

`get_translator` makes one; torch is loaded only then. What it is given and gives
back are plain arrays: VIS (H, W, 3), NIR (H, W), both uint8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.errors import AssetError, UsageError

__all__ = [
    "METHODS",
    "Translator",
    "TranslatorOptions",
    "get_translator",
    "weights_digests",
]

Spectrum = Literal["nir", "vis"]
METHODS = ("cyclegan", "sde")
SPECTRA = ("nir", "vis")
#: Weights that come with the package, by method and target: name in the asset registry.
DEFAULTS: dict[tuple[str, str], str] = {
    ("cyclegan", "nir"): "light_nir",
    ("cyclegan", "vis"): "light_vis",
}
#: Kind of network in a weights file -> method.
KINDS = {"light": "cyclegan", "cyclegan": "cyclegan", "score": "sde"}
#: Checkpoints of the public CycleGAN code.
PUBLIC = (".pth", ".pt")


class Translator(Protocol):
    """Turns pictures of one spectrum into the other."""

    @property
    def to(self) -> str:
        """``nir`` or ``vis``."""
        ...

    @property
    def method(self) -> str:
        """Key of the table of methods."""
        ...

    def __call__(
        self, pixels: NDArray[np.uint8], points: NDArray[np.float64] | None, seed: int = 0
    ) -> NDArray[np.uint8]:
        """The picture in the other spectrum, at its own size.

        Parameters
        ----------
        pixels : (H, W, 3) uint8 for ``nir``, (H, W) uint8 for ``vis``
        points : (68, 2) float64 or None
            Landmarks of the face, pixels; None where there is none.
        seed : int
            Of what is random: sensor noise, the diffusion's noise.

        Returns
        -------
        (H, W) uint8 for ``nir``, (H, W, 3) uint8 for ``vis``
        """
        ...


@dataclass(frozen=True)
class TranslatorOptions:
    """How a translator runs.

    Attributes
    ----------
    device : {"cpu", "cuda"}
    runtime : {"torch", "onnx"}
        Of the light generator.
    dtype : {"fp32", "bf16"}
        Of a full CycleGAN.
    tile : int
        Pixels; larger pictures go through a full CycleGAN in overlapping tiles.
    steps : int, optional
        Of the diffusion; the weights' own when None.
    variant : str
        Guidance of the diffusion, see `synth.translation.sde`.
    """

    device: str = "cpu"
    runtime: str = "torch"
    dtype: str = "fp32"
    tile: int = 512
    steps: int | None = None
    variant: str = "both"


def get_translator(
    to: str,
    method: str | None = None,
    weights: Path | None = None,
    options: TranslatorOptions = TranslatorOptions(),
) -> Translator:
    """A translator with its weights loaded.

    Parameters
    ----------
    to : {"nir", "vis"}
    method : {"cyclegan", "sde"}, optional
        What the weights are for, when not given; ``cyclegan`` without weights.
    weights : Path, optional
        The weights that come with the package when not given.
    options : TranslatorOptions

    Raises
    ------
    UsageError
        For an unknown method or direction, or where there are no weights for them.
    AssetError
        If the file is damaged, or of another method or direction.
    """
    if to not in SPECTRA:
        raise UsageError(f"to: expected one of {', '.join(SPECTRA)}, got {to!r}")
    path, kind = _find(to, method, weights)
    if kind == "light":
        from synth.translation.light import LightTranslator

        return LightTranslator(path, to, options.runtime, options.device)
    if options.runtime != "torch":
        raise UsageError(
            f"runtime: expected torch for these weights, got {options.runtime}; "
            "only the light generator has ONNX files"
        )
    if kind == "score":
        from synth.translation.sde import SDETranslator

        return SDETranslator(path, to, options.steps, options.device, options.variant)
    from synth.translation.cyclegan import CycleGANTranslator

    return CycleGANTranslator(path, to, options.device, options.dtype, options.tile)


def weights_digests(
    to: str, method: str | None = None, weights: Path | None = None
) -> Mapping[str, str]:
    """SHA-256 by name of the weights that `get_translator` would load; verified if our own."""
    path, _ = _find(to, method, weights)
    return {path.name: assets.digest(path)} if weights else assets.verified(_default(to, method))


def _find(to: str, method: str | None, weights: Path | None) -> tuple[Path, str]:
    """The weights file, and the kind of network in it."""
    if method not in (None, *METHODS):
        raise UsageError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if weights is None:
        path = assets.path(_default(to, method))
    else:
        path = Path(weights)
        if not path.is_file():
            raise AssetError(f"weights: expected a file, got {path}; check the path")
    meta = _metadata(path)
    kind = meta.get("kind", "")
    if kind not in KINDS:
        raise AssetError(
            f"weights: expected a network of {', '.join(KINDS)}, got {kind or 'none'} in {path}"
        )
    if method is not None and KINDS[kind] != method:
        raise AssetError(f"weights: expected some for {method}, got {kind} in {path}")
    if meta.get("to", to) != to:
        raise AssetError(
            f"weights: expected a translator to {to}, got one to {meta['to']} in {path}; "
            f"give --to {meta['to']} or other weights"
        )
    return path, kind


def _default(to: str, method: str | None) -> str:
    name = DEFAULTS.get((method or "cyclegan", to))
    if name is None:
        raise UsageError(
            f"weights: expected a file for --method {method} --to {to}, got none; none come with "
            f"the package: train some with `synth train {method}` and give --weights FILE"
        )
    return name


def _metadata(path: Path) -> dict[str, str]:
    """What a weights file says of itself; a file of the public code says nothing."""
    if path.suffix.lower() in PUBLIC:
        return {"kind": "cyclegan"}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise AssetError(
            f"weights: expected a .safetensors or .pth file, got {path} ({error})"
        ) from None
