"""Single numbers kept in files of numpy, one file each."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np

from synth.errors import UsageError

__all__ = ["scalar_of"]

#: The usual header: version 1, one text (of 4 bytes a letter) or number in no dimension.
SIMPLE = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|=]?[Ufi]\d+)', 'fortran_order': False, "
    rb"'shape': \((?:1,)?\), \} *\n",
    re.DOTALL,
)


def scalar_of(
    path: Path,
    what: str,
    limits: tuple[float, float],
    absent: float | None = None,
    whole: bool = False,
) -> float | None:
    """The number in a file; None where it is `absent`.

    AffectNet keeps its numbers as text (``<U9``), one file each: nearly a million of them. The
    header they all have is matched as it stands, which takes a quarter of the time that
    `numpy.load` does; anything else goes through that, without pickles.

    Raises
    ------
    UsageError
        If the file is missing, holds no single number, or one outside of the limits.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"labels: expected {what} in {path}, got {error.strerror}") from None
    try:
        text = _value(data)
        value = float(text)
    except (ValueError, EOFError, TypeError):
        raise UsageError(f"labels: expected one number ({what}), got {path}") from None
    if absent is not None and value == absent:
        return None
    if not (math.isfinite(value) and limits[0] <= value <= limits[1]) or (
        whole and value != math.floor(value)
    ):
        kind = "a whole number" if whole else "a number"
        raise UsageError(
            f"labels: {path}: expected {kind} from {limits[0]:g} to {limits[1]:g} ({what}), "
            f"got {text}"
        )
    return value


def _value(data: bytes) -> str:
    hit = SIMPLE.match(data)
    if hit is None:
        array = np.load(io.BytesIO(data), allow_pickle=False)
        return str(array.reshape(()).item())
    kind = hit[1].decode("ascii").lstrip("<|=")
    if kind[0] == "U":
        return data[hit.end() :].decode("utf-32-le").rstrip("\0")
    return str(np.frombuffer(data[hit.end() :], "<" + kind).reshape(()).item())
