"""dlib's face recognition network, read from its file and run with torch.

A ResNet of 29 convolutions that maps an aligned face of 150 x 150 pixels to 128
numbers [1]_. dlib's own CPU code needs 80 ms for a face where it was built
without a BLAS, as on PyPI; the same weights in torch need a tenth of it, and give
the same numbers to five digits (`tests/test_quality.py`).

References
----------
.. [1] King, "High quality face recognition with deep metric learning", dlib blog
   2017, with the network of ``dnn_face_recognition_ex.cpp``; He et al., "Deep
   residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.errors import AssetError
from synth.optional import require

__all__ = ["INPUT", "Network", "read_tensors"]

#: Side of the aligned face that the network takes, pixels.
INPUT = 150
#: What dlib subtracts from red, green and blue, and what it divides by.
MEAN, SCALE = (122.782, 117.001, 104.298), 256.0
#: Residual blocks from the input on: channels, and whether they halve the picture.
BLOCKS = (
    *((32, False),) * 3,
    (64, True), *((64, False),) * 3,
    (128, True), *((128, False),) * 2,
    (256, True), *((256, False),) * 2,
    (256, True),
)  # fmt: skip
#: Length of an embedding.
LENGTH = 128


def _shapes() -> list[tuple[int, ...]]:
    """Dimensions of the file's tensors in their order, as dlib counts them."""
    shapes: list[tuple[int, ...]] = [(32 * 3 * 49 + 32, 1, 1, 1), (64, 1, 1, 1)]
    before = 32
    for width, _ in BLOCKS:
        for inputs in (before, width):
            shapes += [(width * inputs * 9 + width, 1, 1, 1), (2 * width, 1, 1, 1)]
        before = width
    return [*shapes, (before, LENGTH, 1, 1)]


def _packed(number: int) -> bytes:
    """An integer as dlib writes it: the count of its bytes, then these."""
    size = max(1, (number.bit_length() + 7) // 8)
    return bytes([size]) + number.to_bytes(size, "little")


def read_tensors(file: Path) -> list[NDArray[np.float32]]:
    """The weights in a dlib network file of this architecture, in its order.

    Parameters
    ----------
    file : Path
        ``dlib_face_recognition_resnet_model_v1.dat``, verified by its digest.

    Returns
    -------
    list of float32 arrays
        For every convolution its filters and biases in one row, then the gains
        and offsets of the affine layer behind it; last the (256, 128) projection.

    Raises
    ------
    AssetError
        If the file holds another network.
    """
    data = file.read_bytes()
    tensors, at = [], 0
    for shape in _shapes():
        head = _packed(2) + b"".join(_packed(n) for n in shape)  # 2: version of the format
        start = data.find(head, at) + len(head)
        at = start + 4 * int(np.prod(shape))
        if start < len(head) or at > len(data):
            raise AssetError(f"{file.name}: expected a tensor of {shape}, got none; reinstall it")
        tensors.append(np.frombuffer(data[start:at], "<f4").astype(np.float32))
    return tensors


class Network:
    """The network, ready to run on the CPU.

    Parameters
    ----------
    file : Path
        See `read_tensors`.
    """

    def __init__(self, file: Path) -> None:
        self._torch = require("torch")
        tensors = read_tensors(file)
        self._first = self._layer(tensors[0], tensors[1], 3, 7)
        self._rest = []
        before, at = 32, 2
        for width, _ in BLOCKS:
            for inputs in (before, width):
                self._rest.append(self._layer(tensors[at], tensors[at + 1], inputs, 3))
                at += 2
            before = width
        self._project = self._torch.from_numpy(tensors[at].reshape(before, LENGTH))

    def _layer(
        self, convolution: NDArray[np.float32], affine: NDArray[np.float32], inputs: int, size: int
    ) -> tuple[Any, Any]:
        """Filters and biases of a convolution, with the affine layer behind it in them."""
        gain, offset = np.split(affine, 2)
        width = len(gain)
        filters = convolution[:-width].reshape(width, inputs, size, size)
        bias = convolution[-width:] * gain + offset
        torch = self._torch
        weight = torch.from_numpy(filters * gain[:, None, None, None])
        return weight.contiguous(memory_format=torch.channels_last), torch.from_numpy(bias)

    def __call__(self, faces: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Embeddings of aligned faces.

        Parameters
        ----------
        faces : (N, 150, 150, 3) uint8
            RGB, cut out as dlib does.

        Returns
        -------
        (N, 128) float64
        """
        torch, functional = self._torch, self._torch.nn.functional
        values = (faces.astype(np.float32) - np.array(MEAN, np.float32)) / np.float32(SCALE)
        with torch.inference_mode():
            x = torch.from_numpy(values).permute(0, 3, 1, 2)  # is channels_last already
            x = functional.relu(functional.conv2d(x, *self._first, stride=2))
            x = functional.max_pool2d(x, 3, 2)
            for block, (_, halves) in enumerate(BLOCKS):
                inner, outer = self._rest[2 * block : 2 * block + 2]
                y = functional.conv2d(x, *inner, stride=2 if halves else 1, padding=int(not halves))
                y = functional.conv2d(functional.relu(y), *outer, padding=1)
                x = functional.relu(self._sum(y, functional.avg_pool2d(x, 2) if halves else x))
            found = x.mean((2, 3)) @ self._project
        return np.asarray(found.numpy().astype(np.float64))

    def _sum(self, first: Any, second: Any) -> Any:
        """Sum of two layers; the smaller is filled with zeros, at the far ends."""
        if first.shape == second.shape:
            return first + second
        channels, rows, columns = (
            max(a, b) for a, b in zip(first.shape[1:], second.shape[1:], strict=True)
        )
        padded = [
            self._torch.nn.functional.pad(
                x,
                (0, columns - x.shape[3], 0, rows - x.shape[2], 0, channels - x.shape[1]),
            )
            for x in (first, second)
        ]
        return padded[0] + padded[1]
