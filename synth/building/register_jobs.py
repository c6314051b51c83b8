"""The scans of a run, what came of them, and what of an earlier run still stands."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from synth.errors import UsageError
from synth.meshes.mesh import list_meshes
from synth.meshes.points import points_beside
from synth.morphable.model import MorphableModel
from synth.morphable.registration import RegisterSettings

__all__ = ["NO_RESULT", "Job", "Row", "begun", "line", "plan_jobs", "run_key", "stamp"]

#: Raised when the same settings give other results.
VERSION = 1
#: Reasons for which there is nothing to look at.
NO_RESULT = ("MESH", "NO_LANDMARKS", "FEW_LANDMARKS", "LANDMARKS_OFF", "INTERNAL")


@dataclass(frozen=True)
class Job:
    """A scan and its landmarks.

    Attributes
    ----------
    name : str
        Path below the input without suffix, with ``/``.
    mesh : Path
    landmarks : Path or None
    """

    name: str
    mesh: Path
    landmarks: Path | None


@dataclass(frozen=True)
class Row:
    """What came of a scan; a row of ``report.csv``. See `Registration` for the figures.

    Attributes
    ----------
    subject : str
        Whose neutral face it was started from; empty if it was registered for itself.
    """

    file_name: str
    reason: str = ""
    subject: str = ""
    distance: float | None = None
    distance_95: float | None = None
    landmark_error: float | None = None
    coverage: float | None = None
    flipped: float | None = None
    stretched: float | None = None
    outlier: float | None = None
    unit: float | None = None
    scale: float | None = None
    message: str = ""


def plan_jobs(meshes: Path, landmarks: Path | None) -> list[Job]:
    """The scans below a folder with the files of their landmarks, sorted by name.

    Parameters
    ----------
    meshes : Path
    landmarks : Path, optional
        Folder with files of points of the same relative names; the meshes' own if not given.

    Raises
    ------
    MeshError
        If there are no meshes.
    UsageError
        If there are no landmarks at all, or two meshes have one name.
    """
    if landmarks is not None and not landmarks.is_dir():
        raise UsageError(f"landmarks: expected a folder of points, got {landmarks}; give another")
    jobs, names = [], set()
    for path in list_meshes(meshes):
        name = path.relative_to(meshes).with_suffix("").as_posix()
        if name in names:
            raise UsageError(f"{path}: expected one mesh of a name, got two; rename one")
        names.add(name)
        jobs.append(Job(name, path, points_beside(landmarks or meshes, name)))
    if not any(job.landmarks for job in jobs):
        raise UsageError(
            f"landmarks: expected files of 3D points named as the meshes, got none in "
            f"{landmarks or meshes}; mark the 68 iBUG points (at least 6, the others nan) and "
            "give their folder with --landmarks"
        )
    return sorted(jobs, key=lambda job: job.name)


def run_key(
    model: MorphableModel, settings: RegisterSettings, prior: bool, neutral: str | None = None
) -> str:
    """What decides the results besides the scans; `neutral` of scans registered together."""
    how = [VERSION, asdict(settings), prior, *([] if neutral is None else [neutral.lower()])]
    digest = hashlib.sha256(json.dumps(how).encode())
    for array in (model.mean, model.faces, model.landmark_bary, model.modes, model.blendshapes):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def stamp(job: Job) -> list[int]:
    """Changes when a file of the job does."""
    stats = [path.stat() for path in (job.mesh, job.landmarks) if path is not None]
    return [number for stat in stats for number in (stat.st_size, stat.st_mtime_ns)]


def line(found: list[int], row: Row) -> str:
    return json.dumps({"stamp": found, "row": asdict(row)}) + "\n"


def begun(output: Path, key: str) -> dict[str, tuple[list[int], Row]]:
    """Stamp and row of each scan that an earlier run finished."""
    if os.path.lexists(output) and not output.is_dir():
        raise UsageError(f"output: expected a folder, got {output}; give another")
    path = output / "done.jsonl"
    if not path.is_file():
        if output.is_dir() and any(output.iterdir()):
            raise UsageError(f"output: expected a new folder, got {output}; give another")
        return {}
    done: dict[str, tuple[list[int], Row]] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines()):
        try:
            found = json.loads(line)
            if number == 0 and found["key"] != key:
                raise UsageError(
                    f"output: expected a run with the same template and settings in {output}, "
                    "got another; give a new folder"
                )
            if number:
                row = Row(**found["row"])
                done[row.file_name] = (found["stamp"], row)
        except (ValueError, KeyError, TypeError):
            break  # cut off in the middle of a line
    return done
