"""CPU milliseconds of one edit, stage by stage, on one thread.

    python benchmarks/edit_time.py [--photo FILE] [--weights FILE] [--repeats 5]

For squares of several sizes: what the network takes, and what all the rest does. Without
weights the network is a stub that scales to 128 px and back. Median over the repeats.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from synth.editing import EditSettings, edit_face, get_editor, match_colors
from synth.editing.paste import MARGIN, alpha_ramp, cut_square, paste, square_crop
from synth.errors import AssetError
from synth.images import encode_image, load_image, resize
from synth.landmarks import get_detector, select_face
from synth.types import FaceImage

SIDES = (128, 256, 512, 1024)


class Stub:
    """Scales to 128 px and back, as a network of that size must."""

    method, size = "stub at 128 px", 128

    def __call__(self, crop, theta, rho):
        return resize(resize(crop, 128, 128), len(crop), len(crop))


def milliseconds(function, *arguments, repeats: int = 5) -> tuple[float, object]:
    """Median time of a call, and its result."""
    function(*arguments)
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(*arguments)
        taken.append((time.process_time() - start) * 1000)
    return float(np.median(taken)), result


def stages(editor, image: FaceImage, repeats: int) -> dict[str, float]:
    """Milliseconds of each stage of one edit of one photo."""
    times: dict[str, float] = {}

    def timed(name, function, *arguments):
        times[name], result = milliseconds(function, *arguments, repeats=repeats)
        return result

    points = timed("detect", get_detector("dlib").detect, image)[0].points
    box = square_crop(points, float(getattr(editor, "margin", MARGIN)))
    crop = timed("crop", cut_square, image.pixels, box)
    edited = timed("network", editor, crop, 30.0, 0.8)
    edited = timed("colour transfer", match_colors, edited, crop, points, box)
    alpha = timed("ramp", alpha_ramp, len(crop))
    timed("blend", paste, image.pixels, edited, box, alpha)
    out, _ = timed("whole edit", edit_face, editor, image.pixels, points, 30.0, 0.8, EditSettings())
    timed("encode PNG", encode_image, out)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    try:
        editor = get_editor(arguments.weights)
    except AssetError as error:
        if arguments.weights:
            raise SystemExit(str(error)) from None
        print(f"no network: {error}", file=sys.stderr)
        editor = Stub()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    from synth.assets import FOLDER

    photo = load_image(arguments.photo or FOLDER / "samples/sample_1.jpg")
    points = select_face(get_detector("dlib").detect(photo))[0].points
    left, _, right, _ = square_crop(points, float(getattr(editor, "margin", MARGIN)))
    columns = {}
    for side in SIDES:
        scale = side / (right - left)
        pixels = resize(photo.pixels, round(photo.width * scale), round(photo.height * scale))
        columns[side] = stages(editor, FaceImage(pixels, photo.name, photo.sha256),
                               arguments.repeats)  # fmt: skip
    print(f"{editor.method}; CPU milliseconds, one thread, by the side of the square\n")
    print("| stage | " + " | ".join(f"{side} px" for side in SIDES) + " |")
    print("|---" * (len(SIDES) + 1) + "|")
    for name in columns[SIDES[0]]:
        print(f"| {name} | " + " | ".join(f"{columns[s][name]:.1f}" for s in SIDES) + " |")
    rest = [columns[s]["whole edit"] - columns[s]["network"] for s in SIDES]
    print("| whole edit without network | " + " | ".join(f"{value:.1f}" for value in rest) + " |")


if __name__ == "__main__":
    main()
