"""What varies between photos of one face with one expression: pose, light, camera, things worn.

``Ranges`` say how far, ``draw_nuisance`` draws one `Nuisance` from a picture's seed,
the renderer takes its pose and ``apply_nuisance`` does the rest. What was drawn is
recorded and replays the picture. Off by default.
"""

from __future__ import annotations

from synth.nuisance.apply import apply_nuisance
from synth.nuisance.draw import FaceMask, Glasses, Nuisance, draw_nuisance
from synth.nuisance.ranges import PRESETS, Ranges, parse_ranges, preset

__all__ = [
    "PRESETS",
    "FaceMask",
    "Glasses",
    "Nuisance",
    "Ranges",
    "apply_nuisance",
    "draw_nuisance",
    "parse_ranges",
    "preset",
]
