"""Many scans registered to one template: in several processes, resumable, judged together.

====================  ======================================================================
``meshes/``           registered meshes, binary .ply on the template's triangles, with the
                      names of the scans
``rejected/``         results that were not accepted, for a look
``neutrals/``         neutral faces of subjects whose scans are registered together
``template.npz``      the template as a model without modes: triangles and landmarks
``report.csv``        one row a scan: reason, figures, message
``report.md``         counts, reasons, and the worst
``done.jsonl``        what a later run need not do again
====================  ======================================================================

First come the neutral faces of subjects, from their neutral scans alone; then every scan is a
job of its own, so that neither order nor number of workers changes a byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synth.archives import check_writable
from synth.building.register_jobs import (
    NO_RESULT,
    Job,
    Row,
    begun,
    line,
    plan_jobs,
    run_key,
    stamp,
)
from synth.building.register_report import write_report
from synth.building.register_subjects import (
    neutral_jobs,
    neutral_stamp,
    read_subject,
    subject_of,
    write_subject,
)
from synth.building.register_work import FaceTask, ScanTask, Work, mesh_path, results
from synth.image_files import write_atomic
from synth.meshes.mesh import read_mesh
from synth.morphable.model import MorphableModel
from synth.morphable.native import save_model
from synth.morphable.registration import RegisterSettings
from synth.morphable.registration.frame import fit_similarity
from synth.morphable.registration.outliers import THRESHOLD, outlier_scores
from synth.morphable.registration.source import bare, model_template
from synth.morphable.registration.subject import Subject
from synth.morphable.registration.template import Template

__all__ = ["Job", "Row", "plan_jobs", "register_all"]

#: Vertices that a shape is judged by among the others.
JUDGED = 150


def register_all(
    model: MorphableModel,
    jobs: Sequence[Job],
    output: Path,
    settings: RegisterSettings | None = None,
    *,
    workers: int = 1,
    prior: bool = True,
    neutral: str | None = "neutral",
    advance: Callable[[Row], object] = lambda row: None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Row]:
    """Register scans, judge them together and write everything; see the module.

    Parameters
    ----------
    model : MorphableModel
        The template; see `synth.morphable.registration.source.read_template`.
    jobs : sequence of Job
    output : Path
        A new folder, or that of an earlier run, of which what is done is kept.
    settings : RegisterSettings
    workers : int
        Processes.
    prior : bool
        Whether the model's modes and blendshapes say how faces differ and move.
    neutral : str, optional
        Last part of the names of neutral sequences: scans of a subject who has one start from
        the subject's neutral face. None: every scan is registered for itself.
    advance : callable
        Called with each row, in order.
    stop : callable
        Asked after each job whether to end there.

    Returns
    -------
    list of Row
        In the order of the jobs; fewer if stopped.

    Raises
    ------
    UsageError
        If the folder holds a run with other settings.
    """
    settings = settings or RegisterSettings()
    template = model_template(model, prior)
    # Sorted, for of many scans only some make the face.
    neutrals = neutral_jobs(sorted(jobs, key=lambda job: job.name), neutral) if neutral else {}
    key = run_key(model, settings, prior, neutral)
    done = begun(output, key)
    check_writable(output, folder=True)
    output.mkdir(parents=True, exist_ok=True)
    save_model(bare(model), output / "template.npz")
    faces = {subject: neutral_stamp(inner) for subject, inner in neutrals.items()}
    stamps = {job.name: [*stamp(job), *_of(faces, job)] for job in jobs}
    todo = [job for job in jobs if not _is_done(job, done, stamps, output)]
    made = _results(Work(template, settings, output), todo, neutrals, faces, workers)
    waiting = {job.name for job in todo}
    rows: list[Row] = []
    log_path, first = output / "done.jsonl", json.dumps({"key": key}) + "\n"
    # Anew, for the last line may have been cut off.
    write_atomic(log_path, (first + "".join(line(*entry) for entry in done.values())).encode())
    try:
        with open(log_path, "a", encoding="utf-8") as log:
            for job in jobs:
                row = next(made) if job.name in waiting else done[job.name][1]
                if job.name in waiting:
                    log.write(line(stamps[job.name], row))
                    log.flush()
                rows.append(row)
                advance(row)
                if stop():
                    break
    finally:
        made.close()
    kept = [line(stamps[row.file_name], row) for row in rows]
    kept += [line(*done[j.name]) for j in jobs[len(rows) :] if {j.name} & done.keys() - waiting]
    write_atomic(log_path, (first + "".join(kept)).encode())
    rows = _judged(rows, template, output)
    write_report(rows, output)
    return rows


def _of(faces: dict[str, int], job: Job) -> list[int]:
    """The stamp of the neutral face that a job starts from, if any."""
    subject = subject_of(job.name)
    return [faces[subject]] if subject in faces else []


def _is_done(job: Job, done: dict[str, Any], stamps: dict[str, list[int]], output: Path) -> bool:
    if job.name not in done or done[job.name][0] != stamps[job.name]:
        return False
    return done[job.name][1].reason in NO_RESULT or _result(output, job.name) is not None


def _result(output: Path, name: str) -> Path | None:
    """The registered mesh of a name, wherever it is."""
    both = (mesh_path(output, name, accepted) for accepted in (True, False))
    return next((path for path in both if path.is_file()), None)


def _results(
    work: Work,
    jobs: list[Job],
    neutrals: dict[str, tuple[Job, ...]],
    stamps: dict[str, int],
    workers: int,
) -> Generator[Row, None, None]:
    """Rows of jobs, in order; before them the neutral faces that are not there yet."""
    subjects = sorted({subject_of(job.name) for job in jobs} & neutrals.keys())
    paths = {subject: work.output / "neutrals" / f"{subject}.npz" for subject in subjects}
    faces: dict[str, Subject | None] = {}
    for subject in subjects:
        there, face = read_subject(paths[subject], stamps[subject])
        if there:
            faces[subject] = face
    missing = [subject for subject in subjects if subject not in faces]
    with closing(results(work, [FaceTask(neutrals[s]) for s in missing], workers)) as made:
        for subject, face in zip(missing, made, strict=True):
            write_subject(paths[subject], face, stamps[subject])
            faces[subject] = face
    tasks = [ScanTask(job, faces.get(subject_of(job.name))) for job in jobs]
    with closing(results(work, tasks, workers)) as made:
        yield from made


def _judged(rows: list[Row], template: Template, output: Path) -> list[Row]:
    """Rows with their distance from all the others; outliers are moved out."""
    good = [i for i, row in enumerate(rows) if not row.reason]
    picked = np.linspace(0, len(template.area) - 1, JUDGED).astype(int)
    own = template.mesh.vertices[picked]
    shapes = np.empty((len(good), 3 * len(picked)), np.float32)
    for k, i in enumerate(good):
        path = _result(output, rows[i].file_name)
        assert path is not None
        vertices = read_mesh(path).vertices[picked]
        shapes[k] = fit_similarity(vertices, own)(vertices).ravel()
    judged = list(rows)
    for k, score in zip(good, outlier_scores(shapes), strict=True):
        bad = score > THRESHOLD
        name = rows[k].file_name
        judged[k] = replace(
            rows[k],
            outlier=round(float(score), 3),
            reason="OUTLIER" if bad else "",
            message=f"{name}: expected a shape like the others, got one {score:.1f} deviations "
            f"away, of {THRESHOLD:g} allowed"
            if bad
            else "",
        )
        now, wanted = _result(output, name), mesh_path(output, name, not bad)
        if now is not None and now != wanted:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            os.replace(now, wanted)
    return judged
