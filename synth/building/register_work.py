"""What the processes of a run do: neutral faces of subjects, and scans."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synth.building.register_jobs import Job, Row
from synth.building.register_subjects import read_scan, subject_face, subject_of
from synth.meshes.mesh import Mesh, write_mesh
from synth.morphable.registration import RegisterSettings, RegistrationError, register
from synth.morphable.registration.subject import Subject
from synth.morphable.registration.template import Template
from synth.workers import results_of

__all__ = ["FaceTask", "ScanTask", "Work", "mesh_path", "results"]


@dataclass(frozen=True, eq=False)
class Work:
    """What every task needs."""

    template: Template
    settings: RegisterSettings
    output: Path


@dataclass(frozen=True)
class FaceTask:
    """The neutral face of a subject from neutral scans: gives a Subject or None."""

    jobs: tuple[Job, ...]


@dataclass(frozen=True, eq=False)
class ScanTask:
    """A scan, from the subject's face if there is one: writes the mesh, gives a Row."""

    job: Job
    subject: Subject | None


def mesh_path(output: Path, name: str, accepted: bool) -> Path:
    """Where a registered mesh is written."""
    return output / ("meshes" if accepted else "rejected") / f"{name}.ply"


def results(
    work: Work, tasks: Sequence[FaceTask | ScanTask], workers: int
) -> Generator[Any, None, None]:
    """What comes of tasks, in their order, by so many processes."""
    # Few tasks: one at a time, so that all processes have some to the end.
    chunk = 4 if len(tasks) > 16 * workers else 1
    return results_of(_done, partial(_same, work), tasks, workers, chunk)


def _same(work: Work) -> Work:
    return work


def _done(work: Work, task: FaceTask | ScanTask) -> Row | Subject | None:
    if isinstance(task, FaceTask):
        return subject_face(work.template, task.jobs, work.settings)
    return _register(work, task.job, task.subject)


def _register(work: Work, job: Job, subject: Subject | None) -> Row:
    """One scan; its mesh is written, whatever goes wrong becomes a row."""
    begun = Row(job.name, subject="" if subject is None else subject_of(job.name))
    try:
        mesh, points = read_scan(job)
    except RegistrationError as error:
        return _row(begun, error.reason, str(error))
    try:
        made = register(work.template, None, mesh, points, work.settings, subject=subject)
        if subject is not None and not made.accepted:
            # The neutral face may be at fault; what is accepted without it is better than nothing.
            alone = register(work.template, None, mesh, points, work.settings)
            if alone.accepted:
                made, begun = alone, Row(job.name)
    except RegistrationError as error:
        return _row(begun, error.reason, f"{job.name}: {error}")
    except Exception as error:
        return _row(begun, "INTERNAL", f"{job.name}: {type(error).__name__}: {error}")
    path = mesh_path(work.output, job.name, made.accepted)
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh_path(work.output, job.name, not made.accepted).unlink(missing_ok=True)
    write_mesh(path, Mesh(made.vertices, work.template.mesh.faces))
    names = ("distance", "distance_95", "landmark_error", "coverage", "flipped", "stretched")
    figures = {name: round(getattr(made, name), 5) for name in (*names, "unit", "scale")}
    figures = {name: value if np.isfinite(value) else None for name, value in figures.items()}
    return _row(begun, made.reason, made.message, **figures)


def _row(begun: Row, reason: str, message: str, **figures: float | None) -> Row:
    return Row(begun.file_name, reason, begun.subject, message=message, **figures)
