"""Which face of a frame is which face of the frames before.

Boxes are assigned to tracks so that the sum of their costs is smallest [1]_; the cost grows
with the distance of the centres and falls with the overlap. A track that is not seen keeps
its number for a while and is looked for where it was heading.

References
----------
.. [1] Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics
   Quarterly 1955; with overlap as the cost: Bewley et al., "Simple online and realtime
   tracking", ICIP 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Tracker", "iou"]

Float = NDArray[np.float64]

#: Seconds after which a track that is not seen ends.
GAP = 1.0
#: A box belongs to no track whose centre is farther away than this, in sides of the boxes,
#: and none whose side is this many times larger or smaller.
REACH, SCALE = 0.8, 1.8
#: Of the newest displacement in the velocity.
FRESH = 0.5
#: Seconds that a track is moved on at most while it is not seen.
AHEAD = 0.5
FORBIDDEN = 1e6


def iou(a: ArrayLike, b: ArrayLike) -> Float:
    """(N, M) share of the union that boxes (N, 4) and (M, 4) have in common.

    Boxes are left, top, right, bottom.
    """
    one = np.asarray(a, np.float64).reshape(-1, 1, 4)
    other = np.asarray(b, np.float64).reshape(1, -1, 4)
    low, high = np.maximum(one[..., :2], other[..., :2]), np.minimum(one[..., 2:], other[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (one, other)]
    union = areas[0] + areas[1] - common
    return np.asarray(common / np.maximum(union, 1e-12))


@dataclass
class _Track:
    """Where a face was seen last, and how it moved, pixels a second."""

    number: int
    box: Float
    time: float
    velocity: Float

    def at(self, time: float) -> Float:
        """Where the box should be now."""
        ahead = min(time - self.time, AHEAD)
        return self.box + ahead * np.tile(self.velocity, 2)


class Tracker:
    """Numbers for the faces of one video.

    Parameters
    ----------
    gap : float
        Seconds that a number survives without its face.
    """

    def __init__(self, gap: float = GAP) -> None:
        self.gap = gap
        self._tracks: list[_Track] = []
        self._next = 1

    def assign(self, boxes: ArrayLike, time: float) -> list[int]:
        """The number of each box; new faces get new numbers, from 1.

        Parameters
        ----------
        boxes : (N, 4) float
            Left, top, right, bottom in pixels.
        time : float
            Seconds; later than in the call before.
        """
        found = np.asarray(boxes, np.float64).reshape(-1, 4)
        self._tracks = [track for track in self._tracks if time - track.time <= self.gap]
        numbers = [0] * len(found)
        for row, column in self._pairs(found, time):
            track = self._tracks[row]
            self._see(track, found[column], time)
            numbers[column] = track.number
        for column, box in enumerate(found):
            if not numbers[column]:
                numbers[column] = self._next
                self._tracks.append(_Track(self._next, box, time, np.zeros(2)))
                self._next += 1
        return numbers

    def following(self, time: float) -> bool:
        """Whether any face was seen within the last `gap` seconds."""
        return any(time - track.time <= self.gap for track in self._tracks)

    def _pairs(self, found: Float, time: float) -> list[tuple[int, int]]:
        """Track and box of each pair that belongs together."""
        if not self._tracks or not len(found):
            return []
        expected = np.array([track.at(time) for track in self._tracks])
        cost = _cost(expected, found)
        rows, columns = linear_sum_assignment(cost)
        return [
            (int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] < FORBIDDEN
        ]

    @staticmethod
    def _see(track: _Track, box: Float, time: float) -> None:
        """Move a track to where its face is now."""
        passed = time - track.time
        if passed > 0:
            moved = (_centres(box[None]) - _centres(track.box[None]))[0] / passed
            track.velocity = FRESH * moved + (1 - FRESH) * track.velocity
        track.box, track.time = box, time


def _cost(expected: Float, found: Float) -> Float:
    """(N, M) cost of each pair; `FORBIDDEN` where the two cannot be one face."""
    sides = [np.sqrt(np.prod(box[:, 2:] - box[:, :2], axis=1)) for box in (expected, found)]
    mean = (sides[0][:, None] + sides[1][None]) / 2
    ratio = sides[0][:, None] / np.maximum(sides[1][None], 1e-12)
    apart = np.linalg.norm(_centres(expected)[:, None] - _centres(found)[None], axis=2)
    distance = apart / np.maximum(mean, 1e-12)
    cost = 1 - iou(expected, found) + distance
    impossible = (distance > REACH) | (ratio > SCALE) | (ratio < 1 / SCALE)
    return np.asarray(np.where(impossible, FORBIDDEN, cost))


def _centres(boxes: Float) -> Float:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
