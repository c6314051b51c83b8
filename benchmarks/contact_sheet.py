"""A sheet of generated faces to look at: one row per person, one column per target.

    python benchmarks/contact_sheet.py --input DIR --output sheet.jpg
        [--targets basics|rings|grid|"V,A V,A ..."] [--size 256] [--beside DIR]

The first column is the photo. With ``--beside`` the photo of the same file name
in that folder (a real smile, say) ends the row. Photos that are refused get a row
with the reason.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.affect import BASIC_EXPRESSIONS, EXPRESSIONS, va_grid
from synth.crops import face_crop
from synth.errors import SkipPhoto
from synth.pipeline import Generator
from synth.render.settings import RenderSettings
from synth.targets import Target
from synth.types import VA

UInt8 = NDArray[np.uint8]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
#: The rings of the judges: 8 directions each.
RINGS = (0.45, 0.85)


def targets_of(plan: str) -> list[tuple[str, VA]]:
    """Labels and targets of a plan's name, or of a list "V,A V,A ..."."""
    if plan == "basics":
        return [(name, EXPRESSIONS[name]) for name in BASIC_EXPRESSIONS]
    if plan == "rings":
        angles = [math.radians(45 * k) for k in range(8)]
        found = [VA(r * math.cos(a), r * math.sin(a)) for r in RINGS for a in angles]
    elif plan == "grid":
        found = [va for va in va_grid(5) if va.radius > 0]
    else:
        found = [VA.parse(text) for text in plan.split()]
    return [(f"{va.valence:+.2f} {va.arousal:+.2f}", va) for va in found]


def caption(width: int, text: str) -> UInt8:
    """A strip with a line of text, smaller where it would not fit."""
    strip = np.full((22, width, 3), 255, np.uint8)
    scale = 0.45
    while scale > 0.25 and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > width:
        scale -= 0.02
    font = cv2.FONT_HERSHEY_SIMPLEX
    return np.asarray(cv2.putText(strip, text, (3, 15), font, scale, (0, 0, 0), 1, cv2.LINE_AA))


def face_of(generator: Generator, path: Path, size: int) -> UInt8:
    """The face of a photo cut out as the generator does, whatever its expression."""
    image, landmarks = generator.faces(str(path))
    return face_crop(image, landmarks[0], size)[0].pixels


def row_of(
    generator: Generator, path: Path, wanted: Sequence[tuple[str, VA]], beside: Path | None
) -> list[UInt8]:
    """The pictures of one person; raises `SkipPhoto` where the photo is refused."""
    size = int(generator.size or 0)
    image, landmarks = generator.faces(str(path))
    face = generator.prepare(image, landmarks[0])
    tiles = [face.rig.image.pixels]
    tiles += [generator.draw(face, Target(va, k)).image for k, (_, va) in enumerate(wanted)]
    if beside is not None:
        blank = np.full((size, size, 3), 235, np.uint8)
        other = beside / path.name
        tiles.append(face_of(generator, other, size) if other.is_file() else blank)
    return tiles


def sheet(
    generator: Generator,
    photos: Sequence[Path],
    wanted: Sequence[tuple[str, VA]],
    beside: Path | None,
) -> UInt8:
    """All rows below a line of labels."""
    size = int(generator.size or 0)
    labels = ["neutral", *(label for label, _ in wanted)]
    labels += ["real"] if beside else []
    rows = [np.hstack([caption(size, label) for label in labels])]
    for path in photos:
        try:
            rows.append(np.hstack(row_of(generator, path, wanted, beside)))
        except SkipPhoto as skip:
            rows.append(caption(size * len(labels), f"{path.name}: {skip.reason}: {skip}"))
        print(path.name, file=sys.stderr)
    return np.vstack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--input", type=Path, required=True, help="folder of neutral photos")
    parser.add_argument("--output", type=Path, required=True, help="JPEG or PNG to write")
    parser.add_argument("--targets", default="basics", help='basics, rings, grid or "V,A V,A"')
    parser.add_argument("--size", type=int, default=256, help="pixels of one picture")
    parser.add_argument("--beside", type=Path, help="folder of photos shown at the end of rows")
    parser.add_argument("--people", type=int, help="at most so many rows")
    parser.add_argument("--start", type=int, default=0, help="photos to leave out first")
    parser.add_argument("--composite", default=RenderSettings.composite)
    parser.add_argument("--lookup", default="smooth")
    options = parser.parse_args()
    photos = sorted(p for p in options.input.iterdir() if p.suffix.lower() in SUFFIXES)
    photos = photos[options.start :][: options.people]
    if not photos:
        parser.error(f"--input: expected a folder with photos, got none in {options.input}")
    generator = Generator(
        crop="face", size=options.size, composite=options.composite, lookup=options.lookup
    )
    picture = sheet(generator, photos, targets_of(options.targets), options.beside)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(options.output), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92]):
        parser.error(f"--output: expected a .jpg or .png that can be written, got {options.output}")


if __name__ == "__main__":
    main()
