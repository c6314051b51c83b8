"""Folds that geometry cannot give: luminance-ratio maps tied to blendshapes.

Placeholder table until the learned maps are in the registry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FoldMaps", "fold_maps"]


@dataclass(frozen=True)
class FoldMaps:
    """Ratio maps in texture space."""

    maps: NDArray[np.float32]


def fold_maps() -> FoldMaps | None:
    """The registered fold maps."""
    return None
