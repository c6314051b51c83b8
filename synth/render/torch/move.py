"""Move a `FaceRig` to a device, once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from synth.errors import UsageError
from synth.render.eyes import Eye
from synth.render.lids import Lid, LidMotion
from synth.render.mouth_shape import MouthShape, mouth_shape
from synth.render.rig import FaceRig
from synth.render.teeth import tooth_set
from synth.render.topology import CAVITY, TONGUE, Curves
from synth.render.torch.rig import (
    TorchCurves,
    TorchEye,
    TorchLid,
    TorchLids,
    TorchMouth,
    TorchRig,
)

__all__ = ["torch_rig"]

#: Rigs that stay on their devices: a run draws one photo after the other.
KEPT = 4

_CACHE: OrderedDict[tuple[int, str], TorchRig] = OrderedDict()


def torch_rig(rig: FaceRig, device: str = "cpu") -> TorchRig:
    """The rig's arrays on a device, moved there on first use.

    Raises
    ------
    UsageError
        If `device` is neither ``cpu`` nor a CUDA device that is there, or the rig is
        composed by Poisson blending.
    """
    if rig.paper is not None or rig.settings.composite != "warp":
        raise UsageError(
            f"composite: expected 'warp' for batches in torch, got {rig.settings.composite!r}; "
            "build the rig with 'warp', or draw it with synth.render.face.render"
        )
    where = _device(device)
    key = (id(rig), str(where))
    found = _CACHE.get(key)
    if found is None or found.rig is not rig:
        found = _CACHE[key] = _build(rig, where)
    _CACHE.move_to_end(key)
    while len(_CACHE) > KEPT:
        _CACHE.popitem(last=False)
    return found


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device: expected cpu, cuda or cuda:N, got {name!r}")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise UsageError(
                f"device: expected one of this machine's {count} CUDA devices, got {name!r}; "
                "use cpu"
            )
    return device


class _Mover:
    """Arrays to tensors of one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, array: Any, dtype: torch.dtype | None = None) -> Tensor:
        # A copy of its own: arrays may be read-only, and the caller's must not be shared.
        return torch.tensor(np.ascontiguousarray(array), dtype=dtype, device=self.device)

    def real(self, array: Any) -> Tensor:
        """As float64."""
        return self(array, torch.float64)

    def index(self, array: Any) -> Tensor:
        """As int64."""
        return self(array, torch.int64)


def _build(rig: FaceRig, device: torch.device) -> TorchRig:
    to = _Mover(device)
    model, surface, topology, folds = rig.model, rig.surface, rig.topology, rig.folds
    labels: NDArray[np.uint8] = surface.labels
    return TorchRig(
        rig=rig,
        device=device,
        photo=to(rig.image.pixels),
        spline=to(rig.spline),
        model_faces=to.index(model.faces),
        faces=to.index(surface.faces),
        labels=to.index(labels),
        carries=to(rig.carries),
        mouth_faces=to((labels >= CAVITY) & (labels <= TONGUE)),
        eye_faces=to(rig.eye_faces),
        vertices=to.real(rig.fit.vertices),
        normals=to.real(rig.normals),
        neutral=to.real(rig.neutral),
        blendshapes=to(model.blendshapes),
        corner_faces=to.index(topology.corner_faces),
        skirt=to.real(surface.skirt),
        follow=to.real(surface.follow),
        outline=to.index(surface.outline),
        values=to(rig.values),
        guard=to.real(rig.guard),
        rest=to.real(topology.rest),
        landmark_corners=to.index(model.faces[model.landmark_faces]),
        landmark_bary=to.real(model.landmark_bary),
        fold_maps=to(folds.maps) if folds else None,
        fold_weight=to(folds.weight) if folds else None,
        fold_channels=to(folds.channels) if folds else None,
        lip=to(rig.mouth.lip, torch.float32),
        lips=_curves(to, topology.lips),
        lid_curves=(_curves(to, topology.lids[0]), _curves(to, topology.lids[1])),
        lids=(_lids(to, rig.lids[0]), _lids(to, rig.lids[1])),
        eyes=(
            _eye(to, rig.eyes[0], rig.skins[0].lash),
            _eye(to, rig.eyes[1], rig.skins[1].lash),
        ),
        mouth=_mouth(to, rig, mouth_shape(model)),
    )


def _curves(to: _Mover, curves: Curves) -> TorchCurves:
    edge = np.concatenate((curves.upper, curves.lower))
    return TorchCurves(to.index(curves.upper), to.index(curves.lower), to.index(edge))


def _lid(to: _Mover, lid: Lid) -> TorchLid:
    return TorchLid(
        edge=to.index(lid.edge),
        near=to.index(lid.near),
        rows=to.index(lid.rows),
        offsets=to.real(lid.offsets),
        along=to.real(lid.along),
        share=to.real(lid.share),
        rigid=to.real(lid.rigid),
        slack=to.real(lid.slack),
        rings=(to.index(lid.rings[0]), to.index(lid.rings[1])),
    )


def _lids(to: _Mover, lids: LidMotion) -> TorchLids:
    return TorchLids(
        blink=lids.blink,
        index=to.index(lids.index),
        excess=to.real(lids.excess),
        upper=_lid(to, lids.upper),
        lower=_lid(to, lids.lower),
        inside=to.index(lids.inside),
    )


def _eye(to: _Mover, eye: Eye, lash: NDArray[np.float64]) -> TorchEye:
    return TorchEye(
        left=eye.left,
        top=eye.top,
        ball=to(eye.ball),
        white=to(eye.white),
        upper=to.real(eye.upper),
        lower=to.real(eye.lower),
        iris=to.real(eye.iris),
        upper_lashes=to(eye.upper_lashes),
        lower_lashes=to(eye.lower_lashes),
        lash=to.real(lash),
    )


def _mouth(to: _Mover, rig: FaceRig, shape: MouthShape) -> TorchMouth:
    colours, teeth = rig.mouth, tooth_set(rig.image.sha256)
    painted = (colours.tooth * teeth.tint, colours.gum, colours.tongue, colours.cavity)
    (above, upper), (below, lower) = shape.skin
    return TorchMouth(
        upper=to.index(shape.upper),
        lower=to.index(shape.lower),
        skin=((to.index(above), to.real(upper)), (to.index(below), to.real(lower))),
        tongue=to.index(shape.tongue),
        back=to.real(shape.back),
        jaw=shape.jaw,
        inset=to.real(shape.inset),
        colours=to.real(np.stack(painted)),
        lift=colours.lift,
        edges=to.real(teeth.edges),
        crowns=to.real(teeth.crowns),
        steps=to.real(teeth.steps),
        shades=to.real(teeth.shades),
    )
