"""Basel Face Model 2019 (``model2019_bfm.h5``, ``model2019_face12.h5``, ``model2019_fullHead.h5``).

The layout is that of `synth.morphable.importers.statismo`; the landmarks are those named in the
file.
"""

from __future__ import annotations

from pathlib import Path

from synth.morphable.importers.raw import Raw
from synth.morphable.importers.statismo import read_statismo

__all__ = ["read"]


def read(path: Path) -> Raw:
    """The shape and expression model of the ``.h5`` file."""
    return read_statismo(path, "2019", {47439: None, 27657: None, 58203: None})
