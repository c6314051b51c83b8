"""Sheets of examples: rows of small pictures below titles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from synth.errors import ShapeError

__all__ = ["draw_grid"]

UInt8 = NDArray[np.uint8]

PAPER, INK = "white", "#20242a"
GAP, TITLE = 4, 20


def draw_grid(rows: Sequence[Sequence[UInt8]], titles: Sequence[str] = ()) -> UInt8:
    """Pictures of one size in rows and columns.

    Parameters
    ----------
    rows : sequence of rows of (H, W) or (H, W, 3) uint8
        All of one height and width; at least one.
    titles : sequence of str
        Of the columns; none for no line of titles.

    Returns
    -------
    (h, w, 3) uint8
        RGB.

    Raises
    ------
    ShapeError
        If there is no picture, or their sizes differ.
    """
    sizes = {picture.shape[:2] for row in rows for picture in row}
    if len(sizes) != 1:
        raise ShapeError(f"rows: expected pictures of one size, got {sorted(sizes) or 'none'}")
    height, width = sizes.pop()
    head = TITLE if titles else 0
    columns = max(len(row) for row in rows)
    shape = (columns * (width + GAP) - GAP, head + len(rows) * (height + GAP) - GAP)
    sheet = Image.new("RGB", shape, PAPER)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            place = (x * (width + GAP), head + y * (height + GAP))
            sheet.paste(Image.fromarray(picture).convert("RGB"), place)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for x, title in enumerate(titles):
        draw.text((x * (width + GAP) + width / 2, head - 5), title, INK, font, anchor="ms")
    return np.asarray(sheet)
