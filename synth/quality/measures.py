"""The scores of a drawn picture that the gates judge.

They are taken from the picture as it was rendered, before light, occluders and
camera change it: those are wanted, whatever they do to a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from synth.camera import turned
from synth.errors import ShapeError
from synth.quality import geometry, looks
from synth.quality.embedder import Embedder, identity_distance
from synth.quality.gates import Gates
from synth.render.deform import deform
from synth.render.face import NECK, Rendered
from synth.render.rig import FaceRig

__all__ = ["measure"]

Float = NDArray[np.float64]
#: Digits kept of a score.
DIGITS = 5
STILL = (0.0, 0.0, 0.0)


@cache
def _embedder() -> Embedder:
    """The process's own."""
    return Embedder()


def measure(
    rig: FaceRig,
    drawn: Rendered,
    weights: Float,
    pose: Sequence[float] | Float = STILL,
    gates: Gates | None = None,
    embedder: Embedder | None = None,
    source_embedding: Float | None = None,
    points: Float | None = None,
) -> dict[str, float]:
    """Scores of one picture, for the gates that are on.

    Parameters
    ----------
    rig : FaceRig
    drawn : Rendered
        What `synth.render.face.render` made of the next two.
    weights : (52,) float
        In the model's order.
    pose : (3,) float
        Yaw, pitch, roll added to the head's own, degrees.
    gates : Gates, optional
        Those of ``Gates()`` when not given; only their scores are measured.
    embedder : Embedder, optional
        The process's own when not given.
    source_embedding : (128,) float, optional
        Of the photo; otherwise `embedder` remembers it as long as the rig lives.
    points : (V + S, 3) float, optional
        Drawn mesh; that of `drawn` when not given. Where neither has one, the mesh is
        deformed again, which costs more than all gates but the identity.

    Returns
    -------
    dict of str to float
        By field of `Gates`, rounded to five digits. ``outline`` is left out where
        the head was turned.

    Raises
    ------
    ShapeError
        If `weights` or `pose` has another shape.
    """
    gates = Gates() if gates is None else gates
    weights, turn = np.asarray(weights, np.float64), np.asarray(pose, np.float64)
    if weights.shape != rig.fit.expression.shape or turn.shape != (3,):
        raise ShapeError(
            f"weights, pose: expected {rig.fit.expression.shape} and (3,), "
            f"got {weights.shape} and {turn.shape}"
        )
    on = set(gates.on)
    scores: dict[str, float] = {}
    if "identity" in on:
        embedder = embedder or _embedder()
        source = embedder.source(rig) if source_embedding is None else source_embedding
        scores["identity"] = identity_distance(
            source, embedder.embed(drawn.pixels, drawn.landmarks)
        )
    if on - {"identity", "seam", "sharpness"}:
        scores |= _geometry(rig, drawn, weights, turn, on, points)
    if "seam" in on:
        scores["seam"] = looks.seam_jump(rig, drawn)
    if "sharpness" in on:
        scores["sharpness"] = looks.sharpness_ratio(rig, drawn)
    return {name: round(scores[name], DIGITS) + 0.0 for name in gates.on if name in scores}


def _geometry(
    rig: FaceRig, drawn: Rendered, weights: Float, turn: Float, on: set[str], points: Float | None
) -> dict[str, float]:
    """Scores that need the mesh."""
    moved = bool(turn.any())
    camera = turned(rig.fit.camera, turn, NECK) if moved else rig.fit.camera
    if points is None:
        points = drawn.points
    if points is None:
        points = deform(rig, weights, camera).points
    axes = geometry.face_axes(drawn.landmarks)
    scores = {}
    if "lips" in on:
        scores["lips"] = geometry.lips_crossed(rig, points, axes)
    if "lids" in on:
        scores["lids"] = geometry.lids_crossed(rig, points, axes)
    if "iris" in on:
        scores["iris"] = geometry.iris_outside(rig, points, axes, weights, camera)
    if "mouth" in on:
        scores["mouth"] = geometry.mouth_outside(rig, points)
    if "outline" in on and not moved:
        scores["outline"] = looks.outline_jump(rig, drawn, points)
    if "fold" in on:
        scores["fold"] = geometry.fold_share(rig, points, camera)
    return scores
