"""Batches of VIS and NIR pictures from a set: which pictures meet, and how they are cut.

What is random is drawn first, from the generator handed in, and then applied: partners
get the same crop, flip and stripes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from synth.corpora import CorpusImage, check_pairs
from synth.corpora import pairs as find_pairs
from synth.errors import UsageError
from synth.images import load_image, resize
from synth.models.layers import REC601
from synth.models.tensors import to_tensor

__all__ = ["PAIRINGS", "Batch", "PairSampler", "PictureCache", "View", "Views", "cut", "draw_view"]

UInt8 = NDArray[np.uint8]
Tensor = Any
PAIRINGS = ("unpaired", "half", "paired")
#: Share of the side that pictures keep between side stripes.
NARROW = (0.6, 0.9)
#: Decoded pictures kept, bytes.
ROOM = 1 << 30


@dataclass(frozen=True)
class Views:
    """How pictures are cut for training.

    Attributes
    ----------
    size : int
        Side of the square, pixels; a multiple of 4.
    margin : float
        The shorter side is brought to ``margin * size`` before a random square is cut:
        286 / 256 in Zhu et al. 2017. 1 for no play.
    stripes : float
        Share of pictures shown whole, upright and narrow between black side stripes, as
        faces cut out by a tight box and letterboxed are (Kalabis 2024); the others fill
        the square.
    flip : bool
        Mirror every other picture.
    """

    size: int = 256
    margin: float = 286 / 256
    stripes: float = 0.5
    flip: bool = True

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 4:
            raise UsageError(
                f"size: expected a multiple of 4 from 16 pixels on, got {self.size}; use 256"
            )
        if not 1 <= self.margin <= 4:
            raise UsageError(f"margin: expected 1 to 4, got {self.margin}")
        if not 0 <= self.stripes <= 1:
            raise UsageError(f"stripes: expected a share from 0 to 1, got {self.stripes}")


@dataclass(frozen=True)
class View:
    """One drawn way of cutting: place of the square (0 ... 1), width between stripes (0: none)."""

    x: float = 0.5
    y: float = 0.5
    narrow: float = 0.0
    flip: bool = False


def draw_view(rng: np.random.Generator, views: Views) -> View:
    """A random view; always takes five numbers from `rng`."""
    x, y, stripes, narrow, flip = rng.random(5)
    low, high = NARROW
    return View(
        float(x),
        float(y),
        low + (high - low) * float(narrow) if stripes < views.stripes else 0.0,
        bool(views.flip and flip < 0.5),
    )


def cut(pixels: UInt8, view: View, views: Views) -> UInt8:
    """(size, size) or (size, size, 3) of a picture, as the view says.

    Parameters
    ----------
    pixels : (H, W) or (H, W, 3) uint8
    view : View
    views : Views
    """
    pixels = pixels[:, ::-1] if view.flip else pixels
    if view.narrow:
        return _striped(pixels, view.narrow, views.size)
    side = round(views.margin * views.size)
    pixels = _scaled(pixels, side / min(pixels.shape[:2]))
    top = round(view.y * (pixels.shape[0] - views.size))
    left = round(view.x * (pixels.shape[1] - views.size))
    return pixels[top : top + views.size, left : left + views.size]


def _striped(pixels: UInt8, narrow: float, size: int) -> UInt8:
    """The whole height, as much of the width about the middle as `narrow` leaves, on black."""
    pixels = _scaled(pixels, size / max(pixels.shape[:2]))
    wide = min(pixels.shape[1], round(narrow * size))
    skip = (pixels.shape[1] - wide) // 2
    square = np.zeros((size, size, *pixels.shape[2:]), np.uint8)
    top, left = (size - pixels.shape[0]) // 2, (size - wide) // 2
    square[top : top + pixels.shape[0], left : left + wide] = pixels[:, skip : skip + wide]
    return square


def _scaled(pixels: UInt8, factor: float) -> UInt8:
    height, width = (max(1, round(factor * side)) for side in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return np.ascontiguousarray(pixels)
    return resize(np.ascontiguousarray(pixels), width, height)


class PictureCache:
    """Decoded pictures, brought to the size that views need, the latest used kept.

    NIR pictures become one channel (Rec. 601, which changes nothing where the file is
    grey).
    """

    def __init__(self, views: Views, room: int = ROOM) -> None:
        self._side = round(views.margin * views.size)
        self._room = room
        self._kept: OrderedDict[tuple[str, str], UInt8] = OrderedDict()
        self._used = 0

    def __call__(self, image: CorpusImage) -> UInt8:
        """(H, W, 3) uint8 for VIS, (H, W) for NIR.

        Raises
        ------
        SkipPhoto
            If the file is no readable image.
        """
        key = (image.spectrum, str(image.path))
        if key not in self._kept:
            pixels = load_image(image.path, name=image.name).pixels
            if image.spectrum == "nir":
                pixels = np.rint(pixels @ np.array(REC601)).astype(np.uint8)
            pixels = _scaled(pixels, min(1.0, self._side / min(pixels.shape[:2])))
            self._kept[key] = pixels
            self._used += pixels.nbytes
            while self._used > self._room and len(self._kept) > 1:
                self._used -= self._kept.popitem(last=False)[1].nbytes
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass(frozen=True)
class Batch:
    """Pictures to train on.

    Attributes
    ----------
    vis : (N, 3, size, size) float32 tensor
    nir : (N, 1, size, size) float32 tensor
        In [-1, 1].
    paired : (N,) bool tensor
        Whether the two of an item show the same moment.
    """

    vis: Tensor
    nir: Tensor
    paired: Tensor

    def to(self, device: str) -> Batch:
        """The batch on another device."""
        return Batch(self.vis.to(device), self.nir.to(device), self.paired.to(device))


class PairSampler:
    """Draws batches.

    ``unpaired``: VIS and NIR pictures are drawn apart, whatever the set says. ``paired``:
    every picture must have a partner, and partners meet. ``half``: pictures with a
    partner meet it, the others meet anyone that is left over.

    Parameters
    ----------
    images : sequence of CorpusImage
        Of both spectra.
    pairing : {"unpaired", "half", "paired"}
    views : Views

    Raises
    ------
    UsageError
        If a spectrum is missing, the pairing is unknown, or pictures lack the partner that
        it needs; the message says how many have one.
    """

    def __init__(
        self, images: Sequence[CorpusImage], pairing: str = "unpaired", views: Views = Views()
    ) -> None:
        self.views = views
        self.vis = [image for image in images if image.spectrum == "vis"]
        self.nir = [image for image in images if image.spectrum == "nir"]
        if not self.vis or not self.nir:
            raise UsageError(
                f"data: expected VIS and NIR pictures, got {len(self.vis)} and {len(self.nir)}; "
                "put them into vis/ and nir/ below one folder, or name another --corpus"
            )
        self.pairs = self._pairs(images, pairing)
        met = {(image.spectrum, image.path) for both in self.pairs for image in both}
        self._loose = tuple(
            [image for image in those if (image.spectrum, image.path) not in met]
            for those in (self.vis, self.nir)
        )
        self._pictures = PictureCache(views)

    def _pairs(
        self, images: Sequence[CorpusImage], pairing: str
    ) -> list[tuple[CorpusImage, CorpusImage]]:
        if pairing not in PAIRINGS:
            raise UsageError(f"pairing: expected one of {', '.join(PAIRINGS)}, got {pairing!r}")
        if pairing == "unpaired":
            return []
        if pairing == "paired":
            return check_pairs(images)
        found = find_pairs(images)
        if not found:
            raise UsageError(
                f"pairing: expected some pairs for half, got none among {len(self.vis)} VIS and "
                f"{len(self.nir)} NIR pictures; give partners the same name, or use unpaired"
            )
        return found

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A batch of `count` items, with replacement.

        Raises
        ------
        SkipPhoto
            If a file is no readable image.
        """
        items = [self._item(rng) for _ in range(count)]
        vis, nir, paired = zip(*items, strict=True)
        return Batch(to_tensor(vis), to_tensor(nir), torch.tensor(paired))

    def _item(self, rng: np.random.Generator) -> tuple[UInt8, UInt8, bool]:
        loose = max(map(len, self._loose))
        at = int(rng.integers(len(self.pairs) + loose))
        view = draw_view(rng, self.views)
        if at < len(self.pairs):
            vis, nir = (cut(self._pictures(i), view, self.views) for i in self.pairs[at])
            return vis, nir, True
        # Where one spectrum has nothing left over, all of its pictures are met.
        chosen = [
            some[int(rng.integers(len(some)))]
            for some in (self._loose[0] or self.vis, self._loose[1] or self.nir)
        ]
        views = (view, draw_view(rng, self.views))
        vis, nir = (
            cut(self._pictures(image), v, self.views)
            for image, v in zip(chosen, views, strict=True)
        )
        return vis, nir, False
