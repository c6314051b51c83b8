"""Binary archives of the C++ library cereal, as eos writes them.

Little-endian, no padding, no tags: numbers as they lie in memory; a vector is its length as uint64
and its elements; an Eigen matrix rows and columns as int32 and float32 column by column; an
optional is one byte "is empty" and then its value; a variant the int32 of its kind and the value.
The first object of a versioned class is preceded by the version as uint32.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Archive"]


class Archive:
    """A reader of such bytes.

    Every method raises ValueError where the bytes end or a size is impossible.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.at

    def number(self, code: str) -> int:
        """One integer of a `struct` code."""
        size = struct.calcsize("<" + code)
        if self.left < size:
            raise ValueError(f"the file ends at byte {len(self.data)}, in the middle of a number")
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += size
        return int(value)

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        """`count` numbers of a type."""
        size = np.dtype(dtype).itemsize * count
        if count < 0 or self.left < size:
            raise ValueError(f"{size} bytes expected at byte {self.at}, {self.left} are left")
        out = np.frombuffer(self.data, dtype, count, self.at)
        self.at += size
        return out

    def matrix(self) -> NDArray[Any]:
        """An Eigen matrix of float32."""
        rows, cols = self.number("i"), self.number("i")
        return self.array("<f4", rows * cols).reshape(cols, rows).T

    def length(self) -> int:
        """Length of a vector, map or string."""
        n = self.number("Q")
        if n > self.left:
            raise ValueError(f"a list of {n} elements in {self.left} bytes")
        return n

    def text(self) -> str:
        """A string."""
        return self.array("u1", self.length()).tobytes().decode("utf-8", "replace")

    def empty(self) -> bool:
        """Whether the optional that begins here is empty."""
        return bool(self.number("B"))
