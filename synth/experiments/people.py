"""Which people of a folder: slices of their sorted names, written as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from synth.errors import UsageError

__all__ = ["chosen"]

_SLICE = re.compile(r"(\d*):(\d*)(?::(\d*))?")


def chosen(names: Sequence[str], text: str) -> list[str]:
    """Those of the sorted names that ``::4`` takes, or ``not ::4,1::8`` leaves; ``all``.

    Raises
    ------
    UsageError
        If the text is none of these.
    """
    ordered = sorted(set(names))
    if text == "all":
        return ordered
    slices, leaves = text.removeprefix("not ").split(","), text.startswith("not ")
    taken: set[str] = set()
    for part in slices:
        match = _SLICE.fullmatch(part.strip())
        if not match or match[3] == "0":
            raise UsageError(
                "people: expected all, or slices of the sorted names such as ::4 or not ::4,1::4, "
                f"got {text!r}"
            )
        start, stop, step = (int(number) if number else None for number in match.groups())
        taken |= set(ordered[start:stop:step])
    return [name for name in ordered if (name in taken) != leaves]
