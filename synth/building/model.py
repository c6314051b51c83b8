"""A morphable model from meshes in correspondence: align, take components, measure.

Steps as in Booth et al., "Large Scale 3D Morphable Models", IJCV 126, 2018, after registration:
generalised Procrustes alignment, principal components, and the curves that tell what the model
is worth.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synth.building.model_inputs import Places, Sample
from synth.errors import AssetError, MeshError, UsageError
from synth.meshes.rigid import similarity
from synth.morphable.carrier import with_carrier
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import MorphableModel
from synth.morphable.native import native_model
from synth.morphable.statistics.curves import SAMPLES, Curves, measure_curves
from synth.morphable.statistics.pca import MEMORY, Components, principal_components
from synth.morphable.statistics.people import People
from synth.morphable.statistics.procrustes import Alignment, align

__all__ = ["BuildSettings", "BuiltModel", "build_model"]

Progress = Callable[[str, float], None]

#: Landmarks of a mean face further than this share of the inter-ocular distance from those of
#: the embedded one (root mean square, after the best similarity) are not those of a face; the
#: means of the models that can be imported are within 0.1.
STRANGE = 0.25


@dataclass(frozen=True)
class BuildSettings:
    """How a model is built.

    Attributes
    ----------
    variance : float
        Share of the variance to keep.
    modes : int or None
        Modes to keep instead.
    scale : bool
        Take differences in size out; otherwise the model is metric.
    folds : int
        Of the cross-validation, over subjects.
    samples : int
        Random faces for specificity.
    seed : int
        Of folds and random faces; the model itself involves no chance.
    memory : int
        Bytes that may be used.
    """

    variance: float = 0.995
    modes: int | None = None
    scale: bool = False
    folds: int = 5
    samples: int = SAMPLES
    seed: int = 0
    memory: int = MEMORY

    def __post_init__(self) -> None:
        if not 0 < self.variance <= 1:
            raise UsageError(f"variance: expected above 0 and up to 1, got {self.variance:g}")
        if self.modes is not None and self.modes < 1:
            raise UsageError(f"modes: expected at least 1, got {self.modes}")
        if self.folds < 2:
            raise UsageError(f"folds: expected at least 2, got {self.folds}")


@dataclass(frozen=True, eq=False)
class BuiltModel:
    """A model, and how it came about; `remark` says what it lacks for drawing, if anything."""

    model: MorphableModel
    sample: Sample
    people: People
    alignment: Alignment
    components: Components
    curves: Curves
    settings: BuildSettings
    remark: str = ""


def build_model(
    sample: Sample,
    places: Places,
    settings: BuildSettings | None = None,
    *,
    name: str = "built",
    version: str = "1",
    meta: dict[str, Any] | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> BuiltModel:
    """The model of some meshes, on their topology, without blendshapes.

    Parameters
    ----------
    sample : Sample
        At least three meshes of at least three subjects, in millimetres.
    places : Places
    settings : BuildSettings
    name, version : str
    meta : mapping
        Licence and source; what was done is added.
    scratch : Path
        Folder where meshes from files may be kept as one stack meanwhile; the system's folder
        for temporary files if not given.
    progress : callable
        Called with the name of a stage and the share of it just done.

    Raises
    ------
    MeshError
        If a mesh has another topology or impossible numbers, or the landmarks are not those of
        a face.
    UsageError
        If `settings` ask for the impossible.
    """
    settings = settings or BuildSettings()
    people = People.of(sample.subjects, len(sample.meshes))
    count = len(sample.meshes)
    if settings.modes is not None and settings.modes >= count:
        raise UsageError(
            f"modes: expected 1 to {count - 1}, one less than meshes, got {settings.modes}"
        )
    tell = progress or (lambda stage, share: None)
    with tempfile.TemporaryDirectory(prefix=".synth-meshes-", dir=scratch) as folder:
        meshes = sample.meshes.stacked(
            Path(folder) / "meshes.npy", lambda n: tell("reading", n / count)
        )
        alignment = align(
            meshes, people.weights, scale=settings.scale,
            progress=lambda n: tell("alignment", n / count),
        )  # fmt: skip
        components = principal_components(
            meshes, alignment, people, variance=settings.variance, modes=settings.modes,
            memory=settings.memory, progress=tell,
        )  # fmt: skip
    curves = measure_curves(
        components, people, folds=settings.folds, samples=settings.samples, seed=settings.seed
    )
    tell("curves", 1.0)
    model = native_model(
        name, version, alignment.mean, places.faces, components.modes, components.sigma,
        places.landmarks, meta=(meta or {}) | _record(sample, people, components, settings, places),
    )  # fmt: skip
    _check_face(model, places)
    model, remark = _with_carrier(model)
    return BuiltModel(model, sample, people, alignment, components, curves, settings, remark)


def _with_carrier(model: MorphableModel) -> tuple[MorphableModel, str]:
    """The model with its carrier, by which it is drawn; or as it is, and why."""
    try:
        return with_carrier(model, embedded_model()), ""
    except (AssetError, MeshError) as error:
        return model, f"cannot be drawn with (synth generate --model): {error}"


def _record(
    sample: Sample, people: People, components: Components, settings: BuildSettings, places: Places
) -> dict[str, Any]:
    """What was done, for the model's meta; no paths, and the same for the same meshes."""
    listed = "\n".join(sample.meshes.names)
    return {
        "built_from": {
            "meshes": len(sample.meshes),
            "subjects": people.count,
            "names_sha256": hashlib.sha256(listed.encode()).hexdigest(),
            "sample": sample.note,
            "landmarks": places.source,
        },
        "variance_kept": round(components.kept, 6),
        "route": components.route,
        "settings": asdict(settings),
    }


def _check_face(model: MorphableModel, places: Places) -> None:
    """Refuse landmarks that do not lie as those of a face do."""
    ours, embedded = model.landmarks(model.mean), embedded_model()
    theirs = embedded.landmarks(embedded.mean)
    scale, rotation, shift = similarity(ours, theirs)
    gaps = theirs - (scale * ours @ rotation.T + shift)
    size = float(np.linalg.norm(theirs[36] - theirs[45]))
    found = float(np.sqrt((gaps**2).sum(1).mean())) / size
    if found > STRANGE:
        raise MeshError(
            f"{places.source}: expected landmarks of a face, got an arrangement {found:.2f} of "
            "the inter-ocular distance away from any; it is the map of another mesh"
        )
