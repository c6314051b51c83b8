"""Edits by the distilled network: the photo's own pixels, moved and relit, and a mouth.

The face is laid over the mean face by its landmarks (`synth.editing.alignment`); there
the network sees it (`synth.models.editor`), and there it says what moves, what becomes
brighter or darker, and what an opened mouth shows. All three are carried back to the
crop at its own resolution, so that skin, hair and eyes keep their sharpness, and fade to
nothing at the crop's border.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from synth import assets
from synth.editing import check_code
from synth.editing.alignment import Alignment
from synth.errors import AssetError, ShapeError, SkipPhoto, TargetError
from synth.landmarks import Detector, get_detector
from synth.models.editor import EditorConfig, load_editor
from synth.models.polar import PolarSpace
from synth.models.tensors import to_pixels, to_tensor
from synth.models.weights import load_weights
from synth.types import FaceImage

__all__ = ["DistilledEditor"]

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float = NDArray[np.float64]


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
        self._found: tuple[bytes, Float] | None = None
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

    @cached_property
    def _detector(self) -> Detector:
        return get_detector()

    def __call__(
        self, crop: UInt8, theta: float, rho: float, points: NDArray[np.floating] | None = None
    ) -> UInt8:
        """The face edited, at its own size; rho 0 gives it back bit-identical.

        Parameters
        ----------
        crop : (S, S, 3) uint8
            The square of `margin` around the face, S of any size.
        theta : float
            Degrees, 0 <= theta < 360.
        rho : float
            0 (neutral) to 1.
        points : (68, 2) float, optional
            Landmarks, pixels of the crop; found by the default detector when not given.

        Raises
        ------
        TargetError
            If theta or rho is out of range.
        ShapeError
            If the crop is not square RGB, or the points are no landmarks.
        SkipPhoto
            ``NO_FACE`` if no points are given and no face is found.
        """
        check_code(theta, rho)
        if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape != (len(crop), len(crop), 3):
            raise ShapeError(f"crop: expected (S, S, 3) uint8, got {crop.shape} {crop.dtype}")
        if rho == 0:
            return crop.copy()
        points = self._points(crop) if points is None else np.asarray(points, np.float64)
        if points.shape != (68, 2) or not np.isfinite(points).all():
            raise ShapeError(f"points: expected finite (68, 2) pixels, got {points.shape}")
        align = Alignment(self.net.shape.cpu().numpy().astype(np.float64), points)
        flow, gain, mask, mouth = self._predict(self._view(crop, align), theta, rho)
        place = align.plane_map(*crop.shape[:2])
        fade = _fade(len(crop), self.config.fade)
        shift = _looked_up(_moves(align, flow), place) * fade[..., None]
        at = np.arange(len(crop), dtype=np.float32)
        moved = cv2.remap(
            crop, at[None, :] + shift[..., 0], at[:, None] + shift[..., 1],
            cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101,
        ).astype(np.float32)  # fmt: skip
        moved *= np.exp(fade * _looked_up(gain, place))[..., None]
        self._paint(moved, mask, mouth, place)
        return np.asarray(np.clip(np.rint(moved), 0, 255), np.uint8)

    def _points(self, crop: UInt8) -> Float:
        """Landmarks of the crop; those of the last one are kept, which many edits share."""
        digest = hashlib.sha256(crop.tobytes()).digest()
        if self._found is None or self._found[0] != digest:
            faces = self._detector.detect(FaceImage(crop, "crop", digest.hex()))
            if not faces:
                raise SkipPhoto("NO_FACE", "photo: expected a face, got none in the crop")
            self._found = (digest, faces[0].points)
        return self._found[1]

    @torch.no_grad()
    def _predict(self, view: UInt8, theta: float, rho: float) -> tuple[Any, ...]:
        """Flow (h, w, 2), log gain (s, s), mask (a, b) and mouth (a, b, 3) in 0 to 255."""
        code = torch.tensor([[np.radians(theta)], [rho]], dtype=torch.float32, device=self.device)
        made = self.net(to_tensor([view]).to(self.device), code[0], code[1])
        flow, gain, mask = (x[0].permute(1, 2, 0).cpu().numpy() for x in made[:3])
        return flow, gain[..., 0], mask[..., 0], to_pixels(made.mouth)[0]

    def _view(self, crop: UInt8, align: Alignment) -> UInt8:
        """(size, size, 3) what the network sees, each pixel the mean of what it covers."""
        fine = self.config.size * self.config.detail
        scale = float(np.hypot(*align.affine[:, 0])) / fine
        if scale > 1:  # blur to the new Nyquist before sampling
            crop = cv2.GaussianBlur(crop, (0, 0), max(0.01, 0.45 * (scale - 1)))
        at = align.view_map(fine)
        view = cv2.remap(
            crop, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cv2.resize(view, (self.size, self.size), interpolation=cv2.INTER_AREA))

    def _paint(self, out: Float32, mask: Float32, mouth: UInt8, place: Float32) -> None:
        """The inside of the mouth over the moved face, in place."""
        fine = self.config.size * self.config.detail
        left, top, right, bottom = (edge / fine for edge in self.config.mouth_box(fine))
        x, y = place[..., 0], place[..., 1]
        near = (x > left) & (x < right) & (y > top) & (y < bottom)
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        if not len(rows):
            return
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        x, y = (fine * (v[part] - edge) - 0.5 for v, edge in ((x, left), (y, top)))
        share = cv2.remap(mask, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        # Enlarged, the edge of the lips would be blurred: as many pixels wide as before.
        wider = 1.0 / max(1e-6, fine * float(np.hypot(*(place[-1, -1] - place[0, 0])))
                          / float(np.hypot(*place.shape[:2])))  # fmt: skip
        share = np.clip(0.5 + (share - 0.5) * max(1.0, 0.8 * wider), 0.0, 1.0)[..., None]
        colours = cv2.remap(mouth, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        out[part] += share * (colours.astype(np.float32) - out[part])


def _moves(align: Alignment, flow: Float32) -> Float32:
    """(h, w, 2) a flow of the plane in pixels of the crop."""
    size = len(flow)
    at = (np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) + 0.5) / size
    return np.asarray(align.to_photo(at + flow) - align.to_photo(at), np.float32)


def _looked_up(field: Float32, place: Float32) -> Float32:
    """A field over the plane (h, h, ...) at points of it, held at its edges."""
    at = len(field) * place - 0.5
    return np.asarray(
        cv2.remap(field, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    )


def _fade(side: int, widths: tuple[float, float, float]) -> Float32:
    """(S, S) 1 in the middle, smoothly falling to 0 at the crop's border."""
    at = (np.arange(side) + 0.5) / side

    def along(low: float, high: float) -> Float:
        rise = np.minimum(at / low, (1 - at) / high).clip(0, 1)
        return np.asarray(rise * rise * (3 - 2 * rise))

    x, top, bottom = widths
    return np.asarray(np.outer(along(top, bottom), along(x, x)), np.float32)
