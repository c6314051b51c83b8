"""The shipped translator: time a picture, and how well it passes for near infrared. Tables.

``python benchmarks/translation_light.py [PHOTO ...]`` times it; with ``--real NIR_DIR``
the photos, best of people that were not trained on, are also translated and told apart
from the real ones, beside baselines: the grey photo, a gamma with blur, the grey photo
with the real ones' histogram, and the optical model. The person is the first word of a
file name; ``--people 8 14`` keeps some of the real ones. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.exposure import match_histograms
from threadpoolctl import threadpool_limits

from synth import assets
from synth.color import to_grey, to_rgb
from synth.evaluation.domain import told_apart
from synth.evaluation.faces import AlignedFace, align, find_face, sharpness
from synth.evaluation.features import domain_features
from synth.images import find_images, load_image
from synth.quality.embedder import Embedder
from synth.translation.light import LightTranslator
from synth.translation.optical import optical_nir
from synth.types import inter_ocular

UInt8 = NDArray[np.uint8]
Float = NDArray[np.float64]
Photo = tuple[str, UInt8, Float]
Method = Callable[[UInt8, Float], UInt8]


def faces_of(inputs: Sequence[str]) -> list[Photo]:
    """Person, pixels and points of the photos that show a face."""
    found = []
    for source in find_images(list(inputs)):
        pixels = load_image(source.path).pixels
        if (face := find_face(pixels)) is not None:
            found.append((re.split(r"[-_.]", source.path.stem)[0], pixels, face.points))
    return found


def gamma_blur(pixels: UInt8, points: Float) -> UInt8:
    """Grey, brightened by a power of 0.6, blurred by 1 % of the eyes' distance."""
    bright = (255 * (to_grey(pixels) / 255.0) ** 0.6).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(bright, (0, 0), 0.01 * inter_ocular(points)))


def matched(real: Sequence[AlignedFace]) -> Method:
    """Grey, with the mean histogram of the real faces' aligned crops."""
    pool = np.concatenate([face.pixels[::4, ::4] for face in real])

    def match(pixels: UInt8, points: Float) -> UInt8:
        return np.asarray(np.rint(match_histograms(to_grey(pixels), pool)), np.uint8)

    return match


def timed(method: Method, photos: Sequence[Photo]) -> tuple[list[UInt8], float]:
    """Translations, and CPU seconds a picture."""
    start = time.process_time()
    made = [method(pixels, points) for _, pixels, points in photos]
    return made, (time.process_time() - start) / len(photos)


def table(photos: Sequence[Photo], real: Sequence[Photo]) -> None:
    """Told apart, sharpness, identity and landmarks of every method."""
    aligned = [align(pixels, points) for _, pixels, points in real]
    truth, embed = domain_features(aligned), Embedder().embed
    light = LightTranslator(assets.path("light_nir"))
    methods: dict[str, Method] = {
        "grey": lambda pixels, points: to_grey(pixels),
        "gamma 0.6 + blur": gamma_blur,
        "histogram match": matched(aligned),
        "optical model": optical_nir,
        "light": light,
    }
    print(
        "method            contrast statistics texture deep   mean  sharp  id    max   lm%   lost"
    )
    for name, method in methods.items():
        made, _ = timed(method, photos)
        seen = [find_face(m, near=q) for m, (_, _, q) in zip(made, photos, strict=True)]
        kept = [q if s is None else s.points for s, (_, _, q) in zip(seen, photos, strict=True)]
        features = domain_features([align(m, q) for m, q in zip(made, kept, strict=True)])
        told = told_apart(features, truth, [p for p, _, _ in photos], [p for p, _, _ in real])
        rows = zip(made, photos, kept, strict=True)
        numbers = np.array(
            [
                (
                    sharpness(m, pixels, q),
                    np.linalg.norm(embed(to_rgb(m), q) - embed(pixels, q)),
                    100 * np.linalg.norm(k - q, axis=1).mean() / inter_ocular(q),
                )
                for m, (_, pixels, q), k in rows
            ]
        )
        middle, worst = np.median(numbers, 0), numbers.max(0)
        parts = "    ".join(f"{row['accuracy']:.2f}" for row in told["families"].values())
        print(
            f"{name:18}{parts}     {told['mean']:.3f}  {middle[0]:.2f}  {middle[1]:.3f} "
            f"{worst[1]:.3f} {middle[2]:.2f}  {seen.count(None)}"
        )


def times(photos: Sequence[Photo]) -> None:
    """Milliseconds a picture at several sizes, with both runtimes."""
    print("long side   torch ms   onnx ms")
    path = assets.path("light_nir")
    for side in (256, 512, 1024):
        small = []
        for person, pixels, points in photos[:4]:
            scale = side / max(pixels.shape[:2])
            size = [round(scale * n) for n in pixels.shape[1::-1]]
            resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
            small.append((person, np.asarray(resized), points * scale))
        cells = []
        for runtime in ("torch", "onnx"):
            translator = LightTranslator(path, runtime=runtime)
            timed(translator, small[:1])
            cells.append(1e3 * timed(translator, small)[1])
        print(f"{side:9}   {cells[0]:8.0f}   {cells[1]:7.0f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="*", help="colour photos; the bundled samples without any")
    parser.add_argument("--real", help="folder of near-infrared photos")
    parser.add_argument("--people", nargs="*", help="of the real ones; all without")
    given = parser.parse_args()
    samples = Path(assets.path("sample_1")).parent
    photos = faces_of(given.photos or [str(samples)])
    with threadpool_limits(1):
        times(photos)
        if given.real:
            real = [
                row for row in faces_of([given.real]) if not given.people or row[0] in given.people
            ]
            table(photos, real)


if __name__ == "__main__":
    main()
