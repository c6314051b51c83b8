"""Low and high frequencies of square pictures, split exactly.

The low-pass keeps the lowest cosine waves of each axis (a DCT-II projection, so that
borders mirror): linear, symmetric and idempotent, ``low(low(x)) = low(x)``. Hence
replacing the low frequencies of a picture is exact, and the gradient of
``|high(x) - high(c)|^2`` is ``2 high(x - c)``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch

__all__ = ["LOW_SHARE", "highpass", "lowpass", "luminance"]

Tensor = Any

#: Share of the cosine waves per axis that count as low: the finest has a period of 16
#: pixels. ILVR calls it a down-sampling factor of 8. The paper gives no cut-off.
LOW_SHARE = 1 / 8


@lru_cache(maxsize=16)
def _projection(size: int, kept: int, dtype: Any, device: Any) -> Tensor:
    at = torch.arange(size, dtype=torch.float64) + 0.5
    waves = torch.cos(math.pi / size * torch.arange(kept, dtype=torch.float64)[:, None] * at)
    waves = waves / waves.norm(dim=1, keepdim=True)
    return (waves.T @ waves).to(device, dtype)


def lowpass(x: Tensor, share: float = LOW_SHARE) -> Tensor:
    """The low frequencies of pictures (..., H, W), same shape."""
    rows, columns = (
        _projection(side, max(1, round(side * share)), x.dtype, x.device) for side in x.shape[-2:]
    )
    return rows @ x @ columns


def highpass(x: Tensor, share: float = LOW_SHARE) -> Tensor:
    """What `lowpass` leaves."""
    return x - lowpass(x, share)


def luminance(x: Tensor) -> Tensor:
    """(N, 1, H, W) Rec. 601 luminance of (N, 3, H, W) red, green, blue; grey as it is."""
    if x.shape[1] == 1:
        return x
    weights = x.new_tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)
