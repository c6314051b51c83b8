"""Contact sheets: photo | translation | real near-infrared picture, rows by skin tone.

Faces are aligned, so that eyes stand above eyes. The real pictures show other people
unless the set is paired; they stand there to be compared with by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.color import to_rgb
from synth.errors import ShapeError
from synth.evaluation.faces import SIZE, align_matrix, cut
from synth.evaluation.skin_tone import TONES

__all__ = ["SheetRow", "face_picture", "tone_sheet"]

UInt8 = NDArray[np.uint8]
#: Side of a face, gap between faces of a row, between rows and beside the sheet, pixels.
FACE, GAP, BETWEEN, MARGIN = 176, 2, 16, 20
#: Height of a caption and of a group's heading, pixels.
CAPTION, HEADING = 16, 30
#: Part of the aligned face that is shown: half its side, and its centre below the eyes.
HALF, BELOW = 150, 36
PAPER, INK, GREY = (255, 255, 255), (32, 36, 42), (120, 126, 134)


@dataclass(frozen=True, eq=False)
class SheetRow:
    """Three pictures of `face_picture` and what stands below them.

    Attributes
    ----------
    tone : str
        Of `synth.evaluation.skin_tone.TONES`, or "" where it is not known.
    vis, translated : (h, h, 3) uint8
    real : (h, h, 3) uint8 or None
    caption : str
    """

    tone: str
    vis: UInt8
    translated: UInt8
    real: UInt8 | None
    caption: str = ""


def face_picture(pixels: UInt8, points: NDArray[np.float64], side: int = FACE) -> UInt8:
    """(side, side, 3) the aligned face from hair to chin, in its colours.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    points : (68, 2) float
    """
    matrix, scale = align_matrix(points)
    crop = to_rgb(cut(pixels, matrix, scale))
    middle = (matrix[:, :2] @ ((points[36] + points[45]) / 2) + matrix[:, 2]).round().astype(int)
    left = int(np.clip(middle[0] - HALF, 0, SIZE - 2 * HALF))
    top = int(np.clip(middle[1] + BELOW - HALF, 0, SIZE - 2 * HALF))
    part = crop[top : top + 2 * HALF, left : left + 2 * HALF]
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA))


def tone_sheet(rows: Sequence[SheetRow], across: int = 3, title: str = "") -> UInt8:
    """(H, W, 3) sheet of all rows, light skin first.

    Parameters
    ----------
    rows : sequence of SheetRow
    across : int
        Triples beside each other.
    title : str

    Raises
    ------
    ShapeError
        If there is no row, or the pictures are of several sizes.
    """
    sides = {picture.shape for row in rows for picture in (row.vis, row.translated)}
    if len(sides) != 1:
        raise ShapeError(f"rows: expected pictures of one size, got {sorted(sides) or 'none'}")
    side = next(iter(sides))[0]
    order = [name for name, _ in TONES] + [""]
    groups = [(tone, [row for row in rows if row.tone == tone]) for tone in order]
    groups = [(tone, members) for tone, members in groups if members]
    across = max(1, min(across, max(len(members) for _, members in groups)))
    triple = 3 * side + 2 * GAP
    lines = sum(-(-len(members) // across) for _, members in groups)
    height = 2 * MARGIN + HEADING * (1 + len(groups)) + lines * (side + CAPTION)
    sheet = Image.new("RGB", (2 * MARGIN + across * (triple + BETWEEN) - BETWEEN, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, INK, ImageFont.load_default(16))
    y = MARGIN + HEADING
    for tone, members in groups:
        name = f"{tone or 'tone not known'} (n = {len(members)})"
        draw.text((MARGIN, y + 6), name, INK, ImageFont.load_default(14))
        y += HEADING
        for start in range(0, len(members), across):
            for place, row in enumerate(members[start : start + across]):
                _draw_triple(sheet, row, MARGIN + place * (triple + BETWEEN), y, side)
            y += side + CAPTION
    return np.asarray(sheet)


def _draw_triple(sheet: Image.Image, row: SheetRow, x: int, y: int, side: int) -> None:
    for place, picture in enumerate((row.vis, row.translated, row.real)):
        if picture is not None:
            sheet.paste(Image.fromarray(picture), (x + place * (side + GAP), y))
    ImageDraw.Draw(sheet).text((x, y + side + 1), row.caption, GREY, ImageFont.load_default(11))
