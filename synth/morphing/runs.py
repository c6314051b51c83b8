"""Going on with a run: what was made of photos that have changed since is made again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from synth.assets import digest
from synth.images import write_atomic
from synth.morphing.people import Person
from synth.records import IMAGES, PROVENANCE

__all__ = ["forget_changed"]


def forget_changed(root: Path, people: Iterable[Person]) -> int:
    """Take the morphs out of a run whose photos, or their labels, are others now.

    `RunWriter` asks so much of the neutral photo only, which names the person.

    Returns
    -------
    int
        How many.
    """
    file = root / PROVENANCE
    if not file.exists():
        return 0
    labels = {
        (person.subject, photo.source.name): (photo.expression, photo.intensity, photo.source.path)
        for person in people
        for photo in person.photos
    }
    current = cache(lambda path: digest(path) if path.is_file() else "")

    def holds(record: dict[str, Any]) -> bool:
        for photo in record.get("sources", ()):
            known = labels.get((record["subject"], photo["file_name"]))
            if known is None or (photo["expression"], photo["intensity"]) != known[:2]:
                return False
            if current(known[2]) != photo["sha256"]:
                return False
        return True

    kept, gone = [], []
    for line in file.read_text("utf-8").splitlines(keepends=True):
        try:
            record = json.loads(line)
        except ValueError:  # torn by a crash: the writer drops it
            continue
        if holds(record):
            kept.append(line)
        else:
            gone.append(record["file_name"])
    if gone:
        write_atomic(file, "".join(kept).encode())
        for name in gone:
            if Path(name).parent == Path(IMAGES):
                (root / name).unlink(missing_ok=True)
    return len(gone)
