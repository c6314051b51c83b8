"""Models of the field, read as one `MorphableModel`: one file a format.

A reader turns a file in its published layout into `Raw`: plain arrays in the file's own unit and
axes. `import_model` does what is the same for all: landmarks, axes, derived arrays, and the record
of where the model came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from synth.archives import BROKEN
from synth.errors import SynthError, UsageError
from synth.morphable.importers.raw import (
    Raw,
    checked_unit,
    digests,
    landmark_places,
    refuse,
)
from synth.morphable.model import MorphableModel
from synth.morphable.native import native_model

__all__ = ["FORMATS", "Raw", "import_model"]

#: Format -> its module, which has ``read(path) -> Raw``.
FORMATS: dict[str, str] = {
    "lsfm": "lsfm",
    "bfm2009": "bfm2009",
    "bfm2017": "bfm2017",
    "bfm2019": "bfm2019",
    "flame": "flame",
    "surrey": "surrey",
    "ict": "ict",
    "anny": "anny",
}

#: What arrays of impossible types and shapes raise when they are put together, too.
DAMAGED = (ArithmeticError, LookupError, *BROKEN)


def import_model(
    format: str,
    path: str | Path | None,
    *,
    landmarks: str | Path | None = None,
    unit: float | None = None,
    **record: str | None,
) -> MorphableModel:
    """The morphable model in a file of another library.

    Parameters
    ----------
    format : str
        A key of `FORMATS`.
    path : path-like, optional
        The file, or the folder; "anny" needs none.
    landmarks : path-like, optional
        iBUG-68 map of this topology (`synth.morphable.landmark_map`), instead of the one shipped.
    unit : float, optional
        Millimetres of one unit of the file, instead of the format's.
    **record : str, optional
        name, version, licence, source: instead of the format's.

    Returns
    -------
    MorphableModel
        On its own topology, in the axes of the house; `meta` has format, licence, source and the
        sha256 of every file read.

    Raises
    ------
    UsageError
        If the format is unknown, or the file is missing or not of that format.
    AssetError
        If a pickle asks for code.
    MeshError
        If mesh and landmarks do not make a face of human size.
    """
    if format not in FORMATS:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    given = None if path is None else Path(path)
    if given is None and format != "anny":
        raise UsageError(f"{format}: expected a file to import, got none; see docs/import.md")
    if given is not None and not given.exists():
        raise UsageError(f"{given}: expected a file to import, got none; check the path")
    module = import_module(f"{__name__}.{FORMATS[format]}")
    try:
        raw: Raw | MorphableModel = module.read(given)
    except SynthError:
        raise
    except DAMAGED as error:
        raise refuse(given, f"a {format} model", f"arrays that do not fit: {error}") from error
    if isinstance(raw, MorphableModel):
        return _renamed(raw, format, record)
    places = landmark_places(raw, None if landmarks is None else Path(landmarks))
    scale, how = checked_unit(raw, places, unit)
    meta: dict[str, Any] = dict(raw.meta) | {
        "format": format,
        "licence": record.get("licence") or raw.licence,
        "source": record.get("source") or raw.source,
        "files": digests(raw.files),
        "unit_mm": scale,
        "landmark_map": str(landmarks) if landmarks else raw.landmark_source,
    }
    if how:
        meta["unit_found"] = how
    return native_model(
        record.get("name") or raw.name,
        record.get("version") or raw.version,
        raw.mean,
        raw.faces,
        raw.modes,
        raw.sigma,
        places,
        blendshapes=raw.blendshapes,
        blendshape_names=raw.blendshape_names,
        parts=raw.parts,
        unit=scale,
        meta=meta,
    )


def _renamed(
    model: MorphableModel, format: str, record: Mapping[str, str | None]
) -> MorphableModel:
    """A finished model with what the user says about it in its record."""
    said = {k: v for k, v in record.items() if v}
    return replace(
        model,
        name=said.get("name", model.name),
        version=said.get("version", model.version),
        meta=MappingProxyType(dict(model.meta) | {"format": format} | said),
        sha256="",
    )
