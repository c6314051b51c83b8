"""AFEW-VA.

Kossaifi, Tzimiropoulos, Todorovic & Pantic, "AFEW-VA database for valence and arousal
estimation in-the-wild", Image and Vision Computing 65, 2017. 600 clips of feature films, valence
and arousal from -10 to 10 frame by frame. On request from the authors, for research.

Layout::

    ROOT/001/00000.png  00001.png ...   folders 001 to 600, also below 01/ to 12/ (the archives)
    ROOT/001/001.json                   {"actor": ..., "video_id": "001", "frames": {"00000":
                                        {"landmarks": [...], "valence": 3.0, "arousal": -1.0}, ...}}

Valence and arousal are divided by 10. The actor, where the file names one, is the subject (several
clips show the same person); otherwise the clip is. The set has no parts of its own: use splits by
subject. Landmarks are not read.

Options: ``every``: each k-th frame (1). ``subject``: ``actor`` (default) or ``clip``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synth.corpora.frames import every_of, numbered_frames
from synth.corpora.image import CorpusImage, in_order, word_of
from synth.corpora.tree import descend, wrong
from synth.errors import UsageError

__all__ = ["read"]

LAYOUT = "001/001.json and 001/00000.png, folders 001 to 600"
#: Largest value of a rating.
SCALE = 10


def read(root: Path, every: str = "1", subject: str = "actor") -> list[CorpusImage]:
    """The frames of `root`; see the head of the module.

    Raises
    ------
    UsageError
        If there are no clips, a file is no such table, a frame and its label are not both
        there, or a value is out of range.
    """
    step = every_of(every)
    by_actor = word_of("subject", subject, ("actor", "clip")) == "actor"
    clips = descend(root, lambda folder: (folder / f"{folder.name}.json").is_file(), depth=2)
    if not clips:
        raise wrong("afew-va", LAYOUT, root)
    return in_order(image for clip in clips for image in _clip(root, clip, step, by_actor))


def _clip(root: Path, folder: Path, step: int, by_actor: bool) -> Iterator[CorpusImage]:
    path = folder / f"{folder.name}.json"
    notes, labels = _notes(path)
    found = numbered_frames(folder)
    if {number for number, _ in found} != set(labels):
        raise UsageError(
            f"afew-va: expected a photo for each of the {len(labels)} frames in {path}, got "
            f"{len(found)} photos with other numbers; complete the clip"
        )
    actor = str(notes.get("actor") or "").strip() if by_actor else ""
    for number, photo in numbered_frames(folder, step):
        yield CorpusImage(
            photo,
            photo.relative_to(root).as_posix(),
            subject=actor or folder.name,
            spectrum="vis",
            valence=_value(labels[number], "valence", path, number),
            arousal=_value(labels[number], "arousal", path, number),
            sequence=folder.name,
            frame=number,
        )


def _notes(path: Path) -> tuple[dict[str, Any], dict[int, Any]]:
    """A clip's file, and what it says of each frame."""
    try:
        notes = json.loads(path.read_text("utf-8-sig"))
        return notes, {int(name): label for name, label in notes["frames"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f'afew-va: expected {{"frames": {{"00000": ...}}}} in {path}, got '
            f"{type(error).__name__}: {error}"
        ) from None


def _value(label: Any, axis: str, path: Path, number: int) -> float:
    value = label.get(axis) if isinstance(label, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= SCALE:
        raise UsageError(
            f"afew-va: {path} frame {number}: expected {axis} from -{SCALE} to {SCALE}, got "
            f"{value!r}"
        )
    return value / SCALE
