"""Large pictures through a network that normalises by what it sees, in tiles without seams.

Instance norm takes its statistics from the whole input, so two tiles of one picture
would come out in different tones. Here each norm's statistics are taken once, from the
whole picture brought down to the area of a tile, and used for every tile. Tiles overlap
by what an output pixel sees, and are blended with cosine ramps that leave their outer
rims out, where they see the reflection of their border in place of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from synth.errors import UsageError
from synth.models.layers import freeze_norms, receptive_radius, recording_norms, thaw_norms

__all__ = ["SMALLEST_TILE", "run_tiled", "tile_starts"]

Tensor = Any
#: Sides must be multiples of this: the generators halve and double twice.
STEP = 4
#: Smallest side that the generators take, pixels.
SMALLEST = 16
SMALLEST_TILE = 64
#: Outermost share of an overlap that is left out.
RIM = 0.25


def run_tiled(
    network: Any,
    x: Tensor,
    tile: int = 512,
    run: Callable[[Tensor], Tensor] | None = None,
    radius: int | None = None,
) -> Tensor:
    """The network's output for a picture of any size.

    A picture with at most the area of a tile goes through as it is. Odd sides are padded
    by reflection, and cut back.

    Parameters
    ----------
    network : Module
        With `InstanceNorm` layers; keeps height and width.
    x : (1, C, H, W) float32 in [-1, 1]
    tile : int
        Side of a tile, pixels; rounded down to a multiple of 4.
    run : callable, optional
        Applies the network to a tensor, where more is to be done than to call it.
    radius : int, optional
        How far an output pixel looks; found from the layers by default.

    Returns
    -------
    (1, C', H, W) float32

    Raises
    ------
    UsageError
        If the tile is smaller than 64 pixels.
    """
    if tile < SMALLEST_TILE:
        raise UsageError(f"tile: expected {SMALLEST_TILE} pixels or more, got {tile}; use 512")
    apply = run or network
    height, width = x.shape[2:]
    padded = _padded(x)
    with torch.inference_mode():
        if height * width <= tile * tile:
            return apply(padded)[..., :height, :width].float()
        with recording_norms(network):
            apply(_padded(_reduced(x, tile)))
        freeze_norms(network)
        try:
            radius = receptive_radius(network) if radius is None else radius
            return _blended(apply, padded, tile, radius)[..., :height, :width]
        finally:
            thaw_norms(network)


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where the tiles of one axis begin: the last ends with the picture.

    Parameters
    ----------
    length, tile, overlap : int
        Multiples of 4, as the starts then are; neighbours overlap by `overlap` or more.
    """
    if length <= tile:
        return [0]
    return [*range(0, length - tile, tile - overlap), length - tile]


def _blended(apply: Callable[[Tensor], Tensor], x: Tensor, tile: int, radius: int) -> Tensor:
    tile -= tile % STEP
    # Twice the radius: even in the middle of an overlap no tile sees its own border.
    overlap = min(math.ceil(2 * radius / STEP) * STEP, tile // 2 // STEP * STEP)
    height, width = x.shape[2:]
    total: Tensor = None
    weights: Tensor = None
    for top in tile_starts(height, tile, overlap):
        for left in tile_starts(width, tile, overlap):
            rows, columns = (
                slice(top, min(top + tile, height)),
                slice(left, min(left + tile, width)),
            )
            made = apply(x[..., rows, columns]).float()
            ramps = _ramp(rows, height, overlap)[:, None] * _ramp(columns, width, overlap)
            ramps = ramps.to(made.device)
            if total is None:
                total = made.new_zeros((*made.shape[:2], height, width))
                weights = made.new_zeros((height, width))
            total[..., rows, columns] += made * ramps
            weights[rows, columns] += ramps
    return total / weights


def _ramp(place: slice, length: int, overlap: int) -> Tensor:
    """(n,) weights of a tile: cosine ramps at both ends, none where the picture ends."""
    count = place.stop - place.start
    at = torch.arange(count) + 0.5
    rim = RIM * overlap

    def rise(distance: Tensor) -> Tensor:
        share = ((distance - rim) / max(overlap - 2 * rim, 1.0)).clamp(0, 1)
        return 0.5 - 0.5 * torch.cos(math.pi * share)

    weights = torch.ones(count)
    if place.start > 0:
        weights = weights * rise(at)
    if place.stop < length:
        weights = weights * rise(count - at)
    return weights


def _reduced(x: Tensor, tile: int) -> Tensor:
    """The picture brought down to at most the area of a tile."""
    height, width = x.shape[2:]
    factor = tile / math.sqrt(height * width)
    size = [max(1, math.floor(side * factor)) for side in (height, width)]
    return functional.interpolate(x, size=size, mode="bilinear", antialias=True)


def _padded(x: Tensor) -> Tensor:
    """Reflected at the right and at the bottom to sides the network takes."""
    height, width = x.shape[2:]
    for side, axis in ((height, 2), (width, 3)):
        missing = max(SMALLEST, math.ceil(side / STEP) * STEP) - side
        while missing > 0:  # a picture of few pixels is reflected again and again
            some = min(missing, max(1, x.shape[axis] - 1))
            mode = "reflect" if x.shape[axis] > 1 else "replicate"
            x = functional.pad(x, (0, some, 0, 0) if axis == 3 else (0, 0, 0, some), mode=mode)
            missing -= some
    return x
