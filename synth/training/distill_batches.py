"""Pairs as batches of tensors, mirrored and in another light."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from synth.training.distill_losses import Batch
from synth.training.distill_pairs import DIRECTIONS, Pairs

__all__ = ["draw_batch"]

#: Standard deviations of log gamma, log exposure and each channel's log gain.
TONE = (0.18, 0.15, 0.05)
#: Degrees around contempt, a one-sided expression, that are not mirrored.
ONE_SIDED = 30.0


def draw_batch(pairs: Pairs, rows: NDArray[np.int64], rng: np.random.Generator | None) -> Batch:
    """Pairs as tensors, mirrored and in another light at random; as they are without `rng`."""
    tone = _tone(len(rows), rng)
    mouth = pairs.mouth[rows]
    parts = {
        "source": _relit(pairs.source[rows], tone),
        "target": _relit(pairs.target[rows], tone),
        "flow": np.moveaxis(pairs.flow[rows].astype(np.float32), -1, 1),
        "known": pairs.known[rows][:, None].astype(np.float32),
        "gain": pairs.gain[rows][:, None].astype(np.float32) * tone[0][:, None, None, None],
        "mouth": _relit(mouth[..., :3], tone),
        "share": mouth[..., 3][:, None].astype(np.float32) / 255,
    }
    code = pairs.code[rows]
    if rng is not None:
        sided = np.abs((code[:, 0] - DIRECTIONS["contempt"] + 180) % 360 - 180) < ONE_SIDED
        flip = (rng.random(len(rows)) < 0.5) & ~sided
        for value in parts.values():
            value[flip] = value[flip][..., ::-1]
        parts["flow"][flip, 0] *= -1
    tensors = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in parts.items()}
    theta = torch.from_numpy(np.radians(code[:, 0]).astype(np.float32))
    return Batch(**tensors, theta=theta, rho=torch.from_numpy(code[:, 1].copy()))


def _tone(count: int, rng: np.random.Generator | None) -> tuple[NDArray[np.float32], ...]:
    """(B,) gamma and (B, 3) factors."""
    if rng is None:
        return np.ones(count, np.float32), np.ones((count, 3), np.float32)
    gamma = np.exp(rng.normal(0, TONE[0], count))
    factor = np.exp(rng.normal(0, TONE[1], (count, 1)) + rng.normal(0, TONE[2], (count, 3)))
    return gamma.astype(np.float32), factor.astype(np.float32)


def _relit(pixels: NDArray[np.uint8], tone: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
    """(B, 3, h, w) in [-1, 1]."""
    gamma, factor = (t.reshape(len(pixels), 1, 1, -1) for t in tone)
    curve = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None]
    table = np.minimum(curve ** gamma[:, 0] * factor[:, 0], 1.0)  # (B, 256, 3)
    light = np.stack([
        np.stack([table[i, :, c][pixels[i, ..., c]] for c in range(3)]) for i in range(len(pixels))
    ])  # fmt: skip
    return np.asarray(2 * light - 1, np.float32)
