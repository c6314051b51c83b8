"""Basel Face Model 2017 (``model2017-1_bfm_nomouth.h5``, ``model2017-1_face12_nomouth.h5``).

Gerig et al., "Morphable Face Models: An Open Framework", FG 2018. 199 shape and 100 expression
modes; the layout is that of `synth.morphable.importers.statismo`.
"""

from __future__ import annotations

from pathlib import Path

from synth.morphable.importers.raw import Raw
from synth.morphable.importers.statismo import read_statismo

__all__ = ["read"]


def read(path: Path) -> Raw:
    """The shape and expression model of the ``.h5`` file."""
    return read_statismo(path, "2017", {53149: "bfm2017", 28588: None})
