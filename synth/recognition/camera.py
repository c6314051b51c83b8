"""The picture of a webcam, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from synth.errors import UsageError
from synth.recognition.video import Frame

__all__ = ["BASE", "USUAL", "camera_frames", "open_camera"]

#: Seconds of a unit of the frames' times: what clocks of cameras are good for.
BASE = Fraction(1, 1000)
#: Frames a second that cameras have, about.
USUAL = 30


def open_camera(number: int) -> Any:
    """The camera (`cv2.VideoCapture`); release it when done.

    Parameters
    ----------
    number : int
        From 0.

    Raises
    ------
    UsageError
        If there is none.
    """
    with _quiet():
        camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise UsageError(
            f"camera: expected a camera with the number {number}, got none; connect one, close "
            "other programs that use it, or read a file with --input"
        )
    return camera


@contextmanager
def _quiet() -> Iterator[None]:
    """OpenCV prints a page about each way in which it found no camera."""
    log = cv2.utils.logging
    before = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(before)


def camera_frames(
    camera: Any,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """Frames as they come, until `stop`, or for so many seconds; then it is released.

    Each has the time at which it came, counted from the first; where frames are read more
    slowly than they come, some are missing and the times say so.

    Parameters
    ----------
    camera : cv2.VideoCapture
        From `open_camera`.
    seconds : float, optional
    stop : callable
        Asked before each frame.
    clock : callable
        Seconds.

    Raises
    ------
    UsageError
        If it gives no picture.
    """
    start, last, index = 0.0, -1, 0
    try:
        while not stop():
            good, picture = camera.read()
            start = clock() if index == 0 else start
            passed = clock() - start if index else 0.0
            if not good and index == 0:
                raise UsageError(
                    "camera: expected pictures, got none; close other programs that use it"
                )
            if not good or (seconds is not None and passed >= seconds):
                return
            last = max(last + 1, round(passed / BASE))
            pixels = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, float(last * BASE), last, round(1 / (USUAL * BASE)), pixels)
            index += 1
    finally:
        camera.release()
