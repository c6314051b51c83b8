"""Non-rigid iterative closest points: a template drawn to a scan, first stiff, then softer.

After Amberg et al. [1]_: landmarks and closest points draw, a stiffness that falls step by step
holds together, counterparts on the rim of the scan, too far away or facing elsewhere are left
out. What differs is chosen for speed and accuracy (docs/registration.md compares): instead of an
affine map per vertex a displacement, whose thin-plate energy is the stiffness, so that a quarter
of the unknowns is left; and distances count along the scan's normal, a little along the surface
[2]_, so that the template slides to where landmarks and smoothness want it.

References
----------
.. [1] Amberg, Romdhani & Vetter, "Optimal Step Nonrigid ICP Algorithms for Surface
   Registration", CVPR 2007.
.. [2] Rusinkiewicz & Levoy, "Efficient Variants of the ICP Algorithm", 3DIM 2001.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.morphable.registration.cholesky import Factors
from synth.morphable.registration.scan import Scan, counterparts
from synth.morphable.registration.template import Template

__all__ = ["POSED", "SCHEDULE", "UNPOSED", "Stage", "nicp", "stiffness"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Stage:
    """One step of the schedule; lengths in mm.

    Attributes
    ----------
    stiffness : float
        Details of the displacement smaller than this are smoothed away.
    reach : float
        Counterparts farther away are left out.
    landmarks : float
        A landmark counts as this many square millimetres of surface.
    rounds : int
        Of finding counterparts and solving.
    """

    stiffness: float
    reach: float
    landmarks: float
    rounds: int


SCHEDULE = (
    Stage(20, 12, 100, 1),
    Stage(10, 6, 60, 1),
    Stage(6, 4, 40, 1),
    Stage(4, 3, 30, 2),
)
#: From a subject's posed face. Landmarks hardly count: they are clicked anew in each scan, and
#: what their noise does along the skin stays in offsets from neutral.
POSED = (
    Stage(6, 4, 1, 1),
    Stage(4, 3, 1, 2),
)
#: From a neutral face where no blendshapes are known: landmarks alone tell how skin moves.
UNPOSED = (
    Stage(20, 8, 40, 1),
    Stage(10, 6, 20, 1),
    Stage(6, 4, 10, 1),
    Stage(4, 3, 10, 2),
)
#: Weight of the distance along the surface; across it counts 1.
ALONG = 0.02
#: Of the displacement's gradient against its curvature: keeps what is not seen from swinging.
MEMBRANE = 0.02
#: Keeps the system regular.
ANCHOR = 1e-6
#: Conjugate gradients end when this share of the right side is left, or after so many steps.
TOLERANCE = 1e-5
MOST_STEPS = 30


def nicp(
    template: Template,
    rest: Float,
    scan: Scan,
    schedule: tuple[Stage, ...] = SCHEDULE,
    start: Float | None = None,
) -> Float:
    """Vertices of the template drawn to the scan.

    Parameters
    ----------
    template : Template
    rest : (V, 3) float64
        The template where it is relaxed, in the scan's frame.
    scan : Scan
    schedule : tuple of Stage
    start : (V, 3) float64, optional
        Vertices to start from; without them the landmarks alone draw first.

    Returns
    -------
    (V, 3) float64
    """
    known = np.isfinite(scan.landmarks).all(1)
    marks, wanted = template.marks[known], scan.landmarks[known]
    moved = _landmarks_only(template, marks, wanted - marks @ rest, schedule[0])
    moved = moved if start is None else start - rest
    for stage in schedule:
        stiff, near = stiffness(template, marks, stage), None
        for _ in range(stage.rounds):
            found = counterparts(scan, rest + moved, template.mesh.faces)
            far = found.distance / (stage.reach / 2)
            use = found.good & (found.distance < stage.reach)
            # Geman and McClure's weight: those that hardly match hardly count.
            weight = template.area * use / (1 + far**2) ** 2
            blocks = found.normal[:, :, None] * found.normal[:, None, :] + ALONG * np.eye(3)
            blocks *= weight[:, None, None]
            right = np.einsum("nij,nj->ni", blocks, found.point - rest)
            right += stage.landmarks * (marks.T @ (wanted - marks @ rest))
            near = near or template.system.factor(stiff, blocks)
            moved = _solve(near, stiff, blocks, right, moved)
    return rest + moved


def _landmarks_only(template: Template, marks: Any, wanted: Float, stage: Stage) -> Float:
    """The smoothest displacement that brings the landmarks near to where they are wanted."""
    stiff = stiffness(template, marks, replace(stage, stiffness=stage.stiffness / 2))
    nothing = np.zeros((len(template.area), 3, 3))
    return template.system.factor(stiff, nothing).solve(marks.T @ (stage.landmarks * wanted))


def stiffness(template: Template, marks: Any, stage: Stage) -> Any:
    """What does not change from round to round, the same for x, y and z: (V, V)."""
    import scipy.sparse as sp

    return (
        template.bilaplacian * stage.stiffness**4
        + template.laplacian * (MEMBRANE * stage.stiffness**2)
        + marks.T @ marks * stage.landmarks
        + sp.eye(len(template.area)) * ANCHOR
    ).tocsr()


def _solve(near: Factors, stiff: Any, blocks: Float, right: Float, start: Float) -> Float:
    """Conjugate gradients, preconditioned with the factors of a system that is near."""
    x = start
    residual = right - stiff @ x - np.einsum("nij,nj->ni", blocks, x)
    limit = (TOLERANCE**2) * float((right * right).sum())
    z = near.solve(residual)
    direction, size = z, float((residual * z).sum())
    for _ in range(MOST_STEPS):
        if float((residual * residual).sum()) <= limit:
            break
        image = stiff @ direction + np.einsum("nij,nj->ni", blocks, direction)
        step = size / float((direction * image).sum())
        x, residual = x + step * direction, residual - step * image
        z = near.solve(residual)
        before, size = size, float((residual * z).sum())
        direction = z + (size / before) * direction
    return x
