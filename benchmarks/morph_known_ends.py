"""Morphs half way between two photos of a person, where the ends are known.

    python benchmarks/morph_known_ends.py --neutral DIR --apex DIR [--people N] [--sheet FILE]

Photos of the two folders with the same name show one person, neutral and with an
expression. Printed are how many pairs are rejected and why, and over the others, with
and without bringing detail together:

========  =========================================================================
end       largest difference from the neutral photo at weight 0, grey levels
half way  distance of detected landmarks from the mean of those at both ends, % of the
          inter-ocular distance, at t = 0.5
ends      for comparison: the same detector on both ends drawn at 0.9 of their size
even      most that the way of the mouth corners from t to t + 0.25 is off a quarter of
          the whole way, %
sharp     `synth.acceptance.sharpness` at t = 0.5 over the mean of both ends
ms        of one morph at the photo's size
========  =========================================================================
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.acceptance import sharpness
from synth.crops import crop_by_profile
from synth.errors import SkipPhoto
from synth.images import load_image, resize
from synth.landmarks import Detector, get_detector, select_face
from synth.morphing.align import Aligned, MorphLimits, align, check_folds, neutral_face
from synth.morphing.layers import Layer, make_layer
from synth.morphing.mesh import FaceMesh, make_mesh
from synth.morphing.refine import refined
from synth.morphing.warp import mix
from synth.types import FaceImage, inter_ocular

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
CORNERS = [48, 54]


@dataclass(frozen=True)
class Pair:
    """Two photos of a person on each other."""

    neutral: Aligned
    apex: Aligned
    mesh: FaceMesh

    @property
    def size(self) -> tuple[int, int]:
        return self.neutral.image.height, self.neutral.image.width

    def layers(self, fine: bool) -> list[Layer]:
        layers = [
            make_layer(self.neutral.image.pixels, self.neutral.points),
            make_layer(self.apex.image.pixels, self.apex.points, self.apex.matrix),
        ]
        return refined(layers, self.mesh, self.size) if fine else layers

    def at(self, layers: Sequence[Layer], t: float, background: int | None = 0) -> UInt8:
        return mix(layers, (1 - t, t), self.mesh, self.size, background)


def load_pair(detector: Detector, first: Path, second: Path) -> Pair:
    """Raises `SkipPhoto` where the two do not go together."""
    found = []
    for path in (first, second):
        image = load_image(path)
        found.append((image, select_face(detector.detect(image))[0]))
    limits = MorphLimits()
    neutral = neutral_face(*found[0])
    apex = align(neutral, *found[1], limits)
    check_folds(neutral, apex, limits)
    return Pair(neutral, apex, make_mesh([neutral.points, apex.points], neutral_size(neutral)))


def neutral_size(face: Aligned) -> tuple[int, int]:
    return face.image.height, face.image.width


def detected(detector: Detector, pixels: UInt8, at: float = 1.0) -> Float:
    """Landmarks of a picture, of a copy of it at another size where wanted."""
    small = pixels
    if at != 1:
        small = resize(pixels, round(pixels.shape[1] * at), round(pixels.shape[0] * at))
    points = detector.detect(FaceImage(small, "morph", "0" * 64))[0].points
    ratio = np.array(pixels.shape[1::-1]) / np.array(small.shape[1::-1])
    return np.asarray((points + 0.5) * ratio - 0.5)


def measure(detector: Detector, pair: Pair, fine: bool) -> dict[str, float]:
    """The figures of one pair."""
    layers = pair.layers(fine)
    unit = inter_ocular(pair.neutral.points)
    start = time.perf_counter()
    pictures = [pair.at(layers, t) for t in STEPS]
    spent = (time.perf_counter() - start) / len(STEPS)
    points = [detected(detector, picture) for picture in pictures]
    ends = (points[0] + points[-1]) / 2
    again = np.mean([detected(detector, p, 0.9) for p in (pictures[0], pictures[-1])], 0)
    corners = np.diff([p[CORNERS].mean(0) for p in points], axis=0)
    way = points[-1][CORNERS].mean(0) - points[0][CORNERS].mean(0)
    along = corners @ way / float(way @ way)
    sharp = [sharpness(p, q) for p, q in zip(pictures, points, strict=True)]
    off = np.abs(pair.at(layers, 0.0).astype(int) - pair.neutral.image.pixels).max()
    return {
        "end": float(off),
        "half way": 100 * float(np.linalg.norm(points[2] - ends, axis=1).mean()) / unit,
        "ends": 100 * float(np.linalg.norm(again - ends, axis=1).mean()) / unit,
        "even": 100 * float(np.abs(along - 0.25).max()),
        "sharp": sharp[2] / ((sharp[0] + sharp[-1]) / 2),
        "ms": 1000 * spent,
    }


def row_of(pair: Pair, size: int) -> UInt8:
    """The way from neutral to the apex, cut out, the photo of the apex at the end."""
    layers = pair.layers(True)
    shown = [pair.at(layers, t) for t in STEPS]
    tiles = [
        crop_by_profile(replace(pair.neutral.image, pixels=p), pair.neutral.landmarks, "face", size)
        for p in shown
    ]
    tiles.append(crop_by_profile(pair.apex.image, pair.apex.landmarks, "face", size))
    return np.hstack([tile[0].pixels for tile in tiles])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--neutral", type=Path, required=True, help="folder of neutral photos")
    parser.add_argument("--apex", type=Path, required=True, help="same names, an expression")
    parser.add_argument("--people", type=int, help="at most so many pairs are measured")
    parser.add_argument("--every", type=int, default=1, help="of the pairs, to measure")
    parser.add_argument("--sheet", type=Path, help="JPEG or PNG: 0, 0.25, 0.5, 0.75, 1, photo")
    parser.add_argument("--size", type=int, default=256, help="pixels of a face on the sheet")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detector = get_detector("dlib")
    names = sorted(
        p.name for p in options.neutral.glob("*.jpg") if (options.apex / p.name).exists()
    )
    pairs = {}
    for name in names:
        try:
            pairs[name] = load_pair(detector, options.neutral / name, options.apex / name)
        except SkipPhoto as skip:
            print(f"rejected: {skip.reason}: {skip}")
    print(f"{len(pairs)} of {len(names)} pairs go together; residual after the alignment, % of the "
          f"inter-ocular distance: median {_percent([p.apex.residual for p in pairs.values()], 50)}"
          f", largest {_percent([p.apex.residual for p in pairs.values()], 100)}")  # fmt: skip
    chosen = [pairs[name] for name in names[:: options.every] if name in pairs][: options.people]
    for fine in (False, True):
        found = [measure(detector, pair, fine) for pair in chosen]
        print(f"\n{len(found)} pairs, detail {'brought together' if fine else 'as it falls'}")
        for key in found[0]:
            values = [one[key] for one in found]
            print(f"  {key:9} median {np.median(values):8.3f}   worst "
                  f"{(min if key == 'sharp' else max)(values):8.3f}")  # fmt: skip
    if options.sheet:
        sheet = np.vstack([row_of(pair, options.size) for pair in chosen])
        cv2.imwrite(str(options.sheet), sheet[:, :, ::-1])


def _percent(values: Sequence[float], share: float) -> str:
    return f"{100 * float(np.percentile(values, share)):.2f}"


if __name__ == "__main__":
    main()
