"""Videos and the webcam of ``synth infer``."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

from synth.cli.infer_photos import internal
from synth.cli.infer_run import Found
from synth.errors import AssetError, DependencyError, ShapeError, SkipPhoto, UsageError
from synth.image_files import ImageSource, write_atomic
from synth.recognition.face_reading import FaceReading
from synth.recognition.follow import FilmSettings, read_film, smoothed
from synth.recognition.infer import Inference
from synth.recognition.remux import FilmWriter, Shown, write_film
from synth.recognition.video import Film, Frame, open_film, read_frames
from synth.records import Skip

__all__ = ["read_camera", "read_films"]

#: Name of what the webcam showed, and its file.
CAMERA = "camera.mp4"
#: Seconds of the trail on dashboards.
TRAIL = 2.0

Readings = list[list[FaceReading]]


def read_films(
    inference: Inference,
    films: Sequence[ImageSource],
    options: dict[str, Any],
    found: Found,
    stop: Callable[[], bool],
) -> None:
    """Read the videos one after another into `found`, and draw what was asked for."""
    from synth.targets import source_stems

    if not films:
        return
    settings = FilmSettings(options["detect_every"])
    stems = source_stems([source.name for source in films])
    for source in films:
        if stop():
            return
        try:
            film = open_film(source.path, source.name)
        except SkipPhoto as skip:
            found.skips.append(Skip(source.name, skip.reason, skip.value, str(skip)))
            continue
        frames = _with_bar(read_frames(film), film.frames, source.name)
        readings = _read(inference, frames, source.name, settings, options, found, stop)
        if any(readings):
            _draw(film, readings, options, stems[source.name])


def read_camera(
    inference: Inference,
    camera: Any,
    options: dict[str, Any],
    found: Found,
    stop: Callable[[], bool],
) -> None:
    """Read the webcam into `found`; its picture is kept where something is to be drawn."""
    from synth.recognition.camera import BASE, USUAL, camera_frames

    settings = FilmSettings(options["detect_every"])
    frames = camera_frames(camera, options["seconds"], stop)
    frames = _with_bar(frames, 0, f"camera {options['camera']}")
    if not (options["overlay"] or options["dashboard"]):
        _draw(None, _read(inference, frames, CAMERA, settings, options, found), options, "camera")
        return
    path = options["output"] / CAMERA
    with FilmWriter(path, BASE, Fraction(USUAL)) as writer:
        kept = _recorded(frames, writer)
        readings = _read(inference, kept, CAMERA, settings, options, found)
    if any(readings):
        _draw(open_film(path), readings, options, "camera")


def _recorded(frames: Iterable[Frame], writer: FilmWriter) -> Iterator[Frame]:
    for frame in frames:
        writer.add(Shown(frame.pts, frame.duration, frame.pixels))
        yield frame


def _with_bar(frames: Iterator[Frame], total: int, name: str) -> Iterator[Frame]:
    from tqdm import tqdm

    return iter(
        tqdm(frames, name, total or None, unit=" frames", file=sys.stderr, disable=None,
             leave=False)
    )  # fmt: skip


def _read(
    inference: Inference,
    frames: Iterable[Frame],
    name: str,
    settings: FilmSettings,
    options: dict[str, Any],
    found: Found,
    stop: Callable[[], bool] = lambda: False,
) -> Readings:
    """The readings of each frame, smoothed; entered into `found` with what went wrong."""
    by_frame: Readings = []
    try:
        for readings in read_film(frames, inference, name, settings, stop):
            by_frame.append(readings)
    except SkipPhoto as skip:
        found.skips.append(Skip(name, skip.reason, skip.value, str(skip)))
    except (AssetError, DependencyError):
        raise
    except Exception as error:
        if isinstance(error, UsageError) and not isinstance(error, ShapeError):
            raise
        found.skips.append(internal(name, error))
    found.films += 1
    found.frames += len(by_frame)
    flat = smoothed(list(chain.from_iterable(by_frame)), options["smooth"])
    if by_frame and not flat:
        message = (
            f"{name}: expected a face in at least one of {len(by_frame)} frames, got none; "
            "faces need about a twentieth of the picture's width, upright and from the front"
        )
        found.skips.append(Skip(name, "NO_FACE", len(by_frame), message))
    found.readings += flat
    rest = iter(flat)
    return [[next(rest) for _ in readings] for readings in by_frame]


def _draw(film: Film | None, readings: Readings, options: dict[str, Any], stem: str) -> None:
    """The plot over time, and the videos asked for."""
    from synth.images import encode_image
    from synth.preview.course import draw_course

    flat = list(chain.from_iterable(readings))
    if not flat:
        return
    root: Path = options["output"]
    course = draw_course(flat, flat[0].file_name)
    write_atomic(_file(root, "courses", f"{stem}.png"), encode_image(course))
    if film is None:
        return
    if options["overlay"]:
        write_film(film, _overlays(film, readings), _file(root, "overlays", f"{stem}.mp4"))
    if options["dashboard"]:
        write_film(film, _dashboards(film, readings), _file(root, "dashboards", f"{stem}.mp4"))


def _file(root: Path, folder: str, name: str) -> Path:
    (root / folder).mkdir(exist_ok=True)
    return root / folder / name


def _pairs(film: Film, readings: Readings) -> Iterator[tuple[Frame, list[FaceReading]]]:
    """The frames that were read, again, with their readings."""
    frames = read_frames(film)
    for own in readings:
        try:
            frame = next(frames, None)
        except SkipPhoto:  # said when it was read
            return
        if frame is None:
            return
        yield frame, own


def _overlays(film: Film, readings: Readings) -> Iterator[Shown]:
    from synth.preview.overlay import draw_overlay

    places: dict[int, int] = {}
    for frame, own in _pairs(film, readings):
        yield Shown(frame.pts, frame.duration, draw_overlay(frame.pixels, own, places))


def _dashboards(film: Film, readings: Readings) -> Iterator[Shown]:
    """Of the face that is seen most often."""
    from synth.preview.dashboard import draw_dashboard

    seen = Counter(reading.track for own in readings for reading in own)
    track = seen.most_common(1)[0][0]
    classes = next(tuple(r.probabilities) for own in readings for r in own)
    trail: deque[tuple[float, float, float]] = deque()
    for frame, own in _pairs(film, readings):
        reading = next((r for r in own if r.track == track), None)
        while trail and trail[0][0] < frame.time - TRAIL:
            trail.popleft()
        minutes, seconds = divmod(frame.time, 60)
        picture = draw_dashboard(
            frame.pixels,
            reading,
            [(valence, arousal) for _, valence, arousal in trail],
            film.name,
            f"face {track}, {int(minutes)}:{seconds:05.2f}",
            classes,
        )
        if reading is not None and reading.valence is not None and reading.arousal is not None:
            trail.append((frame.time, reading.valence, reading.arousal))
        yield Shown(frame.pts, frame.duration, picture)
