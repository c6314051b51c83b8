"""What a gallery holds and gives: the face for a target, expressions, samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from synth.types import VA

__all__ = ["BasicExpression", "Expression", "Samples"]

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Expression:
    """The weights found for one target.

    Attributes
    ----------
    weights : (52,) float64
        In the order of the gallery's `names`; 0 to 1.1.
    va : VA
        What was asked for.
    class_index : int
        Class with the nearest centre; 0 is neutral.
    class_va : VA
        Its centre.
    lookup : str
        ``smooth``, ``class`` or ``expression``.
    name : str
        The basic expression, when it was asked for by name.
    """

    weights: Float
    va: VA
    class_index: int
    class_va: VA
    lookup: str
    name: str = ""


@dataclass(frozen=True)
class BasicExpression:
    """The gallery's own samples of one basic expression, at its own VA.

    Attributes
    ----------
    va : VA
    weights, sd : (52,) float64
        Mean face (one-sided actions on the subject's left) and spread.
    count : int
        Samples behind it.
    samples : (count, E) uint8 or float32, or None
        The samples, weight * 255, as in `Samples`.
    """

    va: VA
    weights: Float
    sd: Float
    count: int
    samples: NDArray[np.uint8] | NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Samples:
    """The annotated samples the classes were made from.

    Attributes
    ----------
    weights : (N, E) uint8 or float32
        Weight * 255; float32 where blendshapes of the gallery's own are among them.
    va : (N, 2) float64
    class_index, style : (N,) int64
        Class and person of each sample.
    limit : (E,) float64 or None
        Largest weight the smooth lookup gives to a style; None: that of mean faces.
    mirrored : bool
        A sample's mirror image counts as much as itself; otherwise `style` is a person measured,
        to whom a style keeps, and nothing is mirrored.
    """

    weights: NDArray[np.uint8] | NDArray[np.float32]
    va: Float
    class_index: NDArray[np.int64]
    style: NDArray[np.int64]
    limit: Float | None = None
    mirrored: bool = True

    def __len__(self) -> int:
        return len(self.weights)
