"""What a face looks like in numbers: four families of features of an aligned face.

============  =======================================================================
contrast      lips, brows, sclera, iris and teeth against the skin
statistics    brightness of the face: moments, percentiles, how it falls off
texture       energy of five bands and local binary patterns of the skin
deep          early layers of dlib's face network, which was never trained further
============  =======================================================================

Each is what separates near-infrared pictures from visible ones in its own way: skin
brightens and features pale [1]_, the lamp beside the lens lights the middle of the
face, pores vanish and the sensor's noise appears.

References
----------
.. [1] Li et al., "Illumination invariant face recognition using near-infrared
   images", PAMI 2007; Ojala et al., "Multiresolution gray-scale and rotation
   invariant texture classification with local binary patterns", PAMI 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from synth import assets
from synth.color import to_rgb
from synth.evaluation.faces import EYE_DISTANCE, SIZE, AlignedFace
from synth.quality.embedder import ASSET, face_chip
from synth.quality.network import MEAN, SCALE, Network

__all__ = ["FAMILIES", "CONTRASTS", "domain_features", "region_medians"]

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: Added to grey levels before their logarithm: noise of a dark pixel.
DARK = 8.0
#: Regions need this many pixels; otherwise their value is unknown (NaN).
LEAST = 20
#: Standard deviations of the blurs whose differences are the texture's bands, pixels.
BANDS = (0.0, 0.7, 1.4, 2.8, 5.6, 11.2)
#: Radii of the local binary patterns, pixels; eight points each.
RADII = (1, 2)
#: Residual blocks of 32 channels at the head of dlib's network.
EARLY_BLOCKS = 3
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
#: Columns of the contrast family: the logarithm of the ratio of medians.
CONTRASTS = ("lips", "brows", "sclera", "iris", "teeth", "sclera_iris", "lips_darkest")


def _disc(centre: Float, radius: float) -> Mask:
    y, x = np.ogrid[:SIZE, :SIZE]
    return np.asarray((x - centre[0]) ** 2 + (y - centre[1]) ** 2 <= radius**2)


def _polygon(points: Float) -> Mask:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    return mask > 0


def skin_regions(points: Float) -> dict[str, Mask]:
    """Discs of skin: forehead, both cheeks, nose, chin and both sides of the jaw."""
    unit = EYE_DISTANCE
    return {
        "forehead": _disc(points[21:23].mean(0) - (0, 0.28 * unit), 0.13 * unit),
        "cheek_right": _disc(points[[2, 31, 41, 48]].mean(0), 0.11 * unit),
        "cheek_left": _disc(points[[14, 35, 46, 54]].mean(0), 0.11 * unit),
        "nose": _disc(points[29], 0.06 * unit),
        "chin": _disc(points[[57, 8]].mean(0), 0.08 * unit),
        "jaw_right": _disc(0.6 * points[4] + 0.4 * points[48], 0.08 * unit),
        "jaw_left": _disc(0.6 * points[12] + 0.4 * points[54], 0.08 * unit),
    }


def feature_regions(points: Float) -> dict[str, Mask]:
    """Lips, brows, sclera, iris and the open mouth."""
    mouth = _polygon(points[60:68])
    brows = np.zeros((SIZE, SIZE), np.uint8)
    sclera, iris = np.zeros((SIZE, SIZE), bool), np.zeros((SIZE, SIZE), bool)
    for part in (slice(17, 22), slice(22, 27)):
        line = np.round(points[part]).astype(np.int32)
        cv2.polylines(brows, [line], False, 1, thickness=round(0.06 * EYE_DISTANCE))
    for part in (slice(36, 42), slice(42, 48)):
        eye = points[part]
        width, opening = float(np.linalg.norm(eye[3] - eye[0])), _polygon(eye)
        iris |= opening & _disc(eye.mean(0), 0.17 * width)
        sclera |= opening & ~_disc(eye.mean(0), 0.25 * width)
    return {
        "lips": _polygon(points[48:60]) & ~mouth,
        "brows": brows > 0,
        "sclera": sclera,
        "iris": iris,
        "mouth": mouth,
    }


def _percentile(grey: Float, mask: Mask, percentile: float) -> float:
    values = grey[mask]
    return float(np.percentile(values, percentile)) if values.size >= LEAST else float("nan")


def region_medians(face: AlignedFace) -> dict[str, float]:
    """Grey levels (0 to 255) of the regions of a face; NaN where one is not to be seen.

    Medians, but for the sclera its 75th percentile (lashes and lids shade it) and for
    the teeth the 90th of the open mouth, which must be open by 6 % of the distance of
    the outer eye corners. ``skin`` is the median of both cheeks.
    """
    grey = face.pixels.astype(np.float64)
    skin, parts = skin_regions(face.points), feature_regions(face.points)
    values = {name: _percentile(grey, mask, 50) for name, mask in skin.items()}
    values["skin"] = _percentile(grey, skin["cheek_left"] | skin["cheek_right"], 50)
    for name in ("lips", "brows", "iris"):
        values[name] = _percentile(grey, parts[name], 50)
    values["sclera"] = _percentile(grey, parts["sclera"], 75)
    values["lips_darkest"] = _percentile(grey, parts["lips"], 10)
    gap = float(np.linalg.norm(face.points[66] - face.points[62]))
    is_open = gap > 0.06 * EYE_DISTANCE
    values["teeth"] = _percentile(grey, parts["mouth"], 90) if is_open else float("nan")
    return values


def _log_ratio(first: float, second: float) -> float:
    return float(np.log((first + DARK) / (second + DARK)))


def contrast(face: AlignedFace) -> Float:
    """(7,) logarithms of region over skin, in the order of `CONTRASTS`."""
    seen = region_medians(face)
    against = {name: _log_ratio(seen[name], seen["skin"]) for name in CONTRASTS if name in seen}
    against["sclera_iris"] = _log_ratio(seen["sclera"], seen["iris"])
    return np.array([against[name] for name in CONTRASTS])


def statistics(face: AlignedFace) -> Float:
    """(18,) brightness of the face and how it falls off towards its rim."""
    values = face.pixels[face.hull].astype(np.float64) / 255
    mean, spread = values.mean(), max(float(values.std()), 1e-6)
    unit = (values - mean) / spread
    seen = region_medians(face)
    sides = [_log_ratio(seen[part], seen["skin"]) for part in ("forehead", "nose", "chin")]
    jaws = [_log_ratio(seen[f"jaw_{side}"], seen[f"cheek_{side}"]) for side in ("left", "right")]
    lateral = abs(_log_ratio(seen["cheek_left"], seen["cheek_right"]))
    rim = abs(jaws[0] - jaws[1])
    moments = [mean, spread, (unit**3).mean(), (unit**4).mean()]
    shares = [float((values > 0.95).mean()), float((values < 0.08).mean())]
    percentiles = np.percentile(values, PERCENTILES).tolist()
    return np.array([*moments, *percentiles, *shares, *sides, float(np.mean(jaws)), lateral + rim])


def texture(face: AlignedFace) -> Float:
    """(25,) band energies and local binary patterns of the skin discs, at half size.

    64 pixels between the outer eye corners are what a surveillance camera gives: of
    finer detail the features would tell the cameras apart, not the spectra.
    """
    grey = cv2.resize(face.pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    discs = [disc[::2, ::2] for disc in skin_regions(face.points).values()]
    fine = grey.astype(np.float32)
    blurred = [fine if s == 0 else cv2.GaussianBlur(fine, (0, 0), s) for s in BANDS]
    energies = []
    for fine, coarse in zip(blurred[:-1], blurred[1:], strict=True):
        band = (fine - coarse) / (blurred[-1] + DARK)
        energies.append(np.log(np.median([band[disc].std() for disc in discs]) + 1e-4))
    skin = np.any(discs, axis=0)
    patterns = []
    for radius in RADII:
        codes = local_binary_pattern(grey, 8, radius, "uniform")[skin]
        patterns.append(np.bincount(codes.astype(int), minlength=10) / max(codes.size, 1))
    return np.concatenate([energies, *patterns])


class EarlyLayers(Network):
    """The first layers of the face network: what it sees before it knows who it is."""

    def __call__(self, faces: NDArray[np.uint8]) -> Float:
        """(N, 64) mean and standard deviation of 32 maps after the first residual blocks.

        The embedding itself is of no use here: it was trained to be the same under
        any light, and grey photos pass as near-infrared ones in it.

        Parameters
        ----------
        faces : (N, 150, 150, 3) uint8
            As `synth.quality.embedder.face_chip` cuts them out.
        """
        torch, functional = self._torch, self._torch.nn.functional
        values = (faces.astype(np.float32) - np.array(MEAN, np.float32)) / np.float32(SCALE)
        with torch.inference_mode():
            x = torch.from_numpy(values).permute(0, 3, 1, 2)
            x = functional.relu(functional.conv2d(x, *self._first, stride=2))
            x = functional.max_pool2d(x, 3, 2)
            for block in range(EARLY_BLOCKS):
                inner, outer = self._rest[2 * block : 2 * block + 2]
                y = functional.relu(functional.conv2d(x, *inner, padding=1))
                x = functional.relu(functional.conv2d(y, *outer, padding=1) + x)
            found = torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)
        return np.asarray(found.numpy().astype(np.float64))


@cache
def _network() -> EarlyLayers:
    """The process's own."""
    return EarlyLayers(assets.path(ASSET))


def deep(face: AlignedFace) -> Float:
    """(64,) statistics of the frozen network's early maps: see `EarlyLayers`."""
    return _network()(face_chip(to_rgb(face.pixels), face.points)[None])[0]


#: Name -> features of one face.
FAMILIES: dict[str, Callable[[AlignedFace], Float]] = {
    "contrast": contrast,
    "statistics": statistics,
    "texture": texture,
    "deep": deep,
}


def domain_features(
    faces: Sequence[AlignedFace], families: Sequence[str] = tuple(FAMILIES)
) -> dict[str, Float]:
    """Features of faces: by family (N, D), NaN where a region is not to be seen."""
    return {name: np.stack([FAMILIES[name](face) for face in faces]) for name in families}
