"""Face models in the HDF5 layout of statismo, as the Basel Face Models since 2017 are.

``shape/model`` has ``mean (3V,)`` in millimetres, orthonormal ``pcaBasis (3V, K)`` and
``pcaVariance (K,)``; ``shape/representer/cells (3, F)`` the triangles; ``expression/model`` the
same for offsets from the neutral face, with a mean of its own; ``metadata/landmarks/json`` named
landmarks as ``[{"id": ..., "coordinates": [x, y, z]}, ...]`` on the mean.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synth.morphable.importers.raw import Raw, refuse, scaled_modes, shipped_map
from synth.optional import require

__all__ = ["NAMED", "read_statismo"]

#: Landmarks named in the files that are points of iBUG-68 (names of scalismo-faces).
NAMED = {
    "center.chin.tip": 8,
    "center.nose.tip": 30,
    "right.eye.corner_outer": 36,
    "right.eye.corner_inner": 39,
    "left.eye.corner_inner": 42,
    "left.eye.corner_outer": 45,
    "right.lips.corner": 48,
    "center.lips.upper.outer": 51,
    "left.lips.corner": 54,
    "center.lips.lower.outer": 57,
    "center.lips.upper.inner": 62,
    "center.lips.lower.inner": 66,
}
Arrays = dict[str, Any]


def read_statismo(path: Path, year: str, counts: dict[int, str | None]) -> Raw:
    """A Basel Face Model of `year`.

    Parameters
    ----------
    path : Path
    year : str
    counts : dict of int to str or None
        Numbers of vertices that the year's files have, each with its shipped landmark map, or
        None where only the file's own named landmarks serve.

    Raises
    ------
    UsageError
        If the file is not HDF5 of this layout, or the model of another year.
    """
    found = _arrays(path, year)
    mean = found["mean"].reshape(-1, 3).astype(np.float64)
    if len(mean) not in counts and found["other"]:
        raise refuse(
            path,
            f"the Basel Face Model {year}",
            f"the model {found['other']} ({len(mean)} vertices)",
        )
    faces, sigma = found["cells"], np.sqrt(np.maximum(found["variance"].astype(np.float64), 0))
    if found["basis"].shape != (mean.size, len(sigma)):
        raise refuse(path, f"pcaBasis ({mean.size}, {len(sigma)})", f"{found['basis'].shape}")
    names, shapes = _expressions(found, len(mean))
    landmarks, source = _landmarks(found["landmarks"], mean, counts.get(len(mean)))
    return Raw(
        name=f"bfm{year}_{path.stem.split('_', 1)[-1]}" if "_" in path.stem else f"bfm{year}",
        version=year,
        licence="non-commercial research (Basel Face Model licence)",
        source=f"https://faces.dmi.unibas.ch/bfm/bfm{year}.html",
        mean=mean,
        faces=faces,
        modes=scaled_modes(found["basis"], sigma, len(mean)),
        sigma=sigma,
        unit=1.0,
        files={path.name: path},
        landmarks=landmarks,
        landmark_source=source,
        blendshapes=shapes,
        blendshape_names=names,
    )


def _arrays(path: Path, year: str) -> Arrays:
    h5py = require("h5py", extra="h5")
    try:
        with h5py.File(path, "r") as file:
            model = file["shape/model"]
            out: Arrays = {
                "mean": np.asarray(model["mean"]).ravel(),
                "basis": np.asarray(model["pcaBasis"]),
                "variance": np.asarray(model["pcaVariance"]).ravel(),
                "cells": np.asarray(file["shape/representer/cells"]),
                "landmarks": _text(file.get("metadata/landmarks/json")),
                "other": _year(file, year),
            }
            if "expression/model/pcaBasis" in file:
                for key in ("mean", "pcaBasis", "pcaVariance"):
                    out[f"expression_{key}"] = np.asarray(file[f"expression/model/{key}"])
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
        got = str(error).strip("'\"").splitlines()[0]
        raise refuse(path, f"the .h5 of the Basel Face Model {year} (shape/model)", got) from None
    if out["cells"].ndim == 2 and out["cells"].shape[0] == 3 and out["cells"].shape[1] != 3:
        out["cells"] = out["cells"].T
    if out["mean"].size % 3 or out["cells"].ndim != 2 or out["cells"].shape[1:] != (3,):
        raise refuse(path, "a mean (3V,) and cells (3, F)", f"{out['mean'].shape}")
    return out


def _text(dataset: Any) -> str:
    if dataset is None:
        return ""
    value = np.asarray(dataset[()]).ravel()
    first = value[0] if len(value) else b""
    return first.decode("utf-8") if isinstance(first, bytes) else str(first)


def _year(file: Any, year: str) -> str:
    """Another year that the file itself, or its name, speaks of; "" if none."""
    about = Path(file.filename).name
    other = {"2017": "2019", "2019": "2017"}.get(year, "")
    return other if f"model{other}" in about else ""


def _expressions(
    found: Arrays, n_vertices: int
) -> tuple[tuple[str, ...], NDArray[np.float32] | None]:
    """Names and offsets of the expression model, its mean first; per standard deviation."""
    if "expression_pcaBasis" not in found:
        return (), None
    basis = found["expression_pcaBasis"]
    sigma = np.sqrt(np.maximum(found["expression_pcaVariance"].ravel().astype(np.float64), 0))
    if basis.shape != (3 * n_vertices, len(sigma)):
        return (), None
    modes = scaled_modes(basis, sigma, n_vertices)
    middle = found["expression_mean"].reshape(1, n_vertices, 3).astype(np.float32)
    names = ("expressionMean", *(f"expression{k:03d}" for k in range(len(modes))))
    return names, np.concatenate([middle, modes])


def _landmarks(
    text: str, mean: NDArray[np.float64], shipped: str | None
) -> tuple[NDArray[np.int32] | None, str]:
    """Those named in the file, and those of the shipped map where the file has none."""
    from scipy.spatial import cKDTree

    ids, source = (shipped_map(shipped)) if shipped else (np.full(68, -1, np.int32), "")
    try:
        listed = {str(e["id"]): e["coordinates"] for e in json.loads(text)} if text else {}
        named = {NAMED[k]: np.array(v, np.float64) for k, v in listed.items() if k in NAMED}
    except (ValueError, TypeError, KeyError):
        named = {}
    extra = {k: v for k, v in named.items() if ids[k] < 0 and v.shape == (3,)}
    if extra:
        nearest = cKDTree(mean).query(np.stack(list(extra.values())))[1]
        ids = ids.copy()
        ids[list(extra)] = nearest
        source = "; ".join(s for s in (source, "metadata/landmarks/json of the file") if s)
    return (ids, source) if (ids >= 0).any() else (None, "")
