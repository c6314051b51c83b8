"""Near infrared before or after drawing: what each order costs and how its faces look.

``python benchmarks/nir_orders.py PHOTO_DIR [--nir NIR_DIR] [--limit N] [--sheet out.png]``

For every photo six expressions are drawn in both orders. Printed: CPU milliseconds a
picture (one thread) and for the photo; how far the two orders differ outside and
inside the mouth; how much of the contrast inside an open mouth of the VIS picture is
left; where the landmarks are found against those of the VIS picture; and, with a
folder of real NIR photos, how often a classifier tells the pictures from them
(`synth.evaluation.domain`).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.affect import EXPRESSIONS
from synth.errors import SkipPhoto
from synth.evaluation.domain import told_apart
from synth.evaluation.faces import AlignedFace, align, find_face
from synth.images import encode_image, find_images, load_image, write_atomic
from synth.pipeline import Generator
from synth.targets import Target
from synth.threads import one_thread
from synth.types import VA, inter_ocular

NAMES = ("happiness", "surprise", "fear", "anger", "disgust", "sadness")
ORDERS = ("photo", "image")
UInt8 = NDArray[np.uint8]


def targets() -> list[Target]:
    """The basic expressions at full strength."""
    return [
        Target(VA(EXPRESSIONS[name].valence, EXPRESSIONS[name].arousal), index, name)
        for index, name in enumerate(NAMES)
    ]


def generators(size: int) -> dict[str, Generator]:
    """By order, with visible light as ``vis``."""
    made = {"vis": Generator(crop="face", size=size)}
    made |= {
        order: Generator(crop="face", size=size, nir=True, nir_order=order)  # type: ignore[arg-type]
        for order in ORDERS
    }
    return made


def draw(generator: Generator, photo: Path) -> tuple[list[UInt8], list[Any], float, float]:
    """The pictures, their landmarks, seconds for the photo and seconds a picture."""
    start = time.process_time()
    image, faces = generator.faces(load_image(photo))
    face = generator.prepare(image, faces[0])
    ready = time.process_time()
    samples = [generator.draw(face, target) for target in targets()]
    done = time.process_time()
    points = [generator.show(face, generator.act(face, t)).landmarks for t in targets()]
    return [s.image for s in samples], points, ready - start, (done - ready) / len(samples)


def mouth_of(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) the open mouth between the lips."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(points[60:68]).astype(np.int32)], 1)
    return mask > 0


def spread(pixels: UInt8, mask: NDArray[np.bool_]) -> float:
    """Standard deviation inside the mask as a share of the mean of the picture's face."""
    return float(pixels[mask].std()) / max(float(np.median(pixels)), 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos")
    parser.add_argument("--nir", help="folder of real NIR photos, with labels.csv")
    parser.add_argument("--limit", type=int, default=12)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    with one_thread():
        run(options)


def run(options: argparse.Namespace) -> None:
    """Draw, measure, print."""
    made = generators(options.size)
    figures: dict[str, defaultdict[str, list[float]]] = {o: defaultdict(list) for o in ORDERS}
    faces: dict[str, list[AlignedFace]] = {order: [] for order in ORDERS}
    people: list[str] = []
    between: defaultdict[str, list[float]] = defaultdict(list)
    rows = []
    for photo in find_images([options.photos])[: options.limit]:
        try:
            drawn = {name: draw(generator, photo.path) for name, generator in made.items()}
        except SkipPhoto:
            continue
        people += [photo.name] * len(NAMES)
        rows += [np.hstack([three(p) for p in drawn[name][0]]) for name in ("vis", *ORDERS)]
        for index in range(len(NAMES)):
            points = drawn["vis"][1][index]
            vis, first, second = (drawn[name][0][index] for name in ("vis", *ORDERS))
            mouth = mouth_of(points, vis.shape)
            apart = cv2.absdiff(first, second)
            face = mouth_of(points, vis.shape) ^ hull(points, vis.shape)
            between["outside the mouth, grey levels"].append(float(apart[face].mean()))
            if mouth.sum() > 60:
                between["inside an open mouth, grey levels"].append(float(apart[mouth].mean()))
            grey = cv2.cvtColor(vis, cv2.COLOR_RGB2GRAY)
            for order, nir in zip(ORDERS, (first, second), strict=True):
                measure(figures[order], nir, grey, points, mouth)
                faces[order].append(align(nir, points))
        for order in ORDERS:
            figures[order]["ms a photo"].append(1000 * drawn[order][2])
            figures[order]["ms a picture"].append(1000 * drawn[order][3])
    for order in ORDERS:
        print(f"\norder {order}: {len(people)} pictures of {len(set(people))} people")
        for name, values in figures[order].items():
            print(f"  {name:45s} {np.nanmedian(values):8.2f}")
    print("\nboth orders")
    for name, values in between.items():
        print(f"  {name:45s} {np.mean(values):8.2f}")
    if options.nir:
        compare(options.nir, faces, people)
    if options.sheet:
        write_atomic(options.sheet, encode_image(np.vstack(rows[:12])))


def three(pixels: UInt8) -> UInt8:
    """(H, W, 3), reduced for the sheet."""
    pixels = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)


def hull(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) the face inside its landmarks."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return mask > 0


def measure(
    figures: defaultdict[str, list[float]],
    nir: UInt8,
    vis: UInt8,
    points: NDArray[np.float64],
    mouth: NDArray[np.bool_],
) -> None:
    """Add what one picture shows."""
    if mouth.sum() > 60:
        left = spread(nir, mouth) / max(spread(vis, mouth), 1e-6)
        figures["contrast in an open mouth, share of VIS"].append(left)
    before, after = find_face(vis, near=points), find_face(nir, near=points)
    figures["faces lost, %"].append(100.0 * (before is not None and after is None))
    if before is not None and after is not None:
        shift = np.linalg.norm(before.points - after.points, axis=1)
        eyes = inter_ocular(before.points)
        figures["landmark shift, % of eye distance"].append(100 * float(shift.mean()) / eyes)
        lips = 100 * float(shift[48:].mean()) / eyes
        figures["landmark shift of the mouth, %"].append(lips)


def compare(folder: str, faces: dict[str, list[AlignedFace]], people: list[str]) -> None:
    """Print how often the pictures are told from real NIR photos."""
    from synth.corpora import read_corpus

    real, names = [], []
    for item in read_corpus("custom-nir", Path(folder)):
        pixels = load_image(item.path).pixels
        if (found := find_face(pixels)) is not None:
            real.append(align(pixels, found.points))
            names.append(item.subject)
    for order in ORDERS:
        result = told_apart(faces[order], real, people, names)
        parts = ", ".join(f"{k} {v['accuracy']:.2f}" for k, v in result["families"].items())
        print(f"told from {len(real)} real NIR photos, order {order}: {parts}; "
              f"mean {result['mean']:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
