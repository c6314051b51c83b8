"""Which people of a folder: slices of their sorted names, written as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synth.errors import UsageError

__all__ = ["chosen"]

_SLICE = re.compile(r"(not\s+)?(\d*):(\d*)(?::(\d*))?")


def chosen(names: Sequence[str], text: str) -> list[str]:
    """Those of the sorted names that ``::4`` takes, or ``not ::4`` leaves; ``all``.

    Raises
    ------
    UsageError
        If the text is none of these.
    """
    ordered = sorted(set(names))
    if text == "all":
        return ordered
    match = _SLICE.fullmatch(text.strip())
    if not match or match[4] == "0":
        raise UsageError(
            f"people: expected all, or a slice of the sorted names such as ::4 or not ::4, "
            f"got {text!r}"
        )
    start, stop, step = (int(part) if part else None for part in match.groups()[1:])
    taken = set(ordered[start:stop:step])
    return [name for name in ordered if (name in taken) != bool(match[1])]
