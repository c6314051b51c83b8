"""One picture of a planned set: draw, judge, draw again if need be, disturb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.acting import Act
from synth.augment.jobs import row_target
from synth.images import encode_image
from synth.nuisance import Nuisance, Ranges, apply_nuisance, draw_nuisance
from synth.pipeline import Generator, PreparedFace
from synth.plans import PlanRow
from synth.quality import Embedder, Gates, Reject, measure, reasons
from synth.records import record_line
from synth.render.draw import draw_faces
from synth.render.face import Rendered
from synth.targets import Target
from synth.types import Record, Track

__all__ = [
    "EXTENSIONS",
    "Making",
    "Picture",
    "Shot",
    "draw_shots",
    "encode",
    "key_of",
    "make_picture",
    "shot_of",
]

Tracks = Mapping[tuple[str, str], tuple[int, Track]]
#: File extension of each image format.
EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


@dataclass(frozen=True)
class Making:
    """How the pictures of a set are made, besides the generator's settings.

    Attributes
    ----------
    ranges : Ranges
        Of the nuisance variation.
    gates : Gates
    redraws : int
        New styles to try where a gate rejects a picture.
    fmt : {"png", "jpeg", "webp"}
    quality : int
        1 to 100, JPEG and WebP.
    """

    ranges: Ranges = Ranges()
    gates: Gates = Gates()
    redraws: int = 0
    fmt: str = "jpeg"
    quality: int = 95


@dataclass(frozen=True)
class Picture:
    """An encoded picture with its record, or what the gates say against it.

    Attributes
    ----------
    record : Record
    data : bytes or None
        None when it was rejected.
    rejects : tuple of Reject
        Of the last attempt.
    """

    record: Record
    data: bytes | None
    rejects: tuple[Reject, ...] = ()


def key_of(row: PlanRow) -> str:
    """The row's name among the files of a set: that of the photo, and its id."""
    stem = PurePosixPath(row.source).stem
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in stem)
    return f"{safe[:60] or 'photo'}_{row.id:08d}"


@dataclass(frozen=True)
class Shot:
    """All that decides what is drawn for a row.

    Attributes
    ----------
    target : Target
    done : Act
    nuisance : Nuisance
    weights : (52,) float64
        In the model's order.
    pose : (3,) float
        Yaw, pitch, roll in degrees: head motion and nuisance together.
    """

    target: Target
    done: Act
    nuisance: Nuisance
    weights: NDArray[np.float64]
    pose: tuple[float, float, float]


def shot_of(
    generator: Generator,
    face: PreparedFace,
    row: PlanRow,
    tracks: Tracks,
    making: Making,
    attempt: int = 0,
) -> Shot:
    """What a row asks for; each attempt draws another person style."""
    target = row_target(row, tracks)
    # The nuisance is that of the row, whatever is rejected.
    nuisance = draw_nuisance(generator.seed_of(face, target), making.ranges)
    target = replace(target, attempt=attempt)
    done = generator.act(face, target)
    yaw, pitch, roll = (a + b for a, b in zip(done.head, nuisance.pose, strict=True))
    return Shot(target, done, nuisance, done.weights[generator.order], (yaw, pitch, roll))


def draw_shots(generator: Generator, face: PreparedFace, shots: Sequence[Shot]) -> list[Rendered]:
    """The faces of several shots, in one batch where the backend can."""
    weights, poses = [shot.weights for shot in shots], [shot.pose for shot in shots]
    return draw_faces(face.rig, weights, poses, generator.torch_device)


def make_picture(
    generator: Generator,
    face: PreparedFace,
    row: PlanRow,
    tracks: Tracks,
    making: Making,
    embedder: Embedder | None = None,
    first: tuple[Shot, Rendered] | None = None,
) -> Picture:
    """The picture of one row of a plan; the same whenever and wherever it is made.

    Parameters
    ----------
    generator : Generator
    face : PreparedFace
        Of the row's photo.
    row : PlanRow
    tracks : mapping
        Of the row's sequence, see `synth.augment.jobs.Job`.
    making : Making
    embedder : Embedder, optional
        Needed by the identity gate.
    first : (Shot, Rendered), optional
        The first attempt, when it was drawn in a batch.
    """
    # A frame or a face asked for by its actions has no other style to try.
    attempts = 1 if row.sequence or row.actions or not row.style else making.redraws + 1
    for attempt in range(attempts):
        if first is not None and attempt == 0:
            shot, drawn = first
        else:
            shot = shot_of(generator, face, row, tracks, making, attempt)
            (drawn,) = draw_shots(generator, face, [shot])
        seed = generator.seed_of(face, shot.target)
        drawn = generator.edited(drawn, shot.target, seed)
        scores = measure(
            face.rig, drawn, shot.weights, shot.pose, making.gates, embedder, points=drawn.points
        )
        rejects = reasons(scores, making.gates)
        if not rejects:
            break
    drawn = generator.finish(drawn, seed)
    pixels, mask = apply_nuisance(shot.nuisance, face.rig, drawn, shot.weights, shot.pose)
    shown = replace(drawn, pixels=pixels, mask=mask)
    sample = generator.sample(face, shot.target, shot.done, shown)
    record = replace(
        sample.record,
        file_name=f"{row.split or 'train'}/{key_of(row)}.{EXTENSIONS[making.fmt]}",
        plan_id=row.id,
        subject=row.subject,
        split=row.split or "train",
        sequence=row.sequence,
        nuisance=shot.nuisance.as_dict(),
        quality={name: round(value, 5) for name, value in scores.items()},
        redraws=attempt,
    )
    if rejects:
        return Picture(record, None, rejects)
    return Picture(record, encode(sample.image, record, making, sample.alpha))


def encode(pixels: Any, record: Record, making: Making, alpha: Any = None) -> bytes:
    """The file, with its record and the mark of synthetic media inside."""
    return encode_image(
        pixels,
        making.fmt,
        making.quality,
        alpha=alpha,
        record_json=record_line(record),
        digital_source_type=record.digital_source_type,
    )
