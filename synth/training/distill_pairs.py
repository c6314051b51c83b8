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
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.editing.paste import RISE
from synth.errors import AssetError, SkipPhoto, UsageError
from synth.images import find_images, load_image
from synth.models.editor import EditorConfig
from synth.models.polar import PolarSpace
from synth.pipeline import Generator
from synth.render.deform import Deformed, deform
from synth.render.details import around
from synth.render.face import render
from synth.render.raster import rasterise
from synth.render.rig import FaceRig
from synth.render.topology import INTERIOR, LIPS
from synth.types import FaceImage

if TYPE_CHECKING:
    from synth.expressions.gallery import Gallery

__all__ = ["DIRECTIONS", "Pairs", "draw_code", "make_pairs", "teacher_weights", "true_flow"]

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
#: Column of a drawn vertex's values where the photo shows it, see `synth.render.shade`.
SEEN = 3
#: Whose teeth everybody gets.
TEETH = "synth"
#: Side of the rig's picture, pixels, and how views are moved about: standard deviations
#: of log scale, shift (shares of the side), turn (degrees).
RIG, JITTER = 512, (0.04, 0.015, 3.0)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Views of faces before and after, with what lies between.

    Attributes
    ----------
    source, target : (N, s, s, 3) uint8
        The view of `synth.models.editor.EditorConfig`, s its size.
    flow : (N, s/2, s/2, 2) float16
        Offset to where a pixel came from, x, y in shares of the view's side.
    known : (N, s/2, s/2) bool
        Where skin is shown that the photo shows, so that flow and gain are known.
    gain : (N, s/2, s/2) float16
        Log of the factor on the brightness.
    mouth : (N, h, w, 4) uint8
        Colour in the mouth's box and the share of the inside, at the detail of the
        network's.
    code : (N, 2) float32
        Theta in degrees, rho.
    person : (N,) int32
    """

    source: UInt8
    target: UInt8
    flow: NDArray[np.float16]
    known: NDArray[np.bool_]
    gain: NDArray[np.float16]
    mouth: UInt8
    code: Float32
    person: NDArray[np.int32]

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


# --------------------------------------------------------------------------- truth
def true_flow(rig: FaceRig, state: Deformed) -> tuple[Float32, NDArray[np.bool_]]:
    """Where every pixel of a drawn face came from, and where that is known.

    Returns
    -------
    origin : (H, W, 2) float32
        Pixels of the photo; the pixel itself where nothing moves.
    known : (H, W) bool
        Not in the mouth, on eyeballs, or on skin that the photo hides.
    """
    height, width = rig.image.height, rig.image.width
    grid = np.meshgrid(np.arange(width), np.arange(height))
    origin = np.stack(grid, -1).astype(np.float32)
    known = np.ones((height, width), bool)
    surface = rig.surface
    left, top, across, down = surface.box
    ids, bary, _ = rasterise(state.points, surface.faces, surface.box, 1, perspective=False)
    values = _interpolated(surface.faces, state.values[:, : SEEN + 1], ids, bary)
    window = np.s_[top : top + down, left : left + across]
    drawn = ids >= 0
    shown = drawn & rig.carries[ids] & (values[..., SEEN] > 0.5)
    origin[window][shown] = values[shown][:, :2]
    known[window] = shown | ~drawn
    return origin, known


def _interpolated(
    faces: NDArray[np.int32], values: Float32, ids: NDArray[np.int32], bary: Float32
) -> Float32:
    """(h, w, k) values of vertices at the pixels of a raster; of no meaning where it is empty."""
    corners = values[faces[ids]]
    b, c = bary[..., :1], bary[..., 1:]
    return np.asarray((1 - b - c) * corners[..., 0, :] + b * corners[..., 1, :]
                      + c * corners[..., 2, :], np.float32)  # fmt: skip


def mouth_share(rig: FaceRig, state: Deformed) -> Float32:
    """(H, W) share of each pixel that shows the inside of the mouth, or lips from inside.

    Inner lips count: the photo's closed mouth hides them.
    """
    share = np.zeros((rig.image.height, rig.image.width), np.float32)
    lips = np.concatenate((rig.topology.lips.upper, rig.topology.lips.lower))
    box = around(state.points[lips, :2], 0.12 * rig.inter_ocular, share.shape)
    left, top, across, down = box
    ids, bary, _ = rasterise(state.points, rig.surface.faces, box, 2, perspective=False)
    labels = rig.surface.labels[ids]
    seen = _interpolated(rig.surface.faces, state.values[:, SEEN : SEEN + 1], ids, bary)[..., 0]
    inside = np.isin(labels, INTERIOR) | ((labels == LIPS) & (seen < 0.5))
    inside &= ids >= 0
    found = inside.reshape(down, 2, across, 2).mean((1, 3))
    share[top : top + down, left : left + across] = found
    return share


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
        Of codes and of how the views are moved.
    without : iterable of str
        Stems of files that are left out.

    Raises
    ------
    UsageError
        If no photo can be used.
    """
    generator = Generator(crop="face", size=RIG)
    left_out, names, parts = set(without), list[str](), list[Pairs]()
    for source in find_images(list(inputs)):
        stem = Path(source.name).stem
        if stem in left_out:
            continue
        try:
            photo = load_image(source.path, name=source.name)
            rng = np.random.default_rng([seed, len(names)])
            parts.append(_pairs_of(generator, photo, config, each, rng, len(names)))
            names.append(stem)
            log.info("%s: %d pairs", source.name, each)
        except SkipPhoto as skip:
            log.warning("%s: left out (%s)", source.name, skip.reason)
    if not parts:
        raise UsageError(f"photos: expected neutral faces, got none in {list(inputs)}")
    joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Pairs)}
    return Pairs(**joined), tuple(names)


def _pairs_of(
    generator: Generator,
    photo: FaceImage,
    config: EditorConfig,
    each: int,
    rng: np.random.Generator,
    person: int,
) -> Pairs:
    image, faces = generator.faces(photo)
    rig = generator.prepare(image, faces[0]).rig
    rig = replace(rig, image=replace(rig.image, sha256=TEETH))
    space, rows = PolarSpace(DIRECTIONS), []
    for _ in range(each):
        code = draw_code(rng)
        weights = teacher_weights(generator.expressions, space, *code)[generator.order]
        matrix = view_matrix(rig.landmarks.points, config, rng)
        rows.append((*_pair(rig, weights, matrix, config), np.float32(code), np.int32(person)))
    return Pairs(*(np.stack(column) for column in zip(*rows, strict=True)))


def view_matrix(
    points: Float, config: EditorConfig, rng: np.random.Generator | None = None
) -> Float:
    """(2, 3) from photo pixels to a view of side 1 with its edges at 0 and 1; moved by `rng`."""
    low, high = points.min(0), points.max(0)
    side = config.margin * float((high - low).max())
    x, y, share = config.view
    corner = (low + high) / 2 - (0.0, RISE * side) - side / 2 + side * np.array([x, y])
    middle = corner + side * share / 2
    scale, turn, shift = 1 / (side * share), 0.0, np.zeros(2)
    if rng is not None:
        scale *= math.exp(rng.normal(0, JITTER[0]))
        shift, turn = rng.normal(0, JITTER[1], 2), math.radians(rng.normal(0, JITTER[2]))
    rotation = scale * np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    )
    return np.column_stack([rotation, 0.5 + shift - rotation @ middle])


def _pair(rig: FaceRig, weights: Float, matrix: Float, config: EditorConfig) -> tuple[NDArray, ...]:  # type: ignore[type-arg]
    """Source, target, flow, known, gain and mouth of one view."""
    drawn = render(rig, weights).pixels
    state = deform(rig, weights, rig.fit.camera)
    origin, known = true_flow(rig, state)
    fine, small = config.size * config.detail, config.size
    to = np.array(matrix) * fine
    to[:, 2] -= 0.5  # pixel centres
    before, after = (_view(p, to, fine) for p in (rig.image.pixels, drawn))
    where = _view(origin, to, fine, cv2.INTER_LINEAR)
    found = _view(known.astype(np.float32), to, fine, cv2.INTER_LINEAR) > 0.99
    where = where @ to[:, :2].T.astype(np.float32) + to[:, 2].astype(np.float32)
    warped = cv2.remap(before, where[..., 0], where[..., 1], cv2.INTER_CUBIC,
                       borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    here = np.stack(np.meshgrid(np.arange(fine), np.arange(fine)), -1)
    half = (small // 2, small // 2)
    flow = cv2.resize((where - here) / fine, half, interpolation=cv2.INTER_AREA)
    sure = cv2.resize(found.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    gain = _log_ratio(after, warped, found, half)
    share = _view(mouth_share(rig, state), to, fine, cv2.INTER_LINEAR)
    left, top, right, bottom = config.mouth_box(fine)
    colours = after[top:bottom, left:right]
    mouth = np.dstack([colours, np.rint(255 * share[top:bottom, left:right]).astype(np.uint8)])
    source, target = (
        cv2.resize(p, (small, small), interpolation=cv2.INTER_AREA) for p in (before, after)
    )
    return (source, target, flow.astype(np.float16), sure > 0.99, gain.astype(np.float16), mouth)


def _view(array: NDArray, matrix: Float, size: int, how: int = cv2.INTER_CUBIC) -> NDArray:  # type: ignore[type-arg]
    return np.asarray(
        cv2.warpAffine(array, matrix, (size, size), flags=how, borderMode=cv2.BORDER_REPLICATE)
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
