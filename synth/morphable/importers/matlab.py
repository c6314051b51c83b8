"""``.mat`` files, with one message for what may be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.morphable.importers.raw import refuse

__all__ = ["read_mat"]


def read_mat(path: Path, names: tuple[str, ...], what: str) -> dict[str, NDArray[Any]]:
    """The arrays of a ``.mat`` file.

    Parameters
    ----------
    path : Path
    names : tuple of str
        Arrays that must be there.
    what : str
        The format, for the message.

    Raises
    ------
    UsageError
        If it is not a readable .mat file or one of `names` is missing.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(str(path))
    except Exception as error:  # scipy raises many kinds for damaged files
        raise refuse(path, f"the .mat of {what}", f"{type(error).__name__}: {error}") from None
    missing = [name for name in names if name not in found]
    if missing:
        there = sorted(name for name in found if not name.startswith("__"))
        raise refuse(path, f"the .mat of {what} with {', '.join(names)}", f"only {there}")
    return {k: np.asarray(v) for k, v in found.items() if not k.startswith("__")}
