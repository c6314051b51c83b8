"""The shipped translator: a light network on the aligned face, carried to the whole photo.

Towards the near infrared::

    face crop (160 px) -> network -> linear model of the photo's colours (`upsampling`)
      -> at the photo's own size, inside the crop; a tone curve outside -> camera

The network learned to leave everything around the face on that same tone curve, so no
border is seen. The camera does what the real ones of the training pictures do: it
smooths skin, keeps edges and has a little noise. Without landmarks the tone curve and
the camera serve the whole picture.

Towards the visible the slow part of the network's colours is laid over the picture's own
light and dark; the tone of the skin cannot be seen in the near infrared and is an option.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.errors import ShapeError, UsageError
from synth.translation.camera import CameraSettings, camera
from synth.translation.light_frame import (
    crop_matrix,
    cut_crop,
    face_window,
    hold_lips,
    moved,
    reach,
    smooth_step,
)
from synth.translation.light_runtime import load_network
from synth.translation.upsampling import apply_model, linear_model
from synth.types import inter_ocular

__all__ = ["LightTranslator", "tone_curve"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

#: Share of R, G and B in the grey picture that the curve starts from.
MIXTURE = np.array([0.55, 0.35, 0.10], np.float32)
#: ``lift + range * x ** power``: dark things reflect more in the near infrared, walls far
#: behind the face get less of the camera's own light.
LIFT, RANGE, POWER = 0.14, 0.70, 0.8
#: The lamp beside the lens lights the face; what is further off gets less of its light:
#: where that begins and ends, in outer eye distances from the face's middle, and the
#: share that is lost.
LAMP, LOST = (1.8, 5.0), 0.3
#: Photos are brightened until this level is reached by their brightest fiftieth, faces
#: darker or brighter than these means are brought there for the network; no gain above
#: `MOST` (photo, face): dark skin stays dark where it is not the exposure.
EXPOSED, FACES, MOST = 0.75, (0.2, 0.8), (2.5, 1.6)
#: Window of the linear model, pixels of the crop, and its ridge.
RADIUS, RIDGE = 2, 4e-4
#: Contrast of what is too flat for the linear model to tell, as a share of the photo's.
KEPT = 0.6
CAMERA = CameraSettings()
#: Towards the visible: contrast as a multiple of the picture's, the blur that separates
#: slow from fast colours, pixels of the crop, and where colours fade out, as `NEAR`.
SLOPES, SLOW, HEAD = (0.8, 1.5), 2.0, (0.02, 0.3)
#: Faces below this distance of the eyes are refused, pixels.
SMALLEST = 4.0


def tone_curve(grey: Float32) -> Float32:
    """What becomes of brightness outside the face, [0, 1] to [0, 1]."""
    return np.asarray(LIFT + RANGE * np.clip(grey, 1e-3, 1) ** POWER, np.float32)


def _exposed(colours: Float32) -> Float32:
    """The photo, brightened where even its brightest parts are dark, as a camera would."""
    seen = colours[:: max(1, colours.shape[0] // 256), :: max(1, colours.shape[1] // 256)]
    bright = float(np.percentile(seen @ MIXTURE, 98))
    gain = min(max(EXPOSED / max(bright, 1e-3), 1.0), MOST[0])
    return colours if gain == 1 else np.minimum(np.float32(gain) * colours, 1)


def _guard(crop: Float32, window: Float32) -> float:
    """Gain that brings a face's mean level among those the network was trained on."""
    inside = window > 0.99
    level = float((crop[inside] @ MIXTURE).mean()) if inside.any() else 0.5
    low, high = FACES
    return min(max(low / max(level, 1e-3), 1.0), MOST[1]) if level < high else high / level


def _untoned(grey: Float32) -> Float32:
    """Inverse of `tone_curve`."""
    return np.asarray(np.clip((grey - LIFT) / RANGE, 0, 1) ** (1 / POWER), np.float32)


class LightTranslator:
    """Near-infrared from visible faces, or the reverse, on one CPU core.

    Parameters
    ----------
    weights : Path
        ``.safetensors`` of `synth.training.light`; for the runtime ``onnx`` the ``.onnx``
        of the same name beside it is run.
    to : {"nir", "vis"}
    runtime : {"torch", "onnx"}
    device : str
        Of torch.
    settings : CameraSettings
        Of the near-infrared camera; ``CameraSettings(noise=0)`` gives no noise.
    tone : (3,) float, optional
        sRGB colour of the skin towards the visible, 0 to 255; the weights' own when None.

    Raises
    ------
    UsageError
        If `to`, `runtime` or `tone` is not one of these.
    AssetError
        If the weights are missing, damaged, or of another network or direction.
    DependencyError
        If the runtime is not installed.
    """

    method = "cyclegan"

    def __init__(
        self,
        weights: Path,
        to: str = "nir",
        runtime: str = "torch",
        device: str = "cpu",
        settings: CameraSettings = CAMERA,
        tone: tuple[float, float, float] | None = None,
    ) -> None:
        if to not in ("nir", "vis"):
            raise UsageError(f"to: expected nir or vis, got {to!r}")
        if runtime not in ("torch", "onnx"):
            raise UsageError(f"runtime: expected torch or onnx, got {runtime!r}")
        if tone is not None and (len(tone) != 3 or not all(0 <= v <= 255 for v in tone)):
            raise UsageError(f"tone: expected three levels of 0 to 255, got {tone}")
        self.to, self.settings, self.tone = to, settings, tone
        self._network, self._own_tone, used = load_network(Path(weights), to, runtime, device)
        self.digests = {used.name: assets.digest(used)}

    def __call__(self, pixels: UInt8, points: Float | None, seed: int = 0) -> UInt8:
        """See `synth.translation.Translator`.

        Raises
        ------
        ShapeError
            If the picture or the points have another shape, or the face is too small.
        """
        picture, marks = _checked(pixels, points, self.to)
        if self.to == "nir":
            return self._to_nir(picture, marks, seed)
        return self._to_vis(picture, marks)

    def _to_nir(self, picture: UInt8, points: Float | None, seed: int) -> UInt8:
        colours = _exposed(np.asarray(picture / np.float32(255), np.float32))
        light = tone_curve(colours @ MIXTURE)
        unit = _unit(points, picture.shape[:2])
        if points is not None:
            matrix = crop_matrix(points)
            window = face_window(moved(points, matrix))
            crop = cut_crop(colours, matrix)
            known = np.clip(crop * _guard(crop, window), 0, 1)
            target = self._network(known.transpose(2, 0, 1)[None])[0, 0]
            target = hold_lips(target, moved(points, matrix))
            model = linear_model(crop, target - KEPT * (crop @ MIXTURE), RADIUS, RIDGE)
            model[..., :3] += KEPT * MIXTURE
            _lay_over(light, colours, model, window, matrix)
            light *= _lamp(points, light.shape)
        levels = camera(light, unit, seed, self.settings)
        return np.asarray(np.rint(levels), np.uint8)

    def _to_vis(self, picture: UInt8, points: Float | None) -> UInt8:
        grey = np.asarray(picture / np.float32(255), np.float32)
        if points is None:
            colours = np.repeat(_untoned(grey)[..., None], 3, 2)
        else:
            tone = self._own_tone if self.tone is None else np.array(self.tone, np.float32) / 255
            matrix = crop_matrix(points)
            crop = cut_crop(grey, matrix)
            made = self._network(crop[None, None], np.asarray(tone, np.float32)[None])[0]
            window = face_window(moved(points, matrix), HEAD)
            slope, offset = _line(crop, made.mean(0), window)
            light = np.float32(slope) * grey + np.float32(offset)
            colours = light[..., None] + _colours(made, crop, window, matrix, grey.shape)
        return np.asarray(np.rint(255 * np.clip(colours, 0, 1)), np.uint8)


def _line(crop: Float32, light: Float32, window: Float32) -> tuple[float, float]:
    """Slope and offset from the crop's face to the network's.

    Light and dark stay the picture's own; what the network says of them in detail holds
    for faces of its own making only.
    """
    inside = window > 0.99
    if not inside.any():
        return 1.0, 0.0
    known, wanted = crop[inside], light[inside]
    slope = float(np.cov(known, wanted)[0, 1] / max(float(known.var()), 1e-5))
    slope = min(max(slope, SLOPES[0]), SLOPES[1])
    return slope, float(wanted.mean()) - slope * float(known.mean())


def _colours(
    made: Float32, crop: Float32, window: Float32, matrix: Float, shape: tuple[int, ...]
) -> Float32:
    """(H, W, 3) the slow part of the network's colours, up to the edges of the head."""
    weight = cv2.GaussianBlur(window, (0, 0), SLOW) + 1e-3
    edges = linear_model(crop[..., None], window, 6, 1e-3)
    share = window * np.clip(apply_model(edges, crop[..., None]), 0, 1)
    slow = [
        share * cv2.GaussianBlur((channel - made.mean(0)) * window, (0, 0), SLOW) / weight
        for channel in made
    ]
    placed = cv2.warpAffine(
        np.stack(slow, -1), cv2.invertAffineTransform(matrix), (shape[1], shape[0])
    )
    return np.asarray(placed, np.float32)


def _checked(pixels: UInt8, points: Float | None, to: str) -> tuple[UInt8, Float | None]:
    picture = np.asarray(pixels)
    wanted = "(H, W, 3)" if to == "nir" else "(H, W)"
    colour = picture.ndim == 3 and picture.shape[2] == 3
    fits = colour if to == "nir" else picture.ndim == 2
    if not fits or picture.dtype != np.uint8 or picture.size == 0:
        raise ShapeError(
            f"pixels: expected {wanted} uint8 for a translation to {to}, got {picture.shape} "
            f"{picture.dtype}"
        )
    if points is None:
        return picture, None
    marks = np.asarray(points, np.float64)
    if marks.shape != (68, 2) or not np.isfinite(marks).all():
        raise ShapeError(f"points: expected (68, 2) finite pixels, got {marks.shape}")
    if inter_ocular(marks) < SMALLEST:
        raise ShapeError(
            f"points: expected eyes at least {SMALLEST:g} pixels apart, got "
            f"{inter_ocular(marks):.2g}; enlarge the picture"
        )
    return picture, marks


def _unit(points: Float | None, shape: tuple[int, ...]) -> float:
    """Distance of the outer eye corners; without a face, that of one that fills the picture."""
    return min(shape) / 4.0 if points is None else inter_ocular(points)


def _lay_over(
    below: Float32, guide: Float32, model: Float32, window: Float32, matrix: Float
) -> None:
    """Replace `below` by the model of the guide, as far as the crop's window says."""
    box = reach(matrix, below.shape)
    if box is None:
        return
    left, top, right, bottom = box
    inverse = cv2.invertAffineTransform(matrix)
    inverse[:, 2] -= (left, top)
    size = (right - left, bottom - top)
    grown = cv2.warpAffine(model, inverse, size, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(window, inverse, size)
    part = below[top:bottom, left:right]
    part += share * (apply_model(grown, guide[top:bottom, left:right]) - part)


def _lamp(points: Float, shape: tuple[int, ...]) -> Float32:
    """(H, W) share of the lamp's light, 1 on the face."""
    middle, unit = points[27:31].mean(0), inter_ocular(points)
    x = (np.arange(shape[1], dtype=np.float32) - np.float32(middle[0])) / np.float32(unit)
    y = (np.arange(shape[0], dtype=np.float32) - np.float32(middle[1])) / np.float32(unit)
    far = np.hypot(x[None], y[:, None])
    return 1 - np.float32(LOST) * smooth_step((far - LAMP[0]) / (LAMP[1] - LAMP[0]))
