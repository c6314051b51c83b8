"""Videos of the sequences of a run whose frames are all there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth.images import load_image
from synth.records import PROVENANCE, VIDEOS
from synth.targets import Target
from synth.types import Track
from synth.video import write_mp4, write_webp

__all__ = ["write_videos"]


def write_videos(root: Path, targets: Sequence[Target]) -> Iterator[Path]:
    """Write ``videos/SEQUENCE.mp4`` and ``.webp`` from the frames on disk; yields the MP4s.

    A sequence with missing frames gets none; one whose video is younger than
    its frames keeps it.

    Parameters
    ----------
    root : Path
        Folder of a run.
    targets : sequence of Target
        Of the run, by index.
    """
    folder = root / VIDEOS
    for name, (track, frames) in _sequences(root, targets).items():
        files = [folder / f"{name}.mp4", folder / f"{name}.webp"]
        if len(frames) < len(track) or _younger(files, frames):
            continue
        folder.mkdir(exist_ok=True)
        write_mp4(_pixels(frames), files[0], track.fps)
        write_webp(_pixels(frames), files[1], track.fps)
        yield files[0]


def _sequences(root: Path, targets: Sequence[Target]) -> dict[str, tuple[Track, list[Path]]]:
    """Track and frame files of each sequence, in order."""
    found: dict[str, tuple[Track, list[Path]]] = {}
    for line in (root / PROVENANCE).read_text("utf-8").splitlines():
        record = json.loads(line)
        moment = targets[record["target_index"]].moment
        if moment is not None:
            _, frames = found.setdefault(record["sequence"], (moment.track, []))
            frames.append(root / record["file_name"])
    return found


def _younger(files: list[Path], frames: list[Path]) -> bool:
    if not all(file.exists() for file in files):
        return False
    newest = max(frame.stat().st_mtime_ns for frame in frames)
    return all(file.stat().st_mtime_ns > newest for file in files)


def _pixels(frames: list[Path]) -> Iterator[NDArray[np.uint8]]:
    return (load_image(frame).pixels for frame in frames)
