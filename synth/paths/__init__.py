"""Paths through the circumplex: from what the user writes to one VA point per frame.

``parse_path`` reads the words or the file, ``Curve`` is the smooth curve in its own
time, ``sample_path`` walks along it frame by frame, no faster than faces move.
"""

from __future__ import annotations

from synth.paths.curve import Curve, waypoint_curve
from synth.paths.parse import parse_path, waypoints_csv
from synth.paths.speed import FRAME_LIMIT, VA_SPEED, WEIGHT_SPEED, sample_path

__all__ = [
    "FRAME_LIMIT",
    "VA_SPEED",
    "WEIGHT_SPEED",
    "Curve",
    "parse_path",
    "sample_path",
    "waypoint_curve",
    "waypoints_csv",
]
