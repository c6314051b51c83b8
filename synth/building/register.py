"""Many scans registered to one template: in several processes, resumable, judged together.

====================  ======================================================================
``meshes/``           registered meshes, binary .ply on the template's triangles, with the
                      names of the scans
``rejected/``         results that were not accepted, for a look
``template.npz``      the template as a model without modes: triangles and landmarks
``report.csv``        one row a scan: reason, figures, message
``report.md``         counts, reasons, and the worst
``done.jsonl``        what a later run need not do again
====================  ======================================================================

Every scan is a job of its own, so that neither order nor number of workers changes a byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
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
from synth.errors import MeshError, SynthError
from synth.image_files import write_atomic
from synth.meshes.mesh import Mesh, read_mesh, write_mesh
from synth.meshes.points import read_points
from synth.morphable.model import MorphableModel
from synth.morphable.native import save_model
from synth.morphable.registration import RegisterSettings, RegistrationError, register
from synth.morphable.registration.frame import fit_similarity
from synth.morphable.registration.outliers import THRESHOLD, outlier_scores
from synth.morphable.registration.source import bare, model_template
from synth.morphable.registration.template import Template

__all__ = ["Job", "Row", "plan_jobs", "register_all"]

#: Vertices that a shape is judged by among the others.
JUDGED = 150


@dataclass(frozen=True, eq=False)
class Work:
    """What every job needs."""

    template: Template
    settings: RegisterSettings
    output: Path


def register_all(
    model: MorphableModel,
    jobs: Sequence[Job],
    output: Path,
    settings: RegisterSettings | None = None,
    *,
    workers: int = 1,
    prior: bool = True,
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
    key = run_key(model, settings, prior)
    done = begun(output, key)
    check_writable(output, folder=True)
    output.mkdir(parents=True, exist_ok=True)
    save_model(bare(model), output / "template.npz")
    stamps = {job.name: stamp(job) for job in jobs}
    todo = [job for job in jobs if not _is_done(job, done, stamps, output)]
    made = _results(Work(template, settings, output), todo, workers)
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


def _is_done(job: Job, done: dict[str, Any], stamps: dict[str, list[int]], output: Path) -> bool:
    if job.name not in done or done[job.name][0] != stamps[job.name]:
        return False
    return done[job.name][1].reason in NO_RESULT or _result(output, job.name) is not None


def _path(output: Path, name: str, accepted: bool) -> Path:
    return output / ("meshes" if accepted else "rejected") / f"{name}.ply"


def _result(output: Path, name: str) -> Path | None:
    """The registered mesh of a name, wherever it is."""
    both = (_path(output, name, accepted) for accepted in (True, False))
    return next((path for path in both if path.is_file()), None)


def _results(work: Work, jobs: list[Job], workers: int) -> Generator[Row, None, None]:
    workers = min(workers, len(jobs))
    if workers <= 1:
        from synth.threads import one_thread

        with one_thread():
            for job in jobs:
                yield _register(work, job)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (work,))
    try:
        yield from pool.map(_in_worker, jobs, chunksize=4)
    except BrokenProcessPool:
        raise SynthError(
            "workers: expected them to live, got one that died, perhaps for want of memory; "
            "run the same command again, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Work | None = None


def _start(work: Work) -> None:
    import signal

    from synth.threads import one_thread_for_good

    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to stop
    one_thread_for_good()
    _worker = work


def _in_worker(job: Job) -> Row:
    assert _worker is not None
    return _register(_worker, job)


def _register(work: Work, job: Job) -> Row:
    """One scan; its mesh is written, whatever goes wrong becomes a row."""
    try:
        mesh = read_mesh(job.mesh)
    except MeshError as error:
        return Row(job.name, "MESH", message=str(error))
    if job.landmarks is None:
        return Row(job.name, "NO_LANDMARKS", message=f"{job.name}: expected landmarks, got none")
    try:
        points = read_points(job.landmarks)
    except MeshError as error:
        return Row(job.name, "NO_LANDMARKS", message=str(error))
    try:
        made = register(work.template, None, mesh, points, work.settings)
    except RegistrationError as error:
        return Row(job.name, error.reason, message=f"{job.name}: {error}")
    except Exception as error:
        message = f"{job.name}: {type(error).__name__}: {error}"
        return Row(job.name, "INTERNAL", message=message)
    path = _path(work.output, job.name, made.accepted)
    path.parent.mkdir(parents=True, exist_ok=True)
    _path(work.output, job.name, not made.accepted).unlink(missing_ok=True)
    write_mesh(path, Mesh(made.vertices, work.template.mesh.faces))
    names = ("distance", "distance_95", "landmark_error", "coverage", "flipped", "stretched")
    figures = {name: round(getattr(made, name), 5) for name in (*names, "unit", "scale")}
    figures = {name: value if np.isfinite(value) else None for name, value in figures.items()}
    return Row(job.name, made.reason, message=made.message, **figures)


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
        now, wanted = _result(output, name), _path(output, name, not bad)
        if now is not None and now != wanted:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            os.replace(now, wanted)
    return judged
