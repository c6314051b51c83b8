"""Seams of edited photos, with and without colour transfer and alpha blending.

    python benchmarks/edit_seams.py [--photos FOLDER] [--count 40] [--weights FILE]
        [--theta 30] [--rho 0.8] [--output seams.md] [--pictures FOLDER]

Each row is one editor under one setting, averaged over the photos, all of them scaled to at
most `SIDE` pixels. Editors: stubs of known cast and, with --weights or where the package
has some, a network. Only sides of the square inside the photo count.

seam energy     squared step of luma across the square's border, in the photo's own steps
ramp energy     the same inside the square, along the whole width of the ramp
step            CIEDE2000 between neighbours on either side of the border, less the photo's own
strip           CIEDE2000 to the photo, in a strip of 2 % of the side just inside the border
face            CIEDE2000 to the photo, in the face: what of the edit is left
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from synth.color import REC601, delta_e_2000, lab_to_srgb, srgb_to_lab, to_uint8
from synth.editing import EditSettings, edit_face, get_editor
from synth.editing.paste import Box, face_region, inside
from synth.errors import AssetError, SynthError
from synth.images import encode_image, find_images, load_image, resize
from synth.landmarks import get_detector, select_face
from synth.types import FaceImage

UInt8 = NDArray[np.uint8]
SIDE = 900
STRIP = 0.02
#: Of the stubs: Lab scaled by and shifted by, as networks were seen to do.
CAST = ([1.08, 0.85, 1.15], [4.0, 5.0, -6.0])
SETTINGS = {
    "neither": EditSettings(color_transfer=False, alpha=False),
    "colour transfer": EditSettings(alpha=False),
    "alpha": EditSettings(color_transfer=False),
    "both": EditSettings(),
}
COLUMNS = ("seam energy", "ramp energy", "step", "strip", "face")


class Stub:
    """An editor that casts a colour over the face, at `size` pixels or at its own."""

    space, digests = None, {}

    def __init__(self, method: str, size: int = 0) -> None:
        self.method, self.size = method, size

    def __call__(self, crop: UInt8, theta: float, rho: float) -> UInt8:
        side = len(crop)
        small = resize(crop, self.size, self.size) if self.size else crop
        lab = srgb_to_lab(small, np.float32)
        cast = to_uint8(lab_to_srgb(lab * np.float32(CAST[0]) + np.float32(CAST[1])))
        return resize(cast, side, side) if self.size else cast


class Once:
    """An editor that edits a square once, whatever the settings are."""

    def __init__(self, editor) -> None:
        self.editor, self.kept = editor, {}

    def __getattr__(self, name: str):
        return getattr(self.editor, name)

    def __call__(self, crop: UInt8, theta: float, rho: float) -> UInt8:
        key = crop.tobytes()
        if key not in self.kept:
            self.kept = {key: self.editor(crop, theta, rho)}
        return self.kept[key]


def photos(folder: Path | None, count: int) -> Iterator[FaceImage]:
    """Photos from the folder, or the bundled portraits, at most `SIDE` pixels wide."""
    if folder is None:
        from synth.assets import FOLDER

        folder = FOLDER / "samples"
    for source in find_images([str(folder)], False)[:count]:
        image = load_image(source.path, name=source.name)
        scale = min(1.0, SIDE / max(image.height, image.width))
        size = round(image.width * scale), round(image.height * scale)
        yield FaceImage(resize(image.pixels, *size), image.name, image.sha256)


def across(values: NDArray, box: Box, at: int = 0) -> NDArray:
    """(2, N, ...) pairs of neighbours across the line `at` pixels inside the box's border.

    First the inner, then the outer; lines that do not lie in the photo are left out.
    """
    x0, y0, x1, y1 = inside(box, values.shape)
    pairs = []
    for turned, low, high, start, stop, length in (
        (values, box[1], box[3], x0, x1, values.shape[0]),
        (values.swapaxes(0, 1), box[0], box[2], y0, y1, values.shape[1]),
    ):
        for inner, outer in ((low + at, low + at - 1), (high - 1 - at, high - at)):
            if 0 <= min(inner, outer) and max(inner, outer) < length:
                pairs.append(np.stack([turned[inner, start:stop], turned[outer, start:stop]]))
    return np.concatenate(pairs, axis=1)


def energy(pixels: UInt8, box: Box, at: int = 0) -> float:
    """Mean squared step of luma across a line."""
    inner, outer = across(pixels @ np.array(REC601), box, at)
    return float(((inner - outer) ** 2).mean())


def measure(photo: UInt8, out: UInt8, box: Box, region: NDArray[np.bool_]) -> list[float]:
    """One number for each of `COLUMNS`."""
    side, (x0, y0, x1, y1) = box[2] - box[0], inside(box, photo.shape)
    ramp = range(1, max(2, round(EditSettings().border * side)), 3)
    strip = np.zeros(photo.shape[:2], bool)
    strip[y0:y1, x0:x1] = True
    width = max(1, round(STRIP * side))
    strip[max(0, box[1] + width) : max(0, box[3] - width),
          max(0, box[0] + width) : max(0, box[2] - width)] = False  # fmt: skip
    part, seen = np.s_[y0:y1, x0:x1], np.s_[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    return [
        energy(out, box) / energy(photo, box),
        sum(energy(out, box, at) for at in ramp) / sum(energy(photo, box, at) for at in ramp),
        delta_e_2000(*across(out, box)).mean() - delta_e_2000(*across(photo, box)).mean(),
        delta_e_2000(out[strip], photo[strip]).mean(),
        delta_e_2000(out[part][region[seen]], photo[part][region[seen]]).mean(),
    ]


def table(arguments: argparse.Namespace, editors: list, note: Callable[[str], None]) -> list[str]:
    """The rows of the table, in Markdown."""
    detector, found, used = get_detector("dlib"), {}, 0
    for image in photos(arguments.photos, arguments.count):
        try:
            points = select_face(detector.detect(image))[0].points
        except SynthError as error:
            note(f"{image.name}: {error}")
            continue
        used += 1
        for editor in editors:
            once = Once(editor)
            for name, settings in SETTINGS.items():
                out, box = edit_face(
                    once, image.pixels, points, arguments.theta, arguments.rho, settings
                )
                row = measure(image.pixels, out, box, face_region(points, box))
                found.setdefault((editor.method, name), []).append(row)
                if arguments.pictures:
                    stem = f"{Path(image.name).stem}_{editor.method}_{name}".replace(" ", "-")
                    (arguments.pictures / f"{stem}.png").write_bytes(encode_image(out))
    lines = [f"{used} photos, theta {arguments.theta:g}, rho {arguments.rho:g}", ""]
    lines += ["| editor | switched on | " + " | ".join(COLUMNS) + " |", "|---" * 7 + "|"]
    for (editor, name), rows in found.items():
        cells = [f"{value + 0.0:.2f}" for value in np.round(np.mean(rows, 0), 2)]
        lines.append(f"| {editor} | {name} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--theta", type=float, help="[default: the network's for happiness]")
    parser.add_argument("--rho", type=float, default=0.8)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--pictures", type=Path, help="write the edited photos there")
    arguments = parser.parse_args()
    editors: list = [Stub("identity cast"), Stub("identity cast at 128 px", 128)]
    try:
        editors.append(get_editor(arguments.weights))
        if arguments.theta is None:
            arguments.theta = editors[-1].space.of_expression("happiness", arguments.rho)[0]
    except AssetError as error:
        if arguments.weights:
            raise SystemExit(str(error)) from None
        print(f"no network: {error}", file=sys.stderr)
    arguments.theta = 30.0 if arguments.theta is None else arguments.theta
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    text = "\n".join(table(arguments, editors, lambda line: print(line, file=sys.stderr))) + "\n"
    print(text, end="")
    if arguments.output:
        arguments.output.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
