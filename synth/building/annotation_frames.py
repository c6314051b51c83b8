"""Tracks at the frames of the meshes, or at common instants where there are no meshes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from synth.building.annotation_settings import AnnotationSettings
from synth.errors import UsageError
from synth.expressions.annotations import Ratings, Track, resample

__all__ = ["MeshFrames", "common_ratings", "frames_of", "is_neutral"]

Float = NDArray[np.float64]
Frames = NDArray[np.int64]
#: Names and numbers of the meshes by sequence; no numbers where names are no whole numbers.
MeshFrames = dict[str, tuple[tuple[str, ...], Frames | None]]

#: Labels of one sequence, by --rate, from which the unit is not believed.
MOST = 10_000_000


def frames_of(meshes: Sequence[str]) -> MeshFrames:
    """Frame names and numbers by sequence; no numbers where names are not whole numbers."""
    names: dict[str, list[str]] = {}
    for name in sorted(meshes):
        names.setdefault(name.rpartition("/")[0], []).append(name)
    found: MeshFrames = {}
    for sequence, inner in names.items():
        stems = [name.rpartition("/")[2] for name in inner]
        numbers = None
        if all(stem.isascii() and stem.isdigit() for stem in stems):
            numbers = np.array([int(stem) for stem in stems])
            order = np.argsort(numbers, kind="stable")
            inner, numbers = [inner[i] for i in order], numbers[order]
        found[sequence] = tuple(inner), numbers
    return found


def is_neutral(sequence: str, settings: AnnotationSettings) -> bool:
    return sequence.rpartition("/")[2].lower() == settings.neutral.lower()


def common_ratings(
    tracks: Mapping[str, Mapping[str, Track]],
    frames: MeshFrames | None,
    settings: AnnotationSettings,
    lags: Mapping[str, float] | None = None,
) -> tuple[list[Ratings], dict[str, str]]:
    found, notes = [], {}
    for sequence, inner in tracks.items():
        if frames is not None and sequence not in frames:
            notes[sequence] = "NO_MESHES"
            continue
        if is_neutral(sequence, settings):
            notes[sequence] = "NEUTRAL"
        elif len(inner) < 2:
            notes[sequence] = "ONE_ANNOTATOR"
        chosen = _in_seconds(list(inner.values()), settings)
        if len({track.unit for track in chosen}) > 1:
            raise UsageError(
                f"{sequence}: expected all annotators in seconds or all in frames, got both; "
                "say --fps"
            )
        numbers, times = _instants(sequence, chosen, frames, settings)
        unit = chosen[0].unit
        room = settings.tolerance if unit == "s" else 0.0
        values = []
        for track in chosen:
            lag = (lags or {}).get(track.annotator, 0.0)
            moved = replace(track, places=track.places - (lag if np.isfinite(lag) else 0.0))
            values.append(resample(moved, times, room))
        names = tuple(track.annotator for track in chosen)
        found.append(Ratings(sequence, names, numbers, times, np.array(values), unit))
    if frames is not None:
        for sequence in frames:
            if sequence not in tracks:
                neutral = is_neutral(sequence, settings)
                notes[sequence] = "NEUTRAL" if neutral else "NO_ANNOTATION"
    if not found:
        some = ", ".join(sorted(frames or {})[:3])
        raise UsageError(
            f"annotations: expected sequences called as those of the meshes ({some}), got "
            f"{', '.join(sorted(tracks)[:3])}; rename either"
        )
    return found, notes


def _in_seconds(tracks: list[Track], settings: AnnotationSettings) -> list[Track]:
    """The tracks in seconds where their frames can be turned into them."""
    counted = [track.places[0] for track in tracks if track.unit == "frame"]
    if settings.fps is None or not counted:
        return tracks
    # All annotators count the frames of a sequence alike: the lowest number is at time 0.
    first = min(counted) if settings.first_frame is None else settings.first_frame
    return [
        replace(track, places=(track.places - first) / settings.fps, unit="s")
        if track.unit == "frame"
        else track
        for track in tracks
    ]


def _instants(
    sequence: str, tracks: Sequence[Track], frames: MeshFrames | None, settings: AnnotationSettings
) -> tuple[Frames, Float]:
    """Frame numbers and their places in the unit of the tracks."""
    if frames is not None:
        return _mesh_instants(sequence, tracks, frames[sequence], settings)
    if settings.rate is None:
        first = tracks[0]
        for other in tracks[1:]:
            if len(other.places) != len(first.places) or not np.allclose(
                other.places, first.places, atol=1e-6
            ):
                raise UsageError(
                    f"{other.source}: expected the {len(first.places)} instants of "
                    f"{first.annotator} on {sequence}, got {len(other.places)}, others or of "
                    "other length; say --rate or --meshes and --fps"
                )
        whole = first.unit == "frame"
        numbers = np.rint(first.places) if whole else np.arange(len(first.places))
        return numbers.astype(np.int64), first.places
    if tracks[0].unit == "frame":
        raise UsageError("rate: expected annotations in seconds with it, got frames; say --fps")
    start = max(0.0, min(t.places[0] for t in tracks))
    end = max(t.places[-1] for t in tracks)
    if (end - start) * settings.rate > MOST:
        raise UsageError(
            f"rate: expected at most {MOST} labels of {sequence}, got {end - start:.0f} s at "
            f"{settings.rate:g} a second; lower it, or check the unit of the times"
        )
    numbers = np.arange(np.ceil(start * settings.rate - 1e-6), end * settings.rate + 1e-6)
    numbers = numbers.astype(np.int64)
    return numbers, numbers / settings.rate


def _mesh_instants(
    sequence: str,
    tracks: Sequence[Track],
    meshes: tuple[tuple[str, ...], Frames | None],
    settings: AnnotationSettings,
) -> tuple[Frames, Float]:
    names, numbers = meshes
    count = len(names)
    if settings.first_frame is not None and numbers is None:
        raise UsageError(
            f"first-frame: expected meshes called by their frame number, got {names[0]}; "
            "leave it out"
        )
    if tracks[0].unit == "frame":
        return _by_number(sequence, tracks, count, numbers)
    if settings.fps is None:
        raise UsageError("fps: expected meshes per second with annotations in seconds, got none")
    places = np.arange(count, dtype=np.int64)
    if numbers is not None:
        places = numbers - (numbers[0] if settings.first_frame is None else settings.first_frame)
    times = places / settings.fps
    room = max(settings.tolerance, 1 / settings.fps) + 1e-6
    for track in tracks:
        first, last = track.places[0], track.places[-1]
        long = settings.first_frame is None and last > times[-1] + room
        if first > times[0] + room or last < times[-1] - room or long:
            raise UsageError(
                f"{track.source}: expected ratings from {times[0]:.2f} to {times[-1]:.2f} s as "
                f"the {count} meshes of {sequence} at {settings.fps:g} per second, got "
                f"{first:.2f} to {last:.2f} s; check --fps, or raise --tolerance"
            )
    return (places if numbers is None else numbers), times


def _by_number(
    sequence: str, tracks: Sequence[Track], count: int, numbers: Frames | None
) -> tuple[Frames, Float]:
    """Frames of tracks without a rate: by number, or in order where there are as many."""
    rows = {len(track.places) for track in tracks}
    for track in tracks:
        known = numbers is not None and bool(np.isin(numbers, track.places).all())
        if not known and len(track.places) != count:
            raise UsageError(
                f"{track.source}: expected {count} frames as there are meshes of {sequence}, "
                f"got {len(track.places)}; check the annotation"
            )
    if numbers is not None and all(np.isin(numbers, track.places).all() for track in tracks):
        return numbers, numbers.astype(np.float64)
    places = tracks[0].places
    if rows != {count} or any((track.places != places).any() for track in tracks):
        raise UsageError(
            f"{tracks[0].source}: expected the frame numbers of the meshes of {sequence}, or the "
            "same from every annotator; renumber them"
        )
    return (np.arange(count) if numbers is None else numbers), places
