"""Pictures to tensors and back: uint8 arrays, and NCHW float32 in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["to_pixels", "to_tensor"]

Tensor = Any
UInt8 = NDArray[np.uint8]


def to_tensor(pictures: Sequence[UInt8] | UInt8) -> Tensor:
    """(N, C, H, W) float32 in [-1, 1]: 0 is -1, 255 is 1.

    Parameters
    ----------
    pictures : (N, H, W) or (N, H, W, 3) uint8
        An array, or a list of pictures of one size.
    """
    stack = np.ascontiguousarray(pictures)
    if stack.ndim == 3:
        stack = stack[..., None]
    values = torch.from_numpy(stack).permute(0, 3, 1, 2).to(torch.float32)
    return (values / 127.5 - 1).contiguous()


def to_pixels(tensor: Tensor) -> UInt8:
    """(N, H, W) uint8 of 1 channel or (N, H, W, 3) of 3; rounded, clipped to 0 ... 255."""
    values = ((tensor.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    array = np.asarray(values.permute(0, 2, 3, 1).cpu().numpy(), np.uint8)
    return array[..., 0] if array.shape[3] == 1 else array
