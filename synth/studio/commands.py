"""The command line that repeats what the page shows."""

from __future__ import annotations

import shlex

from synth.studio.photos import Photo
from synth.studio.wishes import WAYPOINTS_FILE, PathWish
from synth.targets import Target

__all__ = ["path_command", "target_command"]


def target_command(photo: Photo, target: Target) -> str:
    """``synth generate`` with the target and the photo."""
    words = ["synth", "generate", "--input", photo.input]
    if target.expression:
        words += ["--expression", target.expression, "--intensity", f"{target.intensity:.9g}"]
    else:
        words += ["--va", f"{target.va.valence!r},{target.va.arousal!r}"]
    return _line(photo, [*words, *_style(target.style), "--output", "out"])


def path_command(photo: Photo, wish: PathWish, video: bool = True) -> str:
    """``synth sequence`` with the path and the photo; a drawn one is its waypoint file."""
    words = ["synth", "sequence", "--input", photo.input]
    words += ["--path", wish.named or WAYPOINTS_FILE, "--fps", f"{wish.fps:g}"]
    if wish.seconds is not None:
        words += ["--seconds", f"{wish.seconds:g}"]
    words += _style(wish.style)
    words += ["--blinks"] * wish.blinks + ["--head-motion"] * wish.head_motion
    words += ["--video"] * video
    return _line(photo, [*words, "--output", "out"])


def _style(style: int | None) -> list[str]:
    return [] if style is None else ["--style", str(style)]


def _line(photo: Photo, words: list[str]) -> str:
    # A bundled portrait has to be put where the command finds it.
    first = "synth samples samples && " if photo.sample else ""
    return first + shlex.join(words)
