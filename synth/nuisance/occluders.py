"""Glasses and masks: stub until drawn."""
from __future__ import annotations
from typing import Any
def wear(nuisance: Any, rig: Any, head: Any, pixels: Any, mask: Any) -> Any:
    return pixels, mask
