"""Pickles read as data: nothing in them is run.

A pickle names functions and classes and asks for calls. Here only a handful of names is known:
numpy's array builders, `OrderedDict`, and the classes of a few packages, which become inert
holders of their state, so that neither menpo, chumpy nor scipy needs to be installed, nor any of
their code runs. Every other name is refused.
"""

from __future__ import annotations

import gzip
import io
import pickle
from collections import OrderedDict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError, UsageError

__all__ = ["Inert", "dense", "load_pickle", "loads"]

#: Packages whose classes may stand in a pickle as bare data.
DATA_PACKAGES = ("menpo", "menpo3d", "menpofit", "chumpy", "scipy.sparse", "pathlib")
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
_BUILDERS = tuple(f"numpy.{c}.{m}" for c in ("core", "_core") for m in ("multiarray", "numeric"))
#: Larger than any of the models by far; a bomb is not unpacked further.
MOST_BYTES = 4 << 30


class Inert:
    """The state of an object whose class is not imported.

    Attributes
    ----------
    arguments : tuple
        What its constructor was given.
    state : object
        What `__setstate__` was given; attributes are read from it when it is a mapping.
    """

    kind = "?"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments = arguments
        self.state: Any = named

    def __new__(cls, *_: Any, **__: Any) -> Inert:
        made = super().__new__(cls)
        made.arguments, made.state = (), {}
        return made

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) == 2:  # (dict, slots)
            state = {**(state[0] or {}), **(state[1] or {})}
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:  # a class derived from dict
        if isinstance(self.state, dict):
            self.state[key] = value

    def get(self, *names: str) -> Any:
        """The first of these attributes that there is, else None."""
        state = self.state if isinstance(self.state, dict) else {}
        return next((state[n] for n in names if n in state), None)


def load_pickle(path: Path) -> Any:
    """What a pickle (plain or gzipped) holds, without running anything in it.

    Raises
    ------
    AssetError
        If it names a function or class that is not plain data.
    UsageError
        If it is not a pickle, or is cut short.
    """
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MOST_BYTES)
        except (OSError, EOFError) as error:
            raise UsageError(f"{path}: expected a whole gzip file, got {error}") from None
    return loads(data, path.name)


def loads(data: bytes, name: str) -> Any:
    """`load_pickle` of bytes."""
    try:
        return _Reader(io.BytesIO(data), name).load()
    except AssetError:
        raise
    except Exception as error:  # the pickle machine raises whatever it stumbles over
        raise UsageError(
            f"{name}: expected a whole pickle, got {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'nothing'}; fetch the file again"
        ) from None


def dense(value: Any) -> NDArray[Any] | None:
    """An array from what stands for one: numpy, chumpy or a scipy sparse matrix; else None."""
    if isinstance(value, np.ndarray):
        return None if value.dtype == object else value
    if isinstance(value, (list, float, int)):
        return np.asarray(value)
    if not isinstance(value, Inert):
        return None
    if value.kind.startswith("scipy.sparse"):
        return _sparse(value)
    if value.kind.endswith("Select"):  # chumpy: some elements of another array
        whole, chosen = dense(value.get("a")), dense(value.get("idxs"))
        if whole is None or chosen is None:
            return None
        return whole.ravel()[chosen.astype(np.intp)].reshape(value.get("preferred_shape") or -1)
    return dense(value.get("x", "_data"))


def _sparse(value: Inert) -> NDArray[Any] | None:
    shape = value.get("_shape", "shape")
    data, indices, indptr = (dense(value.get(k)) for k in ("data", "indices", "indptr"))
    coords = value.get("coords")  # of a coo matrix; row and col in older ones
    pair = coords if isinstance(coords, tuple) and len(coords) == 2 else (None, None)
    rows, cols = dense(value.get("row", "_row")), dense(value.get("col", "_col"))
    rows, cols = (rows, cols) if rows is not None else (dense(pair[0]), dense(pair[1]))
    if shape is None or data is None or max(shape) > 10**6 or np.prod(shape) > 10**8:
        return None
    out = np.zeros(tuple(int(n) for n in shape))
    if indices is not None and indptr is not None:
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        at = (indices, major) if "csc" in value.kind else (major, indices)
    elif rows is not None and cols is not None:
        at = (rows, cols)
    else:
        return None
    np.add.at(out, at, data)
    return out


def _encode(text: str, encoding: str = "latin1", *_: Any) -> bytes:
    """`_codecs.encode` as old pickles use it for bytes, and for nothing else."""
    if encoding.lower().replace("-", "") not in ("latin1", "ascii", "utf8"):
        raise AssetError(f"pickle: expected text of latin1, got {encoding!r}; refused")
    return text.encode(encoding)


def _rebuilt(cls: Any, *_: Any) -> Any:
    """`copyreg._reconstructor` for inert classes."""
    return cls.__new__(cls)


class _Reader(pickle.Unpickler):
    """An unpickler that knows only data."""

    def __init__(self, file: io.BytesIO, name: str) -> None:
        super().__init__(file, encoding="latin1")
        self.name = name
        self.classes: dict[str, type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for.

        Raises
        ------
        AssetError
            Unless it is plain data.
        """
        if module in _NUMPY and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in _BUILDERS and name in ("_reconstruct", "scalar", "_frombuffer"):
            return getattr(import_module(module.replace("numpy.core", "numpy._core")), name)
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if module in ("copyreg", "copy_reg") and name in ("_reconstructor", "__newobj__"):
            return _rebuilt
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module in ("builtins", "__builtin__") and name in ("bytes", "set", "object", "slice"):
            return {"bytes": bytes, "set": set, "object": object, "slice": slice}[name]
        if any(module == p or module.startswith(p + ".") for p in DATA_PACKAGES):
            kind = f"{module}.{name}"
            return self.classes.setdefault(kind, type("Inert", (Inert,), {"kind": kind}))
        raise AssetError(
            f"{self.name}: expected a pickle of arrays, got one that calls {module}.{name}; "
            "refused, nothing was run"
        )
