"""Checking annotations of valence and arousal, and the labels that come out of them.

What ``synth gallery annotate-check`` runs: read the tracks, bring them to the frames of the
meshes (or to common instants), see how well annotators agree and what stands out, and take
the mean label as the paper does (Kollias et al. 2020, section 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from synth.building.annotation_frames import common_ratings, frames_of
from synth.building.annotation_labels import Labels, make_labels
from synth.building.annotation_settings import AnnotationSettings
from synth.errors import UsageError
from synth.expressions.annotation_agreement import (
    Agreement,
    Spike,
    agreement,
    odd_ones,
    spikes,
)
from synth.expressions.annotation_lags import estimate_lags
from synth.expressions.annotations import Ratings, Track, read_annotations

__all__ = ["AnnotationCheck", "AnnotationSettings", "Labels", "check_annotations"]


@dataclass(frozen=True, eq=False)
class AnnotationCheck:
    """What was found.

    Attributes
    ----------
    settings : AnnotationSettings
    annotators : tuple of str
    ratings : tuple of Ratings
        Sequences that count for the agreement, delays as they were used.
    agreement : Agreement
        Of all annotators.
    kept : tuple of str
        Annotators in the mean.
    agreement_kept : Agreement
        Of those.
    dropped, weak : dict of str to float
        Annotators left out of the mean, and reported, with their correlation.
    lags : dict of str to float
        Seconds or frames; NaN where unknown.
    labels : tuple of Labels
    spikes : tuple of Spike
    out_of_range : tuple of (annotator, sequence, place, valence, arousal)
    notes : dict of str to str
        Sequence -> why it has no labels or does not count: see
        `synth.building.annotation_settings.NOTES`.
    outside_disc, unlabelled, meshes : int
        Labels outside the unit disc before any mapping; frames of annotated sequences that
        nobody rated; meshes there are.
    expressions : mapping of str to str
        Frame -> expression it is known to show; other frames have their sequence's.
    """

    settings: AnnotationSettings
    annotators: tuple[str, ...]
    ratings: tuple[Ratings, ...]
    agreement: Agreement
    kept: tuple[str, ...]
    agreement_kept: Agreement
    dropped: Mapping[str, float]
    weak: Mapping[str, float]
    lags: Mapping[str, float]
    labels: tuple[Labels, ...]
    spikes: tuple[Spike, ...]
    out_of_range: tuple[tuple[str, str, float, float, float], ...] = ()
    notes: Mapping[str, str] = field(default_factory=dict)
    outside_disc: int = 0
    unlabelled: int = 0
    meshes: int = 0
    expressions: Mapping[str, str] = field(default_factory=dict)


def check_annotations(
    annotations: str | Path,
    settings: AnnotationSettings | None = None,
    meshes: Sequence[str] | None = None,
    subjects: Mapping[str, tuple[str, str]] | None = None,
    expressions: Mapping[str, str] | None = None,
) -> AnnotationCheck:
    """How well annotators agree, what stands out, and the labels of every frame.

    Parameters
    ----------
    annotations : path-like
        As `synth.expressions.annotations.read_annotations`.
    settings : AnnotationSettings, optional
    meshes : sequence of str, optional
        Names of the meshes, ``SEQUENCE/FRAME``; those of a sequence in order are its frames.
    subjects : mapping of str to (str, str), optional
        Sequence -> subject and expression (either may be ""), as `read_subjects`; otherwise
        the first part of a sequence's name is the subject.
    expressions : mapping of str to str, optional
        Frame -> expression that it is known to show, as `read_expressions`.

    Raises
    ------
    UsageError
        If there are fewer than two annotators, or annotations and meshes do not fit.
    """
    settings = settings or AnnotationSettings()
    tracks = read_annotations(annotations, settings.scale)
    annotators = tuple(sorted({name for inner in tracks.values() for name in inner}))
    if len(annotators) < 2:
        raise UsageError(
            f"annotations: expected at least two annotators, got {len(annotators)} "
            f"({', '.join(annotators)}); the folders below {annotations} are the annotators"
        )
    odd = _out_of_range(tracks)
    frames = None if meshes is None else frames_of(meshes)
    found, notes = common_ratings(tracks, frames, settings)
    counting = [part for part in found if notes.get(part.sequence) is None]
    lags = estimate_lags(counting, annotators, _in_unit(settings.longest_lag, counting, settings))
    if settings.align_lag:
        found, _ = common_ratings(tracks, frames, settings, lags)
        counting = [part for part in found if notes.get(part.sequence) is None]
    everybody = agreement(counting, annotators)
    gone, weak = odd_ones(counting, annotators, settings.min_correlation)
    dropped = gone if settings.drop_outliers else {}
    kept = tuple(name for name in annotators if name not in dropped)
    among = agreement(counting, kept) if dropped else everybody
    labels, outside, missing = make_labels(found, kept, frames, notes, settings, subjects or {})
    return AnnotationCheck(
        settings, annotators, tuple(counting), everybody, kept, among,
        dropped, gone | weak, lags, labels,
        tuple(spikes(counting, annotators, settings.max_z)), odd, notes, outside, missing,
        0 if meshes is None else len(meshes), _known(expressions or {}, labels),
    )  # fmt: skip


def _known(expressions: Mapping[str, str], labels: Sequence[Labels]) -> Mapping[str, str]:
    """The expressions, if every frame of theirs has a label."""
    names = {name for part in labels for name in part.names}
    if lacking := [name for name in expressions if name not in names]:
        raise UsageError(
            f"expressions: expected frames with a label, got {len(lacking)} without, such as "
            f"{lacking[0]}; frames are called SEQUENCE/FRAME"
        )
    return dict(expressions)


def _in_unit(seconds: float, ratings: Sequence[Ratings], settings: AnnotationSettings) -> float:
    """Seconds in the unit of the ratings; 25 frames a second where no rate is known."""
    frames = bool(ratings) and ratings[0].unit == "frame"
    return seconds * (settings.fps or 25.0) if frames else seconds


def _out_of_range(
    tracks: Mapping[str, Mapping[str, Track]],
) -> tuple[tuple[str, str, float, float, float], ...]:
    rows, count = [], 0
    for inner in tracks.values():
        for track in inner.values():
            count += len(track.places)
            for place in np.flatnonzero((np.abs(track.values) > 1 + 1e-9).any(1)):
                valence, arousal = track.values[place]
                rows.append(
                    (track.annotator, track.sequence, float(track.places[place]),
                     float(valence), float(arousal))
                )  # fmt: skip
    if len(rows) > 0.2 * count:
        largest = max(max(abs(row[3]), abs(row[4])) for row in rows)
        raise UsageError(
            f"annotations: expected ratings of -1 to 1, got {len(rows)} of {count} beyond, up "
            f"to {largest:g}; say --scale {largest:g} if that is the end of the scale"
        )
    return tuple(rows)
