"""The picture of a webcam, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import cv2
import numpy as np

from synth.errors import UsageError
from synth.recognition.video import Frame

__all__ = ["BASE", "camera_frames"]

#: Seconds of a unit of the frames' times: what clocks of cameras are good for.
BASE = Fraction(1, 1000)
#: Frames a second that cameras have, about.
USUAL = 30


def camera_frames(
    number: int,
    seconds: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Frame]:
    """Frames as they come, until `stop`, or for so many seconds.

    Each has the time at which it came, counted from the first; where frames are read more
    slowly than they come, some are missing and the times say so.

    Parameters
    ----------
    number : int
        Of the camera, from 0.
    seconds : float, optional
    stop : callable
        Asked before each frame.
    clock : callable
        Seconds.

    Raises
    ------
    UsageError
        If there is no such camera, or it gives no picture.
    """
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise UsageError(
                f"camera: expected a camera with the number {number}, got none; connect one, "
                "close other programs that use it, or read a file with --input"
            )
        start, last, index = 0.0, -1, 0
        while not stop():
            good, picture = camera.read()
            start = clock() if index == 0 else start
            passed = clock() - start if index else 0.0
            if not good:
                if index == 0:
                    raise UsageError(
                        f"camera: expected pictures from camera {number}, got none; close other "
                        "programs that use it"
                    )
                return
            if seconds is not None and passed >= seconds:
                return
            last = max(last + 1, round(passed / BASE))
            pixels = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
            yield Frame(index, float(last * BASE), last, round(1 / (USUAL * BASE)), pixels)
            index += 1
    finally:
        camera.release()
