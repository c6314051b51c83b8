"""Teeth, tongue and eyeballs of a rig on another face: turned, scaled, never bent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.meshes.rigid import similarity
from synth.morphable.covering import RIGID, anchors, vertices_of

if TYPE_CHECKING:
    from synth.morphable.model import MorphableModel

__all__ = ["place_parts"]

Float = NDArray[np.float64]


def place_parts(rig: MorphableModel, placed: Float) -> Float:
    """(V, 3) `placed` with the rigid parts where the skin around them says.

    Parameters
    ----------
    rig : MorphableModel
    placed : (V, 3) float64
        Skin and what hangs on it, already in place.
    """
    out = placed.copy()
    for part in RIGID:
        inside, around = vertices_of(rig, part), anchors(rig, part)
        scale, turn, shift = similarity(rig.mean[around], placed[around])
        out[inside] = scale * rig.mean[inside] @ turn.T + shift
    return out
