"""Faces as tensors of a network's size, kept whole in memory; reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from synth.errors import UsageError
from synth.models.fer import FERConfig, FEROutput
from synth.models.fer.pictures import scale_points, to_input
from synth.recognition.faces import CLASSES, UNLABELLED, FaceSet
from synth.recognition.reader import Readings

__all__ = ["Faces", "forward", "predict", "prepare", "read"]

Tensor = Any
#: Pictures brought to size at a time.
CHUNK = 512


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces as a network of one configuration takes them.

    Attributes
    ----------
    pixels : (N, channels, size, size) uint8
    points : (N, 68, 2) float32 or None
        Pixels of the network's input; None where it reads none.
    va : (N, 2) float32
        NaN where unlabelled.
    label : (N,) int64
        Position in the configuration's classes, or `UNLABELLED`.
    """

    pixels: Tensor
    points: Tensor | None
    va: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: str) -> Faces:
        """The same on a device."""
        points = None if self.points is None else self.points.to(device)
        return Faces(self.pixels.to(device), points, self.va.to(device), self.label.to(device))


def prepare(faces: FaceSet, config: FERConfig, what: str = "data") -> Faces:
    """The faces at the network's size and in its colours, as `to_input` makes them.

    Raises
    ------
    UsageError
        If the network reads landmarks and a face has none; `what` is named.
    """
    shape = (len(faces), config.channels, config.size, config.size)
    pixels = torch.empty(shape, dtype=torch.uint8)
    for start in range(0, len(faces), CHUNK):
        part = slice(start, start + CHUNK)
        pixels[part] = ((to_input(faces.pixels[part], config) + 1) * 127.5).round().to(torch.uint8)
    points = None
    if config.reads_points:
        if missing := int((~np.isfinite(faces.points).all((1, 2))).sum()):
            raise UsageError(
                f"{what}: expected landmarks of each face for {config.arch}, got none for "
                f"{missing} of {len(faces)}; read the set with --points"
            )
        points = scale_points(faces.points, faces.size, config)
    return Faces(pixels, points, torch.from_numpy(faces.va), _labels(faces, config))


def _labels(faces: FaceSet, config: FERConfig) -> Tensor:
    """Positions in the configuration's classes; other classes count as unlabelled."""
    place = torch.full((len(CLASSES) + 1,), UNLABELLED)
    for number, name in enumerate(config.classes):
        if name in CLASSES:
            place[CLASSES.index(name)] = number
    known = np.where(faces.label == UNLABELLED, len(CLASSES), faces.label)
    return place[torch.from_numpy(known)]


def forward(network: Any, pictures: Tensor, points: Tensor | None) -> FEROutput:
    """What a network says; one of video is shown videos of one frame."""
    if network.config.architecture.video:
        output = network(pictures[:, None])
        first = [None if part is None else part[:, 0] for part in output[:3]]
        return FEROutput(first[0], first[1], first[2], output.attention)
    found: FEROutput = network(pictures) if points is None else network(pictures, points=points)
    return found


@torch.inference_mode()
def read(network: Any, faces: Faces, batch: int = 256) -> Readings:
    """What a network says about all of them, in evaluation mode, on its device."""
    config: FERConfig = network.config
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    va, probabilities = [], []
    for start in range(0, len(faces), batch):
        part = slice(start, start + batch)
        pictures = faces.pixels[part].to(device).float().div_(127.5).sub_(1)
        points = None if faces.points is None else faces.points[part].to(device)
        output = forward(network, pictures, points)
        if output.va is not None:
            va.append(output.va.float().cpu().numpy())
        if output.logits is not None:
            probabilities.append(output.logits.float().softmax(1).cpu().numpy())
    network.train(training)
    return Readings(
        np.concatenate(va) if va else None,
        np.concatenate(probabilities) if probabilities else None,
        config.classes,
    )


def predict(network: Any, faces: FaceSet, batch: int = 256, device: str = "cpu") -> Readings:
    """What a network says about the faces of a set.

    Parameters
    ----------
    network : Module
        From `synth.models.fer`.
    faces : FaceSet
        Crops of any side.
    batch : int
        Faces at a time.
    device : {"cpu", "cuda"}

    Raises
    ------
    UsageError
        If the network reads landmarks and some are missing.
    """
    return read(network.to(device), prepare(faces, network.config), batch)
