"""Which scans are of one subject, and the neutral face that all of them start from.

In ``neutrals/SUBJECT.npz`` of a run's folder, with a stamp of the scans that it was made of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.archives import read_fields, write_npz
from synth.building.register_jobs import Job, stamp
from synth.errors import MeshError, SynthError
from synth.meshes.mesh import Mesh, read_mesh
from synth.meshes.points import read_points
from synth.morphable.registration import RegisterSettings, RegistrationError, register
from synth.morphable.registration.subject import Subject, neutral_face
from synth.morphable.registration.template import Template

__all__ = [
    "neutral_jobs", "neutral_stamp", "read_scan", "read_subject", "subject_face", "subject_of",
    "write_subject",
]  # fmt: skip

#: Neutral scans of a subject that its face is made of: more tell hardly more.
MOST = 8
FORM = "synth-subject-1"


def subject_of(name: str) -> str:
    """The first part of a name ``subject/sequence/frame``, or "" of shorter names."""
    parts = name.split("/")
    return parts[0] if len(parts) > 2 else ""


def neutral_jobs(jobs: Sequence[Job], neutral: str) -> dict[str, tuple[Job, ...]]:
    """The neutral scans that a subject's face is made of, of every subject that has some.

    Parameters
    ----------
    jobs : sequence of Job
    neutral : str
        Last part of the names of neutral sequences, in any case of letters.
    """
    found: dict[str, list[Job]] = {}
    for job in jobs:
        subject = subject_of(job.name)
        if subject and job.name.split("/")[-2].lower() == neutral.lower():
            found.setdefault(subject, []).append(job)
    chosen = {}
    for subject, inner in found.items():
        places = np.unique(np.linspace(0, len(inner) - 1, MOST).astype(int))
        chosen[subject] = tuple(inner[i] for i in places)
    return chosen


def neutral_stamp(jobs: Sequence[Job]) -> int:
    """Changes when one of the scans, or which they are, does; below 2^53."""
    text = json.dumps([[job.name, stamp(job)] for job in jobs])
    return int(hashlib.sha256(text.encode()).hexdigest()[:13], 16)


def read_scan(job: Job) -> tuple[Mesh, NDArray[np.float64]]:
    """A scan and its landmarks.

    Raises
    ------
    RegistrationError
        If either cannot be read.
    """
    try:
        mesh = read_mesh(job.mesh)
    except MeshError as error:
        raise RegistrationError("MESH", str(error)) from None
    if job.landmarks is None:
        raise RegistrationError("NO_LANDMARKS", f"{job.name}: expected landmarks, got none")
    try:
        return mesh, read_points(job.landmarks)
    except MeshError as error:
        raise RegistrationError("NO_LANDMARKS", str(error)) from None


def subject_face(
    template: Template, jobs: Sequence[Job], settings: RegisterSettings
) -> Subject | None:
    """A subject's neutral face from neutral scans, or None if none of them is of use."""
    made = []
    for job in jobs:
        try:
            made.append(register(template, None, *read_scan(job), settings))
        except Exception:  # its own row will tell why
            continue
    return neutral_face(template, made)


def write_subject(path: Path, subject: Subject | None, found: int) -> None:
    """Keep a subject's face, or that there is none, for a later run."""
    face = np.zeros((0, 3)) if subject is None else subject.face
    scale, unit = (1.0, 1.0) if subject is None else (subject.scale, subject.unit)
    write_npz(
        path,
        {
            "format": np.array(FORM), "face": face, "scale": np.array(scale),
            "unit": np.array(unit), "stamp": np.array(found),
        },
    )  # fmt: skip


def read_subject(path: Path, found: int) -> tuple[bool, Subject | None]:
    """Whether a face of these scans is kept, and the face."""
    try:
        kept = read_fields(path, "a subject's face", "synth model register", FORM,
                           ("face", "scale", "unit", "stamp"))  # fmt: skip
    except (SynthError, OSError):
        return False, None
    if int(kept["stamp"]) != found:
        return False, None
    if not len(kept["face"]):
        return True, None
    return True, Subject(kept["face"], float(kept["scale"]), float(kept["unit"]))
