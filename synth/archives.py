"""``.npz`` archives whose bytes depend on their arrays alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.image_files import write_atomic

__all__ = ["npz_bytes", "write_npz"]

Arrays = Mapping[str, NDArray[Any]]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def npz_bytes(arrays: Arrays, level: int = 9) -> bytes:
    """A compressed ``.npz`` whose bytes depend on the arrays alone (no time stamps)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getbuffer(), zipfile.ZIP_DEFLATED, compresslevel=level)
    return buffer.getvalue()


def write_npz(path: str | Path, arrays: Arrays, level: int = 9) -> None:
    """Write `npz_bytes`, whole or not at all; makes the folder.

    Parameters
    ----------
    path : path-like
    arrays : mapping of str to array
    level : int
        Of zlib, 1 to 9; large arrays of noise gain little from more than 1.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, npz_bytes(arrays, level))
