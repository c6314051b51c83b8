"""From the frames of a video to readings with tracks: found, followed, read, smoothed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from synth.errors import SkipPhoto, UsageError
from synth.recognition.face_reading import DIGITS, FaceReading
from synth.recognition.infer import Inference
from synth.recognition.track import GAP, Tracker
from synth.recognition.video import Frame
from synth.types import FaceImage, Landmarks

__all__ = ["FilmSettings", "check_film", "read_film", "smoothed"]

Float = NDArray[np.float64]

#: Frames that are held at a time: the network reads their faces together.
CHUNK = 8
#: Seconds between searches while no face is followed: one without a result takes twenty
#: times as long as one with.
EMPTY = 0.2
#: Weights of the smoothing beyond this many standard deviations are left out.
REACH = 3.0
#: Detectors that can follow a face between searches.
FOLLOWING = ("dlib",)


@dataclass(frozen=True)
class FilmSettings:
    """What happens from frame to frame.

    Attributes
    ----------
    detect_every : int
        Faces are searched in every so many frames; in between the points are fitted where
        the face was, which a face that leaves the picture is not told from one that stays.
    gap : float
        Seconds that a track survives without its face.

    Raises
    ------
    UsageError
        If one is out of range.
    """

    detect_every: int = 1
    gap: float = GAP

    def __post_init__(self) -> None:
        if self.detect_every < 1:
            raise UsageError(f"detect_every: expected at least 1, got {self.detect_every}")
        if not self.gap >= 0:
            raise UsageError(f"gap: expected 0 seconds or more, got {self.gap}")


def read_film(
    frames: Iterable[Frame],
    inference: Inference,
    name: str,
    settings: FilmSettings = FilmSettings(),
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[list[FaceReading]]:
    """The readings of each frame, in order; an empty list where it shows no face.

    The first frame decides the spectrum where it is ``auto``. While no face is followed,
    one is searched for every `EMPTY` seconds only.

    Parameters
    ----------
    frames : iterable of Frame
    inference : Inference
        Its ``face`` is ``all`` or ``largest``.
    name : str
        Of the video, for the readings.
    settings : FilmSettings
    stop : callable
        Asked before each frame: when true, what was found is read and no more looked at.

    Raises
    ------
    UsageError
        If a face is asked for by number, or the detector cannot follow faces.
    SkipPhoto
        ``SPECTRUM``, or what `frames` raises; after the readings of the frames before.
    """
    check_film(inference, settings)
    finder = _Finder(inference, name, settings)
    held: list[tuple[Frame, FaceImage, list[Landmarks], list[int]]] = []
    problem: SkipPhoto | None = None
    source = iter(frames)
    while problem is None:
        try:
            frame = None if stop() else next(source, None)
            if frame is not None:
                held.append(finder.look(frame))
        except SkipPhoto as skip:
            problem, frame = skip, None
        if held and (frame is None or len(held) == CHUNK):
            yield from _read(inference, held, finder.spectrum)
            held = []
        if frame is None:
            break
    if problem is not None:
        raise problem


def check_film(inference: Inference, settings: FilmSettings) -> None:
    """Refuse what cannot be done with videos, before anything is read.

    Raises
    ------
    UsageError
        If a face is asked for by number, or the detector cannot follow faces.
    """
    if inference.face not in ("all", "largest"):
        raise UsageError(
            f"face: expected all or largest for videos, got {inference.face}; tracks have numbers"
        )
    kind = inference.landmarks.partition(":")[0]
    if settings.detect_every > 1 and kind not in FOLLOWING:
        raise UsageError(
            f"detect_every: expected 1 with the detector {kind}, got {settings.detect_every}; "
            "only dlib follows faces between searches"
        )


class _Finder:
    """Where the faces of one frame after another are, and which is which."""

    def __init__(self, inference: Inference, name: str, settings: FilmSettings) -> None:
        self.inference, self.name, self.settings = inference, name, settings
        self.tracker = Tracker(settings.gap)
        self.spectrum = ""
        self.faces: list[Landmarks] = []
        self.searched = -EMPTY

    def look(self, frame: Frame) -> tuple[Frame, FaceImage, list[Landmarks], list[int]]:
        # One digest a video: a translator's noise stands still.
        image = FaceImage(frame.pixels, self.name, "0" * 64)
        self.spectrum = self.spectrum or self.inference.spectrum_of(image)
        if frame.index % self.settings.detect_every == 0:
            self.faces = self._search(image, frame.time)
        else:
            moved = [_moved(face, image) for face in self.faces]
            self.faces = [face for face in moved if _inside(face, image)]
        # The landmarks' box: detectors' own boxes jump from scale to scale.
        boxes = [[*face.points.min(0), *face.points.max(0)] for face in self.faces]
        return frame, image, self.faces, self.tracker.assign(boxes, frame.time)

    def _search(self, image: FaceImage, time: float) -> list[Landmarks]:
        """The faces of a picture; none where none was a moment ago and none is followed."""
        if not self.tracker.following(time) and time - self.searched < EMPTY - 1e-9:
            return []
        self.searched = time
        try:
            return self.inference.detect(image)
        except SkipPhoto:
            return []


def _moved(face: Landmarks, image: FaceImage) -> Landmarks:
    """The face a frame later: the points fitted from the old box, which moves along."""
    from synth.landmarks.dlib_hog import predict_points

    points = predict_points(image.pixels, np.asarray(face.box, np.float64))
    before, after = face.points.mean(0), points.mean(0)
    spread = [float(np.linalg.norm(p - m)) for p, m in ((face.points, before), (points, after))]
    corners = np.asarray(face.box, np.float64).reshape(2, 2)
    box = (corners - before) * (spread[1] / spread[0]) + after
    return replace(face, points=points, box=box.ravel())


def _inside(face: Landmarks, image: FaceImage) -> bool:
    """Whether the middle of the face is in the picture."""
    x, y = face.points.mean(0)
    return bool(0 <= x < image.width and 0 <= y < image.height)


def _read(
    inference: Inference,
    held: Sequence[tuple[Frame, FaceImage, list[Landmarks], list[int]]],
    spectrum: str,
) -> Iterator[list[FaceReading]]:
    found = inference.read([(image, faces, spectrum) for _, image, faces, _ in held])
    for (frame, _, _, numbers), readings in zip(held, found, strict=True):
        yield [
            replace(reading, frame=frame.index, time=round(frame.time, 6), track=number)
            for reading, number in zip(readings, numbers, strict=True)
        ]


def smoothed(readings: Sequence[FaceReading], seconds: float) -> list[FaceReading]:
    """Readings of a video, each the weighted mean of its track around its time.

    The weights are Gaussian in time with a standard deviation of half of `seconds`, so
    that two thirds of the weight lie within that span; looking both ways, they do not lag.
    Valence and arousal as they were are kept in ``raw``.

    Parameters
    ----------
    readings : sequence of FaceReading
        With tracks and times.
    seconds : float
        0 leaves them as they are.
    """
    if seconds <= 0:
        return list(readings)
    result = list(readings)
    tracks: dict[int | None, list[int]] = defaultdict(list)
    for position, reading in enumerate(readings):
        tracks[reading.track].append(position)
    for positions in tracks.values():
        own = [readings[position] for position in positions]
        for position, reading in zip(positions, _smooth_track(own, seconds / 2), strict=True):
            result[position] = reading
    return result


def _smooth_track(own: list[FaceReading], sigma: float) -> list[FaceReading]:
    times = np.array([reading.time for reading in own], np.float64)
    values = np.array([_numbers(reading) for reading in own], np.float64)
    first = np.searchsorted(times, times - REACH * sigma, "left")
    last = np.searchsorted(times, times + REACH * sigma, "right")
    found = []
    for reading, time, low, high in zip(own, times, first, last, strict=True):
        weights = np.exp(-0.5 * ((times[low:high] - time) / sigma) ** 2)
        found.append(_with(reading, weights @ values[low:high] / weights.sum()))
    return found


def _numbers(reading: FaceReading) -> list[float]:
    va = [] if reading.valence is None else [reading.valence, float(reading.arousal or 0)]
    return [*va, *reading.probabilities.values()]


def _with(reading: FaceReading, mean: Float) -> FaceReading:
    """The reading with other numbers, in the order of `_numbers`."""
    numbers = [round(float(v), DIGITS) + 0.0 for v in mean]
    if reading.valence is not None and reading.arousal is not None:
        raw = (reading.valence, reading.arousal)
        reading = replace(reading, valence=numbers[0], arousal=numbers[1], raw=raw)
        numbers = numbers[2:]
    if not reading.probabilities:
        return reading
    shares = dict(zip(reading.probabilities, numbers, strict=True))
    best = max(shares, key=lambda name: shares[name])
    return replace(reading, probabilities=shares, expression=best, confidence=shares[best])
