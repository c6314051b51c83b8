"""Versions of the packages a result depends on, without importing them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from functools import cache
from importlib import metadata

import synth

__all__ = ["PACKAGES", "installed"]

#: Distributions that can change a pixel.
PACKAGES = ("numpy", "scipy", "opencv-python", "numba", "dlib-bin", "torch")


@cache
def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def installed(distributions: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Version by distribution name, ``synth`` and ``python`` first; absent ones left out."""
    found = {name: _version(name) for name in distributions}
    return {
        "synth": synth.__version__,
        "python": platform.python_version(),
        **{name: version for name, version in found.items() if version},
    }
