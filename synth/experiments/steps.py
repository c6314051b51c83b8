"""Steps of an experiment that are made once: a folder each, with a note when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import UsageError
from synth.image_files import write_atomic

__all__ = ["DONE", "Interrupted", "digest_of", "is_done", "mark_done"]

DONE = "done.json"


class Interrupted(Exception):
    """Somebody asked to stop; what is finished stays."""


def digest_of(settings: Any) -> str:
    """SHA-256 of settings: of texts, numbers, lists and tables."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def is_done(folder: Path, digest: str, what: str = "") -> bool:
    """Whether the step in `folder` is finished.

    Parameters
    ----------
    folder : Path
    digest : str
        Of its settings.
    what : str
        What messages call it; without, a step with other settings is not done.

    Raises
    ------
    UsageError
        If `what` was finished with other settings, or the note cannot be read.
    """
    path = folder / DONE
    if not path.exists():
        return False
    try:
        noted = json.loads(path.read_text("utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"output: expected the note of a finished step in {path}, got something else; "
            f"remove {folder} to make it again"
        ) from None
    if noted != digest and what:
        raise UsageError(
            f"output: expected {what} with the settings asked for, got {folder} made with "
            "others; remove that folder to make it again, or choose another --output"
        )
    return bool(noted == digest)


def mark_done(folder: Path, digest: str, **told: Any) -> None:
    """Note that the step in `folder` is finished; the last thing that is written."""
    folder.mkdir(parents=True, exist_ok=True)
    note: Mapping[str, Any] = {"digest": digest, **told}
    write_atomic(folder / DONE, (json.dumps(note, indent=1, sort_keys=True) + "\n").encode())
