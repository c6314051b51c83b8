"""What a face reader is made of, and what it answers: no torch needed to read this.

A reader takes float32 sRGB ``(N, channels, size, size)`` in [-1, 1] (`NORMALISATION`), one
channel for grey or near-infrared pictures, and answers with a `FEROutput`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from synth.errors import AssetError, UsageError

__all__ = [
    "ARCHITECTURES",
    "LIBRARIES",
    "NORMALISATION",
    "TASKS",
    "Architecture",
    "FERConfig",
    "FEROutput",
    "architecture_of",
]

Tensor = Any

#: How the networks here want 8-bit pixels.
NORMALISATION = "pixels / 127.5 - 1"
#: What a reader can answer: valence and arousal, a class of expression, both.
TASKS = ("va", "expr", "both")


@dataclass(frozen=True)
class Architecture:
    """Where a kind of network is built and how it is to be fed.

    Attributes
    ----------
    module : str
        Module in this package with a function ``build(config)``.
    size : int
        Side of the pictures in the paper, pixels.
    step : int
        Sides are multiples of it, and at least 32.
    video : bool
        Whether it takes (N, T, channels, size, size) and answers for each frame.
    points : bool
        Whether it takes landmarks (N, 68, 2), in pixels of its input, where they are given.
    """

    module: str
    size: int = 224
    step: int = 1
    video: bool = False
    points: bool = False


#: Name -> network. MobileNetV1 at half width is ``mobilenet_v1`` with ``width=0.5``.
ARCHITECTURES: dict[str, Architecture] = {
    "small_cnn": Architecture("small_cnn", size=64, step=16),
    "mobilenet_v1": Architecture("mobilenet"),
    "mobilenet_v2": Architecture("mobilenet"),
    "mobilenet_v3_small": Architecture("mobilenet"),
    "mobilenet_v3_large": Architecture("mobilenet"),
    "efficientnet_b0": Architecture("efficientnet"),
    "ddamfn": Architecture("ddamfn", size=112),
    "poster": Architecture("poster", step=32, points=True),
    "poster_tiny": Architecture("poster", step=32, points=True),
    "vgg_face": Architecture("vggface"),
    "resnet50": Architecture("resnet"),
    "vgg_face_gru": Architecture("video", size=96, video=True),
    "resnet50_gru": Architecture("video", size=96, video=True),
}
#: Packages whose networks can be the backbone: ``torchvision:resnet18``, ``timm:NAME``.
LIBRARIES = ("torchvision", "timm")
FOREIGN = Architecture("foreign")


def architecture_of(arch: str) -> Architecture:
    """Where the network of this name is built and how it is fed.

    Raises
    ------
    UsageError
        If there is none: neither a key of `ARCHITECTURES` nor a name of a `LIBRARIES`' one.
    """
    library, _, name = arch.partition(":")
    if library in LIBRARIES and name:
        return FOREIGN
    if arch not in ARCHITECTURES:
        raise UsageError(
            f"arch: expected one of {', '.join(ARCHITECTURES)}, torchvision:NAME or timm:NAME, "
            f"got {arch!r}"
        )
    return ARCHITECTURES[arch]


class FEROutput(NamedTuple):
    """What a reader says about N pictures, or N x T frames of video.

    Attributes
    ----------
    va : (N, 2) or (N, T, 2), or None
        Valence and arousal, each in [-1, 1] (tanh), not confined to the unit disc.
    logits : (N, C) or (N, T, C), or None
        Of the classes, in the order of the configuration.
    features : (N, F) or (N, T, F)
        What the heads read.
    attention : tuple of (N, F, H, W)
        Maps of the attention heads, where the network has them (DDAMFN).
    """

    va: Tensor | None
    logits: Tensor | None
    features: Tensor
    attention: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class FERConfig:
    """What rebuilds a reader.

    Attributes
    ----------
    arch : str
        A key of `ARCHITECTURES`, or a network of one of `LIBRARIES` and its name there:
        see `synth.models.fer.foreign`.
    va : bool
        Whether it answers with valence and arousal.
    classes : tuple of str
        Names of the expressions in the order of the logits; empty: no class head.
    size : int
        Side of the pictures, pixels.
    channels : {3, 1}
        Colour, or grey and near infrared.
    width : float
        Factor on the number of channels, rounded to what the network can divide.
    dropout : float
        Share of the features dropped before the heads while training; in EfficientNet
        and POSTER also the share of the deepest residual branches dropped.
    landmarks : bool
        Whether it also reads the 68 landmarks, which then have to be given with each
        picture: see `synth.models.fer.blocks.LandmarkBranch`. Not for networks of video or
        those that take landmarks of their own accord.
    """

    arch: str = "mobilenet_v2"
    va: bool = True
    classes: tuple[str, ...] = ()
    size: int = 112
    channels: int = 3
    width: float = 1.0
    dropout: float = 0.0
    landmarks: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        architecture = architecture_of(self.arch)
        if not self.va and not self.classes:
            raise UsageError("va, classes: expected at least one head, got neither; name classes")
        if len(self.classes) == 1 or len(set(self.classes)) < len(self.classes):
            raise UsageError(
                f"classes: expected two or more different names, got {', '.join(self.classes)}"
            )
        step = architecture.step
        if not 32 <= self.size <= 1024 or self.size % step:
            wanted = f"a multiple of {step}, 32 to 1024" if step > 1 else "32 to 1024"
            raise UsageError(f"size: expected {wanted} pixels for {self.arch}, got {self.size}")
        if self.channels not in (1, 3):
            raise UsageError(f"channels: expected 3 (colour) or 1 (grey), got {self.channels}")
        if not 0 < self.width <= 4:
            raise UsageError(f"width: expected more than 0 and at most 4, got {self.width}")
        if self.foreign and self.width != 1:
            raise UsageError(f"width: expected 1 for {self.arch}, got {self.width}; leave it out")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout: expected 0 or more and less than 1, got {self.dropout}")
        if self.landmarks and (architecture.video or architecture.points):
            raise UsageError(
                f"landmarks: expected no branch for them with {self.arch}; leave it out"
            )

    @property
    def reads_points(self) -> bool:
        """Whether its forward takes ``points``."""
        return self.landmarks or self.architecture.points

    @property
    def foreign(self) -> bool:
        """Whether its backbone is a network of one of `LIBRARIES`."""
        return self.architecture is FOREIGN

    @property
    def task(self) -> str:
        """One of `TASKS`."""
        return "both" if self.va and self.classes else "va" if self.va else "expr"

    @property
    def architecture(self) -> Architecture:
        """Where it is built and how it is fed."""
        return architecture_of(self.arch)

    def dumps(self) -> str:
        """As JSON, for the metadata of a weights file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def loads(cls, text: str) -> FERConfig:
        """Back from JSON.

        Raises
        ------
        AssetError
            If it is not the configuration of a reader.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, UsageError) as error:
            raise AssetError(
                f"config: expected that of a network of synth.models.fer, got {text[:80]!r} "
                f"({error}); use weights written by save_fer"
            ) from None
