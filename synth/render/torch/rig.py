"""`TorchRig`: what all targets of a photo share, as tensors of one device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from synth.render.rig import FaceRig

__all__ = ["TorchCurves", "TorchEye", "TorchLid", "TorchLids", "TorchMouth", "TorchRig"]


@dataclass(frozen=True, eq=False)
class TorchCurves:
    """`synth.render.topology.Curves`, and both edges one after the other."""

    upper: Tensor
    lower: Tensor
    edge: Tensor


@dataclass(frozen=True, eq=False)
class TorchLid:
    """`synth.render.lids.Lid` on a device."""

    edge: Tensor
    near: Tensor
    rows: Tensor
    offsets: Tensor
    along: Tensor
    share: Tensor
    rigid: Tensor
    slack: Tensor
    rings: tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class TorchLids:
    """`synth.render.lids.LidMotion` on a device."""

    blink: int
    index: Tensor
    excess: Tensor
    upper: TorchLid
    lower: TorchLid
    inside: Tensor


@dataclass(frozen=True, eq=False)
class TorchEye:
    """`synth.render.eyes.Eye` on a device, and the colour of the lashes (3,) float64."""

    left: int
    top: int
    ball: Tensor
    white: Tensor
    upper: Tensor
    lower: Tensor
    iris: Tensor
    upper_lashes: Tensor
    lower_lashes: Tensor
    lash: Tensor


@dataclass(frozen=True, eq=False)
class TorchMouth:
    """Shape, colours and teeth of the mouth on a device.

    Attributes
    ----------
    upper, lower, tongue : (n,) int64
        Vertices of the lips' edges and of the tongue.
    skin : two of (index, weights)
        As in `synth.render.mouth_shape.MouthShape`.
    back, inset : (t,), (V,) float64
    jaw : int
    colours : (4, 3) float64
        Tooth, gum, tongue, cavity.
    lift : float
        As in `synth.render.mouth.MouthColours`.
    edges, crowns, steps, shades : (2, 6) float64
        As in `synth.render.teeth.Teeth`.
    """

    upper: Tensor
    lower: Tensor
    skin: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    tongue: Tensor
    back: Tensor
    jaw: int
    inset: Tensor
    colours: Tensor
    lift: float
    edges: Tensor
    crowns: Tensor
    steps: Tensor
    shades: Tensor


@dataclass(frozen=True, eq=False)
class TorchRig:
    """A `FaceRig` on a device.

    Attributes
    ----------
    rig : FaceRig
    device : torch.device
    photo : (H, W, 3) uint8
    spline : (H, W, 3) float32
    model_faces, faces : (f, 3), (F, 3) int64
        Of the model, and of the drawn surface.
    labels, carries, mouth_faces, eye_faces : (F,) int64, bool
    vertices, normals : (V, 3) float64
        Neutral, model space.
    neutral : (V, 3) float64
        Projected.
    blendshapes : (E, V, 3) float32
    corner_faces : (V, n) int64
    skirt, follow, outline : (S, 2), (S, O) float64, (O,) int64
    values : (V + S, 6) float32
    guard, rest : (V,), (V, 3) float64
    landmark_corners, landmark_bary : (68, 3) int64, float64
    fold_maps, fold_weight, fold_channels : float32, or None
    lip : (3,) float32
    lips, lid_curves, lids, eyes, mouth
        Lips, lids right and left, eyes right and left, mouth.
    """

    rig: FaceRig
    device: torch.device
    photo: Tensor
    spline: Tensor
    model_faces: Tensor
    faces: Tensor
    labels: Tensor
    carries: Tensor
    mouth_faces: Tensor
    eye_faces: Tensor
    vertices: Tensor
    normals: Tensor
    neutral: Tensor
    blendshapes: Tensor
    corner_faces: Tensor
    skirt: Tensor
    follow: Tensor
    outline: Tensor
    values: Tensor
    guard: Tensor
    rest: Tensor
    landmark_corners: Tensor
    landmark_bary: Tensor
    fold_maps: Tensor | None
    fold_weight: Tensor | None
    fold_channels: Tensor | None
    lip: Tensor
    lips: TorchCurves
    lid_curves: tuple[TorchCurves, TorchCurves]
    lids: tuple[TorchLids, TorchLids]
    eyes: tuple[TorchEye, TorchEye]
    mouth: TorchMouth

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photo."""
        return int(self.photo.shape[0]), int(self.photo.shape[1])
