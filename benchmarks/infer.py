"""CPU milliseconds of reading one picture, stage by stage, and pictures a second, on one thread.

    python benchmarks/infer.py [--weights FILE] [--arch small_cnn] [--repeats 5]

Without weights the network is drawn at random: its speed is the same. Portraits are the
bundled ones at several sizes; median over the repeats.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from synth import assets
from synth.crops import crop_by_profile
from synth.images import load_image, resize
from synth.landmarks import get_detector
from synth.landmarks.dlib_hog import find_boxes, predict_points
from synth.preview.dashboard import draw_dashboard
from synth.preview.overlay import draw_overlay
from synth.recognition.faces import CLASSES
from synth.recognition.infer import Inference, read_image
from synth.recognition.reader import FaceReader
from synth.types import FaceImage

SIDES = (256, 512, 1024, 2048)
BATCHES = (1, 8, 64)


def milliseconds(function, *arguments, repeats: int = 5) -> float:
    """Median time of a call."""
    function(*arguments)
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        function(*arguments)
        taken.append((time.process_time() - start) * 1000)
    return float(np.median(taken))


def random_weights(arch: str, folder: Path) -> Path:
    """A file of an untrained network."""
    import torch

    from synth.models.fer import FERConfig, build, save_fer

    torch.manual_seed(0)
    network = build(FERConfig(arch, classes=CLASSES, size=96, channels=1)).eval()
    save_fer(folder / "random.safetensors", network)
    return folder / "random.safetensors"


def stages(inference: Inference, photo: FaceImage, side: int, repeats: int) -> dict[str, float]:
    """Milliseconds of each stage for a portrait of this side."""
    pixels = resize(photo.pixels, side, side)
    image = FaceImage(pixels, photo.name, photo.sha256)
    box = find_boxes(pixels)[0][0]
    face = get_detector("dlib").detect(image)[0]
    readings = inference.read([(image, [face], "vis")])[0]

    def took(function, *arguments):
        return milliseconds(function, *arguments, repeats=repeats)

    return {
        "search": took(find_boxes, pixels),
        "points": took(predict_points, pixels, box),
        "align": took(crop_by_profile, image, face, "aligned", inference.reader("vis").size),
        "all": took(read_image, pixels, inference),
        "overlay": took(draw_overlay, pixels, readings),
        "dashboard": took(draw_dashboard, pixels, readings[0]),
    }


def main() -> None:
    """Print the tables."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--arch", default="small_cnn")
    parser.add_argument("--repeats", type=int, default=5)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    photo = load_image(assets.path("sample_1"))
    with tempfile.TemporaryDirectory() as folder:
        weights = wanted.weights or random_weights(wanted.arch, Path(folder))
        inference = Inference(weights=(weights,))
        inference.preload()
        found = {side: stages(inference, photo, side, wanted.repeats) for side in SIDES}
        names = list(next(iter(found.values())))
        print("| portrait, px | " + " | ".join(f"{n}, ms" for n in names) + " | photos a second |")
        print("|---" * (len(names) + 2) + "|")
        for side, times in found.items():
            cells = " | ".join(f"{times[name]:.1f}" for name in names)
            print(f"| {side} | {cells} | {1000 / times['all']:.1f} |")
        print()
        crops = np.random.default_rng(0).integers(0, 256, (64, 96, 96), dtype=np.uint8)
        print("| batch | network, ms a face |")
        print("|---|---|")
        for batch in BATCHES:
            reader = FaceReader(weights, None, batch=batch)
            if reader.config.reads_points:
                points = np.random.default_rng(0).uniform(0, 96, (batch, 68, 2))
            else:
                points = None
            took = milliseconds(reader.read, crops[:batch], points, repeats=wanted.repeats)
            print(f"| {batch} | {took / batch:.2f} |")


if __name__ == "__main__":
    main()
