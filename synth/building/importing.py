"""``synth model import`` and ``synth model info``: a file in, a checked model and a summary out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from synth.building.model_files import check_output
from synth.morphable.carrier import with_carrier
from synth.morphable.importers import import_model
from synth.morphable.landmark_map import embedded_model
from synth.morphable.model import MorphableModel
from synth.morphable.native import save_model

__all__ = ["describe", "import_file"]


def import_file(
    format: str,
    path: Path | None,
    output: Path,
    *,
    landmarks: Path | None = None,
    unit: float | None = None,
    overwrite: bool = True,
    **record: str | None,
) -> list[str]:
    """Import a model, dress it, and write it whole or not at all; lines that describe it.

    Raises
    ------
    SynthError
        As `synth.morphable.importers.import_model`; nothing is written then.
    """
    check_output(output, overwrite, report=False)
    model = import_model(format, path, landmarks=landmarks, unit=unit, **record)
    save_model(with_carrier(model, embedded_model()), output)
    return [*describe(model), f"written {output} ({output.stat().st_size / 1e6:.1f} MB)"]


def describe(model: MorphableModel) -> list[str]:
    """A few lines about a model: where it is from, its sizes, what its modes hold."""
    meta = model.meta
    points = model.landmarks(model.mean)
    size = model.mean.max(0) - model.mean.min(0)
    lines = [
        f"{model.name} {model.version}".strip(),
        f"  format       {meta.get('format', 'synth')}",
        f"  licence      {meta.get('licence', 'not recorded')}",
        f"  source       {_source(meta)}",
    ]
    lines += [f"  sha256       {digest}  {name}" for name, digest in _files(meta)]
    if model.sha256:
        lines.append(f"  this file    {model.sha256}")
    lines += [
        f"  mesh         {model.n_vertices} vertices, {len(model.faces)} triangles, "
        f"{size[0]:.0f} x {size[1]:.0f} x {size[2]:.0f} mm",
        f"  identity     {model.n_modes} modes{_variance(model)}",
        f"  blendshapes  {_names(model.blendshape_names)}",
        f"  eye corners  {np.linalg.norm(points[36] - points[45]):.1f} mm apart",
    ]
    found = meta.get("landmarks_found_by_geometry", [])
    lines.append(
        f"  landmarks    68, {len(found)} of them found by geometry"
        + (f": {_ranges(found)}" if found else "")
    )
    if "unit_found" in meta:
        lines.append(f"  unit         found by size, {meta['unit_found']}")
    return lines


def _source(meta: Mapping[str, object]) -> str:
    sources = meta.get("sources")
    return "; ".join(sources) if isinstance(sources, list) else str(meta.get("source", "?"))


def _files(meta: Mapping[str, object], most: int = 3) -> list[tuple[str, str]]:
    """Name and digest of the files read; of a folder the first few and how many more."""
    files = meta.get("files")
    listed = sorted(files.items()) if isinstance(files, dict) else []
    if len(listed) <= most:
        return listed
    return [*listed[: most - 1], (f"and {len(listed) - most + 1} more files", "")]


def _variance(model: MorphableModel) -> str:
    """Modes that hold 90 and 99 % of the variance, and the mean displacement of one of 1 sd."""
    if not model.n_modes:
        return ""
    share = np.cumsum(model.sigma**2) / np.sum(model.sigma**2)
    ninety, most = (int(np.searchsorted(share, s)) + 1 for s in (0.9, 0.99))
    spread = float(np.sqrt((model.sigma**2).sum() / model.n_vertices))
    return f"; 90 % of the variance in {ninety}, 99 % in {most}; {spread:.1f} mm rms per vertex"


def _names(names: tuple[str, ...], most: int = 4) -> str:
    if not names:
        return "none"
    shown = ", ".join(names[:most]) + (", ..." if len(names) > most else "")
    return f"{len(names)} ({shown})"


def _ranges(numbers: list[int]) -> str:
    """ "0-7, 9" from sorted numbers."""
    out: list[list[int]] = []
    for n in numbers:
        if out and n == out[-1][-1] + 1:
            out[-1][1:] = [n]
        else:
            out.append([n])
    return ", ".join("-".join(map(str, r)) for r in out)
