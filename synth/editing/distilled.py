"""Edits by the distilled network: the photo's own pixels, moved and relit, and a mouth.

The network looks at a small view of the face (`synth.models.editor`). Motion and
brightness are brought to the crop's own resolution and applied to its pixels, so that
skin, hair and eyes keep their sharpness; only the inside of an opened mouth is painted
by the network. Both fade to nothing at the crop's border.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synth import assets
from synth.editing import check_code
from synth.errors import AssetError, ShapeError, TargetError
from synth.models.editor import EditorConfig, load_editor
from synth.models.polar import PolarSpace
from synth.models.tensors import to_pixels, to_tensor
from synth.models.weights import load_weights

__all__ = ["DistilledEditor"]

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]


class DistilledEditor:
    """Changes the expression of a face; an `synth.editing.Editor`.

    Parameters
    ----------
    path : Path
        Weights of the kind ``editor``, see `synth.models.weights`.
    device : {"cpu", "cuda"}

    Raises
    ------
    AssetError
        If the file is missing, damaged, or holds another network.
    """

    method = "distilled"

    def __init__(self, path: Path, device: str = "cpu") -> None:
        tensors, meta = load_weights(path, "editor")
        self.device = device
        self.net = load_editor(tensors, meta, Path(path).name).to(device)
        self.digests: Mapping[str, str] = {Path(path).name: assets.digest(Path(path))}
        try:
            self.space = PolarSpace(json.loads(meta["directions"]))
        except (KeyError, TypeError, ValueError, AttributeError, TargetError) as error:
            raise AssetError(
                f"weights: expected the directions of expressions in {Path(path).name}, got "
                f"{error}; export them again from their run"
            ) from None

    @property
    def config(self) -> EditorConfig:
        """How the network sees a face."""
        return self.net.config

    @property
    def size(self) -> int:
        """Side in pixels at which the network sees a face."""
        return self.config.size

    @property
    def margin(self) -> float:
        """Of the square it wants, see `synth.editing.paste.square_crop`."""
        return self.config.margin

    def __call__(self, crop: UInt8, theta: float, rho: float) -> UInt8:
        """The face edited, at its own size; rho 0 gives it back bit-identical.

        Parameters
        ----------
        crop : (S, S, 3) uint8
            The square of `margin` around the face, S of any size.
        theta : float
            Degrees, 0 <= theta < 360.
        rho : float
            0 (neutral) to 1.

        Raises
        ------
        TargetError
            If theta or rho is out of range.
        ShapeError
            If the crop is not square RGB.
        """
        check_code(theta, rho)
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape != (len(crop), len(crop), 3):
            raise ShapeError(f"crop: expected (S, S, 3) uint8, got {crop.shape} {crop.dtype}")
        if rho == 0:
            return crop.copy()
        flow, gain, mask, mouth = self._predict(crop, theta, rho)
        side, share = len(crop), self.config.view[2]
        fade = _fade(side, self.config.view)
        shift = self._widen(np.ascontiguousarray(flow), side) * (fade * side * share)[..., None]
        at = np.arange(side, dtype=np.float32)
        moved = cv2.remap(
            crop, at[None, :] + shift[..., 0], at[:, None] + shift[..., 1],
            cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.float32)  # fmt: skip
        moved *= np.exp(fade * self._widen(gain, side))[..., None]
        self._paint(moved, mask, mouth)
        return np.asarray(np.clip(np.rint(moved), 0, 255), np.uint8)

    @torch.no_grad()
    def _predict(self, crop: UInt8, theta: float, rho: float) -> tuple[Any, ...]:
        """Flow (h, w, 2), log gain (h, w), mask (h, w) and mouth (h, w, 3) in 0 to 255."""
        view = to_tensor([self._view(crop)]).to(self.device)
        code = torch.tensor([[np.radians(theta)], [rho]], dtype=torch.float32, device=self.device)
        made = self.net(view, code[0], code[1])
        flow, gain, mask = (x[0].permute(1, 2, 0).cpu().numpy() for x in made[:3])
        return flow, gain[..., 0], mask[..., 0], to_pixels(made.mouth)[0]

    def _view(self, crop: UInt8) -> UInt8:
        """(size, size, 3) what the network sees, each pixel the mean of what it covers."""
        fine = self.config.size * self.config.detail
        matrix = self._matrix(len(crop), fine)
        if matrix[0, 0] < 1:  # blur to the new Nyquist before sampling
            crop = cv2.GaussianBlur(crop, (0, 0), max(0.01, 0.45 * (1 / matrix[0, 0] - 1)))
        view = cv2.warpAffine(
            crop, matrix, (fine, fine), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cv2.resize(view, (self.size, self.size), interpolation=cv2.INTER_AREA))

    def _matrix(self, side: int, size: int) -> NDArray[np.float64]:
        """(2, 3) from pixels of a crop to pixels of its view drawn with `size` pixels."""
        x, y, share = self.config.view
        scale = size / (side * share)
        # Pixel i reaches from i - 0.5 to i + 0.5: edges are mapped onto edges.
        return np.array([
            [scale, 0.0, (0.5 - x * side) * scale - 0.5],
            [0.0, scale, (0.5 - y * side) * scale - 0.5],
        ])  # fmt: skip

    def _widen(self, field: Float32, side: int) -> Float32:
        """A field over the view (h, h, ...) brought to the crop, held at its edges."""
        return np.asarray(cv2.warpAffine(
            field, self._matrix(side, len(field)), (side, side),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        ))  # fmt: skip

    def _paint(self, out: Float32, mask: Float32, mouth: UInt8) -> None:
        """The inside of the mouth over the moved face, in place."""
        fine, side = self.config.size * self.config.detail, len(out)
        left, top, _, _ = self.config.mouth_box(fine)
        matrix = self._matrix(side, fine)
        matrix[:, 2] -= (left, top)
        how = {"flags": cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, "dsize": (side, side)}
        share = cv2.warpAffine(mask, matrix, borderMode=cv2.BORDER_CONSTANT, **how)
        # Enlarged, the edge of the lips would be blurred: as many pixels wide as before.
        share = np.clip(0.5 + (share - 0.5) * max(1.0, 0.8 / matrix[0, 0]), 0.0, 1.0)
        rows, columns = np.flatnonzero(share.any(1)), np.flatnonzero(share.any(0))
        if not len(rows):
            return
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        colours = cv2.warpAffine(
            mouth, matrix, borderMode=cv2.BORDER_REPLICATE, **how
        )[part].astype(np.float32)  # fmt: skip
        out[part] += share[part][..., None] * (colours - out[part])


def _fade(side: int, view: tuple[float, float, float]) -> Float32:
    """(S, S) 1 inside the view, smoothly falling to 0 at the crop's border."""
    x, y, share = view
    at = (np.arange(side) + 0.5) / side

    def along(low: float, high: float) -> NDArray[np.float64]:
        rise = np.minimum(at / max(low, 1e-6), (1 - at) / max(1 - high, 1e-6)).clip(0, 1)
        return rise * rise * (3 - 2 * rise)

    return np.asarray(np.outer(along(y, y + share), along(x, x + share)), np.float32)
