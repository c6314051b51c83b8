"""What is written down about one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.acting import Act
from synth.expressions.action_units import read_action_units
from synth.expressions.arkit import NAMES
from synth.render.face import Rendered
from synth.render.rig import FaceRig
from synth.settings import Settings
from synth.targets import Target
from synth.types import Record
from synth.versions import installed

__all__ = ["make_record"]


def make_record(
    settings: Settings,
    rig: FaceRig,
    matrix: NDArray[np.float64] | None,
    target: Target,
    done: Act,
    drawn: Rendered,
    seed: int,
) -> Record:
    """The record of one picture; the names of its file and sequence are left to the writer.

    Landmarks are those detected in the neutral photo, on the output's pixel grid.
    """
    mask = drawn.mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0)
    found, moment, edited = done.expression, target.moment, drawn.edited or {}
    own = tuple(name for name in rig.model.blendshape_names if name not in NAMES)
    weights = zip(NAMES + own, done.weights, strict=True)
    return Record(
        file_name="",
        source=rig.image.name,
        valence=found.va.valence,
        arousal=found.va.arousal,
        class_valence=round(found.class_va.valence, 6),
        class_arousal=round(found.class_va.arousal, 6),
        expression=target.expression,
        intensity=round(found.va.radius if target.actions else target.intensity, 6),
        seed=seed,
        class_index=found.class_index,
        source_sha256=rig.image.sha256,
        target_index=target.index,
        lookup=_lookup(done, drawn),
        composite=settings.composite,
        style="mean_face" if edited.get("alone") else _style(target, seed),
        action_units=_action_units(target, done),
        weights={name: shown for name, w in weights if (shown := round(float(w), 5))},
        frame=moment.frame if moment else None,
        time=round(moment.time, 6) if moment else None,
        head_motion=_rounded(np.array(done.head), 4),
        blink=round(done.blink, 4),
        smoothness=done.smoothness or {},
        spectrum="nir" if settings.nir else "vis",
        translation=_translation(settings),
        theta=edited.get("theta"),
        rho=edited.get("rho"),
        editing={k: v for k, v in edited.items() if k not in ("theta", "rho", "alone")},
        landmarks=_rounded(rig.landmarks.points, 3),
        detector=rig.landmarks.detector,
        faces_found=rig.landmarks.faces_found,
        pose=_rounded(rig.fit.pose, 3),
        fit_residual=round(float(np.mean(rig.fit.residual)), 6),
        fit=settings.fit,
        photo_expression=_photo_expression(rig),
        neutralised=settings.neutralise,
        crop_matrix=None if matrix is None else _rounded(matrix, 6),
        mask_box=(int(box[0]), int(box[1]), int(box[2]), int(box[3])),
        mask_share=round(float(mask.mean()), 6),
        changed=bool(len(rows)),
        notes=_notes(settings, rig),
        assets=settings.digests,
        versions=installed(),
    )


def _photo_expression(rig: FaceRig) -> dict[str, float]:
    """Blendshapes that the photo shows, in the model's order; zeros are left out."""
    weights = zip(rig.model.blendshape_names, rig.fit.expression, strict=True)
    return {name: shown for name, w in weights if (shown := round(float(w), 3))}


def _lookup(done: Act, drawn: Rendered) -> str:
    """Where the expression came from."""
    if drawn.edited is None:
        return done.expression.lookup
    return "ganmut" if drawn.edited["alone"] else f"{done.expression.lookup}+ganmut"


def _translation(settings: Settings) -> dict[str, str]:
    if not settings.nir:
        return {}
    weights = settings.nir_path.name if settings.nir_path else "embedded"
    return {"order": settings.nir_order, "weights": weights}


def _style(target: Target, seed: int) -> str:
    if target.actions or (target.style is None and not target.sample):
        return "mean_face"
    return f"person_{seed if target.style is None else target.style}"


def _action_units(target: Target, done: Act) -> dict[str, float]:
    """As asked for where only units were asked for, otherwise read from the face."""
    if target.actions and all(name[-1].isdigit() for name, _ in target.actions):
        return dict(target.actions)
    return read_action_units(done.weights[: len(NAMES)])


def _notes(settings: Settings, rig: FaceRig) -> tuple[str, ...]:
    count = rig.landmarks.faces_found
    faces = (f"{settings.face} of {count} faces",) if count > 1 else ()
    return rig.image.notes + faces + ((f"without {settings.without}",) if settings.without else ())


def _rounded(values: NDArray[np.float64], digits: int) -> Any:
    """Nested tuples; enough digits to replay, few enough to read."""
    if values.ndim > 1:
        return tuple(_rounded(row, digits) for row in values)
    return tuple(round(float(v), digits) + 0.0 for v in values)
