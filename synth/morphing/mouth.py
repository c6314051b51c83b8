"""What is seen between the lips of a morph.

One photo is seen there, the one whose mouth is most open times its weight. A shut mouth
has nothing to show but stretched lips, so that teeth would fade away, and two open ones
mixed show two sets of teeth through each other. Teeth stay where they are in the head,
and the lips open over them; bent with the lips they would be squeezed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.morphing.layers import FINE, Layer, grid, sample, shared
from synth.types import inter_ocular

__all__ = ["mix_mouth", "mouth_openness", "mouth_share"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
Int = NDArray[np.int64]

#: The mixture of the mouth fades into that of the face over this width, inter-ocular distances.
LIP_FADE = 0.02
TEETH_FADE = 0.035
#: Lips open less than this share of the squared eye distance count as shut.
SHUT = 0.004
INNER_LIPS = slice(60, 68)


def mouth_openness(points: Float) -> float:
    """Area between the inner lips per squared inter-ocular distance, 0 where they are shut."""
    x, y = points[INNER_LIPS].T
    area = 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
    return max(area / inter_ocular(points) ** 2 - SHUT, 0.0)


def mix_mouth(
    total: Float32,
    layers: Sequence[Layer],
    weights: Sequence[float],
    maps: Mapping[int, tuple[Float32, Float32]],
    points: Float,
) -> None:
    """Put what is seen between the lips into a mixture, in place.

    Parameters
    ----------
    total : (H, W, 3) or (H, W) float32
        The mixture of the whole face.
    layers, weights
        As in `synth.morphing.warp.mix`.
    maps : mapping of int to (x, y)
        Inverse maps of the layers used.
    points : (68, 2) float64
        Of the result.
    """
    open_ = {k: weights[k] * mouth_openness(layers[k].points) for k in maps}
    widest = [k for k, part in open_.items() if part == max(open_.values())]
    low = np.floor(points[INNER_LIPS].min(0) - 2 * LIP_FADE * inter_ocular(points)).astype(int)
    high = np.ceil(points[INNER_LIPS].max(0) + 2 * LIP_FADE * inter_ocular(points)).astype(int) + 1
    low, high = np.maximum(low, 0), np.minimum(high, total.shape[1::-1])
    if open_[widest[0]] <= 0 or (high <= low).any():
        return
    box = (slice(low[1], high[1]), slice(low[0], high[0]))
    inner: Any = 0
    for k in widest:  # one, but for a tie
        still = _still_inside(layers[k].points, low, high)
        places = (
            here + (1 - still) * (place[box] - here)
            for here, place in zip(grid(low, high), maps[k], strict=True)
        )
        inner = inner + shared(sample(layers[k], *places), 1 / len(widest))
    share = mouth_share(points, low, high)
    total[box] += (share[..., None] if total.ndim == 3 else share) * (inner - total[box])


def _lips(points: Float, low: Int, high: Int) -> UInt8:
    """Coverage, 0 to 255, of the pixels of a box by the opening between the inner lips."""
    mask = np.zeros(high[::-1] - low[::-1], np.uint8)
    lips = np.rint((points[INNER_LIPS] - low) * (1 << FINE)).astype(np.int32)
    cv2.fillPoly(mask, [lips], 255, cv2.LINE_AA, FINE)
    return mask


def _still_inside(points: Float, low: Int, high: Int) -> Float32:
    """1 well inside the opening of a photo's own lips, 0 outside it or where it is narrow.

    Smooth over `TEETH_FADE`, so that the map does not fold where teeth that stay meet
    what bends with the lips.
    """
    opening = cv2.GaussianBlur(
        _lips(points, low, high).astype(np.float32) / np.float32(255), (0, 0),
        TEETH_FADE * inter_ocular(points),
    )  # fmt: skip
    return np.asarray(np.clip(2 * opening - 1, 0, 1), np.float32)


def mouth_share(points: Float, low: Int, high: Int) -> Float32:
    """1 between the inner lips, fading over `LIP_FADE`, in a box of pixels."""
    sigma = max(LIP_FADE * inter_ocular(points) / 2, 0.3)
    share = cv2.GaussianBlur(_lips(points, low, high), (0, 0), sigma)
    return np.asarray(share, np.float32) / np.float32(255)
