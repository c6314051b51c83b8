"""One scan registered to a template, measured and judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from synth.errors import MeshError
from synth.meshes.mesh import Mesh
from synth.morphable.registration.cylindrical import cylindrical
from synth.morphable.registration.frame import Similarity, fit_similarity, scan_unit
from synth.morphable.registration.motion import posed
from synth.morphable.registration.nicp import POSED, UNPOSED, nicp
from synth.morphable.registration.prior import relaxed
from synth.morphable.registration.record import REASONS, RegisterSettings, Registration
from synth.morphable.registration.scan import Scan, counterparts, prepare_scan
from synth.morphable.registration.subject import Subject
from synth.morphable.registration.template import LandmarkPlaces, Template, prepare_template

__all__ = ["RegistrationError", "register"]

Float = NDArray[np.float64]

#: Fewer landmarks do not say where a face is.
LEAST_LANDMARKS = 6
#: A vertex is seen if the scan is nearer than this, mm.
SEEN = 3.0
#: Edges longer or shorter than on the aligned template by more than this count as stretched.
STRETCH = 3.0


class RegistrationError(MeshError):
    """A scan that cannot be registered.

    Parameters
    ----------
    reason : str
        A key of `REASONS`.
    message : str
    """

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason: expected one of {sorted(REASONS)}, got {reason!r}")
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[RegistrationError], tuple[str, str]]:
        return type(self), (self.reason, str(self))


def register(
    template: Mesh | Template,
    template_landmarks: LandmarkPlaces | None,
    target: Mesh,
    target_landmarks: ArrayLike,
    settings: RegisterSettings | None = None,
    start: ArrayLike | None = None,
    subject: Subject | None = None,
) -> Registration:
    """The template deformed to a scan, with figures of how well that went.

    Parameters
    ----------
    template : Mesh or Template
        A `Template` (`prepare_template`) saves time where there are many scans.
    template_landmarks : (faces (n,), bary (n, 3)) or (n,) int or None
        Where the landmarks are on a `Mesh`; not asked for with a `Template`.
    target : Mesh
        The scan: any triangulation, unit, place and direction.
    target_landmarks : (n, 3) float
        In the scan's space; NaN where absent. At least 6.
    settings : RegisterSettings, optional
    start : (V, 3) float, optional
        Vertices to start from in the scan's space (mm if its unit is recognised), such as
        the frame before; of nicp only.
    subject : Subject, optional
        Whose scan it is (`neutral_face`): then who it is is known, and only motion is sought.

    Returns
    -------
    Registration
        Also where the result is not accepted: `reason` says why.

    Raises
    ------
    RegistrationError
        If there is no use in trying: landmarks are too few, or impossible.
    """
    settings = settings or RegisterSettings()
    if not isinstance(template, Template):
        if template_landmarks is None:
            raise MeshError("template_landmarks: expected places on the mesh, got none; pass them")
        template = prepare_template(template, template_landmarks)
    marks = np.asarray(target_landmarks, np.float64)
    if subject is not None:
        template = subject.template(template)
    scale = None if subject is None else subject.unit / subject.scale
    to_template = _aligned(template, target, marks, settings, scale)
    scan = prepare_scan(Mesh(to_template(target.vertices), target.faces), to_template(marks))
    unit = scan_unit(1 / to_template.scale) if subject is None else subject.unit
    back = to_template.inverse()
    back = Similarity(back.scale * unit, back.rotation, back.shift * unit)
    rest = relaxed(template, scan) if subject is None else posed(template, scan)
    begin = None if start is None else back.inverse()(np.asarray(start, np.float64))
    if settings.method == "cylindrical":
        vertices = cylindrical(template, rest, scan)
    elif subject is None:
        vertices = nicp(template, rest, scan, start=begin)
    else:
        schedule = UNPOSED if template.moves is None else POSED
        vertices = nicp(template, rest, scan, schedule, rest if begin is None else begin)
    return _judged(template, scan, rest, vertices, back, unit, settings)


def _aligned(
    template: Template,
    target: Mesh,
    marks: Float,
    settings: RegisterSettings,
    scale: float | None,
) -> Similarity:
    """The way from the scan's space to the template's, or why there is none.

    Its scale is found if not given.
    """
    own = template.landmarks
    if marks.shape != own.shape:
        raise RegistrationError(
            "FEW_LANDMARKS",
            f"landmarks: expected {len(own)} points in 3D as on the template, got {marks.shape}; "
            "absent ones are rows of nan",
        )
    known = np.isfinite(marks).all(1)
    if known.sum() < LEAST_LANDMARKS:
        raise RegistrationError(
            "FEW_LANDMARKS",
            f"landmarks: expected at least {LEAST_LANDMARKS}, got {known.sum()}; mark more",
        )
    found = fit_similarity(marks[known], own[known])
    if scale is not None:
        shift = own[known].mean(0) - scale * found.rotation @ marks[known].mean(0)
        found = Similarity(scale, found.rotation, shift)
    apart = np.linalg.norm(found(marks[known]) - own[known], axis=1)
    error = float(np.sqrt((apart**2).mean())) / template.size
    if error > settings.max_landmark_error:
        raise RegistrationError(
            "LANDMARKS_OFF",
            f"landmarks: expected those of a face, got {error:.2f} of the eyes' distance away "
            "from it; check their order and that left is the subject's left",
        )
    centre, spread = target.vertices.mean(0), np.ptp(target.vertices, axis=0).max()
    wide = np.ptp(marks[known], axis=0).max()
    if not (wide / 3 < spread < wide * 40) or (
        np.linalg.norm(centre - marks[known].mean(0)) > 4 * wide
    ):
        raise RegistrationError(
            "LANDMARKS_OFF",
            f"landmarks: expected them on the mesh, got {wide:.3g} across where the mesh is "
            f"{spread:.3g}; give both in one unit and one place",
        )
    return found


def _judged(
    template: Template,
    scan: Scan,
    rest: Float,
    vertices: Float,
    back: Similarity,
    unit: float,
    settings: RegisterSettings,
) -> Registration:
    """The figures of a result, and whether it is accepted."""
    found = counterparts(scan, vertices, template.mesh.faces)
    size = back.scale  # of a template's millimetre in the result
    seen = found.good & (found.distance < SEEN)
    known = np.isfinite(scan.landmarks).all(1)
    off = np.linalg.norm(template.marks[known] @ vertices - scan.landmarks[known], axis=1)
    distance = found.distance[seen] * size if seen.any() else np.array([np.inf])
    made = Registration(
        vertices=back(vertices),
        seen=seen,
        unit=unit,
        scale=size,
        distance=float(distance.mean()),
        distance_95=float(np.percentile(distance, 95)),
        landmark_error=float(off.mean() * size),
        coverage=_coverage(template, seen),
        flipped=_flipped(template, rest, vertices, seen),
        stretched=_stretched(template, rest, vertices, seen),
        method=settings.method,
    )
    reason, message = _verdict(made, settings)
    return replace(made, reason=reason, message=message)


def _coverage(template: Template, seen: NDArray[np.bool_]) -> float:
    """Share of the surface near the landmarks that is seen."""
    points, v = template.landmarks, template.mesh.vertices
    near = np.min([np.linalg.norm(v - p, axis=1) for p in points], axis=0) < 0.15 * template.size
    return float((template.area * seen)[near].sum() / template.area[near].sum())


def _flipped(template: Template, rest: Float, vertices: Float, seen: NDArray[np.bool_]) -> float:
    """Share of the seen triangles that face away from where they did, more than sideways."""
    f = template.mesh.faces[seen[template.mesh.faces].all(1)]
    normals = [np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]]) for v in (rest, vertices)]
    turned = np.sum(normals[0] * normals[1], 1) < 0
    return float(turned.mean()) if len(f) else 1.0


def _stretched(template: Template, rest: Float, vertices: Float, seen: NDArray[np.bool_]) -> float:
    f = template.mesh.faces[seen[template.mesh.faces].all(1)]
    if not len(f):
        return 1.0
    edges = np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]])
    before, after = (
        np.linalg.norm(v[edges[:, 0]] - v[edges[:, 1]], axis=1) for v in (rest, vertices)
    )
    ratio = after / np.maximum(before, 1e-12)
    return float(((ratio > STRETCH) | (ratio < 1 / STRETCH)).mean())


def _verdict(made: Registration, settings: RegisterSettings) -> tuple[str, str]:
    """Reason and message; the first that applies."""
    checks = (
        ("COVERAGE", "coverage", made.coverage, settings.min_coverage, False),
        ("DISTANCE", "distance", made.distance, settings.max_distance, True),
        ("FLIPPED", "flipped triangles", made.flipped, settings.max_flipped, True),
        ("STRETCHED", "stretched edges", made.stretched, settings.max_stretched, True),
    )
    for reason, name, value, limit, above in checks:
        if (value > limit) if above else (value < limit):
            word = "at most" if above else "at least"
            return reason, f"{name}: expected {word} {limit:g}, got {value:.3g}; {REASONS[reason]}"
    return "", ""
