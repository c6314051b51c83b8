"""``.npz`` archives: bytes that depend on their arrays alone, and readers that trust nobody."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError, UsageError
from synth.image_files import write_atomic

__all__ = [
    "BROKEN", "Contract", "check_contract", "check_writable", "npz_bytes", "read_arrays",
    "read_fields", "write_npz",
]  # fmt: skip

Arrays = Mapping[str, NDArray[Any]]
#: Array name -> symbolic shape ("V", 3) and the kind of its dtype ("f", "u" any integer, "U").
Contract = Mapping[str, tuple[tuple[str | int, ...], str]]

#: What `numpy.load` raises for files that are cut, damaged, encrypted, pickled or no archive.
BROKEN = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,  # the header of an array is read as Python
    zipfile.BadZipFile,
    zlib.error,
)

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


def read_fields(
    path: str | Path, kind: str, maker: str, form: str, names: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Arrays of an ``.npz`` whose array ``format`` says what it is.

    Parameters
    ----------
    path : path-like
    kind, maker : str
        What the file holds and which command writes it, for the message.
    form : str
        What ``format`` has to say.
    names : iterable of str
        Arrays to read, all of which have to be there.

    Raises
    ------
    AssetError
        If the file is missing, damaged, or another kind of file.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if "format" not in archive.files or str(archive["format"]) != form:
                raise ValueError(f"an archive that is not {form}")
            return {name: archive[name] for name in names}
    except BROKEN as error:
        raise AssetError(
            f"{kind}: expected a file of {maker}, got {path}: {' '.join(str(error).split())}"
        ) from None


def read_arrays(
    path: Path, kind: str, remedy: str
) -> tuple[str, dict[str, NDArray[Any]], dict[str, Any]]:
    """SHA-256, arrays, and what the JSON text in the array ``meta`` says, of an ``.npz``.

    Parameters
    ----------
    path : Path
    kind, remedy : str
        What the file holds, and what to do about one that is missing or damaged.

    Raises
    ------
    AssetError
        If the file is missing or no archive of plain arrays.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise AssetError(
            f"{kind}: expected a readable file, got {str(path)!r} ({error.strerror}); {remedy}"
        ) from error
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
        meta = dict(json.loads(str(arrays["meta"]))) if "meta" in arrays else {}
    except BROKEN as error:
        raise AssetError(
            f"{kind}: expected an .npz archive of plain arrays, got {str(path)!r} "
            f"({' '.join(str(error).split())}); {remedy}"
        ) from error
    return hashlib.sha256(raw).hexdigest(), arrays, meta


def check_contract(
    arrays: Arrays, contract: Contract, refuse: Callable[[str, str, object], NoReturn]
) -> dict[str, int]:
    """Sizes behind the symbols of a contract that the arrays honour.

    Parameters
    ----------
    arrays : mapping of str to array
    contract : Contract
    refuse : callable
        Raises the reader's error from the array's name, what was expected and what was got.
    """
    sizes: dict[str, int] = {}
    for key, (shape, kind) in contract.items():
        if key not in arrays:
            refuse(key, "an array of this name", f"only {', '.join(sorted(arrays)) or 'none'}")
        array = arrays[key]
        wanted = tuple(
            sizes.setdefault(s, n) if isinstance(s, str) else s
            for s, n in zip(shape, array.shape, strict=False)
        )
        if array.ndim != len(shape) or array.shape != wanted:
            refuse(key, f"shape {shape} with {sizes}", array.shape)
        if array.dtype.kind not in ("ui" if kind == "u" else kind):
            refuse(key, f"dtype of kind {kind!r}", array.dtype)
        if kind == "f" and not np.isfinite(array).all():
            refuse(key, "finite numbers", "NaN or infinity")
    return sizes


def check_writable(output: str | Path, folder: bool = False) -> None:
    """Refuse an output that could not be written; leaves nothing behind.

    For the start of a command, so that nobody waits an hour for a result without a place.

    Parameters
    ----------
    output : path-like
    folder : bool
        Whether it is a folder and not a file.

    Raises
    ------
    UsageError
        If what it, or its missing folders, would be made in is a file or does not let files
        be made.
    """
    path = Path(output).absolute()
    places = (path, *path.parents) if folder or path.is_dir() else path.parents
    here = next(p for p in places if os.path.lexists(p))
    reason = "a file in the way" if os.path.lexists(here) and not here.is_dir() else None
    if reason is None:
        try:
            with tempfile.TemporaryFile(dir=here):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
    if reason is not None:
        raise UsageError(
            f"output: expected a place that can be written to, got {output} ({here}: {reason}); "
            "give another"
        )
