"""Names with shares, as options write them: ``3dmm:0.7,ganmut:0.3``."""

from __future__ import annotations

import math
from collections.abc import Collection

from synth.errors import UsageError

__all__ = ["parse_shares"]


def parse_shares(text: str, known: Collection[str], option: str, example: str) -> dict[str, float]:
    """Share by name; a name alone has the share 1, names with 0 are left out.

    Parameters
    ----------
    text : str
    known : collection of str
        The names there are.
    option, example : str
        For messages.

    Raises
    ------
    UsageError
        For an unknown or repeated name, or a share that is none; if all are 0.
    """
    shares: dict[str, float] = {}
    seen: set[str] = set()
    for part in text.split(","):
        name, _, number = part.strip().partition(":")
        try:
            share = float(number or 1)
        except ValueError:
            share = math.nan
        if name not in known or name in seen or not 0 <= share < math.inf:
            raise UsageError(
                f"{option}: expected names of {', '.join(known)} with shares, such as "
                f"{example}, got {text!r}"
            )
        seen.add(name)
        if share:
            shares[name] = share
    if not shares:
        raise UsageError(f"{option}: expected a share above 0, got {text!r}")
    return shares
