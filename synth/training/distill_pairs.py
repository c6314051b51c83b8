"""Pairs to learn an editor from: a neutral face, and what the 3DMM route makes of it.

For every pair the renderer's own geometry says where each pixel came from, how much
brighter or darker it became, and where it drew the inside of the mouth: dense truth
without any estimation. Codes cover the polar space: expressions in their directions at
all intensities, and between them the gallery's smooth faces.

All people get the same set of teeth here (`synth.render.teeth` draws them at random by
person): what cannot be known from a photo would only be learned as a blur.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.editing.alignment import Alignment, mean_shape
from synth.errors import AssetError, SkipPhoto, UsageError
from synth.images import ImageSource, find_images
from synth.models.editor import EditorConfig
from synth.models.polar import PolarSpace
from synth.pipeline import Generator
from synth.render.deform import deform
from synth.render.face import render
from synth.render.rig import FaceRig
from synth.training.distill_truth import mouth_share, true_flow
from synth.types import Landmarks

if TYPE_CHECKING:
    from synth.expressions.gallery import Gallery

__all__ = ["DIRECTIONS", "Pairs", "draw_code", "make_pairs", "teacher_weights"]

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
UInt8 = NDArray[np.uint8]
log = logging.getLogger(__name__)

#: Degrees of every expression: in the order of the circumplex, so that the map to it is
#: monotone, but further apart than there, where four of them share 45 degrees.
DIRECTIONS: dict[str, float] = {
    "happiness": 15.0,
    "surprise": 65.0,
    "fear": 100.0,
    "anger": 135.0,
    "contempt": 165.0,
    "disgust": 195.0,
    "sadness": 240.0,
}
#: An expression's own face gives way to the smooth faces around it over so many degrees.
REACH = 12.0
#: How often an expression is drawn; the rest are angles drawn evenly.
NAMED = 0.65
#: Whose teeth everybody gets.
TEETH = "synth"
#: Side of the rig's picture, pixels.
RIG = 512
#: Error given to landmarks, in inter-ocular distances (standard deviation).
JITTER = 0.004


@dataclass(frozen=True, eq=False)
class Pairs:
    """Views of faces before and after, with what lies between.

    All lie in the plane of `synth.editing.alignment`.

    Attributes
    ----------
    source, target : (N, s, s, 3) uint8
        s is the size of `synth.models.editor.EditorConfig`.
    flow : (N, s/2, s/2, 2) float16
        Offset to where a pixel came from, x, y in shares of the view's side.
    known : (N, s/2, s/2) bool
        Where skin is shown that the photo shows, so that flow and gain are known.
    gain : (N, s, s) float16
        Log of the factor on the brightness.
    mouth : (N, h, w, 4) uint8
        Colour in the mouth's box and the share of the inside, at the detail of the
        network's.
    code : (N, 2) float32
        Theta in degrees, rho.
    person : (N,) int32
    shape : (68, 2) float64
        Landmarks of the mean face.
    """

    source: UInt8
    target: UInt8
    flow: NDArray[np.float16]
    known: NDArray[np.bool_]
    gain: NDArray[np.float16]
    mouth: UInt8
    code: Float32
    person: NDArray[np.int32]
    shape: Float

    def __len__(self) -> int:
        return len(self.code)

    def save(self, path: Path) -> None:
        """Write them to an ``.npz`` file."""
        np.savez(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Pairs:
        """Read them again.

        Raises
        ------
        AssetError
            If the file holds none.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{f.name: file[f.name] for f in fields(cls)})
        except (OSError, ValueError, KeyError) as error:
            raise AssetError(f"pairs: expected pairs of faces in {path}, got {error}") from None


# --------------------------------------------------------------------------- codes
def draw_code(rng: np.random.Generator) -> tuple[float, float]:
    """Theta in degrees and rho of a pair: an expression's own direction, or any."""
    if rng.random() < NAMED:
        names = list(DIRECTIONS)
        theta = DIRECTIONS[names[rng.integers(len(names))]]
        return theta, float(rng.uniform(0.15, 1.0) if rng.random() < 0.8 else 1.0)
    return float(rng.uniform(0, 360)), float(rng.uniform(0.2, 1.0))


def teacher_weights(gallery: Gallery, space: PolarSpace, theta: float, rho: float) -> Float:
    """(52,) what the 3DMM route shows at a place of the polar space.

    In an expression's direction its own face, between them the smooth face at that
    valence and arousal, and a mixture that changes smoothly near a direction.
    """
    va = space.to_va(theta, rho)
    smooth = gallery.smooth_weights([va.valence, va.arousal])
    name = space.expression_at(theta)
    away = abs((space.directions[name] - theta + 180) % 360 - 180)
    share = 0.5 + 0.5 * math.cos(math.pi * min(away / REACH, 1.0))
    if share == 0:
        return np.asarray(smooth)
    own = gallery.expression(name, rho).weights
    return np.asarray(share * own + (1 - share) * smooth)


# --------------------------------------------------------------------------- pairs
def make_pairs(
    inputs: Sequence[str],
    config: EditorConfig,
    each: int,
    seed: int = 0,
    without: Iterable[str] = (),
) -> tuple[Pairs, tuple[str, ...]]:
    """Pairs of every neutral photo, and the names of the photos.

    Parameters
    ----------
    inputs : sequence of str
        Folders, files, globs or ``.txt`` lists of neutral photos.
    config : EditorConfig
    each : int
        Pairs of every photo.
    seed : int
        Of codes and of the landmarks' errors.
    without : iterable of str
        Stems of files that are left out.

    Raises
    ------
    UsageError
        If no photo can be used.
    """
    generator = Generator(crop="face", size=RIG)
    left_out, found = set(without), list[tuple[ImageSource, Landmarks]]()
    for source in find_images(list(inputs)):
        if Path(source.name).stem not in left_out:
            try:
                found.append((source, generator.faces(source)[1][0]))
            except SkipPhoto as skip:
                log.warning("%s: left out (%s)", source.name, skip.reason)
    if not found:
        raise UsageError(f"photos: expected faces, got none in {list(inputs)}")
    shape = mean_shape(np.stack([face.points for _, face in found]))
    names, parts = list[str](), list[Pairs]()
    for source, face in found:
        try:
            rig = generator.prepare(generator.faces(source)[0], face).rig
        except SkipPhoto as skip:
            log.warning("%s: left out (%s)", source.name, skip.reason)
            continue
        rng = np.random.default_rng([seed, len(names)])
        parts.append(_pairs_of(generator, rig, shape, config, each, rng, len(names)))
        names.append(Path(source.name).stem)
        log.info("%s: %d pairs", source.name, each)
    if not parts:
        raise UsageError(f"photos: expected neutral faces, got none in {list(inputs)}")
    joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in ROWS}
    return Pairs(**joined, shape=shape), tuple(names)


#: Fields of `Pairs` that have a row for every pair.
ROWS = [f for f in fields(Pairs) if f.name != "shape"]


def _pairs_of(
    generator: Generator,
    rig: FaceRig,
    shape: Float,
    config: EditorConfig,
    each: int,
    rng: np.random.Generator,
    person: int,
) -> Pairs:
    rig = replace(rig, image=replace(rig.image, sha256=TEETH))
    space, rows = PolarSpace(DIRECTIONS), list[tuple[Any, ...]]()
    for _ in range(each):
        code = draw_code(rng)
        weights = teacher_weights(generator.expressions, space, *code)[generator.order]
        noise = rng.normal(0, JITTER * rig.inter_ocular, (68, 2))
        align = Alignment(shape, rig.landmarks.points + noise)
        rows.append((*_pair(rig, weights, align, config), code, person))
    columns: list[Any] = [np.stack(column) for column in zip(*rows, strict=True)]
    columns[-2:] = columns[-2].astype(np.float32), columns[-1].astype(np.int32)
    named = dict(zip((f.name for f in ROWS), columns, strict=True))
    return Pairs(**named, shape=shape)


def _pair(
    rig: FaceRig, weights: Float, align: Alignment, config: EditorConfig
) -> tuple[NDArray[Any], ...]:
    """Source, target, flow, known, gain and mouth of one view."""
    drawn = render(rig, weights).pixels
    state = deform(rig, weights, rig.fit.camera)
    origin, known = true_flow(rig, state)
    fine, small = config.size * config.detail, config.size
    at = align.view_map(fine)
    before, after = (_view(p, at) for p in (rig.image.pixels, drawn))
    where = _view(origin, at, cv2.INTER_LINEAR)
    found = _view(known.astype(np.float32), at, cv2.INTER_LINEAR) > 0.99
    warped = _view(rig.image.pixels, where)
    half = (small // 2, small // 2)
    came = cv2.resize(where, half, interpolation=cv2.INTER_AREA)
    centre = (np.stack(np.meshgrid(np.arange(half[0]), np.arange(half[1])), -1) + 0.5) / half[0]
    flow = align.to_plane(came) - align.to_plane(align.to_photo(centre))
    sure = cv2.resize(found.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    gain = _log_ratio(after, warped, found, (small, small))
    left, top, right, bottom = config.mouth_box(fine)
    share = _view(mouth_share(rig, state), at[top:bottom, left:right], cv2.INTER_LINEAR)
    mouth = np.dstack([after[top:bottom, left:right], np.rint(255 * share).astype(np.uint8)])
    source, target = (
        cv2.resize(p, (small, small), interpolation=cv2.INTER_AREA) for p in (before, after)
    )
    return (source, target, flow.astype(np.float16), sure > 0.99, gain.astype(np.float16), mouth)


def _view(array: NDArray[Any], at: Float32, how: int = cv2.INTER_CUBIC) -> NDArray[Any]:
    """A picture at pixels `at` (h, w, 2); its border is held."""
    return np.asarray(
        cv2.remap(array, at[..., 0], at[..., 1], how, borderMode=cv2.BORDER_REPLICATE)
    )


def _log_ratio(
    after: UInt8, warped: UInt8, known: NDArray[np.bool_], size: tuple[int, int]
) -> Float32:
    """(h, w) log of how much brighter the drawn skin is than the moved photo."""
    weight = known.astype(np.float32)
    means = [
        cv2.resize(weight * p.astype(np.float32).mean(-1), size, interpolation=cv2.INTER_AREA)
        for p in (after, warped)
    ]
    lift = 4.0 * cv2.resize(weight, size, interpolation=cv2.INTER_AREA) + 1e-3
    return np.asarray(np.log((means[0] + lift) / (means[1] + lift)), np.float32)
