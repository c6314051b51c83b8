"""Draw faces with the backend that the rig was built for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.render.face import Rendered, render
from synth.render.rig import FaceRig

__all__ = ["BATCH", "draw_faces"]

#: Faces that are best drawn together, by backend; 1 where that gains nothing.
BATCH = {"torch": 64}


def draw_faces(
    rig: FaceRig,
    weights: Sequence[NDArray[np.float64]],
    poses: Sequence[Sequence[float]],
    device: str = "cpu",
) -> list[Rendered]:
    """The photo of `rig` with each expression and head pose.

    Parameters
    ----------
    rig : FaceRig
    weights : B arrays (52,)
        In the model's order.
    poses : B triples
        Yaw, pitch, roll in degrees, added to the head's own.
    device : {"cpu", "cuda"}
        For the backend ``torch``.
    """
    if rig.settings.neutralise:
        weights = [w - rig.fit.expression for w in weights]
    if rig.settings.backend != "torch":
        return [render(rig, w, pose) for w, pose in zip(weights, poses, strict=True)]
    from synth.render.torch.batch import render_batch

    return render_batch(rig, np.stack(weights), np.array(poses, np.float64), device)
