"""Photos x valence-arousal targets -> labelled pictures. Start reading here.

``photo -> faces -> [crop] -> fit -> rig`` happens once per face, ``target -> weights ->
render -> Sample`` once per target. Every stage is a function of its own module; this
one puts them in order, and asks whether the photo can be used.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from synth.acceptance import check_pose
from synth.acting import Act, Performance, act, express, make_track, perform
from synth.color import to_grey
from synth.crops import crop_by_profile
from synth.errors import AssetError, DependencyError, SkipPhoto
from synth.images import ImageSource, load_image
from synth.landmarks import select_face
from synth.provenance import make_record
from synth.records import Skip
from synth.render.draw import draw_faces
from synth.render.face import Rendered
from synth.render.rig import FaceRig, build_rig
from synth.routes import Routes
from synth.seeds import sample_seed
from synth.targets import Target, as_target
from synth.types import VA, FaceImage, Landmarks, Sample, Track

__all__ = ["Generator", "PreparedFace"]

Photo = FaceImage | ImageSource | str | os.PathLike[str] | NDArray[Any]
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedFace:
    """One face of a photo, ready for any number of targets.

    Attributes
    ----------
    rig : FaceRig
        On the output's pixel grid.
    matrix : (2, 3) float64 or None
        Photo pixels to output pixels, when the face was cropped.
    performances : mapping
        Sequences worked out so far, by track and by what else decides them.
    """

    rig: FaceRig
    matrix: NDArray[np.float64] | None = None
    performances: WeakKeyDictionary[Track, dict[tuple[Any, ...], Performance]] = field(
        default_factory=WeakKeyDictionary, repr=False, compare=False
    )


class Generator(Routes):
    """Neutral photos to the same people with the affect asked for; takes `Settings`' fields."""

    # ----------------------------------------------------------------- once per photo
    def faces(self, photo: Photo) -> tuple[FaceImage, list[Landmarks]]:
        """The decoded photo and the landmarks of the faces chosen by `face`.

        Raises
        ------
        SkipPhoto
            If it cannot be decoded, or shows no face or a wrong number of them.
        """
        if isinstance(photo, ImageSource):
            image = load_image(photo.path, name=photo.name)
        else:
            image = photo if isinstance(photo, FaceImage) else load_image(photo)
        return image, select_face(self.detector(photo).detect(image), self.face)

    def prepare(self, image: FaceImage, landmarks: Landmarks) -> PreparedFace:
        """A face checked, cropped if wished, fitted and rigged.

        Raises
        ------
        SkipPhoto
            If the face is too small, blurred, turned or not neutral, or the fit failed.
        """
        self.checked(image, landmarks)
        matrix = None
        if self.crop is not None:
            image, landmarks, matrix = crop_by_profile(image, landmarks, self.crop, self.size)
        fit = self.fitted(image, landmarks)
        check_pose(fit.pose, self.limits)
        image = self.light_of(image, landmarks)
        rig = build_rig(image, landmarks, fit, self.morphable, self.render_settings)
        return PreparedFace(rig, matrix)

    # ---------------------------------------------------------------- once per target
    def act(self, face: PreparedFace, target: Target) -> Act:
        """What the face does for a target: weights, head motion, blink."""
        moment, seed = target.moment, self.seed_of(face, target)
        if moment is None:
            found = express(self.expressions, target, seed, self.lookup)
            return self.routed(Act(found, found.weights), seed)
        known = face.performances.setdefault(moment.track, {})
        key = (seed, target.style, target.sample, self.blinks, self.head_motion, self.gallery)
        if key not in known:
            known[key] = perform(
                self.expressions, self.order, face.rig, target, moment, seed, *key[3:5]
            )
        return self.routed(act(self.expressions, known[key], target, moment), seed)

    def draw(self, face: PreparedFace, target: Target) -> Sample:
        """One picture of a prepared face."""
        done, seed = self.act(face, target), self.seed_of(face, target)
        drawn = self.edited(self.show(face, done), target, seed)
        return self.sample(face, target, done, self.finish(drawn, seed))

    def show(self, face: PreparedFace, done: Act) -> Rendered:
        """The face doing that."""
        one = [done.weights[self.order]], [done.head]
        return draw_faces(face.rig, *one, self.torch_device)[0]

    def sample(self, face: PreparedFace, target: Target, done: Act, drawn: Rendered) -> Sample:
        """What was drawn, with its label and record."""
        seed = self.seed_of(face, target)
        record = make_record(self, face.rig, face.matrix, target, done, drawn, seed)
        pixels = to_grey(drawn.pixels) if self.nir else drawn.pixels
        return Sample(pixels, done.expression.va, record, drawn.mask, face.rig.image.alpha)

    def seed_of(self, face: PreparedFace, target: Target) -> int:
        """The seed of a picture; the frames of a sequence share one."""
        number = target.moment.number if target.moment else target.index
        return sample_seed(self.seed, face.rig.image.sha256, number, target.attempt)

    def track(self, path: str, fps: float = 30.0, seconds: float | None = None) -> Track:
        """The frames of a path: a file of waypoints or a name, see `synth.paths`."""
        return make_track(self.expressions, path, fps, seconds)

    def generate(self, photo: Photo, target: VA | tuple[float, float] | str | Target) -> Sample:
        """One picture of the first chosen face; `target` may be as short as ``"0.5,0.3"``.

        Raises
        ------
        SkipPhoto
            If the photo cannot be used; ``reason`` says why.
        TargetError
            If the target is outside the unit disc.
        """
        image, faces = self.faces(photo)
        return self.draw(self.prepare(image, faces[0]), as_target(target))

    def run(
        self, photos: Iterable[Photo], targets: Iterable[Target | VA | tuple[float, float] | str]
    ) -> Iterator[Sample | Skip]:
        """Every target of every face of every photo; what cannot be used becomes a `Skip`.

        Points are numbered in their order; targets keep the number they have.
        """
        wanted = [
            target if isinstance(target, Target) else replace(as_target(target), index=number)
            for number, target in enumerate(targets)
        ]
        for photo in photos:
            name = os.path.basename(photo) if isinstance(photo, str) else _name(photo)
            found = _attempt(name, self.faces, photo)
            if isinstance(found, Skip):
                yield found
                continue
            image, faces = found
            for landmarks in faces:
                face = _attempt(image.name, self.prepare, image, landmarks)
                if isinstance(face, Skip):
                    yield face
                    continue
                for target in wanted:
                    yield _attempt(image.name, self.draw, face, target)


def _name(photo: Any) -> str:
    return str(getattr(photo, "name", "image"))


def _attempt(name: str, stage: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Skip:
    """The stage's result, or why this photo has none; a bug costs one photo, not the batch."""
    try:
        return stage(*args, **kwargs)
    except SkipPhoto as skip:
        return Skip(name, skip.reason, skip.value, str(skip))
    except (AssetError, DependencyError):
        raise  # every other photo would fail alike
    except Exception as error:
        log.debug("%s: %s", name, error, exc_info=True)
        return Skip(name, "INTERNAL", None, f"{type(error).__name__}: {error}")
