"""Frames of videos: one folder of numbered photos a video."""

from __future__ import annotations

import os
import re
from pathlib import Path

from synth.errors import UsageError
from synth.image_files import EXTENSIONS

__all__ = ["numbered_frames", "every_of"]

#: The number is what a name ends with: 00001.jpg, frame_0001.png, frame_det_00_000001.bmp.
NUMBER = re.compile(r"(?:.*\D)?(\d+)")


def numbered_frames(folder: Path, every: int = 1) -> list[tuple[int, Path]]:
    """Number and path of the photos in a folder, by number.

    The folder is listed once and no file is opened: sets have millions of frames.

    Parameters
    ----------
    every : int
        1 for all frames, k for those whose number k divides, counted from the first one.

    Raises
    ------
    UsageError
        If a photo has no number, or two have the same.
    """
    found: dict[int, str] = {}
    for entry in os.scandir(folder):
        stem, extension = os.path.splitext(entry.name)
        if extension.lower() not in EXTENSIONS or entry.name.startswith("."):
            continue
        hit = NUMBER.fullmatch(stem)
        if hit is None or int(hit[1]) in found:
            other = f" beside {found[int(hit[1])]}" if hit else ""
            raise UsageError(
                f"frames: expected one photo a number in {folder}, such as 00001.jpg, got "
                f"{entry.name}{other}; rename or remove it"
            )
        found[int(hit[1])] = entry.name
    if not found:
        return []
    first = min(found)
    return [(n, folder / found[n]) for n in sorted(found) if (n - first) % every == 0]


def every_of(text: str) -> int:
    """The option ``every``: each k-th frame.

    Raises
    ------
    UsageError
        If it is no whole number above 0.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise UsageError(f"every: expected a whole number above 0, got {text!r}")
    return int(text)
