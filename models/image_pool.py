"""A pool of earlier fakes, so that a discriminator does not forget them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from synth.errors import UsageError

__all__ = ["ImagePool"]

Tensor = Any


class ImagePool:
    """The last fakes and some older ones [1]_.

    While the pool fills, fakes pass and are kept; then each fake is, with probability
    one half, exchanged for a kept one.

    Parameters
    ----------
    size : int
        Pictures kept; 50 in Zhu et al. 2017. 0 lets every fake pass.
    seed : int

    References
    ----------
    .. [1] Shrivastava et al., "Learning from simulated and unsupervised images through
       adversarial training", CVPR 2017, section 2.3.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        if size < 0:
            raise UsageError(f"pool: expected 0 or more pictures, got {size}")
        self.size = size
        self.images: list[Tensor] = []
        self.rng = np.random.default_rng(seed)

    def exchange(self, fakes: Tensor) -> Tensor:
        """(N, C, H, W) fakes for the discriminator: these or earlier ones, detached."""
        if self.size == 0:
            return fakes.detach()
        chosen = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
            elif self.rng.random() < 0.5:
                at = int(self.rng.integers(self.size))
                fake, self.images[at] = self.images[at], fake.clone()
            chosen.append(fake)
        return torch.stack(chosen)

    def state(self) -> dict[str, Any]:
        """Pictures and generator, for `torch.save`."""
        return {"images": list(self.images), "rng": self.rng.bit_generator.state}

    def restore(self, state: dict[str, Any], device: str = "cpu") -> None:
        """Take up a `state`."""
        self.images = [image.to(device) for image in state["images"]]
        self.rng.bit_generator.state = state["rng"]
