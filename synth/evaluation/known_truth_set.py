"""The pairs of the known-truth experiment: photos, rendered expressions, their infrared.

Every photo becomes one person with several expressions (`synth.pipeline`); the optical
model (`synth.translation.optical`) then shows the very same picture at 850 nm. The set is
kept as the corpus ``folders`` of `synth.corpora` reads it, one for each part:
``train/vis/PERSON/EXPRESSION.png``, ``train/nir/...``, ``train/labels.csv``, and the
landmarks in ``train/points.csv``.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.crops import crop_by_profile, transform_landmarks
from synth.errors import SkipPhoto, UsageError
from synth.image_files import ImageSource
from synth.images import encode_image, load_image, write_atomic
from synth.pipeline import Generator
from synth.seeds import sample_seed
from synth.targets import Target
from synth.translation.optical import optical_nir
from synth.types import VA, FaceImage, Landmarks

__all__ = ["EXPRESSIONS", "PARTS", "Pair", "Pairs", "make_set", "people_of", "read_set"]

Float = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

PARTS = ("train", "test")
#: What each person shows: valence and arousal.
EXPRESSIONS: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happiness": (0.9, 0.15),
    "surprise": (0.28, 0.8),
    "anger": (-0.4, 0.75),
    "sadness": (-0.75, -0.35),
    "calm": (0.4, -0.6),
}
#: Side of the whole head in pixels at least, before the face is cut out of it: the optical
#: model needs to see irises and the wall behind the head.
_HEAD = 320


@dataclass(frozen=True)
class Pair:
    """One moment in both spectra."""

    person: str
    expression: str
    vis: UInt8
    nir: UInt8
    points: Float


@dataclass(frozen=True)
class Pairs:
    """One part of the set, stacked.

    Attributes
    ----------
    vis : (N, S, S, 3) uint8
    nir : (N, S, S) uint8
    points : (N, 68, 2) float64
    people, expressions : N names
    """

    vis: UInt8
    nir: UInt8
    points: Float
    people: tuple[str, ...]
    expressions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.people)


def people_of(
    photos: Sequence[ImageSource], held_out: int
) -> tuple[list[ImageSource], list[ImageSource]]:
    """Photos to train and to test on: of every folder each `held_out`-th, from the first.

    Raises
    ------
    UsageError
        If that leaves nobody on one side.
    """
    folders: dict[Path, list[ImageSource]] = {}
    for photo in photos:
        folders.setdefault(photo.path.parent, []).append(photo)
    train: list[ImageSource] = []
    test: list[ImageSource] = []
    for folder in sorted(folders):
        for i, photo in enumerate(sorted(folders[folder], key=lambda p: p.path.name)):
            (train if i % held_out else test).append(photo)
    if not train or not test:
        raise UsageError(
            f"photos: expected people to train and to test on, got {len(train)} and "
            f"{len(test)}; give more photos, or a --held-out of 2 or more"
        )
    return train, test


def make_set(
    root: Path,
    photos: Sequence[ImageSource],
    size: int,
    held_out: int,
    seed: int,
    told: Callable[[str], None] = lambda line: None,
) -> None:
    """Write the set below `root`, whole or not at all; photos that cannot be used are told."""
    parts = dict(zip(PARTS, people_of(photos, held_out), strict=True))
    names = [_person(p) for part in parts.values() for p in part]
    if len(set(names)) < len(names):
        twice = sorted({n for n in names if names.count(n) > 1})
        raise UsageError(
            f"photos: expected another file name for every person, got {twice[0]} twice; rename one"
        )
    head = max(_HEAD, 2 * size)
    generator = Generator(crop="face", size=head, seed=seed)
    generator.preload()
    part_root = root.with_name(root.name + ".part")
    shutil.rmtree(part_root, ignore_errors=True)
    for part, chosen in parts.items():
        made = 0
        for photo in chosen:
            try:
                pairs = list(_pairs_of(generator, photo, size, seed))
            except SkipPhoto as skip:
                told(f"{photo.name} left out: {skip}")
                continue
            _write(part_root / part, pairs)
            made += 1
            told(f"{part}: {photo.name}, {len(pairs)} pairs")
        if not made:
            raise UsageError(f"photos: expected at least one usable for {part}, got none")
    os.replace(part_root, root)


def _person(photo: ImageSource) -> str:
    return photo.path.stem


def _pairs_of(generator: Generator, photo: ImageSource, size: int, seed: int) -> Iterator[Pair]:
    image, faces = generator.faces(photo)
    face = generator.prepare(image, faces[0])
    neutral = Landmarks(_drawn_points(generator, face, Target()), "rig", np.zeros(4))
    for i, (name, (valence, arousal)) in enumerate(EXPRESSIONS.items()):
        target = Target(VA(valence, arousal), index=i)
        drawn = generator.show(face, generator.act(face, target))
        noise = sample_seed(seed, image.sha256, i)
        nir = optical_nir(drawn.pixels, drawn.landmarks, noise)
        vis, points = _cut(drawn.pixels, drawn.landmarks, neutral, size)
        grey, _ = _cut(np.repeat(nir[..., None], 3, 2), drawn.landmarks, neutral, size)
        yield Pair(_person(photo), name, vis, np.ascontiguousarray(grey[..., 0]), points)


def _drawn_points(generator: Generator, face: object, target: Target) -> Float:
    return generator.show(face, generator.act(face, target)).landmarks  # type: ignore[arg-type]


def _cut(pixels: UInt8, points: Float, neutral: Landmarks, size: int) -> tuple[UInt8, Float]:
    """The face without most of the hair, where it is when the person is neutral."""
    whole = FaceImage(np.ascontiguousarray(pixels), "face", "")
    small, _, matrix = crop_by_profile(whole, neutral, "affectnet224", size)
    moved = transform_landmarks(Landmarks(points, "rig", np.zeros(4)), matrix)
    return small.pixels, moved.points


# ------------------------------------------------------------------------ on disk
def _write(root: Path, pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        place = f"{pair.person}/{pair.expression}"
        for spectrum, pixels in (("vis", pair.vis), ("nir", pair.nir)):
            path = root / spectrum / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, encode_image(pixels, "png"))
        _add(root / "labels.csv", ["file_name", "subject", "expression"],
             [place, pair.person, _word(pair.expression)])  # fmt: skip
        axes = [f"{axis}{i}" for i in range(68) for axis in "xy"]
        numbers = [f"{v:.3f}" for v in pair.points.ravel()]
        _add(root / "points.csv", ["file_name", *axes], [place, *numbers])


def _word(expression: str) -> str:
    """The label of the corpus; "" for what is no basic expression."""
    return "" if expression == "calm" else expression


def _add(path: Path, header: list[str], row: list[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not path.exists():
        writer.writerow(header)
    writer.writerow(row)
    with path.open("a", encoding="utf-8") as file:
        file.write(text.getvalue())


def read_set(root: Path, part: str) -> Pairs:
    """The pairs of ``train`` or ``test`` below `root`, in the order of its ``points.csv``."""
    folder = root / part
    with (folder / "points.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    vis = [load_image(folder / "vis" / f"{row[0]}.png").pixels for row in rows]
    nir = [load_image(folder / "nir" / f"{row[0]}.png").pixels[..., 0] for row in rows]
    points = np.array([row[1:] for row in rows], np.float64).reshape(-1, 68, 2)
    names = [row[0].partition("/") for row in rows]
    people, expressions = (tuple(n[i] for n in names) for i in (0, 2))
    return Pairs(np.stack(vis), np.stack(nir), points, people, expressions)
