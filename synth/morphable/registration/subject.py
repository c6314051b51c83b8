"""A subject's neutral face: what all scans of the subject start from.

Registered each for itself, every scan of a subject tells anew who it is, from landmarks and a
crop of its own, so that offsets from neutral carry the difference of two guesses. Here neutral
scans tell it once; other scans only how it moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synth.meshes.mesh import Mesh
from synth.meshes.rigid import similarity
from synth.morphable.registration.frame import Similarity
from synth.morphable.registration.record import Registration
from synth.morphable.registration.template import Template

__all__ = ["Subject", "neutral_face", "rigid"]

Float = NDArray[np.float64]

#: Weight of a neutral scan at vertices that it does not show, against 1 where it does.
UNSEEN = 0.02
#: Rounds of averaging the weight with the neighbours', so that the mean has no steps.
BLUR = 6
#: A neutral face further from the middle of three or more than this, mm rms, and than so many
#: times the usual distance, is left out.
OFF, TIMES = 1.0, 2.5


@dataclass(frozen=True, eq=False)
class Subject:
    """A subject's neutral face.

    Attributes
    ----------
    face : (V, 3) float64
        In the template's place and size.
    scale : float
        Size of the subject relative to it.
    unit : float
        Millimetres of one unit of the subject's scans.
    """

    face: Float
    scale: float
    unit: float

    def template(self, template: Template) -> Template:
        """The template with the subject's face, which no modes vary."""
        return replace(template, mesh=Mesh(self.face, template.mesh.faces), modes=None)


def neutral_face(template: Template, made: Sequence[Registration]) -> Subject | None:
    """The mean of a subject's neutral faces, each counting where its scan shows something.

    Parameters
    ----------
    template : Template
    made : sequence of Registration
        Of neutral scans; those not accepted, or far from the others, are left out.

    Returns
    -------
    Subject or None
        None if none was accepted.
    """
    good = [r for r in made if r.accepted]
    if not good:
        return None
    scale = float(np.median([r.scale for r in good]))
    own = template.mesh.vertices * scale
    faces = np.stack([rigid(r.vertices, own)(r.vertices) for r in good])
    weights = np.stack([_weight(template, r) for r in good])
    for _ in range(3):
        inside = _inside(faces)
        share = weights[inside] / weights[inside].sum(0)
        mean = np.einsum("nv,nvx->vx", share, faces[inside])
        faces = np.stack([rigid(f, mean, w)(f) for f, w in zip(faces, weights, strict=True)])
    return Subject(mean / scale, scale, good[0].unit)


def _inside(faces: Float) -> NDArray[np.bool_]:
    """(n,) faces that are not far from the middle of them all."""
    if len(faces) < 3:
        return np.ones(len(faces), bool)
    apart = np.sqrt(((faces - np.median(faces, 0)) ** 2).sum(2).mean(1))
    return np.asarray(apart <= max(OFF, TIMES * float(np.median(apart))))


def _weight(template: Template, made: Registration) -> Float:
    """(V,) how much a scan tells about each vertex, smooth."""
    weight = np.where(made.seen, 1.0, UNSEEN)
    f = template.mesh.faces
    for _ in range(BLUR):
        inner = weight[f].mean(1)
        total = np.bincount(f.ravel(), np.repeat(inner, 3), len(weight))
        weight = total / np.bincount(f.ravel(), minlength=len(weight))
    return np.asarray(weight)


def rigid(source: Float, target: Float, weights: Float | None = None) -> Similarity:
    """The motion that takes vertices to others, without change of size."""
    return Similarity(*similarity(source, target, weights, scaled=False))
