"""Blendshapes of one face on another: turned and stretched as the skin around them.

Around every vertex the step from the rig's mean to the new one is taken for affine; its
linear part moves the offsets [1]_. Where lids or lips of the rig meet, those of the new
face do, because an affine map keeps what touches together.

References
----------
.. [1] Sumner & Popovic, "Deformation Transfer for Triangle Meshes", SIGGRAPH 2004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from synth.meshes.rigid import similarity
from synth.morphable.covering import RIGID, anchors, extension, vertices_of

if TYPE_CHECKING:
    from synth.morphable.carrier import Carrier
    from synth.morphable.model import MorphableModel

__all__ = ["local_maps", "moved_offsets", "take_native"]

Float = NDArray[np.float64]

#: Standard deviation of the neighbourhood that is taken for affine, mm, and its size.
REACH, NEIGHBOURS = 9.0, 200
#: How much the map is held to a similarity, as a share of the neighbourhood's spread.
DAMPING = 0.15


def local_maps(rig: MorphableModel, placed: Float) -> Float:
    """(V, 3, 3) linear part of the step from the rig's mean to `placed` around every vertex."""
    from scipy.spatial import cKDTree

    skin = vertices_of(rig, "skin", "lips")
    scale, turn, _ = similarity(rig.mean[skin], placed[skin])
    near, index = cKDTree(rig.mean[skin]).query(rig.mean, NEIGHBOURS)
    # Gaussian in distance beyond the nearest skin: what is deep inside has a neighbourhood too
    weight = np.exp(-((near**2 - near[:, :1] ** 2) / (2 * REACH**2)))
    weight /= weight.sum(1, keepdims=True)
    rows = skin[index]
    a = rig.mean[rows]
    b = placed[rows] - scale * a @ turn.T  # what is left after the similarity
    a = a - np.einsum("vn,vnx->vx", weight, a)[:, None]
    b = b - np.einsum("vn,vnx->vx", weight, b)[:, None]
    gram = np.einsum("vn,vnx,vny->vxy", weight, a, a)
    gram += DAMPING * (np.trace(gram, axis1=1, axis2=2) / 3)[:, None, None] * np.eye(3)
    cross = np.einsum("vn,vnx,vny->vxy", weight, b, a)
    maps = scale * turn + cross @ np.linalg.inv(gram)
    for part in RIGID:
        inside, around = vertices_of(rig, part), anchors(rig, part)
        own, own_turn, _ = similarity(rig.mean[around], placed[around])
        maps[inside] = own * own_turn
    return np.asarray(maps)


def moved_offsets(maps: Float, offsets: NDArray[np.floating]) -> Float:
    """(..., V, 3) offsets (..., V, 3) under the maps (V, 3, 3)."""
    return np.einsum("vxy,...vy->...vx", maps, np.asarray(offsets, np.float64))


def take_native(
    blendshapes: Float,
    own: list[str],
    native: MorphableModel,
    rig: MorphableModel,
    carrier: Carrier,
) -> None:
    """Replace the rig's `blendshapes` (E, V, 3) by the native ones of these names, in place.

    Where the native mesh lies under the rig they are its own. What hangs on that skin takes
    part in the difference; teeth, tongue and eyeballs stay the rig's, which turns them as bones
    and eyes turn.
    """
    on = np.flatnonzero(carrier.covered)
    follow = extension(rig, carrier.vertices, on)
    hanging = np.ones(rig.n_vertices, bool)
    hanging[vertices_of(rig, *RIGID)] = False
    for name in own:
        row = rig.blendshape_names.index(name)
        wanted = native.blendshapes[native.blendshape_names.index(name)].astype(np.float64)
        corners = wanted[native.faces[carrier.face[on]]]
        difference = np.zeros((rig.n_vertices, 3))
        difference[on] = np.einsum("vc,vcx->vx", carrier.bary[on], corners) - blendshapes[row, on]
        blendshapes[row, hanging] += (follow @ difference)[hanging]
