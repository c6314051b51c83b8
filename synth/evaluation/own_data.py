"""The own-data experiment: commands on scans of known truth, and how near they came to it.

What a laboratory with 4-D data would type is typed on the set of `synth.evaluation.scans_set`;
then each stage is compared with the truth. The truth's own model and gallery are built by the
same commands from the true faces and the true ratings, so that what differs is what scanning,
registration and annotation did.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth import assets
from synth.evaluation.faces import inner_hull
from synth.evaluation.scans_score import (
    LabelScore,
    ModelScore,
    RegistrationScore,
    face_difference,
    score_labels,
    score_model,
    score_registration,
)
from synth.evaluation.scans_set import FRAMES, LABELS, Truth, make_scans, read_truth
from synth.evaluation.scans_truth import ScanPlan
from synth.expressions.face_classes import FaceClasses, load_face_classes
from synth.expressions.storage import load_gallery
from synth.meshes.collection import open_collection
from synth.meshes.mesh import read_mesh
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import MorphableModel, load_model
from synth.morphable.surface import outer_surface
from synth.pipeline import Generator
from synth.targets import as_target
from synth.types import VA, inter_ocular

__all__ = ["OwnDataScores", "commands", "make_known_scans", "score"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: Folder of the scans, below that of the run.
SCANS = "scans"
#: Where the pictures are compared: all round the plane, within what the people show.
TARGETS = tuple(
    VA(round(float(r * np.cos(t)), 3), round(float(r * np.sin(t)), 3))
    for r, n in ((0.35, 4), (0.65, 8))
    for t in (np.arange(n) + 0.5) * 2 * np.pi / n
)
#: Registered meshes that are compared, evenly over all.
SCORED = 200
#: Size of the pictures compared, pixels.
SIZE = 384


def commands(root: Path, plan: ScanPlan, workers: int) -> list[tuple[Path, list[str]]]:
    """What is typed, in order, each with the file that is there when it was done."""
    scans, built, truth = root / SCANS, root / "built", root / "truth"
    meshes, labels = root / "registered/meshes", root / "labels/labels.csv"
    classes = ["--classes", str(plan.classes)]
    return [
        (
            root / "registered/report.md",
            ["model", "register", "--input", f"{scans}/raw", "--landmarks",
             f"{scans}/landmarks", "-o", f"{root}/registered", "--workers", str(workers)],
        ),
        (
            root / "labels/report.md",
            ["gallery", "annotate-check", f"{scans}/annotations", "--meshes", f"{meshes}",
             "--fps", f"{plan.fps:g}", "--expressions", f"{scans}/expressions.csv",
             "-o", f"{root}/labels"],
        ),
        (
            built / "model.npz",
            ["model", "build", "--meshes", f"{meshes}", "--labels", f"{labels}",
             "-o", f"{built}/model.npz"],
        ),
        (
            built / "gallery.npz",
            ["gallery", "build", "--meshes", f"{meshes}", "--labels", f"{labels}",
             "--model", f"{built}/model.npz", *classes, "-o", f"{built}/gallery.npz"],
        ),
        (
            built / "true_labels.npz",
            ["gallery", "build", "--meshes", f"{meshes}", "--labels", f"{scans / LABELS}",
             "--model", f"{built}/model.npz", *classes, "-o", f"{built}/true_labels.npz"],
        ),
        (
            built / "components.npz",
            ["model", "components", "--gallery", f"{built}/gallery_classes.npz", "--components",
             str(min(12, plan.classes - 1)), "--compare", "5", "-o", f"{built}/components.npz"],
        ),
        (
            truth / "model.npz",
            ["model", "build", "--meshes", f"{scans / FRAMES}", "--labels",
             f"{scans / LABELS}", "--template", f"{root}/registered/template.npz",
             "-o", f"{truth}/model.npz"],
        ),
        (
            truth / "gallery.npz",
            ["gallery", "build", "--meshes", f"{scans / FRAMES}", "--labels",
             f"{scans / LABELS}", "--model", f"{truth}/model.npz", *classes,
             "-o", f"{truth}/gallery.npz"],
        ),
        (
            root / "pictures/metadata.csv",
            ["generate", "--model", f"{built}/model.npz", "--gallery", f"{built}/gallery.npz",
             "--input", f"{root}/portraits", "-o", f"{root}/pictures", "--crop", "face",
             "--size", str(SIZE), "--va", "0.6,0.3", "--va", "-0.6,0.3", "--va", "0.2,0.6"],
        ),
    ]  # fmt: skip


def make_known_scans(
    root: Path, plan: ScanPlan, seed: int, told: Callable[[str], None] = lambda line: None
) -> None:
    """The scans, of people drawn from the embedded model, unless they are there."""
    if (root / SCANS).is_dir():
        return
    root.mkdir(parents=True, exist_ok=True)
    model, gallery = embedded_model(), load_gallery(assets.path("va_gallery"))

    def progress(done: int) -> None:
        if done % 100 == 0:
            told(f"{done} scans")

    make_scans(root / SCANS, plan, model, gallery, outer_surface(model), seed, progress)


@dataclass(frozen=True)
class GalleryScore:
    """Faces of a built gallery against those of the truth; mean distances of vertices, mm.

    Attributes
    ----------
    same_labels : float
        Mean faces of all classes, registered meshes with the true ratings: what scanning and
        registration cost.
    drawn : float
        What is drawn at `TARGETS` (smooth lookup), with the annotators' ratings.
    size : float
        Size of the true offsets at `TARGETS`: what these compare to.
    """

    same_labels: float
    drawn: float
    size: float


@dataclass(frozen=True)
class PictureScore:
    """Mean absolute differences inside the face, levels of 255, over photos and targets.

    Attributes
    ----------
    gallery : float
        Built gallery against the true one, both with the built model.
    worst : float
        The largest of one picture.
    same_labels : float
        The gallery of registered meshes with the true ratings against the true one.
    both : float
        Built model and gallery against the true ones.
    expression : float
        The true gallery's pictures against the photo: what the expressions change.
    """

    gallery: float
    worst: float
    same_labels: float
    both: float
    expression: float


@dataclass(frozen=True)
class OwnDataScores:
    """All stages against the truth."""

    frames: int
    rejected: int
    inter_ocular: float
    registration: RegistrationScore
    labels: LabelScore
    model: ModelScore
    gallery: GalleryScore
    pictures: PictureScore


def score(root: Path, photos: list[Path]) -> tuple[OwnDataScores, list[list[UInt8]]]:
    """Scores of a finished run, and rows of pictures: photo, true gallery, built gallery.

    Parameters
    ----------
    root : Path
        Where all `commands` have run.
    photos : list of Path
        Neutral portraits to compare pictures on.
    """
    truth = read_truth(root / SCANS)
    template = load_model(root / "registered/template.npz")
    registration, kept, unit = _registration(root, truth, template)
    true_classes = load_face_classes(root / "truth/gallery_classes.npz")
    rows = {name: i for i, name in enumerate(truth.frames.names)}
    found, places = _labels(root / "labels/labels.csv", rows)
    makers = _makers(root)
    pictures, sheet = _pictures(makers, photos)
    built, true = load_model(root / "built/model.npz"), load_model(root / "truth/model.npz")
    scores = OwnDataScores(
        len(truth.frames), len(truth.frames) - kept, unit, registration,
        score_labels(found, truth.va[places], true_classes.class_va),
        score_model(built.mean, built.modes, true.mean, true.modes),
        _gallery(root, makers, true_classes),
        pictures,
    )  # fmt: skip
    return scores, sheet


def _registration(
    root: Path, truth: Truth, template: MorphableModel
) -> tuple[RegistrationScore, int, float]:
    """The score, how many meshes were kept, and the mean inter-ocular distance in mm."""
    meshes = open_collection(root / "registered/meshes")
    chosen = np.unique(np.linspace(0, len(meshes) - 1, SCORED).astype(int))
    names = [meshes.names[i] for i in chosen]
    true = [truth.seen(truth.frames.names.index(name)) for name in names]
    iod = [inter_ocular(template.landmarks(vertices)) for vertices in true]
    found = (vertices.astype(np.float64) for vertices in meshes.read(chosen))
    scans = (read_mesh(root / SCANS / "raw" / f"{name}.ply") for name in names)
    score = score_registration(found, true, scans, template.faces, iod)
    return score, len(meshes), float(np.mean(iod))


def _labels(path: Path, rows: dict[str, int]) -> tuple[Float, list[int]]:
    """Annotated ratings, and the truth's rows, of all frames that are not neutral."""
    found, places = [], []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row.get("expression") != "neutral":
                found.append((float(row["valence"]), float(row["arousal"])))
                places.append(rows[row["file_name"]])
    return np.array(found), places


def _makers(root: Path) -> dict[str, Generator]:
    """Generators of the built and the true model and gallery, and of mixtures."""
    built, true = root / "built", root / "truth"
    pairs = {
        "built": (built, built / "gallery.npz"),
        "true labels": (built, built / "true_labels.npz"),
        "true gallery": (built, true / "gallery.npz"),
        "true": (true, true / "gallery.npz"),
    }
    return {
        name: Generator(model=model / "model.npz", gallery=gallery, crop="face", size=SIZE)
        for name, (model, gallery) in pairs.items()
    }


def _gallery(root: Path, makers: dict[str, Generator], true: FaceClasses) -> GalleryScore:
    built = load_face_classes(root / "built/true_labels_classes.npz")
    classes = [
        np.linalg.norm(built.face(k) - true.face(k), axis=1).mean() for k in range(1, len(true))
    ]
    drawn = {name: _offsets(makers[name]) for name in ("built", "true gallery")}
    gap = np.linalg.norm(drawn["built"] - drawn["true gallery"], axis=2)
    size = np.linalg.norm(drawn["true gallery"], axis=2)
    return GalleryScore(float(np.mean(classes)), float(gap.mean()), float(size.mean()))


def _offsets(maker: Generator) -> Float:
    """(targets, n, 3) how the skin moves in what is drawn at `TARGETS`, mm."""
    skin, _ = outer_surface(maker.morphable)
    weights = maker.expressions.smooth_weights([(va.valence, va.arousal) for va in TARGETS])
    return np.stack([maker.morphable.offsets(w[maker.order])[skin] for w in weights])


def _pictures(
    makers: dict[str, Generator], photos: list[Path]
) -> tuple[PictureScore, list[list[UInt8]]]:
    gaps: dict[str, list[float]] = {name: [] for name in (*makers, "photo")}
    sheet = []
    for photo in photos:
        faces = {}
        for name, maker in makers.items():
            image, found = maker.faces(photo)
            faces[name] = maker.prepare(image, found[0])
        rig = faces["true"].rig
        plain, mask = rig.image.pixels, inner_hull(rig.landmarks.points, rig.image.pixels.shape[:2])
        for va in TARGETS:
            made = {n: maker.draw(faces[n], as_target(va)).image for n, maker in makers.items()}
            against = made | {"true": made["built"], "photo": plain}
            for name in gaps:
                truth = made["true" if name == "true" else "true gallery"]
                gaps[name].append(face_difference(against[name], truth, mask))
            sheet.append([plain, made["true"], made["built"]])
    mean = {name: float(np.mean(values)) for name, values in gaps.items()}
    score = PictureScore(
        mean["built"], max(gaps["built"]), mean["true labels"], mean["true"], mean["photo"]
    )
    return score, sheet
