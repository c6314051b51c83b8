"""The known-truth scans on disk: what a laboratory would have, and the truth beside it.

``raw/S01/happiness_01/0001.ply``    scans, each on its own triangulation
``landmarks/S01/...txt``             68 points on each scan
``annotations/a1/S01/....csv``       valence and arousal in time, by three annotators
``expressions.csv``                  frames that show a basic expression, from the protocol
``truth/frames.npy``                 the same faces in correspondence, head at rest
``truth/poses.npy``                  where the head was
``truth/labels.csv``                 true valence and arousal
``truth/template.npz``               the mesh they are on
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.building.scans import ScanSettings, raw_scan
from synth.errors import UsageError
from synth.evaluation.scans_truth import (
    ANNOTATORS,
    NEUTRAL,
    ScanPlan,
    Shot,
    annotate,
    annotation_csv,
    frames_of,
    shots,
)
from synth.expressions.gallery import Gallery
from synth.image_files import write_atomic
from synth.meshes.collection import MeshCollection, open_collection
from synth.meshes.mesh import Mesh, write_mesh
from synth.morphable.model import MorphableModel
from synth.tables import csv_bytes

__all__ = ["Truth", "make_scans", "read_truth"]

Float = NDArray[np.float64]

#: A scan of about 14,000 vertices.
SCAN = ScanSettings(spacing=3.0)
FRAMES = "truth/frames.npy"
LABELS = "truth/labels.csv"
COLUMNS = ("file_name", "subject", "valence", "arousal", "expression")


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the scans.

    Attributes
    ----------
    frames : MeshCollection
        The faces in correspondence, head at rest.
    poses : (N, 3, 4) float64
    va : (N, 2) float64
    """

    frames: MeshCollection
    poses: Float
    va: Float

    def seen(self, index: int) -> Float:
        """(V, 3) a face where the scanner saw it."""
        at_rest = self.frames.read(index)[0].astype(np.float64)
        return np.asarray(at_rest @ self.poses[index, :, :3].T + self.poses[index, :, 3])


def make_scans(
    root: Path,
    plan: ScanPlan,
    model: MorphableModel,
    gallery: Gallery,
    template: tuple[NDArray[np.integer], NDArray[np.int32]],
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the set below `root`, whole or not at all.

    Parameters
    ----------
    root : Path
        Must not exist.
    plan : ScanPlan
    model : MorphableModel
        The people: all of it is scanned, eyeballs and mouth included.
    gallery : Gallery
        What they show.
    template : ((V,) int, (F, 3) int32)
        Vertices of the model that the truth keeps, and triangles on these.
    seed : int
    progress : callable
        Told how many frames are done.

    Raises
    ------
    UsageError
        If `root` exists.
    """
    if root.exists():
        raise UsageError(f"output: expected a new folder, got {root}; name another")
    part = root.with_name(root.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "truth").mkdir(parents=True)
    index, faces = template
    made: list[Shot] = []
    kept = []
    for number, shot in enumerate(shots(plan, model, gallery, seed)):
        _write_scan(part, shot, model, np.random.default_rng([seed, 7, number]))
        kept.append(shot.vertices[index].astype(np.float32))
        made.append(shot)
        progress(number + 1)
    np.save(part / FRAMES, np.stack(kept))
    np.save(part / "truth/frames.faces.npy", faces)
    np.save(part / "truth/poses.npy", np.stack([shot.pose for shot in made]))
    rows = [
        (s.name, s.subject, f"{s.va.valence:.6f}", f"{s.va.arousal:.6f}", s.expression)
        for s in made
    ]
    write_atomic(part / LABELS, csv_bytes(COLUMNS, rows))
    write_atomic(part / "truth/frames.csv", csv_bytes(COLUMNS[:1], [row[:1] for row in rows]))
    posed = [(s.name, s.expression) for s in made if s.expression not in ("", NEUTRAL)]
    write_atomic(part / "expressions.csv", csv_bytes(("file_name", "expression"), posed))
    _write_annotations(part, made, plan.fps, seed)
    os.replace(part, root)


def _write_scan(root: Path, shot: Shot, model: MorphableModel, rng: np.random.Generator) -> None:
    mesh, points = raw_scan(shot.vertices, model.faces, model.landmarks(shot.vertices), rng, SCAN)
    placed = Mesh(shot.seen(mesh.vertices), mesh.faces)
    for folder in ("raw", "landmarks"):
        (root / folder / shot.name).parent.mkdir(parents=True, exist_ok=True)
    write_mesh(root / "raw" / f"{shot.name}.ply", placed)
    lines = "\n".join(" ".join(f"{x:.4f}" for x in point) for point in shot.seen(points))
    write_atomic(root / "landmarks" / f"{shot.name}.txt", (lines + "\n").encode())


def _write_annotations(root: Path, made: Sequence[Shot], fps: float, seed: int) -> None:
    """A track of every annotator for every sequence but the neutral ones."""
    va = np.array([(s.va.valence, s.va.arousal) for s in made])
    for i, (who, habits) in enumerate(ANNOTATORS.items()):
        for j, (sequence, frames) in enumerate(frames_of([s.name for s in made]).items()):
            if sequence.endswith("/" + NEUTRAL):
                continue
            rng = np.random.default_rng([seed, 8, i, j])
            times, track = annotate(va[frames], habits, fps, rng)
            path = root / "annotations" / who / f"{sequence}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, annotation_csv(times, track).encode())


def read_truth(root: Path) -> Truth:
    """The truth beside the scans.

    Raises
    ------
    MeshError
        If it is not there.
    """
    frames = open_collection(root / FRAMES)
    with open(root / LABELS, newline="", encoding="utf-8") as file:
        va = [(float(row["valence"]), float(row["arousal"])) for row in csv.DictReader(file)]
    return Truth(frames, np.load(root / "truth/poses.npy", allow_pickle=False), np.array(va))
