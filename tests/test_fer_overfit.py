"""Every reader can learn 64 pictures by heart: valence, arousal and classes at once.

    python -m pytest -m slow tests/test_fer_overfit.py

Thin networks on small pictures, some ten seconds each on one core; judged as they are used,
in evaluation, where the running means of the norms count.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from synth.models.fer import ARCHITECTURES, FERConfig, build

CLASSES = tuple("abcdefgh")
FRAMES = 4
#: Architecture -> greatest learning rate, steps, width.
RECIPES = {
    "small_cnn": (3e-3, 200, 1.0),
    "mobilenet_v1": (3e-3, 200, 0.25),
    "mobilenet_v2": (2e-3, 400, 0.25),
    "mobilenet_v3_small": (3e-3, 200, 0.5),
    "mobilenet_v3_large": (3e-3, 200, 0.25),
    "efficientnet_b0": (3e-3, 200, 0.25),
    "ddamfn": (3e-3, 200, 0.125),
    "poster": (1e-3, 200, 0.125),
    "poster_tiny": (1e-3, 200, 0.125),
    "vgg_face": (1e-3, 200, 0.125),
    "resnet50": (2e-3, 300, 0.125),
    "vgg_face_gru": (1.5e-3, 1200, 0.125),
    "resnet50_gru": (3e-3, 1600, 0.125),
}


def faces(config: FERConfig) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """64 smooth pictures, or 16 clips of 4, with places on the disc and classes at random."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(64, config.channels, 8, 8, generator=random) * 2 - 1
    images = functional.interpolate(coarse, size=config.size, mode="bilinear")
    radius = 0.95 * torch.rand(64, generator=random).sqrt()
    angle = 2 * math.pi * torch.rand(64, generator=random)
    va = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    labels = torch.randint(len(CLASSES), (64,), generator=random)
    if config.architecture.video:
        return tuple(x.unflatten(0, (-1, FRAMES)) for x in (images, va, labels))
    return images, va, labels


def fit(config: FERConfig, rate: float, steps: int) -> tuple[float, float]:
    """Mean squared error and cross entropy of the 64, after learning them in halves."""
    images, va, labels = faces(config)

    def losses(some: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        said = network(images[some])
        return (
            functional.mse_loss(said.va, va[some]),
            functional.cross_entropy(said.logits.flatten(0, -2), labels[some].flatten()),
        )

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(config).train()
        optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
        for _ in range(steps // 2):
            for half in torch.randperm(len(images)).chunk(2):
                optimiser.zero_grad()
                sum(losses(half)).backward()
                nn.utils.clip_grad_norm_(network.parameters(), 5)
                optimiser.step()
                schedule.step()
        network.eval()
        with torch.no_grad():
            error, entropy = losses(torch.arange(len(images)))
    return float(error), float(entropy)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_64_pictures_are_learnt_by_heart(arch):
    rate, steps, width = RECIPES[arch]
    config = FERConfig(arch, classes=CLASSES, size=32, channels=1, width=width)
    error, entropy = fit(config, rate, steps)
    print(f"{arch}: mean squared error {error:.5f}, cross entropy {entropy:.5f}")
    assert error < 0.01  # the labels' own variance is 0.23
    assert entropy < 0.05  # of chance: 2.08
