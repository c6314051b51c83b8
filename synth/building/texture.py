"""A texture model from photos: features where the face is seen, robust PCA, then PCA.

Kollias et al., IJCV 2020, sec. 3.4.1, after Booth et al., CVPR 2017: each photo is fitted by its
landmarks, dense features are sampled at the projected places of the mesh, what is hidden is
marked as missing, robust PCA with missing values fills and cleans, PCA gives mean and modes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from synth.acceptance import Limits, check_photo
from synth.building.texture_samples import Layout, Observation, observe
from synth.errors import SkipPhoto, UsageError
from synth.images import ImageSource, load_image
from synth.landmarks import get_detector, select_face
from synth.morphable.features import channels
from synth.morphable.native import topology_digest
from synth.morphable.robust_pca import Components, principal_components, robust_pca
from synth.morphable.surface_samples import face_samples
from synth.morphable.texture import TextureModel
from synth.records import Skip
from synth.workers import results_of

if TYPE_CHECKING:
    from synth.landmarks import Detector
    from synth.morphable.model import MorphableModel

__all__ = ["LEAST_PEOPLE", "Face", "TextureSettings", "build_texture", "check_people",
           "face_layout", "observed", "read_faces"]  # fmt: skip

Float = NDArray[np.float64]

#: A mean of fewer people is a portrait.
LEAST_PEOPLE = 8
#: Photos turned farther are left out, degrees: their landmarks do not hold the mesh in place.
YAW = 45.0
#: Of people, to see how much of a stranger the modes leave.
FOLDS = 5
#: A face may be this much smaller than the features' size.
SMALLER = 0.6


@dataclass(frozen=True)
class TextureSettings:
    """What decides a texture model.

    Attributes
    ----------
    feature : str
        A key of `synth.morphable.features.FEATURES`.
    scale : float
        Pixels between the outer eye corners at which features are taken.
    spacing : float
        Of the places, share of the inter-ocular distance.
    modes : int or None
        At most so many.
    variance : float
        Share of the variance of the cleaned features that the modes keep.
    mirror : bool
        Take the mirror image of each photo as another photo.
    robust : bool
        False: what is missing is filled with the mean and nothing is cleaned.
    penalty : float
        Of gross errors in the robust PCA, as a multiple of its own default.
    """

    feature: str = "orientations"
    scale: float = 96.0
    spacing: float = 0.036
    modes: int | None = 40
    variance: float = 0.99
    mirror: bool = True
    robust: bool = True
    penalty: float = 2.0

    def __post_init__(self) -> None:
        channels(self.feature)
        for name, low, high in (
            ("scale", 32, 400),
            ("spacing", 0.01, 0.2),
            ("variance", 0.01, 1),
            ("penalty", 0.01, 100),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name}: expected {low} to {high}, got {value:g}")
        if self.modes is not None and self.modes < 1:
            raise UsageError(f"modes: expected at least 1, got {self.modes}")


@dataclass(frozen=True, eq=False)
class Face:
    """What one photo (or its mirror image) shows.

    Attributes
    ----------
    source : str
        Name of the photo.
    observations : tuple of Observation
        One for each layout.
    """

    source: str
    observations: tuple[Observation, ...]


def face_layout(model: MorphableModel, settings: TextureSettings) -> Layout:
    """Where on the mesh which features are taken."""
    faces, bary = face_samples(model, settings.spacing)
    return Layout(settings.feature, settings.scale, faces, bary)


@dataclass(frozen=True, eq=False)
class _Reader:
    """All that is needed to read a photo."""

    model: MorphableModel
    layouts: tuple[Layout, ...]
    mirror: bool
    landmarks: str
    sources: tuple[ImageSource, ...]
    pictured: frozenset[str] | None

    def detector(self) -> Detector:
        beside = self.sources if self.landmarks.startswith("file") else ()
        return get_detector(self.landmarks, beside)

    def read(self, source: ImageSource, detector: Detector) -> list[Face] | Skip:
        limits = Limits(
            eye_distance=SMALLER * self.layouts[0].scale, yaw=YAW, mouth_opening=None, smile=None
        )
        try:
            image = load_image(source.path, source.name)
            landmarks = select_face(detector.detect(image))[0]
            check_photo(image, landmarks, limits)
            wanted = self.pictured is None or source.name in self.pictured
            layouts = self.layouts if wanted else self.layouts[:1]
            found = observe(image, landmarks, self.model, layouts, self.mirror)
        except SkipPhoto as skip:
            return Skip(source.name, skip.reason, skip.value, str(skip))
        return [Face(source.name, observations) for observations in found]


def _ready(reader: _Reader) -> tuple[_Reader, Detector]:
    return reader, reader.detector()


def _read(ready: tuple[_Reader, Detector], source: ImageSource) -> list[Face] | Skip:
    return ready[0].read(source, ready[1])


def read_faces(
    sources: Sequence[ImageSource],
    model: MorphableModel,
    layouts: Sequence[Layout],
    mirror: bool = True,
    landmarks: str = "dlib",
    workers: int = 1,
    pictured: Collection[str] | None = None,
) -> Iterator[list[Face] | Skip]:
    """What each photo shows, in the photos' order; or why it cannot be used.

    Parameters
    ----------
    sources : sequence of ImageSource
    model : MorphableModel
        On the rig mesh.
    layouts : sequence of Layout
    mirror : bool
        Give the mirror image of each photo as well.
    landmarks : str
        Detector, as `synth.landmarks.get_detector` wants it.
    workers : int
        Processes; the result is the same.
    pictured : collection of str, optional
        Only these photos are read at the layouts behind the first.

    Returns
    -------
    iterator of list of Face, or Skip
        The largest face of each photo, any expression, turned up to 45 degrees.
    """
    plain = replace(model, meta={}, carrier=None)  # of what travels to processes
    shown = None if pictured is None else frozenset(pictured)
    reader = _Reader(plain, tuple(layouts), mirror, landmarks, tuple(sources), shown)
    return results_of(_read, partial(_ready, reader), sources, workers)


def observed(faces: Iterable[Face], layout: int = 0) -> tuple[NDArray[np.float32], Any]:
    """Values (N, n, C) and whether they were seen (N, n) of many faces at a layout."""
    found = [face.observations[layout] for face in faces]
    return np.stack([o.values for o in found]), np.stack([o.seen for o in found])


def check_people(people: Iterable[str]) -> int:
    """How many people there are; UsageError if too few to make a mean that shows nobody."""
    count = len(set(people))
    if count < LEAST_PEOPLE:
        raise UsageError(
            f"input: expected usable photos of at least {LEAST_PEOPLE} people, got {count}; "
            "a mean of fewer is a portrait, so add people (--subjects says who is on a photo)"
        )
    return count


def build_texture(
    faces: Sequence[Face],
    people: Mapping[str, str],
    model: MorphableModel,
    layout: Layout,
    settings: TextureSettings | None = None,
    name: str = "texture",
    version: str = "1",
    meta: Mapping[str, Any] | None = None,
    said: Callable[[str], None] = lambda text: None,
) -> TextureModel:
    """The texture model of faces that were read with `layout` as their first layout.

    Parameters
    ----------
    faces : sequence of Face
    people : mapping of str to str
        Who is on a photo, by its name.
    model : MorphableModel
        Whose mesh it is.
    layout : Layout
    settings : TextureSettings, optional
    name, version : str
    meta : mapping, optional
        Licence and sources, kept with the model.
    said : callable, optional
        Told what was found.

    Raises
    ------
    UsageError
        If the photos show fewer than eight people.
    """
    s = settings or TextureSettings()
    check_people(people[face.source] for face in faces)
    values, seen = observed(faces)
    kept = _often_seen(seen, [people[face.source] for face in faces])
    if not kept.any():
        raise UsageError(
            "input: expected places that eight people show, got none; use photos that look at "
            "the camera"
        )
    values, seen = values[:, kept], seen[:, kept]
    who = [people[face.source] for face in faces]
    components, noise, figures = components_of(values, seen, s, who)
    said(
        f"{len(components.modes)} modes of {values.shape[1]} places; robust PCA: rank "
        f"{figures['rank']}, {figures['corrupted']:.1%} of the values taken for errors"
    )
    shape = values.shape[1:]
    return TextureModel(
        name=name,
        version=version,
        feature=s.feature,
        scale=s.scale,
        faces=layout.faces[kept],
        bary=layout.bary[kept],
        mean=components.mean.reshape(shape).astype(np.float32),
        modes=components.modes.reshape(-1, *shape).astype(np.float32),
        sigma=components.sigma,
        noise=noise,
        topology=topology_digest(model.faces),
        meta=MappingProxyType(
            {
                **(meta or {}),
                "people": len({people[face.source] for face in faces}),
                "photos": len({face.source for face in faces}),
                "settings": {k: v for k, v in vars(s).items() if v is not None},
                **figures,
            }
        ),
    )


def _often_seen(seen: NDArray[np.bool_], people: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) places that at least eight people show, on both sides of the face."""
    names, who = np.unique(people, return_inverse=True)
    shown = np.zeros((len(names), seen.shape[1]), bool)
    np.logical_or.at(shown, who, seen)
    often = shown.sum(0) >= LEAST_PEOPLE
    half = len(often) // 2
    if len(often) % 2 == 0:  # pairs of mirror images (`face_samples`)
        both = often[:half] & often[half:]
        often = np.concatenate((both, both))
    return np.asarray(often)


def components_of(
    values: NDArray[np.float32],
    seen: NDArray[np.bool_],
    settings: TextureSettings,
    people: Sequence[str],
) -> tuple[Components, float, dict[str, float]]:
    """Mean, modes and noise of features.

    Parameters
    ----------
    values : (N, n, C) float32
    seen : (N, n) bool
        Where they are known.
    settings : TextureSettings
    people : sequence of N str

    Returns
    -------
    components : Components
        Of n * C values.
    noise : float
        What the modes leave of a value of a person they were not learned from.
    figures : dict
        ``rank`` of the clean part, share ``corrupted`` and ``seen``.
    """
    count, _, depth = values.shape
    data = values.reshape(count, -1).astype(np.float64)
    mask = np.repeat(seen, depth, axis=1)
    center = np.where(mask, data, 0).sum(0) / np.maximum(mask.sum(0), 1)
    centred = np.where(mask, data - center, 0)
    clean = centred
    figures = {"rank": count, "corrupted": 0.0, "seen": float(seen.mean())}
    if settings.robust:
        usual = 1 / np.sqrt(mask.mean() * max(data.shape))
        found = robust_pca(centred, mask, settings.penalty * usual)
        clean = found.low_rank
        wrong = (found.sparse != 0) & mask
        figures |= {"rank": found.rank, "corrupted": float(wrong.sum() / mask.sum())}
    kept = _kept_modes(principal_components(clean), settings)
    noise = _noise(centred, mask, clean, settings, people)
    return Components(kept.mean + center, kept.modes, kept.sigma), noise, figures


def _kept_modes(components: Components, settings: TextureSettings) -> Components:
    power = np.cumsum(components.sigma**2)
    if not len(power):
        raise UsageError("input: expected photos that differ, got copies of one; add photos")
    enough = int(np.searchsorted(power / power[-1], settings.variance - 1e-12)) + 1
    return components.keep(min(enough, settings.modes or enough, len(power)))


def _noise(
    data: Float,
    mask: NDArray[np.bool_],
    clean: Float,
    settings: TextureSettings,
    people: Sequence[str],
) -> float:
    """What modes leave of a value, root mean square, cross-validated over people."""
    _, who = np.unique(people, return_inverse=True)
    total = 0.0
    for fold in range(FOLDS):
        out = who % FOLDS == fold
        if not out.any():
            continue
        others = _kept_modes(principal_components(clean[~out]), settings)
        rest = np.where(mask[out], data[out] - others.mean, 0)
        rest -= (rest @ others.modes.T) @ others.modes
        total += float((rest[mask[out]] ** 2).sum())
    return float(np.sqrt(total / mask.sum()))
