"""People to pictures: photos loaded, brought together, morphed, recorded.

A job of `synth.batch` is one person, called by the neutral photo; its targets are the
cells of the template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synth.acceptance import Limits, check_photo
from synth.affect import BASIC_EXPRESSIONS
from synth.errors import AssetError, DependencyError, SkipPhoto, UsageError
from synth.images import ImageSource, load_image
from synth.landmarks import Detector, get_detector, select_face
from synth.morphing.align import (
    Aligned,
    align,
    check_folds,
    neutral_face,
    reject,
)
from synth.morphing.layout import PreparedPerson, laid_out
from synth.morphing.people import LabelledPhoto, Person
from synth.morphing.record import Morphed, MorphOptions, MorphRecord
from synth.morphing.template import Cell, Template
from synth.morphing.warp import mix
from synth.records import Skip
from synth.targets import Target
from synth.versions import installed

__all__ = ["Morpher", "targets_of"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

#: What a photo must satisfy by itself; any expression will do.
PHOTO_LIMITS = replace(Limits.any_expression(), sharpness=None)


class Embeds(Protocol):
    """Tells people apart: `synth.quality.embedder.Embedder`."""

    def embed(self, pixels: UInt8, landmarks: Float) -> Float: ...


def targets_of(cells: Iterable[Cell]) -> tuple[Target, ...]:
    """The cells as targets of a run; their index is that in the template."""
    return tuple(Target(cell.va, cell.index) for cell in cells)


@dataclass(frozen=True)
class Morpher:
    """The dimensional set of each person.

    Attributes
    ----------
    people : tuple of Person
    template : Template
    options : MorphOptions
    embedder : Embeds, optional
        Needed with ``identity_gate``.

    Raises
    ------
    UsageError
        If there is an identity gate and nothing to tell people apart with.
    """

    people: tuple[Person, ...]
    template: Template
    options: MorphOptions = MorphOptions()
    embedder: Embeds | None = None

    def __post_init__(self) -> None:
        if self.options.identity_gate is not None and self.embedder is None:
            raise UsageError("identity_gate: expected an embedder with it, got none")

    @property
    def face(self) -> str | int:
        """One picture for one target."""
        return self.options.face

    @cached_property
    def _by_key(self) -> dict[str, Person]:
        return {person.key.name: person for person in self.people}

    @cached_property
    def _detector(self) -> Detector:
        photos = [photo.source for person in self.people for photo in person.photos]
        return get_detector(self.options.landmarks, sources=photos)

    def preload(self) -> None:
        """Load everything, so that what is missing is said before the first photo."""
        _ = self._detector

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # load afresh

    def cells(self, person: Person) -> list[Cell]:
        """What the person's photos can show, if all can be used."""
        strengths = {name: photo.intensity for name, photo in person.apexes.items()}
        found = self.template.possible(strengths, self.options.originals)
        # Whoever has nothing to morph is asked for neutral, so that the run says why not.
        return found if found and person.neutral else [self.template.cells[0]]

    # ------------------------------------------------------------------ once a person
    def prepare(self, person: Person) -> tuple[PreparedPerson, list[SkipPhoto]]:
        """The person's photos brought together, and why some were left out.

        Raises
        ------
        SkipPhoto
            If the neutral photo is missing or cannot be used, or there is no apex.
        """
        if person.neutral is None:
            raise reject(
                "NO_NEUTRAL",
                f"{person.subject}: expected a neutral photo, got "
                f"{', '.join(sorted({p.expression for p in person.photos}))}; add one",
            )
        neutral = neutral_face(*self._load(person.neutral))
        faces, skips = {"neutral": neutral}, []
        for photo in person.unplaced:
            skips.append(reject("NO_PLACE", f"{photo.source.name}: expected one of "
                                f"{', '.join(BASIC_EXPRESSIONS)}, got {photo.expression}, which "
                                "has no place on the template; leave it out"))  # fmt: skip
        apexes = person.apexes
        for name in (name for name in self.template.places if name in apexes):
            try:
                faces[name] = self._apex(neutral, apexes[name])
            except SkipPhoto as skip:
                skips.append(skip)
        if not apexes:
            raise reject(
                "NO_APEX",
                f"{person.subject}: expected a photo of {', '.join(BASIC_EXPRESSIONS[:-1])} or "
                f"{BASIC_EXPRESSIONS[-1]} beside {neutral.image.name}, got none; add one",
            )
        return laid_out(person, faces, self.options), skips

    def _load(self, photo: LabelledPhoto) -> tuple[Any, Any]:
        image = load_image(photo.source.path, name=photo.source.name)
        try:
            landmarks = select_face(self._detector.detect(image), self.options.face)[0]
            check_photo(image, landmarks, PHOTO_LIMITS)
        except SkipPhoto as skip:
            raise SkipPhoto(skip.reason, f"{image.name}: {skip}", skip.value) from None
        return image, landmarks

    def _apex(self, neutral: Aligned, photo: LabelledPhoto) -> Aligned:
        face = align(neutral, *self._load(photo), self.options.limits)
        self._check_person(neutral, face)
        check_folds(neutral, face, self.options.limits)
        return face

    def _check_person(self, neutral: Aligned, face: Aligned) -> None:
        if self.options.identity_gate is None or self.embedder is None:
            return
        first, second = (
            self.embedder.embed(f.image.pixels, f.landmarks.points) for f in (neutral, face)
        )
        distance = float(np.linalg.norm(first - second))
        if not distance <= self.options.identity_gate:
            raise reject(
                "OTHER_PERSON",
                f"{face.image.name}: expected the person of {neutral.image.name}, an identity "
                f"distance of at most {self.options.identity_gate:g}, got {distance:.2f}; check "
                "the column subject",
                distance,
            )

    # ------------------------------------------------------------------ once a target
    def make(self, ready: PreparedPerson, cell: Cell) -> Morphed:
        """The face of a cell.

        Raises
        ------
        SkipPhoto
            If a photo that it needs was left out, or the triangles fold.
        """
        apexes = {n: p.intensity for n, p in ready.person.apexes.items() if n in ready.faces}
        weights = self.template.recipe(cell, apexes)
        if weights is None:
            raise reject("NO_APEX", f"{cell.tag}: expected apexes around it, got none")
        layers = {name: ready.layers[name] for name in {"neutral": 0.0} | weights}
        shares = [weights.get(name, 0.0) for name in layers]
        shape = np.einsum("k,kij->ij", shares, [layer.points for layer in layers.values()])
        if folded := int((ready.mesh.areas(shape) <= 0).sum()):
            raise reject(
                "FOLDED",
                f"{cell.tag}: expected no triangle to fold between {', '.join(layers)}, got "
                f"{folded}; check the landmarks",
                folded,
            )
        background = 0 if self.options.background == "neutral" else None
        pixels = mix(list(layers.values()), shares, ready.mesh, ready.size, background)
        alpha = ready.faces["neutral"].image.alpha if ready.crop is None else None
        return Morphed(pixels, self._record(ready, cell, weights), alpha)

    def _record(
        self, ready: PreparedPerson, cell: Cell, weights: Mapping[str, float]
    ) -> MorphRecord:
        neutral = ready.faces["neutral"].image
        photos = {"neutral": ready.person.neutral, **ready.person.apexes}
        used = {"neutral": 0.0} | dict(weights)
        return MorphRecord(
            file_name="",
            source=neutral.name,
            source_sha256=neutral.sha256,
            subject=ready.person.subject,
            valence=cell.va.valence,
            arousal=cell.va.arousal,
            expression="+".join(name for name in weights if name != "neutral") or "neutral",
            angle=cell.angle,
            intensity=round(cell.intensity, 6),
            weights={name: round(float(share), 6) for name, share in weights.items()},
            target_index=cell.index,
            faces_found=ready.faces["neutral"].landmarks.faces_found,
            grey=ready.grey,
            sources=tuple(_told(ready.faces[name], photos[name]) for name in used),
            crop_matrix=None if ready.crop is None else _rounded(ready.crop, 6),
            options={k: v for k, v in vars(self.options).items() if k != "limits"},
            notes=neutral.notes,
            versions=installed(),
        )

    def run(
        self, photos: Iterable[ImageSource], targets: Iterable[Target]
    ) -> Iterator[Morphed | Skip]:
        """Every target of every person, who is named by the neutral photo."""
        targets = list(targets)
        for photo in photos:
            person = self._by_key[photo.name]
            try:
                ready, skips = self.prepare(person)
                yield from (_skip(photo, skip) for skip in skips)
                for target in targets:
                    cell = self.template.cells[target.index]
                    if self._left_out(ready, cell):
                        continue  # said above, once for the photo
                    yield self.make(ready, cell)
            except SkipPhoto as skip:
                yield _skip(photo, skip)
            except (AssetError, DependencyError, UsageError):
                raise  # every other person would fail alike
            except Exception as error:
                yield Skip(photo.name, "INTERNAL", None, f"{type(error).__name__}: {error}")

    def _left_out(self, ready: PreparedPerson, cell: Cell) -> bool:
        """Whether the cell needs a photo that `prepare` refused."""
        strengths = {n: p.intensity for n, p in ready.person.apexes.items()}
        wanted = self.template.recipe(cell, strengths)
        return wanted is not None and not wanted.keys() <= ready.faces.keys()


def _skip(photo: ImageSource, skip: SkipPhoto) -> Skip:
    return Skip(photo.name, skip.reason, skip.value, str(skip))


def _told(face: Aligned, photo: LabelledPhoto | None) -> dict[str, Any]:
    assert photo is not None
    return {
        "file_name": face.image.name,
        "sha256": face.image.sha256,
        "expression": photo.expression,
        "intensity": photo.intensity,
        "landmarks": _rounded(face.landmarks.points, 3),
        "matrix": _rounded(face.matrix, 9),
        "residual": round(face.residual, 5),
    }


def _rounded(values: Float, digits: int) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(v), digits) for v in row) for row in values)
